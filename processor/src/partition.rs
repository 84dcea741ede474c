//! The loop of one partition: signals of the log and answers of the store go into the worker, its actions come out.
//!
//! Always true here: one step of a flush is under way at most, while folding goes on; batches are taken only while the
//! worker wants them, so memory is bounded; the log is released only below the position of the saved state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use counting::fold;
use counting::worker::{Action, Assigned, Input, LogRange, Work, Worker};
use eventlog::{EventLog, Signal, Subscription};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::log::Logged;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::dead_letters::{DeadLetter, DeadLetters, Kept, is_for_room};
use crate::health::Health;
use crate::keeping::{Keeping, failed};
use crate::{Error, STOP_WITHIN};

/// A failure that may pass is waited for this long.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How often a long replay says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Everything that the loop holds.
pub(crate) struct Task {
    pub(crate) generation: u32,
    pub(crate) partition: u32,
    pub(crate) worker: Worker,
    pub(crate) subscription: Box<dyn Subscription>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) keeping: Keeping,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) health: Arc<Health>,
    pub(crate) flush_every: Duration,
    pub(crate) under_way: Option<BoxFuture<'static, Input>>,
    pub(crate) is_assigned: bool,
}

/// What the loop waited for.
enum Event {
    Done(Input),
    Due,
    Signal(Result<Signal, eventlog::Error>),
    Stop,
}

impl Task {
    /// Runs until `stop`, then flushes; or until it cannot go on.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut due = interval(self.flush_every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut replay = Replay::new(self.partition);
        loop {
            match self.wait(&mut stop, &mut due).await {
                Event::Stop => break,
                Event::Done(input) => self.handle(input).await?,
                Event::Due => {
                    replay.tell(&self)?;
                    self.handle(Input::Tick).await?;
                }
                Event::Signal(signal) => match signal? {
                    Signal::Assigned { .. } => self.assigned().await?,
                    Signal::Revoked { .. } => self.handle(Input::Revoked).await?,
                    Signal::Batch { records, .. } => self.handle(Input::Batch(records)).await?,
                    Signal::Idle => {}
                },
            }
        }
        timeout(STOP_WITHIN, self.flush_all()).await.unwrap_or(Err(Error::StopTooLong(self.partition)))
    }

    async fn wait(&mut self, stop: &mut watch::Receiver<bool>, due: &mut tokio::time::Interval) -> Event {
        // Until it is assigned there is no batch to be had, only the assignment.
        let wants = self.worker.wants_batch() || !self.is_assigned;
        let under_way = &mut self.under_way;
        let done = async {
            match under_way {
                Some(work) => work.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Event::Stop,
            input = done => {
                self.under_way = None;
                Event::Done(input)
            }
            _ = due.tick() => Event::Due,
            signal = self.subscription.next(), if wants => Event::Signal(signal),
        }
    }

    /// Gathers what the worker begins with.
    async fn assigned(&mut self) -> Result<(), Error> {
        let held = self.log.held()?;
        let log = held
            .get(self.partition as usize)
            .map_or(LogRange { from: 0, to: 0 }, |held| LogRange { from: held.first, to: held.end });
        let (checkpoint, state) = self.keeping.begin(self.generation, self.partition, log.from).await?;
        let before_checkpoint = match checkpoint {
            Some(checkpoint) if checkpoint.position > log.from && checkpoint.position <= log.to => {
                self.record_at(checkpoint.position - 1).await?
            }
            _ => None,
        };
        self.is_assigned = true;
        let assigned = Assigned { checkpoint, state, log, before_checkpoint };
        self.handle(Input::Assigned(Box::new(assigned))).await
    }

    async fn record_at(&mut self, offset: u64) -> Result<Option<Logged>, Error> {
        self.subscription.begin(self.partition, offset)?;
        loop {
            match self.subscription.next().await? {
                Signal::Batch { records, .. } => return Ok(records.into_iter().next()),
                Signal::Assigned { .. } => {}
                Signal::Idle | Signal::Revoked { .. } => return Ok(None),
            }
        }
    }

    /// Hands an input to the worker and carries out what comes of it.
    async fn handle(&mut self, input: Input) -> Result<(), Error> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for action in self.worker.handle(input) {
                inputs.extend(self.carry_out(action).await?);
            }
        }
        let progress = self.worker.progress();
        self.log.release(self.partition, progress.saved);
        self.health.tell(self.partition, progress);
        Ok(())
    }

    /// Carries out an action; answers the input that it led to at once, if any.
    async fn carry_out(&mut self, action: Action) -> Result<Option<Input>, Error> {
        match action {
            Action::Begin { position } => {
                tracing::info!(partition = self.partition, position, "begin to read");
                self.subscription.begin(self.partition, position)?;
                Ok(None)
            }
            Action::Load(keys) => Ok(Some(match self.keeping.store().load(keys).await {
                Ok(cells) => Input::Loaded(cells),
                Err(error) => wait_if_failed(self.partition, failed(Work::Load, &error)).await,
            })),
            Action::DeadLetter(letter) => self.keep(&letter).await.map(|()| None),
            Action::Snapshot { position } => {
                self.snapshot(position).await?;
                Ok(None)
            }
            Action::Stop(stop) => Err(Error::Worker { partition: self.partition, why: stop.to_string() }),
            action => {
                let work = self.keeping.carry_out(self.generation, self.partition, action);
                let partition = self.partition;
                self.under_way = Some(work.then(move |input| wait_if_failed(partition, input)).boxed());
                Ok(None)
            }
        }
    }

    async fn snapshot(&mut self, position: u64) -> Result<(), Error> {
        let Keeping::Apart { state, snapshots, .. } = &self.keeping else { return Ok(()) };
        if let Some(saved) = state.load(self.generation, self.partition).await? {
            snapshots.put(self.generation, self.partition, saved).await?;
            tracing::info!(partition = self.partition, position, "kept a snapshot");
        }
        Ok(())
    }

    /// The letter is durable when this returns; a full disk is waited for, since the flush behind it would meet it as well.
    async fn keep(&mut self, letter: &fold::DeadLetter) -> Result<(), Error> {
        tracing::error!(partition = self.partition, offset = letter.offset, reason = letter.reason, "dead letter");
        let letter = DeadLetter::of(self.generation, self.partition, letter);
        loop {
            let (letters, letter) = (self.dead_letters.clone(), letter.clone());
            let kept = tokio::task::spawn_blocking(move || letters.keep(&letter)).await;
            match kept.map_err(|error| Error::Panicked(error.to_string()))? {
                Ok(Kept::Kept) => return Ok(()),
                Ok(Kept::Full) => {
                    tracing::warn!(
                        partition = self.partition,
                        "too many dead letters: this one is booked but not kept"
                    );
                    return Ok(());
                }
                Err(error) if is_for_room(&error) => sleep(RETRY_AFTER).await,
                Err(source) => return Err(Error::DeadLetters { folder: self.dead_letters.place(), source }),
            }
        }
    }

    /// Flushes until everything folded is durable.
    async fn flush_all(&mut self) -> Result<(), Error> {
        self.handle(Input::Tick).await?;
        while let Some(work) = self.under_way.take() {
            let input = work.await;
            self.handle(input).await?;
            if self.under_way.is_none() {
                self.handle(Input::Tick).await?;
            }
        }
        self.handle(Input::Revoked).await
    }
}

/// A failure that may pass is handed back after a while.
async fn wait_if_failed(partition: u32, input: Input) -> Input {
    if let Input::Failed { reason, retry: true, .. } = &input {
        tracing::warn!(partition, reason, "will try again");
        sleep(RETRY_AFTER).await;
    }
    input
}

/// Says how far a long replay is.
struct Replay {
    partition: u32,
    told: Instant,
}

impl Replay {
    fn new(partition: u32) -> Self {
        Self { partition, told: Instant::now() }
    }

    fn tell(&mut self, task: &Task) -> Result<(), Error> {
        const WORTH_TELLING: u64 = 20_000;
        if self.told.elapsed() < TELL_EVERY {
            return Ok(());
        }
        self.told = Instant::now();
        let end = task.log.held()?.get(self.partition as usize).map_or(0, |held| held.end);
        let folded = task.worker.progress().folded;
        if end.saturating_sub(folded) > WORTH_TELLING {
            tracing::info!(partition = self.partition, folded, end, "catching up with the log");
        }
        Ok(())
    }
}
