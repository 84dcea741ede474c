//! A flush: what is made durable at one moment, and in which order.
//!
//! Always true here: what is written was fixed when the flush began, between two records; each step begins when the one
//! before it is durable; a step that failed is taken again as it was; a refused cell is durable in the store already,
//! with more in it. Nothing but the last step's answer moves `durable`.

use schemas::log::Logged;
use schemas::stored::{Checkpoint, Flush, StoredCell, WriteAnswer};

use super::{Action, Committed, Mode, Stop, Worker};
use crate::breakage::Break;

/// One step of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Cells,
    Checkpoint,
    State,
    All,
}

/// A flush and the steps that are left of it, the present one first.
#[derive(Debug)]
pub(super) struct UnderWay {
    flush: Flush,
    stages: Vec<Stage>,
}

#[cfg(test)]
impl UnderWay {
    /// What says that the present step has succeeded.
    pub(super) fn answer(&self) -> super::Input {
        match self.stages.first() {
            Some(Stage::Cells) => super::Input::Wrote(vec![WriteAnswer::Stored; self.flush.cells.len()]),
            Some(Stage::Checkpoint) => super::Input::CheckpointWrote(true),
            Some(Stage::State) => super::Input::StateSaved,
            _ => super::Input::Committed(Committed::Durable),
        }
    }
}

impl Worker {
    /// Begins a flush unless one is under way or there is nothing to make durable.
    pub(super) fn begin_flush(&mut self, actions: &mut Vec<Action>) {
        let position = self.state.position();
        let nothing_new = position <= self.saved && self.cells.dirty() == 0;
        // Below the checkpoint every cell is durable; the state is saved again when it has caught up with it.
        if self.flush.is_some() || nothing_new || position < self.durable {
            return;
        }
        let checkpoint = Checkpoint {
            position,
            definition_version: self.state.definition_version(),
            fingerprint: self.last.as_ref().map_or(self.first_fingerprint, Logged::fingerprint),
            log_time_ms: self.state.log_time_ms(),
        };
        let flush = Flush {
            generation: self.settings.generation.number,
            partition: self.settings.partition,
            cells: self.cells.begin_flush_with(position, &self.rules.breakage),
            checkpoint,
            state: self.state.changes_with(&self.rules.breakage),
        };
        let stages = match self.settings.mode {
            Mode::Together => vec![Stage::All],
            Mode::Apart if self.rules.breakage.is(Break::CheckpointBeforeCells) => {
                vec![Stage::Checkpoint, Stage::Cells, Stage::State]
            }
            Mode::Apart if self.rules.breakage.is(Break::StateBeforeCheckpoint) => {
                vec![Stage::State, Stage::Cells, Stage::Checkpoint]
            }
            Mode::Apart => vec![Stage::Cells, Stage::Checkpoint, Stage::State],
        };
        self.flush = Some(UnderWay { flush, stages });
        self.repeat_flush_step(actions);
    }

    /// The present step, as an action; a step without content is passed over.
    pub(super) fn repeat_flush_step(&mut self, actions: &mut Vec<Action>) {
        let Some(under_way) = &mut self.flush else { return };
        if under_way.stages.first() == Some(&Stage::Cells) && under_way.flush.cells.is_empty() {
            under_way.stages.remove(0);
        }
        let flush = &mut under_way.flush;
        let action = match under_way.stages.first() {
            Some(Stage::Cells) => Action::Write(flush.cells.clone()),
            Some(Stage::Checkpoint) => Action::WriteCheckpoint(flush.checkpoint),
            Some(Stage::State) => {
                if self.rules.breakage.is(Break::StateAsItIs) {
                    let later = self.state.changes_with(&self.rules.breakage);
                    flush.state.put.extend(later.put);
                    flush.state.remove.extend(later.remove);
                }
                Action::SaveState(flush.state.clone())
            }
            Some(Stage::All) => Action::Commit(flush.clone()),
            None => return self.end_flush(actions),
        };
        actions.push(action);
    }

    pub(super) fn wrote(&mut self, answers: &[WriteAnswer], actions: &mut Vec<Action>) -> Result<(), Stop> {
        if !self.is_at(Stage::Cells) {
            return Ok(());
        }
        let Some(mut under_way) = self.flush.take() else { return Ok(()) };
        for (write, answer) in under_way.flush.cells.iter().zip(answers) {
            match answer {
                WriteAnswer::Refused(theirs) => self.adopt(&write.key, theirs)?,
                WriteAnswer::Stored => self.cells.stored(&write.key),
            }
        }
        under_way.stages.remove(0);
        self.flush = Some(under_way);
        self.repeat_flush_step(actions);
        Ok(())
    }

    /// A store that is ahead has a checkpoint above this one: what this flush says is true there as well.
    pub(super) fn checkpoint_wrote(&mut self, actions: &mut Vec<Action>) {
        self.step_done(Stage::Checkpoint, actions);
    }

    pub(super) fn state_saved(&mut self, actions: &mut Vec<Action>) {
        self.step_done(Stage::State, actions);
    }

    pub(super) fn committed(&mut self, committed: Committed, actions: &mut Vec<Action>) -> Result<(), Stop> {
        if !self.is_at(Stage::All) {
            return Ok(());
        }
        match committed {
            Committed::Durable => {
                let Some(under_way) = &self.flush else { return Ok(()) };
                for write in &under_way.flush.cells {
                    self.cells.stored(&write.key);
                }
                self.step_done(Stage::All, actions);
            }
            Committed::Refused { checkpoint: Some(theirs), .. } => {
                let ours = self.flush.as_ref().map_or(self.durable, |under_way| under_way.flush.checkpoint.position);
                return Err(Stop::StoreAhead { ours, theirs: theirs.position });
            }
            Committed::Refused { cells, checkpoint: None } => {
                let Some(mut under_way) = self.flush.take() else { return Ok(()) };
                for (index, theirs) in &cells {
                    if let Some(write) = under_way.flush.cells.get(*index) {
                        self.adopt(&write.key, theirs)?;
                    }
                }
                let mut index = 0;
                under_way.flush.cells.retain(|_| {
                    index += 1;
                    !cells.iter().any(|(refused, _)| *refused + 1 == index)
                });
                self.flush = Some(under_way);
                self.repeat_flush_step(actions);
            }
        }
        Ok(())
    }

    fn adopt(&mut self, key: &schemas::cell::CellKey, theirs: &StoredCell) -> Result<(), Stop> {
        let keep_h = self.rules.breakage.is(Break::AdoptWithoutH);
        let adopted = self.cells.refused(key, theirs, keep_h);
        adopted.map_err(|why| Stop::Cell { key: Box::new(key.clone()), why })
    }

    fn is_at(&self, stage: Stage) -> bool {
        self.flush.as_ref().is_some_and(|under_way| under_way.stages.first() == Some(&stage))
    }

    fn step_done(&mut self, stage: Stage, actions: &mut Vec<Action>) {
        if self.is_at(stage)
            && let Some(under_way) = &mut self.flush
        {
            under_way.stages.remove(0);
            self.repeat_flush_step(actions);
        }
    }

    fn end_flush(&mut self, actions: &mut Vec<Action>) {
        if let Some(under_way) = self.flush.take() {
            self.durable = self.durable.max(under_way.flush.checkpoint.position);
            self.saved = under_way.flush.state.position;
            if self.rules.breakage.is(Break::DedupeEvicted) {
                self.state.forget_older_half();
            }
        }
        self.snapshot(actions);
    }

    /// A snapshot is a copy of the saved state, taken while nothing writes to it.
    pub(super) fn snapshot(&mut self, actions: &mut Vec<Action>) {
        if self.snapshot_due && self.flush.is_none() {
            self.snapshot_due = false;
            if self.saved > 0 {
                actions.push(Action::Snapshot { position: self.saved });
            }
        }
    }
}
