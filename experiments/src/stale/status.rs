//! Rule 2: how a flag is in an environment.

use super::case::Place;
use super::coverage;
use super::verdict::Status;

/// "`new` = no intentional row, age < S. `inactive` = no intentional row within S (and age ≥ S). `launched` = served
/// rows within S show exactly one variation and the flag's version (if its age is known) is older than S. Else
/// `active`." Before all: `unknown` when coverage is low.
pub(super) fn status(place: &Place<'_>, age_ms: i64) -> Status {
    let inactive_ms = place.thresholds.inactive_ms();
    let young = age_ms < inactive_ms;
    let asked_of_late = place.intentional().any(|row| place.is_within(row, inactive_ms));
    if coverage::is_low(place) {
        Status::Unknown
    } else if young && place.intentional().next().is_none() {
        Status::New
    } else if !young && !asked_of_late {
        Status::Inactive
    } else if place.only_variation(inactive_ms).is_some() && place.version_is_older(inactive_ms) {
        Status::Launched
    } else {
        Status::Active
    }
}
