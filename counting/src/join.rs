//! The join of experiments: exposures and conversions of a unit become differences of days.
//!
//! Always true here: pure; what a unit says of a day follows from the set of its rows and not from their order, as far
//! as the lateness limit reaches; the cell of day d holds R(d) − R(d−1), where R(d) is the result of what happened
//! before the end of day d (STATISTICS.md §3).
//!
//! [`plan`] is a definition as the join needs it, [`subject`] what is kept of a unit, [`value`] how events become a
//! unit's value, [`differences`] what a change of a unit does to the cells.

mod differences;
mod plan;
mod subject;
mod value;

pub(crate) use differences::Differences;
pub(crate) use plan::{Plan, Told};
pub(crate) use subject::{Pending, Story, Subject};

const DAY_MS: i64 = 86_400_000;

/// The UTC day of a time; times before 1970 are on its first day, which no experiment has.
pub(crate) fn day_of(time_ms: i64) -> u32 {
    u32::try_from(time_ms.div_euclid(DAY_MS)).unwrap_or(if time_ms < 0 { 0 } else { u32::MAX })
}

/// The moment after a day.
fn end_of(day: u32) -> i64 {
    i64::from(day).saturating_add(1).saturating_mul(DAY_MS)
}
