//! `GET /v1/projects/{project}/environments/{environment}/evaluations`: how often each flag variation was served.
//!
//! Always true here: items come in order of flag (the flags beyond the environment's limit last, as `flag: null`) and
//! group; an item has a count above 0; a page's token holds the first page's interval, so that all pages tell of the
//! same time.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::cell::CellName;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Serve;
use crate::cells::{Served, sdk_shown, text};
use crate::interval::{DAY_MS, Interval, MINUTE_MS, Step, hour_ms};
use crate::parameters::Parameters;
use crate::reading::Reader;
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json, link};
use crate::tally::{FlagTally, Group, Grouping, Span, Tally, last_minutes, tallies};

/// Rows (points of series, or items without one) of one answer.
pub(crate) const ROWS_MAX: usize = 10_000;
/// Items of one answer.
pub(crate) const ITEMS_MAX: usize = 1_000;
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
    start: Option<Token>,
    /// Parameters to be repeated in the link to the next page.
    repeated: String,
}

/// Where a page begins: the interval of the first page, the flag (`None` = those beyond the limit), and how many of its
/// items the pages before it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
struct Token(i64, i64, Option<String>, usize);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    as_of: i64,
    complete: bool,
    from: i64,
    to: i64,
    granularity: &'a str,
    group_by: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'a str>,
    items: Vec<Item>,
    total_count: usize,
    #[serde(rename = "_links")]
    links: serde_json::Value,
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
    count: u64,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<(i64, u64)>>,
}

pub(crate) async fn evaluations(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let environment = caller.find(&project, &environment)?;
    let question = Question::read(Parameters::read(&caller.uri)?, caller.now_ms)?;
    let reader = Reader::open(&serve, environment, caller.now_ms).await?;
    let flags = tallies(&reader, question.flag.as_ref(), question.span, question.grouping).await?;
    let total_count = flags.iter().map(|flag| flag.groups.len()).sum();
    let (page, next) = question.page(&flags);
    let minutes = question.last_minutes(&reader, &page).await?;
    let items: Vec<Item> = page.iter().map(|row| question.item(row, &minutes)).collect();
    let rows: usize = items.iter().map(|item| item.series.as_ref().map_or(1, |series| series.len().max(1))).sum();
    if rows > ROWS_MAX {
        return Err(Refusal::too_much(format!(
            "the answer would have {rows} rows, at most {ROWS_MAX} are given; take a shorter interval, a coarser \
             `granularity` or a lower `limit`"
        )));
    }
    let Interval { from_ms: from, to_ms: to } = question.span.interval;
    json(&Answer {
        as_of: reader.progress.as_of_ms,
        complete: reader.progress.complete,
        from,
        to,
        granularity: question.granularity(),
        group_by: &question.words,
        basis: question.grouping.reason.then_some("full events only"),
        items,
        total_count,
        links: link(next.map(|token| question.href(caller.uri.path(), &token)).as_deref()),
    })
}

/// A flag, one of its groups and what was counted of it.
type Row<'a> = (&'a FlagTally, &'a Group, &'a Tally);

impl Question {
    fn read(mut given: Parameters, now_ms: i64) -> Result<Self, Refusal> {
        let flag = given.text("flag");
        let (grouping, words) = group_by(given.text("groupBy"))?;
        let step = given.choice("granularity", Step::Total, &Step::WORDS)?;
        if step == Step::Minute && grouping.by_hour() {
            let allowed = "total, hour or day by application, sdk or reason: minutes are not kept by these";
            return Err(Refusal::parameter("granularity", "minute", allowed));
        }
        let limit = given.number("limit", 100, ITEMS_MAX)?;
        let (from, to) = (given.time("from")?, given.time("to")?);
        let start = given.text("continuationToken").map(|text| Token::read(&text)).transpose()?;
        given.end(&KNOWN)?;
        let (from, to) = match &start {
            Some(Token(from, to, ..)) => (Some(*from), Some(*to)),
            None => (from, to),
        };
        let interval = Interval::ask(from, to, now_ms, DAY_MS, grouping.unit_ms())?;
        let mut question = Self {
            flag: flag.clone().map(|flag| CellName::Key(flag.into())),
            span: Span { interval, step },
            grouping,
            words,
            limit,
            start,
            repeated: String::new(),
        };
        question.repeated =
            format!("groupBy={}&granularity={}&limit={limit}", question.words.join(","), question.granularity());
        if let Some(flag) = flag {
            question.repeated += &format!("&flag={}", utf8_percent_encode(&flag, NON_ALPHANUMERIC));
        }
        Ok(question)
    }

    fn granularity(&self) -> &'static str {
        Step::WORDS.iter().find(|(_, step)| *step == self.span.step).map_or("total", |(word, _)| word)
    }

    fn href(&self, path: &str, token: &Token) -> String {
        format!("{path}?{}&continuationToken={}", self.repeated, token.write())
    }

    /// The rows of this page, and where the next begins.
    fn page<'a>(&self, flags: &'a [FlagTally]) -> (Vec<Row<'a>>, Option<Token>) {
        let (first, given) = match &self.start {
            Some(Token(_, _, name, given)) => (Some(cell_name(name.as_deref())), *given),
            None => (None, 0),
        };
        let skipped = |flag: &FlagTally| first.as_ref().filter(|first| **first == flag.name).map_or(0, |_| given);
        let flags = flags.iter().filter(|flag| first.as_ref().is_none_or(|first| in_order(first, &flag.name)));
        let rows = flags.flat_map(|flag| {
            let rows = flag.groups.iter().enumerate().skip(skipped(flag));
            rows.map(move |(place, (group, tally))| (place, (flag, group, tally)))
        });
        let mut rows = rows.peekable();
        let page: Vec<Row<'a>> = rows.by_ref().take(self.limit).map(|(_, row)| row).collect();
        let Interval { from_ms, to_ms } = self.span.interval;
        let next = rows.peek().map(|(place, (flag, ..))| Token(from_ms, to_ms, flag_key(&flag.name), *place));
        (page, next)
    }

    /// Last minutes of the page's variations; empty where they are not asked for or not kept.
    async fn last_minutes(
        &self,
        reader: &Reader<'_>,
        page: &[Row<'_>],
    ) -> Result<HashMap<(CellName, u32, Served), i64>, Refusal> {
        if self.grouping != Grouping::BY_VARIATION {
            return Ok(HashMap::new());
        }
        let mut hours: Vec<(CellName, u32)> =
            page.iter().filter_map(|(flag, group, _)| Some((flag.name.clone(), flag.seen(group)?.1))).collect();
        hours.dedup();
        last_minutes(reader, &hours).await
    }

    fn item(&self, (flag, group, tally): &Row<'_>, minutes: &HashMap<(CellName, u32, Served), i64>) -> Item {
        let seen = flag.seen(group);
        let minute = || {
            let served = group.served.clone()?;
            minutes.get(&(flag.name.clone(), seen?.1, served)).copied()
        };
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
            reason: group.reason.map(schemas::event::Reason::name),
            other: group.other || flag.name == CellName::Other,
            estimated: tally.estimated,
            count: tally.count,
            first_seen: seen.map(|(first, _)| hour_ms(first)),
            last_seen: minute().or(seen.map(|(_, last)| hour_ms(last))),
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

impl Token {
    fn read(text: &str) -> Result<Self, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let sound = |token: &Self| {
            let times = 0..=crate::parameters::TIME_MS_MAX + MINUTE_MS * 60;
            times.contains(&token.0) && times.contains(&token.1)
        };
        token.filter(sound).ok_or_else(|| {
            Refusal::parameter("continuationToken", text, "what `_links.next.href` of the page before had")
        })
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
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

/// Whether `name` is `first` or comes after it in the store's order: keys by their bytes, then what is beyond the limit.
fn in_order(first: &CellName, name: &CellName) -> bool {
    match (first, name) {
        (CellName::Key(first), CellName::Key(name)) => first <= name,
        (_, CellName::Key(_)) => false,
        _ => true,
    }
}
