//! `GET …/events`: custom events, how many of them had a value, and the exact sum.
//!
//! Always true here: the sum is written as the decimal that it is, never through a float; events are kept by the hour,
//! so the interval is whole hours; items come in order of key, what is beyond the limit of keys last (`key: null`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counting::cells::Events;
use schemas::cell::CellKind;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Serve;
use crate::cells;
use crate::evaluations::{ITEMS_MAX, flag_key};
use crate::interval::{DAY_MS, HOUR_MS, Interval};
use crate::parameters::Parameters;
use crate::reading::Reader;
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json, link};

/// More keys than a generation's limit lets any environment have (10,000 and `other`).
const KEYS_MAX: usize = 20_000;
const KNOWN: [&str; 4] = ["from", "to", "limit", "continuationToken"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    as_of: i64,
    complete: bool,
    from: i64,
    to: i64,
    items: Vec<Item>,
    total_count: usize,
    #[serde(rename = "_links")]
    links: serde_json::Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    key: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    count: u64,
    metric_count: u64,
    metric_sum: Box<RawValue>,
}

/// Where a page begins: the interval of the first page, and how many items came before.
#[derive(Serialize, serde::Deserialize)]
struct Token(i64, i64, usize);

pub(crate) async fn events(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let environment = caller.find(&project, &environment)?;
    let mut given = Parameters::read(&caller.uri)?;
    let (from, to) = (given.time("from")?, given.time("to")?);
    let limit = given.number("limit", 100, ITEMS_MAX)?;
    let token = given.text("continuationToken").map(|text| read_token(&text)).transpose()?;
    given.end(&KNOWN)?;
    let (from, to, skip) = token.map_or((from, to, 0), |Token(from, to, skip)| (Some(from), Some(to), skip));
    let interval = Interval::ask(from, to, caller.now_ms, DAY_MS, HOUR_MS)?;
    let reader = Reader::open(&serve, environment, caller.now_ms).await?;
    let (totals, all) = totals(&reader, interval, KEYS_MAX).await?;
    if !all {
        return Err(Refusal::too_much(format!("this environment has more than {KEYS_MAX} keys of events")));
    }
    let total_count = totals.len();
    let page = totals.into_iter().skip(skip).take(limit);
    let items: Vec<Item> = page.map(item).collect::<Result<_, _>>()?;
    let end = skip.saturating_add(items.len());
    let next = (end < total_count).then(|| {
        let token = serde_json::to_vec(&Token(interval.from_ms, interval.to_ms, end)).unwrap_or_default();
        format!("{}?limit={limit}&continuationToken={}", caller.uri.path(), URL_SAFE_NO_PAD.encode(token))
    });
    json(&Answer {
        as_of: reader.progress.as_of_ms,
        complete: reader.progress.complete,
        from: interval.from_ms,
        to: interval.to_ms,
        items,
        total_count,
        links: link(next.as_deref()),
    })
}

/// Totals by key; what is beyond the limit of keys stands last.
pub(crate) type Totals = BTreeMap<(bool, Option<String>), Events>;

/// Totals of the first `keys_max` keys (the shortest), and whether these are all.
pub(crate) async fn totals(
    reader: &Reader<'_>,
    interval: Interval,
    keys_max: usize,
) -> Result<(Totals, bool), Refusal> {
    let mut totals = Totals::new();
    let all = reader
        .names_and_windows(CellKind::Events, interval.hours(), keys_max, |name, value| {
            let key = flag_key(name);
            let total: &mut Events = totals.entry((key.is_none(), key)).or_default();
            total.merge(&cells::events(&value)?);
            Ok(())
        })
        .await?;
    Ok((totals, all))
}

fn item(((other, key), total): ((bool, Option<String>), Events)) -> Result<Item, Refusal> {
    let sum = RawValue::from_string(decimal(total.metric_sum())).map_err(|error| Refusal::damaged(&error))?;
    Ok(Item { key, other, count: total.count(), metric_count: total.metric_count(), metric_sum: sum })
}

/// Millionths as a decimal without trailing zeros.
pub(crate) fn decimal(millionths: i128) -> String {
    let magnitude = millionths.unsigned_abs();
    let (whole, fraction) = (magnitude / 1_000_000, magnitude % 1_000_000);
    let sign = if millionths < 0 { "-" } else { "" };
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let fraction = format!("{fraction:06}");
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

fn read_token(text: &str) -> Result<Token, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let token = bytes.and_then(|bytes| serde_json::from_slice::<Token>(&bytes).ok());
    let times = 0..=crate::parameters::TIME_MS_MAX + HOUR_MS;
    token
        .filter(|Token(from, to, _)| times.contains(from) && times.contains(to))
        .ok_or_else(|| Refusal::parameter("continuationToken", text, "what `_links.next.href` of the page before had"))
}
