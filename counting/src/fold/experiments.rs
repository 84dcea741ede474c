//! A payload's exposures and conversions as changes of units and of the cells of experiments.
//!
//! Always true here: nothing is changed; a unit is taken out of the cells as it was before the record and put in as it
//! is after it, so a cell that ends as it was is not touched. What a row counts for is decided by the definition in
//! force at its record's offset. Rows act in the partition of their unit; what a unit is not needed for (events that
//! lack one, copies) is numbered in the home partition, which has every row once.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::cell::CellKind;
use schemas::event::COUNT_MAX;
use schemas::experiment::{EXPERIMENT, Experiment};
use schemas::fixed::MICROS_MAX;
use schemas::record::{ContextRow, ConversionRow, ExposureRow, Header, PayloadView};
use schemas::wire::record as wire;

use super::Rules;
use super::needs::Asker;
use super::payload::Gatherer;
use crate::cells::{Change, Slice, experiment_name};
use crate::held::{CellRef, NameRef};
use crate::join::{Differences, Pending, Plan, Story, Subject, Told, day_of};
use crate::state::{ExperimentId, Held, Running, State};

/// A unit that a record changes.
#[derive(Debug)]
pub(crate) struct UnitChange<'r> {
    pub(crate) experiment: ExperimentId,
    pub(crate) key: &'r [u8],
    pub(crate) bytes: Vec<u8>,
    /// It has met no variation, and is as if it had never been once the horizon is past this day.
    pub(crate) waits_until: Option<u32>,
}

/// The units and cells of one record, as far as it has been worked through.
struct Work<'r, 's> {
    state: &'s State,
    horizon_ms: i64,
    /// Each with what it said before the record.
    units: BTreeMap<(ExperimentId, &'r [u8]), (Subject, Story)>,
    cells: BTreeMap<ExperimentId, Differences>,
}

/// Of whom a row is.
enum Unit<'r> {
    /// Of a unit that acts in this partition.
    Here(&'r Bytes),
    /// Of one that acts in another.
    Elsewhere,
    /// It has no context of the kind.
    Lacking,
}

impl Rules {
    /// Nothing at or below this time takes part in experiments.
    pub(super) fn horizon_ms(&self, log_time_ms: i64) -> i64 {
        log_time_ms.saturating_sub(self.lateness_ms())
    }

    pub(super) fn lateness_ms(&self) -> i64 {
        i64::try_from(self.generation.clock.lateness_ms).unwrap_or(i64::MAX)
    }
}

impl<'r> Gatherer<'r, '_> {
    /// Works through a payload's exposures, then its conversions; `log_time_ms` is the running one, this record
    /// included.
    pub(super) fn experiments(&mut self, header: &Header, view: &'r PayloadView, log_time_ms: i64) {
        let Some(running) = self.state.running(self.environment) else { return };
        let horizon_ms = self.rules.horizon_ms(log_time_ms);
        let mut work = Work { state: self.state, horizon_ms, units: BTreeMap::new(), cells: BTreeMap::new() };
        for row in view.exposures() {
            let held = running.of_flag(row.flag).iter().filter_map(|id| Some((*id, self.state.held(*id)?)));
            held.for_each(|(id, held)| work.expose(id, held, view, &row));
        }
        for row in view.conversions() {
            let held = running.of_event(row.key).iter().filter_map(|id| Some((*id, self.state.held(*id)?)));
            held.for_each(|(id, held)| work.convert(id, held, header.home, view, &row));
        }
        self.draft.units = work.settle();
        self.experiment_cells(work.cells);
    }

    /// Numbers the rows of a copy.
    pub(super) fn experiments_again(&mut self, header: &Header, view: &'r PayloadView) {
        let Some(running) = self.state.running(self.environment).filter(|_| header.home) else { return };
        let mut cells: BTreeMap<ExperimentId, Differences> = BTreeMap::new();
        of_experiments(self.state, running, view, |id, _, time_ms| {
            cells.entry(id).or_default().day(day_of(time_ms)).counters.duplicate += 1;
        });
        self.experiment_cells(cells);
    }

    fn experiment_cells(&mut self, cells: BTreeMap<ExperimentId, Differences>) {
        for (id, differences) in cells {
            let Some(held) = self.state.held(id) else { continue };
            for ((slice, window), numbers) in differences.into_changes() {
                let name = experiment_name(&held.key, held.plan.experiment.iteration, slice);
                let (environment, name) = (self.environment, NameRef::Key(&name));
                let slot = self.slot(CellRef { kind: CellKind::Experiment, environment, name, window });
                self.draft.changes.push((slot, Change::Experiment(numbers)));
            }
        }
    }

    /// Whether a definition comes into force: one of an experiment that cannot be read, or that may not follow the one
    /// in force, changes nothing.
    pub(super) fn comes_into_force(&self, definition: &wire::Definition, log_time_ms: i64) -> bool {
        if definition.kind != EXPERIMENT {
            return true;
        }
        let Ok(next) = Experiment::decode(&definition.body) else { return false };
        let held = self.state.experiment(self.environment, &definition.key);
        held.is_none_or(|held| next.may_follow(held, log_time_ms).is_ok())
    }
}

impl<'r> Work<'r, '_> {
    fn expose(&mut self, id: ExperimentId, held: &Held, view: &'r PayloadView, row: &ExposureRow<'r>) {
        let plan = &held.plan;
        if !plan.exposes_at(row.time_ms) {
            return;
        }
        let Unit::Here(key) = unit_of(view.exposure_contexts(row), plan) else { return };
        let day = self.cells.entry(id).or_default().day(day_of(row.time_ms));
        if row.time_ms <= self.horizon_ms {
            day.counters.late += 1;
            return;
        }
        let arm = plan.experiment.arm_of(&row.variation).and_then(|arm| u8::try_from(arm).ok());
        let Some(arm) = arm else {
            day.counters.unknown_variation += 1;
            return;
        };
        day.arm(arm).exposures += 1;
        self.unit(id, held, key).expose(plan, arm, row.time_ms, plan.values_of(view));
    }

    fn convert(&mut self, id: ExperimentId, held: &Held, home: bool, view: &'r PayloadView, row: &ConversionRow<'r>) {
        let plan = &held.plan;
        let Told::Metrics { counts, lacks_value } = plan.conversion(row.key, row.time_ms, row.value.is_some()) else {
            return;
        };
        let unit = unit_of(view.conversion_contexts(row), plan);
        let day_number = day_of(row.time_ms);
        let day = self.cells.entry(id).or_default().day(day_number);
        let key = match unit {
            Unit::Here(key) => key,
            Unit::Elsewhere => return,
            Unit::Lacking => {
                day.counters.unit_mismatch += u64::from(home);
                return;
            }
        };
        if row.time_ms <= self.horizon_ms {
            day.counters.late += 1;
            return;
        }
        day.counters.without_value += u64::from(lacks_value);
        if counts.is_none() {
            return;
        }
        day.counters.clamped += u64::from(row.clamped);
        let value = row.value.filter(|_| plan.needs_value(counts)).map(|value| value.clamp(-MICROS_MAX, MICROS_MAX));
        let event = Pending { time_ms: row.time_ms, counts, value, sampling: row.sampling.min(COUNT_MAX) };
        let horizon_ms = self.horizon_ms;
        let unit = self.unit(id, held, key);
        if unit.has_room(plan, horizon_ms) {
            unit.convert(event);
        } else {
            self.cells.entry(id).or_default().day(day_number).counters.left_out += 1;
        }
    }

    /// A unit as far as it has been worked on.
    fn unit(&mut self, id: ExperimentId, held: &Held, key: &'r Bytes) -> &mut Subject {
        let kept = || {
            let kept = held.unit(key).unwrap_or_default();
            let said = kept.says(&held.plan);
            (kept, said)
        };
        &mut self.units.entry((id, &key[..])).or_insert_with(kept).0
    }

    /// Puts the units into the cells as they are now, and gives up what need not be kept of them.
    fn settle(&mut self) -> Vec<UnitChange<'r>> {
        let mut changes = Vec::with_capacity(self.units.len());
        for ((experiment, key), (mut subject, said)) in std::mem::take(&mut self.units) {
            let Some(held) = self.state.held(experiment) else { continue };
            self.cells.entry(experiment).or_default().book(&held.plan, &said, &subject.says(&held.plan));
            subject.sift(&held.plan, self.horizon_ms);
            let (bytes, waits_until) = (subject.encode(&held.plan), subject.waits_until());
            changes.push(UnitChange { experiment, key, bytes, waits_until });
        }
        changes
    }
}

impl<'r> Asker<'r> {
    /// The day of each row; where a row changes other days or dimensions too, `step` says so.
    pub(super) fn experiments(&mut self, environment: &'r schemas::id::Environment, view: &'r PayloadView) {
        let state = self.state;
        let Some(running) = state.running(environment) else { return };
        let mut last = None;
        of_experiments(state, running, view, |id, held, time_ms| {
            let window = day_of(time_ms);
            if last.replace((id, window)) != Some((id, window)) {
                let name = experiment_name(&held.key, held.plan.experiment.iteration, Slice::All);
                let name = NameRef::Key(&name);
                self.ask_made(CellRef { kind: CellKind::Experiment, environment, name, window });
            }
        });
    }
}

/// Every exposure and conversion of an experiment that lies within its times, whoever's it is.
fn of_experiments<'s>(
    state: &'s State,
    running: &Running,
    view: &PayloadView,
    mut hear: impl FnMut(ExperimentId, &'s Held, i64),
) {
    for row in view.exposures() {
        for id in running.of_flag(row.flag) {
            if let Some(held) = state.held(*id).filter(|held| held.plan.exposes_at(row.time_ms)) {
                hear(*id, held, row.time_ms);
            }
        }
    }
    for row in view.conversions() {
        for id in running.of_event(row.key) {
            let told = |held: &&Held| held.plan.conversion(row.key, row.time_ms, true) != Told::Nothing;
            if let Some(held) = state.held(*id).filter(told) {
                hear(*id, held, row.time_ms);
            }
        }
    }
}

/// Of whom a row is: of the first context of the experiment's kind that acts here.
fn unit_of<'r>(contexts: impl Iterator<Item = ContextRow<'r>>, plan: &Plan) -> Unit<'r> {
    let mut unit = Unit::Lacking;
    for context in contexts.filter(|context| context.kind.as_ref() == plan.experiment.unit_kind.as_bytes()) {
        match context.key {
            Some(key) => return Unit::Here(key),
            None => unit = Unit::Elsewhere,
        }
    }
    unit
}
