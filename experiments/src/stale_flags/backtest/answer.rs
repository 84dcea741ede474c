//! What a back-test says, in camelCase.
//!
//! Always true here: times are Unix milliseconds of the beginning of a UTC day; a rate is null where there is nothing
//! to divide by; what cannot be known of the past is said in `notes`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::read::Counted;
use crate::backtest::{Called, DAY_MS, Outcome, day_of};
use crate::cells::Served;
use crate::stale::{Advice, ReasonCode, Variation};
use crate::stale_flags::entry::served;
use crate::stale_flags::fleet::Read;
use crate::stale_flags::notes::{For, notes};
use crate::stale_flags::rule::Rule;
use crate::stale_flags::shown::{time, variation};

/// What holds for every back-test.
const NOTES: [&str; 6] = [
    "a verdict is of the beginning of its UTC day, with what was seen until then; events that arrived late are in it, as if they had \
     come in time",
    "what people said of flags is taken as it is now, since its history is not kept: type, creation, temporary, dependents, code \
     references, a running experiment",
    "snoozes and archived marks are left out: they come after a verdict and would hide what it said",
    "where one SDK of an application was served the same by several versions of the application, or failed at times, each of them \
     counts as seen on each of these days: a flag may then be called stale too seldom, never too often",
    "days of bulk reads are not kept: BULK_READ_ONLY may be told where NO_EVALUATIONS was right; advice and revivals are the same",
    "a flag that came alive again: of one that nobody asked for, any intentional use in an environment that decides; of one that \
     served a single variation, another one (a variation beyond the limit of rows counts as another)",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    project: String,
    environments: Vec<String>,
    rule: Rule,
    within: u32,
    days: Vec<Day>,
    called: usize,
    revived: usize,
    rate: Option<f64>,
    watched: usize,
    revived_within: usize,
    rate_within: Option<f64>,
    read: ReadTold,
    notes: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Day {
    as_of: i64,
    watched_days: u32,
    flags: usize,
    stale: usize,
    by_reason: BTreeMap<&'static str, usize>,
    by_advice: BTreeMap<&'static str, usize>,
    low_coverage: usize,
    revived_within: usize,
    revived_later: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadTold {
    flags: usize,
    usage_flags: usize,
    usage_cells: usize,
}

/// A flag called stale.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    key: String,
    called_on: i64,
    last_called_on: i64,
    times_called: usize,
    reasons: Vec<&'static str>,
    advice: Option<&'static str>,
    forward_variation: Option<Served>,
    revived: bool,
    revived_on: Option<i64>,
    revived_after_days: Option<u32>,
    revived_in: Option<String>,
    revived_variation: Option<Served>,
}

impl Head {
    pub(super) fn of(project: String, now: &Read, outcome: &Outcome, within: u32, counted: Counted) -> Self {
        let today = day_of(now.fleet.as_of_ms);
        let day = |day: &crate::backtest::Day| Day {
            as_of: ms(day.day),
            watched_days: today.saturating_sub(day.day),
            flags: day.flags,
            stale: day.stale,
            by_reason: day.by_reason.iter().map(|(code, number)| (code.as_str(), *number)).collect(),
            by_advice: day
                .by_advice
                .iter()
                .map(|(advice, number)| (advice.map_or("none", Advice::as_str), *number))
                .collect(),
            low_coverage: day.low_coverage,
            revived_within: day.revived_within,
            revived_later: day.revived_later,
        };
        let rate = |of: usize, all: usize| (all > 0).then(|| of as f64 / all as f64);
        Self {
            project,
            environments: now.fleet.environments.keys().cloned().collect(),
            rule: Rule::of(&now.fleet),
            within,
            days: outcome.days.iter().map(day).collect(),
            called: outcome.called.len(),
            revived: outcome.revived,
            rate: rate(outcome.revived, outcome.called.len()),
            watched: outcome.watched,
            revived_within: outcome.revived_within,
            rate_within: rate(outcome.revived_within, outcome.watched),
            read: ReadTold { flags: counted.flags, usage_flags: counted.usage_flags, usage_cells: counted.usage_cells },
            notes: NOTES.map(str::to_owned).into_iter().chain(notes(now, For::Program)).collect(),
        }
    }
}

impl Entry {
    pub(super) fn of(called: &Called) -> Self {
        let (call, revival) = (&called.call, called.call.revival.as_ref());
        let told = |variation: &Option<Variation>| variation.as_ref().map(served);
        Self {
            key: called.key.clone(),
            called_on: ms(call.day),
            last_called_on: ms(called.last_day),
            times_called: called.days,
            reasons: call.reasons.iter().copied().map(ReasonCode::as_str).collect(),
            advice: call.advice.map(Advice::as_str),
            forward_variation: told(&call.forward),
            revived: revival.is_some(),
            revived_on: revival.map(|revival| ms(revival.day)),
            revived_after_days: revival.map(|revival| revival.day - call.day),
            revived_in: revival.map(|revival| revival.environment.clone()),
            revived_variation: revival.and_then(|revival| told(&revival.variation)),
        }
    }
}

/// The columns of [`Entry::row`].
pub(super) const HEADER: [&str; 12] = [
    "key",
    "calledOn",
    "lastCalledOn",
    "timesCalled",
    "reasons",
    "advice",
    "forwardVariation",
    "revived",
    "revivedOn",
    "revivedAfterDays",
    "revivedIn",
    "revivedVariation",
];

impl Entry {
    pub(super) fn row(&self) -> [String; HEADER.len()] {
        [
            self.key.clone(),
            time(self.called_on),
            time(self.last_called_on),
            self.times_called.to_string(),
            self.reasons.join(" "),
            self.advice.unwrap_or_default().to_owned(),
            variation(self.forward_variation.as_ref()),
            self.revived.to_string(),
            self.revived_on.map(time).unwrap_or_default(),
            self.revived_after_days.map(|days| days.to_string()).unwrap_or_default(),
            self.revived_in.clone().unwrap_or_default(),
            variation(self.revived_variation.as_ref()),
        ]
    }
}

fn ms(day: u32) -> i64 {
    i64::from(day) * DAY_MS
}
