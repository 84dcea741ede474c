//! Forgetting what came after a moment.
//!
//! Always true here: a fleet is only ever wound back, never forward; a row that was first seen later goes, one that was
//! seen later too was last seen on its last day before.

use counting::cells::VERSIONS_MAX;

use super::{DAY_MS, History, Moment, Past};
use crate::stale::FlagEnvironment;

/// Winds the past back to the beginning of the moment's day.
pub(super) fn to(past: &mut Past, moment: Moment) {
    let fleet = &mut past.fleet;
    fleet.as_of_ms = i64::from(moment.day) * DAY_MS;
    fleet.environments = moment.environments;
    fleet.hours_by_type = moment.hours_by_type;
    for (flag, histories) in fleet.flags.iter_mut().zip(&past.histories) {
        for (name, seen) in &mut flag.environments {
            if let Some(history) = histories.get(name) {
                forget(seen, history, moment.day);
            }
        }
    }
}

fn forget(seen: &mut FlagEnvironment, history: &History, day: u32) {
    let as_of_ms = i64::from(day) * DAY_MS;
    seen.rows.truncate(seen.rows.partition_point(|row| row.first_ms < as_of_ms));
    seen.days.truncate(seen.days.partition_point(|used| *used < day));
    for (row, told) in seen.rows.iter_mut().zip(&history.rows) {
        if row.last_ms >= as_of_ms {
            // To the end of the day: a flag is never called unused earlier than it is.
            row.last_ms = (i64::from(told.last_before(day, &history.used)) + 1) * DAY_MS - 1;
        }
    }
    let newest = history.versions.iter().rev().find(|(_, since_ms)| *since_ms < as_of_ms);
    seen.version = newest.map(|(version, _)| *version);
    // A cell that has let versions go does not tell which was the newest then: it may have been new, which keeps the
    // flag.
    let forgot = newest.is_none() && history.versions.len() >= VERSIONS_MAX;
    seen.version_since_ms = newest.map(|(_, since_ms)| *since_ms).or(forgot.then_some(as_of_ms));
    seen.values.retain(|value| value.last_ms < as_of_ms);
}
