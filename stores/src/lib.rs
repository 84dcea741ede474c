//! The state: cells and checkpoints in a store, and partition state beside the worker.
//!
//! Always true here: a write of a cell carries h, the offset of the last record in it, and is refused when the store has
//! the same or a higher h; nothing is ever incremented at the store; a checkpoint is written under the same condition.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};

/// A cell as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCell {
    /// Offset of the last record applied.
    pub h: u64,
    /// The encoded absolute values.
    pub value: Bytes,
}

/// A cell to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellWrite {
    /// Which cell.
    pub key: CellKey,
    /// What to put there.
    pub cell: StoredCell,
}

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteAnswer {
    /// It is durable; or the store already had exactly this h, which is the same.
    Stored,
    /// The store has a higher h: value and h must be adopted together.
    Refused(StoredCell),
}

/// How far a partition's cells are known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// All records below this offset are in the cells.
    pub position: u64,
    /// Highest definition version folded; 0 = none.
    pub definition_version: u64,
    /// [`schemas::log::Logged::fingerprint`] of the record before `position`; 0 at position 0.
    pub fingerprint: u32,
    /// Running log time at `position`, Unix milliseconds; 0 at position 0.
    pub log_time_ms: i64,
}

/// Changes to a partition's state, applied as one; keys and values are opaque here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Rows to put.
    pub put: Vec<(Bytes, Bytes)>,
    /// Rows to remove.
    pub remove: Vec<Bytes>,
    /// The position at which the state stands with these changes applied.
    pub position: u64,
}

/// A partition's whole state as loaded: rows in order of key, and the position at which it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavedState {
    /// All records below this offset are in the state.
    pub position: u64,
    /// Rows in order of key.
    pub rows: Vec<(Bytes, Bytes)>,
}

/// Why a store did not do as asked, grouped by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was or will be kept of this call, or nobody knows; the same call may be tried again.
    #[error("store is not available: {0}")]
    Unavailable(String),
    /// The store can no longer promise anything; the process must end.
    #[error("store is poisoned: {0}; restart the process")]
    Poisoned(String),
    /// Bytes in the store are not what was written.
    #[error(
        "store is damaged: {place}: {what}; remove the file to have it built again from the log, or restore a copy"
    )]
    Damaged {
        /// Which file or key.
        place: String,
        /// What was found.
        what: String,
    },
    /// A setting that this store cannot work with.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// Whether the same call may succeed later without anyone restarting the process.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// One page of a range of cells, in order of sort key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The cells.
    pub cells: Vec<(CellKey, StoredCell)>,
    /// Where the next page begins (a sort key); `None` = that was all.
    pub next: Option<Vec<u8>>,
}

/// A store of cells and checkpoints, shared by all processes of a generation.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// The cells with these keys, in the order asked; `None` where there is none. Consistent: sees every answered write.
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, Error>>;

    /// Writes each cell on the condition that the store's h is lower; answers in the order given, when all are durable.
    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, Error>>;

    /// The cells of a range in order, at most `limit` of them.
    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, Error>>;

    /// The checkpoint of a partition of a generation.
    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>>;

    /// Writes a checkpoint on the condition that the store's position is lower; `false` = refused, it is ahead already.
    /// An equal position is success.
    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, Error>>;

    /// The generation row, encoded; `None` when there is none yet.
    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>>;

    /// Writes the generation row unless there is one; answers what the store now holds.
    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>>;
}
