//! Why two paths differ, in numbers: each cause with the least and the most that it may add to old − new.
//!
//! Always true here: causes follow from what the log tells and from what the other path got in stage off, never from what
//! the other path counted; their sum holds old − new whenever [`Judged::unexplained`] is 0.

use schemas::old_path::{Fate, Numbers, Way, unexplained};
use serde::Serialize;

use crate::other_path::Counts;

/// A cause and its size: how much it adds to old − new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cause {
    pub(crate) cause: &'static str,
    /// At least, with its sign.
    pub(crate) low: i64,
    /// At most, with its sign.
    pub(crate) high: i64,
}

/// What this path counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct New {
    pub(crate) count: u64,
    /// How many of them came while a gate chose the path.
    pub(crate) gated: u64,
}

/// What the other path counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Old {
    pub(crate) number: u64,
    /// How many of them in stage off.
    pub(crate) off: u64,
}

/// Two paths compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What the other path must hold, by what the log tells.
    pub(crate) low: u64,
    pub(crate) high: u64,
    /// Those that have a size.
    pub(crate) causes: Vec<Cause>,
    pub(crate) unexplained: u64,
}

/// The way that the other path takes with these.
pub(crate) fn way(counts: Counts) -> Way {
    match counts {
        Counts::Evaluations => Way::Straight,
        Counts::Events => Way::Jobs,
    }
}

/// Whether what this path counted and what the log tells of it are of one prefix of the log, and agree.
pub(crate) fn agree(new: New, told: &Numbers) -> bool {
    new.gated == told.counted.saturating_add(told.new_only)
}

/// Compares. `before` was read before the other path, `after` behind it, when all that was in the log by then was
/// counted; `new` is of the same prefix as `after`.
pub(crate) fn judge(way: Way, before: &Numbers, old: Old, after: &Numbers, new: New) -> Judged {
    let (first, last) = (before.expected(way).range, after.expected(way));
    let range = schemas::old_path::Range { low: first.low.min(last.range.low), high: last.range.high };
    let ungated = new.count.saturating_sub(new.gated);
    let held = old.number.saturating_sub(old.off);
    let unexplained = unexplained(way, range, held, new.count, ungated, after);
    let Numbers { duplicate, late, new_only, .. } = *after;
    let causes = last.causes;
    let mut all = vec![
        exact("duplicate", wide(duplicate)),
        exact("late", wide(late)),
        exact("new_path_only", -wide(new_only)),
        exact("before_the_gate", -wide(ungated)),
        exact("old_path_only", wide(old.off)),
    ];
    let named = match way {
        Way::Straight => vec![
            exact("write_refused", -wide(causes.refused)),
            between("write_uncertain", -wide(causes.uncertain), 0),
            between("written_twice", 0, wide(causes.extra)),
        ],
        Way::Jobs => vec![
            exact("job_refused", -wide(causes.refused)),
            exact("job_waiting", -wide(causes.waiting)),
            exact("job_lost", -wide(after.of(Fate::JobLost))),
            between("job_redelivered", wide(causes.redelivered.low), wide(causes.redelivered.high)),
        ],
    };
    all.extend(open(&named, range, after));
    all.extend(named);
    all.retain(|cause| (cause.low, cause.high) != (0, 0));
    let low = range.low.saturating_add(old.off);
    Judged { low, high: range.high.saturating_add(old.off), causes: all, unexplained }
}

/// What is neither told of nor known to be undone: how far what must be held, less what was to be written, reaches
/// beyond the named causes.
fn open(named: &[Cause], range: schemas::old_path::Range, after: &Numbers) -> Option<Cause> {
    let intended = wide(after.intended());
    let (low, high) = (wide(range.low) - intended, wide(range.high) - intended);
    let sum = |end: fn(&Cause) -> i64| named.iter().map(end).fold(0, i64::saturating_add);
    let below = low.saturating_sub(sum(|cause| cause.low)).min(0);
    let above = high.saturating_sub(sum(|cause| cause.high)).max(0);
    ((below, above) != (0, 0)).then_some(between("in_flight", below, above))
}

fn wide(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn exact(cause: &'static str, size: i64) -> Cause {
    between(cause, size, size)
}

fn between(cause: &'static str, low: i64, high: i64) -> Cause {
    Cause { cause, low, high }
}

/// Adds causes to others, by name.
pub(crate) fn add(sums: &mut Vec<Cause>, causes: &[Cause]) {
    for cause in causes {
        match sums.iter_mut().find(|sum| sum.cause == cause.cause) {
            Some(sum) => {
                sum.low = sum.low.saturating_add(cause.low);
                sum.high = sum.high.saturating_add(cause.high);
            }
            None => sums.push(*cause),
        }
    }
}
