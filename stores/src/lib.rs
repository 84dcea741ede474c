//! The state: cells and checkpoints in a store, and partition state beside the worker.
//!
//! Always true here: a write of a cell carries h, the offset of the last record in it, and is refused when the store
//! has a higher h (an equal h is success); nothing is ever incremented at the store; a checkpoint is written under the
//! same condition.
//!
//! Where to go next: [`Store`] is what the back ends share and `conformance` (feature `testing`) what each must pass;
//! [`memory`] is the one for tests, [`embedded`] the one for a single process, which alone takes cells, checkpoint and
//! state in one transaction; [`state`] keeps partition state beside a worker whose store is elsewhere; [`snapshots`]
//! copies it to where another machine finds it; [`trouble`] troubles a store, for the demo and for tests.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};

mod breakage;
#[cfg(feature = "cassandra")]
pub mod cassandra;
mod cells;
#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod embedded;
mod error;
pub mod memory;
pub mod protocol;
pub mod snapshots;
pub mod state;
#[cfg(any(feature = "cassandra", feature = "dynamodb"))]
mod table;
pub mod trouble;

#[cfg(feature = "testing")]
pub use breakage::Break;
pub use cells::{CellWrite, Checkpoint, Flush, Owner, Page, SavedState, StateChanges, StoredCell, WriteAnswer};
pub use error::Error;

/// A store of cells and checkpoints, shared by all processes of a generation.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Whether the last write wins here, by h, and the writer of a lower one is not told: every answer to a write of a
    /// cell is then [`WriteAnswer::Stored`]. A worker must know, for to it a cell that it loads at or above its
    /// checkpoint is not durable yet.
    fn last_write_wins(&self) -> bool {
        false
    }

    /// The cells with these keys, in the order asked; `None` where there is none. Consistent: sees every answered
    /// write.
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, Error>>;

    /// Writes each cell on the condition that the store's h is lower; answers in the order given, when all are durable.
    /// A refused cell does not keep the others from being written.
    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, Error>>;

    /// The cells of a range in order, at most `limit` of them (0 is taken as 1).
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

    /// Puts what the process that works on a partition says of itself, unless something newer is there. A store that
    /// one process has keeps nothing of it.
    fn tell_owner(&self, generation: u32, partition: u32, owner: Owner) -> BoxFuture<'_, Result<(), Error>> {
        let _ = (generation, partition, owner);
        Box::pin(std::future::ready(Ok(())))
    }

    /// What was last said by [`Store::tell_owner`], by partition from 0.
    fn owners(&self, generation: u32, partitions: u32) -> BoxFuture<'_, Result<Vec<Option<Owner>>, Error>> {
        let _ = generation;
        Box::pin(std::future::ready(Ok(vec![None; partitions as usize])))
    }

    /// The generation row, encoded; `None` when there is none yet.
    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>>;

    /// Writes the generation row unless there is one; answers what the store now holds.
    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>>;
}
