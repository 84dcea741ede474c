//! The loop of one partition: signals of the log and answers of the store go into the worker, its actions come out.
//!
//! Always true here: each assignment has a worker of its own, and what an earlier one had at the store has come to its
//! end before it begins; batches are taken only while there is room, in records and in bytes, so memory is bounded; a
//! batch that leaves records out is refused; nothing that waits (for the store, the disk, the log) keeps a stop or the
//! rest of the loop waiting, but for the flush of a partition that goes, which is all that is left to do then.
//!
//! Where to go next: `beginning` says what a worker begins with, `progress` who is told how far it is and what the log
//! may let go, `under_way` what goes on beside folding.

mod beginning;
mod progress;

use std::sync::Arc;
use std::time::Duration;

use counting::worker::{self, Action, Input, Worker};
use eventlog::{EventLog, Signal, Subscription};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::log::Logged;
use schemas::stored::WriteAnswer;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

use self::beginning::{Phase, new_worker};
use crate::dead_letters::{self, DeadLetter, DeadLetters};
use crate::health::Health;
use crate::keeping::{Found, Keeping};
use crate::owner::Telling;
use crate::replay::Replay;
use crate::snapshots::Snapshots;
use crate::under_way::{Done, Failures, Next, UnderWay};
use crate::unfolded::Unfolded;
use crate::{Error, REVOKE_WITHIN, STOP_WITHIN};

/// Bytes of records handed to the worker and not folded, from which on no further batch is taken. A batch may pass it.
pub(crate) const WAITING_BYTES_MAX: usize = 8 << 20;
/// Dead letters and other actions waiting for their turn, from which on no further batch is taken.
const WAITING_ACTIONS_MAX: usize = 16;

/// What a partition is given.
pub(crate) struct Given {
    pub(crate) settings: worker::Settings,
    pub(crate) subscription: Box<dyn Subscription>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) keeping: Keeping,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) health: Arc<Health>,
    pub(crate) flush_every: Duration,
}

/// A partition.
pub(crate) struct Partition {
    given: Given,
    number: u32,
    phase: Phase,
    worker: Worker,
    under_way: UnderWay,
    /// The step of a flush that an earlier worker had begun.
    leaving: Option<BoxFuture<'static, Input>>,
    /// The offset that the next batch may begin at, at most.
    next: u64,
    unfolded: Unfolded,
    snapshots: Snapshots,
    released: u64,
    log_failures: Failures,
    /// When the log is asked again, after a failure.
    log_again: Option<Instant>,
    replay: Replay,
    telling: Telling,
}

/// What the loop waited for.
enum Event {
    Stop,
    Left,
    Found(Result<Found, Error>),
    Done(Done),
    Due,
    Said,
    Signal(Result<Signal, eventlog::Error>),
}

impl Partition {
    pub(crate) fn new(given: Given) -> Result<Self, Error> {
        let number = given.settings.partition;
        Ok(Self {
            number,
            phase: Phase::Away,
            worker: new_worker(&given.settings)?,
            under_way: UnderWay::default(),
            leaving: None,
            next: 0,
            unfolded: Unfolded::default(),
            snapshots: Snapshots::new(0, Instant::now()),
            released: 0,
            log_failures: Failures::default(),
            log_again: None,
            replay: Replay::new(Instant::now()),
            telling: Telling::default(),
            given,
        })
    }

    /// Runs until `stop`, then flushes; or until it cannot go on.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut due = interval(self.given.flush_every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.wait(&mut stop, &mut due).await {
                Event::Stop => break,
                Event::Left => self.leaving = None,
                Event::Found(found) => self.found(found?)?,
                Event::Done(done) => self.done(done)?,
                Event::Due => self.due(),
                Event::Said => {}
                Event::Signal(signal) => self.signal(signal).await?,
            }
            self.go_on()?;
            self.tell().await?;
        }
        timeout(STOP_WITHIN, self.finish()).await.unwrap_or(Err(Error::StopTooLong(self.number)))
    }

    async fn wait(&mut self, stop: &mut watch::Receiver<bool>, due: &mut Interval) -> Event {
        let has_room = self.has_room();
        let is_folding = matches!(self.phase, Phase::Folding);
        let Self { phase, leaving, under_way, given, log_again, telling, number, .. } = self;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Event::Stop,
            _ = ended(leaving.as_mut()) => Event::Left,
            found = ended(phase.finding()) => Event::Found(found),
            done = under_way.next() => Event::Done(done),
            _ = due.tick() => Event::Due,
            () = telling.next(*number), if is_folding => Event::Said,
            signal = next_after(*log_again, &mut *given.subscription, has_room) => Event::Signal(signal),
        }
    }

    /// Before the worker has begun, the log has nothing to say that would take room.
    fn has_room(&self) -> bool {
        !matches!(self.phase, Phase::Folding)
            || self.worker.wants_batch()
                && self.unfolded.bytes() < WAITING_BYTES_MAX
                && self.under_way.waiting() < WAITING_ACTIONS_MAX
    }

    async fn signal(&mut self, signal: Result<Signal, eventlog::Error>) -> Result<(), Error> {
        match signal {
            Ok(Signal::Assigned { partition }) if partition == self.number => {
                self.leave();
                self.phase = Phase::Claimed;
                self.given.health.claimed(self.number);
            }
            Ok(Signal::Revoked { partition }) if partition == self.number => {
                self.flush_before_it_goes().await?;
                self.leave();
            }
            Ok(Signal::Batch { partition, records }) if partition == self.number => self.batch(records)?,
            // Nothing new, or news of a partition that another task has.
            Ok(_) => {}
            Err(error) if error.is_retryable() => {
                tracing::warn!(partition = self.number, %error, "cannot read the log for now");
                self.log_again = Some(Instant::now() + self.log_failures.wait());
                self.log_failures.one_more();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        (self.log_failures, self.log_again) = (Failures::default(), None);
        Ok(())
    }

    /// The log lets a partition go when its next signal is asked for, so whoever gets it finds all that was folded
    /// here. Nothing depends on that: what is not flushed in time is folded again there, and refused here.
    async fn flush_before_it_goes(&mut self) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Folding) {
            return Ok(());
        }
        match timeout(REVOKE_WITHIN, self.finish()).await {
            Ok(flushed) => flushed,
            Err(_) => {
                tracing::warn!(partition = self.number, "goes before it is flushed; it is folded again where it goes");
                Ok(())
            }
        }
    }

    /// Whatever the worker had begun is without it now; a step that is at the store comes to its end by itself.
    fn leave(&mut self) {
        if matches!(self.phase, Phase::Folding) {
            tracing::info!(partition = self.number, "the partition goes");
        }
        self.phase = Phase::Away;
        if let Some(step) = self.under_way.leave() {
            // While an earlier one is there no worker was begun that could have brought another.
            self.leaving = Some(step);
        }
        self.unfolded = Unfolded::default();
        self.given.health.away(self.number);
    }

    fn batch(&mut self, records: Vec<Logged>) -> Result<(), Error> {
        match std::mem::replace(&mut self.phase, Phase::Away) {
            Phase::Proving(mut assigned) => {
                assigned.before_checkpoint = records.into_iter().next();
                self.begin(assigned)
            }
            Phase::Folding => {
                self.phase = Phase::Folding;
                let Some((first, last)) = records.first().zip(records.last()) else { return Ok(()) };
                if first.offset > self.next {
                    let (partition, expected, found) = (self.number, self.next, first.offset);
                    return Err(Error::Gap { partition, expected, found });
                }
                self.next = self.next.max(last.offset.saturating_add(1));
                self.unfolded.push(&records);
                self.give(Input::Batch(records));
                Ok(())
            }
            // What was on its way when the partition went.
            other => {
                self.phase = other;
                Ok(())
            }
        }
    }

    /// Loads begin at once, all else waits for its turn.
    fn give(&mut self, input: Input) {
        for action in self.worker.handle(input) {
            match action {
                Action::Load(keys) => self.under_way.load(self.number, self.given.keeping.load(keys)),
                action => self.under_way.push(action),
            }
        }
    }

    fn done(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Input(input) => {
                self.given.health.refused(self.number, refusals(&input));
                self.give(input);
            }
            Done::Letter(kept) => kept?,
            Done::Snapshot(Ok(position)) => {
                self.snapshots.taken(position);
                tracing::info!(partition = self.number, position, "kept a snapshot");
            }
            Done::Snapshot(Err(error)) if error.is_retryable() => {
                tracing::warn!(partition = self.number, %error, "no snapshot this time; the log is kept for the next");
            }
            Done::Snapshot(Err(error)) => return Err(error),
        }
        Ok(())
    }

    fn due(&mut self) {
        if !matches!(self.phase, Phase::Folding) {
            return;
        }
        self.give(Input::Tick);
        if let Some(every) = self.given.keeping.snapshot_every()
            && self.snapshots.is_due(every, self.worker.progress().saved, Instant::now())
        {
            self.give(Input::SnapshotDue);
        }
    }

    /// Begins what can be begun.
    fn go_on(&mut self) -> Result<(), Error> {
        let generation = self.given.settings.generation.number;
        self.find();
        while let Some(next) = self.under_way.turn() {
            match next {
                Next::Begin(position) => {
                    tracing::info!(partition = self.number, position, "begin to read");
                    self.next = position;
                    self.given.subscription.begin(self.number, position)?;
                }
                Next::Letter(letter) => {
                    let (partition, offset, reason) = (self.number, letter.offset, &letter.reason);
                    tracing::error!(partition, offset, reason, "dead letter");
                    let letter = DeadLetter::of(generation, partition, &letter);
                    let letters = self.given.dead_letters.clone();
                    self.under_way.letter(dead_letters::keep_patiently(letters, letter).boxed());
                }
                Next::Snapshot => {
                    let snapshot = self.given.keeping.clone().snapshot(generation, self.number);
                    self.under_way.snapshot(snapshot.boxed());
                }
                Next::Flush(step) => {
                    let step = self.given.keeping.carry_out(generation, self.number, step);
                    self.under_way.flush(self.number, step);
                }
                Next::Stop(stop) => {
                    return Err(Error::Worker { partition: self.number, why: stop.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Flushes until everything folded is durable. What is not folded yet stays in the log.
    async fn finish(&mut self) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Folding) {
            // A step that an earlier worker has at the store is waited for, so that nothing happens after the end.
            ended_if_any(self.leaving.take()).await;
            return Ok(());
        }
        loop {
            self.under_way.forget_load();
            self.go_on()?;
            if self.under_way.is_at_rest() {
                self.give(Input::Tick);
                self.under_way.forget_load();
                if self.under_way.is_at_rest() {
                    break;
                }
                continue;
            }
            let done = self.under_way.next().await;
            self.done(done)?;
            self.tell().await?;
        }
        self.tell().await
    }
}

/// Writes that the store refused, since another process was ahead.
fn refusals(input: &Input) -> u64 {
    match input {
        Input::Wrote(answers) => {
            answers.iter().filter(|answer| matches!(answer, WriteAnswer::Refused(_))).count() as u64
        }
        Input::CheckpointWrote(false) => 1,
        _ => 0,
    }
}

/// The end of what is there; for ever when nothing is.
async fn ended<F: Future + Unpin>(work: Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// The log's next signal; where there is no room for records, the next partition that comes or goes.
async fn next_after(
    at: Option<Instant>,
    subscription: &mut dyn Subscription,
    has_room: bool,
) -> Result<Signal, eventlog::Error> {
    if let Some(at) = at {
        sleep_until(at).await;
    }
    if has_room { subscription.next().await } else { subscription.next_move().await }
}

async fn ended_if_any(work: Option<BoxFuture<'static, Input>>) {
    if let Some(work) = work {
        work.await;
    }
}
