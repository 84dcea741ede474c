//! What the state knows of stand-in experiments: the definitions in force and the subjects.
//!
//! Always true here: an experiment is in force when the newest version of its definition says one; subjects are found
//! by the key of their row, which holds no record's bytes.

use bytes::Bytes;
use hashbrown::HashMap;
use schemas::cell::CellKind;
use schemas::id::{Environment, push_part};

use super::rows::{DefinitionKey, TAG_SUBJECT};
use crate::stand_in::{Experiment, Experiments, Subject};

/// Definitions in force and subjects.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    experiments: HashMap<Environment, Experiments>,
    subjects: HashMap<Bytes, Subject>,
}

impl StandIns {
    /// The definition of this key is in force from now on.
    pub(super) fn define(&mut self, key: &DefinitionKey, body: &[u8]) {
        if key.kind != CellKind::StandIn as u8 {
            return;
        }
        let experiments = self.experiments.entry(key.environment.clone()).or_default();
        match Experiment::parse(body) {
            Some(experiment) => drop(experiments.insert(key.key.clone(), experiment)),
            None => drop(experiments.remove(&key.key)),
        }
    }

    /// The experiments of an environment.
    pub(super) fn experiments(&self, environment: &Environment) -> Option<&Experiments> {
        self.experiments.get(environment).filter(|experiments| !experiments.is_empty())
    }

    pub(super) fn subject(&self, row: &[u8]) -> Option<&Subject> {
        self.subjects.get(row)
    }

    pub(super) fn put(&mut self, row: Bytes, subject: Subject) {
        self.subjects.insert(row, subject);
    }

    /// The rows of all subjects, in no order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.subjects.iter().map(|(row, subject)| (row.clone(), subject.encode()))
    }
}

/// The key of a subject's row.
pub(crate) fn subject_row(environment: &Environment, experiment: &[u8], kind: &[u8], key: &[u8]) -> Bytes {
    let mut row = vec![TAG_SUBJECT];
    for part in [&environment.project, &environment.key, experiment, kind] {
        push_part(&mut row, part);
    }
    row.extend_from_slice(key);
    row.into()
}
