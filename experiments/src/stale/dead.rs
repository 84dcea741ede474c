//! Rule 3: dead in an environment, quiet or settled.
//!
//! Always true here: coverage plays no part; whether enough was heard is rule 1's question, and a blocker.

use super::case::Place;
use super::fleet::{Row, Variation};
use super::verdict::Dead;

/// A place that is settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled<'p, 'a> {
    pub(super) place: &'p Place<'a>,
    pub(super) variation: &'p Variation,
    pub(super) since_ms: i64,
}

/// "*quiet* = no intentional row within W; or *settled* = served rows within W show exactly one variation, no other
/// intentional row within W shows an error or a default, and the version is older than W." An environment in which the
/// flag has no rows is quiet.
pub(super) fn dead(place: &Place<'_>) -> Option<Dead> {
    if place.intentional_within_stale().next().is_none() {
        return Some(Dead::Quiet);
    }
    let stale_ms = place.thresholds.stale_ms();
    let failing = place.intentional_within_stale().any(|row| row.error || row.default);
    let variation = place.only_variation(stale_ms)?;
    (!failing && place.version_is_older(stale_ms))
        .then(|| Dead::Settled { variation: variation.clone(), since_ms: settled_since_ms(place, variation) })
}

/// The last time that anything else was served there, or that the version changed; at the least the variation's first
/// row.
fn settled_since_ms(place: &Place<'_>, variation: &Variation) -> i64 {
    let same = |row: &&Row| !row.error && !row.default && row.variation.as_ref() == Some(variation);
    let first_ms = place.intentional().filter(same).map(|row| row.first_ms).min().unwrap_or(i64::MIN);
    let other_ms = place.intentional().filter(|row| !same(row)).map(|row| row.last_ms).max().unwrap_or(i64::MIN);
    first_ms.max(other_ms).max(place.version_since_ms().unwrap_or(i64::MIN))
}
