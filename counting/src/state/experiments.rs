//! What the state knows of experiments: the definitions in force, and the units of each.
//!
//! Always true here: of an experiment one iteration is in force, the newest that was taken; units of an iteration that
//! is over, or that another has followed, are gone, from memory at once and from what is saved with the next flush; so
//! are units that have met no variation, once none of their events can count. Units are kept as bytes. They are looked
//! into by key, and walked in order of key when they go.

use std::collections::BTreeMap;

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use schemas::experiment::Experiment;
use schemas::id::Environment;

use super::rows;
use crate::fold::UnitChange;
use crate::join::{Plan, Subject, day_of};

/// Which experiment of this state; it means nothing to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ExperimentId(u32);

/// A unit: of which experiment, and its key.
type UnitOf = (ExperimentId, Box<[u8]>);

/// All experiments of a partition.
#[derive(Debug)]
pub(super) struct Experiments {
    held: Vec<Held>,
    running: HashMap<Environment, Running>,
    /// Units that changed since the last flush, each once.
    changed: Vec<UnitOf>,
    /// Rows of units that are gone since the last flush.
    gone: Vec<Bytes>,
    /// No iteration is over before the horizon reaches this time.
    next_end_ms: i64,
    /// Units that have met no variation, by the last day whose events they wait for.
    waiting: BTreeMap<u32, Vec<UnitOf>>,
}

/// An experiment: its definition in force and its units.
#[derive(Debug)]
pub(crate) struct Held {
    environment: Environment,
    pub(crate) key: Bytes,
    pub(crate) plan: Plan,
    units: HashMap<Box<[u8]>, Unit>,
    over: bool,
}

#[derive(Debug)]
struct Unit {
    bytes: Box<[u8]>,
    /// It is among those that changed.
    changed: bool,
    /// Where it is among those that wait.
    waits_until: Option<u32>,
}

/// The experiments of an environment by what their rows name, each list in order of key.
#[derive(Debug, Default)]
pub(crate) struct Running {
    by_flag: HashMap<Box<[u8]>, Vec<ExperimentId>>,
    by_event: HashMap<Box<[u8]>, Vec<ExperimentId>>,
}

impl Running {
    /// Those of this flag.
    pub(crate) fn of_flag(&self, flag: &[u8]) -> &[ExperimentId] {
        self.by_flag.get(flag).map_or(&[], Vec::as_slice)
    }

    /// Those with a metric that this event counts for.
    pub(crate) fn of_event(&self, event: &[u8]) -> &[ExperimentId] {
        self.by_event.get(event).map_or(&[], Vec::as_slice)
    }
}

impl Held {
    /// A unit as it is kept.
    pub(crate) fn unit(&self, key: &[u8]) -> Option<Subject> {
        Subject::decode(&self.plan, &self.units.get(key)?.bytes)
    }

    fn row(&self, unit: &[u8]) -> Bytes {
        rows::unit_key(&self.environment, &self.key, self.plan.experiment.iteration, unit)
    }

    /// The rows of all units, which are no more.
    fn let_go(&mut self) -> Vec<Bytes> {
        let units = std::mem::take(&mut self.units);
        let mut rows: Vec<Bytes> = units.keys().map(|unit| self.row(unit)).collect();
        rows.sort_unstable();
        rows
    }
}

impl Default for Experiments {
    fn default() -> Self {
        let (held, running, changed, gone, waiting) = Default::default();
        Self { held, running, changed, gone, next_end_ms: i64::MAX, waiting }
    }
}

impl Experiments {
    pub(super) fn running(&self, environment: &Environment) -> Option<&Running> {
        self.running.get(environment)
    }

    pub(super) fn held(&self, id: ExperimentId) -> Option<&Held> {
        self.held.get(id.0 as usize)
    }

    pub(super) fn of_key(&self, environment: &Environment, key: &[u8]) -> Option<&Held> {
        self.held.iter().find(|held| held.key == key && held.environment == *environment)
    }

    /// The definition is in force from now on; no unit crosses from another iteration.
    pub(super) fn define(&mut self, environment: &Environment, key: &Bytes, experiment: Experiment) {
        let plan = Plan::new(experiment);
        let is_it = |held: &&mut Held| held.key == *key && held.environment == *environment;
        match self.held.iter_mut().find(is_it) {
            Some(held) => {
                if held.plan.experiment.iteration != plan.experiment.iteration {
                    self.gone.extend(held.let_go());
                    held.over = false;
                }
                held.plan = plan;
            }
            None => {
                let (environment, key) = (environment.clone(), key.clone());
                self.held.push(Held { environment, key, plan, units: HashMap::new(), over: false });
            }
        }
        self.running.insert(environment.clone(), self.index(environment));
        self.next_end();
    }

    fn index(&self, environment: &Environment) -> Running {
        let mut own: Vec<(&Bytes, ExperimentId, &Plan)> = (0..)
            .zip(&self.held)
            .filter(|(_, held)| held.environment == *environment)
            .map(|(place, held)| (&held.key, ExperimentId(place), &held.plan))
            .collect();
        own.sort_by_key(|(key, ..)| *key);
        let mut running = Running::default();
        for (_, id, plan) in own {
            let flag = plan.experiment.flag.as_bytes().into();
            running.by_flag.entry(flag).or_default().push(id);
            let events: HashSet<&str> = plan.events().collect();
            for event in events {
                running.by_event.entry(event.as_bytes().into()).or_default().push(id);
            }
        }
        running
    }

    fn next_end(&mut self) {
        let ends = self.held.iter().filter(|held| !held.over).map(|held| held.plan.latest_ms());
        self.next_end_ms = ends.min().unwrap_or(i64::MAX);
    }

    /// Nothing at or below the horizon takes part any more: units of what is over by then go, and those that waited in
    /// vain.
    pub(super) fn forget(&mut self, horizon_ms: i64) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() < day_of(horizon_ms)) {
            let (day, units) = entry.remove_entry();
            for (id, key) in units {
                let Some(held) = self.held.get_mut(id.0 as usize) else { continue };
                if held.units.get(&key).is_some_and(|unit| unit.waits_until == Some(day)) {
                    held.units.remove(&key);
                    self.gone.push(held.row(&key));
                }
            }
        }
        if horizon_ms < self.next_end_ms {
            return;
        }
        for held in self.held.iter_mut().filter(|held| !held.over && held.plan.latest_ms() <= horizon_ms) {
            held.over = true;
            self.gone.extend(held.let_go());
        }
        self.next_end();
    }

    pub(super) fn put(&mut self, unit: UnitChange<'_>) {
        let UnitChange { experiment: id, key, bytes, waits_until } = unit;
        let Some(held) = self.held.get_mut(id.0 as usize) else { return };
        let unit = Unit { bytes: bytes.into_boxed_slice(), changed: true, waits_until };
        let before = match held.units.get_mut(key) {
            Some(kept) => Some(std::mem::replace(kept, unit)),
            None => held.units.insert(key.into(), unit),
        };
        if !before.as_ref().is_some_and(|before| before.changed) {
            self.changed.push((id, key.into()));
        }
        let waited_until = before.and_then(|before| before.waits_until);
        if let Some(day) = waits_until.filter(|_| waits_until != waited_until) {
            self.waiting.entry(day).or_default().push((id, key.into()));
        }
    }

    /// Takes in a saved unit; `false` = it is none of an experiment in force.
    pub(super) fn load(&mut self, row: rows::UnitRow) -> bool {
        let rows::UnitRow { environment, experiment, iteration, key, bytes } = row;
        let is_it = |held: &Held| held.key == experiment && held.environment == environment;
        let Some(place) = self.held.iter().position(is_it) else { return false };
        let held = self.held.get_mut(place).filter(|held| held.plan.experiment.iteration == iteration);
        let Some(held) = held else { return false };
        let Some(subject) = Subject::decode(&held.plan, &bytes) else { return false };
        let waits_until = subject.waits_until();
        if let Some(day) = waits_until {
            let id = ExperimentId(u32::try_from(place).unwrap_or(u32::MAX));
            self.waiting.entry(day).or_default().push((id, key[..].into()));
        }
        held.units.insert(key[..].into(), Unit { bytes: bytes[..].into(), changed: false, waits_until });
        true
    }

    /// What is to be put and removed since the last call; nothing is in both.
    pub(super) fn changes(&mut self) -> (Vec<(Bytes, Bytes)>, Vec<Bytes>) {
        let mut put = Vec::with_capacity(self.changed.len());
        for (id, key) in std::mem::take(&mut self.changed) {
            let Some(held) = self.held.get_mut(id.0 as usize) else { continue };
            let row = held.row(&key);
            let unit = held.units.get_mut(&key).filter(|unit| unit.changed);
            if let Some(unit) = unit {
                unit.changed = false;
                put.push((row, Bytes::copy_from_slice(&unit.bytes)));
            }
        }
        // A unit that went and came again is put.
        let mut gone = std::mem::take(&mut self.gone);
        if !gone.is_empty() {
            let again: HashSet<&Bytes> = put.iter().map(|(row, _)| row).collect();
            gone.retain(|row| !again.contains(row));
        }
        (put, gone)
    }

    /// How many units are kept.
    pub(super) fn units(&self) -> usize {
        self.held.iter().map(|held| held.units.len()).sum()
    }

    /// The rows of all units, in no order.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn rows(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let of = |held: &Held| -> Vec<(Bytes, Bytes)> {
            held.units.iter().map(|(key, unit)| (held.row(key), Bytes::copy_from_slice(&unit.bytes))).collect()
        };
        self.held.iter().flat_map(of)
    }
}
