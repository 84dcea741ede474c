//! What records say of the old path, as changes of cells: intents of payloads that went through a gate, and outcomes.
//!
//! Always true here: each row of a gated home part is one number, and so is each row of outcomes; the sum of them does
//! not depend on their order. Where no gate runs nothing is asked for and nothing is changed.

use schemas::cell::CellKind;
use schemas::event::COUNT_MAX;
use schemas::old_path::{Counted, Gated, OutcomeRow, OutcomeView};
use schemas::record::{Header, PayloadView, StoredVariation};

use super::payload::{Gatherer, Refusal, is_custom, no_hour, no_hour_at};
use super::{Rules, hour_of, hour_of_ms};
use crate::breakage::Break;
use crate::cells::{Change, OldPathChange, OldPathFact};
use crate::held::CellRef;
use crate::state::NameKind;

/// The cells of what a row of outcomes is about: their kind, the kind of the name, and the name.
pub(super) fn place_of<'r>(row: &OutcomeRow<'r>) -> (CellKind, NameKind, &'r [u8]) {
    match row.counted {
        Counted::Flag { key, .. } => (CellKind::OldPath, NameKind::Flag, key),
        Counted::Event { key } => (CellKind::OldPathEvents, NameKind::Event, key),
    }
}

impl Rules {
    /// What it means for the old path that rows of this copy are counted; `None` = no gate chose a path.
    pub(super) fn counted_as(&self, gated: Gated) -> Option<OldPathFact> {
        match gated {
            Gated::No => None,
            Gated::NewOnly if !self.breakage.is(Break::NewOnlyAsBoth) => Some(OldPathFact::NewOnly),
            Gated::Both | Gated::NewOnly => Some(OldPathFact::Counted),
        }
    }
}

/// A flag or an event in an hour: the kind of cell, the kind of name, the name, the hour.
type Place<'r> = (CellKind, NameKind, &'r [u8], u32);

impl<'r> Gatherer<'r, '_> {
    /// Evaluations and custom events that the new path leaves out, and the old path is written with.
    pub(super) fn late_rows(&mut self, header: &Header, view: &'r PayloadView) -> Result<(), Refusal> {
        if header.gated != Gated::Both || self.rules.breakage.is(Break::LateOfOldPathLeftOut) {
            return Ok(());
        }
        for row in view.late_counts() {
            let hour = hour_of(row.minute).ok_or_else(|| no_hour("a late count", row.minute))?;
            self.old_path(flag(row.flag, hour), row.variation, OldPathFact::Late, row.count);
        }
        for row in view.late_events() {
            let hour = hour_of_ms(row.time_ms).ok_or_else(|| no_hour_at("a late event", row.time_ms))?;
            let number = row.sampling.min(COUNT_MAX);
            self.old_path(event(row.key, hour), StoredVariation::Default, OldPathFact::Late, number);
        }
        Ok(())
    }

    /// Rows of a copy that counts no more, with which the old path is written again. What lies in no hour is passed
    /// over: the copy stays a duplicate, whatever it says.
    pub(super) fn duplicate(&mut self, header: &Header, view: &'r PayloadView) {
        if !header.home || header.gated != Gated::Both || self.rules.breakage.is(Break::DuplicateOfOldPathLeftOut) {
            return;
        }
        let counts = view.counts().map(|row| (row.flag, row.variation, row.minute, row.count));
        let late = view.late_counts().map(|row| (row.flag, row.variation, row.minute, row.count));
        for (key, variation, minute, count) in counts.chain(late) {
            if let Some(hour) = hour_of(minute) {
                self.old_path(flag(key, hour), variation, OldPathFact::Duplicate, count);
            }
        }
        let events = view.conversions().filter(is_custom).map(|row| (row.key, row.time_ms, row.sampling));
        let late = view.late_events().map(|row| (row.key, row.time_ms, row.sampling));
        for (key, time_ms, sampling) in events.chain(late) {
            if let Some(hour) = hour_of_ms(time_ms) {
                let number = sampling.min(COUNT_MAX);
                self.old_path(event(key, hour), StoredVariation::Default, OldPathFact::Duplicate, number);
            }
        }
    }

    /// What became of writes of the old path.
    pub(super) fn outcomes(&mut self, header: &Header, view: &'r OutcomeView) -> Result<(), Refusal> {
        if !header.home {
            return Ok(());
        }
        for row in view.rows() {
            let hour = hour_of_ms(row.time_ms).ok_or_else(|| no_hour_at("an outcome", row.time_ms))?;
            let (place, variation) = match row.counted {
                Counted::Flag { key, variation } => (flag(key, hour), variation),
                Counted::Event { key } => (event(key, hour), StoredVariation::Default),
            };
            self.old_path(place, variation, OldPathFact::Met(row.fate), row.number);
        }
        Ok(())
    }

    /// A number; 0 (a sight, say) is none and names nothing.
    fn old_path(&mut self, place: Place<'r>, variation: StoredVariation<'r>, fact: OldPathFact, number: u64) {
        if number == 0 {
            return;
        }
        let (kind, names, key, window) = place;
        let name = self.name(names, key);
        let cell = CellRef { kind, environment: self.environment, name, window };
        self.push(cell, Change::OldPath(OldPathChange { variation, fact, number }));
    }
}

fn flag(key: &[u8], hour: u32) -> Place<'_> {
    (CellKind::OldPath, NameKind::Flag, key, hour)
}

fn event(key: &[u8], hour: u32) -> Place<'_> {
    (CellKind::OldPathEvents, NameKind::Event, key, hour)
}
