//! Opening what lies on the disk: the data directory, the log, the store, and the generation that both must agree on.
//!
//! Always true here: the generation's row is in the store and its record is the first of each partition before anything
//! else is; a process that disagrees with either stops and names the value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use eventlog::EventLog;
use eventlog::embedded::{EmbeddedLog, Opened, Options};
use eventlog::files::{Directory, create_private_durably};
use schemas::record::generation_record;
use stores::Store;
use stores::embedded::Embedded;

use crate::config::Settings;
use crate::output::aside;

/// The open log and store.
pub struct Disk {
    /// The log.
    pub log: Arc<EmbeddedLog>,
    /// Cells, checkpoints and partition state.
    pub store: Arc<Embedded>,
}

/// Unix milliseconds by this machine's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Opens or makes everything in the data directory.
///
/// # Errors
/// What is wrong with which file or value, and what to try.
pub async fn open(settings: &Settings) -> anyhow::Result<Disk> {
    let data = &settings.data;
    // It holds keys and everybody's events: it is for its owner alone.
    create_private_durably(data).with_context(|| format!("cannot make the data directory {}", data.display()))?;
    let folder = data.join("log");
    let options = log_options(settings);
    let (log, opened) = tokio::task::spawn_blocking(move || {
        let directory = Directory::open(&folder)
            .map_err(|source| eventlog::Error::Io { what: format!("opening {}", folder.display()), source })?;
        EmbeddedLog::open(Arc::new(directory), options)
    })
    .await
    .context("opening the log was interrupted")?
    .map_err(at_start)?;
    report(&opened);
    let file = data.join("state.redb");
    let store = tokio::task::spawn_blocking(move || Embedded::open(&file, &stores::embedded::Options::default()))
        .await
        .context("opening the store was interrupted")??;
    let disk = Disk { log: Arc::new(log), store: Arc::new(store) };
    agree(settings, &disk, &opened).await?;
    Ok(disk)
}

/// A log that runs waits for room and goes on; one that is being opened does not.
fn at_start(error: eventlog::Error) -> anyhow::Error {
    match error {
        eventlog::Error::Full(what) => {
            anyhow::anyhow!("the log cannot be opened: {what}; free disk space, then start again")
        }
        error => error.into(),
    }
}

fn log_options(settings: &Settings) -> Options {
    let mut options = Options::new(settings.generation.partitions, settings.generation.number, Arc::new(now_ms));
    options.retain_bytes = settings.retain_bytes;
    let told = AtomicU64::new(0);
    options.progress = Some(Arc::new(move |done, all| {
        // A line for each tenth, and none for a log that is checked at once.
        let tenth = (done * 10).checked_div(all).unwrap_or(10);
        if all > 512 << 20 && told.swap(tenth, Ordering::Relaxed) != tenth {
            aside(&format!("checking the log: {} of {} MiB", done >> 20, all >> 20));
        }
    }));
    options
}

fn report(opened: &Opened) {
    if let Some(cut) = &opened.cut {
        tracing::warn!(
            file = cut.file,
            byte = cut.byte,
            bytes = cut.bytes,
            "cut a torn tail off the log: nothing in it was ever acknowledged"
        );
    }
    tracing::info!(segments = opened.segments, bytes = opened.bytes_checked, "checked the log");
}

/// Writes the generation where it is missing, and compares it where it is not.
async fn agree(settings: &Settings, disk: &Disk, opened: &Opened) -> anyhow::Result<()> {
    let generation = &settings.generation;
    let row = disk.store.create_generation(generation.number, generation.encode()).await?;
    generation.check(&row).context("this process does not fit the data directory")?;
    let missing = opened.held.iter().zip(0..).filter(|(held, _)| held.end == 0);
    let records: Vec<_> = missing.map(|(_, partition)| generation_record(generation, partition, now_ms())).collect();
    if !records.is_empty() {
        disk.log.append(records).await.context("cannot write the first records of the log")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_on_by_itself_at_the_start() {
        let said = |error| format!("{:#}", at_start(error));
        let full = said(eventlog::Error::Full("no room for 32 bytes".to_owned()));
        assert_eq!(full, "the log cannot be opened: no room for 32 bytes; free disk space, then start again");
        assert!(said(eventlog::Error::Poisoned("x".to_owned())).contains("restart the process"));
    }
}
