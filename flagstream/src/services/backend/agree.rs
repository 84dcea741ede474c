//! The generation: what the store, the log and this process must say alike.

use anyhow::{Context, bail, ensure};
use eventlog::{EventLog, Held, Signal};
use schemas::generation::Generation;
use schemas::log::Logged;
use schemas::record::{Header, RecordKind, generation_record};

use super::log::Log;
use super::now_ms;
use super::store::Store;
use crate::config::Settings;

/// Compares the generation with the store's row, where this process has a store, and with the log's first record where
/// it has none. What lies in the data directory alone is begun here; what others share, `flagstream setup` begins.
///
/// # Errors
/// The value on which they differ; or that nothing was begun.
pub async fn agree(settings: &Settings, log: &Log, store: Option<&Store>) -> anyhow::Result<()> {
    let generation = &settings.generation;
    let shared = log.shared();
    if log.is_this_process_alone() {
        let store = store.context("an embedded log is opened with its store")?;
        begin(generation, &*shared, &*store.shared()).await?;
        return Ok(());
    }
    let held = shared.held().await?;
    if let Some((partition, _)) = (0_u32..).zip(&held).find(|(_, held)| held.end == 0) {
        bail!(
            "partition {partition} of the log has no first record, which tells the generation: run `flagstream setup` with \
             this configuration; if the topic was made again, set log.generation to one that was never used, and run it then"
        );
    }
    match store {
        Some(store) => {
            let row = store.shared().generation(generation.number).await?;
            let row = row.with_context(|| {
                format!(
                    "the store has no row of generation {}: run `flagstream setup` with this configuration",
                    generation.number
                )
            })?;
            generation.check(&row).context("this process does not fit the store")
        }
        None => check_first(generation, &*shared, &held).await,
    }
}

/// Writes the generation's row and first records where they are missing, and compares them where they are not.
/// Answers how many partitions it began.
///
/// # Errors
/// The value on which they differ; what could not be written.
pub async fn begin(generation: &Generation, log: &dyn EventLog, store: &dyn stores::Store) -> anyhow::Result<usize> {
    let row = store.create_generation(generation.number, generation.encode()).await?;
    generation.check(&row).context("this process does not fit the store")?;
    let held = log.held().await?;
    let missing: Vec<u32> =
        (0..).zip(&held).filter(|(_, held)| held.end == 0).map(|(partition, _)| partition).collect();
    for &partition in &missing {
        let checkpoint = store.checkpoint(generation.number, partition).await?;
        ensure!(
            checkpoint.is_none(),
            "partition {partition} of the log is empty, and the store has counted {} records of it: the log was made again; \
             set log.generation to one that was never used",
            checkpoint.map_or(0, |checkpoint| checkpoint.position)
        );
    }
    let records: Vec<_> = missing.iter().map(|&partition| generation_record(generation, partition, now_ms())).collect();
    if !records.is_empty() {
        log.append(records).await.context("cannot write the first records of the log")?;
    }
    Ok(missing.len())
}

/// Where there is no store to ask, the log's first record tells, as long as the log still has one.
async fn check_first(generation: &Generation, log: &dyn EventLog, held: &[Held]) -> anyhow::Result<()> {
    let Some((partition, _)) = (0_u32..).zip(held).find(|(_, held)| held.first == 0) else {
        tracing::warn!("the log's first records are gone: what generation it is was not compared");
        return Ok(());
    };
    let first = read_first(log, partition).await?;
    let header = Header::decode(&first.header).ok();
    ensure!(
        header.is_some_and(|header| header.kind == RecordKind::Generation),
        "the first record of partition {partition} tells no generation: is log.topic one of Flagstream's?"
    );
    generation.check(&first.body).context("this process does not fit the log")
}

async fn read_first(log: &dyn EventLog, partition: u32) -> Result<Logged, eventlog::Error> {
    let mut reader = log.read(partition)?;
    loop {
        match reader.next().await? {
            Signal::Assigned { partition } => reader.begin(partition, 0)?,
            Signal::Batch { mut records, .. } if !records.is_empty() => return Ok(records.swap_remove(0)),
            _ => {}
        }
    }
}
