//! The HTTP service's old way: each evaluation straight into the store, each custom event and exposure a job in the
//! queue, before the answer.
//!
//! Always true here: one call of the store for each row, at most three attempts, all ours and within a deadline; calls
//! under way are bounded, and a row that finds no place in time is refused; an attempt without an answer may have been
//! done, and is tried again like any other, since a service cannot know; each row's fate is told to the log, but in
//! stage `off`; "written" is said only when every row and job surely is.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join};
use futures_util::stream::{self, StreamExt};
use ingest::gate::{OldAnswer, OldEvent, OldExposure, OldPath, OldPayload, Stage};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter as Metric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use schemas::id::Environment;
use schemas::old_path::{ATTEMPTS_MAX, Fate};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::WriteError;
use crate::counter::{Add, Counter};
use crate::dice::Dice;
use crate::jobs::{BATCH_MAX, Job, Jobs, What};
use crate::outcomes::{Outcome, Outcomes};
use crate::store::OldStore;

/// How hard is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Calls of the store under way at a time, and as many of the queue.
    pub calls_max: usize,
    /// Attempts for a row, or for a batch of jobs; no more than [`ATTEMPTS_MAX`] are made, as the log's range reckons
    /// with that.
    pub attempts_max: u32,
    /// An attempt that has no answer by then is given up.
    pub attempt: Duration,
    /// All of a payload ends within this.
    pub deadline: Duration,
    /// The pause before the second attempt, of which a part is thrown; it doubles before each further one.
    pub pause: Duration,
}

impl Default for Options {
    /// 64 calls; 3 attempts of 800 ms, 50 to 100 ms and 100 to 200 ms apart; 2 s in all.
    fn default() -> Self {
        Self {
            calls_max: 64,
            attempts_max: ATTEMPTS_MAX,
            attempt: Duration::from_millis(800),
            deadline: Duration::from_secs(2),
            pause: Duration::from_millis(100),
        }
    }
}

/// Ingest's other sink; clones are the same.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn OldStore>,
    jobs: Arc<dyn Jobs>,
    outcomes: Outcomes,
    dice: Dice,
    options: Options,
    /// Places for calls, apart: a store that hangs must not keep jobs from being sent.
    adding: Semaphore,
    sending: Semaphore,
    fates: Family<ByFate, Metric>,
    attempts_failed: Family<ByEnd, Metric>,
}

/// What came of all attempts for a row or a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tried {
    /// An attempt was answered as done.
    is_done: bool,
    /// Attempts of which nobody knows.
    unknown: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFate {
    fate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    end: &'static str,
}

impl Writer {
    /// Writes to these, and tells what came of it.
    #[must_use]
    pub fn new(
        store: Arc<dyn OldStore>,
        jobs: Arc<dyn Jobs>,
        outcomes: Outcomes,
        dice: Dice,
        options: Options,
    ) -> Self {
        let places = || Semaphore::new(options.calls_max.clamp(1, Semaphore::MAX_PERMITS));
        let (adding, sending) = (places(), places());
        let (fates, attempts_failed) = (Family::default(), Family::default());
        Self(Arc::new(Shared { store, jobs, outcomes, dice, options, adding, sending, fates, attempts_failed }))
    }

    /// Puts its counters into a registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "What became of evaluations and events that were to be written, or enqueued";
        registry.register("writes", help, self.0.fates.clone());
        let help = "Attempts to write a row or to send jobs that failed, by what is known of their effect";
        registry.register("attempts_failed", help, self.0.attempts_failed.clone());
    }
}

impl OldPath for Writer {
    fn write(&self, payload: OldPayload) -> BoxFuture<'static, OldAnswer> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.write(payload).await })
    }

    fn refuse(&self, payload: OldPayload) {
        let (adds, jobs) = work_of(&payload);
        let refused = vec![Tried::default(); adds.len().max(jobs.len())];
        self.0.tell(&payload, &adds, &refused, &jobs, &refused);
    }
}

impl Shared {
    async fn write(&self, payload: OldPayload) -> OldAnswer {
        let by = Instant::now() + self.options.deadline;
        let (adds, jobs) = work_of(&payload);
        let (rows, sent) = join(self.write_rows(&adds, by), self.send_all(&jobs, by)).await;
        self.tell(&payload, &adds, &rows, &jobs, &sent);
        match rows.iter().chain(&sent).all(|tried| tried.is_done) {
            true => OldAnswer::Written,
            false => OldAnswer::NotWritten,
        }
    }

    async fn write_rows(&self, adds: &[Add], by: Instant) -> Vec<Tried> {
        let writes: Vec<BoxFuture<'_, Tried>> = adds.iter().map(|add| self.write_row(add, by).boxed()).collect();
        stream::iter(writes).buffered(self.options.calls_max.max(1)).collect().await
    }

    async fn write_row(&self, add: &Add, by: Instant) -> Tried {
        let mut tried = Tried::default();
        for attempt in 0..self.options.attempts_max.min(ATTEMPTS_MAX) {
            let Some(done) = self.attempt(&self.adding, attempt, by, || self.store.add(add.clone())).await else {
                break;
            };
            self.note(&mut tried, &done.unwrap_or_else(|| Err(no_answer())));
            if tried.is_done {
                break;
            }
        }
        tried
    }

    async fn send_all(&self, jobs: &[Job], by: Instant) -> Vec<Tried> {
        let sends: Vec<BoxFuture<'_, Vec<Tried>>> =
            jobs.chunks(BATCH_MAX).map(|batch| self.send_batch(batch, by).boxed()).collect();
        let sent: Vec<Vec<Tried>> = stream::iter(sends).buffered(self.options.calls_max.max(1)).collect().await;
        sent.concat()
    }

    /// Of a batch that was sent in part, the rest is sent again.
    async fn send_batch(&self, batch: &[Job], by: Instant) -> Vec<Tried> {
        let mut tried = vec![Tried::default(); batch.len()];
        for attempt in 0..self.options.attempts_max.min(ATTEMPTS_MAX) {
            let left: Vec<usize> = (0..batch.len()).filter(|place| !tried[*place].is_done).collect();
            if left.is_empty() {
                break;
            }
            let jobs: Vec<Job> = left.iter().map(|place| batch[*place].clone()).collect();
            let Some(answers) = self.attempt(&self.sending, attempt, by, || self.jobs.send(jobs)).await else { break };
            let answers = answers.unwrap_or_default();
            for (nth, place) in left.into_iter().enumerate() {
                self.note(&mut tried[place], answers.get(nth).unwrap_or(&Err(no_answer())));
            }
        }
        tried
    }

    /// One attempt, after its pause and when there is a place for it; `Some(None)` = no answer in time, `None` = it was
    /// never made, as its time is over.
    async fn attempt<T, F: Future<Output = T>>(
        &self,
        places: &Semaphore,
        attempt: u32,
        by: Instant,
        call: impl FnOnce() -> F,
    ) -> Option<Option<T>> {
        if attempt > 0 {
            let pause = self.dice.about(self.options.pause * 2_u32.saturating_pow(attempt - 1));
            if Instant::now() + pause >= by {
                return None;
            }
            sleep(pause).await;
        }
        // It is never closed.
        let _place = timeout_at(by, places.acquire()).await.ok()?.ok()?;
        if Instant::now() >= by {
            return None;
        }
        let until = by.min(Instant::now() + self.options.attempt);
        Some(timeout_at(until, call()).await.ok())
    }

    fn note(&self, tried: &mut Tried, done: &Result<(), WriteError>) {
        let end = match done {
            Ok(()) => {
                tried.is_done = true;
                return;
            }
            Err(WriteError::Refused(_)) => "refused",
            Err(WriteError::Unknown(_)) => {
                tried.unknown += 1;
                "unknown"
            }
        };
        self.attempts_failed.get_or_create(&ByEnd { end }).inc();
    }

    fn tell(&self, payload: &OldPayload, adds: &[Add], rows: &[Tried], jobs: &[Job], sent: &[Tried]) {
        let written = adds.iter().zip(rows).flat_map(|(add, tried)| outcomes(add, straight(*tried)));
        let enqueued = jobs.iter().zip(sent).filter_map(|(job, tried)| Some((job.add().ok()?, enqueuing(*tried))));
        let enqueued = enqueued.flat_map(|(add, fates)| outcomes(&add, fates));
        let all: Vec<Outcome> = written.chain(enqueued).collect();
        for outcome in &all {
            self.fates.get_or_create(&ByFate { fate: name(outcome.fate) }).inc_by(outcome.number);
        }
        if payload.stage != Stage::Off {
            self.outcomes.tell(&payload.environment, all);
        }
    }
}

fn no_answer() -> WriteError {
    WriteError::Unknown("no answer in time".to_owned())
}

/// The rows to be written and the jobs to be sent for a payload.
fn work_of(payload: &OldPayload) -> (Vec<Add>, Vec<Job>) {
    let off = payload.stage == Stage::Off;
    let add = |row: &ingest::gate::OldCount| Add {
        environment: payload.environment.clone(),
        counter: Counter::Evaluations { flag: row.flag.clone(), variation: row.variation.clone() },
        time_ms: row.time_ms,
        number: row.count,
        off,
        value: None,
    };
    let event = |row: &OldEvent| {
        let value_micros = row.value.map(|value| value.0);
        (row.time_ms, What::Event { key: row.key.to_string(), value_micros, sampling: row.sampling })
    };
    let exposure = |row: &OldExposure| {
        (row.time_ms, What::Exposure { flag: row.flag.to_string(), variation: row.variation.clone().into() })
    };
    let whats = payload.events.iter().map(event).chain(payload.exposures.iter().map(exposure));
    let jobs = whats.map(|(time_ms, what)| job(&payload.environment, off, time_ms, what));
    (payload.counts.iter().map(add).collect(), jobs.collect())
}

fn job(environment: &Environment, off: bool, time_ms: i64, what: What) -> Job {
    let (project, environment) = (environment.project_str().to_owned(), environment.key_str().to_owned());
    Job { project, environment, time_ms, off, what }
}

/// What became of a row, by fate: how many times its number.
fn straight(tried: Tried) -> [(Fate, u64); 2] {
    match tried {
        Tried { is_done: true, unknown } => [(Fate::Applied, 1), (Fate::Extra, unknown)],
        Tried { unknown: 0, .. } => [(Fate::Refused, 1), (Fate::Extra, 0)],
        // Each attempt but one may have been done beside the one that may have been.
        Tried { unknown, .. } => [(Fate::Uncertain, 1), (Fate::Extra, unknown - 1)],
    }
}

/// The same for a job: each attempt of unknown end may have left one in the queue.
fn enqueuing(tried: Tried) -> [(Fate, u64); 2] {
    match tried {
        Tried { is_done: true, unknown } => [(Fate::Enqueued, 1), (Fate::EnqueueUncertain, unknown)],
        Tried { unknown: 0, .. } => [(Fate::EnqueueRefused, 1), (Fate::EnqueueUncertain, 0)],
        Tried { unknown, .. } => [(Fate::EnqueueUncertain, unknown), (Fate::EnqueueRefused, 0)],
    }
}

fn outcomes(add: &Add, fates: [(Fate, u64); 2]) -> Vec<Outcome> {
    let outcome = |(fate, times): (Fate, u64)| Outcome {
        counter: add.counter.clone(),
        time_ms: add.time_ms,
        fate,
        number: add.number.saturating_mul(times),
    };
    fates.into_iter().filter(|(_, times)| *times > 0).map(outcome).collect()
}

/// What a metric calls a fate.
pub(crate) fn name(fate: Fate) -> &'static str {
    match fate {
        Fate::Applied => "applied",
        Fate::Refused => "refused",
        Fate::Uncertain => "uncertain",
        Fate::Extra => "extra",
        Fate::Enqueued => "enqueued",
        Fate::EnqueueRefused => "enqueue_refused",
        Fate::EnqueueUncertain => "enqueue_uncertain",
        Fate::Started => "started",
        Fate::StartedAgain => "started_again",
        Fate::JobApplied => "job_applied",
        Fate::JobAppliedAgain => "job_applied_again",
        Fate::JobRefused => "job_refused",
        Fate::JobLost => "job_lost",
    }
}
