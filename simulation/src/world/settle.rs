//! The end of a world: the faults are over, and everything comes to rest at the right numbers.
//!
//! Always true here: lag reaches 0 in bounded steps; every reader then gets the whole log's fold, and no cell besides.

use counting::worker::Input;
use schemas::cell::CellKey;

use super::World;
use crate::audit::homes;
use crate::note;
use crate::oracle::complete;
use crate::process::Post;

/// Steps within which a partition must come to rest.
const STEPS_MAX: usize = 20_000;

impl World {
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.chance.be_calm();
        note!(self.trace, "world", "the faults are over");
        self.traffic.settle(&mut self.site.log, self.now_ms, &mut self.chance, &mut self.trace);
        self.look()?;
        self.seats.iter_mut().flatten().flatten().for_each(|seat| seat.paused = false);
        (0..self.owners.len()).try_for_each(|partition| self.let_go(partition))?;
        loop {
            let generation = self.looker.generation;
            (0..self.owners.len()).try_for_each(|partition| self.settle_partition(partition))?;
            // Where a partition could not go on, all of them began anew.
            if generation == self.looker.generation {
                break;
            }
        }
        // What was still under way changes nothing any more, on whichever server it arrives.
        self.site.stores.everything_arrives();
        self.look()?;
        for partition in 0..self.site.log.partitions() {
            self.look_through_every_view(partition)?;
        }
        self.at_the_end()
    }

    /// The owner and whoever else still believes to be it go on until all are at rest.
    fn settle_partition(&mut self, partition: usize) -> Result<(), String> {
        let number = u32::try_from(partition).unwrap_or(0);
        for step in 0..STEPS_MAX {
            let owner = self.owners[partition];
            let others = (0..self.seats.len()).filter(|node| self.seats[*node][partition].is_some());
            let busy: Vec<usize> = others.filter(|node| !self.is_done(*node, partition)).collect();
            let node = match (busy.is_empty(), self.seats[owner][partition].is_none()) {
                (_, true) => owner,
                (true, false) => return Ok(()),
                (false, false) => busy[step % busy.len()],
            };
            self.trace.step(self.now_ms);
            self.settle_step(Post { node, partition: number })?;
            self.look()?;
        }
        Err(format!("partition {partition} never comes to rest"))
    }

    fn is_done(&self, node: usize, partition: usize) -> bool {
        let end = self.site.log.range(u32::try_from(partition).unwrap_or(0)).to;
        self.seats[node][partition].as_ref().is_some_and(|seat| seat.is_done(end))
    }

    fn settle_step(&mut self, post: Post) -> Result<(), String> {
        let Some(seat) = &self.seats[post.node][post.partition as usize] else { return self.begin(post) };
        if seat.is_beginning() {
            self.begin_on(post)
        } else if seat.is_busy() {
            self.carry_out(post)
        } else if seat.next < self.site.log.range(post.partition).to && seat.worker.wants_batch() {
            self.deliver(post)
        } else {
            self.give(post, Input::Tick)
        }
    }

    fn at_the_end(&mut self) -> Result<(), String> {
        if self.looker.old.is_some() {
            return Err("the topic was made again, and every worker took it for the one before".to_owned());
        }
        let partitions = u32::try_from(self.owners.len()).unwrap_or(0);
        let generation = self.looker.generation;
        let mut found = Vec::new();
        let mut cells = Vec::new();
        self.site.stores.every_view(|view| {
            if found.is_empty() {
                found = (0..partitions).map(|partition| view.checkpoint(generation, partition).copied()).collect();
                view.cells(|key, cell| cells.push((key.clone(), cell.value.clone())));
            }
        });
        for (partition, checkpoint) in (0..).zip(&found) {
            self.checkpoint_at_end(partition, checkpoint.as_ref())?;
        }
        for partition in 0..partitions {
            let (letters, oracle) =
                (&self.looker.dead_letters[partition as usize], &self.looker.oracles[partition as usize]);
            if letters != oracle.poisoned() {
                return Err(format!("dead letters of {letters:?}, poison at {:?}", oracle.poisoned()));
            }
        }
        cells.retain(|(key, _): &(CellKey, _)| key.generation == generation);
        if let Some((key, _)) = cells.iter().find(|(key, _)| self.is_foreign(key)) {
            return Err(format!("{key:?} is in the store and in no fold"));
        }
        for partition in 0..self.owners.len() {
            complete(&self.looker.oracles, partition, u64::MAX, u64::MAX)?;
        }
        self.traffic.check_publications(&self.site.log)?;
        if self.setup.audited {
            self.traffic.audit().check(&cells)?;
        }
        // After the audit, which tells what comes of two homes.
        homes(&cells)?;
        self.strange.take().map_or(Ok(()), Err)
    }

    fn is_foreign(&self, key: &CellKey) -> bool {
        self.looker.oracles.get(key.partition as usize).is_none_or(|oracle| oracle.at(key, u64::MAX).is_none())
    }
}
