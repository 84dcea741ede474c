//! A process that folds partitions: it drives the product's worker and carries out what the worker asks for.
//!
//! Always true here:
//! - actions are carried out in the order given, but that a load may overtake the steps of a flush or be overtaken by
//!   them;
//! - a dead letter is an action too, and so kept before the next write begins;
//! - a process that dies leaves behind what its actions had done by then, and nothing else;
//! - a paused one keeps everything in memory and goes on from there when it wakes;
//! - what is done at a store and the worker's hearing of it are two steps, and so is each thing that is read before a
//!   worker begins: whatever others do may come between.
//!
//! Where to go next: [`beginning`] for what a worker begins with, [`Site::carry_out`] for what becomes of an action.

mod beginning;

use std::collections::{HashSet, VecDeque};

use counting::fold::DeadLetter;
use counting::worker::{Action, Committed, Input, Mode, Settings, Stop, Work, Worker};
use schemas::cell::CellKey;
use schemas::generation::Generation;
use schemas::stored::{Checkpoint, SavedState, StateChanges, WriteAnswer};

use crate::chance::Chance;
use crate::disks::{Disks, Objects};
use crate::faults::Fault;
use crate::log::Log;
use crate::mutants::DriverBreak;
use crate::stores::Stores;
use crate::trace::Trace;
use beginning::Beginning;

/// A worker in its process, and what it has asked for.
#[derive(Debug)]
pub struct Seat {
    /// The worker.
    pub worker: Worker,
    /// What was read so far, while it has not begun.
    beginning: Option<Beginning>,
    mode: Mode,
    /// Actions not begun.
    pending: VecDeque<Action>,
    /// Answers on their way: of a load, of a step of a flush.
    unheard: Vec<Input>,
    /// The next offset to be read.
    pub next: u64,
    /// It does nothing until it wakes.
    pub paused: bool,
    /// The generation that it folds.
    pub generation: u32,
    /// It was told other settings than the generation's.
    pub strange: bool,
    /// The checkpoint that it began with.
    pub checkpoint: Option<Checkpoint>,
    /// Cells that it has loaded once.
    loaded: HashSet<CellKey>,
    /// Its driver keeps dead letters when nothing else is to be done: [`DriverBreak::LettersLast`].
    letters_last: bool,
}

/// How far an action gets before its process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It was not begun.
    Before,
    /// Part of it was done, where it has parts: which, the dice say.
    Midway,
    /// Of a write, these cells (as bits) came to these servers (as bits), and nothing else did.
    Partly {
        /// The first cell is the lowest bit.
        cells: u32,
        /// The first server is the lowest bit.
        servers: u8,
    },
    /// It was done, and nobody heard of it.
    After,
}

/// What processes share, and their disks.
#[derive(Debug)]
pub struct Site {
    /// The log.
    pub log: Log,
    /// The store.
    pub stores: Stores,
    /// The disks beside the workers.
    pub disks: Disks,
    /// The snapshots.
    pub objects: Objects,
    /// Dead letters kept since somebody last looked, with their partitions.
    pub letters: Vec<(u32, DeadLetter)>,
    /// What the driver does wrong.
    pub broken: Option<DriverBreak>,
}

/// Which process folds which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Post {
    /// The process.
    pub node: usize,
    /// The partition.
    pub partition: u32,
}

/// Why a process has no worker now.
#[derive(Debug)]
pub enum NotBegun {
    /// The process disagrees with the generation.
    Refused(String),
    /// The worker stopped.
    Stopped(Stop),
}

impl Site {
    /// A process is given a partition; it begins by reading.
    ///
    /// # Errors
    /// [`NotBegun::Refused`] when it disagrees with the generation.
    pub fn sit(&mut self, settings: Settings) -> Result<Seat, NotBegun> {
        self.agree(&settings.generation)?;
        let (generation, mode) = (settings.generation.number, settings.mode);
        let worker = Worker::new(settings).map_err(|error| NotBegun::Refused(error.to_string()))?;
        Ok(Seat {
            worker,
            beginning: Some(Beginning::default()),
            mode,
            pending: VecDeque::new(),
            unheard: Vec::new(),
            next: 0,
            paused: false,
            generation,
            strange: false,
            checkpoint: None,
            loaded: HashSet::new(),
            letters_last: self.broken == Some(DriverBreak::LettersLast),
        })
    }

    /// The same, to the end: nobody else does anything meanwhile.
    ///
    /// # Errors
    /// [`NotBegun`] when it cannot.
    pub fn begin(
        &mut self,
        post: Post,
        settings: Settings,
        chance: &mut Chance,
        trace: &mut Trace,
    ) -> Result<Seat, NotBegun> {
        let mut seat = self.sit(settings)?;
        while seat.is_beginning() {
            self.begin_on(post, &mut seat, chance, trace)?;
        }
        Ok(seat)
    }

    /// A process agrees with the generation's row in the store, or refuses to start.
    fn agree(&mut self, generation: &Generation) -> Result<(), NotBegun> {
        let row = self.stores.create_generation(generation.number, generation.encode());
        match generation.check(&row) {
            Err(why) if self.broken != Some(DriverBreak::RowUnchecked) => Err(NotBegun::Refused(why.to_string())),
            _ => Ok(()),
        }
    }

    /// Carries out one action; the worker has not heard the answer yet.
    pub fn carry_out(&mut self, post: Post, seat: &mut Seat, action: Action, chance: &mut Chance) {
        let answer = self.answer(post, seat, action, chance);
        seat.unheard.extend(answer);
    }

    fn answer(&mut self, post: Post, seat: &mut Seat, action: Action, chance: &mut Chance) -> Option<Input> {
        let Post { node, partition } = post;
        let failed = |work| Input::Failed { work, reason: "no answer".to_owned(), retry: true };
        Some(match action {
            Action::Load(keys) => match self.stores.load(&keys, chance) {
                Ok(cells) => {
                    if !keys.into_iter().all(|key| seat.loaded.insert(key)) {
                        chance.tally.add(Fault::CellsEvicted);
                    }
                    Input::Loaded(cells)
                }
                Err(_) => failed(Work::Load),
            },
            Action::Write(cells) => {
                self.stores.write(&cells, chance).map_or_else(|_| failed(Work::Flush), Input::Wrote)
            }
            Action::WriteCheckpoint(checkpoint) => {
                let wrote = self.stores.write_checkpoint(seat.generation, partition, checkpoint, chance);
                wrote.map_or_else(|_| failed(Work::Flush), Input::CheckpointWrote)
            }
            Action::SaveState(_) if self.disks.fails(chance) => failed(Work::Flush),
            Action::SaveState(changes) => self.save(node, partition, &changes, Input::StateSaved, chance),
            Action::Commit(flush) => match self.stores.commit(&flush) {
                Committed::Durable => {
                    self.save(0, partition, &flush.state, Input::Committed(Committed::Durable), chance)
                }
                refused @ Committed::Refused { .. } => Input::Committed(refused),
            },
            Action::Snapshot { .. } => {
                self.snapshot(post, seat, chance);
                return None;
            }
            Action::DeadLetter(letter) => {
                self.letters.push((partition, letter));
                return None;
            }
            Action::Begin { .. } | Action::Stop(_) => return None,
        })
    }

    /// Saves state on a disk, which refuses to fall back; the answer may be lost.
    fn save(
        &mut self,
        node: usize,
        partition: u32,
        changes: &StateChanges,
        saved: Input,
        chance: &mut Chance,
    ) -> Input {
        if !self.disks.apply(node, partition, changes) {
            let reason = format!("the state would fall back to {}", changes.position);
            return Input::Failed { work: Work::Flush, reason, retry: false };
        }
        if chance.fault(Fault::SaveUnanswered, 40) {
            return Input::Failed { work: Work::Flush, reason: "no answer".to_owned(), retry: true };
        }
        saved
    }

    /// Copies what is on the disk now, named by its own position, as the processor does.
    fn snapshot(&mut self, post: Post, seat: &Seat, chance: &mut Chance) {
        let saved = self.disks.load(post.node, post.partition);
        let saved = match self.broken {
            Some(DriverBreak::SnapshotFromMemory) => Some(seat.worker.state_in_memory()),
            Some(DriverBreak::SnapshotNamedAhead) => {
                saved.map(|saved| SavedState { position: seat.worker.progress().folded, ..saved })
            }
            _ => saved,
        };
        if let Some(saved) = saved {
            chance.tally.add(Fault::SnapshotTaken);
            self.objects.write(seat.generation, post.partition, saved, chance);
        }
    }

    /// What is left of an action when its process dies.
    pub fn die_at(&mut self, post: Post, seat: &mut Seat, action: Action, death: Death, chance: &mut Chance) {
        match (death, action) {
            (Death::Before, _) => {}
            (Death::Midway, Action::Write(cells)) => self.stores.write_half(&cells, chance),
            (Death::Partly { cells: which, servers }, Action::Write(cells)) => {
                self.stores.write_some(&cells, which, servers);
            }
            // What is one write has no half.
            (Death::Midway | Death::Partly { .. }, _) => {}
            (Death::After, action) => drop(self.answer(post, seat, action, chance)),
        }
    }
}

impl Seat {
    /// Whether it still reads what its worker begins with.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        self.beginning.is_some()
    }

    /// Whether it has something to do, or to hear.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is_beginning() || self.has_unheard() || self.is_pending()
    }

    /// Whether an action waits for its turn.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether an answer is on its way.
    #[must_use]
    pub fn has_unheard(&self) -> bool {
        !self.unheard.is_empty()
    }

    /// Loads that were asked for, begun or not, are waited for no longer.
    pub fn forget_loads(&mut self) {
        self.pending.retain(|action| !matches!(action, Action::Load(_)));
        self.unheard.retain(|input| !is_of_load(input));
    }

    /// Whether all of a log that ends here is folded, and nothing is left to do.
    #[must_use]
    pub fn is_done(&self, end: u64) -> bool {
        !self.is_busy() && self.next >= end && self.worker.is_at_rest()
    }

    /// An answer that has come, which it is on its way no longer: of a load or of a flush, in either order.
    pub fn hear(&mut self, of_load_first: bool) -> Option<Input> {
        let first = self.unheard.iter().position(|input| is_of_load(input) == of_load_first);
        let any = (!self.unheard.is_empty()).then_some(0);
        first.or(any).map(|place| self.unheard.remove(place))
    }

    /// The next action: a load overtakes the others or is overtaken by them, for it is under way beside them.
    pub fn take(&mut self, load_first: bool) -> Option<Action> {
        let waits = |action: &Action| self.letters_last && matches!(action, Action::DeadLetter(_));
        let is_load = |action: &Action| matches!(action, Action::Load(_));
        let first = self.pending.iter().position(|action| !waits(action) && is_load(action) == load_first);
        let first = first.or_else(|| self.pending.iter().position(|action| !waits(action)));
        self.pending.remove(first.unwrap_or(0))
    }

    /// Hands the worker an input; what it asks for waits its turn.
    ///
    /// # Errors
    /// The worker's [`Stop`].
    pub fn give(&mut self, input: Input) -> Result<(), Stop> {
        for action in self.worker.handle(input) {
            match action {
                Action::Stop(stop) => return Err(stop),
                Action::Begin { position } => self.next = position,
                action => self.pending.push_back(action),
            }
        }
        Ok(())
    }
}

fn is_of_load(input: &Input) -> bool {
    matches!(input, Input::Loaded(_) | Input::Failed { work: Work::Load, .. })
}

/// An answer in a few words.
#[must_use]
pub fn answered(input: &Input) -> String {
    match input {
        Input::Loaded(cells) => format!("{} of {} cells are there", cells.iter().flatten().count(), cells.len()),
        Input::Wrote(answers) => {
            let refused = |answer: &&WriteAnswer| matches!(answer, WriteAnswer::Refused(_));
            format!("{} cells, {} refused", answers.len(), answers.iter().filter(refused).count())
        }
        Input::CheckpointWrote(true) => "the checkpoint is there".to_owned(),
        Input::CheckpointWrote(false) => "the store's checkpoint is higher".to_owned(),
        Input::StateSaved => "the state is saved".to_owned(),
        Input::Committed(Committed::Durable) => "all of it is there".to_owned(),
        Input::Committed(Committed::Refused { cells, checkpoint }) => {
            format!("refused, {} cells ahead, checkpoint {:?}", cells.len(), checkpoint.map(|at| at.position))
        }
        Input::Failed { reason, retry, .. } => format!("{reason}{}", if *retry { "" } else { ", for good" }),
        other => format!("{other:?}"),
    }
}
