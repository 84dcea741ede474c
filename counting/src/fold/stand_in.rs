//! A payload's exposures and conversions as changes of subjects and of the cells of stand-in experiments.
//!
//! Always true here: nothing is changed; rows of one record that touch one subject build on one another, and what they
//! change of a cell is one change, so that a cell which ends as it was is not touched. What a row counts for is decided
//! by the definition in force at its record's offset.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use schemas::cell::{CellKind, STAND_IN};
use schemas::id::Environment;
use schemas::record::{ContextRow, PayloadView, StoredVariation};

use super::Rules;
use super::payload::{Gatherer, Refusal, is_custom};
use crate::breakage::Break;
use crate::cells::{Change, StandInChange};
use crate::held::{CellRef, NameRef};
use crate::stand_in::{Experiment, Experiments, NO_VALUE, Subject, day_of};
use crate::state::{State, subject_row};

/// A row that concerns an experiment.
pub(super) struct Concern<'r, 's> {
    pub(super) experiment: &'s Bytes,
    definition: &'s Experiment,
    subject: &'r Bytes,
    pub(super) time_ms: i64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// To this variation.
    Exposure(u32),
    /// Of this many millionths, before the factor.
    Conversion(i128),
}

/// The subjects and cells of one record, as far as it has been worked through.
#[derive(Default)]
struct Worked {
    subjects: BTreeMap<Bytes, Subject>,
    cells: BTreeMap<(Bytes, u32), StandInChange>,
}

impl Rules {
    /// The experiments in force in an environment.
    pub(super) fn experiments<'s>(&self, state: &'s State, environment: &Environment) -> Option<Cow<'s, Experiments>> {
        if self.breakage.is(Break::DefinitionFromConfiguration) {
            return Some(Cow::Owned(self.configured(environment)));
        }
        state.stand_in_experiments(environment).map(Cow::Borrowed)
    }

    fn configured(&self, environment: &Environment) -> Experiments {
        let mut configured = self.breakage.configured.lock().unwrap_or_else(PoisonError::into_inner).clone();
        configured.retain(|definition| {
            definition.kind == STAND_IN
                && definition.project == environment.project
                && definition.environment == environment.key
        });
        configured.sort_by_key(|definition| definition.version);
        let mut experiments = Experiments::new();
        for definition in configured {
            match Experiment::parse(&definition.body) {
                Some(experiment) => drop(experiments.insert(definition.key, experiment)),
                None => drop(experiments.remove(&definition.key)),
            }
        }
        experiments
    }

    /// Whether a subject's row is as if it were not there.
    fn is_expired(&self, subject: &Subject, log_time_ms: i64) -> bool {
        let by_clock = self.breakage.is(Break::ExpireByWallClock);
        let now_ms = if by_clock { self.breakage.wall_ms.load(Ordering::Relaxed) } else { log_time_ms };
        let at_expiry = subject.expires_ms == now_ms && !self.breakage.is(Break::ExpiryOffByOne);
        subject.expires_ms < now_ms || at_expiry
    }
}

impl<'r> Gatherer<'r, '_> {
    /// Works through a payload's exposures, then its conversions; `log_time_ms` is the running one, this record
    /// included.
    pub(super) fn stand_ins(&mut self, view: &'r PayloadView, log_time_ms: i64) -> Result<(), Refusal> {
        let Some(experiments) = self.rules.experiments(self.state, self.environment) else { return Ok(()) };
        let mut worked = Worked::default();
        for concern in concerns(view, &experiments) {
            self.work(&mut worked, &concern, log_time_ms)?;
        }
        for ((experiment, day), change) in worked.cells {
            if !change.is_nothing() {
                let (environment, name) = (self.environment, NameRef::Key(&experiment));
                let slot = self.slot(CellRef { kind: CellKind::StandIn, environment, name, window: day });
                self.draft.changes.push((slot, Change::StandIn(change)));
            }
        }
        self.draft.subjects = worked.subjects.into_iter().collect();
        Ok(())
    }

    fn work(&self, worked: &mut Worked, concern: &Concern<'_, '_>, log_time_ms: i64) -> Result<(), Refusal> {
        let breakage = &self.rules.breakage;
        let Concern { experiment, definition, subject, time_ms, what } = concern;
        let Some(day) = day_of(*time_ms) else {
            return Err(Refusal::Poison(format!("an exposure or conversion lies at {time_ms} ms, on no day")));
        };
        let lateness_ms = i64::try_from(self.rules.generation.clock.lateness_ms).unwrap_or(i64::MAX);
        let horizon_ms = log_time_ms.saturating_sub(lateness_ms);
        let at_horizon = *time_ms == horizon_ms && !breakage.is(Break::HorizonOffByOne);
        if (*time_ms < horizon_ms || at_horizon) && !breakage.is(Break::NoHorizon) {
            worked.cells.entry(((*experiment).clone(), day)).or_default().late += 1;
            return Ok(());
        }
        let row = subject_row(self.environment, experiment, &definition.kind, subject);
        let kept = || self.state.subject(&row).filter(|kept| !self.rules.is_expired(kept, log_time_ms));
        let subject = worked.subjects.entry(row.clone()).or_insert_with(|| kept().cloned().unwrap_or_default());
        // Where the rule is broken the factor is not in the amounts but in what is told of them.
        let factor = i128::from(definition.factor);
        let (factor, scale) = if breakage.is(Break::OldUnderNewer) { (1, factor) } else { (factor, 1) };
        let old = subject.contribution(scale);
        subject.expires_ms = subject.expires_ms.max(definition.end_ms.saturating_add(lateness_ms));
        match what {
            What::Exposure(variation) => subject.expose(*variation, *time_ms),
            What::Conversion(amount) => subject.convert(*time_ms, amount.wrapping_mul(factor)),
        }
        if breakage.is(Break::OnlyEarliestKept) {
            subject.keep_earliest();
        }
        subject.compact(horizon_ms);
        let mut changes = subject.contribution(scale);
        for (day, old) in &old {
            changes.entry(*day).or_default().subtract(old);
        }
        if breakage.is(Break::LateOnOwnDay) {
            changes.retain(|changed, _| *changed == day);
        }
        for (day, change) in changes {
            worked.cells.entry(((*experiment).clone(), day)).or_default().add(&change);
        }
        Ok(())
    }
}

/// The rows that concern an experiment, in the order in which they are worked through: exposures, then conversions,
/// each with the experiments in order of key.
pub(super) fn concerns<'r, 's>(view: &'r PayloadView, experiments: &'s Experiments) -> Vec<Concern<'r, 's>> {
    let mut all = Vec::new();
    for row in view.exposures() {
        let StoredVariation::Index(variation) = row.variation else { continue };
        for (experiment, definition) in experiments.iter().filter(|(_, definition)| definition.flag == *row.flag) {
            let subject = subject_of(view.exposure_contexts(&row), definition);
            let what = What::Exposure(variation);
            all.extend(concern(experiment, definition, subject, row.time_ms, what));
        }
    }
    for row in view.conversions().filter(is_custom) {
        for (experiment, definition) in experiments.iter().filter(|(_, definition)| definition.event == *row.key) {
            let subject = subject_of(view.conversion_contexts(&row), definition);
            let value = i128::from(row.value.unwrap_or(NO_VALUE));
            let what = What::Conversion(value.wrapping_mul(i128::from(row.sampling)));
            all.extend(concern(experiment, definition, subject, row.time_ms, what));
        }
    }
    all
}

fn concern<'r, 's>(
    experiment: &'s Bytes,
    definition: &'s Experiment,
    subject: Option<&'r Bytes>,
    time_ms: i64,
    what: What,
) -> Option<Concern<'r, 's>> {
    let subject = subject.filter(|_| definition.runs_at(time_ms))?;
    Some(Concern { experiment, definition, subject, time_ms, what })
}

/// The key of the first context of the experiment's kind that acts here.
fn subject_of<'r>(contexts: impl Iterator<Item = ContextRow<'r>>, definition: &Experiment) -> Option<&'r Bytes> {
    contexts.filter(|context| *context.kind == definition.kind).find_map(|context| context.key)
}
