//! `/flag`: one flag over time, by variation, and who asked for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::cell::CellName;
use schemas::id::Environment;

use crate::Serve;
use crate::cells::{self, Served};
use crate::interval::hour_ms;
use crate::page::chart::{Series, bars};
use crate::page::environment::named;
use crate::page::range::{Range, buckets, tabs};
use crate::page::{Here, Page, Place, Script, chosen, environment, palette, text, whole};
use crate::parameters::Parameters;
use crate::reading::Reader;
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::tally::{FlagTally, Group, Grouping, LastMinutes, Sight, Tally, last_minutes, tallies};

/// Series with a colour of their own; the rest is drawn as one.
const SERIES_MAX: usize = 8;
/// Rows of the table of who asked.
const ROWS_MAX: usize = 100;

/// Where people look for a flag's page; there is nothing, and they are told so by a page.
pub(crate) const BELOW: &str = "/flag/";

pub(crate) async fn below() -> Refusal {
    Refusal::not_found("a flag's page is /flag?project=…&environment=…&key=…; the list of flags leads to each")
}

/// The page's address for a flag.
pub(crate) fn href(environment: &Environment, flag: &str, range: Option<Range>) -> String {
    let base = environment::href(environment, range);
    format!("/flag{}&key={}", &base[1..], utf8_percent_encode(flag, NON_ALPHANUMERIC))
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Page, Refusal> {
    let mut given = Parameters::read(&caller.uri)?;
    let environment = chosen(&caller, given.text("project"), given.text("environment"))?;
    let range = Range::read(&mut given)?;
    let key = given.text("key").unwrap_or_default();
    given.end(&["project", "environment", "key", "range"])?;
    let now_ms = caller.now_ms;
    let reader = Reader::open(&serve, environment.clone(), now_ms).await?;
    let span = range.span(now_ms)?;
    let name = CellName::Key(key.clone().into());
    let flags = tallies(&reader, Some(&name), span, Grouping::BY_VARIATION).await?;
    let Some(flag) = flags.into_iter().next() else {
        return Err(Refusal::not_found(format!("no event of flag {key:?} has been counted in this environment")));
    };
    let hours: Vec<(CellName, u32)> =
        flag.groups.keys().filter_map(|group| Some((name.clone(), flag.seen(group)?.1))).collect();
    let minutes = last_minutes(&reader, &hours).await?;
    let last_count = flag.groups.values().filter_map(|tally| tally.series.keys().next_back()).max().copied();
    let buckets = buckets(span, now_ms, last_count);
    let place =
        Place { caller: &caller, here: Here::Environment(&environment), progress: Some(reader.progress), now_ms };
    let body = html! {
        p.crumbs {
            a href=(environment::href(&environment, Some(range))) {
                (text::foreign(environment.project_str())) span.slash { " / " } (text::foreign(environment.key_str()))
            }
        }
        div.head { h1.flag-key { (text::foreign(&key)) } (tabs(range, |range| href(&environment, &key, Some(range)))) }
        section.card {
            h2 { "Evaluations in " (range.title()) ": " span.num { (text::number(flag.total())) } }
            @if flag.groups.is_empty() { p.muted { "None in this time." } } @else {
                (chart(&flag, &buckets))
                (legend(&flag, now_ms, &minutes))
            }
        }
        div.columns { (askers(&flag, now_ms)) (facts(&flag)) }
    };
    Ok(whole(&key, Some(&place), Script::Refresh, &body))
}

fn chart(flag: &FlagTally, buckets: &[i64]) -> Markup {
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
    bars("Evaluations by variation over time", buckets, &series)
}

fn legend(flag: &FlagTally, now_ms: i64, minutes: &LastMinutes) -> Markup {
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

/// Shares in thousandths that add up to 1000: what rounding down leaves goes to those that lost most by it (the method of
/// the largest remainder). Nothing counted, no shares.
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

fn share(per_mille: u128) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

fn askers(flag: &FlagTally, now_ms: i64) -> Markup {
    let mut rows: Vec<_> = flag.seen.rows().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.last));
    html! {
        section.card.wide {
            h2 { "Who asked, and when last" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Variation" } th scope="col" { "Application" } th scope="col" { "SDK" }
                    th.num scope="col" { "First seen" } th.num scope="col" { "Last seen" }
                } }
                tbody { @for row in rows.iter().take(ROWS_MAX) { tr {
                    @if row.other { td.muted colspan="3" { "others (beyond the limit)" } } @else {
                        @let group = Group { served: Some(Served::from(row.variation)), ..Group::default() };
                        td {
                            (palette::label(flag, &group))
                            @if row.error { " " span.tag.bad { "error" } }
                        }
                        td {
                            (named(row.application))
                            @if !row.application_version.is_empty() {
                                " " span.muted { (text::foreign(&cells::text(row.application_version))) }
                            }
                        }
                        @let sdk = cells::sdk_shown(&cells::text(row.sdk), &cells::text(row.sdk_version));
                        td { (named(sdk.as_bytes())) }
                    }
                    td.num { (text::hours_ago(hour_ms(row.first), now_ms)) }
                    td.num { (text::hours_ago(hour_ms(row.last), now_ms)) }
                } } }
            } }
            p.muted { "Kept by the hour." @if rows.len() > ROWS_MAX { " The newest " (ROWS_MAX) " of " (rows.len()) "." } }
        }
    }
}

fn facts(flag: &FlagTally) -> Markup {
    let mut versions: Vec<(u64, u32)> = flag.seen.versions().collect();
    versions.reverse();
    html! {
        section.card {
            h2 { "About the flag" }
            dl.pairs {
                dt { "Days of use" } dd.num { (flag.seen.days().count()) }
                dt { "First seen (to the hour)" } dd { @if let Some(first) = flag.seen.first() { (text::minute(hour_ms(first))) } }
                dt { "Asked for by browsers or mobiles" } dd { (if flag.seen.client_side() { "yes" } else { "no" }) }
            }
            @if !versions.is_empty() {
                h3 { "Versions" }
                dl.pairs { @for (version, since) in versions.iter().take(10) {
                    dt { (version) } dd { "since " (text::minute(hour_ms(*since))) }
                } }
            }
        }
    }
}
