//! What stands for the old path in a build that has none.

use std::sync::Arc;

use eventlog::EventLog;
use experiments::Comparisons;
use experiments::other_path::OtherPath;
use ingest::Ingest;
use schemas::id::Environment;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Role;
use super::backend::{Backend, now_ms};
use super::metrics::Metrics;
use crate::config::Settings;

/// Nothing is compared.
pub fn compares(_: &Settings, _: Role) -> bool {
    false
}

/// Nothing.
pub struct OldPath;

impl OldPath {
    /// Nothing is opened.
    #[expect(clippy::unused_async, reason = "the face is that of the old path, which waits")]
    pub async fn open(_: &Settings, _: Role, _: &mut Backend) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Ingest alone.
    pub fn ingest(&self, log: Arc<dyn EventLog>, settings: &Settings) -> Ingest {
        Ingest::new(log, settings.generation.clock, settings.written.limits.clone(), Arc::new(now_ms))
    }

    /// There is none.
    pub fn other_path(&self, _: &Comparisons) -> Option<Arc<dyn OtherPath>> {
        None
    }

    /// There is nothing to tell.
    pub fn register(&self, _: &mut Metrics) {}

    /// Nothing runs.
    pub fn start(&mut self, _: Option<&Ingest>, _: Vec<Environment>, _: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        Vec::new()
    }

    /// Nothing is to be told.
    #[expect(clippy::unused_async, reason = "the face is that of the old path, which waits")]
    pub async fn settle(&self) {}
}
