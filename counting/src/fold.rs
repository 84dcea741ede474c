//! The fold: what a record means for the numbers, as `decode`, `needs`, `step` and `apply`.
//!
//! Always true here: `decode`, `needs` and `step` change nothing; `step` gives a commit or nothing, and what it gives
//! depends on the state, the cells and the record alone; a panic or an error in reading a record becomes a commit that
//! books it as poison (so no profile may say `panic = "abort"`); [`Commit::apply`] is total. The order for each record
//! is: the generation, the duplicate check, the fold. A change of what any record means here is a new
//! [`FOLD_VERSION`](crate::FOLD_VERSION).
//!
//! Where to go next: [`prepare`] reads records once, [`needs`] says which cells they ask for, [`step`] decides,
//! [`payload`] turns a payload into changes of cells ([`bulk`] tells bulk reads, [`migration`] has customers'
//! migrations, [`old_path`] what the gate and the old path did, [`experiments`] the units of experiments), [`commit`]
//! applies them.

mod bulk;
mod commit;
mod experiments;
mod migration;
mod needs;
mod old_path;
mod payload;
mod prepare;
#[cfg(any(test, feature = "testing"))]
mod stand_in;
mod step;

#[cfg(test)]
mod tests;

pub use commit::{Commit, DeadLetter, Outcome};
pub(crate) use experiments::UnitChange;
pub use prepare::{Prepared, Record};
pub use step::{Halt, Stepped};

use schemas::cell::CellKind;
use schemas::generation::Generation;
use schemas::id::Environment;

use crate::breakage::Breakage;
use crate::held::{CellRef, NameRef};

const MINUTES_AN_HOUR: i64 = 60;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A receive time this far ahead of the log's own is not believed.
const AHEAD_MS: i64 = 5 * 60_000;

/// What a fold goes by: the generation and the partition.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(crate) generation: Generation,
    pub(crate) partition: u32,
    pub(crate) breakage: Breakage,
}

impl Rules {
    /// The rules of a partition of a generation.
    #[must_use]
    pub fn new(generation: Generation, partition: u32) -> Self {
        Self { generation, partition, breakage: Breakage::default() }
    }

    /// The same, panicking on the records at these offsets.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn panicking_in(mut self, place: crate::PanicIn, offsets: &[u64]) -> Self {
        self.breakage.panicking(place, offsets);
        self
    }
}

/// The cell of an environment's day of receipt; `None` = a time that is on no day.
fn day_cell(kind: CellKind, environment: &Environment, received_ms: i64) -> Option<CellRef<'_>> {
    let window = u32::try_from(received_ms.div_euclid(DAY_MS)).ok()?;
    Some(CellRef { kind, environment, name: NameRef::None, window })
}

/// The hour of a minute since 1970; `None` = before 1970 or beyond all years.
fn hour_of(minute: i64) -> Option<u32> {
    u32::try_from(minute.div_euclid(MINUTES_AN_HOUR)).ok()
}

/// The hour of a time in Unix milliseconds; `None` = before 1970 or beyond all years.
fn hour_of_ms(time_ms: i64) -> Option<u32> {
    u32::try_from(time_ms.div_euclid(HOUR_MS)).ok()
}
