//! Log in, store out: drives the worker of each partition, one task each.
//!
//! Always true here: nothing is decided that could change a number, for that is the worker's; an action is carried out
//! as it came, in order; a failure that may pass is waited for and handed back, any other ends the partition, panics
//! included, and is told through [`Processor::failed`], so that the process ends.
//!
//! Where to go next: `partition` is the loop, `under_way` what it waits for, `keeping` how things become durable,
//! `dead_letters` what the fold could not take, `health` and `replay` how far everything is. Which rule of the design
//! is held by which test is the table in `tests/rules.rs`.

mod dead_letters;
mod health;
mod keeping;
mod owner;
mod partition;
mod replay;
mod snapshots;
mod under_way;
mod unfolded;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use counting::worker;
use eventlog::{EventLog, Subscription};
use futures_util::FutureExt;
use schemas::generation::Generation;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use dead_letters::{DeadLetter, DeadLetters, KEPT_MAX, Kept};
pub use health::{Health, PartitionHealth};
pub use keeping::{Keeping, SnapshotEvery};
pub use owner::TELL_EVERY;
use partition::{Given, Partition};

/// What a processor is told before it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What this process is called where people look for the owner of a partition: `host:pid`.
    pub name: String,
    /// The generation.
    pub generation: Generation,
    /// How often cells are made durable; more than 0.
    pub flush_every: Duration,
    /// The folder for dead letters.
    pub dead_letters: PathBuf,
}

/// Why a processor cannot start, or had to end; grouped by what is broken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The worker cannot go on with what it was given.
    #[error("partition {partition}: {why}")]
    Worker {
        /// The partition.
        partition: u32,
        /// Why.
        why: String,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] stores::Error),
    /// The folder of dead letters.
    #[error("dead letters in {folder}: {source}")]
    DeadLetters {
        /// Which folder.
        folder: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A partition's task ended as none should.
    #[error("the task of a partition panicked: {0}")]
    Panicked(String),
    /// The log left records out: they would be lost to the counts.
    #[error(
        "partition {partition}: the log went on at offset {found}, {expected} was next: {} records are missing; restore \
         them, or begin another generation",
        found - expected
    )]
    Gap {
        /// The partition.
        partition: u32,
        /// The offset that was next.
        expected: u64,
        /// The offset that came.
        found: u64,
    },
    /// A setting that cannot be kept.
    #[error("{0}")]
    Setting(String),
    /// The last flush took longer than a stop may.
    #[error(
        "partition {0} could not be flushed within {STOP_WITHIN:?}; nothing is lost, it is folded again at the next start"
    )]
    StopTooLong(u32),
}

impl Error {
    /// Whether the same may succeed later without anyone restarting the process.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// A stop waits this long for the last flush.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A partition that goes is flushed for this long: less than a group waits for one of its members.
pub(crate) const REVOKE_WITHIN: Duration = Duration::from_secs(8);

/// A running processor.
#[derive(Debug)]
pub struct Processor {
    tasks: tokio::sync::Mutex<JoinSet<Result<(), Error>>>,
    stop: watch::Sender<bool>,
    failed: watch::Receiver<Option<String>>,
    health: Arc<Health>,
    dead_letters: DeadLetters,
}

impl Processor {
    /// Starts a task for each partition of the generation, with a reader each, in order of number. What a reader tells of
    /// other partitions is passed over.
    ///
    /// # Errors
    /// When a setting cannot be kept, or there can be no folder for dead letters.
    pub fn start(
        settings: Settings,
        log: Arc<dyn EventLog>,
        readers: Vec<Box<dyn Subscription>>,
        keeping: Keeping,
    ) -> Result<Self, Error> {
        Self::start_workers(&settings, log, readers, keeping, |worker| worker)
    }

    /// As [`Self::start`], with workers told otherwise: to break a rule, to panic on records.
    ///
    /// # Errors
    /// As [`Self::start`].
    #[cfg(any(test, feature = "testing"))]
    pub fn start_with(
        settings: Settings,
        log: Arc<dyn EventLog>,
        readers: Vec<Box<dyn Subscription>>,
        keeping: Keeping,
        change: impl Fn(worker::Settings) -> worker::Settings,
    ) -> Result<Self, Error> {
        Self::start_workers(&settings, log, readers, keeping, change)
    }

    fn start_workers(
        settings: &Settings,
        log: Arc<dyn EventLog>,
        readers: Vec<Box<dyn Subscription>>,
        keeping: Keeping,
        change: impl Fn(worker::Settings) -> worker::Settings,
    ) -> Result<Self, Error> {
        check(settings, &*log, readers.len())?;
        let folder = &settings.dead_letters;
        let dead_letters = DeadLetters::open(folder)
            .map_err(|source| Error::DeadLetters { folder: folder.display().to_string(), source })?;
        let health = Arc::new(Health::new(&settings.name, settings.generation.partitions));
        let mut partitions = Vec::new();
        for (partition, subscription) in (0_u32..).zip(readers) {
            let mut worker = worker::Settings::new(settings.generation.clone(), partition, keeping.mode());
            worker.last_write_wins = keeping.last_write_wins();
            partitions.push(Partition::new(Given {
                settings: change(worker),
                subscription,
                log: Arc::clone(&log),
                keeping: keeping.clone(),
                dead_letters: dead_letters.clone(),
                health: Arc::clone(&health),
                flush_every: settings.flush_every,
            })?);
        }
        let (stop, stopped) = watch::channel(false);
        let (fail, failed) = watch::channel(None);
        let mut tasks = JoinSet::new();
        for (number, partition) in (0_u32..).zip(partitions) {
            tasks.spawn(watched(number, partition.run(stopped.clone()), fail.clone()));
        }
        Ok(Self { tasks: tokio::sync::Mutex::new(tasks), stop, failed, health, dead_letters })
    }

    /// How far everything is.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// The dead letters.
    #[must_use]
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// Waits until a partition cannot go on; the process must then end.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        // By itself, so that no guard of the channel lives across a wait.
        let why = failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // All tasks ended without an error: a stop.
            None => std::future::pending().await,
        }
    }

    /// Takes no more records, flushes what is folded, and ends.
    ///
    /// # Errors
    /// The first partition's that could not.
    pub async fn stop(&self) -> Result<(), Error> {
        self.stop.send_replace(true);
        let mut tasks = self.tasks.lock().await;
        let mut answer = Ok(());
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.unwrap_or_else(|error| Err(Error::Panicked(error.to_string())));
            answer = answer.and(ended);
        }
        answer
    }
}

fn check(settings: &Settings, log: &dyn EventLog, readers: usize) -> Result<(), Error> {
    if settings.flush_every.is_zero() {
        return Err(Error::Setting("flush_every = 0 would flush without end; set a second or more".to_owned()));
    }
    let (ours, theirs) = (settings.generation.partitions, log.partitions());
    if ours != theirs {
        return Err(Error::Setting(format!(
            "the generation has {ours} partitions, the log {theirs}; set them to what the log was made with"
        )));
    }
    if readers != ours as usize {
        return Err(Error::Setting(format!("{readers} readers for {ours} partitions; give each one of its own")));
    }
    Ok(())
}

/// Runs a partition's task and tells how it failed, a panic included: nobody else would notice.
async fn watched(
    partition: u32,
    task: impl Future<Output = Result<(), Error>>,
    fail: watch::Sender<Option<String>>,
) -> Result<(), Error> {
    // Unwind safe: nothing of the task is looked at after its panic.
    let ended = AssertUnwindSafe(task).catch_unwind().await;
    let ended = ended.unwrap_or_else(|panic| Err(Error::Panicked(words(&*panic))));
    if let Err(error) = &ended {
        tracing::error!(partition, %error, "the partition cannot go on");
        fail.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(error.to_string());
            }
            is_first
        });
    }
    ended
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words").to_owned()
}
