//! How far each partition is, for those who show it.
//!
//! Always true here: it is written by the partition's task alone and decides nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use counting::worker::Progress;
use schemas::stored::Owner;

use crate::owner::now_ms;

/// A partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionHealth {
    /// It is this process's, begun or not.
    pub is_ours: bool,
    /// What its worker says; `None` = it has not begun here, or has gone.
    pub progress: Option<Progress>,
    /// When it came, Unix milliseconds.
    since_ms: i64,
    /// When all that was folded was last durable, Unix milliseconds; 0 = not since it came.
    flushed_ms: i64,
    /// Writes that the store refused since it came.
    refused: u64,
    /// Log times at some offsets, rising, no closer than [`SAMPLE_EVERY`] records.
    samples: VecDeque<(u64, i64)>,
}

/// Records between two samples of the log's time.
const SAMPLE_EVERY: u64 = 10_000;

/// All partitions.
#[derive(Debug)]
pub struct Health {
    name: String,
    partitions: Vec<Mutex<PartitionHealth>>,
}

impl Health {
    pub(crate) fn new(name: &str, partitions: u32) -> Self {
        Self { name: name.to_owned(), partitions: (0..partitions).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn tell(&self, partition: u32, progress: Progress) {
        let Some(held) = self.partitions.get(partition as usize) else { return };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let durable = |progress: &Progress| progress.durable >= progress.folded;
        if durable(&progress)
            && !held.progress.as_ref().is_some_and(|before| durable(before) && before.folded == progress.folded)
        {
            held.flushed_ms = now_ms();
        }
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
                PartitionHealth { is_ours: true, since_ms: now_ms(), ..PartitionHealth::default() };
        }
    }

    /// The store refused so many writes.
    pub(crate) fn refused(&self, partition: u32, writes: u64) {
        if let Some(held) = self.partitions.get(partition as usize) {
            held.lock().unwrap_or_else(PoisonError::into_inner).refused += writes;
        }
    }

    /// What this process says of itself as a partition's owner; `None` = it is not.
    #[must_use]
    pub fn owner(&self, partition: u32) -> Option<Owner> {
        let held = self.partition(partition).filter(|held| held.is_ours)?;
        Some(Owner {
            name: self.name.clone(),
            since_ms: held.since_ms,
            told_ms: now_ms(),
            flushed_ms: held.flushed_ms,
            refused: held.refused,
            dedupe_age_ms: self.dedupe_age_ms(partition),
        })
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
        let health = Health::new("a", 1);
        for step in 0..100 {
            let folded = step * 10_000;
            health.tell(0, progress(folded, 1_000 * i64::try_from(step).unwrap(), folded.saturating_sub(500_000)));
        }
        // Folded 990,000 at 99 s; the window begins at 490,000, folded at 49 s.
        assert_eq!(health.dedupe_age_ms(0), Some(50_000));
    }

    #[test]
    fn an_owner_tells_of_what_is_its_own() {
        let health = Health::new("host:7", 2);
        assert_eq!(health.owner(0), None);
        health.claimed(0);
        let before = health.owner(0).unwrap();
        assert_eq!((before.name.as_str(), before.flushed_ms, before.refused), ("host:7", 0, 0));
        assert!(before.since_ms > 0 && before.told_ms >= before.since_ms, "{before:?}");
        health.tell(0, Progress { folded: 5, durable: 4, ..Progress::default() });
        health.refused(0, 3);
        assert_eq!(health.owner(0).map(|owner| (owner.flushed_ms, owner.refused)), Some((0, 3)));
        health.tell(0, Progress { folded: 5, durable: 5, ..Progress::default() });
        assert!(health.owner(0).unwrap().flushed_ms >= before.since_ms);
        health.away(0);
        assert_eq!(health.owner(0), None);
    }

    #[test]
    fn an_age_that_nobody_saw_is_not_made_up() {
        let health = Health::new("a", 2);
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
