//! The wires between the services, which never name each other: what ingest saw to the page, dead letters and metrics
//! to the API. ([`super::admission`] gives both the keys.)

use std::net::SocketAddr;
use std::sync::Arc;

use experiments::{Arrivals, AskOwners, CaughtUp, Comparisons, FirstPayload, Place, Publisher, Serve, UnknownKey};
use ingest::Ingest;
use ingest::doorstep::Stranger;
use ingest::doorstep::news::kind_word;
use processor::Processor;
use schemas::generation::Generation;

use super::Running;
use super::admission::Keys;
use super::backend::store::Store;
use super::backend::{Backend, now_ms};
use super::metrics::Metrics;
use crate::config::Settings;
use crate::keys;

/// What the read service is given. What a service that runs elsewhere would tell is not told.
///
/// # Errors
/// When the folder of dead letters cannot be opened.
pub fn serve(
    settings: &Settings,
    (backend, store): (&Backend, &Store),
    running: &Running,
    keys: &Keys,
    metrics: &Arc<Metrics>,
    address: SocketAddr,
) -> anyhow::Result<Serve> {
    let (at_door, comparisons) = (running.ingest.clone(), Comparisons::default());
    let (metrics, letters) = (Arc::clone(metrics), backend.open_dead_letters()?);
    let health = running.processor.as_deref().map(Processor::health);
    Ok(Serve {
        store: store.shared(),
        log: backend.log(),
        generation: settings.generation.number,
        partitions: settings.generation.partitions,
        access: keys.access(),
        clock_ms: Arc::new(now_ms),
        stale: settings.stale.clone(),
        arrivals: Arc::new(move || at_door.as_ref().map(arrivals).unwrap_or_default()),
        dead_letters: Arc::new(move |limit, behind| Box::pin(dead_letters(letters.clone(), limit, behind))),
        caught_up: CaughtUp::default(),
        other_path: running.old_path.other_path(&comparisons),
        comparisons,
        publisher: Publisher::default(),
        owners: owners(store, &settings.generation, running.processor.as_deref()),
        metrics: Arc::new(move || {
            let metrics = Arc::clone(&metrics);
            Box::pin(async move { metrics.text().await })
        }),
        ready: Arc::new(move || health.as_ref().map_or(Ok(()), |health| health.ready())),
        address: format!("http://{address}"),
        data: std::path::absolute(&settings.data).unwrap_or_else(|_| settings.data.clone()).display().to_string(),
        keys_file: keys::path(&settings.data).display().to_string(),
        request_prefix: format!("{:x}", now_ms()),
    })
}

/// A processor of this process is asked itself, where it has all partitions; else what owners have told the store.
fn owners(store: &Store, generation: &Generation, processor: Option<&Processor>) -> AskOwners {
    let (number, partitions) = (generation.number, generation.partitions);
    if let (Store::Embedded(_), Some(processor)) = (store, processor) {
        let health = processor.health();
        return Arc::new(move || {
            let owners = (0..partitions).map(|partition| health.owner(partition)).collect();
            Box::pin(std::future::ready(Ok(owners)))
        });
    }
    let store = store.shared();
    Arc::new(move || {
        let store = Arc::clone(&store);
        Box::pin(async move { store.owners(number, partitions).await.map_err(|error| error.to_string()) })
    })
}

fn arrivals(ingest: &Ingest) -> Arrivals {
    let view = ingest.doorstep().view();
    let first_payloads = view.first_payloads.iter().map(|first| {
        let shown = FirstPayload { time_ms: first.time_ms, sdk: first.sdk.clone(), flags: first.flags as u64 };
        (first.environment.clone(), shown)
    });
    let unknown_keys = view.unknown_keys.iter().rev().map(|key| UnknownKey {
        kind: key.kind.map_or("", kind_word),
        last_four: key.shown.clone(),
        times: key.times,
        last_ms: key.last_ms,
        sdk: key.agent.clone(),
    });
    let paths = |strangers: &[Stranger]| strangers.iter().rev().map(|s| (s.shown.clone(), s.times)).collect();
    Arrivals {
        first_payloads: first_payloads.collect(),
        unknown_keys: unknown_keys.collect(),
        wrong_paths: paths(&view.wrong_paths),
        flag_delivery: paths(&view.flag_delivery),
        rejections: view.rejections,
        discarded: view.discarded,
    }
}

/// At most `limit` of the dead letters behind this place, newest first, and how many there are in all.
async fn dead_letters(
    letters: Option<processor::DeadLetters>,
    limit: usize,
    behind: Option<Place>,
) -> Result<(Vec<experiments::DeadLetter>, usize), String> {
    let Some(letters) = letters else {
        return Err(
            "they lie with the processors: where [snapshots] url is a folder that all processes reach they lie there"
                .to_owned(),
        );
    };
    let read = tokio::task::spawn_blocking(move || letters.newest_before(behind, limit)).await;
    let (letters, total) = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok((letters.into_iter().map(shown).collect(), total))
}

fn shown(letter: processor::DeadLetter) -> experiments::DeadLetter {
    experiments::DeadLetter {
        generation: letter.generation,
        partition: letter.partition,
        offset: letter.offset,
        bytes: letter.bytes() as u64,
        environment: letter.environment,
        reason: letter.reason,
        received_ms: letter.received_ms,
    }
}
