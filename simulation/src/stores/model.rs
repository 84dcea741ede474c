//! Which store it is, and which of its rules it breaks.
//!
//! Always true here: how many servers there are, and which of them a consistent reader hears, follows from the model
//! alone.

use super::replicas::{PAIRS, REPLICAS};

/// Servers as bits: which of them something concerns.
pub(super) type Servers = u8;

/// How the store keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One copy of each item; a write carries a condition that the server evaluates.
    Conditional,
    /// Three replicas; a write carries its timestamp, and the last one wins.
    LastWriteWins,
}

impl Model {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Conditional, Self::LastWriteWins];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Conditional => "conditional",
            Self::LastWriteWins => "last-write-wins",
        }
    }

    /// How many copies there are.
    pub(super) fn copies(self) -> usize {
        match self {
            Self::Conditional => 1,
            Self::LastWriteWins => REPLICAS,
        }
    }

    /// All servers.
    pub(super) fn servers(self) -> Servers {
        match self {
            Self::Conditional => 0b1,
            Self::LastWriteWins => 0b111,
        }
    }

    /// How many sets of servers a consistent reader may hear.
    pub(super) fn views(self) -> usize {
        match self {
            Self::Conditional => 1,
            Self::LastWriteWins => PAIRS.len(),
        }
    }
}

switches! {
    /// A rule of the store protocol that can be broken.
    StoreBreak {
        /// A cell is put whatever is there; where the last write wins, the time of arrival says which is the last.
        Unconditional,
        /// The same for checkpoints.
        CheckpointUnconditional,
        /// A cell of books or of a custom event is added to what is there; h is the higher of the two.
        Add,
        /// Cells and checkpoints are loaded with eventual consistency.
        EventuallyConsistentRestore,
    }
}
