//! The wires between the services, which never name each other: what ingest saw to the page, dead letters and metrics to
//! the API. ([`super::admission`] gives both the keys.)

use std::net::SocketAddr;
use std::sync::Arc;

use experiments::{Arrivals, FirstPayload, Serve, UnknownKey};
use ingest::Ingest;
use ingest::doorstep::Stranger;
use processor::Processor;
use schemas::rejection::Rejections;

use super::admission::Keys;
use super::opening::{Disk, now_ms};
use crate::config::Settings;
use crate::keys;

/// What the read service is given.
pub fn serve(
    settings: &Settings,
    disk: &Disk,
    ingest: &Ingest,
    processor: &Processor,
    keys: &Keys,
    address: SocketAddr,
) -> Serve {
    let (at_door, counted) = (ingest.clone(), ingest.clone());
    let (letters, health, ages) = (processor.dead_letters().clone(), processor.health(), processor.health());
    Serve {
        store: disk.store.clone(),
        log: disk.log.clone(),
        generation: settings.generation.number,
        partitions: settings.generation.partitions,
        access: keys.access(),
        clock_ms: Arc::new(now_ms),
        arrivals: Arc::new(move || arrivals(&at_door)),
        dead_letters: Arc::new(move || Box::pin(dead_letters(letters.clone()))),
        dedupe_age_ms: Arc::new(move |partition| ages.dedupe_age_ms(partition)),
        metrics: Arc::new(move || counted.metrics_text()),
        ready: Arc::new(move || health.ready()),
        address: format!("http://{address}"),
        keys_file: keys::path(&settings.data).display().to_string(),
        request_prefix: format!("{:x}", now_ms()),
    }
}

fn arrivals(ingest: &Ingest) -> Arrivals {
    let view = ingest.doorstep().view();
    let first_payload = view.first_payloads.first().map(|first| FirstPayload {
        time_ms: first.time_ms,
        sdk: first.sdk.clone(),
        flags: first.flags as u64,
    });
    let unknown_keys = view.unknown_keys.iter().rev().map(|key| UnknownKey {
        last_four: key.shown.clone(),
        times: key.times,
        last_ms: key.last_ms,
        sdk: key.agent.clone(),
    });
    let paths = |strangers: &[Stranger]| strangers.iter().rev().map(|s| (s.shown.clone(), s.times)).collect();
    let mut rejections = Rejections::default();
    view.rejections.values().for_each(|numbers| rejections.merge(numbers));
    Arrivals {
        first_payload,
        unknown_keys: unknown_keys.collect(),
        wrong_paths: paths(&view.wrong_paths),
        flag_delivery: paths(&view.flag_delivery),
        rejections,
    }
}

async fn dead_letters(letters: processor::DeadLetters) -> Result<Vec<experiments::DeadLetter>, String> {
    let read = tokio::task::spawn_blocking(move || letters.newest(DEAD_LETTERS_SHOWN)).await;
    let (letters, _) = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(letters.into_iter().map(shown).collect())
}

/// As many as one answer shows.
const DEAD_LETTERS_SHOWN: usize = 100;

fn shown(letter: processor::DeadLetter) -> experiments::DeadLetter {
    experiments::DeadLetter {
        partition: letter.partition,
        offset: letter.offset,
        bytes: letter.bytes() as u64,
        environment: letter.environment,
        reason: letter.reason,
        received_ms: letter.received_ms,
    }
}
