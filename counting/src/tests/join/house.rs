//! Partitions of one log, each with its state, cells and what is durable of both.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Element, ElementKind, Evaluation, Origin, Payload, PayloadId, Reason,
    Variation,
};
use schemas::experiment::EXPERIMENT;
use schemas::fixed::Micros;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::{Append, Logged};
use schemas::old_path::Gated;
use schemas::record::{self, Judged, Stamp};
use schemas::rejection::Rejections;
use schemas::split::split;
use schemas::stored::{SavedState, StateChanges, StoredCell};
use schemas::wire::record as wire;

use crate::cells::{Cell, Experiment, ExperimentNumbers, Slice, experiment_of};
use crate::fold::{Rules, Stepped};
use crate::held::Cells;
use crate::state::State;
use crate::tests::dice::Dice;

pub(super) const DAY: i64 = 86_400_000;

pub(super) fn environment() -> Environment {
    Environment::new("p", "e").unwrap()
}

/// One log, folded.
pub(super) struct House {
    pub(super) partitions: Vec<Partition>,
}

pub(super) struct Partition {
    rules: Rules,
    pub(super) state: State,
    cells: Cells,
    log: Vec<Logged>,
    /// What a store has, and what a disk has, as of a position.
    stored: BTreeMap<CellKey, StoredCell>,
    rows: BTreeMap<Bytes, Bytes>,
    saved: u64,
}

impl House {
    pub(super) fn new(partitions: u32) -> Self {
        let mut generation = Generation::new(1, "t", partitions, crate::FOLD_VERSION);
        generation.dedupe_records = 1_000;
        let partitions = (0..partitions).map(|partition| Partition::new(&generation, partition)).collect();
        Self { partitions }
    }

    /// A definition in every partition; its version is its place in partition 0.
    pub(super) fn define(&mut self, key: &str, body: &str, now: i64) {
        let mut definition = wire::Definition {
            project: environment().project,
            environment: environment().key,
            kind: EXPERIMENT,
            key: Bytes::copy_from_slice(key.as_bytes()),
            version: 0,
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        let version = self.partitions[0].log.len() as u64 + 1;
        for (number, partition) in (0..).zip(&mut self.partitions) {
            definition.version = if number == 0 { 0 } else { version };
            partition.append(&record::definition_record(&definition, number, now), now);
        }
    }

    pub(super) fn send(&mut self, appends: &[Append], now: i64) {
        for append in appends {
            self.partitions[append.partition as usize].append(append, now);
        }
    }

    /// Some partition is flushed, or what it has in memory is lost.
    pub(super) fn trouble(&mut self, dice: &mut Dice) {
        let which = dice.below(self.partitions.len());
        let partition = &mut self.partitions[which];
        match dice.below(3) {
            0 => partition.flush(true),
            // The state was not saved any more.
            1 => partition.flush(false),
            _ => partition.restart(),
        }
    }

    /// All cells of experiments of all partitions, added up: by experiment, iteration, units and day.
    pub(super) fn days(&self) -> BTreeMap<(String, u32, Slice, u32), ExperimentNumbers> {
        let mut days: BTreeMap<_, Experiment> = BTreeMap::new();
        for (key, cell) in self.partitions.iter().flat_map(Partition::all_cells) {
            let (CellName::Key(name), Cell::Experiment(cell)) = (&key.name, cell) else { continue };
            let (experiment, iteration, slice) = experiment_of(name).unwrap();
            let place = (String::from_utf8(experiment.to_vec()).unwrap(), iteration, slice, key.window);
            days.entry(place).or_default().merge(&cell);
        }
        days.retain(|_, cell| !cell.numbers().is_nothing());
        days.into_iter().map(|(place, cell)| (place, cell.numbers().clone())).collect()
    }

    /// What an experiment's cells say of some units up to the end of a day.
    pub(super) fn result(&self, experiment: &str, slice: Slice, until: u32) -> ExperimentNumbers {
        let mut all = ExperimentNumbers::default();
        for ((key, _, of, day), numbers) in self.days() {
            if key == experiment && of == slice && day <= until {
                all.add(&numbers);
            }
        }
        all
    }

    /// The body of a definition as readers find it.
    pub(super) fn definition(&self, key: &str) -> String {
        let name = CellName::Key([&[2], key.as_bytes()].concat().into());
        let cells = self.partitions[0].every_cell();
        let found = cells.into_iter().find(|(cell, _)| cell.kind == CellKind::Definition && cell.name == name);
        let Some((_, Cell::Definition(definition))) = found else { panic!("no definition of {key}") };
        String::from_utf8(definition.body().to_vec()).unwrap()
    }

    /// Cells and state of every partition as bytes.
    pub(super) fn bytes(&self) -> Vec<(BTreeMap<CellKey, Vec<u8>>, SavedState)> {
        let of = |partition: &Partition| {
            let cells = partition.all_cells().into_iter().map(|(key, cell)| (key, cell.encode()));
            (cells.filter(|(_, bytes)| !bytes.is_empty()).collect(), partition.state.in_memory())
        };
        self.partitions.iter().map(of).collect()
    }
}

impl Partition {
    fn new(generation: &Generation, number: u32) -> Self {
        let mut partition = Self {
            rules: Rules::new(generation.clone(), number),
            state: State::empty(generation.dedupe_records),
            cells: Cells::default(),
            log: Vec::new(),
            stored: BTreeMap::new(),
            rows: BTreeMap::new(),
            saved: 0,
        };
        partition.append(&record::generation_record(generation, number, 0), 0);
        partition
    }

    fn append(&mut self, append: &Append, append_ms: i64) {
        let offset = self.log.len() as u64;
        let logged = Logged { offset, append_ms, header: append.header.clone(), body: append.body.clone() };
        self.log.push(logged.clone());
        self.fold(logged);
    }

    fn fold(&mut self, logged: Logged) {
        let prepared = self.rules.decode(vec![logged]);
        let mut missing = self.rules.needs(&prepared, &self.state, &self.cells);
        loop {
            for key in std::mem::take(&mut missing) {
                let stored = self.stored.get(&key).cloned();
                self.cells.insert(key, stored, u64::MAX).unwrap();
            }
            match self.rules.step(&self.state, &self.cells, &prepared.records[0]) {
                Stepped::Missing(keys) => missing = keys,
                Stepped::Commit(commit) => {
                    let letter = commit.apply(&mut self.state, &mut self.cells, &self.rules.generation.fold);
                    assert_eq!(letter, None);
                    return;
                }
                Stepped::Halt(halt) => panic!("{halt}"),
            }
        }
    }

    /// Cells, and perhaps the state, become durable.
    pub(super) fn flush(&mut self, state_too: bool) {
        for write in self.cells.begin_flush() {
            self.cells.stored(&write.key);
            self.stored.insert(write.key, write.cell);
        }
        if state_too {
            let StateChanges { put, remove, position } = self.state.changes();
            remove.iter().for_each(|row| drop(self.rows.remove(row)));
            self.rows.extend(put);
            self.saved = position;
        }
    }

    /// What is in memory is lost; the log is read again from where the saved state stands.
    pub(super) fn restart(&mut self) {
        let rows = self.rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let saved = SavedState { position: self.saved, rows };
        self.state = State::load(&saved, self.rules.generation.dedupe_records).unwrap();
        self.cells = Cells::default();
        let again = self.log[self.saved as usize..].to_vec();
        again.into_iter().for_each(|logged| self.fold(logged));
    }

    /// The cells of experiments.
    fn all_cells(&self) -> BTreeMap<CellKey, Cell> {
        let mut all = self.every_cell();
        all.retain(|key, _| key.kind == CellKind::Experiment);
        all
    }

    /// Every cell there is, the newer one where memory and store differ.
    fn every_cell(&self) -> BTreeMap<CellKey, Cell> {
        let read =
            |(key, stored): (&CellKey, &StoredCell)| (key.clone(), Cell::decode(key.kind, &stored.value).unwrap());
        let mut all: BTreeMap<CellKey, Cell> = self.stored.iter().map(read).collect();
        all.extend(self.cells.all());
        all
    }

    /// How many rows are saved of units.
    pub(super) fn saved_units(&self) -> usize {
        self.rows.keys().filter(|row| row.first() == Some(&5)).count()
    }
}

/// Something a unit did.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row {
    /// It met a variation.
    Exposure { who: &'static str, time_ms: i64, variation: u32 },
    /// An event, of some millionths, standing for some events.
    Event { who: &'static str, time_ms: i64, key: &'static str, value: Option<i64>, sampling: u64 },
}

/// A payload of these rows, from this SDK, received at this time. Nobody (`""`) has an organisation, and is no user.
pub(super) fn appends(id: &str, sdk: &'static str, rows: &[Row], partitions: u32, received_ms: i64) -> Vec<Append> {
    let origin = Origin { sdk: sdk.into(), ..Origin::default() };
    let mut payload = Payload { id: Some(PayloadId::Sent(id.into())), origin, ..Payload::default() };
    let mut judged = Vec::new();
    for (element, row) in (0_u32..).zip(rows) {
        let contexts = element..element + 1;
        let (Row::Exposure { who, time_ms, .. } | Row::Event { who, time_ms, .. }) = *row;
        let (kind, key) = if who.is_empty() { ("org", "acme") } else { ("user", who) };
        payload.context_keys.push(ContextKey { kind: kind.into(), key: key.into() });
        payload.elements.push(Element { kind: ElementKind::Custom, time_ms: Some(time_ms) });
        judged.push(Judged { time_ms, clamped: false, late: false });
        match *row {
            Row::Exposure { variation, .. } => payload.evaluations.push(Evaluation {
                element,
                flag: "flag".into(),
                variation: Variation::Index(variation),
                version: None,
                reason: Reason::Fallthrough,
                in_experiment: true,
                contexts,
            }),
            Row::Event { key, value, sampling, .. } => payload.conversions.push(Conversion {
                element,
                kind: ConversionKind::Custom,
                key: key.into(),
                value: value.map(Micros),
                sampling,
                contexts,
            }),
        }
    }
    let (environment, carried) = (environment(), Rejections::default());
    let stamp = Stamp { environment: &environment, received_ms, carried: &carried, gated: Gated::No };
    record::encode(&payload, &split(&environment, &payload, partitions), &judged, &stamp)
}
