//! The stale rule: which flags are dead, why, how sure, and what to put in their place.
//!
//! Always true here: [`judge`] is one pure function, without a clock, store or configuration of its own; times are Unix
//! milliseconds and all arithmetic is of integers, rounded down where something is rounded; whatever number decided
//! stands in the verdict. The numbers in doc comments ("rule 3") are those of the rule's text: 1 coverage, 2 status, 3
//! dead, 4 reasons, 5 blockers, 6 stale, 7 advice and score; `golden/stale/README.md` has its words.
//!
//! What feeds it: a [`Fleet`] is put together from last-seen cells (rows, versions, days, values), SDK cells (hours
//! expected and reported) and definitions (metadata, settings), for the report, the LaunchDarkly-shaped flag status and
//! the page alike. Cells keep sights to the hour, so a `first` is then the end of its hour, as is a `last`.
//!
//! Where to go next: [`Fleet`] goes in, [`Verdict`] comes out; between them there is one file a sentence of the rule.

mod advice;
mod app_versions;
mod blockers;
mod case;
mod coverage;
mod dead;
mod fleet;
mod reasons;
mod score;
mod settings;
mod status;
mod supporting;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

pub use fleet::{
    CodePlace, CodeScan, Environment, Flag, FlagEnvironment, FlagType, Fleet, Hours, Metadata, Row, ValueSeen,
    Variation,
};
pub use settings::{Override, Settings, Thresholds, UnknownCosts};
pub use verdict::{
    Advice, Blocker, BlockerCode, Conditions, Dead, EnvironmentVerdict, Evidence, Figure, LAST_SERVED_MAX, LastServed,
    Reason, ReasonCode, Requester, Status, Verdict,
};

use app_versions::AppVersions;
use case::{Case, Known};
pub(crate) use coverage::ppm as coverage_ppm;
pub(crate) use verdict::is_measured;

/// Judges every flag of the fleet, in the fleet's order.
///
/// An environment that only a flag names, and not the fleet, counts as not marked critical and fully covered.
#[must_use]
pub fn judge(fleet: &Fleet) -> Vec<Verdict> {
    let known = Known::of(fleet);
    let versions = AppVersions::of(fleet);
    fleet.flags.iter().map(|flag| verdict_of(&Case::of(fleet, &known, &versions, flag))).collect()
}

fn verdict_of(case: &Case<'_>) -> Verdict {
    let reasons = reasons::all(case);
    let blockers = blockers::all(case);
    let conditions = advice::conditions(case);
    let stale = advice::is_stale(&conditions, &reasons, &blockers);
    let advised = if stale { advice::advise(case) } else { advice::Advised::default() };
    let coverage_ppm = coverage::least_ppm(case);
    let last = case.last_requested();
    Verdict {
        key: case.flag.key.clone(),
        as_of_ms: case.as_of_ms,
        age_ms: case.age_ms(),
        stale,
        score: score::score(case, &reasons, coverage_ppm),
        confidence: score::confidence(case, coverage_ppm),
        reasons,
        blockers,
        conditions,
        advice: advised.advice,
        forward_variation: advised.variation,
        forward_value: advised.value,
        last_requested_ms: last.as_ref().map(|(ms, _)| *ms),
        last_requested_by: last.map(|(_, by)| by),
        coverage_ppm,
        coverage_measured: case.critical().any(|place| is_measured(place.environment.hours)),
        environments: case.places.iter().map(case::Place::verdict).collect(),
    }
}
