//! An ingest to test with: a log that keeps what it is given and answers as it is told, a clock that stands.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use eventlog::{Error, EventLog, Held, Subscription};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use schemas::generation::ClockLimits;
use schemas::id::Environment;
use schemas::log::{Append, Logged};
use schemas::record::{Header, PayloadView, RecordKind, decode_payload};
use schemas::rejection::Rejections;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::keys::{EnvironmentKeys, KeyTable};
use crate::limits::Limits;
use crate::{Clock, Ingest, service};

pub(super) const NOW_MS: i64 = 1_760_000_000_000;
pub(super) const SERVER_KEY: &str = "sdk-golden-0001";
pub(super) const MOBILE_KEY: &str = "mob-golden-0001";
pub(super) const CLIENT_SIDE_ID: &str = "client-golden-0001";

/// What the log says to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// Kept.
    Done,
    /// Nothing kept, try again.
    Full,
    /// The same for whatever has a record for this partition.
    FullAt(u32),
    /// Nothing kept, too much waits.
    Busy,
    /// Kept, though nobody can know.
    Unknown,
    /// Nothing will ever be kept.
    Poisoned,
    /// Nothing at all, until it is told to say something else.
    Nothing,
}

/// A log that keeps appends in order.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) kept: Arc<Mutex<Vec<Append>>>,
    says: watch::Sender<Says>,
}

impl EventLog for Ledger {
    fn partitions(&self) -> u32 {
        2
    }

    fn append(&self, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        let (kept, mut says) = (Arc::clone(&self.kept), self.says.subscribe());
        async move {
            match *says.wait_for(|says| *says != Says::Nothing).await.unwrap() {
                Says::Full => return Err(Error::Full("a test said so".into())),
                Says::Busy => return Err(Error::Busy("a test said so".into())),
                Says::Unknown => {
                    kept.lock().unwrap().extend(records);
                    return Err(Error::Unknown("a test said so".into()));
                }
                Says::Poisoned => return Err(Error::Poisoned("a test said so".into())),
                Says::FullAt(partition) if records.iter().any(|record| record.partition == partition) => {
                    return Err(Error::Full("a test said so".into()));
                }
                Says::Done | Says::Nothing | Says::FullAt(_) => {}
            }
            let offsets = (0..records.len() as u64).collect();
            kept.lock().unwrap().extend(records);
            Ok(offsets)
        }
        .boxed()
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>, Error> {
        Err(Error::Setting("nobody reads here".into()))
    }

    fn read(&self, _partition: u32) -> Result<Box<dyn Subscription>, Error> {
        self.subscribe()
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        async { Ok(vec![]) }.boxed()
    }

    fn release(&self, _partition: u32, _below: u64) {}
}

/// A record of a payload, read.
pub(super) struct Record {
    pub(super) partition: u32,
    pub(super) header: Header,
    pub(super) view: PayloadView,
}

pub(super) struct Bench {
    pub(super) ingest: Ingest,
    log: Arc<Ledger>,
    now_ms: Arc<AtomicI64>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable code of an error's body; empty when it has none.
    pub(super) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(super) fn environment() -> Environment {
    Environment::new("default", "production").unwrap()
}

/// A table with these server keys, and the other two.
pub(super) fn table(server_keys: &[&str]) -> KeyTable {
    let keys = EnvironmentKeys {
        environment: environment(),
        server_keys: server_keys.iter().map(|key| (*key).to_owned()).collect(),
        mobile_keys: vec![MOBILE_KEY.into()],
        client_side_ids: vec![CLIENT_SIDE_ID.into()],
    };
    KeyTable::new(&[keys]).unwrap()
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let (log, now_ms) = Self::parts();
        let (ledger, clock) = (Arc::clone(&log) as Arc<dyn EventLog>, Self::clock(&now_ms));
        Self::of(Ingest::new(ledger, ClockLimits::default(), limits, clock), log, now_ms)
    }

    /// A bench of its parts; `ingest` must have been made of the other two.
    pub(super) fn of(ingest: Ingest, log: Arc<Ledger>, now_ms: Arc<AtomicI64>) -> Self {
        ingest.keys().swap(table(&[SERVER_KEY]), NOW_MS, 0);
        Self { ingest, log, now_ms }
    }

    pub(super) fn parts() -> (Arc<Ledger>, Arc<AtomicI64>) {
        let ledger = Ledger { kept: Arc::default(), says: watch::channel(Says::Done).0 };
        (Arc::new(ledger), Arc::new(AtomicI64::new(NOW_MS)))
    }

    pub(super) fn clock(now_ms: &Arc<AtomicI64>) -> Clock {
        let now_ms = Arc::clone(now_ms);
        Arc::new(move || now_ms.load(Ordering::Relaxed))
    }

    #[cfg(feature = "gate")]
    pub(super) fn add_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) fn set_now(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn log_says(&self, says: Says) {
        self.log.says.send_replace(says);
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = service(self.ingest.clone()).oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Posts a body with the server key.
    pub(super) async fn post(&self, body: impl Into<Body>) -> Answer {
        self.send(post(SERVER_KEY).body(body.into()).unwrap()).await
    }

    /// Everything that was appended since the last call.
    pub(super) fn appended(&self) -> Vec<Append> {
        std::mem::take(&mut *self.log.kept.lock().unwrap())
    }

    /// The payload records appended since the last call, read.
    pub(super) fn records(&self) -> Vec<Record> {
        self.appended().iter().filter_map(read).collect()
    }

    /// Stops, lets waiting numbers be written, and sums what the log has: accepted, rejections, payload records.
    pub(super) async fn books(&self) -> (u64, BTreeMap<String, u64>, usize) {
        let task = tokio::spawn(self.ingest.clone().carry_numbers());
        self.ingest.stop().await;
        task.await.unwrap();
        let (mut accepted, mut rejected, mut payloads) = (0, Rejections::default(), 0);
        for append in self.appended() {
            let header = Header::decode(&append.header).unwrap();
            accepted += header.accepted;
            rejected.merge(&header.rejected);
            rejected.merge(&header.carried);
            payloads += usize::from(header.kind == RecordKind::Payload);
        }
        (accepted, by_code(&rejected), payloads)
    }
}

pub(super) fn by_code(rejections: &Rejections) -> BTreeMap<String, u64> {
    rejections.iter().map(|(reason, number)| (reason.code().to_owned(), number)).collect()
}

fn read(append: &Append) -> Option<Record> {
    let header = Header::decode(&append.header).unwrap();
    let body = append.body.clone();
    let logged = Logged { offset: 0, append_ms: 0, header: append.header.clone(), body };
    (header.kind == RecordKind::Payload).then(|| Record {
        partition: append.partition,
        view: decode_payload(&logged, header.received_ms).unwrap(),
        header,
    })
}

/// A post of a server SDK.
pub(super) fn post(key: &str) -> http::request::Builder {
    Request::post("/bulk")
        .header("authorization", key)
        .header("content-type", "application/json")
        .header("user-agent", "NodeJSClient/9.13.7")
        .header("x-launchdarkly-event-schema", "4")
        .header("x-launchdarkly-payload-id", "0b1c2d3e-0000-4000-8000-000000000001")
}

/// One summary of two counters of a flag.
pub(super) fn summary(end_ms: i64) -> String {
    format!(
        r#"[{{"kind":"summary","startDate":{},"endDate":{end_ms},"features":{{"checkout":{{"default":false,
        "contextKinds":["user"],"counters":[{{"variation":0,"version":7,"value":true,"count":3}},
        {{"value":false,"count":2,"unknown":true}}]}}}}}}]"#,
        end_ms - 1_000
    )
}

pub(super) fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A body that comes in pieces, its length not told beforehand.
pub(super) fn chunked(pieces: Vec<Bytes>) -> Body {
    Body::from_stream(futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::convert::Infallible>)))
}
