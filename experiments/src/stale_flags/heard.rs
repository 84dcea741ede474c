//! How well environments were heard, as numbers and in words.
//!
//! Always true here: a share of no hours is never told as if it had been measured.

use serde::Serialize;

use super::entry::share;
use crate::stale::{Environment, Fleet, coverage_ppm, is_measured};

/// An environment, as it was heard for flags of no type.
#[derive(Debug, Serialize)]
pub(super) struct Heard {
    environment: String,
    expected: u64,
    reported: u64,
    coverage: f64,
    measured: bool,
    days: u32,
}

/// All environments that were looked at.
pub(super) fn heard(fleet: &Fleet) -> Vec<Heard> {
    let of = |(name, environment): (&String, &Environment)| Heard {
        environment: name.clone(),
        expected: environment.hours.map_or(0, |hours| hours.expected),
        reported: environment.hours.map_or(0, |hours| hours.reported),
        coverage: share(coverage_ppm(environment.hours)),
        measured: is_measured(environment.hours),
        days: fleet.settings.thresholds(Some(name), None).stale_days,
    };
    fleet.environments.iter().map(of).collect()
}

/// `98.9 %`, or that nothing could be missed.
pub(crate) fn coverage_words(ppm: u32, measured: bool) -> String {
    if measured { percent(ppm) } else { "no hour expected".to_owned() }
}

/// `98.9 %`, rounded down, so that 100 % is all.
pub(crate) fn percent(ppm: u32) -> String {
    format!("{}.{} %", ppm / 10_000, ppm / 1_000 % 10)
}
