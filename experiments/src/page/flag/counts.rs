//! A flag's counts by variation over time: the chart, its marks, and the table that is its legend.
//!
//! Always true here: the table has a row for each variation that was counted; shares add up to 100 %.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::interval::{HOUR_MS, hour_ms};
use crate::page::chart::{Mark, Series, bars};
use crate::page::{palette, text};
use crate::tally::{FlagTally, Group, LastMinutes, Sight, Span, Tally};

/// Series with a colour of their own; the rest is drawn as one.
const SERIES_MAX: usize = 8;

/// When the flag's configuration changed, by the versions that SDKs told; to the minute where counts tell it.
pub(super) fn versions(flag: &FlagTally, by_version: &BTreeMap<Group, Tally>, span: Span) -> Vec<Mark> {
    let first_count = |version: u64| {
        let group = Group { version: Some(Some(version)), ..Group::default() };
        by_version.get(&group).and_then(|tally| tally.within).map(|(first, _)| first)
    };
    let mark = |(version, hour): (u64, u32)| {
        let hour = hour_ms(hour)..hour_ms(hour) + HOUR_MS;
        let at_ms = first_count(version).filter(|ms| hour.contains(ms)).unwrap_or(hour.start);
        let words = format!("version {version} first seen {}", text::minute(at_ms));
        Mark { at_ms, name: format!("v{version}"), words }
    };
    let mut marks: Vec<Mark> =
        flag.seen.versions().map(mark).filter(|mark| span.interval.contains(mark.at_ms)).collect();
    marks.sort_by_key(|mark| mark.at_ms);
    marks
}

pub(super) fn chart(flag: &FlagTally, buckets: &[i64], marks: &[Mark]) -> Markup {
    let mut by_count: Vec<(&Group, &Tally)> = flag.groups.iter().collect();
    by_count.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
    let (own, rest) = by_count.split_at(by_count.len().min(SERIES_MAX));
    let mut own: Vec<(&Group, &Tally)> = own.to_vec();
    own.sort_by_key(|(group, _)| *group);
    let mut others: BTreeMap<i64, u64> = BTreeMap::new();
    for (ms, count) in rest.iter().flat_map(|(_, tally)| &tally.series) {
        let slot = others.entry(*ms).or_default();
        *slot = slot.saturating_add(*count);
    }
    let mut series: Vec<Series<'_>> = own
        .into_iter()
        .map(|(group, tally)| Series {
            colour: palette::colour(group),
            words: palette::words(flag, group),
            counts: &tally.series,
        })
        .collect();
    if !others.is_empty() {
        series.push(Series { colour: "co".to_owned(), words: "all others".to_owned(), counts: &others });
    }
    bars("Evaluations by variation over time", buckets, &series, marks)
}

pub(super) fn legend(flag: &FlagTally, now_ms: i64, minutes: &LastMinutes) -> Markup {
    let shares = per_mille(&flag.groups.values().map(|tally| tally.count).collect::<Vec<_>>());
    html! {
        div.scroll { table.legend {
            thead { tr {
                th scope="col" { "Variation" } th.num scope="col" { "Count" } th.num scope="col" { "Share" }
                th.num scope="col" { "First seen" } th.num scope="col" { "Last seen" }
            } }
            tbody { @for ((group, tally), per_mille) in flag.groups.iter().zip(shares) { tr {
                th scope="row" {
                    (palette::label(flag, group))
                    @if tally.estimated { " " span.tag title="some of it was sampled by the SDK" { "estimated" } }
                    @if tally.saturated { " " (text::saturated()) }
                }
                td.num { (text::number(tally.count)) }
                td.num { (share(per_mille)) }
                @let sight = flag.sight(group, minutes);
                td.num { @if let Some(sight) = sight { (text::hours_ago(sight.first_ms, now_ms)) (bound(sight, "or before")) } }
                td.num { @if let Some(sight) = sight { (text::ago(sight.last_ms, now_ms)) (bound(sight, "or since")) } }
            } } }
        } }
        p.muted { "First seen is kept to the hour." }
    }
}

/// The mark of a sight that is known as a bound only.
fn bound(sight: Sight, words: &str) -> Markup {
    html! {
        @if sight.bound { " " span.tag title="the flag's rows of last seen are full; other sights are told together" { (words) } }
    }
}

/// Shares in thousandths that add up to 1000: what rounding down leaves goes to those that lost most by it (the method
/// of the largest remainder). Nothing counted, no shares.
pub(crate) fn per_mille(counts: &[u64]) -> Vec<u128> {
    let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
    if total == 0 {
        return vec![0; counts.len()];
    }
    let parts: Vec<u128> = counts.iter().map(|count| u128::from(*count) * 1000).collect();
    let mut shares: Vec<u128> = parts.iter().map(|part| part / total).collect();
    let left = 1000 - shares.iter().sum::<u128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(parts[*place] % total));
    // Fewer are left than there are shares.
    for place in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        shares[place] += 1;
    }
    shares
}

pub(super) fn share(per_mille: u128) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}
