//! Rule 4, the deciding reasons; [`super::supporting`] has the others.
//!
//! Always true here: all reasons that hold are told, whatever blocks; they stand in the order of [`ReasonCode`].

use super::case::{Case, Place};
use super::supporting;
use super::verdict::{Evidence, Figure, Reason, ReasonCode};

/// A reason's own sentence of the rule.
type Sentence = fn(&Case<'_>) -> Option<Reason>;

const SENTENCES: [Sentence; ReasonCode::ALL.len()] = [
    never_evaluated,
    no_evaluations,
    bulk_read_only,
    single_variation,
    supporting::past_lifetime,
    supporting::no_code_refs,
    supporting::errors_only,
    supporting::defaults_only,
    supporting::old_app_versions_only,
];

/// "Reasons (all that hold)."
pub(super) fn all(case: &Case<'_>) -> Vec<Reason> {
    SENTENCES.iter().filter_map(|sentence| sentence(case)).collect()
}

/// "`NEVER_EVALUATED` = no row in any environment."
fn never_evaluated(case: &Case<'_>) -> Option<Reason> {
    case.rows().next().is_none().then(|| {
        let mut evidence = Evidence::from([
            ("ageMs", Figure::Number(case.age_ms())),
            ("environments", Figure::Names(case.places.iter().map(|place| place.name.to_owned()).collect())),
        ]);
        let in_code = case.flag.metadata.code_references.filter(|places| *places > 0);
        let in_code = in_code.map(|places| Figure::Number(i64::try_from(places).unwrap_or(i64::MAX)));
        evidence.extend(in_code.map(|places| ("codeReferences", places)));
        let places = &case.flag.metadata.code_places;
        if !places.is_empty() {
            evidence.insert("codePlaces", Figure::Names(places.iter().map(ToString::to_string).collect()));
        }
        Reason { code: ReasonCode::NeverEvaluated, since_ms: case.born_ms, evidence }
    })
}

/// "`NO_EVALUATIONS` = rows, but none within W in any critical environment." A bulk read is a row.
fn no_evaluations(case: &Case<'_>) -> Option<Reason> {
    let none = case.critical().all(|place| !place.rows().any(|row| place.is_within(row, place.thresholds.stale_ms())));
    (none && case.rows().next().is_some()).then(|| {
        let since_ms = case.critical().flat_map(Place::rows).map(|row| row.last_ms).max();
        let mut evidence = Evidence::from([("staleDays", Figure::Number(i64::from(case.stale_days())))]);
        evidence.extend(since_ms.map(|last_ms| ("lastMs", Figure::Number(last_ms))));
        Reason { code: ReasonCode::NoEvaluations, since_ms, evidence }
    })
}

/// "`BULK_READ_ONLY` = every critical environment quiet, a bulk row within W in one of them."
fn bulk_read_only(case: &Case<'_>) -> Option<Reason> {
    let bulk_ms = case
        .critical()
        .flat_map(|place| place.rows().filter(|row| row.bulk && place.is_within(row, place.thresholds.stale_ms())))
        .map(|row| row.last_ms)
        .max()?;
    case.critical().all(Place::is_quiet).then(|| {
        let intentional_ms = case.critical().flat_map(Place::intentional).map(|row| row.last_ms).max();
        let first_ms = case.critical().flat_map(Place::rows).map(|row| row.first_ms).min();
        let mut evidence = Evidence::from([
            ("staleDays", Figure::Number(i64::from(case.stale_days()))),
            ("lastBulkMs", Figure::Number(bulk_ms)),
        ]);
        evidence.extend(intentional_ms.map(|last_ms| ("lastIntentionalMs", Figure::Number(last_ms))));
        Reason { code: ReasonCode::BulkReadOnly, since_ms: intentional_ms.or(first_ms), evidence }
    })
}

/// "`SINGLE_VARIATION` = every critical environment quiet or settled, at least one settled."
fn single_variation(case: &Case<'_>) -> Option<Reason> {
    let since_ms = case.settled().map(|settled| settled.since_ms).max()?;
    case.critical().all(|place| place.dead.is_some()).then(|| {
        let settled = case.settled().map(|settled| settled.place.name.to_owned()).collect();
        let quiet = case.critical().filter(|place| place.is_quiet()).map(|place| place.name.to_owned()).collect();
        let evidence = Evidence::from([
            ("staleDays", Figure::Number(i64::from(case.stale_days()))),
            ("settled", Figure::Names(settled)),
            ("quiet", Figure::Names(quiet)),
        ]);
        Reason { code: ReasonCode::SingleVariation, since_ms: Some(since_ms), evidence }
    })
}
