//! Rule 5: what keeps a flag from being called stale though reasons hold.

use super::case::Case;
use super::settings::DAY_MS;
use super::verdict::{Blocker, BlockerCode, Evidence, Figure, Status};

const DAYS_OF_USE_MIN: usize = 4;
/// A rhythm: least and greatest gap between days of use, and how long ago the last may be; days.
const RHYTHMS: [(i64, i64, i64); 2] = [(6, 8, 8), (27, 32, 32)];

/// A blocker's own sentence of the rule.
type Sentence = fn(&Case<'_>) -> Option<Evidence>;

const SENTENCES: [(BlockerCode, Sentence); BlockerCode::ALL.len()] = [
    (BlockerCode::Dependents, dependents),
    (BlockerCode::ExperimentRunning, experiment_running),
    (BlockerCode::MixedValues, mixed_values),
    (BlockerCode::LowCoverage, low_coverage),
    (BlockerCode::Periodic, periodic),
];

/// All that hold.
pub(super) fn all(case: &Case<'_>) -> Vec<Blocker> {
    let held = |(code, sentence): &(BlockerCode, Sentence)| Some(Blocker { code: *code, evidence: sentence(case)? });
    SENTENCES.iter().filter_map(held).collect()
}

/// "`DEPENDENTS`": flags that have it as a prerequisite.
fn dependents(case: &Case<'_>) -> Option<Evidence> {
    let dependents = &case.flag.metadata.dependents;
    (!dependents.is_empty()).then(|| Evidence::from([("dependents", Figure::Names(dependents.clone()))]))
}

/// "`EXPERIMENT_RUNNING`".
fn experiment_running(case: &Case<'_>) -> Option<Evidence> {
    case.flag.metadata.running_experiment.then(Evidence::new)
}

/// "`MIXED_VALUES` = two critical environments settled on different variations."
fn mixed_values(case: &Case<'_>) -> Option<Evidence> {
    let first = case.settled().next()?;
    let other = case.settled().find(|settled| settled.variation != first.variation)?;
    let names = [first, other].map(|settled| settled.place.name.to_owned());
    Some(Evidence::from([("environments", Figure::Names(names.into()))]))
}

/// "`LOW_COVERAGE` = a critical environment `unknown`." One that the caller may not read is not known to it.
fn low_coverage(case: &Case<'_>) -> Option<Evidence> {
    let unknown = case.critical().filter(|place| place.status == Status::Unknown);
    let names: Vec<_> = unknown.map(|place| place.name.to_owned()).collect();
    let mut evidence = Evidence::new();
    if !names.is_empty() {
        evidence.insert("environments", Figure::Names(names));
    }
    if case.hidden_deciding > 0 {
        evidence.insert("hiddenEnvironments", Figure::Number(i64::try_from(case.hidden_deciding).unwrap_or(i64::MAX)));
    }
    (!evidence.is_empty()).then_some(evidence)
}

/// "`PERIODIC` = the days of intentional use in critical environments are ≥ 4, every gap between neighbours 6–8 days or
/// every gap 27–32 days, and the last is not longer ago than 8 or 32 days." Days are whole UTC days, as-of's own
/// included.
fn periodic(case: &Case<'_>) -> Option<Evidence> {
    let mut days: Vec<i64> =
        case.critical().filter_map(|place| place.seen).flat_map(|seen| &seen.days).map(|day| i64::from(*day)).collect();
    days.sort_unstable();
    days.dedup();
    let last = *days.last().filter(|_| days.len() >= DAYS_OF_USE_MIN)?;
    let days_ago = case.as_of_ms.div_euclid(DAY_MS) - last;
    let gaps = || days.windows(2).map(|pair| pair[1] - pair[0]);
    let holds = |(least, greatest, ago_max): &&(i64, i64, i64)| {
        gaps().all(|gap| (*least..=*greatest).contains(&gap)) && days_ago <= *ago_max
    };
    RHYTHMS.iter().find(holds).map(|(least, greatest, _)| {
        Evidence::from([
            ("daysOfUse", Figure::Number(i64::try_from(days.len()).unwrap_or(i64::MAX))),
            ("gapMinDays", Figure::Number(gaps().min().unwrap_or(*least))),
            ("gapMaxDays", Figure::Number(gaps().max().unwrap_or(*greatest))),
            ("lastDaysAgo", Figure::Number(days_ago)),
        ])
    })
}
