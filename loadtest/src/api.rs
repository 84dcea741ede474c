//! What the server says it counted, read through its API as any program would.
//!
//! Always true here: lists are read to their last page; counts are asked by the minute, with room around the asked
//! times, so that a count in a wrong minute is seen; a metric sum is read as the decimal that it is written as.

use crate::contents::{MINUTE_MS, minute_of};
use crate::differences::{Books, Counted, CountedEvent};
use crate::environments::Target;
use crate::expected::Served;
use crate::http::Connection;
use anyhow::{Context, Result, bail, ensure};
use schemas::fixed::Micros;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Minutes asked on either side of the ledger's.
const ROOM_MINUTES: i64 = 10;
/// Minutes asked at a time: an answer has at most 10,000 points.
const SLICE_MINUTES: i64 = 60;
const PAGES_MAX: usize = 10_000;
const HEALTH: &str = "/v1/pipeline/health";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A reader of a server's API.
#[derive(Debug)]
pub(crate) struct Api {
    connection: Connection,
    address: SocketAddr,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Health {
    lag: Lag,
    partitions: Vec<Standing>,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Standing {
    /// One past the last record of its log.
    pub(crate) end: u64,
    /// Records below it are durable in the store.
    pub(crate) position: u64,
}

#[derive(Deserialize)]
struct Lag {
    records: u64,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(rename = "_links", default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    next: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct EvaluationsItem {
    /// None = the flags beyond an environment's limit.
    flag: Option<String>,
    variation: Option<Variation>,
    #[serde(default)]
    default: bool,
    count: u64,
    #[serde(default)]
    series: Vec<(i64, u64)>,
}

#[derive(Deserialize)]
struct VersionItem {
    flag: Option<String>,
    version: Option<u64>,
    count: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Variation {
    Index(u32),
    Name(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventItem {
    /// None = the events beyond an environment's limit.
    key: Option<String>,
    count: u64,
    #[serde(default)]
    metric_count: u64,
    metric_sum: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct BooksAnswer {
    accepted: u64,
    counted: u64,
    duplicate: u64,
    late: u64,
    poison: u64,
    #[serde(default)]
    rejected: BTreeMap<String, u64>,
}

impl Api {
    /// A reader; `key` is a read key, which a server on loopback may not need.
    pub(crate) fn new(address: SocketAddr, key: Option<String>) -> Self {
        Self { connection: Connection::new(address), address, key }
    }

    /// The body at a path, as text.
    ///
    /// # Errors
    /// It was not answered with 200.
    pub(crate) async fn text(&mut self, path: &str) -> Result<String> {
        let status = self.fetch(path).await?;
        let body = String::from_utf8_lossy(self.connection.body()).into_owned();
        ensure!(status == 200, "GET {path} was answered {status}: {}", body.chars().take(300).collect::<String>());
        Ok(body)
    }

    /// Records between the log's end and what is durable in the store.
    pub(crate) async fn lag_records(&mut self) -> Result<u64> {
        Ok(self.get::<Health>(HEALTH).await?.lag.records)
    }

    /// How far each partition is, in their order; none while log or store cannot be asked.
    pub(crate) async fn standings(&mut self) -> Result<Option<Vec<Standing>>> {
        Ok(self.health().await?.map(|health| health.partitions))
    }

    /// None while log or store cannot be asked: just after a trouble of theirs.
    async fn health(&mut self) -> Result<Option<Health>> {
        match self.fetch(HEALTH).await? {
            503 => Ok(None),
            status => self.read(HEALTH, status).map(Some),
        }
    }

    /// Waits until everything answered 2xx before now is in what the API says.
    ///
    /// # Errors
    /// The lag is not 0 within `limit`.
    pub(crate) async fn wait_until_counted(&mut self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let lag = self.health().await?.map(|health| health.lag.records);
            if lag == Some(0) {
                return Ok(start.elapsed());
            }
            ensure!(
                start.elapsed() < limit,
                "{} records are not counted after {} s; is the processor running?",
                lag.map_or("an unknown number of".to_owned(), |lag| lag.to_string()),
                limit.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything counted of an environment (`project/environment`) that concerns `[from_ms, to_ms]`, Unix
    /// milliseconds.
    pub(crate) async fn counted(&mut self, environment: &str, from_ms: i64, to_ms: i64) -> Result<Counted> {
        let (project, environment) = Target::names(environment);
        let root = format!("/v1/projects/{project}/environments/{environment}");
        let from = from_ms - ROOM_MINUTES * MINUTE_MS;
        let to = to_ms + ROOM_MINUTES * MINUTE_MS;
        let mut counted = Counted::default();
        for slice in slices(from, to) {
            let (from, to) = (slice.start, slice.end);
            let path = format!("{root}/evaluations?from={from}&to={to}&granularity=minute&limit=1000");
            for item in self.pages::<EvaluationsItem>(path).await? {
                add_evaluations(&mut counted, item);
            }
        }
        let path = format!("{root}/evaluations?from={from}&to={to}&groupBy=version&limit=1000");
        for item in self.pages::<VersionItem>(path).await? {
            *counted.versions.entry((key_or_other(item.flag), item.version)).or_default() += item.count;
        }
        for item in self.pages::<EventItem>(format!("{root}/events?from={from}&to={to}&limit=1000")).await? {
            let (key, event) = event(item)?;
            ensure!(counted.events.insert(key.clone(), event).is_none(), "event `{key}` is listed twice");
        }
        for day in days(from_ms, to_ms)? {
            let answer = self.get::<BooksAnswer>(&format!("{root}/books?day={day}")).await?;
            counted.books.insert(day, books(&answer));
        }
        Ok(counted)
    }

    async fn pages<T: DeserializeOwned>(&mut self, first: String) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut path = first;
        for _ in 0..PAGES_MAX {
            let page = self.get::<Page<T>>(&path).await?;
            items.extend(page.items);
            match page.links.next {
                None => return Ok(items),
                // An address with scheme and host is as good as a path.
                Some(next) => {
                    let href = next.href;
                    let after_host =
                        href.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
                    path = after_host.unwrap_or(href);
                }
            }
        }
        bail!("`{path}` is a list of more than {PAGES_MAX} pages");
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let status = self.fetch(path).await?;
        self.read(path, status)
    }

    /// The body of the last answer.
    fn read<T: DeserializeOwned>(&self, path: &str, status: u16) -> Result<T> {
        let body = self.connection.body();
        if status != 200 {
            let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
            bail!("GET {path} was answered {status}: {text}");
        }
        serde_json::from_slice(body).with_context(|| {
            let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
            format!("GET {path}: the answer has not the documented shape: {text}")
        })
    }

    async fn fetch(&mut self, path: &str) -> Result<u16> {
        let authorization = self.key.as_ref().map_or(String::new(), |key| format!("authorization: {key}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{authorization}\r\n", self.address);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.connection.exchange(request.as_bytes())).await;
        answer
            .with_context(|| format!("GET {path}: no answer within {} s", ANSWER_TIMEOUT.as_secs()))?
            .with_context(|| format!("GET {path}"))
    }
}

/// `[from_ms, to_ms)` in pieces that begin at whole minutes.
fn slices(from_ms: i64, to_ms: i64) -> impl Iterator<Item = std::ops::Range<i64>> {
    let starts = (minute_of(from_ms)..to_ms).step_by((SLICE_MINUTES * MINUTE_MS) as usize);
    starts.map(move |start| start..to_ms.min(start + SLICE_MINUTES * MINUTE_MS))
}

/// The name of what lies beyond a limit; no client here sends so many keys that it should be seen.
fn key_or_other(key: Option<String>) -> String {
    key.unwrap_or_else(|| "(beyond the limit)".to_owned())
}

fn add_evaluations(counted: &mut Counted, item: EvaluationsItem) {
    let flag = key_or_other(item.flag);
    let served = match item.variation {
        None if item.default => Served::Default,
        // Neither default nor variation is no shape we know; a name that no one sends makes it a difference.
        None => Served::Name("null, but not default".to_owned()),
        Some(Variation::Index(index)) => Served::Index(index),
        Some(Variation::Name(name)) => Served::Name(name),
    };
    let sum: u64 = item.series.iter().map(|(_, count)| count).sum();
    if sum != item.count {
        counted.unequal.push((flag.clone(), served.clone(), item.count, sum));
    }
    for (minute_ms, count) in item.series {
        if count > 0 {
            *counted.evaluations.entry((flag.clone(), served.clone(), minute_ms)).or_default() += count;
        }
    }
}

fn event(item: EventItem) -> Result<(String, CountedEvent)> {
    let key = key_or_other(item.key);
    let text = item.metric_sum.as_ref().map_or("0", |sum| sum.get().trim_matches('"'));
    let sum = if text == "null" { Some(Micros(0)) } else { Micros::parse(text) };
    let sum = sum.with_context(|| format!("event `{key}` has the metric sum `{text}`, which is no decimal"))?;
    let event = CountedEvent { count: item.count, metric_count: item.metric_count, metric_sum: i128::from(sum.0) };
    Ok((key, event))
}

fn books(answer: &BooksAnswer) -> Books {
    Books {
        accepted: answer.accepted,
        counted: answer.counted,
        duplicate: answer.duplicate,
        late: answer.late,
        poison: answer.poison,
        rejected: answer.rejected.values().sum(),
    }
}

/// The UTC days that `[from_ms, to_ms]` touches, and the day of a minute later: an answer's time is the client's, a
/// receipt's the server's.
fn days(from_ms: i64, to_ms: i64) -> Result<Vec<String>> {
    const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
    let first = (from_ms - MINUTE_MS).div_euclid(DAY_MS);
    let last = (to_ms + MINUTE_MS).div_euclid(DAY_MS);
    let day = |day: i64| Ok(jiff::Timestamp::from_millisecond(day * DAY_MS)?.to_string()[..10].to_owned());
    (first..=last).map(day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_touched() {
        let noon = 1_795_348_800_000;
        assert_eq!(days(noon, noon + 1).unwrap(), ["2026-11-22"]);
        let midnight = noon + 12 * 60 * MINUTE_MS;
        assert_eq!(days(noon, midnight - 1).unwrap(), ["2026-11-22", "2026-11-23"]);
    }

    #[test]
    fn slices_cover_the_interval_once() {
        let hour = SLICE_MINUTES * MINUTE_MS;
        let all: Vec<_> = slices(30_000, 2 * hour + 1).collect();
        assert_eq!(all, [0..hour, hour..2 * hour, 2 * hour..2 * hour + 1]);
    }

    #[test]
    fn items_in_the_documented_shapes() {
        let item = |text| serde_json::from_str::<EvaluationsItem>(text).unwrap();
        let mut counted = Counted::default();
        add_evaluations(
            &mut counted,
            item(
                r#"{"flag":"a","variation":1,"default":false,"count":3,"series":[[60000,3],[120000,0]],"firstSeen":1}"#,
            ),
        );
        add_evaluations(
            &mut counted,
            item(r#"{"flag":"a","variation":null,"default":true,"count":3,"series":[[60000,2]]}"#),
        );
        add_evaluations(
            &mut counted,
            item(r#"{"flag":"a","variation":"on","default":false,"count":1,"series":[[60000,1]]}"#),
        );
        let rows: Vec<_> =
            counted.evaluations.iter().map(|((_, served, minute), count)| (served.clone(), *minute, *count)).collect();
        assert_eq!(
            rows,
            [(Served::Default, 60_000, 2), (Served::Index(1), 60_000, 3), (Served::Name("on".into()), 60_000, 1)]
        );
        assert_eq!(counted.unequal, [("a".to_owned(), Served::Default, 3, 2)]);

        let sum = |text: &str| event(serde_json::from_str(text).unwrap()).map(|(_, event)| event.metric_sum);
        assert_eq!(sum(r#"{"key":"e","count":2,"metricCount":1,"metricSum":24.99}"#).unwrap(), 24_990_000);
        assert_eq!(sum(r#"{"key":"e","count":2,"metricCount":1,"metricSum":"-0.000001"}"#).unwrap(), -1);
        assert_eq!(sum(r#"{"key":"e","count":2,"metricCount":0,"metricSum":null}"#).unwrap(), 0);
        assert!(sum(r#"{"key":"e","count":2,"metricCount":1,"metricSum":[]}"#).is_err());
    }
}
