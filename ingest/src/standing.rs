//! How the log stands: whether it takes records, so that a body is not read for a log that refuses.
//!
//! Always true here: what is told of the log is told once a change, never once a payload. While it refuses, one payload
//! each [`PROBE`] is let in to try it; the first that it takes opens it for all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventlog::Error;
use schemas::log::Append;
use tokio::time::{Instant, timeout_at};

use crate::ingest::Shared;

/// While the log refuses it is tried this often.
const PROBE: Duration = Duration::from_millis(100);

/// What came of the last appends.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Whether `refusing` may be there, so that a payload need not take the lock.
    is_refusing: AtomicBool,
    refusing: Mutex<Option<Refusing>>,
}

#[derive(Debug)]
struct Refusing {
    tried: Instant,
    /// Payloads refused, those not let in included.
    refused: u64,
}

impl Standing {
    /// Whether a payload may come in: the log takes records, or it is time to try.
    pub(crate) fn lets_in(&self) -> bool {
        if !self.is_refusing.load(Ordering::Relaxed) {
            return true;
        }
        let mut refusing = self.lock();
        let Some(refusing) = &mut *refusing else { return true };
        let is_time = refusing.tried.elapsed() >= PROBE;
        if is_time {
            refusing.tried = Instant::now();
        } else {
            refusing.refused += 1;
        }
        is_time
    }

    /// The log took records. Answers how many payloads were refused before, if that is news.
    fn takes(&self) -> Option<u64> {
        if !self.is_refusing.load(Ordering::Relaxed) {
            return None;
        }
        let mut refusing = self.lock();
        self.is_refusing.store(false, Ordering::Relaxed);
        refusing.take().map(|refusing| refusing.refused)
    }

    /// The log refused records. Answers whether that is news.
    fn refuses(&self) -> bool {
        let mut refusing = self.lock();
        self.is_refusing.store(true, Ordering::Relaxed);
        match &mut *refusing {
            Some(refusing) => {
                refusing.refused += 1;
                false
            }
            None => {
                *refusing = Some(Refusing { tried: Instant::now(), refused: 1 });
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refusing>> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why records are not known to be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Too much waits for the log; nothing was kept.
    Busy,
    /// Nothing was kept.
    NothingKept,
    /// Some or all of them may be in it.
    Unknown,
}

impl Shared {
    /// Brings records into the log, waiting for its word no longer than until `by`.
    pub(crate) async fn append(&self, records: Vec<Append>, by: Instant) -> Result<(), Trouble> {
        let error = match timeout_at(by, self.log.append(records)).await {
            Ok(Ok(_offsets)) => {
                if let Some(refused) = self.standing.takes() {
                    tracing::info!(refused, "log takes records again");
                }
                return Ok(());
            }
            Ok(Err(Error::Busy(_))) => return Err(Trouble::Busy),
            Ok(Err(error)) => error,
            Err(_) => {
                let seconds = self.limits.append().as_secs();
                Error::Unknown(format!("it did not acknowledge them within {seconds} s"))
            }
        };
        if matches!(error, Error::Setting(_)) {
            // The fault of these records alone.
            tracing::warn!(%error, "cannot append records");
        } else if self.standing.refuses() {
            tracing::warn!(%error, "log refuses records; payloads get a 503 until it takes them again");
        }
        Err(if error.is_retryable() { Trouble::NothingKept } else { Trouble::Unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changes_are_news_and_the_rest_is_counted() {
        let standing = Standing::default();
        assert!(standing.lets_in() && standing.takes().is_none());
        assert_eq!([standing.refuses(), standing.refuses()], [true, false]);
        assert_eq!([standing.lets_in(), standing.lets_in()], [false, false]);
        tokio::time::advance(PROBE).await;
        assert_eq!([standing.lets_in(), standing.lets_in()], [true, false], "one tries");
        assert_eq!([standing.takes(), standing.takes()], [Some(5), None]);
        assert!(standing.lets_in() && standing.refuses());
    }
}
