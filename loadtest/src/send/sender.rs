//! Connections that take what is due and send it.
//!
//! Always true here: a request is taken by the first free connection, and is due when the schedule says, whatever
//! became of those before it; a payload is sent once more, a second later and with the same id, where an SDK would; the
//! payloads that wait for that are bounded, and what finds no room is not sent again, as when an SDK's process ends.

use super::measures::{Answer, Measures, Sent};
use super::schedule::Schedule;
use super::shelf::{Client, Ready, Shelf};
use crate::dice::Dice;
use crate::environments::Target;
use crate::http::Connection;
use crate::ledger::{Holds, Ledger, Outcome};
use crate::load::{ANSWER_TIMEOUT, Progress, RETRY_AFTER, attempt, now_ms};
use crate::payload::payload_id;
use crate::request::{Sendable, Speaker};
use crate::zipf::Zipf;
use anyhow::Result;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Payloads that may wait to be sent again.
const WAITING_MAX: usize = 20_000;
/// Keeps ids of the payloads apart from those of `run`'s clients.
const ID_CLIENT: u64 = 0x5e4d;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) address: SocketAddr,
    pub(crate) seed: u64,
    pub(crate) run: u64,
    pub(crate) targets: Vec<Target>,
    /// How often each of the targets is drawn.
    pub(crate) zipf: Zipf,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) measures: Mutex<Measures>,
    pub(crate) start: Instant,
    pub(crate) queue: Mutex<Queue>,
    /// Requests taken from the schedule.
    pub(crate) taken: AtomicU64,
    /// Payloads that found no room among those that wait to be sent again.
    pub(crate) given_up: AtomicU64,
    /// True once nothing new is to be begun.
    pub(crate) stop: watch::Receiver<bool>,
}

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) source: Source,
    /// In order of when they are due: all wait equally long.
    waiting: VecDeque<(Instant, Box<Sendable>)>,
}

/// Where requests come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Open loop.
    Schedule(Schedule),
    /// Closed loop: the next when a connection is free, until then.
    Saturate { until: Instant },
}

impl Queue {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, waiting: VecDeque::new() }
    }
}

/// One thing to send.
enum Work {
    New { number: u64, due: Instant },
    Again { due: Instant, sendable: Box<Sendable> },
}

impl Sender {
    /// Sends over one connection until nothing is left to send.
    ///
    /// # Errors
    /// The ledger could not be written.
    pub(crate) async fn connection(self: Arc<Self>) -> Result<()> {
        let mut connection = Connection::new(self.address);
        let mut stop = self.stop.clone();
        while let Some(work) = self.take() {
            let due = match &work {
                Work::New { due, .. } | Work::Again { due, .. } => *due,
            };
            let waited_for_connection = Instant::now() > due;
            // What is due already must not wait for the timer's next tick.
            if Instant::now() < due {
                let stopped = tokio::time::timeout_at(due.into(), stop.wait_for(|stop| *stop)).await.is_ok();
                if stopped {
                    break;
                }
            }
            match work {
                Work::New { number, due } => self.send_new(&mut connection, number, due, waited_for_connection).await?,
                Work::Again { due, mut sendable } => {
                    let began = Instant::now();
                    let outcome = attempt(&self.ledger, &self.progress, &mut connection, &mut sendable).await?;
                    self.measure(outcome, [due, began], waited_for_connection, true)?;
                }
            }
        }
        Ok(())
    }

    /// The next thing to send; none = nothing will come any more, but for what connections at work may leave.
    fn take(&self) -> Option<Work> {
        let stopped = *self.stop.borrow();
        let mut queue = self.queue();
        if stopped {
            return None;
        }
        if queue.waiting.front().is_none_or(|(due, _)| *due > Instant::now()) {
            let due = match &mut queue.source {
                Source::Schedule(schedule) => schedule.next().map(|offset| self.start + offset),
                Source::Saturate { until } => Some(Instant::now()).filter(|now| now < until),
            };
            if let Some(due) = due {
                let number = self.taken.fetch_add(1, Ordering::Relaxed);
                return Some(Work::New { number, due });
            }
        }
        queue.waiting.pop_front().map(|(due, sendable)| Work::Again { due, sendable })
    }

    async fn send_new(
        &self,
        connection: &mut Connection,
        number: u64,
        due: Instant,
        waited_for_connection: bool,
    ) -> Result<()> {
        // What is sent is a function of the seed and the number, not of what the server did before.
        let mut dice = Dice::of_part(self.seed ^ 0x5e4d, number);
        let ready = self.shelf.take(dice.below(self.shelf.len() as u64) as usize);
        let target = &self.targets[self.zipf.pick(&mut dice)];
        let mut sendable = self.sendable(&ready, target, number, due);
        let began = Instant::now();
        let outcome = if ready.is_diagnostic {
            match tokio::time::timeout(ANSWER_TIMEOUT, connection.exchange(&sendable.bytes)).await {
                Ok(Ok(status)) => Outcome::Status(status),
                Ok(Err(failure)) => failure.outcome(),
                Err(_) => Outcome::TimedOut,
            }
        } else {
            attempt(&self.ledger, &self.progress, connection, &mut sendable).await?
        };
        self.measure(outcome, [due, began], waited_for_connection, false)?;
        if outcome.is_retryable() && !ready.is_diagnostic {
            self.again(sendable);
        }
        Ok(())
    }

    /// Has a payload sent once more, if there is room.
    fn again(&self, sendable: Sendable) {
        let mut queue = self.queue();
        if queue.waiting.len() < WAITING_MAX {
            queue.waiting.push_back((Instant::now() + RETRY_AFTER, Box::new(sendable)));
        } else {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sendable(&self, ready: &Ready, target: &Target, number: u64, due: Instant) -> Sendable {
        let id = payload_id(self.run, ID_CLIENT, number);
        let Client { sdk, application, instance } = ready.client.clone();
        let (target, address) = (target.clone(), self.address);
        let speaker =
            Speaker { address, target, sdk, application, instance, chunked: ready.length.is_none(), gzip_share: 0.0 };
        let path = if ready.is_diagnostic { "/diagnostic" } else { "/bulk" };
        let head = speaker.head(path, &id, ready.length, ready.gzip);
        let late_ms = i64::try_from(due.elapsed().as_millis()).unwrap_or(0);
        Sendable {
            id,
            environment: speaker.target.environment,
            holds: Holds::Numbered(ready.number),
            elements: ready.elements,
            evaluations: ready.evaluations,
            intended_ms: Some(now_ms() - late_ms),
            bytes: [head.as_bytes(), &ready.body].concat(),
            attempts: 0,
        }
    }

    fn measure(
        &self,
        outcome: Outcome,
        [due, began]: [Instant; 2],
        waited_for_connection: bool,
        is_retry: bool,
    ) -> Result<()> {
        let since = |at: Instant| at.saturating_duration_since(self.start);
        let answer = match outcome {
            Outcome::Status(status) => Answer::Status(status),
            Outcome::NotConnected => Answer::None("not connected"),
            Outcome::Closed => Answer::None("closed"),
            Outcome::TimedOut => Answer::None("timed out"),
            Outcome::Malformed => Answer::None("malformed"),
        };
        let (intended, began, answered) = (since(due), since(began), self.start.elapsed());
        self.measures().add(&Sent { answer, intended, began, answered, waited_for_connection, is_retry })
    }

    /// What was measured so far.
    pub(crate) fn measures(&self) -> MutexGuard<'_, Measures> {
        self.measures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Payloads that wait to be sent again.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
