//! Rule 7's score, and the confidence.
//!
//! Always true here: both are 0 to 100, rounded down, and neither rises when the coverage of an environment falls.

use super::case::{Case, Place};
use super::settings::WHOLE_PPM;
use super::verdict::Reason;

const FULL: u32 = 100;

/// "Score 0–100 = weighted reasons × coverage": the sum of the weights of the reasons that hold, at most 100, times the
/// least coverage of a critical environment.
pub(super) fn score(case: &Case<'_>, reasons: &[Reason], coverage_ppm: u32) -> u8 {
    let weights = reasons.iter().filter_map(|reason| case.settings.weights.get(&reason.code));
    covered(weights.fold(0, |sum, weight| weight.saturating_add(sum)), coverage_ppm)
}

/// How much of what the rule would like to know is known: 100, less what each unknown costs, times the same coverage.
pub(super) fn confidence(case: &Case<'_>, coverage_ppm: u32) -> u8 {
    let (costs, metadata) = (case.settings.unknown_costs, &case.flag.metadata);
    let has_no_version = |place: &Place<'_>| place.rows().next().is_some() && place.version_since_ms().is_none();
    let unknown = [
        (metadata.created_at_ms.is_none(), costs.created_at),
        (metadata.code_references.is_none(), costs.code_references),
        (case.critical().any(has_no_version), costs.version_since),
    ];
    let known =
        unknown.iter().filter(|(is_unknown, _)| *is_unknown).fold(FULL, |held, (_, cost)| held.saturating_sub(*cost));
    covered(known, coverage_ppm)
}

fn covered(points: u32, coverage_ppm: u32) -> u8 {
    let share = u64::from(points.min(FULL)) * u64::from(coverage_ppm.min(WHOLE_PPM)) / u64::from(WHOLE_PPM);
    u8::try_from(share).unwrap_or(u8::MAX)
}
