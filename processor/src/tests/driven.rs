//! The worker and the real keeping driven one action at a time by a test, so that a seed decides everything.

use std::collections::{BTreeSet, VecDeque};

use counting::worker::{Action, Assigned, Input, LogRange, Progress, Settings, Worker};
use schemas::log::Logged;

use crate::Keeping;
use crate::keeping::Found;

/// A partition's worker in some process.
pub(crate) struct Lane {
    worker: Worker,
    keeping: Keeping,
    generation: u32,
    partition: u32,
    pending: VecDeque<Action>,
    /// Where to read on.
    pub(crate) next: u64,
    /// Offsets of dead letters.
    pub(crate) letters: BTreeSet<u64>,
}

impl Lane {
    pub(crate) fn start(
        settings: Settings,
        keeping: Keeping,
        found: Found,
        before_checkpoint: Option<Logged>,
    ) -> Result<Self, String> {
        let (generation, partition) = (settings.generation.number, settings.partition);
        let worker = Worker::new(settings).map_err(|error| error.to_string())?;
        let (pending, letters) = (VecDeque::new(), BTreeSet::new());
        let mut lane = Self { worker, keeping, generation, partition, pending, next: 0, letters };
        let Found { checkpoint, state, held, .. } = found;
        let log = LogRange { from: held.first, to: held.end };
        lane.give(Input::Assigned(Box::new(Assigned { checkpoint, state, log, before_checkpoint })))?;
        Ok(lane)
    }

    /// Hands an input in; an error is what the worker stopped for.
    pub(crate) fn give(&mut self, input: Input) -> Result<(), String> {
        for action in self.worker.handle(input) {
            match action {
                Action::Stop(stop) => return Err(format!("partition {}: {stop}", self.partition)),
                Action::Begin { position } => self.next = position,
                Action::DeadLetter(letter) => drop(self.letters.insert(letter.offset)),
                action => self.pending.push_back(action),
            }
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, records: Vec<Logged>) -> Result<(), String> {
        self.next = records.last().map_or(self.next, |last| self.next.max(last.offset + 1));
        self.give(Input::Batch(records))
    }

    /// Carries out the next action.
    pub(crate) async fn carry_out(&mut self) -> Result<(), String> {
        let input = match self.pending.pop_front() {
            None => return Ok(()),
            Some(Action::Load(keys)) => self.keeping.load(keys).await,
            Some(Action::Snapshot { .. }) => {
                let taken = self.keeping.clone().snapshot(self.generation, self.partition).await;
                return taken.map(drop).map_err(|error| error.to_string());
            }
            Some(action) => self.keeping.carry_out(self.generation, self.partition, action).await,
        };
        self.give(input)
    }

    /// All that waits is carried out.
    pub(crate) async fn carry_out_all(&mut self) -> Result<(), String> {
        while !self.pending.is_empty() {
            self.carry_out().await?;
        }
        Ok(())
    }

    pub(crate) fn partition(&self) -> u32 {
        self.partition
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn wants_batch(&self) -> bool {
        self.worker.wants_batch()
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        self.pending.is_empty() && self.worker.is_at_rest()
    }

    pub(crate) fn progress(&self) -> Progress {
        self.worker.progress()
    }
}
