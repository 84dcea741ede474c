//! The worker: takes jobs, does them, deletes them.
//!
//! Always true here: a delivery is told to the log before its job is done, and when the log does not have it in time
//! the job is not done now (jobs of stage `off` are told nowhere); within a delivery a job is tried once more only
//! while it surely was not done; a job that is not deleted comes again by itself, and one that failed in its last
//! delivery is told as lost. Doing a job and deleting it are two steps: a worker that dies between them leaves a job
//! that is done twice, which is what such queues promise.
//!
//! Several workers may run at once, in one process or in many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter as Metric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use schemas::id::Environment;
use schemas::old_path::Fate;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::WriteError;
use crate::counter::Add;
use crate::dice::Dice;
use crate::jobs::{DELIVERIES_MAX, Delivery, Jobs, Receipt};
use crate::outcomes::{Outcome, Outcomes};
use crate::store::OldStore;
use crate::writer::name;

/// How hard is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Attempts within one delivery, as long as each was refused; also attempts to delete.
    pub attempts_max: u32,
    /// An attempt that has no answer by then is given up.
    pub attempt: Duration,
    /// The pause before the second attempt, of which a part is thrown; it doubles before each further one.
    pub pause: Duration,
    /// A receive waits so long for a job; so long may a stop take that finds nothing to do.
    pub receive: Duration,
}

impl Default for Options {
    /// 3 attempts of 2 s, 50 to 100 ms and 100 to 200 ms apart; a receive waits for 2 s.
    fn default() -> Self {
        Self {
            attempts_max: 3,
            attempt: Duration::from_secs(2),
            pause: Duration::from_millis(100),
            receive: Duration::from_secs(2),
        }
    }
}

/// One worker.
#[derive(Debug)]
pub struct Worker {
    store: Arc<dyn OldStore>,
    jobs: Arc<dyn Jobs>,
    outcomes: Outcomes,
    dice: Dice,
    options: Options,
    metrics: Metrics,
}

/// Counters of workers; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    deliveries: Family<ByFate, Metric>,
    /// Deliveries in which the store was not asked at all.
    left: Metric,
    deletes_failed: Metric,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFate {
    fate: &'static str,
}

/// A delivery that is being worked on.
struct Task {
    add: Add,
    deliveries: u32,
    receipt: Receipt,
}

impl Worker {
    /// A worker on these. Its deliveries are told by `outcomes`, which whoever stops it should let settle.
    #[must_use]
    pub fn new(
        store: Arc<dyn OldStore>,
        jobs: Arc<dyn Jobs>,
        outcomes: Outcomes,
        dice: Dice,
        options: Options,
        metrics: Metrics,
    ) -> Self {
        Self { store, jobs, outcomes, dice, options, metrics }
    }

    /// Works until told to stop (or until nobody is left who could), and then finishes what it has in hand. To end it
    /// at once drops what it has in hand: it comes again.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() && stop.has_changed().is_ok() {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "no jobs can be taken; trying again");
                let pause = sleep(self.dice.about(self.options.pause * 10));
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = pause => {}
                }
            }
        }
        self.outcomes.settle().await;
    }

    /// Takes jobs once and does them; how many there were.
    ///
    /// # Errors
    /// The queue's, when none could be taken.
    pub async fn round(&self) -> Result<usize, crate::Error> {
        let taken = self.jobs.receive(self.options.receive).await?;
        let (many, received) = (taken.len(), Instant::now());
        // What is not begun in half the time that it is ours may be somebody else's before it is done.
        let by = received + self.jobs.visibility() / 2;
        let mut tasks: BTreeMap<Option<Environment>, Vec<Task>> = BTreeMap::new();
        for task in taken.into_iter().filter_map(read) {
            let told = (!task.add.off).then(|| task.add.environment.clone());
            tasks.entry(told).or_default().push(task);
        }
        join_all(tasks.into_iter().map(|(environment, tasks)| self.work(environment, tasks, by))).await;
        Ok(many)
    }

    /// Tells of these deliveries, does them, deletes them.
    async fn work(&self, environment: Option<Environment>, tasks: Vec<Task>, by: Instant) {
        let started = |task: &Task| task.outcome(Fate::Started, Fate::StartedAgain);
        if let Some(environment) = &environment {
            let told = self.outcomes.told_by(environment, tasks.iter().map(started).collect(), by).await;
            if !told || Instant::now() >= by {
                self.metrics.left.inc_by(tasks.len() as u64);
                tracing::warn!(jobs = tasks.len(), "log did not take note of these jobs in time; they come again");
                return;
            }
        }
        let done = join_all(tasks.iter().map(|task| self.apply(task))).await;
        let outcomes: Vec<Outcome> = tasks.iter().zip(&done).flat_map(|(task, done)| fates(task, done)).collect();
        for outcome in &outcomes {
            self.metrics.deliveries.get_or_create(&ByFate { fate: name(outcome.fate) }).inc();
        }
        if let Some(environment) = &environment {
            self.outcomes.tell(environment, outcomes);
        }
        let applied = tasks.into_iter().zip(&done).filter(|(_, done)| done.is_ok());
        self.delete(applied.map(|(task, _)| task.receipt).collect()).await;
    }

    /// Adds once. It is tried again only after a refusal: after an attempt of unknown end a further one might do it
    /// twice within one delivery.
    async fn apply(&self, task: &Task) -> Result<(), WriteError> {
        let mut attempt = 1;
        loop {
            let answer = timeout(self.options.attempt, self.store.add(task.add.clone())).await;
            let done = answer.unwrap_or_else(|_| Err(WriteError::Unknown("no answer in time".to_owned())));
            if !matches!(done, Err(WriteError::Refused(_))) || attempt >= self.options.attempts_max {
                return done;
            }
            sleep(self.dice.about(self.options.pause * 2_u32.saturating_pow(attempt - 1))).await;
            attempt += 1;
        }
    }

    /// Deletes what is done; what cannot be deleted comes again.
    async fn delete(&self, mut receipts: Vec<Receipt>) {
        for attempt in 0..self.options.attempts_max {
            if receipts.is_empty() {
                return;
            }
            if attempt > 0 {
                sleep(self.dice.about(self.options.pause * 2_u32.saturating_pow(attempt - 1))).await;
            }
            let answers = self.jobs.delete(receipts.clone()).await;
            let left = receipts.into_iter().zip(answers).filter(|(_, deleted)| deleted.is_err());
            receipts = left.map(|(receipt, _)| receipt).collect();
        }
        if !receipts.is_empty() {
            self.metrics.deletes_failed.inc_by(receipts.len() as u64);
            tracing::warn!(jobs = receipts.len(), "jobs are done and could not be deleted; they come again");
        }
    }
}

impl Metrics {
    /// Puts these into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Deliveries of jobs by what became of them; one may have none, or be lost beside";
        registry.register("job_deliveries", help, self.deliveries.clone());
        let help = "Deliveries that were left for another time because the log did not take note of them";
        registry.register("job_deliveries_left", help, self.left.clone());
        let help = "Jobs that were done and could not be deleted";
        registry.register("job_deletes_failed", help, self.deletes_failed.clone());
    }
}

impl Task {
    fn outcome(&self, first: Fate, again: Fate) -> Outcome {
        let fate = if self.deliveries <= 1 { first } else { again };
        Outcome { counter: self.add.counter.clone(), time_ms: self.add.time_ms, fate, number: self.add.number }
    }
}

/// What is to be done; none where the message is no job: it comes again until it lies among the dead letters.
fn read(delivery: Delivery) -> Option<Task> {
    let Delivery { job, deliveries, receipt } = delivery;
    match job.and_then(|job| job.add().map_err(|error| error.to_string())) {
        Ok(add) => Some(Task { add, deliveries, receipt }),
        Err(error) => {
            tracing::warn!(error, deliveries, "what was taken is no job");
            None
        }
    }
}

/// What became of a delivery; of an unknown end nothing can be told, and its range stays open.
fn fates(task: &Task, done: &Result<(), WriteError>) -> Vec<Outcome> {
    let mut fates = match done {
        Ok(()) => return vec![task.outcome(Fate::JobApplied, Fate::JobAppliedAgain)],
        Err(WriteError::Refused(_)) => vec![task.outcome(Fate::JobRefused, Fate::JobRefused)],
        Err(WriteError::Unknown(_)) => Vec::new(),
    };
    if task.deliveries >= DELIVERIES_MAX {
        fates.push(task.outcome(Fate::JobLost, Fate::JobLost));
    }
    fates
}
