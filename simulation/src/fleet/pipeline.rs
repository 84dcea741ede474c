//! The product's own pipeline in one process, with a clock that stands where it is put: ingest's router, log,
//! processor, store, and the router of the query API.
//!
//! Always true here: nothing is told to the store but through ingest and the API; the clock does not run by itself, and
//! the answer to a question waits until all that was sent before is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use counting::Break;
use eventlog::EventLog;
use eventlog::memory::MemoryLog;
use experiments::{Access, Arrivals, CaughtUp, EnvironmentAccess, Publisher, Serve, StaleSettings};
use http_body_util::BodyExt as _;
use ingest::Ingest;
use ingest::keys::{EnvironmentKeys, KeyTable};
use processor::{Keeping, Processor, Settings, SnapshotEvery};
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::record::generation_record;
use serde_json::Value;
use stores::embedded::Options;
use stores::memory::MemoryStore;
use stores::snapshots::Snapshots;
use stores::state::LocalState;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::bodies::{Sent, envelope};
use super::places::PROJECTS;

const PARTITIONS: u32 = 4;
/// Of real time; the fold does not know of it.
const FLUSH_EVERY: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// The pipeline.
pub(super) struct Pipeline {
    clock: Arc<AtomicI64>,
    log: MemoryLog,
    processor: Processor,
    ingest: Router,
    api: Router,
    payloads: u64,
    _folder: TempDir,
}

impl Pipeline {
    /// A pipeline with nothing in it; `broken` is a rule that its fold breaks.
    pub(super) async fn start(now_ms: i64, broken: Option<Break>) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the processor's state")?;
        let clock = Arc::new(AtomicI64::new(now_ms));
        let log = MemoryLog::new(PARTITIONS);
        let store = Arc::new(MemoryStore::new());
        let generation = Generation::new(1, "fleet", PARTITIONS, counting::FOLD_VERSION);
        log.set_append_ms(now_ms);
        let rows = (0..PARTITIONS).map(|partition| generation_record(&generation, partition, now_ms));
        log.append(rows.collect()).await?;
        let keeping = Keeping::Apart {
            store: store.clone(),
            state: Arc::new(LocalState::open(&folder.path().join("state"), &Options::default())?),
            snapshots: Snapshots::in_folder(&folder.path().join("snapshots"))?,
            snapshot_every: SnapshotEvery { time: Duration::from_secs(3_600), records: u64::MAX },
        };
        let settings = Settings {
            name: "fleet".to_owned(),
            generation: generation.clone(),
            flush_every: FLUSH_EVERY,
            dead_letters: folder.path().join("dead-letters"),
        };
        let readers = (0..PARTITIONS).map(|_| log.subscribe()).collect::<Result<_, _>>()?;
        let processor =
            Processor::start_with(settings, Arc::new(log.clone()), readers, keeping, |worker| match broken {
                Some(rule) => worker.breaking(rule),
                None => worker,
            })?;
        (0..PARTITIONS).for_each(|partition| log.assign(partition, partition as usize));
        let ingest = ingest(&log, &generation, &clock)?;
        let api = experiments::router(serve(&log, store, &generation, &clock)?);
        Ok(Self { clock, log, processor, ingest, api, payloads: 0, _folder: folder })
    }

    /// Puts the clock there.
    pub(super) fn set_now(&self, now_ms: i64) {
        self.clock.store(now_ms, Ordering::Relaxed);
        self.log.set_append_ms(now_ms);
    }

    /// Sends a payload.
    pub(super) async fn send(&mut self, sent: Sent) -> Result<()> {
        let (path, headers) = envelope(sent.app, &sent.version);
        self.payloads += 1;
        let mut request = Request::post(&path).header("x-launchdarkly-payload-id", format!("{:032x}", self.payloads));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = self.ingest.clone().oneshot(request.body(Body::from(sent.body))?).await?;
        ensure!(response.status() == StatusCode::ACCEPTED, "ingest answered {} to {path}", response.status());
        Ok(())
    }

    /// Payloads that were taken.
    pub(super) fn payloads(&self) -> u64 {
        self.payloads
    }

    /// Says something of a flag, for admins.
    pub(super) async fn tell(&self, project: &str, flag: &str, metadata: &Value) -> Result<()> {
        self.settle().await?;
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("/v1/projects/{project}/flags/{flag}"))
            .header("content-type", "application/json")
            .body(Body::from(metadata.to_string()))?;
        self.answer(request).await.map(|_| ())
    }

    /// Asks when everything is durable.
    pub(super) async fn ask(&self, path: &str) -> Result<Value> {
        self.settle().await?;
        self.answer(Request::get(path).body(Body::empty())?).await
    }

    async fn answer(&self, request: Request<Body>) -> Result<Value> {
        let asked = format!("{} {}", request.method(), request.uri());
        let response = self.api.clone().oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{asked}: {status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).with_context(|| format!("{asked}: not JSON"))
    }

    /// Waits until everything in the log is durable.
    pub(super) async fn settle(&self) -> Result<()> {
        let health = self.processor.health();
        let is_settled = async || -> Result<bool> {
            let progress = |partition| health.partition(partition).and_then(|health| health.progress);
            let is = |(partition, held): (u32, eventlog::Held)| {
                progress(partition).is_some_and(|progress| progress.saved == held.end && progress.durable == held.end)
            };
            Ok((0..).zip(self.log.held().await?).all(is))
        };
        let until = async {
            while !is_settled().await? {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            settled = tokio::time::timeout(PATIENCE, until) => settled.context("the processor does not get through")?,
            why = self.processor.failed() => bail!("the processor failed: {why}"),
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) -> Result<()> {
        Ok(self.processor.stop().await?)
    }
}

fn environments() -> Result<Vec<Environment>> {
    let of = |project: &super::places::Project| {
        let name = project.name;
        project.environments.iter().map(move |key| Ok(Environment::new(name, key)?)).collect::<Vec<_>>()
    };
    PROJECTS.iter().flat_map(of).collect()
}

fn ingest(log: &MemoryLog, generation: &Generation, clock: &Arc<AtomicI64>) -> Result<Router> {
    let now = Arc::clone(clock);
    let now = Arc::new(move || now.load(Ordering::Relaxed));
    let ingest = Ingest::new(Arc::new(log.clone()), generation.clock, ingest::limits::Limits::default(), now);
    let keys = environments()?.into_iter().map(|environment| {
        let place = format!("{}-{}", environment.project_str(), environment.key_str());
        EnvironmentKeys {
            environment,
            server_keys: vec![format!("sdk-{place}")],
            mobile_keys: vec![format!("mob-{place}")],
            client_side_ids: vec![format!("client-{place}")],
        }
    });
    ingest.keys().swap(KeyTable::new(&keys.collect::<Vec<_>>())?, clock.load(Ordering::Relaxed), 0);
    Ok(ingest::service(ingest))
}

fn serve(log: &MemoryLog, store: Arc<MemoryStore>, generation: &Generation, clock: &Arc<AtomicI64>) -> Result<Serve> {
    let open = |environment| EnvironmentAccess { environment, read_keys: Vec::new() };
    let environments = environments()?.into_iter().map(open).collect();
    let access = Arc::new(Access { environments, admin_keys: Vec::new() });
    let clock = Arc::clone(clock);
    Ok(Serve {
        store,
        log: Arc::new(log.clone()),
        generation: generation.number,
        partitions: generation.partitions,
        access: Arc::new(move || Arc::clone(&access)),
        clock_ms: Arc::new(move || clock.load(Ordering::Relaxed)),
        stale: StaleSettings::default(),
        arrivals: Arc::new(Arrivals::default),
        dead_letters: Arc::new(|_, _| Box::pin(std::future::ready(Ok((Vec::new(), 0))))),
        caught_up: CaughtUp::default(),
        other_path: None,
        comparisons: experiments::Comparisons::default(),
        publisher: Publisher::default(),
        owners: Arc::new(|| Box::pin(std::future::ready(Ok(Vec::new())))),
        metrics: Arc::new(|| Box::pin(async { String::new() })),
        ready: Arc::new(|| Ok(())),
        address: "http://127.0.0.1:8080".to_owned(),
        data: String::new(),
        keys_file: String::new(),
        request_prefix: "fleet".to_owned(),
    })
}
