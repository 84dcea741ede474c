//! Log in, store out: drives the worker of each partition, one task each.
//!
//! Always true here: nothing is decided that could change a number, for that is the worker's; an action is carried out as
//! it came, in order; a failure that may pass is waited for and handed back, any other ends the processor and is told.
//!
//! Where to go next: [`partition`] is the loop, [`keeping`] how things become durable, [`dead_letters`] what the fold could
//! not take, [`health`] how far everything is.

mod dead_letters;
mod health;
mod keeping;
mod partition;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use counting::worker::{Mode, Worker};
use eventlog::{EventLog, Subscription};
use schemas::generation::Generation;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use dead_letters::{DeadLetter, DeadLetters, KEPT_MAX, Kept};
pub use health::{Health, PartitionHealth};
pub use keeping::Keeping;

/// What a processor is told before it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The generation.
    pub generation: Generation,
    /// How often cells are made durable.
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
    /// The last flush took longer than a stop may.
    #[error(
        "partition {0} could not be flushed within {STOP_WITHIN:?}; nothing is lost, it is folded again at the next start"
    )]
    StopTooLong(u32),
}

/// A stop waits this long for the last flush.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(20);

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
    /// Starts a task for each partition of the generation; `subscribe` opens a reader of one partition.
    ///
    /// # Errors
    /// When a setting cannot be kept, a reader cannot be opened, or there can be no folder for dead letters.
    pub fn start(
        settings: Settings,
        log: Arc<dyn EventLog>,
        subscribe: impl Fn(u32) -> Result<Box<dyn Subscription>, eventlog::Error>,
        keeping: Keeping,
    ) -> Result<Self, Error> {
        let folder = &settings.dead_letters;
        let dead_letters = DeadLetters::open(folder)
            .map_err(|source| Error::DeadLetters { folder: folder.display().to_string(), source })?;
        let health = Arc::new(Health::new(settings.generation.partitions));
        let (stop, stopped) = watch::channel(false);
        let (fail, failed) = watch::channel(None);
        let mut tasks = JoinSet::new();
        for partition in 0..settings.generation.partitions {
            let worker = worker(&settings, partition, keeping.mode())?;
            let task = partition::Task {
                generation: settings.generation.number,
                partition,
                worker,
                subscription: subscribe(partition)?,
                log: Arc::clone(&log),
                keeping: keeping.clone(),
                dead_letters: dead_letters.clone(),
                health: Arc::clone(&health),
                flush_every: settings.flush_every,
                under_way: None,
                is_assigned: false,
            };
            let (stopped, fail) = (stopped.clone(), fail.clone());
            tasks.spawn(async move {
                let ended = task.run(stopped).await;
                if let Err(error) = &ended {
                    tracing::error!(partition, %error, "the partition cannot go on");
                    fail.send_replace(Some(error.to_string()));
                }
                ended
            });
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
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // All tasks ended without an error: a stop.
            Err(_) => std::future::pending().await,
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

fn worker(settings: &Settings, partition: u32, mode: Mode) -> Result<Worker, Error> {
    let settings = counting::worker::Settings::new(settings.generation.clone(), partition, mode);
    Worker::new(settings).map_err(|error| Error::Worker { partition, why: error.to_string() })
}
