//! What the server answers when asked what it counted: its read API, as programs use it.

use super::truth::{Counted, EventCounts};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ENVIRONMENT: &str = "/v1/projects/default/environments/development";
const WAIT: Duration = Duration::from_secs(20);
const PAGES_MAX: usize = 100;

/// A day's books.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) accepted: u64,
    pub(crate) counted: u64,
    pub(crate) duplicate: u64,
    pub(crate) late: u64,
    pub(crate) poison: u64,
    pub(crate) rejected: BTreeMap<String, u64>,
}

impl Books {
    /// Adds another day's.
    pub(crate) fn add(&mut self, other: Books) {
        self.accepted += other.accepted;
        self.counted += other.counted;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.poison += other.poison;
        for (reason, count) in other.rejected.into_iter().filter(|(_, count)| *count > 0) {
            *self.rejected.entry(reason).or_default() += count;
        }
    }
}

/// The status that `path` is answered with.
pub(crate) fn status(server: SocketAddr, path: &str) -> Result<u16> {
    Ok(agent().get(format!("http://{server}{path}")).call()?.status().as_u16())
}

/// Waits until what was answered 2xx is in the store.
pub(crate) fn wait_until_durable(server: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + WAIT;
    loop {
        let health = ask(server, "/v1/pipeline/health")?;
        match health["lag"]["records"].as_u64() {
            Some(0) => return Ok(()),
            Some(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            _ => bail!("lag.records is not 0 within {WAIT:?}: {health}"),
        }
    }
}

/// Usage and custom events since `from_ms`, over all pages.
pub(crate) fn counted(server: SocketAddr, from_ms: i64) -> Result<Counted> {
    let mut counted = Counted::default();
    for item in items(server, &format!("{ENVIRONMENT}/evaluations?from={from_ms}&groupBy=variation&limit=5"))? {
        counted.add_evaluations(&item).with_context(|| format!("item of evaluations: {item}"))?;
    }
    for item in items(server, &format!("{ENVIRONMENT}/events?from={from_ms}&limit=2"))? {
        counted.add_events(&item).with_context(|| format!("item of events: {item}"))?;
    }
    Ok(counted)
}

/// The books of a UTC day, `YYYY-MM-DD`.
pub(crate) fn books(server: SocketAddr, day: &str) -> Result<Books> {
    let answer = ask(server, &format!("{ENVIRONMENT}/books?day={day}"))?;
    Books::deserialize(&answer).with_context(|| format!("books: {answer}"))
}

impl Counted {
    fn add_evaluations(&mut self, item: &Value) -> Result<()> {
        let flag = item["flag"].as_str().context("no flag")?;
        let count = item["count"].as_u64().context("no count")?;
        let variation = match (&item["variation"], item["default"].as_bool().context("no default")?) {
            (Value::Null, true) => "default".to_owned(),
            (Value::Number(index), false) => index.to_string(),
            (Value::String(name), false) => name.clone(),
            _ => bail!("variation and default do not fit"),
        };
        *self.usage.entry(flag.to_owned()).or_default().entry(variation).or_default() += count;
        Ok(())
    }

    fn add_events(&mut self, item: &Value) -> Result<()> {
        let counts = EventCounts {
            count: item["count"].as_u64().context("no count")?,
            metric_count: item["metricCount"].as_u64().context("no metricCount")?,
            metric_sum: item["metricSum"].as_f64().context("no metricSum")?,
        };
        let key = item["key"].as_str().context("no key")?;
        ensure!(self.custom.insert(key.to_owned(), counts).is_none(), "listed twice");
        Ok(())
    }
}

/// All items of a list, page by page; the number of them is what `totalCount` says.
fn items(server: SocketAddr, first: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut path = first.to_owned();
    for _ in 0..PAGES_MAX {
        let page = ask(server, &path)?;
        ensure!(page["complete"] == true, "{path}: not complete though the lag is 0: {page}");
        items.extend(page["items"].as_array().with_context(|| format!("{path}: no items: {page}"))?.iter().cloned());
        let Some(next) = page["_links"]["next"]["href"].as_str() else {
            ensure!(
                page["totalCount"] == items.len(),
                "{first}: {} items over all pages, totalCount {}",
                items.len(),
                page["totalCount"]
            );
            return Ok(items);
        };
        path =
            next[next.find("/v1/").with_context(|| format!("{path}: the next page is nowhere: {next}"))?..].to_owned();
    }
    bail!("{first}: more than {PAGES_MAX} pages")
}

fn ask(server: SocketAddr, path: &str) -> Result<Value> {
    let mut answer = agent().get(format!("http://{server}{path}")).call().with_context(|| format!("GET {path}"))?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().with_context(|| format!("GET {path}"))?;
    ensure!(status == 200, "GET {path}: {status}: {text}");
    serde_json::from_str(&text).with_context(|| format!("GET {path}: {text}"))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(WAIT)).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdks::request::Request;
    use serde_json::json;
    use std::io::{BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn the_caller_s_default_is_no_variation_and_the_rest_is_named() {
        let mut counted = Counted::default();
        counted.add_evaluations(&json!({"flag": "f", "variation": 1, "default": false, "count": 2})).unwrap();
        counted.add_evaluations(&json!({"flag": "f", "variation": null, "default": true, "count": 3})).unwrap();
        counted.add_evaluations(&json!({"flag": "f", "variation": "on", "default": false, "count": 4})).unwrap();
        let usage: Vec<(&str, u64)> = counted.usage["f"].iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(usage, [("1", 2), ("default", 3), ("on", 4)]);
        for bad in [
            json!({"flag": "f", "variation": null, "default": false, "count": 1}),
            json!({"flag": "f", "variation": 1, "default": true, "count": 1}),
            json!({"flag": "f", "variation": 1, "default": false}),
            json!({"variation": 1, "default": false, "count": 1}),
        ] {
            assert!(counted.add_evaluations(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_without_one_of_its_numbers_is_refused() {
        let whole = json!({"key": "c", "count": 1, "metricCount": 0, "metricSum": 0});
        Counted::default().add_events(&whole).unwrap();
        for field in ["key", "count", "metricCount", "metricSum"] {
            let mut item = whole.clone();
            item.as_object_mut().unwrap().remove(field);
            assert!(Counted::default().add_events(&item).is_err(), "{field}");
        }
    }

    /// A server that gives each answer once, in order, to whoever asks for what.
    fn serve(answers: Vec<(&'static str, Value)>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for (target, answer) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let request = Request::read(&mut BufReader::new(&stream)).unwrap().unwrap();
                let (status, body) =
                    if request.target == target { (200, answer.to_string()) } else { (404, request.target) };
                let head =
                    format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn pages_are_followed_and_their_number_of_items_is_the_total() {
        let page = |item: u64, total: u64, next: Option<&str>| json!({"items": [item], "totalCount": total, "complete": true, "_links": next.map(|href| json!({"next": {"href": href}}))});
        let two = |total| {
            vec![("/v1/list", page(1, 2, Some("http://other/v1/list?at=2"))), ("/v1/list?at=2", page(2, total, None))]
        };
        assert_eq!(items(serve(two(2)), "/v1/list").unwrap(), [1, 2]);
        assert!(items(serve(two(3)), "/v1/list").unwrap_err().to_string().contains("totalCount 3"));
        let unfinished = json!({"items": [], "totalCount": 0, "complete": false});
        assert!(
            items(serve(vec![("/v1/list", unfinished)]), "/v1/list").unwrap_err().to_string().contains("not complete")
        );
        assert!(items(serve(vec![("/v1/other", json!({}))]), "/v1/list").unwrap_err().to_string().contains("404"));
    }

    #[test]
    fn a_lag_is_waited_for() {
        let lag = |records: u64| ("/v1/pipeline/health", json!({"lag": {"records": records, "seconds": 0}}));
        wait_until_durable(serve(vec![lag(2), lag(1), lag(0)])).unwrap();
        assert!(wait_until_durable(serve(vec![("/v1/pipeline/health", json!({}))])).is_err());
    }

    #[test]
    fn books_of_two_days_are_added_and_zeros_are_nothing() {
        let day = json!({"accepted": 7, "counted": 3, "duplicate": 2, "late": 1, "poison": 1, "rejected": {"a": 4, "b": 0}, "asOf": 1});
        let target = "/v1/projects/default/environments/development/books?day=2026-01-01";
        let mut sum = Books::default();
        sum.add(books(serve(vec![(target, day.clone())]), "2026-01-01").unwrap());
        sum.add(books(serve(vec![(target, day)]), "2026-01-01").unwrap());
        let rejected = BTreeMap::from([("a".to_owned(), 8)]);
        assert_eq!(sum, Books { accepted: 14, counted: 6, duplicate: 4, late: 2, poison: 2, rejected });
    }
}
