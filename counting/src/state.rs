//! A partition's state in memory: what the fold must know of the records before the next one, beside the cells.
//!
//! Always true here: all records below `position` are in it and no others; it changes only by a whole commit; what
//! [`State::changes`] hands out turns the rows saved before into the state as it stands at that moment, so whoever
//! saves them in order has at every time the state as it was at one position. The maps are looked into and never
//! walked.

mod experiments;
mod names;
mod remembered;
mod rows;
#[cfg(any(test, feature = "testing"))]
mod stand_ins;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use hashbrown::HashMap;
use schemas::experiment::{EXPERIMENT, Experiment};
use schemas::id::Environment;
use schemas::record::RecordId;
use schemas::stored::{SavedState, StateChanges};

use crate::breakage::{Break, Breakage};
use crate::fold::UnitChange;

pub(crate) use experiments::{ExperimentId, Held, Running};
pub use names::NameKind;
use names::Names;
pub(crate) use names::{NameSeen, Seen, copy_environment};
pub(crate) use remembered::RECORDS_MAX;
use remembered::Remembered;
pub(crate) use rows::DefinitionKey;
use rows::Row;
#[cfg(any(test, feature = "testing"))]
pub(crate) use stand_ins::subject_row;

/// Why saved rows are no state that this build can go on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another form.
    #[error("saved state has form {0}, this build reads form {form}; remove it to begin from a snapshot, or use the build that wrote it", form = rows::FORM)]
    Form(u8),
    /// A row that is none.
    #[error("saved state has a row with key {key:02x?} that cannot be read; remove the state to begin from a snapshot")]
    Row {
        /// Its key.
        key: Vec<u8>,
    },
    /// Rows without the first one.
    #[error("saved state at position {0} has no head; remove it to begin from a snapshot")]
    NoHead(u64),
    /// An id from after the state's position.
    #[error(
        "saved state at position {position} remembers a record at offset {offset}; remove it to begin from a snapshot"
    )]
    Ahead {
        /// The state's position.
        position: u64,
        /// The id's offset.
        offset: u64,
    },
}

/// The newest version of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefinitionHeld {
    pub(crate) version: u64,
    /// Of an experiment it has been read already; of others nothing that is folded depends on it.
    #[allow(dead_code)]
    pub(crate) body: Bytes,
}

/// A version of a definition that a record tells.
#[derive(Debug)]
pub(crate) struct DefinitionSeen<'r> {
    pub(crate) key: DefinitionKey,
    pub(crate) version: u64,
    pub(crate) body: &'r Bytes,
    /// Else it is passed, and the one before stays.
    pub(crate) in_force: bool,
}

/// A partition's state.
#[derive(Debug)]
pub struct State {
    position: u64,
    log_time_ms: i64,
    definition_version: u64,
    remembered: Remembered,
    names: Names,
    definitions: HashMap<DefinitionKey, DefinitionHeld>,
    experiments: experiments::Experiments,
    #[cfg(any(test, feature = "testing"))]
    stand_ins: stand_ins::StandIns,
    put: Vec<(Bytes, Bytes)>,
}

impl State {
    /// The empty state at position 0, with a memory of `dedupe_records` records.
    #[must_use]
    pub fn empty(dedupe_records: u64) -> Self {
        Self {
            position: 0,
            log_time_ms: 0,
            definition_version: 0,
            remembered: Remembered::new(dedupe_records),
            names: Names::default(),
            definitions: HashMap::new(),
            experiments: experiments::Experiments::default(),
            #[cfg(any(test, feature = "testing"))]
            stand_ins: stand_ins::StandIns::default(),
            put: Vec::new(),
        }
    }

    /// The state that was saved.
    ///
    /// # Errors
    /// [`StateError`] when the rows are none.
    pub fn load(saved: &SavedState, dedupe_records: u64) -> Result<Self, StateError> {
        let mut state = Self::empty(dedupe_records);
        let mut head = false;
        for (key, value) in &saved.rows {
            match rows::read(key, value)? {
                Row::Head { log_time_ms, definition_version } => {
                    (state.log_time_ms, state.definition_version) = (log_time_ms, definition_version);
                    head = true;
                }
                Row::Id(offset, _) if offset >= saved.position => {
                    return Err(StateError::Ahead { position: saved.position, offset });
                }
                Row::Id(offset, id) => state.remembered.push(offset, Some(id)),
                Row::Name(environment, kind, name, client_side) => {
                    state.names.add(&environment, NameSeen { kind, name: &name, client_side });
                }
                Row::Definition(key, version, body) => state.hold(key, version, body),
                Row::Unit(unit) => {
                    let known = state.experiments.load(unit);
                    known.then_some(()).ok_or_else(|| StateError::Row { key: key.to_vec() })?;
                }
                #[cfg(any(test, feature = "testing"))]
                Row::Subject(subject) => state.stand_ins.put(key.clone(), subject),
            }
            state.remembered.all_saved();
        }
        if saved.position > 0 && !head {
            return Err(StateError::NoHead(saved.position));
        }
        state.reach(saved.position);
        Ok(state)
    }

    /// Everything below `position` is passed, and nothing of it is to be saved.
    pub(crate) fn reach(&mut self, position: u64) {
        self.remembered.reach(position);
        self.remembered.all_saved();
        self.position = position;
    }

    /// All records below this offset are in the state.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The running log time: the maximum so far of min(append time, receive time + 5 min), Unix milliseconds.
    #[must_use]
    pub fn log_time_ms(&self) -> i64 {
        self.log_time_ms
    }

    /// The highest definition version folded; 0 = none.
    #[must_use]
    pub fn definition_version(&self) -> u64 {
        self.definition_version
    }

    /// How many ids are remembered, and the offset of the oldest record in the window: its age is the dedupe window's.
    #[must_use]
    pub fn remembered(&self) -> (usize, u64) {
        (self.remembered.len(), self.remembered.oldest())
    }

    /// Whether an earlier copy of this id lies within the last N records before `offset`.
    #[must_use]
    pub fn knows(&self, id: &RecordId, offset: u64) -> bool {
        self.remembered.contains(id, offset)
    }

    pub(crate) fn seen(&self, environment: &Environment) -> Option<&Seen> {
        self.names.environment(environment)
    }

    pub(crate) fn definition(&self, key: &DefinitionKey) -> Option<&DefinitionHeld> {
        self.definitions.get(key)
    }

    /// The record at `offset` is folded; `id` is what is remembered of it.
    pub(crate) fn pass(&mut self, offset: u64, id: Option<RecordId>, log_time_ms: Option<i64>) {
        self.remembered.push(offset, id);
        self.position = offset.saturating_add(1);
        self.log_time_ms = self.log_time_ms.max(log_time_ms.unwrap_or(i64::MIN));
    }

    pub(crate) fn see(&mut self, environment: &Environment, seen: NameSeen<'_>) {
        if self.names.add(environment, seen) {
            self.put.push(rows::name(environment, seen));
        }
    }

    pub(crate) fn define(&mut self, seen: DefinitionSeen<'_>, breakage: &Breakage) {
        let DefinitionSeen { key, version, body, in_force } = seen;
        self.definition_version = self.definition_version.max(version);
        let is_older = self.definition(&key).is_some_and(|held| held.version >= version);
        if !in_force || is_older && !breakage.is(Break::DefinitionByArrival) {
            return;
        }
        self.put.push(rows::definition(&key, version, body));
        self.hold(key, version, Bytes::copy_from_slice(body));
    }

    fn hold(&mut self, key: DefinitionKey, version: u64, body: Bytes) {
        #[cfg(any(test, feature = "testing"))]
        self.stand_ins.define(&key, &body);
        if u32::from(key.kind) == EXPERIMENT
            && let Ok(experiment) = Experiment::decode(&body)
        {
            self.experiments.define(&key.environment, &key.key, experiment);
        }
        self.definitions.insert(key, DefinitionHeld { version, body });
    }

    /// The experiments in force in an environment.
    pub(crate) fn running(&self, environment: &Environment) -> Option<&Running> {
        self.experiments.running(environment)
    }

    /// An experiment and its units.
    pub(crate) fn held(&self, id: ExperimentId) -> Option<&Held> {
        self.experiments.held(id)
    }

    /// The definition in force of an experiment.
    pub(crate) fn experiment(&self, environment: &Environment, key: &[u8]) -> Option<&Experiment> {
        self.experiments.of_key(environment, key).map(|held| &held.plan.experiment)
    }

    pub(crate) fn put_unit(&mut self, unit: UnitChange<'_>) {
        self.experiments.put(unit);
    }

    /// Nothing at or below the horizon takes part in experiments any more.
    pub(crate) fn forget_units(&mut self, horizon_ms: i64) {
        self.experiments.forget(horizon_ms);
    }

    /// How many units of experiments are kept.
    #[must_use]
    pub fn units(&self) -> usize {
        self.experiments.units()
    }

    /// Half of the window is forgotten, the older one; what is saved of it stays saved.
    pub(crate) fn forget_older_half(&mut self) {
        self.remembered.forget_older_half();
    }

    /// Hands out what changed since the last call: with these rows put and removed, what was saved is the state as it
    /// stands now.
    pub fn changes(&mut self) -> StateChanges {
        self.changes_with(&Breakage::default())
    }

    pub(crate) fn changes_with(&mut self, breakage: &Breakage) -> StateChanges {
        let ids = self.remembered.changes();
        let mut put = std::mem::take(&mut self.put);
        if breakage.is(Break::NamesNotInState) {
            put.retain(|(key, _)| !rows::is_name(key));
        }
        if breakage.is(Break::ClientSideNotInState) {
            put.iter_mut().filter(|(key, _)| rows::is_name(key)).for_each(|(_, mark)| mark.clear());
        }
        if !breakage.is(Break::DedupeNotInState) {
            put.extend(ids.put.iter().map(|(offset, id)| (rows::id_key(*offset), Bytes::copy_from_slice(&id.0))));
        }
        let log_time_ms = if breakage.is(Break::LogTimeNotInState) { 0 } else { self.log_time_ms };
        put.push(rows::head(log_time_ms, self.definition_version));
        let (units, gone) = self.experiments.changes();
        put.extend(units);
        let remove = ids.remove.into_iter().map(rows::id_key).chain(gone).collect();
        StateChanges { put, remove, position: self.position }
    }
}

#[cfg(any(test, feature = "testing"))]
impl State {
    /// The stand-in experiments in force in an environment.
    pub(crate) fn stand_in_experiments(&self, environment: &Environment) -> Option<&crate::stand_in::Experiments> {
        self.stand_ins.experiments(environment)
    }

    /// A subject by the key of its row.
    pub(crate) fn subject(&self, row: &[u8]) -> Option<&crate::stand_in::Subject> {
        self.stand_ins.subject(row)
    }

    pub(crate) fn put_subject(&mut self, row: Bytes, subject: crate::stand_in::Subject) {
        self.put.push((row.clone(), subject.encode()));
        self.stand_ins.put(row, subject);
    }

    /// All rows of the state as it is in memory, saved or not, in order of key.
    pub(crate) fn in_memory(&self) -> SavedState {
        let mut all: Vec<(Bytes, Bytes)> = self.names.rows();
        all.push(rows::head(self.log_time_ms, self.definition_version));
        all.extend(self.remembered.ids().map(|(offset, id)| (rows::id_key(offset), Bytes::copy_from_slice(&id.0))));
        all.extend(self.definitions.iter().map(|(key, held)| rows::definition(key, held.version, &held.body)));
        all.extend(self.experiments.rows());
        all.extend(self.stand_ins.rows());
        all.sort_unstable();
        SavedState { position: self.position, rows: all }
    }
}
