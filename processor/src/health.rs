//! How far each partition is, for those who show it.
//!
//! Always true here: it is written by the partition's task alone and decides nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use counting::worker::Progress;

/// A partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionHealth {
    /// It is this process's, begun or not.
    pub is_ours: bool,
    /// What its worker says; `None` = it has not begun here, or has gone.
    pub progress: Option<Progress>,
    /// Log times at some offsets, rising, no closer than [`SAMPLE_EVERY`] records.
    samples: VecDeque<(u64, i64)>,
}

/// Records between two samples of the log's time.
const SAMPLE_EVERY: u64 = 10_000;

/// All partitions.
#[derive(Debug)]
pub struct Health {
    partitions: Vec<Mutex<PartitionHealth>>,
}

impl Health {
    pub(crate) fn new(partitions: u32) -> Self {
        Self { partitions: (0..partitions).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn tell(&self, partition: u32, progress: Progress) {
        let Some(held) = self.partitions.get(partition as usize) else { return };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        (held.is_ours, held.progress) = (true, Some(progress));
        let due = held.samples.back().is_none_or(|(offset, _)| progress.folded >= offset + SAMPLE_EVERY);
        if due {
            held.samples.push_back((progress.folded, progress.log_time_ms));
        }
        // The newest sample at or below the window's beginning is the one that tells its age.
        while held.samples.get(1).is_some_and(|(offset, _)| *offset <= progress.remembered.1) {
            held.samples.pop_front();
        }
    }

    /// The partition is this process's, and has not begun.
    pub(crate) fn claimed(&self, partition: u32) {
        if let Some(held) = self.partitions.get(partition as usize) {
            *held.lock().unwrap_or_else(PoisonError::into_inner) =
                PartitionHealth { is_ours: true, ..PartitionHealth::default() };
        }
    }

    /// The partition went to another process; one that comes back begins anew, maybe further back.
    pub(crate) fn away(&self, partition: u32) {
        if let Some(held) = self.partitions.get(partition as usize) {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = PartitionHealth::default();
        }
    }

    /// A partition as it is now; `None` = there is none of this number.
    #[must_use]
    pub fn partition(&self, partition: u32) -> Option<PartitionHealth> {
        Some(self.partitions.get(partition as usize)?.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Whether all partitions have begun; else which has not. For a process that has all of them.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn ready(&self) -> Result<(), String> {
        self.none(|partition| partition.progress.is_none())
    }

    /// Whether all partitions that are this process's have begun; else which has not. It may have none for now.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn ready_with_ours(&self) -> Result<(), String> {
        self.none(|partition| partition.is_ours && partition.progress.is_none())
    }

    fn none(&self, waits: impl Fn(&PartitionHealth) -> bool) -> Result<(), String> {
        let waits =
            |partition: &Mutex<PartitionHealth>| waits(&partition.lock().unwrap_or_else(PoisonError::into_inner));
        match self.partitions.iter().position(waits) {
            None => Ok(()),
            Some(partition) => Err(format!("partition {partition} has not begun to read")),
        }
    }

    /// How far back, in milliseconds of log time, a partition remembers payload ids. `None` = it remembers all it ever
    /// had, or this process has not run long enough to tell.
    #[must_use]
    pub fn dedupe_age_ms(&self, partition: u32) -> Option<u64> {
        let held = self.partition(partition)?;
        let progress = held.progress?;
        let (_, oldest) = progress.remembered;
        let (offset, then_ms) = *held.samples.front()?;
        if oldest == 0 || offset > oldest {
            return None;
        }
        u64::try_from(progress.log_time_ms - then_ms).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(folded: u64, log_time_ms: i64, oldest: u64) -> Progress {
        Progress { folded, log_time_ms, remembered: (0, oldest), ..Progress::default() }
    }

    #[test]
    fn the_age_of_the_window_is_that_of_its_oldest_record() {
        let health = Health::new(1);
        for step in 0..100 {
            let folded = step * 10_000;
            health.tell(0, progress(folded, 1_000 * i64::try_from(step).unwrap(), folded.saturating_sub(500_000)));
        }
        // Folded 990,000 at 99 s; the window begins at 490,000, folded at 49 s.
        assert_eq!(health.dedupe_age_ms(0), Some(50_000));
    }

    #[test]
    fn an_age_that_nobody_saw_is_not_made_up() {
        let health = Health::new(2);
        assert_eq!(health.dedupe_age_ms(0), None);
        assert!(health.ready().unwrap_err().contains("partition 0"));
        health.ready_with_ours().unwrap();
        health.claimed(1);
        assert!(health.ready_with_ours().unwrap_err().contains("partition 1"));
        health.tell(0, progress(2_000_000, 9, 1_000_000));
        assert_eq!(health.dedupe_age_ms(0), None);
        health.tell(1, progress(10, 9, 0));
        assert_eq!(health.dedupe_age_ms(1), None);
        health.ready().unwrap();
        health.away(1);
        assert!(health.ready().unwrap_err().contains("partition 1"));
    }
}
