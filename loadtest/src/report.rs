//! What a command found: a table for people, JSON for programs, and progress on stderr.

use crate::load::Progress;
use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A table with this head, as it can stand in a document.
pub(crate) fn table<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.into_iter().map(Into::into).collect::<Vec<String>>());
    table
}

/// Prints a report as JSON on one line of stdout.
pub(crate) fn print_json(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// Says on stderr how far the clients are, until it is dropped: every second on a terminal, else every ten.
pub(crate) struct Ticker(JoinHandle<()>);

impl Ticker {
    /// Begins.
    pub(crate) fn start(progress: Arc<Progress>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let every = Duration::from_secs(if terminal { 1 } else { 10 });
        Self(tokio::spawn(async move {
            let start = Instant::now();
            loop {
                tokio::time::sleep(every).await;
                let read = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
                let line = format!(
                    "{:>4} s: {} attempts, {} acknowledged, {} unknown, {} without a connection, {} refused",
                    start.elapsed().as_secs(),
                    read(&progress.attempts),
                    read(&progress.acknowledged),
                    read(&progress.unknown),
                    read(&progress.not_connected),
                    read(&progress.refused),
                );
                let (begin, end) = if terminal { ("\r", "\x1b[K") } else { ("", "\n") };
                // Progress that cannot be written is no reason to stop the load.
                drop(write!(std::io::stderr(), "{begin}{line}{end}"));
            }
        }))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
        if std::io::stderr().is_terminal() {
            eprintln!();
        }
    }
}
