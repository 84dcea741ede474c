//! The oracle: the rules of counting said once more, as plainly as can be, as a loop and lists over the bytes of the
//! log.
//!
//! Always true here: it shares nothing with the product but the reading of records and the plain types (a re-send is
//! known by what is written in its header, not by a hash of it); what it expects of a cell is a list of facts (a text
//! and a number) after each record; what it finds in a store is read from the wire form. It sees one partition, from
//! offset 0 on and without gaps, each record once, as the log has it; no batch, no flush, no state that is saved, no
//! cell that is loaded.
//!
//! Where to go next: `payload` has usage, last seen, events and SDKs, `bulk` what is a bulk read, `old_path` the gate,
//! the old path and migrations, `stand_in` the experiments, `cell` the limits; `told` reads stored cells; `definitions` says what a partition has of partition 0's.

mod bulk;
mod cell;
mod compare;
mod definitions;
mod facts;
mod old_path;
mod payload;
mod stand_in;
mod told;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::event::PayloadId;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Logged;
use schemas::old_path::decode_outcomes;
use schemas::record::{self, Header, PayloadView, RecordKind};
use schemas::rejection::Rejections;
use schemas::stored::StoredCell;

pub use bulk::Reads;
use cell::Cell;
use definitions::Definitions;
pub use definitions::{DefinitionName, complete};
pub use facts::{Fact, Facts};
use stand_in::{Clock, Experiments};
pub(crate) use told::tell;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A receive time this far ahead of the log's own is not believed.
const AHEAD_MS: i64 = 5 * 60_000;
/// Longest body of a definition: 64 KiB less 16.
const BODY_BYTES_MAX: usize = 65_520;

/// What the cells of one partition must say, after each prefix of its log.
#[derive(Debug)]
pub struct Oracle {
    generation: Generation,
    partition: u32,
    cells: BTreeMap<CellKey, Cell>,
    /// What is known again of every record that has an id, in order of offset.
    ids: Vec<(u64, Identity)>,
    /// Flags (true) and custom events (false) that count under their own name.
    names: BTreeMap<(Environment, bool), Vec<Bytes>>,
    /// Flags of those that a mobile or client-side SDK has asked for.
    client_side: BTreeMap<Environment, BTreeSet<Bytes>>,
    reads: Reads,
    /// After n records: the running log time, and the highest definition version.
    heads: Vec<(i64, u64)>,
    experiments: Experiments,
    definitions: Definitions,
    poisoned: BTreeSet<u64>,
}

/// What a re-send is known by, as it is written: part, id with its kind, project and environment.
type Identity = (u32, PayloadId, Environment);

impl Oracle {
    /// The oracle of a partition, before its first record.
    #[must_use]
    pub fn new(generation: &Generation, partition: u32) -> Self {
        Self {
            generation: generation.clone(),
            partition,
            cells: BTreeMap::new(),
            ids: Vec::new(),
            names: BTreeMap::new(),
            client_side: BTreeMap::new(),
            reads: Reads::default(),
            heads: vec![(0, 0)],
            experiments: Experiments::default(),
            definitions: Definitions::default(),
            poisoned: BTreeSet::new(),
        }
    }

    /// How many records it has seen.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.heads.len() as u64 - 1
    }

    /// What a cell says after the first `position` records; `None` = there is none yet. As long as no record changes
    /// the cell, the answer is the same reference.
    #[must_use]
    pub fn at(&self, key: &CellKey, position: u64) -> Option<&Facts> {
        self.cells.get(key)?.at(position).map(|(_, facts)| facts)
    }

    /// The cells that there are after the first `position` records, in order of key.
    pub fn keys(&self, position: u64) -> impl Iterator<Item = &CellKey> {
        self.cells.iter().filter(move |(_, cell)| cell.at(position).is_some()).map(|(key, _)| key)
    }

    /// The running log time after the first `position` records, Unix milliseconds; beyond the end, of all.
    #[must_use]
    pub fn log_time_ms(&self, position: u64) -> i64 {
        self.head(position).0
    }

    /// The highest definition version among the first `position` records; 0 = none.
    #[must_use]
    pub fn definition_version(&self, position: u64) -> u64 {
        self.head(position).1
    }

    /// The definitions among the first `position` records, in order of offset, each with its version.
    pub fn definitions_below(&self, position: u64) -> impl Iterator<Item = (u64, &DefinitionName)> {
        self.definitions.below(position)
    }

    /// Offsets of the records that cannot be folded.
    #[must_use]
    pub fn poisoned(&self) -> &BTreeSet<u64> {
        &self.poisoned
    }

    /// Holds a stored cell against the rules: its h is the last record below `checkpoint`, or at h itself, that changed
    /// the cell, and it says what the cell must say after that record.
    ///
    /// # Errors
    /// What is wrong, with everything by which it can be found again.
    pub fn check(&self, key: &CellKey, stored: &StoredCell, checkpoint: u64) -> Result<(), String> {
        let h = stored.h;
        let wrong = |what: String| Err(format!("{key:?} with h {h} under checkpoint {checkpoint}: {what}"));
        let known = self.position();
        if h >= known {
            return wrong(format!("the log has {known} records"));
        }
        let Some((last, expected)) = self.cells.get(key).and_then(|cell| cell.at(checkpoint.max(h + 1))) else {
            return wrong("no record up to there has anything for this cell".to_owned());
        };
        match compare::agrees(key.kind, &stored.value, expected) {
            Ok(true) => {}
            Ok(false) => {
                let differences = compare::differences(key.kind, &stored.value, expected);
                return wrong(format!("the record at {last} must leave it otherwise:{differences}"));
            }
            Err(what) => return wrong(what),
        }
        if last != h {
            return wrong(format!("its facts are right, but the record that changed it last is at {last}"));
        }
        Ok(())
    }

    /// Folds the next record.
    pub fn push(&mut self, logged: &Logged) {
        let (log_time_ms, version) = self.head(u64::MAX);
        self.heads.push((log_time_ms, version));
        let (header, understood) = match Header::decode(&logged.header) {
            Ok(header) => (Some(header), true),
            Err(_) => (Header::salvage(&logged.header), false),
        };
        match header {
            Some(header) => self.record(logged, &header, understood),
            // Nobody knows whose it is.
            None => self.poison(logged, None, &[]),
        }
        self.cells.values_mut().for_each(|cell| cell.note(logged.offset));
    }

    fn record(&mut self, logged: &Logged, header: &Header, understood: bool) {
        let time_ms = logged.append_ms.min(header.received_ms.saturating_add(AHEAD_MS));
        self.raise_head(time_ms, 0);
        let id = header.id.clone().map(|id| (header.part, id, header.environment.clone()));
        let near = self.ids.iter().rev().take_while(|(at, _)| logged.offset - at <= self.generation.dedupe_records);
        let duplicate = id.as_ref().is_some_and(|id| near.into_iter().any(|(_, known)| known == id));
        self.ids.extend(id.map(|id| (logged.offset, id)));
        if duplicate {
            // What the payload itself was refused for was told by its first copy.
            self.books(header, "duplicate", header.accepted, &[header.carried]);
            if understood
                && header.kind == RecordKind::Payload
                && let Ok(view) = record::decode_payload(logged, header.received_ms)
            {
                self.gated_again(header, &view);
            }
            return;
        }
        let rejected = [header.rejected, header.carried];
        let sound = understood && !crate::panics(logged) && self.content(logged, header, &rejected);
        if !sound {
            self.poison(logged, Some(header), &rejected);
        }
    }

    /// Folds what the record says; false = nothing was changed, since it cannot be understood whole.
    fn content(&mut self, logged: &Logged, header: &Header, rejected: &[Rejections]) -> bool {
        match header.kind {
            RecordKind::Payload => match record::decode_payload(logged, header.received_ms) {
                Ok(view) => self.payload(header, &view, rejected),
                Err(_) => false,
            },
            RecordKind::Numbers => {
                self.books(header, "counted", header.accepted, rejected);
                true
            }
            RecordKind::Definition => self.definition(logged, header),
            RecordKind::Generation => true,
            RecordKind::Outcome => match decode_outcomes(&logged.body, header.received_ms) {
                Ok(view) => self.outcomes(header, &view),
                Err(_) => false,
            },
        }
    }

    fn payload(&mut self, header: &Header, view: &PayloadView, rejected: &[Rejections]) -> bool {
        if header.home {
            if !payload::is_sound(header, view) {
                return false;
            }
            self.books(header, "counted", header.accepted - view.late(), rejected);
            let books = self.books_cell(header);
            books.add_some(Fact::of("late"), view.late());
            books.add_some(Fact::of("clamped"), view.clamped());
            books.add_some(Fact::of("without id"), u64::from(header.id.is_none()));
            self.home_part(header, view);
        }
        let lateness_ms = i64::try_from(self.generation.clock.lateness_ms).unwrap_or(i64::MAX);
        let clock = Clock { log_time_ms: self.log_time_ms(u64::MAX), lateness_ms };
        for ((experiment, day, fact), number) in self.experiments.rows(header, view, clock) {
            self.cell(CellKind::StandIn, header, CellName::Key(experiment), day).add_signed(fact, number);
        }
        true
    }

    fn poison(&mut self, logged: &Logged, header: Option<&Header>, rejected: &[Rejections]) {
        self.poisoned.insert(logged.offset);
        if let Some(header) = header {
            self.books(header, "poison", header.accepted, rejected);
        }
    }

    fn books(&mut self, header: &Header, what: &'static str, number: u64, rejected: &[Rejections]) {
        if !header.home {
            return;
        }
        let books = self.books_cell(header);
        books.add_some(Fact::of("accepted"), header.accepted);
        books.add_some(Fact::of(what), number);
        for (reason, number) in rejected.iter().flat_map(Rejections::iter) {
            books.add_some(Fact::of(reason.code()), number);
        }
    }

    fn books_cell(&mut self, header: &Header) -> &mut Cell {
        self.cell(CellKind::Books, header, CellName::None, header.received_ms.div_euclid(DAY_MS))
    }

    /// In partition 0 a definition comes without a version, and its version is its offset plus 1; elsewhere it brings
    /// one. The highest version stays, and the cell is in partition 0 alone.
    fn definition(&mut self, logged: &Logged, header: &Header) -> bool {
        let Ok(definition) = record::decode_definition(&logged.body) else { return false };
        let first = self.partition == 0;
        let comes_as_it_must = (definition.version == 0) == first;
        let Some(kind) = u8::try_from(definition.kind).ok().filter(|_| comes_as_it_must) else { return false };
        if definition.body.len() > BODY_BYTES_MAX {
            return false;
        }
        let version = if first { logged.offset + 1 } else { definition.version };
        self.raise_head(0, version);
        let name = DefinitionName { environment: header.environment.clone(), kind, key: definition.key.clone() };
        self.definitions.push(logged.offset, version, name);
        if kind == stand_in::DEFINITION_KIND {
            self.experiments.define(&header.environment, &definition.key, version, &definition.body);
        }
        if first {
            let name = [&[kind], definition.key.as_ref()].concat();
            let cell = self.cell(CellKind::Definition, header, CellName::Key(name.into()), 0);
            let bodies: Vec<Fact> =
                cell.facts().iter().map(|(fact, _)| fact).filter(|fact| fact.is("body")).cloned().collect();
            bodies.iter().for_each(|old| cell.take(old));
            cell.put(Fact::of("version"), version.into());
            cell.put(Fact::row("body", &String::from_utf8_lossy(&definition.body).into()), 1);
        }
        true
    }

    /// The name under which a flag or event counts: its own for the first of the generation, else the shared one.
    fn name(&mut self, environment: &Environment, flag: bool, name: &Bytes) -> CellName {
        let names = self.names.entry((environment.clone(), flag)).or_default();
        if !names.contains(name) {
            if names.len() == self.generation.fold.flags_max as usize {
                return CellName::Other;
            }
            names.push(name.clone());
        }
        CellName::Key(name.clone())
    }

    fn cell(&mut self, kind: CellKind, header: &Header, name: CellName, window: i64) -> &mut Cell {
        let key = CellKey {
            generation: self.generation.number,
            partition: self.partition,
            kind,
            environment: header.environment.clone(),
            name,
            // Records whose times are in no window are poison, or of no clock that a node has.
            window: u32::try_from(window).unwrap_or(u32::MAX),
        };
        self.cells.entry(key).or_default()
    }

    fn head(&self, position: u64) -> (i64, u64) {
        let at = usize::try_from(position).unwrap_or(usize::MAX).min(self.heads.len() - 1);
        self.heads[at]
    }

    fn raise_head(&mut self, log_time_ms: i64, version: u64) {
        if let Some(head) = self.heads.last_mut() {
            *head = (head.0.max(log_time_ms), head.1.max(version));
        }
    }
}
