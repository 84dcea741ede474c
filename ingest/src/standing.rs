//! How the log stands: which partitions take records, so that a body is not read for one that refuses.
//!
//! Always true here: a partition that refuses shuts the door to those alone whose home it is; what is told of a
//! partition is told once a change, never once a payload. While it refuses, one payload each [`PROBE`] is let in to try
//! it; the first that it takes opens it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventlog::Error;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::partition;
use tokio::time::{Instant, timeout_at};

use crate::ingest::Shared;

/// While a partition refuses it is tried this often.
const PROBE: Duration = Duration::from_millis(100);

/// What came of the last appends, by partition.
#[derive(Debug)]
pub(crate) struct Standing(Vec<Partition>);

#[derive(Debug, Default)]
struct Partition {
    /// Appends that it took, ever.
    taken: AtomicU64,
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

/// The partitions of an append, each with what it had taken when the append began.
struct Begun(Vec<(u32, u64)>);

impl Standing {
    pub(crate) fn new(partitions: u32) -> Self {
        Self((0..partitions).map(|_| Partition::default()).collect())
    }

    /// Whether a payload of this environment may come in: its home takes records, or it is time to try.
    pub(crate) fn lets_in(&self, environment: &Environment) -> bool {
        let partitions = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.of(partition::home(environment, partitions)).is_none_or(Partition::lets_in)
    }

    fn begin(&self, records: &[Append]) -> Begun {
        let mut begun: Vec<(u32, u64)> = Vec::with_capacity(1);
        for Append { partition, .. } in records {
            if !begun.iter().any(|(known, _)| known == partition) {
                let taken = self.of(*partition).map_or(0, |partition| partition.taken.load(Ordering::Relaxed));
                begun.push((*partition, taken));
            }
        }
        Begun(begun)
    }

    fn takes(&self, begun: &Begun) {
        for (number, _) in &begun.0 {
            if let Some(refused) = self.of(*number).and_then(Partition::takes) {
                tracing::info!(partition = number, refused, "partition takes records again");
            }
        }
    }

    /// An append says of no partition that it was the one. One that took records since it began was not.
    fn refuses(&self, begun: &Begun, error: &Error) {
        for (number, taken) in &begun.0 {
            if self.of(*number).is_some_and(|partition| partition.refuses(*taken)) {
                tracing::warn!(
                    partition = number,
                    %error,
                    "partition refuses records; payloads of its environments get a 503 until it takes them again"
                );
            }
        }
    }

    fn of(&self, partition: u32) -> Option<&Partition> {
        self.0.get(partition as usize)
    }
}

impl Partition {
    fn lets_in(&self) -> bool {
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

    /// It took records. Answers how many payloads were refused before, if that is news.
    fn takes(&self) -> Option<u64> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if !self.is_refusing.load(Ordering::Relaxed) {
            return None;
        }
        let mut refusing = self.lock();
        self.is_refusing.store(false, Ordering::Relaxed);
        refusing.take().map(|refusing| refusing.refused)
    }

    /// It refused records, unless it took others since it had taken so many. Answers whether that is news.
    fn refuses(&self, taken: u64) -> bool {
        if self.taken.load(Ordering::Relaxed) != taken {
            return false;
        }
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
        let begun = self.standing.begin(&records);
        let error = match timeout_at(by, self.log.append(records)).await {
            Ok(Ok(_offsets)) => {
                self.standing.takes(&begun);
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
        } else {
            self.standing.refuses(&begun, &error);
        }
        Err(if error.is_retryable() { Trouble::NothingKept } else { Trouble::Unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changes_are_news_and_the_rest_is_counted() {
        let partition = Partition::default();
        assert!(partition.lets_in() && partition.takes().is_none());
        assert_eq!([partition.refuses(1), partition.refuses(1)], [true, false]);
        assert_eq!([partition.lets_in(), partition.lets_in()], [false, false]);
        tokio::time::advance(PROBE).await;
        assert_eq!([partition.lets_in(), partition.lets_in()], [true, false], "one tries");
        assert_eq!([partition.takes(), partition.takes()], [Some(5), None]);
        assert!(partition.lets_in() && partition.refuses(3));
    }

    /// An append to two partitions fails for one of them: the other took somebody else's records meanwhile.
    #[test]
    fn a_partition_that_takes_others_is_not_the_one_that_refused() {
        let standing = Standing::new(2);
        let record = |partition| Append { partition, header: Default::default(), body: Default::default() };
        let both = standing.begin(&[record(0), record(1), record(0)]);
        standing.takes(&standing.begin(&[record(0)]));
        standing.refuses(&both, &Error::Unknown("a test said so".into()));
        assert_eq!([standing.0[0].lets_in(), standing.0[1].lets_in()], [true, false]);
    }
}
