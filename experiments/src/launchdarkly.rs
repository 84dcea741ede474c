//! `GET /api/v2/usage/…`: LaunchDarkly's own shapes, so that programs written against its API read ours.
//!
//! Always true here: `_links`, `metadata` (objects) and `series` (objects of whole numbers: `time` in Unix
//! milliseconds, and one number for each entry of `metadata`, named by its place) as the vendor's clients expect them;
//! what we add stands beside these or within `metadata`. A series has every bucket of the interval, also those without
//! counts. Parameters unknown to us are passed over, since the vendor has more of them than we do.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemas::cell::{CellKind, CellName};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Serve;
use crate::cells::{self, Served};
use crate::evaluations::ROWS_MAX;
use crate::interval::{DAY_MS, HOUR_MS, Interval, MINUTE_MS, Step};
use crate::other_reads;
use crate::parameters::Parameters;
use crate::reading::{Progress, Reader};
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};
use crate::tally::{Grouping, Span, tallies};

const WORDS: [(&str, Step); 6] = [
    ("minute", Step::Minute),
    ("hour", Step::Hour),
    ("day", Step::Day),
    ("minutely", Step::Minute),
    ("hourly", Step::Hour),
    ("daily", Step::Day),
];
/// The vendor's default.
const BACK_MS: i64 = 30 * DAY_MS;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<M> {
    #[serde(rename = "_links")]
    links: Value,
    metadata: Vec<M>,
    series: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_evaluations: Option<u64>,
    /// Which path counted it, where there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    as_of: i64,
    complete: bool,
    from: i64,
    to: i64,
}

#[derive(Serialize)]
struct VariationMetadata {
    key: String,
    variation: Option<Served>,
    default: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct EnvironmentMetadata {
    key: &'static str,
    project: String,
    environment: String,
}

pub(crate) async fn evaluations(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment, flag)): Segments<(String, String, String)>,
) -> Result<Response, Refusal> {
    let environment = caller.find(&project, &environment)?;
    let mut given = Parameters::read(&caller.uri)?;
    let path = other_reads::path(&serve, &environment);
    let is_old = path == Some(other_reads::OLD);
    let interval = Interval::ask(given.time("from")?, given.time("to")?, caller.now_ms, BACK_MS, MINUTE_MS)?;
    let usual = match usual_step(interval, caller.now_ms) {
        Step::Minute if is_old => Step::Hour,
        usual => usual,
    };
    let step = given.choice("granularity", usual, &WORDS)?;
    let zone = zone(&mut given)?;
    // Days of a zone are cut from minutes: its midnight may lie within a UTC hour.
    let kept = if step == Step::Day && zone != TimeZone::UTC { Step::Minute } else { step };
    let mut span = Span { interval, step: kept };
    let name = CellName::Key(flag.clone().into());
    let (flags, progress) = if is_old {
        span = other_reads::span(span, Grouping::BY_VARIATION)?;
        let read = other_reads::read(&serve, &environment, Some(&name), span, caller.now_ms).await?;
        (read.flags, read.progress)
    } else {
        let reader = Reader::open(&serve, environment, caller.now_ms).await?;
        (tallies(&reader, Some(&name), span, Grouping::BY_VARIATION).await?, reader.progress)
    };
    let interval = span.interval;
    let buckets = buckets(interval, step, &zone)?;
    let mut metadata = Vec::new();
    let mut columns = Vec::new();
    for (tally, (group, counts)) in flags.iter().flat_map(|flag| flag.groups.iter().map(move |group| (flag, group))) {
        let value = group.served.as_ref().and_then(|served| tally.value(served));
        metadata.push(VariationMetadata {
            key: flag.clone(),
            variation: group.served.clone(),
            default: group.served == Some(Served::Default),
            other: group.other,
            estimated: counts.estimated,
            saturated: counts.saturated,
            value: value.and_then(|value| RawValue::from_string(value).ok()),
        });
        columns.push(in_buckets(&counts.series, &buckets));
    }
    json(&Answer {
        links: own_link(&caller),
        metadata,
        series: series(&buckets, &columns),
        total_evaluations: Some(flags.iter().map(|flag| flag.total()).sum()),
        path,
        as_of: progress.as_of_ms,
        complete: progress.complete,
        from: interval.from_ms,
        to: interval.to_ms,
    })
}

pub(crate) async fn events(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments(kind): Segments<String>,
) -> Result<Response, Refusal> {
    let (kind, number): (_, fn(&counting::cells::BooksChange) -> u64) = match kind.as_str() {
        "received" => ("received", |books| books.accepted),
        "published" => ("published", |books| books.counted),
        _ => return Err(Refusal::not_found(format!("no usage of events {kind:?}; there are received and published"))),
    };
    let mut given = Parameters::read(&caller.uri)?;
    let interval = Interval::ask(given.time("from")?, given.time("to")?, caller.now_ms, BACK_MS, DAY_MS)?;
    let buckets = buckets(interval, Step::Day, &TimeZone::UTC)?;
    let mut progress = Progress { complete: true, as_of_ms: caller.now_ms };
    let mut metadata = Vec::new();
    let mut columns = Vec::new();
    for environment in caller.access.visible(&caller.grant) {
        let (project, key) = (environment.project_str().to_owned(), environment.key_str().to_owned());
        metadata.push(EnvironmentMetadata { key: kind, project, environment: key });
        let reader = Reader::open(&serve, environment, caller.now_ms).await?;
        progress = progress.least(reader.progress);
        let mut days = BTreeMap::new();
        reader
            .windows(CellKind::Books, &CellName::None, interval.days(), |day, value| {
                days.insert(i64::from(day) * DAY_MS, number(cells::books(&value)?.numbers()));
                Ok(())
            })
            .await?;
        columns.push(in_buckets(&days, &buckets));
    }
    json(&Answer {
        links: own_link(&caller),
        metadata,
        series: series(&buckets, &columns),
        total_evaluations: None,
        path: None,
        as_of: progress.as_of_ms,
        complete: progress.complete,
        from: interval.from_ms,
        to: interval.to_ms,
    })
}

/// The vendor's rule: minutes within the past two hours, hours within the last two days, else days.
fn usual_step(interval: Interval, now_ms: i64) -> Step {
    match now_ms - interval.from_ms {
        age if age <= 2 * HOUR_MS + MINUTE_MS => Step::Minute,
        age if age <= 2 * DAY_MS + MINUTE_MS => Step::Hour,
        _ => Step::Day,
    }
}

fn zone(given: &mut Parameters) -> Result<TimeZone, Refusal> {
    match given.text("tz") {
        None => Ok(TimeZone::UTC),
        Some(name) if name == "UTC" => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(&name)
            .map_err(|_| Refusal::parameter("tz", &name, "a time zone of the IANA database, like Europe/Berlin")),
    }
}

/// The starts of all buckets that touch the interval, rising.
fn buckets(interval: Interval, step: Step, zone: &TimeZone) -> Result<Vec<i64>, Refusal> {
    let mut starts = Vec::new();
    let unit_ms = step.unit_ms().unwrap_or(DAY_MS);
    let number = (interval.to_ms - interval.from_ms) / unit_ms;
    if usize::try_from(number).is_ok_and(|number| number > ROWS_MAX) {
        return Err(Refusal::too_much(format!(
            "the series would have {number} points, at most {ROWS_MAX} are given; take a shorter interval or a coarser \
             `granularity`"
        )));
    }
    if step != Step::Day || *zone == TimeZone::UTC {
        let mut start = interval.from_ms - interval.from_ms.rem_euclid(unit_ms);
        while start < interval.to_ms {
            starts.push(start);
            start += unit_ms;
        }
        return Ok(starts);
    }
    let failed = |_| Refusal::parameter("from", &interval.from_ms.to_string(), "a time that this zone knows");
    let first = Timestamp::from_millisecond(interval.from_ms).map_err(failed)?.to_zoned(zone.clone());
    let mut day = first.start_of_day().map_err(failed)?;
    while day.timestamp().as_millisecond() < interval.to_ms {
        starts.push(day.timestamp().as_millisecond());
        day = day.checked_add(1.day()).and_then(|day| day.start_of_day()).map_err(failed)?;
    }
    Ok(starts)
}

/// Counts by start of the bucket that each moment lies in.
fn in_buckets(counts: &BTreeMap<i64, u64>, buckets: &[i64]) -> Vec<u64> {
    let mut sums = vec![0_u64; buckets.len()];
    for (ms, count) in counts {
        let place = buckets.partition_point(|start| start <= ms).saturating_sub(1);
        if let Some(sum) = sums.get_mut(place) {
            *sum = sum.saturating_add(*count);
        }
    }
    sums
}

fn series(buckets: &[i64], columns: &[Vec<u64>]) -> Vec<Map<String, Value>> {
    let point = |(place, start): (usize, &i64)| {
        let numbers = columns
            .iter()
            .enumerate()
            .map(|(column, counts)| (column.to_string(), Value::from(counts.get(place).copied().unwrap_or(0))));
        std::iter::once(("time".to_owned(), Value::from(*start))).chain(numbers).collect()
    };
    buckets.iter().enumerate().map(point).collect()
}

fn own_link(caller: &Caller) -> Value {
    let href = caller.uri.path_and_query().map_or("", |path| path.as_str());
    serde_json::json!({ "self": { "href": href, "type": "application/json" } })
}
