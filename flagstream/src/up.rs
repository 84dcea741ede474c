//! `flagstream up`: ingest, processor, API and page in one process, on the embedded log and store.
//!
//! Always true here: nothing is written before keys and address are found to be good; the page's address is printed
//! when it answers; a log or store that can promise nothing any more ends the process with exit code 1; a stop closes
//! the door, answers what is open, flushes, and closes the log, in that order.

mod admission;
mod admitted;
mod banner;
mod connect;
mod metrics;
mod opening;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use eventlog::EventLog;
use ingest::Ingest;
use processor::Processor;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::admission::Keys;
use self::opening::{Disk, now_ms};
use crate::cli::Up;
use crate::config::{Settings, variables};
use crate::output::{about_data, aside};
use crate::{keys, server};

/// How long a stop waits for open requests.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long the banner waits for partitions to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(3);

/// Runs until it is told to stop.
///
/// # Errors
/// Why it could not start, or why it had to end.
pub fn run(command: &Up) -> anyhow::Result<()> {
    let configured = &command.configured;
    let settings = Settings::read(configured.config.as_deref(), command.listen.as_deref(), configured.data.as_deref())?;
    if command.print_config {
        return crate::output::line(settings.print()?.trim_end());
    }
    crate::logging::start();
    for (name, nearest) in variables::unknown(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!(name, nearest, "an environment variable is unknown and passed over");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(up(settings, configured.config.as_deref(), &command.sdk_keys))
}

async fn up(settings: Settings, config: Option<&Path>, sdk_keys: &[String]) -> anyhow::Result<()> {
    // Before anything is opened, so that a stop while the log is checked is a stop too.
    let mut signals = Signals::new()?;
    let about_data = |error| about_data(error, &settings.data);
    // The port is taken, and not yet open. It and the keys come first: a refusal leaves nothing behind.
    let port = server::bind(settings.listen)?;
    let added = keys::prepared(&settings.data, &settings.written, sdk_keys).map_err(about_data)?;
    let may_be_open = settings.listen.ip().is_loopback();
    admission::check(&settings.written, added, may_be_open)
        .with_context(|| format!("cannot admit anyone on {}", settings.listen))?;
    let disk = tokio::select! {
        disk = opening::open(&settings) => disk.map_err(about_data)?,
        () = signals.next() => return Ok(()),
    };
    keys::prepare(&settings.data, &settings.written, sdk_keys).map_err(about_data)?;

    let log: Arc<dyn EventLog> = disk.log.clone();
    let clock: ingest::Clock = Arc::new(now_ms);
    let ingest = Ingest::new(log, settings.generation.clock, settings.written.limits.clone(), clock);
    let (listener, address) = server::listen(port, settings.listen)?;
    let admitted = Keys::admit(&ingest, &settings.data, (config, &settings.written), may_be_open)
        .with_context(|| format!("cannot admit anyone on {address}"))?;
    let processor = start_processor(&settings, &disk)?;
    let serve = connect::serve(&settings, &disk, &ingest, &processor, &admitted, address);
    let (reads, looking) = experiments::service(serve);
    let router = reads.merge(ingest::service(ingest.clone()));

    let (stop, stopped) = watch::channel(false);
    let looking = tokio::spawn(looking);
    let serving = tokio::spawn(server::serve(listener, router, limits(&settings), stopped.clone()));
    let carrying = tokio::spawn(ingest.clone().carry_numbers());
    begun(&processor).await;
    let admit_command = keys::admit_command(config, &settings.data);
    banner::print(&settings, address, &admitted.environments(), &admit_command);
    let rereading = tokio::spawn(admission::reread(admitted, ingest.clone(), stopped.clone()));
    let telling = tokio::spawn(banner::tell_news(ingest.clone(), admit_command, stopped));

    let poisoned = (disk.log.poisoned(), disk.store.poisoned());
    let ended = wait_for_end(signals.next(), poisoned, processor.failed()).await;
    aside("stopping: answering what was accepted…");
    ingest.stop().await;
    stop.send_replace(true);
    looking.abort();
    for task in [serving, carrying, rereading, telling] {
        task.await.context("a task of the server panicked")?;
    }
    let flushed = processor.stop().await;
    let closed = disk.log.close().await;
    ended?;
    flushed?;
    closed?;
    aside("stopped");
    Ok(())
}

fn start_processor(settings: &Settings, disk: &Disk) -> anyhow::Result<Processor> {
    let log = Arc::clone(&disk.log);
    let subscribe = move |partition: u32| log.subscribe_to(&[partition]);
    let settings = processor::Settings {
        generation: settings.generation.clone(),
        flush_every: settings.flush,
        dead_letters: settings.data.join("dead-letters"),
    };
    let log: Arc<dyn EventLog> = disk.log.clone();
    Processor::start(settings, log, subscribe, processor::Keeping::Together(Arc::clone(&disk.store)))
        .context("cannot start the processor")
}

/// Waits a little until all partitions have begun: what the log says of it then stands before the banner, whose last
/// line waits for somebody.
async fn begun(processor: &Processor) {
    let health = processor.health();
    let begun = async {
        while health.ready().is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _ = tokio::time::timeout(BEGIN_WITHIN, begun).await;
}

fn limits(settings: &Settings) -> server::Limits {
    let limits = &settings.written.limits;
    server::Limits {
        connections_max: limits.connections_max,
        header_read: Duration::from_secs(limits.header_read_seconds),
        stop_within: STOP_WITHIN,
    }
}

/// Waits for a signal, or for something that must end the process.
async fn wait_for_end(
    signals: impl Future<Output = ()>,
    (mut log, mut store): (watch::Receiver<Option<String>>, watch::Receiver<Option<String>>),
    failed: impl Future<Output = String>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = signals => Ok(()),
        why = poisoned(&mut log) => bail!("the log can promise nothing any more: {why}"),
        why = poisoned(&mut store) => bail!("the store can promise nothing any more: {why}"),
        why = failed => bail!("the processor stopped: {why}"),
    }
}

async fn poisoned(watch: &mut watch::Receiver<Option<String>>) -> String {
    match watch.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        // The sender goes only with the log or store itself.
        Err(_) => std::future::pending().await,
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_poisoned_log_or_store_or_a_stopped_processor_ends_the_process_with_an_error() {
        let fine = || watch::channel(None::<String>);
        let (log, store) = (fine(), fine());
        let both = || (log.1.clone(), store.1.clone());
        assert!(wait_for_end(ready(()), both(), pending()).await.is_ok(), "a signal is no error");
        let stopped = wait_for_end(pending(), both(), ready("a gap".to_owned())).await.unwrap_err();
        assert_eq!(stopped.to_string(), "the processor stopped: a gap");
        for (sender, what) in [(&log.0, "log"), (&store.0, "store")] {
            let waits = wait_for_end(pending(), both(), pending());
            tokio::pin!(waits);
            tokio::select! { biased; ended = &mut waits => panic!("{ended:?} with nothing wrong"), () = ready(()) => {} }
            sender.send_replace(Some("a sync failed".to_owned()));
            let ended = waits.await.unwrap_err().to_string();
            assert_eq!(ended, format!("the {what} can promise nothing any more: a sync failed"));
            sender.send_replace(None);
        }
    }
}
