//! When a partition's state is to be copied, and how far the newest copy reaches.
//!
//! Always true here: a copy that failed is asked for again when the next is due; the newest never falls while a worker
//! has the partition. It knows no clock.

use tokio::time::Instant;

use crate::SnapshotEvery;

/// When a partition's state was copied, and up to where.
#[derive(Debug)]
pub(crate) struct Snapshots {
    /// Position of the newest copy that this process knows of; 0 = the empty state.
    newest: u64,
    /// Where the state stood when the last one was asked for, and when that was.
    asked: u64,
    asked_at: Instant,
}

impl Snapshots {
    pub(crate) fn new(newest: u64, now: Instant) -> Self {
        Self { newest, asked: newest, asked_at: now }
    }

    /// Position of the newest copy: the log is kept from there on.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether one is to be asked for now; then it counts as asked.
    pub(crate) fn is_due(&mut self, every: SnapshotEvery, saved: u64, now: Instant) -> bool {
        let is_long_ago = now.duration_since(self.asked_at) >= every.time;
        let is_far = saved.saturating_sub(self.asked) >= every.records;
        let is_due = saved > self.newest && (is_long_ago || is_far);
        if is_due {
            (self.asked, self.asked_at) = (saved, now);
        }
        is_due
    }

    pub(crate) fn taken(&mut self, position: Option<u64>) {
        self.newest = self.newest.max(position.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_copy_is_due_after_a_time_or_after_many_records_but_not_of_the_same_state_again() {
        let every = SnapshotEvery { time: Duration::from_secs(60), records: 100 };
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut snapshots = Snapshots::new(10, begin);
        assert!(!snapshots.is_due(every, 109, at(59)));
        assert!(snapshots.is_due(every, 110, at(59)), "100 records");
        assert!(!snapshots.is_due(every, 111, at(118)), "it was asked for a minute ago, less a second");
        assert!(snapshots.is_due(every, 111, at(119)), "a minute; the one before has failed");
        snapshots.taken(Some(111));
        assert!(!snapshots.is_due(every, 111, at(1_000)), "the state has not moved");
        assert!(snapshots.is_due(every, 112, at(1_000)));
        snapshots.taken(Some(5));
        snapshots.taken(None);
        assert_eq!(snapshots.newest(), 111);
    }
}
