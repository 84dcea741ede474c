//! What contradicts a verdict of the past: a flag called stale came alive again.
//!
//! Always true here: only environments that decided are looked at; bulk reads contradict nothing. A flag that nobody
//! asked for is contradicted by any intentional use, one that served a single variation by another one being served.

use std::collections::BTreeMap;

use super::History;
use crate::stale::{ReasonCode, Variation, Verdict};

/// When and where a flag came alive again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Revival {
    /// Days since 1970.
    pub(crate) day: u32,
    pub(crate) environment: String,
    /// What was served then, where a single variation was expected and it is known.
    pub(crate) variation: Option<Variation>,
}

/// The first contradiction from the beginning of `day` on.
pub(super) fn of(verdict: &Verdict, histories: &BTreeMap<String, History>, day: u32) -> Option<Revival> {
    let is_settled = verdict.reasons.iter().any(|reason| reason.code == ReasonCode::SingleVariation);
    let expected = verdict.forward_variation.as_ref().filter(|_| is_settled);
    let critical = verdict.environments.iter().filter(|place| place.critical);
    let places = critical.filter_map(|place| Some((&place.name, histories.get(&place.name)?)));
    let revivals = places.filter_map(|(name, history)| {
        let (day, variation) = match expected {
            Some(expected) => another(history, expected, day)?,
            None => (*history.used.get(history.used.partition_point(|used| *used < day))?, None),
        };
        Some(Revival { day, environment: name.clone(), variation })
    });
    revivals.min()
}

/// The first day on which something else was served. What is beyond the limit of rows may be anything, so it is taken
/// for something else.
fn another(history: &History, expected: &Variation, day: u32) -> Option<(u32, Option<Variation>)> {
    let others = history.rows.iter().filter(|row| row.served && row.variation.as_ref() != Some(expected));
    others.filter_map(|row| Some((row.first_from(day, &history.used)?, row.variation.clone()))).min()
}
