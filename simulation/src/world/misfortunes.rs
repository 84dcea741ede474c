//! What goes wrong with processes, their disks and the log, besides what the stores do.
//!
//! Always true here: nothing of it happens in a calm world; what happens is counted as its fault and is a line of the
//! trace.

use counting::worker::{Input, Mode, keep_from};

use super::leaving::Leaving;
use super::{World, told};
use crate::faults::Fault;
use crate::mutants::DriverBreak;
use crate::note;
use crate::process::{Death, Post};

/// Turns of its owner for which a group waits at most until a partition is flushed.
const TURNS_WAITED: usize = 40;

impl World {
    /// A disk is another machine's, or an older copy of itself.
    pub(super) fn lose_disk(&mut self, post: Post) {
        // Together the disk is the store: without it there is no store.
        if self.setup.mode == Mode::Together || self.chance.is_calm() {
            return;
        }
        if self.chance.percent(50) {
            self.chance.tally.add(Fault::StateLost);
            self.site.disks.lose(post.node, post.partition);
            note!(self.trace, "node {}/{}", post.node, post.partition; "loses its disk");
        } else if self.site.disks.set_back(post.node, post.partition, &mut self.chance) {
            self.chance.tally.add(Fault::StateOld);
            note!(self.trace, "node {}/{}", post.node, post.partition; "has an older copy of its disk");
        }
    }

    /// The process dies; of what it had under way a part may have been done.
    pub(super) fn crash(&mut self, post: Post) -> Result<(), String> {
        if self.chance.is_calm() {
            return Ok(());
        }
        let Some(mut seat) = self.seats[post.node][post.partition as usize].take() else { return Ok(()) };
        if seat.is_beginning() {
            self.chance.tally.add(Fault::CrashBeginning);
            note!(self.trace, "node {}/{}", post.node, post.partition; "dies while it begins");
            return Ok(());
        }
        if seat.has_unheard() {
            self.chance.tally.add(Fault::CrashUnheard);
            note!(self.trace, "node {}/{}", post.node, post.partition; "dies before it hears an answer");
        }
        let load_first = self.chance.percent(50);
        if let Some(action) = seat.take(load_first) {
            self.chance.tally.add(Fault::Crash);
            let death = self.chance.pick(&[Death::Before, Death::Midway, Death::After]);
            note!(self.trace, "node {}/{}", post.node, post.partition; "dies {death:?} {}", told(&action));
            self.site.die_at(post, &mut seat, action, death, &mut self.chance);
        }
        Ok(())
    }

    /// The group gives a partition to another process; the old one is told, or goes on as a zombie.
    pub(super) fn move_partition(&mut self) -> Result<(), String> {
        let partition = self.chance.below(self.owners.len());
        let (old, new) = (self.owners[partition], self.chance.below(self.seats.len()));
        // Until the old one has let it go, the group gives it to nobody else.
        if old == new || self.chance.is_calm() || self.leaving[partition].is_some() {
            return Ok(());
        }
        self.owners[partition] = new;
        let Some(seat) = &self.seats[old][partition] else { return Ok(()) };
        if seat.is_beginning() {
            self.chance.tally.add(Fault::MovedBeginning);
        }
        if self.chance.percent(40) {
            self.chance.tally.add(Fault::RebalanceClean);
            note!(self.trace, "group", "partition {partition} moves from {old} to {new}; {old} is told");
            if self.setup.last_flush && !seat.is_beginning() && !seat.paused {
                self.owners[partition] = old;
                self.leaving[partition] = Some(Leaving::new(new, 1 + self.chance.aside().below(TURNS_WAITED)));
                return Ok(());
            }
            self.give(Post { node: old, partition: partition as u32 }, Input::Revoked)?;
            self.seats[old][partition] = None;
        } else {
            self.chance.tally.add(Fault::RebalanceZombie);
            note!(self.trace, "group", "partition {partition} moves from {old} to {new}; {old} is not told");
        }
        Ok(())
    }

    /// The log lets go what need not be kept.
    pub(super) fn retention(&mut self) {
        let partition = self.chance.below(self.owners.len());
        let node = self.owners[partition];
        let Some(seat) = &self.seats[node][partition] else { return };
        let saved = seat.worker.progress().saved;
        let partition = partition as u32;
        let newest = self.site.objects.newest(seat.generation, partition, 0).map_or(0, |snapshot| snapshot.position);
        let mut below = keep_from(self.setup.mode, saved, newest);
        match self.site.broken {
            Some(DriverBreak::RetentionPastSnapshot) => below = saved,
            Some(DriverBreak::RetentionTrustsBegun) => {
                below = keep_from(
                    self.setup.mode,
                    saved,
                    self.site.objects.newest_begun(self.looker.generation, partition),
                );
            }
            _ => {}
        }
        if below > self.site.log.range(partition).from && self.chance.fault(Fault::Retention, 500) {
            note!(self.trace, "log", "partition {partition} lets go what is below {below}");
            self.site.log.retain(partition, below);
        }
    }
}
