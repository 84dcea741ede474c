//! What becomes of a flag, in words: what to do if it is stale, what keeps it if it is not though it looks dead.
//!
//! Always true here: a flag that no deciding reason speaks of is told by its status, so it is called in use where it is.

use super::entry::status;
use crate::page::text::day;
use crate::stale::{Advice, Status, Verdict};

const DAY_MS: i64 = crate::interval::DAY_MS;

/// What becomes of a flag: how the page marks it, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Class of its mark.
    pub(crate) class: &'static str,
    pub(crate) words: String,
    /// From those to act on to those in use.
    pub(crate) rank: i64,
}

pub(crate) fn outcome(verdict: &Verdict) -> Outcome {
    let outcome = |class, words: &str, rank| Outcome { class, words: words.to_owned(), rank };
    match verdict.advice {
        Some(Advice::ReadyForCodeRemoval) => return outcome("ready", "Ready for code removal", 0),
        Some(Advice::ReadyToArchive) => return outcome("ready", "Ready to archive", 1),
        None if verdict.stale => return outcome("stale", "Stale: look at its code", 2),
        None => {}
    }
    if !verdict.reasons.iter().any(|reason| reason.code.is_deciding()) {
        return match status(verdict, None) {
            Status::Active | Status::Launched => outcome("live", "In use", 9),
            Status::New => outcome("live", "New", 8),
            Status::Inactive => {
                outcome("live", &format!("Quiet, for less than {} days", verdict.conditions.stale_days), 8)
            }
            Status::Unknown => outcome("kept", "Not known: too little was heard", 3),
        };
    }
    match keeps(verdict).as_slice() {
        [only] if verdict.blockers.is_empty() => outcome("kept", &capital(only), rank(verdict)),
        several => outcome("kept", &format!("Kept: {}", several.join(", ")), rank(verdict)),
    }
}

/// Everything that keeps a flag that looks dead.
pub(crate) fn keeps(verdict: &Verdict) -> Vec<String> {
    let conditions = &verdict.conditions;
    let until = conditions.snoozed_until_ms.filter(|_| conditions.snoozed);
    let age_days = verdict.age_ms.div_euclid(DAY_MS);
    let kept = [
        conditions.archived.then(|| "archived already".to_owned()),
        until.map(|until_ms| format!("snoozed until {}", day(until_ms))),
        (!conditions.temporary).then(|| "meant to stay".to_owned()),
        (!conditions.old_enough).then(|| format!("too young: {age_days} of {} days", conditions.stale_days)),
    ];
    let blockers = verdict.blockers.iter().map(|blocker| blocker.code.words().to_owned());
    kept.into_iter().flatten().chain(blockers).collect()
}

/// By the first of what keeps it.
fn rank(verdict: &Verdict) -> i64 {
    let conditions = &verdict.conditions;
    let kept =
        [(conditions.archived, 7), (conditions.snoozed, 6), (!conditions.temporary, 5), (!conditions.old_enough, 4)];
    kept.into_iter().find(|(holds, _)| *holds).map_or(3, |(_, rank)| rank)
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
