//! How fast exposures and conversions are joined on one core, what a unit takes, and how long a state of so many units
//! takes to be read again.
//!
//! Run it with `cargo run --release -p counting --example join_rate -- 1000000`. Each unit is exposed and converts in
//! one payload of fifty units, then converts again on the next day; the experiment has three metrics and a dimension.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use counting::fold::{Rules, Stepped};
use counting::{Cells, State};
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
use schemas::stored::SavedState;
use schemas::wire::record as wire;

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 20_000 * DAY_MS;
/// Units of a payload.
const TOGETHER: usize = 50;
/// Records read at once.
const BATCH: usize = 100;
const DEFINITION: &str = r#"{"flag": "checkout", "unitKind": "user", "start": 1728000000000,
    "variations": [{"variation": 0, "weight": 50}, {"variation": 1, "weight": 50}],
    "dimensions": [{"attribute": "sdk", "values": ["NodeJSClient", "PythonClient"]}],
    "metrics": [{"key": "converted", "event": "purchase", "kind": "once"},
        {"key": "revenue", "event": "purchase", "kind": "sum", "cap": 1000},
        {"key": "week", "event": "purchase", "kind": "count", "windowMs": 604800000}]}"#;

struct Partition {
    rules: Rules,
    generation: Generation,
    state: State,
    cells: Cells,
    next: u64,
    rows: BTreeMap<Bytes, Bytes>,
}

fn main() {
    let asked = std::env::args().nth(1).map(|units| units.parse().expect("a number of units"));
    let units: usize = asked.unwrap_or(100_000);
    let mut partition = Partition::begun();
    println!("{:<44} {:>14} {:>10}", "what", "rate /s", "ns each");
    for (what, exposed, now) in
        [("exposures and conversions of new units", true, START_MS), ("conversions of units", false, START_MS + DAY_MS)]
    {
        let took = partition.join(units, exposed, now);
        let events = units * if exposed { 2 } else { 1 };
        let each = took.as_nanos() as f64 / events as f64;
        println!("{what:<44} {:>14.0} {each:>10.0}", 1e9 / each);
    }
    partition.report(units);
}

impl Partition {
    fn begun() -> Self {
        let generation = Generation::new(1, "rate", 1, counting::FOLD_VERSION);
        let rules = Rules::new(generation.clone(), 0);
        let state = State::empty(generation.dedupe_records);
        let (cells, rows) = (Cells::default(), BTreeMap::new());
        let mut partition = Self { rules, generation, state, cells, next: 0, rows };
        let first = record::generation_record(&partition.generation, 0, START_MS);
        let definition = wire::Definition {
            project: environment().project,
            environment: environment().key,
            kind: EXPERIMENT,
            key: Bytes::from_static(b"checkout"),
            version: 0,
            body: Bytes::from_static(DEFINITION.as_bytes()),
        };
        let definition = record::definition_record(&definition, 0, START_MS);
        partition.fold(&[first, definition], START_MS);
        partition
    }

    /// Every unit once, in payloads; answers what the fold took of a processor.
    fn join(&mut self, units: usize, exposed: bool, now: i64) -> Duration {
        let begin = Instant::now();
        let (mut took, mut waiting) = (Duration::ZERO, Vec::new());
        for first in (0..units).step_by(TOGETHER) {
            waiting.extend(appends(first, TOGETHER.min(units - first), exposed, now));
            if waiting.len() >= BATCH || first + TOGETHER >= units {
                let start = processor_time(begin);
                self.fold(&waiting, now);
                took += processor_time(begin) - start;
                waiting.clear();
                self.save();
            }
        }
        took
    }

    fn fold(&mut self, appends: &[Append], append_ms: i64) {
        let logged = |(append, offset): (&Append, u64)| {
            let Append { header, body, .. } = append.clone();
            Logged { offset, append_ms, header, body }
        };
        let batch: Vec<Logged> = appends.iter().zip(self.next..).map(logged).collect();
        self.next += batch.len() as u64;
        let prepared = self.rules.decode(batch);
        let mut missing = self.rules.needs(&prepared, &self.state, &self.cells);
        for record in &prepared.records {
            loop {
                for key in std::mem::take(&mut missing) {
                    self.cells.insert(key, None, u64::MAX).expect("an empty cell");
                }
                match self.rules.step(&self.state, &self.cells, record) {
                    Stepped::Missing(keys) => missing = keys,
                    Stepped::Commit(commit) => {
                        let letter = commit.apply(&mut self.state, &mut self.cells, &self.generation.fold);
                        assert!(letter.is_none(), "no record here is poison");
                        break;
                    }
                    Stepped::Halt(halt) => panic!("{halt}"),
                }
            }
        }
    }

    /// What a disk would have.
    fn save(&mut self) {
        let changes = self.state.changes();
        changes.remove.iter().for_each(|row| drop(self.rows.remove(row)));
        self.rows.extend(changes.put);
    }

    fn report(self, units: usize) {
        let of_units = self.rows.iter().filter(|(row, _)| row.first() == Some(&5));
        let (keys, values) =
            of_units.fold((0, 0), |(keys, values), (key, value)| (keys + key.len(), values + value.len()));
        let each = |bytes: usize| bytes as f64 / units as f64;
        println!("{units} units: rows of {:.0} + {:.0} bytes each", each(keys), each(values));
        let copy: usize = self.rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        let position = self.state.position();
        let rows = self.rows.into_iter().collect::<Vec<_>>();
        println!("a copy of the state: {:.1} MB in {} rows", copy as f64 / 1e6, rows.len());
        let before = resident_bytes();
        let begin = Instant::now();
        let saved = SavedState { position, rows };
        let state = State::load(&saved, self.generation.dedupe_records).expect("the state that was saved");
        println!("read again in {:.2} s: {} units", begin.elapsed().as_secs_f64(), state.units());
        // The state that was folded is still held, so what is read takes memory of its own.
        let grown = resident_bytes().saturating_sub(before);
        println!("in memory about {:.0} bytes each (grown by {:.0} MB)", each(grown), grown as f64 / 1e6);
    }
}

fn environment() -> Environment {
    Environment::new("default", "production").expect("keys")
}

/// One payload of `number` units from `first` on.
fn appends(first: usize, number: usize, exposed: bool, now: i64) -> Vec<Append> {
    let id = PayloadId::Sent(format!("{first:030x}{}", u8::from(exposed)).into_bytes());
    let sdk = ["NodeJSClient", "PythonClient", "GoClient"][first / TOGETHER % 3];
    let origin = Origin { sdk: sdk.into(), sdk_version: "9.13.7".into(), ..Origin::default() };
    let mut payload = Payload { id: Some(id), origin, ..Payload::default() };
    for unit in first..first + number {
        let context = payload.context_keys.len() as u32;
        let contexts = context..context + 1;
        // As long as a UUID, which is what keys of units often are.
        let key = format!("{:036x}", unit.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        payload.context_keys.push(ContextKey { kind: "user".into(), key: key.into() });
        let time_ms = Some(now + (unit % 3_600_000) as i64);
        if exposed {
            payload.elements.push(Element { kind: ElementKind::Feature, time_ms });
            payload.evaluations.push(Evaluation {
                element: payload.elements.len() as u32 - 1,
                flag: "checkout".into(),
                variation: Variation::Index((unit % 2) as u32),
                version: Some(17),
                reason: Reason::Fallthrough,
                in_experiment: true,
                contexts: contexts.clone(),
            });
        }
        payload.elements.push(Element { kind: ElementKind::Custom, time_ms: time_ms.map(|time| time + 60_000) });
        payload.conversions.push(Conversion {
            element: payload.elements.len() as u32 - 1,
            kind: ConversionKind::Custom,
            key: "purchase".into(),
            value: Some(Micros(24_990_000 + unit as i64 % 1_000)),
            sampling: 1,
            contexts,
        });
    }
    let judge = |element: &Element| Judged { time_ms: element.time_ms.unwrap_or(now), clamped: false, late: false };
    let judged: Vec<Judged> = payload.elements.iter().map(judge).collect();
    let environment = environment();
    let stamp = Stamp { environment: &environment, received_ms: now, carried: &Default::default(), gated: Gated::No };
    record::encode(&payload, &schemas::split::split(&environment, &payload, 1), &judged, &stamp)
}

/// What this thread has had of a processor; where Linux does not tell, time since `begin`.
fn processor_time(begin: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.as_deref().and_then(|told| told.split(' ').next()).and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

/// What the process has in memory; 0 where Linux does not tell.
fn resident_bytes() -> usize {
    let told = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = told.as_deref().and_then(|told| told.split(' ').nth(1)).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
