//! What the server tells of both paths, as anybody may ask it over HTTP.
//!
//! Always true here: an answer that is not understood is an error, never a number; hours are added up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use ingest::gate::Stage;
use schemas::fixed::Micros;
use serde_json::Value;
use tokio::time::timeout;

use super::http::Connection;
use super::truth::{Evaluated, Served};
use crate::keys::{ENVIRONMENT, PROJECT};

/// Longer than the server waits until all is counted.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// Asks the server.
#[derive(Debug)]
pub struct Asker {
    address: SocketAddr,
    connection: Connection,
}

/// What the gate says of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The stage in force.
    pub stage: Stage,
    /// Why it does not step forward.
    pub held_back: Option<String>,
}

/// What the server tells of itself, without asking its store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Records that the numbers are behind the log.
    pub lag: u64,
    /// Evaluations and events that the old path was refused.
    pub refused: u64,
    /// Those of which it does not know whether they were written, or how often.
    pub unknown: u64,
}

/// What both paths counted of something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// The old one.
    pub old: i64,
    /// The new one.
    pub new: i64,
    /// Why they differ: the least and the most that each cause adds to old − new.
    pub causes: BTreeMap<String, (i64, i64)>,
}

/// A comparison of all that was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Nothing that was accepted is missing in it.
    pub is_complete: bool,
    /// How much is not explained.
    pub unexplained: u64,
    /// Evaluations.
    pub evaluations: BTreeMap<Evaluated, Paths>,
    /// Custom events by key.
    pub events: BTreeMap<String, Paths>,
}

impl Asker {
    /// Asks the server there.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: Connection::new(address) }
    }

    /// How it goes now.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn metrics(&mut self) -> anyhow::Result<Metrics> {
        read_metrics(&String::from_utf8_lossy(&self.body("/metrics").await?))
    }

    /// Where the gate is.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn gate(&mut self) -> anyhow::Result<Gate> {
        read_gate(&self.get("/v1/pipeline/gate").await?)
    }

    /// Both paths compared, and why they differ.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn comparison(&mut self) -> anyhow::Result<Comparison> {
        let path = format!("/v1/pipeline/comparison?project={PROJECT}&environment={ENVIRONMENT}&limit=1000");
        read_comparison(&self.get(&path).await?)
    }

    /// Sums of the values of custom events by key, in millionths, as the path in charge has them.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn event_sums(&mut self) -> anyhow::Result<BTreeMap<String, i128>> {
        let path = format!("/v1/projects/{PROJECT}/environments/{ENVIRONMENT}/events");
        read_sums(&self.get(&path).await?)
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let body = self.body(path).await?;
        serde_json::from_slice(&body).with_context(|| format!("{path}: the answer is no JSON"))
    }

    async fn body(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let asked = Request::get(path).header(HOST, self.address.to_string()).body(Full::default())?;
        let answer = timeout(ANSWER_WITHIN, self.connection.answer(asked)).await;
        let (status, body) = answer.with_context(|| format!("{path}: no answer within {ANSWER_WITHIN:?}"))??;
        ensure!(status == StatusCode::OK, "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// Sums over partitions.
fn read_metrics(text: &str) -> anyhow::Result<Metrics> {
    let (mut read, mut partitions) = (Metrics::default(), 0);
    for line in text.lines() {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let add = |sum: &mut u64| {
            *sum += value.parse::<u64>().with_context(|| format!("{line} is no count"))?;
            anyhow::Ok(())
        };
        if name.starts_with("flagstream_processor_lag_records{") {
            partitions += 1;
            add(&mut read.lag)?;
        } else if name == r#"flagstream_oldpath_writes_total{fate="refused"}"# {
            add(&mut read.refused)?;
        } else if matches!(
            name,
            r#"flagstream_oldpath_writes_total{fate="uncertain"}"# | r#"flagstream_oldpath_writes_total{fate="extra"}"#
        ) {
            add(&mut read.unknown)?;
        }
    }
    ensure!(partitions > 0, "the metrics tell of no partition");
    Ok(read)
}

fn read_gate(answer: &Value) -> anyhow::Result<Gate> {
    let items = answer["items"].as_array().context("the gate has no list of environments")?;
    let ours = |item: &&Value| item["project"] == PROJECT && item["environment"] == ENVIRONMENT;
    let item = items.iter().find(ours).context("the gate does not know the environment yet")?;
    let stage = item["stage"].as_str().and_then(Stage::from_name).context("the gate tells of no stage")?;
    Ok(Gate { stage, held_back: item["heldBack"].as_str().map(str::to_owned) })
}

fn read_comparison(answer: &Value) -> anyhow::Result<Comparison> {
    let mut read = Comparison {
        is_complete: answer["complete"] == true,
        unexplained: answer["totals"]["unexplained"].as_u64().context("the comparison has no totals")?,
        ..Comparison::default()
    };
    let items = answer["items"].as_array().context("the comparison has no items")?;
    ensure!(answer["_links"]["next"].is_null(), "the comparison has more rows than were asked for");
    for item in items {
        let paths = match (item["flag"].as_str(), item["key"].as_str()) {
            (Some(flag), None) => read.evaluations.entry((flag.to_owned(), read_served(item)?)).or_default(),
            (None, Some(key)) => read.events.entry(key.to_owned()).or_default(),
            _ => bail!("a row of the comparison is of no flag and no event: {item}"),
        };
        paths.add(item)?;
    }
    Ok(read)
}

fn read_served(item: &Value) -> anyhow::Result<Served> {
    if item["default"] == true {
        return Ok(Served::Default);
    }
    let index = item["variation"].as_u64().and_then(|index| u32::try_from(index).ok());
    Ok(Served::Index(index.with_context(|| format!("a row of the comparison has no variation: {item}"))?))
}

impl Paths {
    fn add(&mut self, item: &Value) -> anyhow::Result<()> {
        let number = |value: &Value| value.as_i64().with_context(|| format!("{value} is no number, in {item}"));
        self.old += number(&item["old"])?;
        self.new += number(&item["new"])?;
        for cause in item["causes"].as_array().context("a row of the comparison has no causes")? {
            let name = cause["cause"].as_str().context("a cause has no name")?;
            let (low, high) = self.causes.entry(name.to_owned()).or_default();
            *low += number(&cause["low"])?;
            *high += number(&cause["high"])?;
        }
        Ok(())
    }

    /// The least and the most that a cause adds to old − new.
    pub fn cause(&self, name: &str) -> (i64, i64) {
        self.causes.get(name).copied().unwrap_or_default()
    }

    /// What the old path counted while both were written.
    pub fn old_of_both(&self) -> i64 {
        self.old - self.cause("old_path_only").0
    }

    /// What the new path counted while both were written.
    pub fn new_of_both(&self) -> i64 {
        self.new + self.cause("new_path_only").0
    }
}

fn read_sums(answer: &Value) -> anyhow::Result<BTreeMap<String, i128>> {
    let items = answer["items"].as_array().context("the custom events have no list")?;
    let sum = |item: &Value| {
        let key = item["key"].as_str().context("custom events have no key")?;
        // No sum of the demo's values has so many digits that it would not survive being read as a float.
        let sum = Micros::parse(&item["metricSum"].to_string()).context("custom events have no sum")?;
        anyhow::Ok((key.to_owned(), i128::from(sum.0)))
    };
    items.iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hours_of_a_comparison_are_added_up() {
        let row = |hour: i64, old: i64, causes: Value| {
            json!({"kind": "evaluations", "flag": "checkout", "variation": 1, "default": false, "hour": hour, "old": old,
                   "new": 5, "difference": old - 5, "causes": causes, "unexplained": 0})
        };
        let refused = |low: i64| json!([{"cause": "write_uncertain", "low": low, "high": 0}]);
        let answer = json!({"complete": true, "totals": {"unexplained": 3}, "_links": {}, "items": [
            row(0, 2, refused(-3)),
            row(3_600_000, 4, refused(-1)),
            {"kind": "evaluations", "flag": "checkout", "variation": null, "default": true, "old": 9, "new": 8,
             "causes": [{"cause": "old_path_only", "low": 2, "high": 2}, {"cause": "new_path_only", "low": -1, "high": -1}]},
            {"kind": "events", "key": "paid", "default": true, "old": 1, "new": 1, "causes": []},
        ]});
        let read = read_comparison(&answer).unwrap();
        let of = |served| &read.evaluations[&("checkout".to_owned(), served)];
        let hours = of(Served::Index(1));
        assert_eq!((hours.old, hours.new, hours.cause("write_uncertain")), (6, 10, (-4, 0)));
        let default = of(Served::Default);
        assert_eq!((default.old_of_both(), default.new_of_both()), (7, 7));
        assert_eq!((read.is_complete, read.unexplained, read.events["paid"].old), (true, 3, 1));
    }

    #[test]
    fn what_is_not_understood_is_no_number() {
        let totals = json!({"unexplained": 0});
        for items in [
            json!([{"old": 1, "new": 1, "causes": []}]),
            json!([{"flag": "f", "variation": "on", "old": 1, "new": 1, "causes": []}]),
            json!([{"flag": "f", "variation": 1, "old": 1, "causes": []}]),
            json!([{"flag": "f", "variation": 1, "old": 1, "new": 1}]),
        ] {
            assert!(read_comparison(&json!({"totals": totals, "items": items})).is_err(), "{items}");
        }
        assert!(read_comparison(&json!({"items": []})).is_err());
        assert!(read_gate(&json!({"items": []})).is_err());
    }

    #[test]
    fn metrics_are_added_up() {
        let text = "# TYPE x counter\nflagstream_processor_lag_records{partition=\"0\"} 3\n\
                    flagstream_processor_lag_records{partition=\"1\"} 4\nflagstream_oldpath_writes_total{fate=\"refused\"} 5\n\
                    flagstream_oldpath_writes_total{fate=\"uncertain\"} 6\nflagstream_oldpath_writes_total{fate=\"extra\"} 1\n\
                    flagstream_oldpath_writes_total{fate=\"applied\"} 9\n# EOF\n";
        assert_eq!(read_metrics(text).unwrap(), Metrics { lag: 7, refused: 5, unknown: 7 });
        assert!(read_metrics("# EOF\n").is_err());
    }

    #[test]
    fn gate_and_sums_are_read() {
        let gate = json!({"items": [
            {"project": "other", "environment": ENVIRONMENT, "stage": "off"},
            {"project": PROJECT, "environment": ENVIRONMENT, "stage": "shadow", "heldBack": "7 are unexplained"},
        ]});
        let held_back = Some("7 are unexplained".to_owned());
        assert_eq!(read_gate(&gate).unwrap(), Gate { stage: Stage::Shadow, held_back });
        let events = json!({"items": [{"key": "paid", "metricSum": -12.34}, {"key": "signup", "metricSum": 0}]});
        let sums = read_sums(&events).unwrap();
        assert_eq!((sums["paid"], sums["signup"]), (-12_340_000, 0));
    }
}
