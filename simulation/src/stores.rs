//! The store as a worker meets it: servers of one of two models, a network that loses and delays, and the client's half
//! of the protocol, which is `stores::protocol`.
//!
//! Always true here: whether a server takes a write, what a refusal means and which reply a reader takes is asked of
//! `stores::protocol`, but where a [`StoreBreak`] says otherwise; a write that was not answered may have reached any of
//! the servers or none, now or later; whatever a server took is told once by [`Stores::news`].
//!
//! Where to go next: [`conditional`] is one server with a condition, [`replicas`] three where the last write wins,
//! [`fate`] throws what becomes of a write on its way, [`table`] keeps items of either model by key.

mod conditional;
mod fate;
mod model;
mod replicas;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use counting::cells::Cell;
use counting::worker::Committed;
use schemas::cell::{CellKey, CellKind};
use schemas::stored::{CellWrite, Checkpoint, Flush, StoredCell, WriteAnswer};
use stores::protocol;

use crate::chance::Chance;
use crate::faults::Fault;
use fate::Fate;
pub use model::{Model, StoreBreak};
use table::{Rule, Sent, Table};

/// Nobody answered in time; what was sent may have been done, in part or whole, or may be done later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// A read.
    Read,
    /// A write.
    Write,
}

/// What servers took since somebody last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A pair of value and h; or one that was offered with other bytes than the server has under the same h.
    Cell {
        /// Which cell.
        key: CellKey,
        /// The pair.
        cell: StoredCell,
        /// The h that was there before, the highest where several replicas took it; `None` = nothing was there.
        before: Option<u64>,
    },
    /// A checkpoint.
    Checkpoint {
        /// Number of the generation.
        generation: u32,
        /// The partition.
        partition: u32,
        /// What was taken.
        checkpoint: Checkpoint,
        /// The position before, as with a cell.
        before: Option<u64>,
    },
}

/// The servers, and the way to them.
#[derive(Debug)]
pub struct Stores {
    model: Model,
    broken: Option<StoreBreak>,
    cells: Table<CellKey, StoredCell>,
    checkpoints: Table<(u32, u32), Checkpoint>,
    generations: BTreeMap<u32, Bytes>,
    /// Writes sent so far: the time of the store's clock, for those who break the rule of the timestamp.
    sent: i64,
    news: Vec<News>,
}

impl Stores {
    /// Empty servers of this model, which may break a rule.
    #[must_use]
    pub fn new(model: Model, broken: Option<StoreBreak>) -> Self {
        Self {
            model,
            broken,
            cells: Table::new(model),
            checkpoints: Table::new(model),
            generations: BTreeMap::new(),
            sent: 0,
            news: Vec::new(),
        }
    }

    /// Cells in the order asked; consistent: sees whatever was answered.
    ///
    /// # Errors
    /// [`Unanswered`] by chance.
    pub fn load(&mut self, keys: &[CellKey], chance: &mut Chance) -> Result<Vec<Option<StoredCell>>, Unanswered> {
        self.something_arrives(chance);
        if chance.fault(Fault::LoadFailed, 30) {
            return Err(Unanswered::Read);
        }
        let consistent = self.broken != Some(StoreBreak::EventuallyConsistentRestore);
        let read = |key| self.cells.load(key, consistent, chance).cloned();
        Ok(keys.iter().map(read).collect())
    }

    /// Writes cells, each on its own; answers in their order.
    ///
    /// # Errors
    /// [`Unanswered`] by chance: some of them are lost, or under way, or there.
    pub fn write(&mut self, cells: &[CellWrite], chance: &mut Chance) -> Result<Vec<WriteAnswer>, Unanswered> {
        self.something_arrives(chance);
        let fate = Fate::throw(self.model, cells.len(), chance);
        self.send(cells, fate, chance).1
    }

    /// What is left of a write whose process dies in the middle of it: each cell is on some of the servers.
    pub fn write_half(&mut self, cells: &[CellWrite], chance: &mut Chance) {
        // Nobody is there to hear an answer.
        let (reached, _) = self.send(cells, Fate::Dying, chance);
        if 0 < reached && reached < cells.len() * self.model.copies() {
            chance.tally.add(Fault::CrashMidWrite);
        }
    }

    /// The same, told which: of a write, these cells (as bits) come to these servers (as bits), and nothing else does.
    pub fn write_some(&mut self, cells: &[CellWrite], which: u32, servers: u8) {
        for (index, write) in cells.iter().enumerate().filter(|(index, _)| which >> index & 1 == 1) {
            debug_assert!(index < 32, "a bit for each cell");
            let timestamp = self.timestamp(StoreBreak::Unconditional, write.cell.h);
            let number = self.cells.number(&write.key);
            self.put_cell(number, servers & self.model.servers(), Sent { timestamp, value: write.cell.clone() });
        }
    }

    /// How many copies reached a server, and what the client hears.
    fn send(
        &mut self,
        cells: &[CellWrite],
        fate: Fate,
        chance: &mut Chance,
    ) -> (usize, Result<Vec<WriteAnswer>, Unanswered>) {
        let (mut answered, mut reached) = (true, 0);
        let mut answers = Vec::with_capacity(cells.len());
        for (index, write) in cells.iter().enumerate() {
            let course = fate.course(self.model, index, chance);
            answered &= course.answered;
            reached += course.now.count_ones() as usize;
            let timestamp = self.timestamp(StoreBreak::Unconditional, write.cell.h);
            let sent = Sent { timestamp, value: write.cell.clone() };
            let number = self.cells.number(&write.key);
            if course.later != 0 {
                self.cells.send_later(number, course.later, sent.clone());
            }
            let refused = self.put_cell(number, course.now, sent);
            answers.push(refused.map_or(WriteAnswer::Stored, |held| protocol::cell_refused(held, write.cell.h)));
        }
        (reached, if answered { Ok(answers) } else { Err(Unanswered::Write) })
    }

    /// The checkpoint of a partition.
    ///
    /// # Errors
    /// [`Unanswered`] by chance.
    pub fn checkpoint(
        &mut self,
        generation: u32,
        partition: u32,
        chance: &mut Chance,
    ) -> Result<Option<Checkpoint>, Unanswered> {
        self.something_arrives(chance);
        if chance.fault(Fault::LoadFailed, 30) {
            return Err(Unanswered::Read);
        }
        let consistent = self.broken != Some(StoreBreak::EventuallyConsistentRestore);
        Ok(self.checkpoints.load(&(generation, partition), consistent, chance).copied())
    }

    /// Writes a checkpoint; `false` = the store says that its own is higher.
    ///
    /// # Errors
    /// [`Unanswered`] by chance, as with cells.
    pub fn write_checkpoint(
        &mut self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
        chance: &mut Chance,
    ) -> Result<bool, Unanswered> {
        self.something_arrives(chance);
        let course = Fate::throw(self.model, 1, chance).course(self.model, 0, chance);
        let number = self.checkpoints.number(&(generation, partition));
        let timestamp = self.timestamp(StoreBreak::CheckpointUnconditional, checkpoint.position);
        let sent = Sent { timestamp, value: checkpoint };
        if course.later != 0 {
            self.checkpoints.send_later(number, course.later, sent.clone());
        }
        let refused = self.put_checkpoint(number, course.now, sent);
        if !course.answered {
            return Err(Unanswered::Write);
        }
        Ok(refused.is_none_or(|held| protocol::checkpoint_refused(&held, &checkpoint)))
    }

    /// Cells and checkpoint of a flush in one transaction: all of it or, where the store is ahead of it, nothing.
    pub fn commit(&mut self, flush: &Flush) -> Committed {
        let ahead = |(index, write): (usize, &CellWrite)| {
            let held = self.cells.newest(&write.key).filter(|held| !protocol::may_put(Some(held.h), write.cell.h))?;
            match protocol::cell_refused(held.clone(), write.cell.h) {
                WriteAnswer::Refused(held) if self.is_conditional(StoreBreak::Unconditional) => Some((index, held)),
                _ => None,
            }
        };
        let cells: Vec<_> = flush.cells.iter().enumerate().filter_map(ahead).collect();
        let place = (flush.generation, flush.partition);
        let held = self.checkpoints.newest(&place).copied();
        let checkpoint = held.filter(|held| {
            self.is_conditional(StoreBreak::CheckpointUnconditional)
                && !protocol::checkpoint_refused(held, &flush.checkpoint)
        });
        if !cells.is_empty() || checkpoint.is_some() {
            return Committed::Refused { cells, checkpoint };
        }
        let all = self.model.servers();
        for write in &flush.cells {
            let timestamp = self.timestamp(StoreBreak::Unconditional, write.cell.h);
            let number = self.cells.number(&write.key);
            self.put_cell(number, all, Sent { timestamp, value: write.cell.clone() });
        }
        let timestamp = self.timestamp(StoreBreak::CheckpointUnconditional, flush.checkpoint.position);
        let number = self.checkpoints.number(&place);
        self.put_checkpoint(number, all, Sent { timestamp, value: flush.checkpoint });
        Committed::Durable
    }

    fn is_conditional(&self, rule: StoreBreak) -> bool {
        let added = rule == StoreBreak::Unconditional && self.broken == Some(StoreBreak::Add);
        self.broken != Some(rule) && !added
    }

    /// Writes a generation's row unless there is one; answers what is there then.
    pub fn create_generation(&mut self, number: u32, row: Bytes) -> Bytes {
        self.generations.entry(number).or_insert(row).clone()
    }

    /// A generation's row.
    #[must_use]
    pub fn generation(&self, number: u32) -> Option<&Bytes> {
        self.generations.get(&number)
    }

    /// A cell as a reader may get it who does not ask for consistency.
    pub fn read_stale(&mut self, key: &CellKey, chance: &mut Chance) -> Option<StoredCell> {
        self.something_arrives(chance);
        self.cells.load(key, false, chance).cloned()
    }

    /// Writes that are still on their way.
    #[cfg(test)]
    pub(crate) fn late(&self) -> usize {
        self.cells.late() + self.checkpoints.late()
    }

    /// What servers took since the last call.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whatever is still under way arrives.
    pub fn everything_arrives(&mut self) {
        while let Some((number, servers, sent)) = self.cells.take_late(0) {
            self.put_cell(number, servers, sent);
        }
        while let Some((number, servers, sent)) = self.checkpoints.take_late(0) {
            self.put_checkpoint(number, servers, sent);
        }
    }

    /// One of the writes that are still under way arrives, perhaps: nothing says in which order they do.
    fn something_arrives(&mut self, chance: &mut Chance) {
        let (cells, checkpoints) = (self.cells.late(), self.checkpoints.late());
        if cells + checkpoints == 0 || !chance.percent(20) {
            return;
        }
        let which = chance.below(cells + checkpoints);
        if which < cells {
            if let Some((number, servers, sent)) = self.cells.take_late(which) {
                self.put_cell(number, servers, sent);
            }
        } else if let Some((number, servers, sent)) = self.checkpoints.take_late(which - cells) {
            self.put_checkpoint(number, servers, sent);
        }
    }

    /// Each set of replicas that a consistent reader may hear, and what it would take from them.
    pub fn every_view(&self, mut f: impl FnMut(&View<'_>)) {
        for view in 0..self.model.views() {
            f(&View { stores: self, view });
        }
    }

    fn timestamp(&mut self, rule: StoreBreak, h_or_position: u64) -> i64 {
        self.sent += 1;
        if self.broken == Some(rule) { self.sent } else { protocol::timestamp(h_or_position) }
    }

    /// A cell arrives at these servers; what is there instead, where its condition was refused.
    fn put_cell(&mut self, number: usize, servers: u8, sent: Sent<StoredCell>) -> Option<StoredCell> {
        let rule = match self.broken {
            Some(StoreBreak::Unconditional) => Rule::Put,
            Some(StoreBreak::Add) if is_added(self.cells.key(number)) => Rule::Combine(add),
            _ => Rule::Protocol,
        };
        let put = self.cells.put(number, servers, &sent, &rule);
        if let Some((cell, before)) = put.news {
            self.news.push(News::Cell { key: self.cells.key(number).clone(), cell, before });
        }
        put.refused
    }

    fn put_checkpoint(&mut self, number: usize, servers: u8, sent: Sent<Checkpoint>) -> Option<Checkpoint> {
        let broken = self.broken == Some(StoreBreak::CheckpointUnconditional);
        let rule = if broken { Rule::Put } else { Rule::Protocol };
        let put = self.checkpoints.put(number, servers, &sent, &rule);
        if let Some((checkpoint, before)) = put.news {
            let (generation, partition) = *self.checkpoints.key(number);
            self.news.push(News::Checkpoint { generation, partition, checkpoint, before });
        }
        put.refused
    }
}

/// Whether a store that adds would be asked to add here: where nothing but sums is kept.
fn is_added(key: &CellKey) -> bool {
    matches!(key.kind, CellKind::Books | CellKind::Events)
}

/// What a store would hold that adds: the two cells as readers add them up, under the higher h.
fn add(key: &CellKey, held: &StoredCell, new: &StoredCell) -> StoredCell {
    let cells = (Cell::decode(key.kind, &held.value), Cell::decode(key.kind, &new.value));
    let value = match cells {
        (Ok(mut sum), Ok(new)) => {
            sum.merge(&new);
            sum.encode().into()
        }
        _ => new.value.clone(),
    };
    StoredCell { h: held.h.max(new.h), value }
}

/// What one consistent reader gets.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    stores: &'a Stores,
    view: usize,
}

impl View<'_> {
    /// A cell.
    #[must_use]
    pub fn cell(&self, key: &CellKey) -> Option<&StoredCell> {
        self.stores.cells.read(key, self.view)
    }

    /// A checkpoint.
    #[must_use]
    pub fn checkpoint(&self, generation: u32, partition: u32) -> Option<&Checkpoint> {
        self.stores.checkpoints.read(&(generation, partition), self.view)
    }

    /// All cells, in the order in which they were first written to.
    pub fn cells(&self, mut f: impl FnMut(&CellKey, &StoredCell)) {
        for (key, cell) in self.stores.cells.iter(self.view) {
            f(key, cell);
        }
    }
}
