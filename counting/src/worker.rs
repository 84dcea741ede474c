//! The worker of one partition as a value: inputs in, actions out.
//!
//! Always true here: cells are durable before the checkpoint that covers them, the checkpoint before the state as it
//! was at the checkpoint's position (or all three at once); a flush takes place between records and its content is
//! fixed when it begins, while folding goes on; reading begins at the state's position, at or below the checkpoint, and
//! cells skip what they have; a refused write adopts value and h together. The worker knows no clock: whoever drives it
//! says when a flush or a snapshot is due, and waits before it hands in a failure that may be tried again.
//!
//! How to drive it: carry out actions in the order given; only a `Load` may overtake the others or be overtaken. A dead
//! letter is durable before the next `Write` or `Commit` is begun. One `Load` and one flush step are under way at most;
//! each is answered by one input. Hand in batches only while [`Worker::wants_batch`]. After a `Stop` or `Revoked`
//! nothing more comes out.
//!
//! Where to go next: [`start`] decides where reading begins or why it cannot, [`flush`] has the order of durability.

mod flush;
mod messages;
mod retention;
mod settings;
mod start;
mod stop;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use schemas::cell::CellKey;
use schemas::log::Logged;
use schemas::stored::StoredCell;

use crate::breakage::Break;
use crate::fold::{Commit, Outcome, Prepared, Rules, Stepped};
use crate::held::Cells;
use crate::state::State;
use flush::UnderWay;
pub use messages::{Action, Assigned, Committed, Input, LogRange, Work};
pub use retention::{Source, keep_from, source};
pub use settings::{Mode, Settings, SettingsError};
pub use stop::Stop;

/// How far a worker is, for those who show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// All records below this offset are folded in memory.
    pub folded: u64,
    /// All records below this offset are durable in the cells.
    pub durable: u64,
    /// Position of the saved state: retention in the log must not pass it, nor the newest snapshot's.
    pub saved: u64,
    /// The running log time, Unix milliseconds.
    pub log_time_ms: i64,
    /// Records folded, known as duplicates and booked as poison since the worker began.
    pub outcomes: [u64; 3],
    /// Cells held in memory, and how many of them are dirty.
    pub cells: (usize, usize),
    /// Ids remembered, and the offset of the oldest record in the dedupe window.
    pub remembered: (usize, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    Done,
}

/// The worker of one partition.
#[derive(Debug)]
pub struct Worker {
    settings: Settings,
    rules: Rules,
    phase: Phase,
    state: State,
    cells: Cells,
    /// Batches not folded to their end, and how many records of the first are.
    waiting: VecDeque<Prepared>,
    waiting_records: usize,
    cursor: usize,
    asked: bool,
    loading: Option<Vec<CellKey>>,
    /// The offset after the last record taken in.
    taken: u64,
    /// The last record folded: its fingerprint goes into the checkpoint.
    last: Option<Logged>,
    /// The fingerprint before the first record, where that is the checkpoint's.
    first_fingerprint: u32,
    flush: Option<UnderWay>,
    /// All records below this offset are durable in the cells, as the checkpoint says.
    durable: u64,
    /// The position of the saved state, at or below `durable`.
    saved: u64,
    snapshot_due: bool,
    outcomes: [u64; 3],
}

impl Worker {
    /// A worker that has not been assigned anything yet.
    ///
    /// # Errors
    /// [`SettingsError`] when a cell could grow too large, or N is too large to be kept.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let rules = settings.rules();
        let dedupe_records = settings.generation.dedupe_records;
        Ok(Self {
            settings,
            rules,
            phase: Phase::Idle,
            state: State::empty(dedupe_records),
            cells: Cells::default(),
            waiting: VecDeque::new(),
            waiting_records: 0,
            cursor: 0,
            asked: false,
            loading: None,
            taken: 0,
            last: None,
            first_fingerprint: 0,
            flush: None,
            durable: 0,
            saved: 0,
            snapshot_due: false,
            outcomes: [0; 3],
        })
    }

    /// Takes what happened and says what is to be done.
    pub fn handle(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        let answer = match (self.phase, input) {
            (Phase::Done, _) => Ok(()),
            (_, Input::Revoked) => {
                self.end();
                Ok(())
            }
            (Phase::Idle, Input::Assigned(assigned)) => self.begin(&assigned, &mut actions),
            (Phase::Idle, _) | (Phase::Running, Input::Assigned(_)) => Ok(()),
            (Phase::Running, input) => self.run(input, &mut actions),
        };
        if let Err(stop) = answer {
            self.end();
            actions.push(Action::Stop(stop));
        }
        actions
    }

    /// Whether there is room for another batch.
    #[must_use]
    pub fn wants_batch(&self) -> bool {
        self.phase == Phase::Running && self.waiting_records < self.settings.waiting_records_max
    }

    /// Whether everything folded is durable and nothing is under way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.flush.is_none() && self.waiting.is_empty() && self.saved == self.state.position()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            folded: self.state.position(),
            durable: self.durable,
            saved: self.saved,
            log_time_ms: self.state.log_time_ms(),
            outcomes: self.outcomes,
            cells: (self.cells.len(), self.cells.dirty()),
            remembered: self.state.remembered(),
        }
    }

    /// All rows of the state as it is in memory, ahead of what is durable.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn state_in_memory(&self) -> schemas::stored::SavedState {
        self.state.in_memory()
    }

    fn end(&mut self) {
        self.phase = Phase::Done;
        self.waiting.clear();
        self.waiting_records = 0;
        self.flush = None;
        self.loading = None;
        self.cells = Cells::default();
        self.state = State::empty(self.settings.generation.dedupe_records);
    }

    fn run(&mut self, input: Input, actions: &mut Vec<Action>) -> Result<(), Stop> {
        match input {
            Input::Batch(batch) => self.take(batch),
            Input::Loaded(cells) => self.loaded(cells)?,
            Input::Wrote(answers) => self.wrote(&answers, actions)?,
            Input::CheckpointWrote(_) => self.checkpoint_wrote(actions),
            Input::StateSaved => self.state_saved(actions),
            Input::Committed(committed) => self.committed(committed, actions)?,
            Input::Failed { work, reason, retry: false } => return Err(Stop::Failed { work, reason }),
            Input::Failed { work: Work::Load, .. } => {
                actions.extend(self.loading.clone().map(Action::Load));
            }
            Input::Failed { work: Work::Flush, .. } => self.repeat_flush_step(actions),
            Input::Tick => self.begin_flush(actions),
            Input::SnapshotDue => {
                self.snapshot_due = true;
                self.snapshot(actions);
            }
            Input::Assigned(_) | Input::Revoked => {}
        }
        self.fold_on(actions)
    }

    /// Records that came before are passed over, so a batch delivered twice changes nothing.
    fn take(&mut self, mut batch: Vec<Logged>) {
        batch.retain(|logged| {
            let new = logged.offset >= self.taken;
            self.taken = self.taken.max(logged.offset.saturating_add(1));
            new
        });
        if !batch.is_empty() {
            self.waiting_records += batch.len();
            self.waiting.push_back(self.rules.decode(batch));
        }
    }

    fn loaded(&mut self, cells: Vec<Option<StoredCell>>) -> Result<(), Stop> {
        let Some(keys) = self.loading.take() else { return Ok(()) };
        let trusted = !self.settings.last_write_wins || self.rules.breakage.is(Break::TrustUnacknowledged);
        let dirty_from = if trusted { u64::MAX } else { self.durable };
        for (key, stored) in keys.into_iter().zip(cells) {
            let stored = stored.filter(|_| !self.rules.breakage.adds(key.kind));
            let inserted = self.cells.insert(key.clone(), stored, dirty_from);
            inserted.map_err(|why| Stop::Cell { key: Box::new(key), why })?;
        }
        Ok(())
    }

    /// Folds what waits, as far as the cells that it needs are held and the flush under way lets it.
    fn fold_on(&mut self, actions: &mut Vec<Action>) -> Result<(), Stop> {
        while self.loading.is_none() && self.has_room(actions) {
            let Some(batch) = self.waiting.pop_front() else { break };
            let done = self.fold_batch(&batch, actions)?;
            if !done {
                self.waiting.push_front(batch);
                continue;
            }
            self.waiting_records = self.waiting_records.saturating_sub(batch.records.len());
            (self.cursor, self.asked) = (0, false);
            self.last = batch.records.into_iter().next_back().map(|record| record.logged).or(self.last.take());
            self.cells.evict(self.settings.cells_max, self.settings.clean_cells_bytes_max);
        }
        Ok(())
    }

    /// Dirty cells are bounded: many of them begin a flush, and while one is under way folding waits.
    fn has_room(&mut self, actions: &mut Vec<Action>) -> bool {
        if self.cells.dirty() < self.settings.dirty_cells_max {
            return true;
        }
        let under_way = self.flush.is_some();
        self.begin_flush(actions);
        !under_way
    }

    /// Answers whether the batch is folded to its end.
    fn fold_batch(&mut self, batch: &Prepared, actions: &mut Vec<Action>) -> Result<bool, Stop> {
        if !std::mem::replace(&mut self.asked, true) {
            let keys = self.rules.needs(batch, &self.state, &self.cells);
            if !keys.is_empty() {
                self.load(keys, actions);
                return Ok(false);
            }
        }
        while let Some(record) = batch.records.get(self.cursor) {
            match self.rules.step(&self.state, &self.cells, record) {
                Stepped::Commit(commit) => self.apply(commit, actions),
                Stepped::Missing(keys) => {
                    self.load(keys, actions);
                    return Ok(false);
                }
                Stepped::Halt(halt) => return Err(halt.into()),
            }
            self.last = Some(record.logged().clone());
            self.cursor += 1;
            if self.cells.dirty() >= self.settings.dirty_cells_max {
                return Ok(self.cursor == batch.records.len());
            }
        }
        Ok(true)
    }

    fn load(&mut self, keys: Vec<CellKey>, actions: &mut Vec<Action>) {
        self.loading = Some(keys.clone());
        actions.push(Action::Load(keys));
    }

    fn apply(&mut self, mut commit: Commit<'_>, actions: &mut Vec<Action>) {
        let counter = match commit.outcome() {
            Outcome::Folded => 0,
            Outcome::Duplicate => 1,
            Outcome::Poison => 2,
        };
        if let Some(number) = self.outcomes.get_mut(counter) {
            *number = number.saturating_add(1);
        }
        let limits = &self.settings.generation.fold;
        let again = self.rules.breakage.is(Break::IgnoreH);
        if self.rules.breakage.is(Break::OtherByHash) {
            self.rules.breakage.in_hash_order(commit.offset, &mut commit.changes);
        }
        if self.rules.breakage.is(Break::FlushMidRecord) {
            let (first, rest) = commit.changes.split_at(commit.changes.len() / 2);
            self.cells.commit(commit.offset, first, limits, again);
            self.begin_flush(actions);
            self.cells.commit(commit.offset, rest, &self.settings.generation.fold, true);
        } else {
            self.cells.commit(commit.offset, &commit.changes, limits, again);
        }
        let letter = commit.apply_to_state(&mut self.state, &self.rules.breakage);
        actions.extend(letter.map(Action::DeadLetter));
    }
}
