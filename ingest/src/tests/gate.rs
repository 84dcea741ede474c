//! A gated ingest to test with: the bench's log, an old path that records its calls, a flag file.

mod crossing;
mod flag;
mod flips;
mod rows;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use eventlog::EventLog;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::generation::ClockLimits;
use tokio::sync::watch;

use super::bench::{Bench, Ledger, environment};
use crate::Ingest;
use crate::gate::{EnvironmentState, Gate, OldAnswer, OldPath, OldPayload, Settings, Stage};
use crate::limits::Limits;

/// What the old path says to a write; `None` = nothing, until it is told to say something.
type OldSays = Option<OldAnswer>;

/// A write, and how many records the log had when it began.
#[derive(Debug, Clone)]
struct Write {
    payload: OldPayload,
    records_before: usize,
}

/// An old path that keeps what it is called with.
#[derive(Debug)]
struct Witness {
    log: Arc<Ledger>,
    says: watch::Sender<OldSays>,
    writes: Mutex<Vec<Write>>,
    refused: Mutex<Vec<OldPayload>>,
}

impl OldPath for Witness {
    fn write(&self, payload: OldPayload) -> BoxFuture<'static, OldAnswer> {
        let records_before = self.log.kept.lock().unwrap().len();
        self.writes.lock().unwrap().push(Write { payload, records_before });
        let mut says = self.says.subscribe();
        async move { says.wait_for(Option::is_some).await.unwrap().unwrap() }.boxed()
    }

    fn refuse(&self, payload: OldPayload) {
        self.refused.lock().unwrap().push(payload);
    }
}

struct Gated {
    bench: Bench,
    gate: Gate,
    old: Arc<Witness>,
    folder: tempfile::TempDir,
}

/// A flag file that says this of every environment.
fn flag(stage: &str) -> String {
    format!(
        r#"{{"flags":{{"flagstream-path":{{"state":"ENABLED","defaultVariant":"{stage}",
        "variants":{{"off":"off","shadow":"shadow","live":"live","complete":"complete","blue":"blue"}}}}}}}}"#
    )
}

impl Gated {
    async fn new(stage: Stage) -> Self {
        Self::with(stage, Limits::default(), Settings::OLD_BYTES_MAX).await
    }

    /// Begins in `stage`: the flag says so from the start.
    async fn with(stage: Stage, limits: Limits, old_bytes_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gate.json"), flag(stage.name())).unwrap();
        Self::open(folder, limits, old_bytes_max).await
    }

    /// With the flag and the kept stages that lie in the folder.
    async fn open(folder: tempfile::TempDir, limits: Limits, old_bytes_max: usize) -> Self {
        let (log, now_ms) = Bench::parts();
        let says = watch::channel(Some(OldAnswer::Written)).0;
        let (writes, refused) = Default::default();
        let old = Arc::new(Witness { log: Arc::clone(&log), says, writes, refused });
        let data = folder.path().to_owned();
        let settings = Settings { flags: data.join("gate.json"), data, old_bytes_max };
        let (path, clock) = (Arc::clone(&old) as Arc<dyn OldPath>, Bench::clock(&now_ms));
        let gate = Gate::open(settings, path, Arc::clone(&clock)).await.unwrap();
        let ledger = Arc::clone(&log) as Arc<dyn EventLog>;
        let ingest = Ingest::gated(ledger, ClockLimits::default(), limits, clock, gate.clone());
        Self { bench: Bench::of(ingest, log, now_ms), gate, old, folder }
    }

    fn flag_file(&self) -> PathBuf {
        self.folder.path().join("gate.json")
    }

    /// Saves a flag file as editors do: beside it, then renamed.
    fn save(&self, text: &str) {
        let beside = self.folder.path().join("gate.json.new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.flag_file()).unwrap();
    }

    async fn round(&self) {
        self.gate.round(self.bench.ingest.keys().environments()).await;
    }

    /// Brings the environment to `stage`, with as many rounds as that takes.
    async fn go(&self, stage: Stage) {
        self.save(&flag(stage.name()));
        for _ in 0..4 {
            self.round().await;
            self.bench.add_ms(2_000);
        }
        assert_eq!(self.gate.stage(&environment()), stage);
    }

    fn state(&self) -> EnvironmentState {
        self.gate.state().remove(0)
    }

    fn old_says(&self, says: OldSays) {
        self.old.says.send_replace(says);
    }

    /// The old path's writes since the last call.
    fn writes(&self) -> Vec<Write> {
        std::mem::take(&mut *self.old.writes.lock().unwrap())
    }

    fn refused(&self) -> Vec<OldPayload> {
        std::mem::take(&mut *self.old.refused.lock().unwrap())
    }

    /// Lets tasks that were spawned do what they can do now.
    async fn settle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::with_prefix("flagstream");
        self.bench.ingest.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[track_caller]
    fn metric(&self, line: &str) {
        let text = self.metrics();
        assert!(text.contains(&format!("\nflagstream_gate_{line}\n")), "no {line:?} in:\n{text}");
    }
}
