//! What lies in a cell, one kind a file: decode, encode, read, merge, and the fold's own `apply`.
//!
//! Always true here:
//! - the same value encodes to the same bytes; rows stand in order of first appearance;
//! - the first rows stay: a row or text never leaves a cell, and what is beyond a limit counts in the row marked
//!   `other`, so that the choice follows from the cell alone (only versions, values and days, which are no counts, give
//!   way to newer ones, by rules that look at nothing but the cell);
//! - a counter stops at [`COUNTER_MAX`] and says so (`saturated`); no cell encodes to more than 64 KiB under limits
//!   that [`check_limits`] lets pass;
//! - `merge` is for readers that add up cells of windows or generations. It knows no limits, is commutative and
//!   associative in what the accessors tell (not in the order of rows), and an empty cell is its zero.

mod books;
mod days;
mod definition;
mod events;
mod experiment;
mod last_seen;
mod migration;
mod old_path;
mod sdks;
mod sketch;
#[cfg(any(test, feature = "testing"))]
mod stand_in;
mod texts;
mod usage;

#[cfg(test)]
mod tests;

pub use books::{Books, BooksChange};
pub use days::DAYS_MAX;
pub use definition::{BODY_BYTES_MAX, Definition, DefinitionChange};
pub use events::{EventChange, Events};
pub use experiment::{
    Experiment, ExperimentArm, ExperimentCounters, ExperimentNumbers, ExperimentSums, Slice, experiment_name,
    experiment_of,
};
pub use last_seen::{LastSeen, LastSeenChange, LastSeenRow, LastSeenValue, VALUES_MAX, VERSIONS_MAX};
pub use migration::{Migration, MigrationChange, MigrationSide, operation_name, operation_of};
pub use old_path::{OldPath, OldPathChange, OldPathFact, OldPathRow};
pub(crate) use sdks::INSTANCE_BITS;
pub use sdks::{SdkChange, SdkRow, Sdks};
pub use sketch::LatencySketch;
#[cfg(any(test, feature = "testing"))]
pub use stand_in::{StandIn, StandInChange, StandInNumbers};
pub use usage::{Usage, UsageChange, UsageCount, UsagePair, UsageRow};

use schemas::cell::{CELL_BYTES_MAX, CellKind};
use schemas::generation::FoldLimits;
use schemas::record::StoredVariation;

/// Where a counter stops: 2⁴⁸ − 1, so that it never takes more than 7 bytes.
pub const COUNTER_MAX: u64 = (1 << 48) - 1;

/// Why bytes are no cell of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// No protobuf message, or another one.
    #[error("{kind} cell cannot be decoded: {what}; it was not written by this generation's fold")]
    Decode {
        /// Which kind of cell.
        kind: &'static str,
        /// What the decoder says.
        what: String,
    },
    /// A value that the fold never writes.
    #[error("{kind} cell has {field} = {value}, which the fold never writes")]
    Value {
        /// Which kind of cell.
        kind: &'static str,
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
}

/// Limits under which a cell could grow too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "with these limits a {kind:?} cell could take {bytes} bytes, more than {CELL_BYTES_MAX}; lower its rows or texts_bytes_max"
)]
pub struct LimitsError {
    /// Which kind of cell.
    pub kind: CellKind,
    /// Its largest encoding under these limits, in bytes.
    pub bytes: usize,
}

/// A cell of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Evaluations of a flag in an hour.
    Usage(Usage),
    /// First and last sight of a flag.
    LastSeen(LastSeen),
    /// A custom event in an hour.
    Events(Events),
    /// The books of a day.
    Books(Books),
    /// Who reported on a day.
    Sdks(Sdks),
    /// Newest version of a definition.
    Definition(Definition),
    /// What is told of the old path about a flag in an hour.
    OldPath(OldPath),
    /// The same of a custom event.
    OldPathEvents(OldPath),
    /// Operations of a customer's migration in an hour.
    Migration(Migration),
    /// An experiment on a day.
    Experiment(Experiment),
    /// A stand-in experiment on a day.
    #[cfg(any(test, feature = "testing"))]
    StandIn(StandIn),
}

/// What a record adds to a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<'a> {
    /// Evaluations by counter.
    Usage(UsageChange<'a>),
    /// Full evaluations by reason: the reason's number in the record, and how many.
    Reason(u32, u64),
    /// A sight of a flag's variation.
    LastSeen(LastSeenChange<'a>),
    /// A custom event.
    Event(EventChange),
    /// A record's share in the books.
    Books(BooksChange),
    /// A report of an SDK.
    Sdk(SdkChange<'a>),
    /// A version of a definition.
    Definition(DefinitionChange<'a>),
    /// A number about the old path, of a flag or of a custom event.
    OldPath(OldPathChange<'a>),
    /// An operation of a customer's migration.
    Migration(MigrationChange),
    /// Differences of an experiment's day.
    Experiment(ExperimentNumbers),
    /// Differences of a stand-in experiment's day.
    #[cfg(any(test, feature = "testing"))]
    StandIn(StandInChange),
}

impl Cell {
    /// An empty cell.
    #[must_use]
    pub fn empty(kind: CellKind) -> Self {
        match kind {
            CellKind::Usage => Self::Usage(Usage::default()),
            CellKind::LastSeen => Self::LastSeen(LastSeen::default()),
            CellKind::Events => Self::Events(Events::default()),
            CellKind::Books => Self::Books(Books::default()),
            CellKind::Sdks => Self::Sdks(Sdks::default()),
            CellKind::Definition => Self::Definition(Definition::default()),
            CellKind::OldPath => Self::OldPath(OldPath::default()),
            CellKind::OldPathEvents => Self::OldPathEvents(OldPath::default()),
            CellKind::Migration => Self::Migration(Migration::default()),
            CellKind::Experiment => Self::Experiment(Experiment::default()),
            #[cfg(any(test, feature = "testing"))]
            CellKind::StandIn => Self::StandIn(StandIn::default()),
        }
    }

    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are no cell of this kind.
    pub fn decode(kind: CellKind, bytes: &[u8]) -> Result<Self, CellError> {
        Ok(match kind {
            CellKind::Usage => Self::Usage(Usage::decode(bytes)?),
            CellKind::LastSeen => Self::LastSeen(LastSeen::decode(bytes)?),
            CellKind::Events => Self::Events(Events::decode(bytes)?),
            CellKind::Books => Self::Books(Books::decode(bytes)?),
            CellKind::Sdks => Self::Sdks(Sdks::decode(bytes)?),
            CellKind::Definition => Self::Definition(Definition::decode(bytes)?),
            CellKind::OldPath => Self::OldPath(OldPath::decode(bytes)?),
            CellKind::OldPathEvents => Self::OldPathEvents(OldPath::decode(bytes)?),
            CellKind::Migration => Self::Migration(Migration::decode(bytes)?),
            CellKind::Experiment => Self::Experiment(Experiment::decode(bytes)?),
            #[cfg(any(test, feature = "testing"))]
            CellKind::StandIn => Self::StandIn(StandIn::decode(bytes)?),
        })
    }

    /// Writes a cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Usage(cell) => cell.encode(),
            Self::LastSeen(cell) => cell.encode(),
            Self::Events(cell) => cell.encode(),
            Self::Books(cell) => cell.encode(),
            Self::Sdks(cell) => cell.encode(),
            Self::Definition(cell) => cell.encode(),
            Self::OldPath(cell) | Self::OldPathEvents(cell) => cell.encode(),
            Self::Migration(cell) => cell.encode(),
            Self::Experiment(cell) => cell.encode(),
            #[cfg(any(test, feature = "testing"))]
            Self::StandIn(cell) => cell.encode(),
        }
    }

    /// Adds another cell to this one, for readers. One of another kind changes nothing.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Usage(cell), Self::Usage(other)) => cell.merge(other),
            (Self::LastSeen(cell), Self::LastSeen(other)) => cell.merge(other),
            (Self::Events(cell), Self::Events(other)) => cell.merge(other),
            (Self::Books(cell), Self::Books(other)) => cell.merge(other),
            (Self::Sdks(cell), Self::Sdks(other)) => cell.merge(other),
            (Self::Definition(cell), Self::Definition(other)) => cell.merge(other),
            (Self::OldPath(cell), Self::OldPath(other)) | (Self::OldPathEvents(cell), Self::OldPathEvents(other)) => {
                cell.merge(other);
            }
            (Self::Migration(cell), Self::Migration(other)) => cell.merge(other),
            (Self::Experiment(cell), Self::Experiment(other)) => cell.merge(other),
            #[cfg(any(test, feature = "testing"))]
            (Self::StandIn(cell), Self::StandIn(other)) => cell.merge(other),
            _ => {}
        }
    }

    /// Applies a change; answers whether the cell is another than before. A change of another kind changes nothing.
    pub fn apply(&mut self, change: &Change<'_>, limits: &FoldLimits) -> bool {
        match (self, change) {
            (Self::Usage(cell), Change::Usage(change)) => cell.apply(change, limits),
            (Self::Usage(cell), Change::Reason(reason, number)) => cell.apply_reason(*reason, *number),
            (Self::LastSeen(cell), Change::LastSeen(change)) => cell.apply(change, limits),
            (Self::Events(cell), Change::Event(change)) => cell.apply(change),
            (Self::Books(cell), Change::Books(change)) => cell.apply(change),
            (Self::Sdks(cell), Change::Sdk(change)) => cell.apply(change, limits),
            (Self::Definition(cell), Change::Definition(change)) => cell.apply(change),
            (Self::OldPath(cell) | Self::OldPathEvents(cell), Change::OldPath(change)) => cell.apply(change, limits),
            (Self::Migration(cell), Change::Migration(change)) => cell.apply(change),
            (Self::Experiment(cell), Change::Experiment(change)) => cell.apply(change),
            #[cfg(any(test, feature = "testing"))]
            (Self::StandIn(cell), Change::StandIn(change)) => cell.apply(change),
            _ => false,
        }
    }
}

/// Proves that no cell can pass 64 KiB under these limits.
///
/// # Errors
/// [`LimitsError`] names the kind that could.
pub fn check_limits(limits: &FoldLimits) -> Result<(), LimitsError> {
    for kind in CellKind::ALL {
        let bytes = bytes_max(kind, limits);
        if bytes > CELL_BYTES_MAX {
            return Err(LimitsError { kind, bytes });
        }
    }
    Ok(())
}

/// The largest encoding of a cell of this kind under these limits, in bytes (an upper bound).
#[must_use]
pub fn bytes_max(kind: CellKind, limits: &FoldLimits) -> usize {
    match kind {
        CellKind::Usage => usage::bytes_max(limits),
        CellKind::LastSeen => last_seen::bytes_max(limits),
        CellKind::Events => events::BYTES_MAX,
        CellKind::Books => books::BYTES_MAX,
        CellKind::Sdks => sdks::bytes_max(limits),
        CellKind::Definition => CELL_BYTES_MAX,
        CellKind::OldPath | CellKind::OldPathEvents => old_path::bytes_max(limits),
        CellKind::Migration => migration::BYTES_MAX,
        CellKind::Experiment => experiment::BYTES_MAX,
        #[cfg(any(test, feature = "testing"))]
        CellKind::StandIn => stand_in::BYTES_MAX,
    }
}

/// Adds to a counter, up to [`COUNTER_MAX`]; answers whether it is another than before.
fn add(counter: &mut u64, number: u64) -> bool {
    let before = *counter;
    *counter = before.saturating_add(number).min(COUNTER_MAX);
    *counter != before
}

/// A version as it lies in a cell: 0 = not told, else version + 1.
fn stored_version(version: Option<u64>) -> u64 {
    version.map_or(0, |version| version.saturating_add(1))
}

/// Bytes of fields at their largest, for the upper bounds.
mod largest {
    pub(super) const COUNTER: usize = 7;
    pub(super) const U32: usize = 5;
    pub(super) const U64: usize = 10;
    pub(super) const TEXT: usize = 3;
    /// An index as 2i + 1.
    pub(super) const VARIATION: usize = 5;
    /// Tag and length of a row.
    pub(super) const ROW: usize = 4;
}

/// The name of a variation, where that is what the SDK told of it.
pub(crate) fn variation_name<'a>(variation: &StoredVariation<'a>) -> Option<&'a [u8]> {
    match variation {
        StoredVariation::Name(name) => Some(name),
        _ => None,
    }
}
