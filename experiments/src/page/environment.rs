//! `/`: the flags of an environment, who reports, the books of today; before the first event, how to send one.
//!
//! Always true here: flags come in order of name, [`FLAGS_MAX`] a page; last seen and usage are read of those alone
//! (and last seen of what a search passes over), so that an environment of many flags costs a page no more than one of
//! few.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use counting::cells::{Books, Sdks};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::cell::{CellKind, CellName};
use schemas::id::Environment;

use crate::Serve;
use crate::asked::{Asked, Kind};
use crate::evaluations::flag_key;
use crate::interval::DAY_MS;
use crate::page::range::{Range, SHORT, buckets, tabs};
use crate::page::reasons::reasons;
use crate::page::{Here, Page, Place, Script, chart, chosen, comparison, door, flag, palette, stale, text, whole};
use crate::parameters::Parameters;
use crate::reading::{Looked, Reader};
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::tally::{FlagTally, Grouping, Span, count_flags, last_minutes, some_flags};
use crate::{books, cells, events};

/// Flags on one page.
const FLAGS_MAX: usize = 200;
/// Custom events that a page looks at.
const EVENTS_MAX: usize = 100;
/// Variations named in a row.
const NAMED_MAX: usize = 4;
/// Characters of a key in a row.
const KEY_MAX: usize = 96;

/// The page's address for an environment.
pub(crate) fn href(environment: &Environment, range: Option<Range>) -> String {
    let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let range = range.map_or(String::new(), |range| format!("&range={}", range.word()));
    format!("/?project={}&environment={}{range}", part(environment.project_str()), part(environment.key_str()))
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Page, Refusal> {
    let mut given = Parameters::read(&caller.uri)?;
    let environment = chosen(&caller, given.text("project"), given.text("environment"))?;
    let range = Range::read(&mut given, SHORT)?;
    let wanted = given.text("q").unwrap_or_default();
    let after = given.text("after").map(|key| CellName::Key(key.into()));
    given.end(&["project", "environment", "range", "q", "after"])?;
    let now_ms = caller.now_ms;
    let reader = Reader::open(&serve, environment.clone(), now_ms).await?;
    let matching = |name: &CellName| wanted.is_empty() || flag_key(name).is_some_and(|key| key.contains(&wanted));
    let (mut shown, more) = some_flags(&reader, after.as_ref(), FLAGS_MAX, matching).await?;
    let place =
        Place { caller: &caller, here: Here::Environment(&environment), progress: Some(reader.progress), now_ms };
    let door = (serve.arrivals)().at_door(&environment, &caller.grant);
    let today = u32::try_from(now_ms / DAY_MS).unwrap_or(0);
    let aside = Aside::read(&reader, range.span(now_ms)?, today).await?;
    let title = format!("{}/{}", environment.project_str(), environment.key_str());
    if shown.is_empty() && wanted.is_empty() && after.is_none() {
        let body = html! {
            (comparison::in_charge(&serve, &environment))
            (door::first_event(&serve, &environment, &door, now_ms))
            @if aside.books != Books::default() { div.columns { (aside.books_card(now_ms)) (aside.sdks_card()) } }
        };
        return Ok(whole(&title, Some(&place), Script::Refresh, &body));
    }
    let span = range.span(now_ms)?;
    count_flags(&reader, &mut shown, span, Grouping::BY_VARIATION).await?;
    let seen = last_seen(&reader, &shown).await?;
    let list = List { environment: &environment, range, span, now_ms, first: after.is_none(), more, wanted: &wanted };
    let body = html! {
        div.head {
            h1 { (text::foreign(environment.project_str())) span.slash { " / " } (text::foreign(environment.key_str())) }
            (tabs(SHORT, range, |range| href(&environment, Some(range))))
        }
        (comparison::in_charge(&serve, &environment))
        (list.tiles(&shown, &aside))
        (list.table(&shown, &seen))
        div.columns.broad { (aside.books_card(now_ms)) (aside.sdks_card()) (aside.events_card(range)) }
        (door::seen(&serve, &environment, &door, now_ms))
    };
    Ok(whole(&title, Some(&place), Script::Refresh, &body))
}

/// When each flag was last seen, to the minute where that is kept.
async fn last_seen(reader: &Reader<'_>, shown: &[FlagTally]) -> Result<BTreeMap<CellName, i64>, Refusal> {
    let hours: Vec<(CellName, u32)> =
        shown.iter().filter_map(|flag| Some((flag.name.clone(), flag.seen.last()?))).collect();
    let mut last: BTreeMap<CellName, i64> =
        hours.iter().map(|(name, hour)| (name.clone(), crate::interval::hour_ms(*hour))).collect();
    for ((name, ..), ms) in last_minutes(reader, &hours).await? {
        last.entry(name).and_modify(|slot| *slot = ms.max(*slot));
    }
    Ok(last)
}

/// The list of flags.
struct List<'a> {
    environment: &'a Environment,
    range: Range,
    span: Span,
    now_ms: i64,
    /// There are no flags before those shown.
    first: bool,
    /// There are flags behind those shown.
    more: bool,
    /// The part of their keys that was asked for; empty = all.
    wanted: &'a str,
}

impl List<'_> {
    fn tiles(&self, shown: &[FlagTally], aside: &Aside) -> Markup {
        let total = shown.iter().fold(0_u64, |sum, flag| sum.saturating_add(flag.total()));
        let asked = |flag: &&FlagTally| {
            let by_name = Asked::of(flag, self.span.interval, self.now_ms).by_name;
            by_name.sure || (by_name.possible && flag.total() > 0)
        };
        let used = shown.iter().filter(asked).count() as u64;
        let bulk = shown.iter().filter(|flag| self.kind(flag) == Some(Kind::BulkOnly)).count() as u64;
        let bulk = if bulk > 0 { format!("; {} in bulk reads only", text::number(bulk)) } else { String::new() };
        let all = self.first && !self.more && self.wanted.is_empty();
        let whose = if all { "" } else { " of the flags shown" };
        let flags = text::counted(shown.len() as u64, if all { "known flag" } else { "flag" });
        let flags = if all { flags } else { flags + " shown" };
        let sdks: BTreeSet<&[u8]> = aside.sdks.rows().filter(|row| !row.other).map(|row| row.sdk).collect();
        let others = if aside.sdks.rows().any(|row| row.other) { ", and others" } else { "" };
        html! {
            div.tiles {
                (tile("Evaluations", &text::number(total), &format!("in {}{whose}", self.range.title())))
                (tile("Flags asked for", &text::number(used), &format!("of {flags}{bulk}")))
                (tile("SDKs", &text::number(sdks.len() as u64), &format!("reported today{others}")))
                (tile("Events", &text::number(aside.books.numbers().accepted), "accepted today"))
            }
        }
    }

    fn table(&self, shown: &[FlagTally], seen: &BTreeMap<CellName, i64>) -> Markup {
        let last = shown.iter().flat_map(|flag| flag.groups.values()).filter_map(|t| t.series.keys().next_back()).max();
        let buckets = buckets(self.span, self.now_ms, last.copied());
        html! {
            section.card {
                div.card-head {
                    h2 { "Flags" }
                    form.search method="get" action="/" role="search" {
                        input type="hidden" name="project" value=(self.environment.project_str());
                        input type="hidden" name="environment" value=(self.environment.key_str());
                        input type="hidden" name="range" value=(self.range.word());
                        input #q type="search" name="q" value=(self.wanted) placeholder="Find a flag" aria-label="Find a flag";
                        button.quiet type="submit" { "Find" }
                    }
                }
                div.scroll {
                    table.flags {
                        thead { tr {
                            th scope="col" { "Flag" } th scope="col" { "Course" } th scope="col" { "Served" }
                            th.num scope="col" { "Evaluations" } th.num scope="col" { "Last seen" }
                        } }
                        tbody { @for flag in shown { (self.row(flag, &buckets, seen.get(&flag.name).copied())) } }
                    }
                }
                @if shown.is_empty() && self.first { p.muted { "No flag's key contains “" (text::foreign(self.wanted)) "”." } }
                @if shown.is_empty() && !self.first { p.muted { "No further flags." } }
                @if shown.iter().any(|flag| self.kind(flag).is_some()) {
                    p.muted #counts-of {
                        "Evaluations are all that SDKs counted, bulk reads (all flags at once) too. What is asked for by name, \
                         counted or not, is use; " a href=(stale::href(self.environment.project_str(), None, None)) { "Stale flags" }
                        " goes by that alone."
                    }
                }
                (self.turn(shown))
            }
        }
    }

    /// Where the other pages of the list are.
    fn turn(&self, shown: &[FlagTally]) -> Markup {
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let base = href(self.environment, Some(self.range));
        let base = if self.wanted.is_empty() { base } else { format!("{base}&q={}", part(self.wanted)) };
        let last = shown.last().and_then(|flag| flag_key(&flag.name)).filter(|_| self.more);
        html! {
            @if !self.first || last.is_some() {
                p.muted {
                    (text::counted(shown.len() as u64, "flag")) " on this page, in order of key. "
                    @if !self.first { a href=(base) { "First page" } " " }
                    @if let Some(last) = last { a rel="next" href={ (base) "&after=" (part(&last)) } { "Next page" } }
                }
            }
        }
    }

    fn kind(&self, flag: &FlagTally) -> Option<Kind> {
        Asked::of(flag, self.span.interval, self.now_ms).kind(flag.total() > 0)
    }

    fn row(&self, flag: &FlagTally, buckets: &[i64], seen: Option<i64>) -> Markup {
        let course: Vec<_> = flag.groups.iter().map(|(g, tally)| (palette::colour(g), &tally.series)).collect();
        let parts: Vec<(String, u64)> =
            flag.groups.iter().map(|(g, tally)| (palette::colour(g), tally.count)).collect();
        let more = flag.groups.len().saturating_sub(NAMED_MAX);
        let kind = self.kind(flag);
        html! {
            tr.idle[flag.groups.is_empty() && kind.is_none()] {
                th scope="row" {
                    @match flag_key(&flag.name) {
                        Some(key) => a.key href=(flag::href(self.environment, &key, Some(self.range))) { (text::cut(&key, KEY_MAX)) },
                        None => span.muted { "all other flags (beyond the environment's limit)" },
                    }
                }
                td { (chart::course(buckets, &course)) }
                td.served {
                    @if flag.groups.is_empty() {
                        @match kind {
                            Some(kind) => (text::kind(kind)),
                            None => span.muted { "not in " (self.range.title()) },
                        }
                    } @else {
                        (chart::shares(&parts))
                        ul.chips {
                            @for (group, tally) in flag.groups.iter().take(NAMED_MAX) {
                                li { (palette::label(flag, group)) " " span.num { (text::number(tally.count)) } }
                            }
                            @if more > 0 { li.muted { "and " (more) " more" } }
                            @if let Some(kind) = kind { li { (text::kind(kind)) } }
                        }
                    }
                }
                td.num.total { (text::number(flag.total())) @if flag.saturated() { " " (text::saturated()) } }
                td.num { @match seen { Some(ms) => (text::ago(ms, self.now_ms)), None => "never" } }
            }
        }
    }
}

fn tile(name: &str, value: &str, note: &str) -> Markup {
    html! { div.tile { span.tile-name { (name) } span.tile-value { (value) } span.muted { (note) } } }
}

/// What stands beside the flags.
struct Aside {
    books: Books,
    sdks: Sdks,
    events: events::Totals,
    /// The keys that were looked at for `events`.
    keys: Looked,
}

impl Aside {
    async fn read(reader: &Reader<'_>, span: Span, today: u32) -> Result<Self, Refusal> {
        let (events, keys) = events::totals(reader, span.interval, EVENTS_MAX).await?;
        let sdks = reader.cells(CellKind::Sdks, &[(CellName::None, today)]).await?;
        Ok(Self {
            books: books::of_day(reader, today).await?,
            sdks: sdks.into_iter().flatten().next().map_or(Ok(Sdks::default()), |value| cells::sdks(&value))?,
            events,
            keys,
        })
    }

    fn books_card(&self, now_ms: i64) -> Markup {
        let numbers = self.books.numbers();
        html! {
            section.card {
                h2 { "Books of today" }
                p {
                    "On " (books::day_name(now_ms)) " (UTC), " strong { (text::counted(numbers.accepted, "event")) }
                    " accepted = " strong { (text::number(numbers.counted)) } " counted + "
                    (text::number(numbers.duplicate)) " duplicate + " (text::number(numbers.late)) " late + "
                    (text::number(numbers.poison)) " poison."
                    @if self.books.saturated() { " " (text::saturated()) }
                }
                (reasons(&numbers.rejected, "Refused at the door, by reason:", "Nothing was refused at the door."))
                @if numbers.clamped > 0 { p.muted { (text::counted(numbers.clamped, "event")) " had a clock that cannot be, and count at their receipt." } }
                @if numbers.without_id > 0 { p.muted { (text::counted(numbers.without_id, "payload")) " came without an id: if sent again, they count again." } }
            }
        }
    }

    fn sdks_card(&self) -> Markup {
        html! {
            section.card {
                h2 { "SDKs today" }
                @if self.sdks.rows().next().is_none() { p.muted { "None has reported today." } } @else {
                    div.scroll { table {
                        thead { tr {
                            th scope="col" { "SDK and application" } th.num scope="col" { "Instances" }
                            th.num scope="col" { "Hours" } th.num scope="col" { "Dropped" }
                        } }
                        tbody { @for row in self.sdks.rows() { tr {
                            @if row.other { td.muted { "others (beyond the limit)" } } @else {
                                td {
                                    (named(row.sdk)) " " span.muted { (text::foreign(&cells::text(row.sdk_version))) }
                                    @if !row.application.is_empty() { div.muted.small { (named(row.application)) } }
                                }
                            }
                            td.num { (instances(row.instances)) }
                            td.num { (row.hours.count_ones()) }
                            td.num { (text::number(row.dropped_events)) }
                        } } }
                    } }
                }
            }
        }
    }

    fn events_card(&self, range: Range) -> Markup {
        html! {
            @if self.keys.names > 0 {
                section.card {
                    h2 { "Custom events" }
                    @if self.events.is_empty() {
                        p { @if self.keys.all { "None counted." } @else { "None of the first " (self.keys.names) " keys counted." } }
                    } @else { div.scroll { table {
                        thead { tr {
                            th scope="col" { "Event" } th.num scope="col" { "Count" }
                            th.num scope="col" { "With value" } th.num scope="col" { "Sum" }
                        } }
                        tbody { @for ((_, key), total) in &self.events { tr {
                            td { @match key { Some(key) => (text::foreign(key)), None => span.muted { "others" } } }
                            td.num { (text::number(total.count())) @if total.saturated() { " " (text::saturated()) } }
                            td.num { (text::number(total.metric_count())) }
                            td.num { (events::decimal(total.metric_sum())) }
                        } } }
                    } } }
                    p.muted { "In " (range.title()) ", by whole hours."
                        @if !self.keys.all { " There are more keys than shown here; the API has them all." }
                    }
                }
            }
        }
    }
}

/// An estimate of instances in words.
fn instances(estimate: Option<f64>) -> String {
    match estimate {
        None => "> 1,100".to_owned(),
        Some(number) if number < 0.5 => "–".to_owned(),
        Some(number) => format!("≈ {number:.0}"),
    }
}

/// A name that an SDK told, or that it told none.
pub(crate) fn named(name: &[u8]) -> Markup {
    html! { @if name.is_empty() { span.muted { "not told" } } @else { (text::cut(&cells::text(name), 64)) } }
}
