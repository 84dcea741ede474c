//! The wires between the services, which never name each other: keys to both doors, what ingest saw to the page, dead
//! letters and metrics to the API.
//!
//! Always true here: both services get the same environments from one reading of the files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use experiments::{Access, Arrivals, EnvironmentAccess, FirstPayload, Serve, UnknownKey, hash_key};
use ingest::Ingest;
use ingest::doorstep::Stranger;
use ingest::keys::{EnvironmentKeys, KeyTable};
use processor::Processor;
use schemas::id::Environment;
use schemas::rejection::Rejections;
use tokio::sync::watch;

use super::opening::{Disk, now_ms};
use crate::config::Settings;
use crate::config::written::{self, Secret, Written};
use crate::keys;

/// How often `keys.toml` is looked at.
const REREAD_EVERY: Duration = Duration::from_secs(1);

/// Keys and environments as both services have them.
#[derive(Clone)]
pub struct Keys {
    data: PathBuf,
    written: Arc<Written>,
    access: Arc<RwLock<Arc<Access>>>,
}

impl Keys {
    /// Gives the environments to both services.
    ///
    /// # Errors
    /// When a key cannot be taken.
    pub fn admit(
        ingest: &Ingest,
        settings: &Settings,
        environments: Vec<written::EnvironmentKeys>,
    ) -> anyhow::Result<Self> {
        let written = Arc::new(settings.written.clone());
        let keys = Self { data: settings.data.clone(), written, access: Arc::default() };
        keys.swap(ingest, &environments)?;
        Ok(keys)
    }

    fn swap(&self, ingest: &Ingest, environments: &[written::EnvironmentKeys]) -> anyhow::Result<()> {
        let mut table = Vec::new();
        let mut access = Access {
            environments: Vec::new(),
            admin_keys: self.written.admin_keys.iter().map(read_hash).collect::<anyhow::Result<_>>()?,
        };
        for entry in environments {
            let environment = Environment::new(&entry.project, &entry.key)
                .with_context(|| format!("environment {}/{}", entry.project, entry.key))?;
            let plain = |secrets: &[Secret]| secrets.iter().map(|secret| secret.0.clone()).collect();
            table.push(EnvironmentKeys {
                environment: environment.clone(),
                server_keys: plain(&entry.server_keys),
                mobile_keys: plain(&entry.mobile_keys),
                client_side_ids: plain(&entry.client_side_ids),
            });
            let read_keys = entry.read_keys.iter().map(read_hash).collect::<anyhow::Result<_>>()?;
            access.environments.push(EnvironmentAccess { environment, read_keys });
        }
        let table = KeyTable::new(&table)?;
        ingest.keys().swap(table, now_ms(), self.written.limits.revoked_grace_seconds);
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        Ok(())
    }

    fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(keys::path(&self.data)).and_then(|metadata| metadata.modified()).ok()
    }
}

/// The hash of a read or admin key, which may be configured as `sha256:…`.
fn read_hash(secret: &Secret) -> anyhow::Result<experiments::KeyHash> {
    let Some(digits) = secret.0.strip_prefix("sha256:") else { return Ok(hash_key(&secret.0)) };
    let byte = |place: usize| digits.get(place * 2..place * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let mut hash = experiments::KeyHash::default();
    for (place, slot) in hash.iter_mut().enumerate() {
        *slot = byte(place).context("a key that begins with sha256: needs 64 hexadecimal digits behind it")?;
    }
    anyhow::ensure!(digits.len() == 64, "a key that begins with sha256: needs 64 hexadecimal digits behind it");
    Ok(hash)
}

/// Looks at `keys.toml` again whenever it changes, until `stop`. A file that cannot be read leaves the keys as they are.
pub async fn reread(keys: Keys, ingest: Ingest, mut stop: watch::Receiver<bool>) {
    let mut seen = keys.modified();
    loop {
        tokio::select! {
            () = tokio::time::sleep(REREAD_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = keys.modified();
        if now == seen {
            continue;
        }
        seen = now;
        let environments = keys::environments(&keys.data, &keys.written);
        match environments.and_then(|environments| keys.swap(&ingest, &environments)) {
            Ok(()) => tracing::info!("read the keys again"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "cannot read the keys again; the old ones stay")
            }
        }
    }
}

/// What the read service is given.
pub fn serve(
    settings: &Settings,
    disk: &Disk,
    ingest: &Ingest,
    processor: &Processor,
    keys: &Keys,
    address: SocketAddr,
) -> Serve {
    let access = Arc::clone(&keys.access);
    let (at_door, counted) = (ingest.clone(), ingest.clone());
    let (letters, health, ages) = (processor.dead_letters().clone(), processor.health(), processor.health());
    Serve {
        store: disk.store.clone(),
        log: disk.log.clone(),
        generation: settings.generation.number,
        partitions: settings.generation.partitions,
        access: Arc::new(move || Arc::clone(&access.read().unwrap_or_else(PoisonError::into_inner))),
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
