//! Which cells a batch asks for.
//!
//! Always true here: every cell that `step` may want for these records is named or held, but for names whose turn comes
//! when others of the same batch have taken the last places: then both possible cells are named. At most six for each
//! row of a record. Order is that of first appearance. (Of an experiment, and of its stand-in, the day of each row is
//! named; other days, and dimensions, that a row changes are known to `step` alone.) A record on which this panics asks
//! for the cell of its books, in which `step` is going to book it as poison; where `step` wants more after all, it says
//! so itself.

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use schemas::cell::{CellKey, CellKind};
use schemas::id::Environment;
use schemas::old_path::{Gated, OutcomeView};
use schemas::record::{Header, PayloadView};

use super::migration::name_of;
use super::old_path::place_of;
use super::payload::definition_name;
use super::prepare::{Content, Record, guarded};
use super::{Prepared, Rules, day_cell, hour_of, hour_of_ms};
use crate::breakage::PanicIn;
use crate::held::{CellRef, Cells, NameRef};
use crate::state::{NameKind, State};

impl Rules {
    /// The cells that these records may change and that are not held, each once.
    #[must_use]
    pub fn needs(&self, prepared: &Prepared, state: &State, cells: &Cells) -> Vec<CellKey> {
        let mut asker = Asker {
            rules: self,
            state,
            cells,
            named: HashSet::new(),
            latest: Vec::new(),
            keys: Vec::new(),
            made: HashSet::new(),
            unseen: HashMap::new(),
        };
        for record in &prepared.records {
            asker.books(record);
            let before = asker.keys.len();
            asker.latest.clear();
            if guarded(|| asker.record(record)).is_err() {
                asker.take_back(before);
            }
        }
        asker.keys
    }
}

pub(super) struct Asker<'r> {
    rules: &'r Rules,
    pub(super) state: &'r State,
    cells: &'r Cells,
    named: HashSet<CellRef<'r>>,
    /// Those of `named` that the record at hand asked for first, but for its books.
    latest: Vec<CellRef<'r>>,
    keys: Vec<CellKey>,
    /// Those of `keys` whose names are no record's.
    made: HashSet<CellKey>,
    /// Names of this batch that the state has not seen.
    unseen: HashMap<(&'r Environment, bool), HashSet<&'r [u8]>>,
}

impl<'r> Asker<'r> {
    fn ask(&mut self, cell: CellRef<'r>) {
        if self.cells.find(&cell).is_none() && self.named.insert(cell) {
            self.latest.push(cell);
            self.keys.push(cell.to_key(self.rules.generation.number, self.rules.partition));
        }
    }

    /// Asks for a cell whose name is no record's.
    pub(super) fn ask_made(&mut self, cell: CellRef<'_>) {
        let key = cell.to_key(self.rules.generation.number, self.rules.partition);
        if self.cells.find(&cell).is_none() && self.made.insert(key.clone()) {
            self.keys.push(key);
        }
    }

    /// Forgets what a record asked for, so that a later one may ask for it. Names stay unseen: at worst a cell too many
    /// is named.
    fn take_back(&mut self, keys: usize) {
        for key in self.keys.drain(keys..) {
            self.made.remove(&key);
        }
        for cell in self.latest.drain(..) {
            self.named.remove(&cell);
        }
    }

    fn books(&mut self, record: &'r Record) {
        let Some(header) = record.header.as_ref().filter(|header| header.home) else { return };
        self.ask_day(CellKind::Books, header);
    }

    fn ask_day(&mut self, kind: CellKind, header: &'r Header) {
        if let Some(cell) = day_cell(kind, &header.environment, header.received_ms) {
            self.ask(cell);
        }
    }

    /// The day of each row; where a row changes other days too, `step` says so.
    #[cfg(any(test, feature = "testing"))]
    fn stand_ins(&mut self, environment: &'r Environment, view: &'r PayloadView) {
        let Some(experiments) = self.rules.experiments(self.state, environment) else { return };
        for concern in super::stand_in::concerns(view, &experiments) {
            if let Some(window) = crate::stand_in::day_of(concern.time_ms) {
                let name = NameRef::Key(concern.experiment);
                self.ask_made(CellRef { kind: CellKind::StandIn, environment, name, window });
            }
        }
    }

    fn record(&mut self, record: &'r Record) {
        let Some(header) = &record.header else { return };
        let environment = &header.environment;
        match &record.content {
            Content::Payload(view) => {
                if header.home {
                    self.ask_day(CellKind::Sdks, header);
                    self.payload(header, view);
                }
                self.experiments(environment, view);
                #[cfg(any(test, feature = "testing"))]
                self.stand_ins(environment, view);
                for place in [PanicIn::Needs, PanicIn::Rows] {
                    self.rules.breakage.panic_in(place, &record.logged);
                }
            }
            Content::Outcomes(view) if header.home => self.outcomes(environment, view),
            Content::Definition(definition) if self.rules.partition == 0 => {
                if let Some(name) = definition_name(definition) {
                    let name = NameRef::Key(&name);
                    self.ask_made(CellRef { kind: CellKind::Definition, environment, name, window: 0 });
                }
            }
            _ => {}
        }
    }

    fn payload(&mut self, header: &'r Header, view: &'r PayloadView) {
        let environment = &header.environment;
        let gated = |kind: CellKind, cell: Option<(NameRef<'r>, u32)>| {
            let (name, hour) = cell.filter(|_| header.gated != Gated::No)?;
            Some((kind, name, hour))
        };
        let mut last: Option<(*const Bytes, i64)> = None;
        for row in view.counts() {
            if last.replace((row.flag, row.minute)) == Some((std::ptr::from_ref(row.flag), row.minute)) {
                continue;
            }
            self.name(environment, NameKind::Flag, row.flag, |name| {
                let hour = hour_of(row.minute);
                let usage = hour.map(|hour| (CellKind::Usage, name, hour));
                let old_path = gated(CellKind::OldPath, hour.map(|hour| (name, hour)));
                [usage, Some((CellKind::LastSeen, name, 0)), old_path]
            });
        }
        for row in view.reasons() {
            let cell = hour_of(row.minute);
            self.name(environment, NameKind::Flag, row.flag, |name| [cell.map(|hour| (CellKind::Usage, name, hour))]);
        }
        for row in view.conversions().filter(|row| super::payload::is_custom(row)) {
            let hour = hour_of_ms(row.time_ms);
            self.name(environment, NameKind::Event, row.key, |name| {
                let old_path = gated(CellKind::OldPathEvents, hour.map(|hour| (name, hour)));
                [hour.map(|hour| (CellKind::Events, name, hour)), old_path]
            });
        }
        self.migrations(environment, view);
        if header.gated == Gated::Both {
            for row in view.late_counts() {
                self.old_path(environment, (CellKind::OldPath, NameKind::Flag, row.flag), hour_of(row.minute));
            }
            for row in view.late_events() {
                self.old_path(
                    environment,
                    (CellKind::OldPathEvents, NameKind::Event, row.key),
                    hour_of_ms(row.time_ms),
                );
            }
        }
    }

    fn outcomes(&mut self, environment: &'r Environment, view: &'r OutcomeView) {
        for row in view.rows() {
            self.old_path(environment, place_of(&row), hour_of_ms(row.time_ms));
        }
    }

    fn old_path(
        &mut self,
        environment: &'r Environment,
        (kind, names, name): (CellKind, NameKind, &'r [u8]),
        hour: Option<u32>,
    ) {
        self.name(environment, names, name, |name| [hour.map(|hour| (kind, name, hour))]);
    }

    fn migrations(&mut self, environment: &'r Environment, view: &'r PayloadView) {
        for row in view.migrations() {
            let Some(window) = hour_of_ms(row.time_ms) else { continue };
            let operation = name_of(&row);
            let (own, other) = self.places(environment, NameKind::Flag, row.flag);
            for name in [own.then_some(NameRef::Key(&operation)), other.then_some(NameRef::Other)].into_iter().flatten()
            {
                self.ask_made(CellRef { kind: CellKind::Migration, environment, name, window });
            }
        }
    }

    fn name<const N: usize>(
        &mut self,
        environment: &'r Environment,
        kind: NameKind,
        name: &'r [u8],
        cells: impl Fn(NameRef<'r>) -> [Option<(CellKind, NameRef<'r>, u32)>; N],
    ) {
        let (own, other) = self.places(environment, kind, name);
        for name in [own.then_some(NameRef::Key(name)), other.then_some(NameRef::Other)].into_iter().flatten() {
            for (kind, name, window) in cells(name).into_iter().flatten() {
                self.ask(CellRef { kind, environment, name, window });
            }
        }
    }

    /// Whether the name may count in a cell of its own, and whether in the one for the rest.
    fn places(&mut self, environment: &'r Environment, kind: NameKind, name: &'r [u8]) -> (bool, bool) {
        let seen = self.state.seen(environment).map(|seen| seen.of(kind));
        if seen.is_some_and(|seen| seen.contains(name)) {
            return (true, false);
        }
        let held = seen.map_or(0, HashSet::len);
        let room = (self.rules.generation.fold.flags_max as usize).saturating_sub(held);
        if room == 0 {
            return (false, true);
        }
        let unseen = self.unseen.entry((environment, kind == NameKind::Flag)).or_default();
        unseen.insert(name);
        (true, unseen.len() > room)
    }
}
