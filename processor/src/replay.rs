//! How far a long replay is, in words.
//!
//! Always true here: a partition that is close behind its log says nothing; one that is far behind says so every
//! [`TELL_EVERY`], and once when it has caught up. It knows no log and no clock.

use std::time::Duration;

use tokio::time::Instant;

/// How often a long replay says how far it is.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(2);
/// Records behind the log's end from which on it is worth telling.
const WORTH_TELLING: u64 = 20_000;

/// What is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Records that are still to be folded.
    Behind(u64),
    /// After a time behind.
    CaughtUp,
}

/// A partition's replay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    looked: Instant,
    is_behind: bool,
}

impl Replay {
    pub(crate) fn new(now: Instant) -> Self {
        Self { looked: now, is_behind: false }
    }

    /// Whether it is time to look at the log's end.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.looked) >= TELL_EVERY
    }

    /// What is to be told of a partition that is folded up to `folded` of `end`.
    pub(crate) fn look(&mut self, now: Instant, folded: u64, end: u64) -> Option<Told> {
        self.looked = now;
        let behind = end.saturating_sub(folded);
        if behind > WORTH_TELLING {
            self.is_behind = true;
            return Some(Told::Behind(behind));
        }
        std::mem::take(&mut self.is_behind).then_some(Told::CaughtUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_long_replay_speaks_and_it_says_when_it_is_over() {
        let mut replay = Replay::new(Instant::now());
        assert!(!replay.is_due(Instant::now()));
        tokio::time::advance(TELL_EVERY).await;
        let now = Instant::now();
        assert!(replay.is_due(now));
        assert_eq!(replay.look(now, 0, 20_000), None);
        assert!(!replay.is_due(now));
        assert_eq!(replay.look(now, 10, 50_010), Some(Told::Behind(50_000)));
        assert_eq!(replay.look(now, 50_000, 50_010), Some(Told::CaughtUp));
        assert_eq!(replay.look(now, 50_000, 50_010), None);
    }
}
