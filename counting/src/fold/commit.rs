//! What a record changes, and how it is applied.
//!
//! Always true here: a commit is whole before it is applied; applying it cannot fail, panic or stop half-way, and a
//! cell that has the record already is left as it is.

use bytes::Bytes;
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::record::RecordId;

use super::experiments::UnitChange;
use super::prepare::Record;
use crate::breakage::Breakage;
use crate::cells::Change;
use crate::held::Cells;
use crate::state::{DefinitionSeen, NameSeen, State};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was folded.
    Folded,
    /// A copy of it lies within the last N records.
    Duplicate,
    /// The fold failed on it.
    Poison,
}

/// A record that was passed without being folded, to be kept with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its offset.
    pub offset: u64,
    /// Why it was not folded.
    pub reason: String,
    /// Its header, as it lies in the log.
    pub header: Bytes,
    /// Its body, as it lies in the log.
    pub body: Bytes,
}

impl DeadLetter {
    pub(super) fn new(record: &Record, reason: String) -> Self {
        let logged = &record.logged;
        Self { offset: logged.offset, reason, header: logged.header.clone(), body: logged.body.clone() }
    }
}

/// What a record changes.
#[derive(Debug)]
pub struct Commit<'r> {
    pub(crate) offset: u64,
    pub(crate) outcome: Outcome,
    pub(crate) id: Option<RecordId>,
    pub(crate) log_time_ms: Option<i64>,
    pub(crate) environment: Option<&'r Environment>,
    pub(crate) changes: Vec<(u32, Change<'r>)>,
    pub(crate) names: Vec<NameSeen<'r>>,
    pub(crate) definition: Option<DefinitionSeen<'r>>,
    pub(crate) units: Vec<UnitChange<'r>>,
    pub(crate) lateness_ms: i64,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) subjects: Vec<(Bytes, crate::stand_in::Subject)>,
    pub(crate) dead_letter: Option<DeadLetter>,
}

impl Commit<'_> {
    /// The record's offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What became of the record.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The record's bytes and the reason, when the fold failed on it.
    #[must_use]
    pub fn dead_letter(&self) -> Option<&DeadLetter> {
        self.dead_letter.as_ref()
    }

    /// Applies the commit to the cells and the state. The cells must be those that the step was taken with.
    pub fn apply(self, state: &mut State, cells: &mut Cells, limits: &FoldLimits) -> Option<DeadLetter> {
        cells.commit(self.offset, &self.changes, limits, false);
        self.apply_to_state(state, &Breakage::default())
    }

    /// The part of [`Self::apply`] that is the state's.
    pub(crate) fn apply_to_state(self, state: &mut State, breakage: &Breakage) -> Option<DeadLetter> {
        if let Some(environment) = self.environment {
            self.names.iter().for_each(|name| state.see(environment, *name));
        }
        if let Some(seen) = self.definition {
            state.define(seen, breakage);
        }
        self.units.into_iter().for_each(|unit| state.put_unit(unit));
        #[cfg(any(test, feature = "testing"))]
        for (row, subject) in self.subjects {
            state.put_subject(row, subject);
        }
        state.pass(self.offset, self.id, self.log_time_ms);
        state.forget_units(state.log_time_ms().saturating_sub(self.lateness_ms));
        self.dead_letter
    }
}
