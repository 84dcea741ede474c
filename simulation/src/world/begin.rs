//! Where a process begins to fold a partition, and what it means when its worker stops.
//!
//! Always true here: a worker stops only where it must, and then its world goes on as people would go on; a begin that
//! must not be is a failure.

use std::sync::Arc;

use counting::worker::{Mode, Settings, Stop};

use super::{World, eras};
use crate::faults::Fault;
use crate::note;
use crate::process::{NotBegun, Post};

impl World {
    pub(super) fn settings(&self, post: Post) -> Settings {
        let mut settings = Settings::new(self.setup.generation.clone(), post.partition, self.setup.mode);
        settings.last_write_wins = self.setup.last_write_wins();
        settings.cells_max = self.setup.cells_max;
        settings.clean_cells_bytes_max = self.setup.clean_cells_bytes_max;
        settings.dirty_cells_max = self.setup.dirty_cells_max;
        settings.waiting_records_max = self.setup.waiting_records_max;
        settings.wall_ms = Arc::clone(&self.wall);
        settings.configured = Arc::clone(&self.configured);
        settings.process_seed = post.node as u64 + 1;
        settings = settings.panicking_on(crate::panics);
        match self.mutant {
            Some(mutant) => mutant.breaking(settings),
            None => settings,
        }
    }

    pub(super) fn begin(&mut self, post: Post) -> Result<(), String> {
        if self.chance.permille(80) && self.site.disks.load(post.node, post.partition).is_some() {
            self.lose_disk(post);
        }
        match self.site.sit(self.settings(post)) {
            Ok(seat) => {
                self.seats[post.node][post.partition as usize] = Some(seat);
                Ok(())
            }
            Err(why) => self.not_begun(post, why),
        }
    }

    /// The next thing is read with which a worker begins; after the last it has begun, or cannot.
    pub(super) fn begin_on(&mut self, post: Post) -> Result<(), String> {
        let Some(seat) = &mut self.seats[post.node][post.partition as usize] else { return Ok(()) };
        if let Err(why) = self.site.begin_on(post, seat, &mut self.chance, &mut self.trace) {
            return self.not_begun(post, why);
        }
        if seat.is_beginning() {
            return Ok(());
        }
        let checkpoint = seat.checkpoint.map_or(0, |checkpoint| checkpoint.position);
        if self.looker.is_like_the_old(&self.site.log, post.partition, checkpoint) {
            // A record sent again, the bytes and all, took the very place in the new topic that it had in the old:
            // nobody can tell the two apart by it.
            self.chance.tally.add(Fault::TopicUntold);
            note!(self.trace, "node {}/{}", post.node, post.partition; "cannot tell this topic from the one before");
            return self.next_generation();
        }
        if self.looker.lacks_records(post.partition) { Err(eras::began_in_a_gap(post)) } else { Ok(()) }
    }

    fn not_begun(&mut self, post: Post, why: NotBegun) -> Result<(), String> {
        match why {
            NotBegun::Refused(why) => Err(format!("node {} refused its own generation: {why}", post.node)),
            NotBegun::Stopped(stop) => self.stopped(post, &stop),
        }
    }

    /// A worker that stops tells people; but for a topic made again, for records that are lost, and for a second
    /// process at a store for one, nothing here may stop one.
    pub(super) fn stopped(&mut self, post: Post, stop: &Stop) -> Result<(), String> {
        let stopped = self.seats[post.node][post.partition as usize].take();
        if stopped.is_some_and(|seat| seat.strange) {
            note!(self.trace, "node {}/{}", post.node, post.partition; "stops, as it must: {stop}");
            self.strange = None;
            return Ok(());
        }
        if self.looker.old.is_some() && matches!(stop, Stop::BeyondEnd { .. } | Stop::OtherLog { .. }) {
            note!(self.trace, "node {}/{}", post.node, post.partition; "stops, as it must: {stop}");
            return self.next_generation();
        }
        if self.looker.cut.is_some_and(|(partition, from)| partition == post.partition && *stop == overrun_to(from)) {
            note!(self.trace, "node {}/{}", post.node, post.partition; "stops, as it must: {stop}");
            return self.next_generation();
        }
        if self.setup.mode == Mode::Together && self.seats.len() > 1 && matches!(stop, Stop::StoreAhead { .. }) {
            self.chance.tally.add(Fault::SecondProcess);
            note!(self.trace, "node {}/{}", post.node, post.partition; "stops, as it must: {stop}");
            return Ok(());
        }
        Err(format!("the worker of node {}, partition {} stopped: {stop}", post.node, post.partition))
    }
}

/// How a worker stops that has nothing to begin with and finds a log that is held from this offset on.
fn overrun_to(from: u64) -> Stop {
    Stop::Overrun { position: 0, held_from: from, missing: from }
}
