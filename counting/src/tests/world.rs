//! A log, a conditional store, disks for state, and workers that are driven, failed and killed at every action.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use schemas::cell::CellKey;
use schemas::log::Logged;
use schemas::stored::{CellWrite, Checkpoint, Flush, SavedState, StateChanges, StoredCell, WriteAnswer};

use super::dice::Dice;
use crate::worker::{Action, Assigned, Committed, Input, LogRange, Mode, Settings, Work, Worker};

/// Saved state on a disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    position: u64,
    rows: BTreeMap<Bytes, Bytes>,
}

impl Disk {
    fn apply(&mut self, changes: &StateChanges) {
        self.position = changes.position;
        changes.remove.iter().for_each(|key| drop(self.rows.remove(key)));
        self.rows.extend(changes.put.iter().cloned());
    }

    fn load(&self) -> SavedState {
        let rows = self.rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        SavedState { position: self.position, rows }
    }
}

/// A process that has the partition, or believes so.
struct Node {
    worker: Worker,
    pending: VecDeque<Action>,
    next: u64,
}

impl Node {
    /// The next action: a load overtakes the steps of a flush or is overtaken by them, for both are under way at once.
    fn take(&mut self, dice: &mut Dice) -> Option<Action> {
        let load = dice.percent(50);
        let first = self.pending.iter().position(|action| matches!(action, Action::Load(_)) == load);
        self.pending.remove(first.unwrap_or(0))
    }
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) log: Vec<Logged>,
    /// How much of the log has been appended.
    held: usize,
    pub(crate) store: BTreeMap<CellKey, StoredCell>,
    pub(crate) checkpoint: Option<Checkpoint>,
    disks: [Option<Disk>; 2],
    snapshots: Vec<Disk>,
    pub(crate) dead_letters: BTreeSet<u64>,
    nodes: [Option<Node>; 2],
}

impl World {
    pub(crate) fn new(settings: Settings, log: Vec<Logged>) -> Self {
        Self {
            settings,
            log,
            held: 1,
            store: BTreeMap::new(),
            checkpoint: None,
            disks: [None, None],
            snapshots: Vec::new(),
            dead_letters: BTreeSet::new(),
            nodes: [None, None],
        }
    }

    /// One throw: the log grows, a worker begins, goes on, fails or dies.
    pub(crate) fn turn(&mut self, dice: &mut Dice) -> Result<(), String> {
        let nodes = if self.settings.mode == Mode::Apart { 2 } else { 1 };
        let which = dice.below(nodes);
        if self.nodes[which].is_none() {
            return self.start(which, dice);
        }
        match dice.below(40) {
            0 => self.kill(which, dice),
            1..=6 => {
                self.held = (self.held + 1 + dice.below(4)).min(self.log.len());
                Ok(())
            }
            7..=13 => self.deliver(which, dice),
            14..=17 => self.give(which, Input::Tick),
            18 => self.give(which, Input::SnapshotDue),
            19 => self.fail(which, dice),
            _ => self.carry_out(which, dice),
        }
    }

    /// All is appended, the first worker folds it to its end without trouble, the other is gone.
    pub(crate) fn settle(&mut self, dice: &mut Dice) -> Result<(), String> {
        self.held = self.log.len();
        self.nodes[1] = None;
        if self.nodes[0].is_none() {
            self.start(0, dice)?;
        }
        for _ in 0..10_000 {
            let node = self.nodes[0].as_ref().ok_or("the worker is gone")?;
            if !node.pending.is_empty() {
                self.carry_out(0, dice)?;
            } else if (node.next as usize) < self.log.len() {
                self.deliver(0, dice)?;
            } else if node.worker.is_at_rest() {
                return Ok(());
            } else {
                self.give(0, Input::Tick)?;
            }
        }
        Err("the worker never comes to rest".into())
    }

    fn start(&mut self, which: usize, dice: &mut Dice) -> Result<(), String> {
        // A lost disk is another machine: it begins from the newest snapshot, or from nothing.
        if dice.percent(15) {
            self.disks[which] = self.snapshots.last().cloned();
        }
        let state = self.disks[which].as_ref().map(Disk::load);
        let before = self.checkpoint.and_then(|at| at.position.checked_sub(1)).map(|at| self.log[at as usize].clone());
        let log = LogRange { from: 0, to: self.held as u64 };
        let assigned = Assigned { checkpoint: self.checkpoint, state, log, before_checkpoint: before };
        let worker = Worker::new(self.settings.clone()).map_err(|e| e.to_string())?;
        self.nodes[which] = Some(Node { worker, pending: VecDeque::new(), next: 0 });
        self.give(which, Input::Assigned(Box::new(assigned)))
    }

    fn give(&mut self, which: usize, input: Input) -> Result<(), String> {
        let Some(node) = &mut self.nodes[which] else { return Ok(()) };
        for action in node.worker.handle(input) {
            match action {
                Action::Stop(stop) => return Err(format!("worker {which} stopped: {stop}")),
                Action::Begin { position } => node.next = position,
                Action::DeadLetter(letter) => drop(self.dead_letters.insert(letter.offset)),
                action => node.pending.push_back(action),
            }
        }
        Ok(())
    }

    /// Some records from where the worker is, or again from a little before.
    fn deliver(&mut self, which: usize, dice: &mut Dice) -> Result<(), String> {
        let Some(node) = &mut self.nodes[which] else { return Ok(()) };
        if !node.worker.wants_batch() {
            return Ok(());
        }
        let again = if dice.percent(20) { dice.below(4) } else { 0 };
        let from = (node.next as usize).saturating_sub(again);
        let to = (from + 1 + dice.below(5)).min(self.held);
        if from >= to {
            return Ok(());
        }
        node.next = node.next.max(to as u64);
        let batch = self.log[from..to].to_vec();
        self.give(which, Input::Batch(batch))
    }

    /// The worker dies; of a write under way a part may have come through.
    fn kill(&mut self, which: usize, dice: &mut Dice) -> Result<(), String> {
        let Some(mut node) = self.nodes[which].take() else { return Ok(()) };
        while dice.percent(60) {
            let Some(action) = node.take(dice) else { break };
            let part = if dice.percent(50) { dice.below(4) } else { usize::MAX };
            self.effect(which, &action, part)?;
            if part != usize::MAX {
                break;
            }
        }
        Ok(())
    }

    /// An action fails, or is done and nobody hears of it; it comes out again.
    fn fail(&mut self, which: usize, dice: &mut Dice) -> Result<(), String> {
        let Some(action) = self.nodes[which].as_mut().and_then(|node| node.take(dice)) else { return Ok(()) };
        let work = match action {
            Action::Snapshot { .. } => return Ok(()),
            Action::Load(_) => Work::Load,
            _ => Work::Flush,
        };
        if dice.percent(50) {
            let part = if dice.percent(50) { dice.below(4) } else { usize::MAX };
            self.effect(which, &action, part)?;
        }
        self.give(which, Input::Failed { work, reason: "no answer".into(), retry: true })
    }

    fn carry_out(&mut self, which: usize, dice: &mut Dice) -> Result<(), String> {
        let Some(action) = self.nodes[which].as_mut().and_then(|node| node.take(dice)) else { return Ok(()) };
        match self.effect(which, &action, usize::MAX)? {
            Some(input) => self.give(which, input),
            None => Ok(()),
        }
    }

    /// What an action does to what is durable; of a `Write` only the first `part` cells.
    fn effect(&mut self, which: usize, action: &Action, part: usize) -> Result<Option<Input>, String> {
        Ok(match action {
            Action::Load(keys) => Some(Input::Loaded(keys.iter().map(|key| self.store.get(key).cloned()).collect())),
            Action::Write(cells) => {
                Some(Input::Wrote(cells.iter().take(part).map(|write| self.write(write)).collect()))
            }
            Action::WriteCheckpoint(checkpoint) => {
                let ahead = self.checkpoint.is_some_and(|held| held.position > checkpoint.position);
                if !ahead && part == usize::MAX {
                    self.checkpoint = Some(*checkpoint);
                }
                Some(Input::CheckpointWrote(!ahead))
            }
            Action::SaveState(changes) => {
                if part == usize::MAX {
                    self.disks[which].get_or_insert_default().apply(changes);
                }
                Some(Input::StateSaved)
            }
            Action::Commit(flush) => Some(Input::Committed(self.commit(which, flush, part == usize::MAX))),
            Action::Snapshot { position } => {
                let disk = self.disks[which].clone().unwrap_or_default();
                if disk.position < *position {
                    return Err(format!("a snapshot of {position}, the saved state is of {}", disk.position));
                }
                self.snapshots.push(disk);
                None
            }
            _ => None,
        })
    }

    /// All of a flush or, where the store is ahead of it or dies meanwhile, nothing.
    fn commit(&mut self, which: usize, flush: &Flush, whole: bool) -> Committed {
        let ahead = |(index, write): (usize, &CellWrite)| {
            let held = self.store.get(&write.key).filter(|held| held.h > write.cell.h)?;
            Some((index, held.clone()))
        };
        let cells: Vec<_> = flush.cells.iter().enumerate().filter_map(ahead).collect();
        let checkpoint = self.checkpoint.filter(|held| held.position > flush.checkpoint.position);
        if !cells.is_empty() || checkpoint.is_some() {
            return Committed::Refused { cells, checkpoint };
        }
        if whole {
            flush.cells.iter().for_each(|write| drop(self.write(write)));
            self.checkpoint = Some(flush.checkpoint);
            self.disks[which].get_or_insert_default().apply(&flush.state);
        }
        Committed::Durable
    }

    fn write(&mut self, write: &CellWrite) -> WriteAnswer {
        match self.store.get(&write.key) {
            Some(held) if held.h > write.cell.h => return WriteAnswer::Refused(held.clone()),
            Some(held) if held.h == write.cell.h => {}
            _ => drop(self.store.insert(write.key.clone(), write.cell.clone())),
        }
        WriteAnswer::Stored
    }
}
