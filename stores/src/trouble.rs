//! Trouble at the store, on purpose: for the demo and for tests, which show what becomes of numbers in it.
//!
//! Always true here: one [`Switch`] is shared by all that it is to trouble; what becomes of a call follows from the
//! switch's seed and the number of the call; a call that is refused changed nothing, and of one that is lost nobody is
//! told whether it did. Without a wrapper of this module around a store nothing here is ever run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};

use crate::{CellWrite, Checkpoint, Error, Owner, Page, Store, StoredCell, WriteAnswer};

/// What is the matter with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It has too little capacity.
    Throttled {
        /// Of a thousand calls so many are refused at once.
        refused_permille: u16,
        /// The others take so much longer.
        slower: Duration,
    },
    /// No call is answered.
    Down {
        /// Of a thousand calls so many take effect all the same.
        applied_permille: u16,
        /// After this a call gives up by itself; a caller may have less patience.
        hang: Duration,
    },
}

/// How a call in trouble ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It surely changed nothing.
    Refused,
    /// It may have taken effect.
    Lost,
}

/// Sets what the matter is; clones are the same switch.
#[derive(Debug, Clone)]
pub struct Switch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    seed: u64,
    calls: AtomicU64,
    trouble: RwLock<Trouble>,
}

impl Switch {
    /// No trouble yet. The seed chooses which calls will be refused, or take effect without an answer.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared { seed, calls: AtomicU64::new(0), trouble: RwLock::default() }))
    }

    /// Calls that begin from now on meet this.
    pub fn set(&self, trouble: Trouble) {
        *self.0.trouble.write().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What calls meet now.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        *self.0.trouble.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call, as far as the trouble lets it. `ended` gives the caller's error.
    ///
    /// # Errors
    /// The call's own, or that of `ended`.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        ended: impl FnOnce(Ended) -> E,
    ) -> Result<T, E> {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        let drawn = permille(self.0.seed, number);
        match self.trouble() {
            Trouble::None => call.await,
            Trouble::Throttled { refused_permille, .. } if drawn < refused_permille => Err(ended(Ended::Refused)),
            Trouble::Throttled { slower, .. } => {
                tokio::time::sleep(slower).await;
                call.await
            }
            Trouble::Down { applied_permille, hang } => {
                if drawn < applied_permille {
                    // What it answers is lost.
                    let _ = call.await;
                }
                tokio::time::sleep(hang).await;
                Err(ended(Ended::Lost))
            }
        }
    }
}

/// 0 to 999, the same for the same two numbers: splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom
/// number generators").
fn permille(seed: u64, number: u64) -> u16 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % 1000) as u16
}

/// A store in trouble whenever its switch says so.
#[derive(Debug)]
pub struct Troubled {
    inner: Arc<dyn Store>,
    switch: Switch,
}

impl Troubled {
    /// This store, troubled by this switch.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, switch: Switch) -> Self {
        Self { inner, switch }
    }

    /// `call` does nothing before it is polled, as a call that is refused must not.
    fn meet<'a, T: Send + 'a>(
        &'a self,
        call: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(self.switch.call(call, |ended| {
            Error::Unavailable(match ended {
                Ended::Refused => "it is throttled".to_owned(),
                Ended::Lost => "it does not answer".to_owned(),
            })
        }))
    }
}

impl Store for Troubled {
    fn last_write_wins(&self) -> bool {
        self.inner.last_write_wins()
    }

    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, Error>> {
        self.meet(async move { self.inner.load(keys).await })
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, Error>> {
        self.meet(async move { self.inner.write(cells).await })
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, Error>> {
        self.meet(async move { self.inner.range(range, limit).await })
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        self.meet(async move { self.inner.checkpoint(generation, partition).await })
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        self.meet(async move { self.inner.write_checkpoint(generation, partition, checkpoint).await })
    }

    fn tell_owner(&self, generation: u32, partition: u32, owner: Owner) -> BoxFuture<'_, Result<(), Error>> {
        self.meet(async move { self.inner.tell_owner(generation, partition, owner).await })
    }

    fn owners(&self, generation: u32, partitions: u32) -> BoxFuture<'_, Result<Vec<Option<Owner>>, Error>> {
        self.meet(async move { self.inner.owners(generation, partitions).await })
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        self.meet(async move { self.inner.generation(number).await })
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>> {
        self.meet(async move { self.inner.create_generation(number, row).await })
    }
}
