//! Where reading begins, or why it cannot.
//!
//! Always true here: it begins at the position of the state, at or below the checkpoint; without a state only the empty
//! one at offset 0 serves, and only while the log is held from there.

use schemas::stored::Checkpoint;

use super::{Action, Assigned, Phase, Stop, Worker};
use crate::breakage::{Break, Breakage};
use crate::state::State;

impl Worker {
    pub(super) fn begin(&mut self, assigned: &Assigned, actions: &mut Vec<Action>) -> Result<(), Stop> {
        let dedupe_records = self.settings.generation.dedupe_records;
        let state = match &assigned.state {
            Some(saved) => State::load(saved, dedupe_records)?,
            None => self.empty_state(assigned),
        };
        let mut position = state.position();
        check(position, assigned, &self.rules.breakage)?;
        if self.rules.breakage.is(Break::BeginAtCheckpoint) {
            position = assigned.checkpoint.map_or(position, |checkpoint| checkpoint.position);
        }
        self.durable = assigned.checkpoint.map_or(0, |checkpoint| checkpoint.position);
        self.first_fingerprint = assigned.checkpoint.map_or(0, |checkpoint| checkpoint.fingerprint);
        self.saved = position;
        self.taken = position;
        self.state = state;
        self.phase = Phase::Running;
        actions.push(Action::Begin { position });
        Ok(())
    }

    /// The empty state, at offset 0.
    fn empty_state(&self, assigned: &Assigned) -> State {
        let dedupe_records = self.settings.generation.dedupe_records;
        let mut state = State::empty(dedupe_records);
        match assigned.checkpoint {
            None if self.rules.breakage.is(Break::StartAtLatest) => state.reach(assigned.log.to),
            Some(checkpoint) if self.rules.breakage.is(Break::BeginWithoutState) => {
                state.reach(checkpoint.position.saturating_sub(dedupe_records));
            }
            _ => {}
        }
        state
    }
}

fn check(position: u64, assigned: &Assigned, breakage: &Breakage) -> Result<(), Stop> {
    let none = Checkpoint { position: 0, definition_version: 0, fingerprint: 0, log_time_ms: 0 };
    let checkpoint = assigned.checkpoint.unwrap_or(none);
    let log = assigned.log;
    let is_believed = breakage.is(Break::StartAtLatest) || breakage.is(Break::StateAheadUnchecked);
    if position > checkpoint.position && !is_believed {
        return Err(Stop::StateAhead { state: position, checkpoint: checkpoint.position });
    }
    let any_position = breakage.is(Break::BeyondEndUnchecked);
    for (what, position) in [("the checkpoint", checkpoint.position), ("the saved state", position)] {
        if position > log.to && !any_position {
            return Err(Stop::BeyondEnd { what, position, end: log.to });
        }
    }
    if let Some(before) = &assigned.before_checkpoint
        && before.offset.saturating_add(1) == checkpoint.position
    {
        let (expected, found) = (checkpoint.fingerprint, before.fingerprint());
        if expected != found && !breakage.is(Break::NoFingerprint) {
            return Err(Stop::OtherLog { position: checkpoint.position, expected, found });
        }
    }
    if position < log.from && !breakage.is(Break::OverrunUnchecked) {
        return Err(Stop::Overrun { position, held_from: log.from, missing: log.from - position });
    }
    Ok(())
}
