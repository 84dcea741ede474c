//! What a worker is told and what it asks for.
//!
//! Always true here: inputs and actions are plain values; each action but `Begin`, `Snapshot`, `DeadLetter` and `Stop`
//! is answered by one input.

use schemas::cell::CellKey;
use schemas::log::Logged;
use schemas::stored::{CellWrite, Checkpoint, Flush, SavedState, StateChanges, StoredCell, WriteAnswer};

use super::Stop;
use crate::fold::DeadLetter;

/// What the log holds of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// Offset of the oldest record held.
    pub from: u64,
    /// The offset that the next record will get.
    pub to: u64,
}

/// What a worker begins with.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The store's checkpoint; `None` = it has none.
    pub checkpoint: Option<Checkpoint>,
    /// The saved state, or the newest snapshot whose position the log still holds; `None` = there is neither.
    pub state: Option<SavedState>,
    /// What the log holds.
    pub log: LogRange,
    /// The record before the checkpoint's position, if the log still has it.
    pub before_checkpoint: Option<Logged>,
}

/// What became of a [`Flush`] written as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All of it is durable.
    Durable,
    /// Nothing of it was written, for the store is ahead of it.
    Refused {
        /// Cells whose h is higher in the store, by their index in the flush.
        cells: Vec<(usize, StoredCell)>,
        /// The store's checkpoint, if it is higher.
        checkpoint: Option<Checkpoint>,
    },
}

/// Which action failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The `Load`.
    Load,
    /// The step of the flush that is under way.
    Flush,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The partition is this worker's now. The first input, once.
    Assigned(Box<Assigned>),
    /// Records of the log in order of offset. Those that came before are passed over.
    Batch(Vec<Logged>),
    /// The cells of the last `Load`, in the order asked; `None` where the store has none.
    Loaded(Vec<Option<StoredCell>>),
    /// The answers to the last `Write`, in its order.
    Wrote(Vec<WriteAnswer>),
    /// The last `WriteCheckpoint` is done; `false` = the store's is higher.
    CheckpointWrote(bool),
    /// The last `SaveState` is done.
    StateSaved,
    /// The last `Commit` is done.
    Committed(Committed),
    /// An action failed. With `retry` it comes out again; the driver has waited before it said so.
    Failed {
        /// Which one.
        work: Work,
        /// Why.
        reason: String,
        /// Whether it may succeed another time.
        retry: bool,
    },
    /// A flush is due.
    Tick,
    /// A snapshot is due.
    SnapshotDue,
    /// The partition is not this worker's any more.
    Revoked,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Read the log from this offset.
    Begin {
        /// The offset.
        position: u64,
    },
    /// Load these cells.
    Load(Vec<CellKey>),
    /// Write these cells, each on the condition that the store's h is lower.
    Write(Vec<CellWrite>),
    /// Write this checkpoint on the condition that the store's position is lower.
    WriteCheckpoint(Checkpoint),
    /// Apply these changes to the saved state, as one.
    SaveState(StateChanges),
    /// Write cells, checkpoint and state as one.
    Commit(Flush),
    /// Copy the saved state, which stands at this position; no `SaveState` or `Commit` may change it meanwhile.
    Snapshot {
        /// The position.
        position: u64,
    },
    /// Keep this record's bytes and the reason.
    DeadLetter(DeadLetter),
    /// The partition cannot go on; people must be told.
    Stop(Stop),
}
