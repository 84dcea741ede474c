//! On which days each row of a flag in an environment was seen.
//!
//! Always true here: days of intentional use are known of the flag as a whole. Where all its intentional rows served
//! the same, they stand for each row; where rows differ, the hours of usage tell which variation an application and SDK
//! were served, and a day counts for a row if both say so. Where rows differ in what usage does not keep (version of
//! the application, error), a day counts for all of them: a row is never taken for unseen on a day on which it may have
//! been seen.

use std::collections::{BTreeMap, BTreeSet};

use super::day_of;
use crate::stale::{FlagEnvironment, Row, Variation};

/// What usage tells apart: variation, default, application, SDK with its version.
pub(crate) type Asker = (Option<Variation>, bool, String, String);

/// Days on which usage was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) days: BTreeMap<Asker, BTreeSet<u32>>,
    /// Days with counts beyond the limit of rows, which may be anybody's.
    pub(crate) others: BTreeSet<u32>,
}

/// A flag in an environment, day by day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// Rising; since when, Unix milliseconds.
    pub(crate) versions: Vec<(u64, i64)>,
    /// Days of intentional use, rising.
    pub(crate) used: Vec<u32>,
    pub(crate) rows: Vec<RowHistory>,
}

/// A row, day by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowHistory {
    pub(crate) first_day: u32,
    pub(crate) last_day: u32,
    pub(crate) bulk: bool,
    /// Neither error, default nor bulk.
    pub(crate) served: bool,
    pub(crate) variation: Option<Variation>,
    /// Rising; `None` = the flag's own days between its first and last.
    days: Option<Vec<u32>>,
}

impl History {
    /// Puts the rows in order of their first sight and tells their days. `usage` is asked for by [`needs_usage`].
    pub(crate) fn of(seen: &mut FlagEnvironment, versions: Vec<(u64, i64)>, usage: Option<&Usage>) -> Self {
        seen.rows.sort_by_key(|row| row.first_ms);
        seen.days.sort_unstable();
        let used = seen.days.clone();
        let rows = seen.rows.iter().map(|row| RowHistory::of(row, &used, usage)).collect();
        Self { versions, used, rows }
    }
}

impl RowHistory {
    fn of(row: &Row, used: &[u32], usage: Option<&Usage>) -> Self {
        let (first_day, last_day) = (day_of(row.first_ms), day_of(row.last_ms));
        let days = usage.filter(|_| !row.bulk && !is_other(row)).map(|usage| {
            let asker = (row.variation.clone(), row.default, row.application.clone(), row.sdk.clone());
            let told = usage.days.get(&asker);
            let may_be = |day: &u32| usage.others.contains(day) || told.is_some_and(|days| days.contains(day));
            let between = used.iter().copied().filter(|day| (first_day..=last_day).contains(day) && may_be(day));
            between.chain([first_day, last_day]).collect::<BTreeSet<u32>>().into_iter().collect()
        });
        let served = !row.bulk && !row.error && !row.default;
        Self { first_day, last_day, bulk: row.bulk, served, variation: row.variation.clone(), days }
    }

    /// The last day before `day` on which it was seen; at the least its first.
    pub(super) fn last_before(&self, day: u32, used: &[u32]) -> u32 {
        if self.bulk {
            // Days of bulk reads are not kept.
            return self.last_day.min(day.saturating_sub(1));
        }
        let days = self.days.as_deref().unwrap_or(used);
        let before = days.partition_point(|seen| *seen < day);
        let last = days[..before].last().copied().unwrap_or(self.first_day);
        last.clamp(self.first_day, self.last_day)
    }

    /// The first day from `day` on, on which it was seen.
    pub(super) fn first_from(&self, day: u32, used: &[u32]) -> Option<u32> {
        let day = day.max(self.first_day);
        let days = self.days.as_deref().unwrap_or(used);
        let at = days.partition_point(|seen| *seen < day);
        let next = days.get(at).copied().filter(|next| *next <= self.last_day);
        // Days of use reach back so far and no further; the ends of a row are kept for ever.
        next.or_else(|| [self.first_day, self.last_day].into_iter().find(|end| *end >= day))
    }
}

/// The row of everything beyond the limit: it may be any variation.
fn is_other(row: &Row) -> bool {
    row.variation.is_none() && !row.default && !row.error && row.application.is_empty() && row.sdk.is_empty()
}

/// Whether days of use alone do not tell what was served on these days: intentional rows differ, and one of them was
/// seen both before the last of these days and on the first or after it.
pub(crate) fn needs_usage(seen: &FlagEnvironment, first_day: u32, last_day: u32) -> bool {
    let mut intentional = seen.rows.iter().filter(|row| !row.bulk);
    let Some(one) = intentional.next() else { return false };
    let differs = |row: &Row| (&row.variation, row.default, row.error) != (&one.variation, one.default, one.error);
    let spans = |row: &Row| day_of(row.first_ms) < last_day && day_of(row.last_ms) >= first_day;
    intentional.any(differs) && seen.rows.iter().any(|row| !row.bulk && spans(row))
}
