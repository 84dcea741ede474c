//! Crashes where state lies apart from cells: two processes on one partition, driven one action at a time through the
//! real keeping, killed between actions, with faults of the store, with their state or on a new disk.
//!
//! At each death the cells reach at least to the checkpoint, and not beyond the log; in the end they are the oracle's.

use std::sync::Arc;
use std::time::Duration;

use counting::worker::{Input, Mode, Settings};
use eventlog::files::forgetful::{Dice, seeds};
use schemas::log::Logged;
use stores::Store;
use stores::embedded::Options;
use stores::state::LocalState;

use super::bench::{Shared, quiet_wanted_panics};
use super::driven::Lane;
use super::exact::{DEDUPE_RECORDS, traffic, trouble};
use super::oracle::{Facts, flags_in, said_by, said_in};
use super::payloads::{beginnings, generation};
use super::seeds::each_seed;
use crate::{Keeping, SnapshotEvery};

struct World {
    shared: Shared,
    broken: Option<counting::Break>,
    panics_at: Vec<u64>,
    /// Names of the disks of the two processes.
    disks: [String; 2],
    lanes: [Option<Lane>; 2],
}

impl World {
    fn log(&self) -> &[Logged] {
        &self.shared.written[0]
    }

    async fn start(&mut self, which: usize) -> Result<(), String> {
        let path = self.shared.path(&self.disks[which]);
        let keeping = Keeping::Apart {
            store: self.shared.store.clone(),
            state: Arc::new(LocalState::open(&path, &Options::default()).map_err(|error| error.to_string())?),
            snapshots: self.shared.snapshots(),
            snapshot_every: SnapshotEvery { time: Duration::MAX, records: u64::MAX },
        };
        let log = Arc::new(self.shared.log.clone());
        let found = match keeping.clone().find(1, 0, log).await {
            Err(error) if error.is_retryable() => return Ok(()),
            found => found.map_err(|error| error.to_string())?,
        };
        let before = found.checkpoint.and_then(|checkpoint| checkpoint.position.checked_sub(1));
        let before = before.map(|before| self.log()[before as usize].clone());
        let mut settings = Settings::new(self.shared.generation.clone(), 0, Mode::Apart);
        (settings.cells_max, settings.waiting_records_max) = (6, 8);
        settings = settings.panicking_at(self.panics_at.clone());
        if let Some(rule) = self.broken {
            settings = settings.breaking(rule);
        }
        self.lanes[which] = Some(Lane::start(settings, keeping, found, before)?);
        Ok(())
    }

    /// Some records from where it is, or again from a little before.
    fn deliver(&mut self, which: usize, dice: &mut Dice) -> Result<(), String> {
        let Self { lanes, shared, .. } = self;
        let (Some(lane), log) = (&mut lanes[which], &shared.written[0]) else { return Ok(()) };
        let from = lane.next.saturating_sub(if dice.below(5) == 0 { dice.below(4) } else { 0 }) as usize;
        let to = (from + 1 + dice.below(5) as usize).min(log.len());
        if from < to && lane.wants_batch() { lane.take(log[from..to].to_vec()) } else { Ok(()) }
    }

    async fn turn(&mut self, dice: &mut Dice) -> Result<(), String> {
        let which = dice.below(2) as usize;
        if self.lanes[which].is_none() {
            if dice.below(6) == 0 {
                self.disks[which].push('+');
            }
            return self.start(which).await;
        }
        match dice.below(30) {
            0 => {
                self.lanes[which] = None;
                self.look().await?;
            }
            1 => trouble(dice, &self.shared),
            2..=7 => self.deliver(which, dice)?,
            8..=11 => self.give(which, Input::Tick)?,
            12 => self.give(which, Input::SnapshotDue)?,
            _ => {
                if let Some(lane) = &mut self.lanes[which] {
                    lane.carry_out().await?;
                }
            }
        }
        Ok(())
    }

    fn give(&mut self, which: usize, input: Input) -> Result<(), String> {
        self.lanes[which].as_mut().map_or(Ok(()), |lane| lane.give(input))
    }

    async fn found(&self) -> Facts {
        said_in(&*self.shared.store, 1, &flags_in(self.log().iter())).await
    }

    /// Numbers that only grow are at least those of the checkpoint's prefix and at most those of the log.
    async fn look(&self) -> Result<(), String> {
        let checkpoint = loop {
            match self.shared.store.checkpoint(1, 0).await {
                Err(_) => {}
                Ok(checkpoint) => break checkpoint.map_or(0, |checkpoint| checkpoint.position) as usize,
            }
        };
        let said = |log| said_by(&self.shared.generation, 0, log, &self.panics_at).facts;
        let (least, most) = (said(&self.log()[..checkpoint]), said(self.log()));
        let found = self.found().await;
        let grows = |fact: &&String| !fact.ends_with(": sum") && !fact.contains("first sight");
        for fact in least.keys().chain(found.keys()).filter(grows) {
            let number = |facts: &Facts| facts.get(fact).copied().unwrap_or(0);
            let is_within = (number(&least)..=number(&most)).contains(&number(&found));
            if !is_within {
                let (least, found, most) = (number(&least), number(&found), number(&most));
                return Err(format!("{fact}: {found}, should be {least} to {most} under checkpoint {checkpoint}"));
            }
        }
        Ok(())
    }

    /// One process alone folds all that there is.
    async fn settle(&mut self) -> Result<(), String> {
        self.lanes[1] = None;
        while self.lanes[0].is_none() {
            self.start(0).await?;
        }
        let Self { lanes: [Some(lane), _], shared, .. } = self else { return Ok(()) };
        let log = &shared.written[0];
        while !(lane.is_at_rest() && lane.next as usize == log.len()) {
            if lane.has_pending() {
                lane.carry_out().await?;
            } else if (lane.next as usize) < log.len() {
                lane.take(log[lane.next as usize..].to_vec())?;
            } else {
                lane.give(Input::Tick)?;
            }
        }
        shared.compare(&self.panics_at).await.map(drop)
    }
}

async fn one_seed(seed: u64, broken: Option<counting::Break>) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut shared = Shared::new(generation(1, DEDUPE_RECORDS));
    shared.append(beginnings(&shared.generation)).await;
    let panics_at = vec![1 + dice.below(20)];
    let disks = ["a".to_owned(), "b".to_owned()];
    let mut world = World { shared, broken, panics_at, disks, lanes: [None, None] };
    let mut sent = Vec::new();
    for _ in 0..150 {
        if dice.below(5) == 0 {
            let records = traffic(&mut dice, 1, &mut sent);
            world.shared.append(records).await;
        }
        world.turn(&mut dice).await?;
    }
    world.settle().await
}

/// The first seed of some that finds something wrong.
pub(crate) async fn first_wrong(seeds: u64, broken: Option<counting::Break>) -> Option<(u64, String)> {
    quiet_wanted_panics();
    each_seed(seeds, |seed| one_seed(seed, broken)).await.err()
}

#[tokio::test]
async fn cells_are_exact_whoever_is_killed_when() {
    assert_eq!(first_wrong(seeds(200), None).await, None);
}
