//! The back-test: what the stale rule would have said on past days, and which flags called stale came alive again.
//!
//! Always true here: [`run`] is pure and the rule is [`crate::stale::judge`] itself; a moment is the beginning of a UTC
//! day, so that W and S, which are whole days, ask about whole days of use, and those are what is kept. Moments are
//! judged from the newest to the oldest, since what is known of an earlier one is always a part of what is known of a
//! later one; in which order they or the flags come changes nothing.
//!
//! Where to go next: [`history`] says when each row was seen, [`rewind`] forgets what came after a moment, [`revival`]
//! looks for what contradicts a verdict, [`tally`] counts.

pub(crate) mod history;
mod revival;
mod rewind;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use history::{History, Usage};
use revival::Revival;
pub(crate) use tally::{Called, Day, Outcome};

use crate::stale::{Environment, FlagType, Fleet, Hours, judge};

pub(crate) const DAY_MS: i64 = 86_400_000;

/// What is known of the past.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    /// As it is now.
    pub(crate) fleet: Fleet,
    /// Of the fleet's flags, in their order, by environment: rows are those of the fleet, in their order.
    pub(crate) histories: Vec<BTreeMap<String, History>>,
}

/// The beginning of a UTC day, and what was heard of environments until then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Days since 1970.
    pub(crate) day: u32,
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) hours_by_type: BTreeMap<String, BTreeMap<FlagType, Hours>>,
}

/// Judges each moment. A flag that comes alive again within `within_days` of its call is counted as such, and as later
/// else.
///
/// What people do because of a verdict is left out, for it came after: snoozes and archived marks. All else that they
/// said is taken as it is now.
pub(crate) fn run(mut past: Past, mut moments: Vec<Moment>, within_days: u32) -> Outcome {
    let now_day = day_of(past.fleet.as_of_ms);
    for flag in &mut past.fleet.flags {
        flag.metadata.snoozed_until_ms = None;
        flag.metadata.archived = None;
    }
    moments.sort_by_key(|moment| std::cmp::Reverse(moment.day));
    let mut outcome = tally::Tally::new(now_day, within_days);
    for moment in moments {
        let day = moment.day;
        rewind::to(&mut past, moment);
        let verdicts = judge(&past.fleet);
        outcome.moment(day, &past, &verdicts);
    }
    outcome.end()
}

/// Days since 1970, of a time from then on.
pub(crate) fn day_of(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(0)
}
