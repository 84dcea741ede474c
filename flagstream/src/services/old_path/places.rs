//! Where the old path keeps things: its counters and its queue, of whichever kind.

use std::sync::Arc;

use anyhow::Context;
use oldpath::jobs::Jobs;
use oldpath::jobs::embedded::EmbeddedJobs;
use oldpath::store::OldStore;
use oldpath::store::embedded::EmbeddedStore;
use tokio::sync::watch;

use crate::config::Settings;
use crate::config::gate::{self, Gate};
use crate::services::backend::now_ms;

/// What may be able to promise nothing any more, and why, once that is so.
pub type Poisoned = Vec<(&'static str, watch::Receiver<Option<String>>)>;

/// Opens the counters; embedded ones are made where there are none.
///
/// # Errors
/// What is wrong with them, and what to try.
pub async fn counters(settings: &Settings, gate: &Gate, poisoned: &mut Poisoned) -> anyhow::Result<Arc<dyn OldStore>> {
    match &gate.counters {
        gate::Counters::Embedded => {
            let data = settings.data.clone();
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&data)).await;
            let counters = opened.context("opening the old path's counters was interrupted")??;
            poisoned.push(("file of the old path's counters", counters.poisoned()));
            Ok(troubled(Arc::new(counters), settings))
        }
        #[cfg(feature = "dynamodb")]
        gate::Counters::DynamoDb(options) => {
            let open = || async { Ok(oldpath::store::dynamodb::DynamoStore::open(options).await?) };
            Ok(Arc::new(crate::services::backend::patiently("the old path's counters", open).await?))
        }
    }
}

/// In trouble together with the store of the new path, where that is asked for.
fn troubled(counters: Arc<dyn OldStore>, settings: &Settings) -> Arc<dyn OldStore> {
    match &settings.trouble {
        Some(switch) => Arc::new(oldpath::trouble::Troubled::new(counters, switch.clone())),
        None => counters,
    }
}

/// Opens the queue; an embedded one is made where there is none.
///
/// # Errors
/// What is wrong with it, and what to try.
pub async fn jobs(settings: &Settings, gate: &Gate, poisoned: &mut Poisoned) -> anyhow::Result<Arc<dyn Jobs>> {
    match &gate.jobs {
        gate::Jobs::Embedded { visibility } => {
            let (data, visibility) = (settings.data.clone(), *visibility);
            let open = move || EmbeddedJobs::open(&data, visibility, Arc::new(now_ms));
            let opened = tokio::task::spawn_blocking(open).await;
            let jobs = opened.context("opening the old path's queue was interrupted")??;
            poisoned.push(("file of the old path's queue", jobs.poisoned()));
            Ok(Arc::new(jobs))
        }
        #[cfg(feature = "sqs")]
        gate::Jobs::Sqs(options) => {
            let open = || async { Ok(oldpath::jobs::sqs::SqsJobs::open(options).await?) };
            Ok(Arc::new(crate::services::backend::patiently("the old path's queue", open).await?))
        }
    }
}
