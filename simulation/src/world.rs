//! One seed's world: who acts next.
//!
//! Always true here: every turn is one small step of one actor; what the stores took since the last turn is held
//! against the oracle before the next; after the faults stop, everything comes to its end.
//!
//! Where to go next: [`setup`] throws what kind of world it is; [`begin`] has how a process begins and stops, and
//! [`misfortunes`] and [`eras`] what goes wrong with it and with its topic, [`leaving`] how it lets a partition go; [`looking`] holds the stores against the
//! oracle, [`settle`] ends it.

mod begin;
mod eras;
mod leaving;
mod looking;
mod misfortunes;
mod settle;
mod setup;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use counting::worker::{Action, Input, Mode};
use schemas::wire::record as wire;

use crate::chance::Chance;
use crate::disks::{Disks, Objects};
use crate::faults::Fault;
use crate::log::Log;
use crate::mutants::Mutant;
use crate::note;
use crate::process::{Post, Seat, Site, answered};
use crate::stores::Stores;
use crate::trace::Trace;
use crate::traffic::Traffic;

use leaving::Leaving;
use looking::Looker;
pub use setup::Setup;

const DAY: i64 = 86_400_000;

/// One seed's world.
#[derive(Debug)]
pub struct World {
    setup: Setup,
    mutant: Option<&'static Mutant>,
    chance: Chance,
    /// What happened, where somebody reads it.
    pub trace: Trace,
    now_ms: i64,
    site: Site,
    traffic: Traffic,
    seats: Vec<Vec<Option<Seat>>>,
    /// Which process the group has given each partition to.
    owners: Vec<usize>,
    /// Owners that are told to let their partition go, and flush it before.
    leaving: Vec<Option<Leaving>>,
    looker: Looker,
    /// What is said at the end of a node that was told other settings and folds all the same.
    strange: Option<String>,
    wall: Arc<AtomicI64>,
    configured: Arc<Mutex<Vec<wire::Definition>>>,
}

impl World {
    /// The world of a seed.
    #[must_use]
    pub fn new(setup: Setup, mutant: Option<&'static Mutant>, mut chance: Chance, trace: Trace) -> Self {
        let generation = &setup.generation;
        let partitions = generation.partitions as usize;
        let now_ms = setup.start_ms;
        let ingest = mutant.and_then(Mutant::ingest);
        let mut traffic = Traffic::new(generation, setup.audited, ingest, &mut chance);
        if setup.all_flags {
            traffic.read_all_flags();
        }
        let log = Log::new(generation, now_ms);
        let stores = Stores::new(setup.model, mutant.and_then(Mutant::store));
        let driver = mutant.and_then(Mutant::driver);
        let site = Site {
            log,
            stores,
            disks: Disks::new(setup.failing_disks),
            objects: Objects::new(setup.slow_snapshots),
            letters: Vec::new(),
            broken: driver,
        };
        let nodes = setup.nodes;
        Self {
            looker: Looker::new(generation),
            seats: (0..nodes).map(|_| (0..partitions).map(|_| None).collect()).collect(),
            owners: (0..partitions).map(|_| chance.below(nodes)).collect(),
            leaving: (0..partitions).map(|_| None).collect(),
            strange: None,
            wall: Arc::new(AtomicI64::new(now_ms)),
            configured: Arc::default(),
            setup,
            mutant,
            chance,
            trace,
            now_ms,
            site,
            traffic,
        }
    }

    /// Runs the world: so many turns with faults, then to its end without.
    ///
    /// # Errors
    /// What was wrong, in words.
    pub fn run(mut self) -> (Chance, Trace, Result<(), String>) {
        // What was traced up to a panic is what tells of it.
        let result = crate::run::watched(|| self.turns());
        (self.chance, self.trace, result)
    }

    fn turns(&mut self) -> Result<(), String> {
        for _ in 0..self.setup.turns {
            self.turn()?;
        }
        self.settle()
    }

    fn turn(&mut self) -> Result<(), String> {
        self.pass_time();
        self.site.objects.something_arrives(&self.chance);
        // Most turns are a process's: an action and the hearing of its answer are two.
        match self.chance.below(140) {
            0..=23 => self.traffic.turn(&mut self.site.log, self.now_ms, &mut self.chance, &mut self.trace),
            24..=25 => self.retention(),
            26..=27 => self.move_partition()?,
            28 => self.stale_reader()?,
            29 => self.strange_node()?,
            30 if self.setup.topic_again => self.topic_again()?,
            31 if self.setup.overrun => self.overrun()?,
            _ => self.somebody_works()?,
        }
        self.look()
    }

    fn pass_time(&mut self) {
        self.now_ms += match self.chance.grain_ms() {
            1 => {
                let most = if self.chance.percent(90) { 400 } else { 5 * 60_000 };
                i64::try_from(self.chance.below(most)).unwrap_or(0)
            }
            grain_ms if self.chance.percent(5) => grain_ms,
            _ => 0,
        };
        if self.chance.fault(Fault::IdleWeeks, 1) {
            self.now_ms += (7 + self.chance.below(22)) as i64 * DAY;
            note!(self.trace, "clock", "weeks go by");
        }
        self.trace.step(self.now_ms);
        self.wall.store(self.now_ms, Ordering::Relaxed);
        let broken = |rule| self.mutant.is_some_and(|mutant| mutant.worker().any(|broken| broken == rule));
        if broken(counting::Break::DefinitionFromConfiguration) {
            let newest = self.traffic.newest_definitions();
            *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = newest;
        }
    }

    /// One step of one process: it begins, reads, flushes, carries out, or dies.
    fn somebody_works(&mut self) -> Result<(), String> {
        let partition = self.chance.below(self.owners.len());
        let zombie = self.chance.percent(30);
        let node = if zombie { self.chance.below(self.seats.len()) } else { self.owners[partition] };
        let post = Post { node, partition: partition as u32 };
        let Some(seat) = &mut self.seats[node][partition] else {
            return match node == self.owners[partition] {
                true if self.leaves(post) => self.let_go(partition),
                true => self.begin(post),
                false => Ok(()),
            };
        };
        if seat.paused {
            if self.chance.permille(60) {
                seat.paused = false;
                if node != self.owners[partition] {
                    self.chance.tally.add(Fault::ZombieWakes);
                }
                note!(self.trace, "node {node}/{partition}", "wakes");
            }
            return Ok(());
        }
        let begins = seat.is_beginning();
        let leaves = self.leaves(post);
        let folds = !begins && !leaves;
        match self.chance.below(100) {
            0..=24 if folds => self.deliver(post),
            25..=36 if folds => self.give(post, Input::Tick),
            37..=38 if folds => self.give(post, Input::SnapshotDue),
            39..=40 => self.crash(post),
            41 if self.setup.mode == Mode::Apart => {
                self.pause(post);
                Ok(())
            }
            _ if leaves => self.flush_before_it_goes(post),
            _ if begins => self.begin_on(post),
            _ => self.carry_out(post),
        }
    }

    fn give(&mut self, post: Post, input: Input) -> Result<(), String> {
        let Some(seat) = &mut self.seats[post.node][post.partition as usize] else { return Ok(()) };
        match seat.give(input) {
            Ok(()) => Ok(()),
            Err(stop) => self.stopped(post, &stop),
        }
    }

    fn pause(&mut self, post: Post) {
        if let Some(seat) = &mut self.seats[post.node][post.partition as usize] {
            seat.paused = true;
            note!(self.trace, "node {}/{}", post.node, post.partition; "is paused");
        }
    }

    /// Some records from where the worker is, or again from a little before.
    fn deliver(&mut self, post: Post) -> Result<(), String> {
        let Some(seat) = &mut self.seats[post.node][post.partition as usize] else { return Ok(()) };
        if !seat.worker.wants_batch() {
            return Ok(());
        }
        let range = self.site.log.range(post.partition);
        if seat.next < range.from {
            // The log let go what a late one wanted to read: its client ends it, and it begins again.
            self.seats[post.node][post.partition as usize] = None;
            return Ok(());
        }
        let again = if self.chance.percent(10) { self.chance.below(4) as u64 } else { 0 };
        let from = seat.next.saturating_sub(again).max(range.from);
        let batch = self.site.log.read(post.partition, from, 1 + self.chance.below(5));
        let Some(last) = batch.last() else { return Ok(()) };
        seat.next = seat.next.max(last.offset + 1);
        note!(self.trace, "node {}/{}", post.node, post.partition; "reads {from} to {}", last.offset);
        self.give(post, Input::Batch(batch))
    }

    /// An action is done at the store, or its answer heard.
    fn carry_out(&mut self, post: Post) -> Result<(), String> {
        let (load_first, hears) = (self.chance.percent(50), self.chance.percent(50));
        let Some(seat) = &mut self.seats[post.node][post.partition as usize] else { return Ok(()) };
        if (hears || !seat.is_pending())
            && let Some(answer) = seat.hear(load_first)
        {
            note!(self.trace, "node {}/{}", post.node, post.partition; "hears: {}", answered(&answer));
            return self.give(post, answer);
        }
        let Some(action) = seat.take(load_first) else { return Ok(()) };
        note!(self.trace, "node {}/{}", post.node, post.partition; "{}", told(&action));
        let writes = matches!(action, Action::Write(_) | Action::WriteCheckpoint(_) | Action::Commit(_));
        self.site.carry_out(post, seat, action, &mut self.chance);
        if writes {
            self.others_meet_a_write(post);
        }
        Ok(())
    }

    /// Counts who else is in the middle of something while this process writes.
    fn others_meet_a_write(&mut self, post: Post) {
        let others = (0..self.seats.len()).filter(|node| *node != post.node);
        for seat in others.filter_map(|node| self.seats[node][post.partition as usize].as_ref()) {
            if seat.is_beginning() {
                self.chance.tally.add(Fault::WriteWhileBeginning);
            }
            if seat.has_unheard() {
                self.chance.tally.add(Fault::WriteUnheard);
            }
        }
    }
}

/// An action in a few words.
fn told(action: &Action) -> String {
    match action {
        Action::Load(keys) => format!("loads {} cells", keys.len()),
        Action::Write(cells) => {
            let h: Vec<String> = cells.iter().map(|write| format!("{:?}@{}", write.key.kind, write.cell.h)).collect();
            format!("writes {}", h.join(" "))
        }
        Action::WriteCheckpoint(checkpoint) => format!("writes checkpoint {}", checkpoint.position),
        Action::SaveState(changes) => format!("saves state {}", changes.position),
        Action::Commit(flush) => {
            format!("commits {} cells, checkpoint {}", flush.cells.len(), flush.checkpoint.position)
        }
        Action::Snapshot { position } => format!("takes a snapshot of {position}"),
        other => format!("{other:?}"),
    }
}
