//! Rule 1: "Coverage of an environment = share of hours in which the applications that normally report did report.
//! Below 95 % its status is `unknown`."
//!
//! Always true here: whether an environment is covered is decided on the hours themselves, not on a rounded share.

use super::case::{Case, Place};
use super::fleet::Hours;
use super::settings::WHOLE_PPM;

/// The share in parts per million, rounded down; without hours, or where none was expected, the whole.
pub(crate) fn ppm(hours: Option<Hours>) -> u32 {
    let Some(hours) = hours.filter(|hours| hours.expected > 0) else { return WHOLE_PPM };
    let share = u128::from(hours.reported) * u128::from(WHOLE_PPM) / u128::from(hours.expected);
    u32::try_from(share).map_or(WHOLE_PPM, |share| share.min(WHOLE_PPM))
}

/// Exactly the least coverage is enough.
pub(super) fn is_low(place: &Place<'_>) -> bool {
    place.environment.hours.is_some_and(|hours| {
        let needed = u128::from(hours.expected) * u128::from(place.thresholds.coverage_min_ppm.min(WHOLE_PPM));
        u128::from(hours.reported) * u128::from(WHOLE_PPM) < needed
    })
}

/// Of the critical environments: a verdict is as good as the one that was heard worst.
pub(super) fn least_ppm(case: &Case<'_>) -> u32 {
    case.critical().map(|place| ppm(place.environment.hours)).min().unwrap_or(WHOLE_PPM)
}
