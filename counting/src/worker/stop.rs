//! Why a worker cannot go on, in words for people.
//!
//! Always true here: each tells what stands where, and what to try.

use schemas::cell::CellKey;

use super::Work;
use crate::cells::CellError;
use crate::fold::Halt;
use crate::state::StateError;

/// Why a worker cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The log has lost records that are not counted.
    #[error(
        "the log is held from offset {held_from}, but reading must begin at {position}: {missing} records are lost to the counts; \
         restore a snapshot at or above {held_from}, or begin another generation"
    )]
    Overrun {
        /// Where reading would begin.
        position: u64,
        /// Oldest record held.
        held_from: u64,
        /// How many are missing.
        missing: u64,
    },
    /// The saved state is ahead of the store.
    #[error(
        "the saved state stands at {state}, but the store's checkpoint at {checkpoint}: the store was restored or is another one; \
         remove the state to begin from a snapshot at or below the checkpoint"
    )]
    StateAhead {
        /// The state's position.
        state: u64,
        /// The checkpoint's position.
        checkpoint: u64,
    },
    /// The log ends before what was counted.
    #[error(
        "{what} stands at {position}, but the log ends at {end}: the log was restored or is another one; begin another generation"
    )]
    BeyondEnd {
        /// State or checkpoint.
        what: &'static str,
        /// Its position.
        position: u64,
        /// The log's end.
        end: u64,
    },
    /// The log has another record before the checkpoint.
    #[error(
        "the record before the checkpoint's position {position} has fingerprint {found:08x}, the checkpoint was written after {expected:08x}: \
         this is another log, or an old copy of it; begin another generation"
    )]
    OtherLog {
        /// The checkpoint's position.
        position: u64,
        /// As the checkpoint has it.
        expected: u32,
        /// As the log has it.
        found: u32,
    },
    /// The log is not of this generation.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The saved state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A cell of the store cannot be read.
    #[error("the store's cell {key:?}: {why}; restore it, or begin another generation")]
    Cell {
        /// Which cell.
        key: Box<CellKey>,
        /// Why.
        why: CellError,
    },
    /// The store, which this process alone writes to, is ahead of it.
    #[error(
        "the store's checkpoint stands at {theirs}, ahead of this worker's {ours}: another process writes to it; end one of them"
    )]
    StoreAhead {
        /// This worker's position.
        ours: u64,
        /// The store's checkpoint.
        theirs: u64,
    },
    /// Something failed for good.
    #[error("{work:?} failed: {reason}")]
    Failed {
        /// What.
        work: Work,
        /// Why.
        reason: String,
    },
}
