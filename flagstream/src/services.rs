//! The services: `flagstream up` has all of them in one process, `ingest`, `process` and `serve` one each.
//!
//! Always true here: nothing is written before keys and address are found to be good; the address is printed when it
//! answers; a log or store that can promise nothing any more ends the process with exit code 1; a stop closes the door,
//! answers what is open, flushes, and closes the log, in that order.

mod admission;
mod admitted;
pub mod backend;
mod banner;
mod connect;
mod metrics;
#[cfg_attr(not(feature = "oldpath"), path = "services/old_path/absent.rs")]
mod old_path;
mod probes;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use ingest::Ingest;
use processor::Processor;
use schemas::id::Environment;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::admission::Keys;
use self::backend::{Backend, store::Store};
use self::old_path::OldPath;
use crate::cli::Service;
use crate::config::{Settings, variables};
use crate::output::{about_data, aside};
use crate::{keys, server};

/// How long a stop waits for open requests.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long the banner waits for partitions to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(3);

/// Which services a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `up`: all of them.
    All,
    /// `ingest`: HTTP in, log out.
    Ingest,
    /// `process`: log in, store out.
    Process,
    /// `serve`: store in, answers out.
    Serve,
    /// `worker`: the old path's jobs.
    #[cfg(feature = "oldpath")]
    Worker,
}

impl Role {
    /// Takes what SDKs send.
    fn takes(self) -> bool {
        matches!(self, Self::All | Self::Ingest)
    }

    /// Folds the log.
    pub fn folds(self) -> bool {
        matches!(self, Self::All | Self::Process)
    }

    /// Answers questions.
    fn reads(self) -> bool {
        matches!(self, Self::All | Self::Serve)
    }

    /// Does the old path's jobs.
    #[cfg(feature = "oldpath")]
    fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }

    /// Does nothing else.
    #[cfg(feature = "oldpath")]
    fn only_works(self) -> bool {
        self == Self::Worker
    }

    /// Has keys to compare.
    fn admits(self) -> bool {
        self.takes() || self.reads()
    }

    /// Cannot do its work without the store.
    pub fn needs_store(self) -> bool {
        self.folds() || self.reads()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "up",
            Self::Ingest => "ingest",
            Self::Process => "process",
            Self::Serve => "serve",
            #[cfg(feature = "oldpath")]
            Self::Worker => "worker",
        })
    }
}

/// Runs until it is told to stop.
///
/// # Errors
/// Why it could not start, or why it had to end.
pub fn run(role: Role, command: &Service, sdk_keys: &[String]) -> anyhow::Result<()> {
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
    runtime.block_on(async {
        let host = Host { stop: on_signals()?, listening: None };
        start(role, settings, configured.config.as_deref(), sdk_keys, host).await
    })
}

/// Whoever has the services in this process.
pub struct Host {
    /// Turns true when they are to stop.
    pub stop: watch::Receiver<bool>,
    /// Who is told where they answer, and then people are told nothing; `None` = a banner tells people.
    pub listening: Option<oneshot::Sender<SocketAddr>>,
}

impl Host {
    /// Returns when it is time to stop.
    async fn says_stop(&mut self) {
        // An error means that whoever would say so is gone, which is as good.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }
}

/// What runs in this process.
struct Running {
    ingest: Option<Ingest>,
    processor: Option<Arc<Processor>>,
    keys: Option<Keys>,
    old_path: OldPath,
}

/// Runs the services until the host says stop, or something must end them.
///
/// # Errors
/// Why they could not start, or why they had to end.
pub async fn start(
    role: Role,
    settings: Settings,
    config: Option<&Path>,
    sdk_keys: &[String],
    mut host: Host,
) -> anyhow::Result<()> {
    let about_data = |error| about_data(error, &settings.data);
    // The port is taken, and not yet open. It and the keys come first: a refusal leaves nothing behind.
    let port = server::bind(settings.listen)?;
    let may_be_open = settings.listen.ip().is_loopback() || !role.reads();
    if role.admits() {
        let added = keys::prepared(&settings.data, &settings.written, sdk_keys).map_err(about_data)?;
        admission::check(&settings.written, added, may_be_open)
            .with_context(|| format!("cannot admit anyone on {}", settings.listen))?;
    }
    let opened = async {
        let mut backend = backend::open(&settings, role).await?;
        let old_path = OldPath::open(&settings, role, &mut backend).await?;
        anyhow::Ok((backend, old_path))
    };
    let (backend, old_path) = tokio::select! {
        opened = opened => opened.map_err(about_data)?,
        () = host.says_stop() => return Ok(()),
    };
    if role.admits() {
        keys::prepare(&settings.data, &settings.written, sdk_keys).map_err(about_data)?;
    }
    let ingest = role.takes().then(|| old_path.ingest(backend.log(), &settings));
    let (listener, address) = server::listen(port, settings.listen)?;
    let keys = match role.admits() {
        true => Some(
            Keys::admit(ingest.clone(), &settings.data, (config, &settings.written), may_be_open)
                .with_context(|| format!("cannot admit anyone on {address}"))?,
        ),
        false => None,
    };
    let processor = if role.folds() { Some(Arc::new(start_processor(&settings, &backend)?)) } else { None };
    let running = Running { ingest, processor, keys, old_path };
    run_until_told(role, (&settings, config), backend, running, (listener, address), host).await
}

async fn run_until_told(
    role: Role,
    (settings, config): (&Settings, Option<&Path>),
    mut backend: Backend,
    running: Running,
    (listener, address): (tokio::net::TcpListener, SocketAddr),
    mut host: Host,
) -> anyhow::Result<()> {
    let (router, looking) = routes(role, settings, &backend, &running, address)?;
    let Running { ingest, processor, keys, mut old_path } = running;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = vec![tokio::spawn(server::serve(listener, router, limits(settings), stopped.clone()))];
    if let Some(processor) = &processor {
        begun(role, processor).await;
    }
    let admit_command = keys::admit_command(config, &settings.data);
    let environments = keys.as_ref().map(Keys::environments).unwrap_or_default();
    let for_people = match host.listening.take() {
        Some(listening) => listening.send(address).is_err(),
        None => true,
    };
    if for_people {
        banner::print(role, settings, address, &environments, &admit_command);
    }
    tasks.extend(keys.map(|keys| tokio::spawn(admission::reread(keys, stopped.clone()))));
    if let Some(ingest) = &ingest {
        tasks.push(tokio::spawn(ingest.clone().carry_numbers()));
        if for_people {
            tasks.push(tokio::spawn(banner::tell_news(ingest.clone(), admit_command, stopped.clone())));
        }
    }
    let with_keys = environments.iter().filter_map(|entry| Environment::new(&entry.project, &entry.key).ok());
    tasks.extend(old_path.start(ingest.as_ref(), with_keys.collect(), &stopped));
    let failed = async {
        match &processor {
            Some(processor) => processor.failed().await,
            None => std::future::pending().await,
        }
    };
    let ended = wait_for_end(host.says_stop(), std::mem::take(&mut backend.poisoned), failed).await;
    let tell = |what: &str| {
        if for_people {
            aside(what)
        }
    };
    tell("stopping: answering what was accepted…");
    if let Some(ingest) = &ingest {
        ingest.stop().await;
    }
    stop.send_replace(true);
    if let Some(looking) = looking {
        looking.abort();
    }
    for task in tasks {
        task.await.context("a task of the server panicked")?;
    }
    old_path.settle().await;
    let flushed = match &processor {
        Some(processor) => processor.stop().await,
        None => Ok(()),
    };
    let closed = backend.log.close().await;
    ended?;
    flushed?;
    closed?;
    tell("stopped");
    Ok(())
}

/// What this process answers, and the task that looks at how far the numbers reach, where it has one.
fn routes(
    role: Role,
    settings: &Settings,
    backend: &Backend,
    running: &Running,
    address: SocketAddr,
) -> anyhow::Result<(Router, Option<JoinHandle<()>>)> {
    let Running { ingest, processor, keys, old_path } = running;
    let mut metrics = metrics::registry(ingest.as_ref(), processor.as_deref(), backend.log());
    if let Some(units) = backend.store.as_ref().and_then(Store::write_units) {
        metrics.tell_write_units(units);
    }
    old_path.register(&mut metrics);
    let metrics = Arc::new(metrics);
    let (mut router, mut looking) = (Router::new(), None);
    match (keys, &backend.store) {
        (Some(keys), Some(store)) if role.reads() => {
            let serve = connect::serve(settings, (backend, store), running, keys, &metrics, address)?;
            let (reads, look) = experiments::service(serve);
            (router, looking) = (reads, Some(tokio::spawn(look)));
        }
        (Some(keys), Some(store)) if old_path::compares(settings, role) => {
            let serve = connect::serve(settings, (backend, store), running, keys, &metrics, address)?;
            let (reads, look) = experiments::service(serve);
            looking = Some(tokio::spawn(async move {
                // Nobody reads here; what is compared is for the gate.
                let _reads = reads;
                look.await;
            }));
            router = router.merge(probes::router(backend.log(), processor.clone(), metrics));
        }
        _ => router = router.merge(probes::router(backend.log(), processor.clone(), metrics)),
    }
    if let Some(ingest) = ingest {
        router = router.merge(ingest::service(ingest.clone()));
    }
    Ok((router, looking))
}

fn start_processor(settings: &Settings, backend: &Backend) -> anyhow::Result<Processor> {
    let keeping = backend.keeping.clone().context("nothing was opened to keep counts in")?;
    let dead_letters = backend.dead_letters.clone().context("there is no folder for dead letters")?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let settings = processor::Settings {
        name: format!("{host}:{}", std::process::id()),
        generation: settings.generation.clone(),
        flush_every: settings.flush,
        dead_letters,
    };
    let readers = backend.log.readers().context("cannot read the log")?;
    Processor::start(settings, backend.log(), readers, keeping).context("cannot start the processor")
}

/// Waits a little until all partitions have begun: what the log says of it then stands before the banner, whose last
/// line waits for somebody.
async fn begun(role: Role, processor: &Processor) {
    let health = processor.health();
    let is_ready = || if role == Role::All { health.ready() } else { health.ready_with_ours() };
    let begun = async {
        while is_ready().is_err() {
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

/// Waits for the host's word, or for something that must end the process.
async fn wait_for_end(
    stop: impl Future<Output = ()>,
    watched: Vec<(&'static str, watch::Receiver<Option<String>>)>,
    failed: impl Future<Output = String>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = stop => Ok(()),
        (what, why) = poisoned(watched) => bail!("the {what} can promise nothing any more: {why}"),
        why = failed => bail!("the processor stopped: {why}"),
    }
}

/// The first that is poisoned, and why.
async fn poisoned(watched: Vec<(&'static str, watch::Receiver<Option<String>>)>) -> (&'static str, String) {
    let mut watched: tokio::task::JoinSet<_> = watched
        .into_iter()
        .map(|(what, mut watch)| async move {
            let why = watch.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
            match why {
                Some(why) => (what, why),
                // The sender goes only with the log or store itself.
                None => std::future::pending().await,
            }
        })
        .collect();
    match watched.join_next().await {
        Some(Ok(poisoned)) => poisoned,
        // Nothing to watch; or a watch that was cut short, which only the end of the runtime does.
        _ => std::future::pending().await,
    }
}

/// Turns true at Ctrl-C or SIGTERM, whatever is being done.
///
/// # Errors
/// When the system does not let us hear of them.
pub fn on_signals() -> anyhow::Result<watch::Receiver<bool>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (told, is_told) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told.send_replace(true);
    });
    Ok(is_told)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_poisoned_log_or_store_or_a_stopped_processor_ends_the_process_with_an_error() {
        let fine = || watch::channel(None::<String>);
        let (log, store) = (fine(), fine());
        let both = || vec![("log", log.1.clone()), ("store", store.1.clone())];
        assert!(wait_for_end(ready(()), both(), pending()).await.is_ok(), "a stop is no error");
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
