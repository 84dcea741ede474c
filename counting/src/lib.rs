//! Events become counts: a pure fold, and the worker of a partition as a value.
//!
//! Always true here: no I/O, no clock, no dice, no async; what comes out is a function of the log alone. Hash maps are
//! looked into and never walked. [`cells`] is what is counted, [`fold`] how, [`State`] what the fold must know beside
//! the cells, [`worker`] how cells, checkpoint and state become durable in the order that keeps every number exact.

mod breakage;
pub mod cells;
pub mod fold;
mod held;
mod join;
#[cfg(any(test, feature = "testing"))]
mod stand_in;
mod state;
pub mod worker;

#[cfg(any(test, feature = "testing"))]
pub use breakage::{Break, PanicIn};
pub use held::Cells;
pub use state::{NameKind, State, StateError};

/// Version of the fold: what a record means for the numbers. A change of that is a new version and so a new generation.
/// 2: bulk reads are kept apart in last seen. 3: a counter of 0 is a sight; each summary is
/// judged by itself, whether it is a bulk read. 4: what the gate and the old path did is counted, and so are operations
/// of customers' migrations. 5: experiments are joined.
pub const FOLD_VERSION: u32 = 5;

#[cfg(test)]
mod tests;
