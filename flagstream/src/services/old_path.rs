//! The old path beside the new one: its writer and the gate where payloads come in, its worker where it is asked for.
//! Nothing of it runs without `[gate]` in the configuration.
//!
//! Always true here: what came of old writes and jobs is told to the log before that is closed. `absent` has the same
//! face for a build without an old path.

mod places;

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::ensure;
use eventlog::EventLog;
use experiments::Comparisons;
use experiments::other_path::OtherPath;
use ingest::Ingest;
use ingest::gate::{Gate, OldAnswer, OldPayload, Stage};
use oldpath::Dice;
use oldpath::jobs::Jobs;
use oldpath::outcomes::Outcomes;
use oldpath::reads::Reads;
use oldpath::store::OldStore;
use oldpath::worker::{self, Worker};
use oldpath::writer::{self, Writer};
use schemas::id::Environment;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Role;
use super::backend::{Backend, now_ms};
use super::metrics::Metrics;
use crate::config::Settings;

/// What runs of the old path in this process.
pub struct OldPath(Option<Parts>);

struct Parts {
    counters: Arc<dyn OldStore>,
    outcomes: Outcomes,
    gate: Option<Gate>,
    writer: Option<Writer>,
    worker: Option<(Worker, worker::Metrics)>,
}

/// Whether this role compares the two paths though it needs no store for anything else: before a step forward ingest's
/// gate asks whether everything is explained.
pub fn compares(settings: &Settings, role: Role) -> bool {
    settings.gate.is_some() && role.takes()
}

impl OldPath {
    /// Opens what this role needs of it, if a gate is configured.
    ///
    /// # Errors
    /// What is wrong with counters, queue or kept stages, and what to do.
    pub async fn open(settings: &Settings, role: Role, backend: &mut Backend) -> anyhow::Result<Self> {
        ensure!(
            settings.gate.is_some() || !role.only_works(),
            "a worker does the jobs of the old path, which runs behind a gate; set [gate] flags, and [jobs]"
        );
        let (Some(gate), true) = (&settings.gate, role != Role::Process) else { return Ok(Self(None)) };
        let counters = places::counters(settings, gate, &mut backend.poisoned).await?;
        let outcomes = Outcomes::new(backend.log(), Arc::new(now_ms), Dice::system());
        let mut parts = Parts { counters, outcomes, gate: None, writer: None, worker: None };
        if role.takes() || role.works() {
            let jobs = places::jobs(settings, gate, &mut backend.poisoned).await?;
            parts.worker = role.works().then(|| parts.worker(Arc::clone(&jobs)));
            parts.writer = role.takes().then(|| parts.writer(jobs));
        }
        if role.takes() || role.reads() {
            let sink: Arc<dyn ingest::gate::OldPath> = match &parts.writer {
                Some(writer) => Arc::new(writer.clone()),
                None => Arc::new(Nowhere),
            };
            let (flags, data, old_bytes_max) = (gate.flags.clone(), settings.data.clone(), gate.old_bytes_max);
            let settings = ingest::gate::Settings { flags, data, old_bytes_max };
            parts.gate = Some(Gate::open(settings, sink, Arc::new(now_ms)).await?);
        }
        Ok(Self(Some(parts)))
    }

    /// Ingest, behind the gate where there is one.
    pub fn ingest(&self, log: Arc<dyn EventLog>, settings: &Settings) -> Ingest {
        let (clock_limits, limits) = (settings.generation.clock, settings.written.limits.clone());
        match self.0.as_ref().and_then(|parts| parts.gate.as_ref()) {
            Some(gate) => Ingest::gated(log, clock_limits, limits, Arc::new(now_ms), gate.clone()),
            None => Ingest::new(log, clock_limits, limits, Arc::new(now_ms)),
        }
    }

    /// What reads are told of it, and from which comparisons the gate hears whether a step forward may be made.
    pub fn other_path(&self, comparisons: &Comparisons) -> Option<Arc<dyn OtherPath>> {
        let parts = self.0.as_ref()?;
        let gate = parts.gate.clone()?;
        let comparisons = comparisons.clone();
        gate.ask_before_advancing(Box::new(move |environment, from, _| match from {
            Stage::Off => Ok(()),
            _ => comparisons.all_is_explained(environment, now_ms()),
        }));
        Some(Arc::new(Reads::new(Arc::clone(&parts.counters), gate)))
    }

    /// Puts its counters into the metrics.
    pub fn register(&self, metrics: &mut Metrics) {
        let Some(parts) = &self.0 else { return };
        let registry = metrics.part("oldpath");
        parts.outcomes.register(registry);
        if let Some(writer) = &parts.writer {
            writer.register(registry);
        }
        if let Some((_, metrics)) = &parts.worker {
            metrics.register(registry);
        }
    }

    /// Starts what runs by itself, until told to stop. `environments` are those that have keys.
    pub fn start(
        &mut self,
        ingest: Option<&Ingest>,
        environments: Vec<Environment>,
        stopped: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let Some(parts) = &mut self.0 else { return Vec::new() };
        let mut tasks = Vec::new();
        match (ingest, parts.gate.clone()) {
            (Some(ingest), Some(_)) => tasks.push(tokio::spawn(ingest.clone().drive_gate())),
            (None, Some(gate)) => tasks.push(tokio::spawn(gate.follow(environments, stopped.clone()))),
            (_, None) => {}
        }
        if let Some((worker, _)) = parts.worker.take() {
            let stopped = stopped.clone();
            tasks.push(tokio::spawn(async move { worker.run(stopped).await }));
        }
        tasks
    }

    /// Waits until what came of old writes is told, for as long as the log is worth trying.
    pub async fn settle(&self) {
        if let Some(parts) = &self.0 {
            parts.outcomes.settle().await;
        }
    }
}

impl Parts {
    fn worker(&self, jobs: Arc<dyn Jobs>) -> (Worker, worker::Metrics) {
        let (store, outcomes, metrics) =
            (Arc::clone(&self.counters), self.outcomes.clone(), worker::Metrics::default());
        let options = worker::Options::default();
        (Worker::new(store, jobs, outcomes, Dice::system(), options, metrics.clone()), metrics)
    }

    fn writer(&self, jobs: Arc<dyn Jobs>) -> Writer {
        let (store, outcomes) = (Arc::clone(&self.counters), self.outcomes.clone());
        Writer::new(store, jobs, outcomes, Dice::system(), writer::Options::default())
    }
}

/// Stands for the writer where no payload comes in.
#[derive(Debug)]
struct Nowhere;

impl ingest::gate::OldPath for Nowhere {
    fn write(&self, _: OldPayload) -> Pin<Box<dyn Future<Output = OldAnswer> + Send>> {
        Box::pin(ready(OldAnswer::NotWritten))
    }

    fn refuse(&self, _: OldPayload) {}
}
