//! What a worker and a store hand each other: cells with their h, checkpoints, changes to partition state.
//!
//! Always true here: h is the offset of the last record applied to a cell; a position is one past the last record in
//! it; values are absolute, never differences.

use bytes::Bytes;

use crate::cell::CellKey;

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
    /// [`crate::log::Logged::fingerprint`] of the record before `position`; 0 at position 0.
    pub fingerprint: u32,
    /// Running log time at `position`, Unix milliseconds; 0 at position 0.
    pub log_time_ms: i64,
}

/// What the process that works on a partition says of itself. It is for people: nothing is decided by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// Which process: `host:pid`.
    pub name: String,
    /// When it got the partition, Unix milliseconds.
    pub since_ms: i64,
    /// When it said this, Unix milliseconds.
    pub told_ms: i64,
    /// When all that it had folded was last durable, Unix milliseconds; 0 = not since it got the partition.
    pub flushed_ms: i64,
    /// Writes that the store refused since then, since another process was ahead.
    pub refused: u64,
    /// How far back, in milliseconds of log time, it knows payload ids; `None` = to the beginning, or it cannot tell yet.
    pub dedupe_age_ms: Option<u64>,
}

/// Changes to a partition's state, applied as one; keys and values are opaque to who keeps them.
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

/// What a worker makes durable at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flush {
    /// Number of the generation.
    pub generation: u32,
    /// The partition.
    pub partition: u32,
    /// Every cell dirtied below the checkpoint's position.
    pub cells: Vec<CellWrite>,
    /// To be written when all those cells are durable.
    pub checkpoint: Checkpoint,
    /// To be saved when the checkpoint is durable.
    pub state: StateChanges,
}
