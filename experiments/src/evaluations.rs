//! `GET /v1/projects/{project}/environments/{environment}/evaluations`: how often each flag variation was served.
//!
//! Always true here: items come in order of flag (the flags beyond the environment's limit last, as `flag: null`) and
//! group; an item has a count above 0; a page's token holds the first page's interval, so that all pages tell of the
//! same time.

use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::cell::CellName;
use schemas::event::Reason;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Serve;
use crate::asked::{Asked, Kind};
use crate::cells::{Served, sdk_shown, text};
use crate::interval::{DAY_MS, Interval, Step};
use crate::other_reads::{self, LastWritten};
use crate::paging::{self, List};
use crate::parameters::Parameters;
use crate::reading::{Progress, Reader};
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};
use crate::tally::{FlagTally, Group, Grouping, LastMinutes, Span, Tally, last_minutes, tallies};

/// Rows (points of series, or items without one) of one answer: a page ends where they are full.
pub(crate) const ROWS_MAX: usize = 10_000;
/// Flags that are named as seen and not counted.
const SEEN_ONLY_MAX: usize = 100;
const KNOWN: [&str; 7] = ["flag", "from", "to", "granularity", "groupBy", "limit", "continuationToken"];
const GROUPS: &str = "variation, version, application, sdk or reason, or several with commas";

/// What was asked.
struct Question {
    flag: Option<CellName>,
    span: Span,
    grouping: Grouping,
    /// The words of `groupBy`.
    words: Vec<String>,
    limit: usize,
    behind: Option<Token>,
    /// Parameters to be repeated in the link to the next page.
    repeated: String,
}

/// Behind what a page begins: the interval of the first page, and the last item's flag (`None` = those beyond the
/// limit) and group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
struct Token(i64, i64, Option<String>, Place);

/// A group, as a token has it: other, variation, version, application, SDK, number of the reason. What the grouping
/// does not ask for means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
struct Place(bool, Served, Option<u64>, Option<String>, Option<(String, String)>, Option<u8>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    from: i64,
    to: i64,
    granularity: &'a str,
    group_by: &'a [String],
    /// Which path counted it, where there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_only: Option<SeenOnly>,
}

/// Flags that were seen and not counted: by full events alone.
#[derive(Serialize)]
struct SeenOnly {
    count: usize,
    /// The first [`SEEN_ONLY_MAX`].
    flags: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    flag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variation: Option<Option<Served>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
    /// Nothing but reads of all flags at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bulk_only: bool,
    count: u64,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    seen_bound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<(i64, u64)>>,
}

pub(crate) async fn evaluations(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let environment = caller.find(&project, &environment)?;
    let mut question = Question::read(Parameters::read(&caller.uri)?, caller.now_ms)?;
    let path = other_reads::path(&serve, &environment);
    if path == Some(other_reads::OLD) {
        question.span = other_reads::span(question.span, question.grouping)?;
        let (flag, span) = (question.flag.as_ref(), question.span);
        let read = other_reads::read(&serve, &environment, flag, span, caller.now_ms).await?;
        return question.answer(&caller, &read.flags, read.progress, path, |page| {
            question.items_of_other(page, &read.last, caller.now_ms)
        });
    }
    let reader = Reader::open(&serve, environment, caller.now_ms).await?;
    let flags = tallies(&reader, question.flag.as_ref(), question.span, question.grouping).await?;
    let page = question.page(&flags)?.0;
    let minutes = question.last_minutes(&reader, &page).await?;
    let item = |row: &Row<'_>| question.item(row, &minutes, caller.now_ms);
    question.answer(&caller, &flags, reader.progress, path, |page| page.iter().map(item).collect())
}

/// A flag, one of its groups and what was counted of it.
type Row<'a> = (&'a FlagTally, &'a Group, &'a Tally);

impl Question {
    /// The page that is asked for.
    fn answer(
        &self,
        caller: &Caller,
        flags: &[FlagTally],
        progress: Progress,
        path: Option<&'static str>,
        items: impl FnOnce(&[Row<'_>]) -> Vec<Item>,
    ) -> Result<Response, Refusal> {
        let total_count = flags.iter().map(|flag| flag.groups.len()).sum();
        let (page, next) = self.page(flags)?;
        let Interval { from_ms: from, to_ms: to } = self.span.interval;
        let head = Head {
            from,
            to,
            granularity: self.granularity(),
            group_by: &self.words,
            path,
            basis: self.grouping.reason.then_some("full events only"),
            seen_only: self.seen_only(flags, caller.now_ms),
        };
        let next = next.map(|token| paging::next(caller.uri.path(), &self.repeated, &token));
        json(&List::new(progress, head, items(&page), total_count, next))
    }

    /// What another path counted; of its sights it keeps about the last.
    fn items_of_other(&self, page: &[Row<'_>], last: &LastWritten, now_ms: i64) -> Vec<Item> {
        let item = |row: &Row<'_>| {
            let (flag, group, _) = row;
            let written = group.served.as_ref().and_then(|served| last.get(&(flag.name.clone(), served.clone())));
            Item { last_seen: written.copied(), ..self.item(row, &LastMinutes::new(), now_ms) }
        };
        page.iter().map(item).collect()
    }

    fn read(mut given: Parameters, now_ms: i64) -> Result<Self, Refusal> {
        let flag = given.text("flag");
        let (grouping, words) = group_by(given.text("groupBy"))?;
        let step = given.choice("granularity", Step::Total, &Step::WORDS)?;
        if step == Step::Minute && grouping.by_hour() {
            let allowed = "total, hour or day by application, sdk or reason: minutes are not kept by these";
            return Err(Refusal::parameter("granularity", "minute", allowed));
        }
        let limit = paging::limit(&mut given)?;
        let (from, to) = (given.time("from")?, given.time("to")?);
        let behind: Option<Token> = paging::token(&mut given)?;
        given.end(&KNOWN)?;
        let interval = match &behind {
            Some(Token(from, to, ..)) => Interval::of_token(*from, *to)?,
            None => Interval::ask(from, to, now_ms, DAY_MS, grouping.unit_ms())?,
        };
        let mut question = Self {
            flag: flag.clone().map(|flag| CellName::Key(flag.into())),
            span: Span { interval, step },
            grouping,
            words,
            limit,
            behind,
            repeated: String::new(),
        };
        question.repeated =
            format!("groupBy={}&granularity={}&limit={limit}", question.words.join(","), question.granularity());
        if let Some(flag) = flag {
            question.repeated += &format!("&flag={}", utf8_percent_encode(&flag, NON_ALPHANUMERIC));
        }
        Ok(question)
    }

    /// Counts by reason are of full events, so there such a flag has its counts.
    fn seen_only(&self, flags: &[FlagTally], now_ms: i64) -> Option<SeenOnly> {
        let is_seen_only = |flag: &&FlagTally| {
            let asked = Asked::of(flag, self.span.interval, now_ms);
            asked.kind(flag.total() > 0) == Some(Kind::SeenOnly)
        };
        let seen = || flags.iter().filter(is_seen_only).filter_map(|flag| flag_key(&flag.name));
        let count = if self.grouping.reason { 0 } else { seen().count() };
        (count > 0).then(|| SeenOnly { count, flags: seen().take(SEEN_ONLY_MAX).collect() })
    }

    fn granularity(&self) -> &'static str {
        Step::WORDS.iter().find(|(_, step)| *step == self.span.step).map_or("total", |(word, _)| word)
    }

    /// The rows of this page, and the token of its last when there are more: it ends at the limit of items, or where
    /// one more would be beyond [`ROWS_MAX`].
    fn page<'a>(&self, flags: &'a [FlagTally]) -> Result<(Vec<Row<'a>>, Option<Token>), Refusal> {
        let behind = self
            .behind
            .as_ref()
            .map(|Token(_, _, flag, place)| (cell_name(flag.as_deref()), place.group(self.grouping)));
        let rows = flags.iter().flat_map(|flag| {
            let from = match &behind {
                Some((name, group)) if *name == flag.name => Bound::Excluded(group),
                _ => Bound::Unbounded,
            };
            let passed = behind.as_ref().is_some_and(|(name, _)| !in_order(name, &flag.name));
            let rows = flag.groups.range((from, Bound::Unbounded));
            rows.filter(move |_| !passed).map(move |(group, tally)| (flag, group, tally))
        });
        let mut rows = rows.peekable();
        let mut page: Vec<Row<'a>> = Vec::new();
        let mut full = 0;
        while let Some(row) = rows.next_if(|row| page.len() < self.limit && full + self.points(row) <= ROWS_MAX) {
            full += self.points(&row);
            page.push(row);
        }
        let Interval { from_ms, to_ms } = self.span.interval;
        let next = match (rows.peek(), page.last()) {
            (None, _) => None,
            (Some(_), Some((flag, group, _))) => Some(Token(from_ms, to_ms, flag_key(&flag.name), Place::of(group))),
            (Some(row), None) => {
                return Err(Refusal::too_much(format!(
                    "one series would have {} points, at most {ROWS_MAX} are given; take a shorter interval or a coarser \
                     `granularity`",
                    self.points(row)
                )));
            }
        };
        Ok((page, next))
    }

    /// What a row takes of [`ROWS_MAX`].
    fn points(&self, (_, _, tally): &Row<'_>) -> usize {
        if self.span.step == Step::Total { 1 } else { tally.series.len().max(1) }
    }

    /// Last minutes of the page's variations; empty where they are not asked for or not kept.
    async fn last_minutes(&self, reader: &Reader<'_>, page: &[Row<'_>]) -> Result<LastMinutes, Refusal> {
        if self.grouping != Grouping::BY_VARIATION {
            return Ok(LastMinutes::new());
        }
        let mut hours: Vec<(CellName, u32)> =
            page.iter().filter_map(|(flag, group, _)| Some((flag.name.clone(), flag.seen(group)?.1))).collect();
        hours.dedup();
        last_minutes(reader, &hours).await
    }

    fn item(&self, (flag, group, tally): &Row<'_>, minutes: &LastMinutes, now_ms: i64) -> Item {
        let asked = Asked::of_group(flag, group, self.span.interval, now_ms);
        let sight = flag.sight(group, minutes);
        let by = |wanted: bool, name: Option<String>| wanted.then(|| name.filter(|name| !name.is_empty()));
        let sdk = group.sdk.as_ref().map(|(name, version)| sdk_shown(name, version));
        let value = group.served.as_ref().and_then(|served| flag.value(served));
        Item {
            flag: flag_key(&flag.name),
            variation: self.grouping.variation.then(|| group.served.clone()),
            default: self.grouping.variation.then_some(group.served == Some(Served::Default)),
            value: value.and_then(|value| RawValue::from_string(value).ok()),
            version: self.grouping.version.then(|| group.version.flatten()),
            application: by(self.grouping.application, group.application.clone()),
            sdk: by(self.grouping.sdk, sdk),
            reason: group.reason.map(Reason::name),
            other: group.other || flag.name == CellName::Other,
            estimated: tally.estimated,
            bulk_only: !self.grouping.reason && asked.kind(true) == Some(Kind::BulkOnly),
            count: tally.count,
            saturated: tally.saturated,
            first_seen: sight.map(|sight| sight.first_ms),
            last_seen: sight.map(|sight| sight.last_ms),
            seen_bound: sight.is_some_and(|sight| sight.bound),
            series: (self.span.step != Step::Total).then(|| tally.series.iter().map(|(ms, n)| (*ms, *n)).collect()),
        }
    }
}

/// What `groupBy` asks for, and its words.
fn group_by(text: Option<String>) -> Result<(Grouping, Vec<String>), Refusal> {
    let text = text.unwrap_or_else(|| "variation".to_owned());
    let mut grouping = Grouping::default();
    let mut words = Vec::new();
    for word in text.split(',') {
        let slot = match word {
            "variation" => &mut grouping.variation,
            "version" => &mut grouping.version,
            "application" => &mut grouping.application,
            "sdk" => &mut grouping.sdk,
            "reason" => &mut grouping.reason,
            _ => return Err(Refusal::parameter("groupBy", &text, GROUPS)),
        };
        if std::mem::replace(slot, true) {
            return Err(Refusal::parameter("groupBy", &text, "each word once"));
        }
        words.push(word.to_owned());
    }
    if grouping.reason && words.len() > 1 {
        return Err(Refusal::parameter(
            "groupBy",
            &text,
            "reason alone: counts by reason are not kept by anything else",
        ));
    }
    if grouping.version && grouping.by_hour() {
        let allowed = "version with variation only: versions are not kept by application or sdk";
        return Err(Refusal::parameter("groupBy", &text, allowed));
    }
    Ok((grouping, words))
}

impl Place {
    fn of(group: &Group) -> Self {
        let Group { other, served, version, application, sdk, reason } = group.clone();
        let served = served.unwrap_or(Served::Default);
        Self(other, served, version.flatten(), application, sdk, reason.map(|reason| reason as u8))
    }

    fn group(&self, grouping: Grouping) -> Group {
        let Self(other, served, version, application, sdk, reason) = self.clone();
        if other {
            return Group { other, ..Group::default() };
        }
        Group {
            other,
            served: grouping.variation.then_some(served),
            version: grouping.version.then_some(version),
            application,
            sdk,
            reason: reason.map(|number| Reason::from_number(number.into())),
        }
    }
}

fn cell_name(key: Option<&str>) -> CellName {
    key.map_or(CellName::Other, |key| CellName::Key(key.to_owned().into()))
}

/// The flag's key as text; `None` = all flags beyond the limit.
pub(crate) fn flag_key(name: &CellName) -> Option<String> {
    match name {
        CellName::Key(key) => Some(text(key).into_owned()),
        CellName::None | CellName::Other => None,
    }
}

/// Whether `name` is `first` or comes after it in the store's order: keys by their bytes, then what is beyond the
/// limit.
fn in_order(first: &CellName, name: &CellName) -> bool {
    match (first, name) {
        (CellName::Key(first), CellName::Key(name)) => first <= name,
        (_, CellName::Key(_)) => false,
        _ => true,
    }
}
