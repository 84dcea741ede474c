//! What is written to and read from a store: the forms shared with the worker lie in `schemas::stored` (StoredCell,
//! CellWrite, WriteAnswer, Checkpoint, StateChanges, SavedState, Flush), since `counting` and `stores` both speak them;
//! here is only what a reader of ranges gets.

pub use schemas::stored::{CellWrite, Checkpoint, Flush, Owner, SavedState, StateChanges, StoredCell, WriteAnswer};

use schemas::cell::CellKey;

/// One page of a range of cells, in order of sort key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The cells.
    pub cells: Vec<(CellKey, StoredCell)>,
    /// Where the next page begins (a sort key); `None` = that was all.
    pub next: Option<Vec<u8>>,
}
