//! `GET …/events`: custom events, how many of them had a value, and the exact sum.
//!
//! Always true here: the sum is written as the decimal that it is, never through a float; events are kept by the hour,
//! so the interval is whole hours; items come in order of key, what is beyond the limit of keys last (`key: null`).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use counting::cells::Events;
use schemas::cell::CellKind;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Serve;
use crate::cells;
use crate::evaluations::flag_key;
use crate::interval::{DAY_MS, HOUR_MS, Interval};
use crate::paging::{self, List};
use crate::parameters::Parameters;
use crate::reading::{Looked, Reader};
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};

/// More keys than a generation's limit lets any environment have (10,000 and `other`).
const KEYS_MAX: usize = 20_000;
const KNOWN: [&str; 4] = ["from", "to", "limit", "continuationToken"];

#[derive(Serialize)]
struct Head {
    from: i64,
    to: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    key: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
    count: u64,
    metric_count: u64,
    metric_sum: Box<RawValue>,
}

/// Behind what a page begins: the interval of the first page, and the last key.
#[derive(Serialize, serde::Deserialize)]
struct Token(i64, i64, Key);

pub(crate) async fn events(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let environment = caller.find(&project, &environment)?;
    let mut given = Parameters::read(&caller.uri)?;
    let (from, to) = (given.time("from")?, given.time("to")?);
    let limit = paging::limit(&mut given)?;
    let token: Option<Token> = paging::token(&mut given)?;
    given.end(&KNOWN)?;
    let interval = match &token {
        Some(Token(from, to, _)) => Interval::of_token(*from, *to)?,
        None => Interval::ask(from, to, caller.now_ms, DAY_MS, HOUR_MS)?,
    };
    let reader = Reader::open(&serve, environment, caller.now_ms).await?;
    let (totals, looked) = totals(&reader, interval, KEYS_MAX).await?;
    if !looked.all {
        return Err(Refusal::too_much(format!("this environment has more than {KEYS_MAX} keys of events")));
    }
    let behind = token.map_or(Bound::Unbounded, |Token(_, _, key)| Bound::Excluded(key));
    let mut rest = totals.range((behind, Bound::Unbounded));
    let page: Vec<(&Key, &Events)> = rest.by_ref().take(limit).collect();
    let last = page.last().map(|(key, _)| (*key).clone()).filter(|_| rest.next().is_some());
    let next = last.map(|key| {
        let token = Token(interval.from_ms, interval.to_ms, key);
        paging::next(caller.uri.path(), &format!("limit={limit}"), &token)
    });
    let items: Vec<Item> = page.into_iter().map(item).collect::<Result<_, _>>()?;
    let head = Head { from: interval.from_ms, to: interval.to_ms };
    json(&List::new(reader.progress, head, items, totals.len(), next))
}

/// Whether it is what is beyond the limit of keys (which stands last), and the key.
type Key = (bool, Option<String>);

/// Totals by key.
pub(crate) type Totals = BTreeMap<Key, Events>;

/// Totals of those of the first `keys_max` keys (the shortest) that count in the interval, and what was looked at.
pub(crate) async fn totals(
    reader: &Reader<'_>,
    interval: Interval,
    keys_max: usize,
) -> Result<(Totals, Looked), Refusal> {
    let mut totals = Totals::new();
    let looked = reader
        .names_and_windows(CellKind::Events, interval.hours(), keys_max, |name, _, value| {
            let key = flag_key(name);
            let total: &mut Events = totals.entry((key.is_none(), key)).or_default();
            total.merge(&cells::events(&value)?);
            Ok(())
        })
        .await?;
    Ok((totals, looked))
}

fn item(((other, key), total): (&Key, &Events)) -> Result<Item, Refusal> {
    let sum = RawValue::from_string(decimal(total.metric_sum())).map_err(|error| Refusal::damaged(&error))?;
    Ok(Item {
        key: key.clone(),
        other: *other,
        saturated: total.saturated(),
        count: total.count(),
        metric_count: total.metric_count(),
        metric_sum: sum,
    })
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
