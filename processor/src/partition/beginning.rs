//! The beginning of a partition's worker: where the partition stands with its log, and what the worker begins with.
//!
//! Always true here: nothing is looked for while a step of an earlier worker is at the store; a worker whose checkpoint
//! the log still holds is given the record before it, by which this log is known.

use std::sync::Arc;

use counting::worker::{self, Assigned, Input, LogRange, Worker};
use eventlog::EventLog;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::Partition;
use crate::Error;
use crate::keeping::{Found, Keeping};
use crate::replay::Replay;
use crate::snapshots::Snapshots;
use crate::under_way::Failures;

/// Where a partition stands with its log.
pub(super) enum Phase {
    /// It is not ours.
    Away,
    /// It is ours; what an earlier worker had at the store must end first.
    Claimed,
    /// What the worker begins with is being read.
    Finding(BoxFuture<'static, Result<Found, Error>>),
    /// The record before the checkpoint is awaited, by which this log is known.
    Proving(Box<Assigned>),
    /// The worker has begun.
    Folding,
}

impl Phase {
    pub(super) fn finding(&mut self) -> Option<&mut BoxFuture<'static, Result<Found, Error>>> {
        if let Self::Finding(finding) = self { Some(finding) } else { None }
    }
}

impl Partition {
    /// Looks for what it begins with, when it is ours and nothing of an earlier worker is at the store any more.
    pub(super) fn find(&mut self) {
        if matches!(self.phase, Phase::Claimed) && self.leaving.is_none() {
            let (keeping, log) = (self.given.keeping.clone(), Arc::clone(&self.given.log));
            let find = patiently_find(keeping, self.given.settings.generation.number, self.number, log);
            self.phase = Phase::Finding(find.boxed());
        }
    }

    pub(super) fn found(&mut self, found: Found) -> Result<(), Error> {
        let Found { checkpoint, state, held, restored } = found;
        self.snapshots = Snapshots::new(restored, Instant::now());
        let log = LogRange { from: held.first, to: held.end };
        let assigned = Box::new(Assigned { checkpoint, state, log, before_checkpoint: None });
        match checkpoint.and_then(|checkpoint| checkpoint.position.checked_sub(1)) {
            Some(before) if (held.first..held.end).contains(&before) => {
                self.given.subscription.begin(self.number, before)?;
                self.phase = Phase::Proving(assigned);
                Ok(())
            }
            _ => self.begin(assigned),
        }
    }

    pub(super) fn begin(&mut self, assigned: Box<Assigned>) -> Result<(), Error> {
        self.worker = new_worker(&self.given.settings)?;
        self.replay = Replay::new(Instant::now());
        self.phase = Phase::Folding;
        self.give(Input::Assigned(assigned));
        Ok(())
    }
}

pub(super) fn new_worker(settings: &worker::Settings) -> Result<Worker, Error> {
    let partition = settings.partition;
    Worker::new(settings.clone()).map_err(|error| Error::Worker { partition, why: error.to_string() })
}

/// Reads what a worker begins with, again and again while the store is away.
async fn patiently_find(
    keeping: Keeping,
    generation: u32,
    partition: u32,
    log: Arc<dyn EventLog>,
) -> Result<Found, Error> {
    let mut failures = Failures::default();
    loop {
        match keeping.clone().find(generation, partition, Arc::clone(&log)).await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(partition, %error, "cannot begin yet; will try again");
                sleep(failures.wait()).await;
                failures.one_more();
            }
            ended => return ended,
        }
    }
}
