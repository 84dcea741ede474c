//! Rules 6 and 7: whether a flag is stale, and what to do with it then.

use super::case::{Case, Place};
use super::fleet::Variation;
use super::settings::DAY_MS;
use super::verdict::{Advice, Blocker, Conditions, Reason};

/// What to do, and what to put in the flag's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Advised {
    pub(super) advice: Option<Advice>,
    pub(super) variation: Option<Variation>,
    pub(super) value: Option<String>,
}

/// "temporary (not known counts as yes) ∧ not archived ∧ not snoozed ∧ age ≥ W": each told by itself. A snooze ends at
/// its time.
pub(super) fn conditions(case: &Case<'_>) -> Conditions {
    let metadata = &case.flag.metadata;
    let stale_days = case.stale_days();
    Conditions {
        temporary: metadata.temporary.unwrap_or(true),
        archived: metadata.archived.unwrap_or(false),
        snoozed: metadata.snoozed_until_ms.is_some_and(|until_ms| case.as_of_ms < until_ms),
        snoozed_until_ms: metadata.snoozed_until_ms,
        old_enough: case.age_ms() >= i64::from(stale_days) * DAY_MS,
        stale_days,
    }
}

/// Rule 6: "Stale = temporary ∧ not archived ∧ not snoozed ∧ age ≥ W ∧ a deciding reason ∧ no blocker."
pub(super) fn is_stale(conditions: &Conditions, reasons: &[Reason], blockers: &[Blocker]) -> bool {
    conditions.temporary
        && !conditions.archived
        && !conditions.snoozed
        && conditions.old_enough
        && reasons.iter().any(|reason| reason.code.is_deciding())
        && blockers.is_empty()
}

/// Rule 7, of a stale flag: "one environment settled → `READY_FOR_CODE_REMOVAL` with the variation (and value) to put
/// in its place; all critical environments quiet and code references known and none → `READY_TO_ARCHIVE`; else none."
/// No two critical environments have settled on different variations, for that is a blocker.
pub(super) fn advise(case: &Case<'_>) -> Advised {
    if let Some(settled) = case.settled().next() {
        let (variation, value) = (settled.variation.clone(), value_of(case, settled.variation));
        return Advised { advice: Some(Advice::ReadyForCodeRemoval), variation: Some(variation), value };
    }
    let unused = case.critical().all(Place::is_quiet) && case.flag.metadata.code_references == Some(0);
    Advised { advice: unused.then_some(Advice::ReadyToArchive), ..Advised::default() }
}

/// The newest value of the variation in a critical environment that settled on it; of two told at once the greater.
fn value_of(case: &Case<'_>, variation: &Variation) -> Option<String> {
    let values = case.settled().filter_map(|settled| settled.place.seen).flat_map(|seen| &seen.values);
    let newest = values.filter(|seen| seen.variation == *variation).max_by_key(|seen| (seen.last_ms, &seen.value))?;
    Some(newest.value.clone())
}
