//! What lies in the data directory: the embedded log and the embedded store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use eventlog::embedded::{EmbeddedLog, Opened, Options};
use eventlog::files::Directory;
use stores::embedded::Embedded;

use super::now_ms;
use crate::config::Settings;
use crate::output::aside;

/// Opens or makes the log, and checks all of it.
///
/// # Errors
/// What is wrong with which file, and what to try.
pub async fn log(settings: &Settings, retain_bytes: u64) -> anyhow::Result<EmbeddedLog> {
    let folder = settings.data.join("log");
    let options = log_options(settings, retain_bytes);
    let (log, opened) = tokio::task::spawn_blocking(move || {
        let directory = Directory::open(&folder)
            .map_err(|source| eventlog::Error::Io { what: format!("opening {}", folder.display()), source })?;
        EmbeddedLog::open(Arc::new(directory), options)
    })
    .await
    .context("opening the log was interrupted")?
    .map_err(at_start)?;
    report(&opened);
    Ok(log)
}

/// Opens or makes the store.
///
/// # Errors
/// What is wrong with its file, and what to try.
pub async fn store(settings: &Settings) -> anyhow::Result<Embedded> {
    let file = settings.data.join("state.redb");
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&file, &stores::embedded::Options::default()));
    Ok(opened.await.context("opening the store was interrupted")??)
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

fn log_options(settings: &Settings, retain_bytes: u64) -> Options {
    let mut options = Options::new(settings.generation.partitions, settings.generation.number, Arc::new(now_ms));
    options.retain_bytes = retain_bytes;
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
