//! The stand-in experiment: in which order rows come makes no difference, nor does what is given up of them; what
//! counts is decided once; subjects expire by the log's time; a state read again goes on as if it had never been away.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use schemas::cell::{CellKey, CellKind, STAND_IN};
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Element, ElementKind, Evaluation, Payload, PayloadId, Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::{Append, Logged};
use schemas::old_path::Gated;
use schemas::record::{self, Judged, Stamp};
use schemas::rejection::Rejections;
use schemas::split::{Part, Split};
use schemas::stored::SavedState;
use schemas::wire::record as wire;

use super::*;
use crate::PanicIn;
use crate::fold::{Rules, Stepped};
use crate::held::Cells;
use crate::state::State;
use crate::tests::naive::{Facts, told};
use crate::tests::payloads::{make_log, small_generation};
use crate::tests::{dice::Dice, quiet_wanted_panics, seeds};

const HOUR: i64 = 3_600_000;
const NOON: i64 = 19_000 * DAY_MS + 12 * HOUR;

/// An exposure to a variation, or a conversion of some millionths: of whom, and when.
#[derive(Debug, Clone, Copy)]
enum Row {
    Exposure(&'static str, i64, u32),
    Conversion(&'static str, i64, i64),
}

struct Partition {
    rules: Rules,
    state: State,
    cells: Cells,
    next: u64,
}

impl Partition {
    fn of(rules: Rules) -> Self {
        let state = State::empty(rules.generation.dedupe_records);
        Self { rules, state, cells: Cells::default(), next: 0 }
    }

    /// With seven days of lateness, and experiment `x` of flag `f`, users and event `e`, for a fortnight around noon.
    fn begun() -> Self {
        let generation = Generation::new(1, "t", 1, crate::FOLD_VERSION);
        let mut partition = Self::of(Rules::new(generation.clone(), 0));
        partition.append(record::generation_record(&generation, 0, 0), 0);
        partition.define(&format!("f user e 1 {} {}", NOON - 7 * DAY_MS, NOON + 7 * DAY_MS), NOON);
        partition
    }

    fn define(&mut self, body: &str, now: i64) {
        let definition = wire::Definition {
            project: Bytes::from_static(b"p"),
            environment: Bytes::from_static(b"e"),
            kind: STAND_IN,
            key: Bytes::from_static(b"x"),
            version: 0,
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.append(record::definition_record(&definition, 0, now), now);
    }

    fn append(&mut self, append: Append, append_ms: i64) {
        self.fold(Logged { offset: self.next, append_ms, header: append.header, body: append.body });
    }

    fn fold(&mut self, logged: Logged) {
        self.next = logged.offset + 1;
        let prepared = self.rules.decode(vec![logged]);
        let mut missing = self.rules.needs(&prepared, &self.state, &self.cells);
        loop {
            missing.drain(..).for_each(|key| self.cells.insert(key, None, u64::MAX).unwrap());
            match self.rules.step(&self.state, &self.cells, &prepared.records[0]) {
                Stepped::Missing(keys) => missing = keys,
                Stepped::Commit(commit) => {
                    commit.apply(&mut self.state, &mut self.cells, &self.rules.generation.fold);
                    return;
                }
                Stepped::Halt(halt) => panic!("{halt}"),
            }
        }
    }

    /// One record of these rows, the log's time being `now`.
    fn send(&mut self, now: i64, rows: &[Row]) {
        self.send_as(now, rows, true, 0);
    }

    /// The same, as a home part or not; users act in partition `acts_in`.
    fn send_as(&mut self, now: i64, rows: &[Row], home: bool, acts_in: u32) {
        let id = self.next.to_be_bytes().to_vec();
        let mut payload = Payload { id: Some(PayloadId::Sent(id)), ..Payload::default() };
        let mut judged = Vec::new();
        for (element, row) in (0_u32..).zip(rows) {
            let contexts = element..element + 1;
            let (Row::Exposure(who, time_ms, _) | Row::Conversion(who, time_ms, _)) = *row;
            payload.context_keys.push(ContextKey { kind: "user".into(), key: who.into() });
            payload.elements.push(Element { kind: ElementKind::Custom, time_ms: Some(time_ms) });
            judged.push(Judged { time_ms, clamped: false, late: false });
            match *row {
                Row::Exposure(_, _, variation) => payload.evaluations.push(Evaluation {
                    element,
                    flag: "f".into(),
                    variation: Variation::Index(variation),
                    version: None,
                    reason: Reason::Fallthrough,
                    in_experiment: true,
                    contexts,
                }),
                Row::Conversion(_, _, value) => payload.conversions.push(Conversion {
                    element,
                    kind: ConversionKind::Custom,
                    key: "e".into(),
                    value: Some(Micros(value)),
                    sampling: 1,
                    contexts,
                }),
            }
        }
        let part = Part {
            home,
            elements: if home { 0..rows.len() as u32 } else { 0..0 },
            evaluations: (0..payload.evaluations.len() as u32).collect(),
            conversions: (0..payload.conversions.len() as u32).collect(),
            ..Part::default()
        };
        let split = Split { parts: vec![part], acts_in: vec![acts_in; payload.context_keys.len()] };
        let environment = Environment::new("p", "e").unwrap();
        let stamp =
            Stamp { environment: &environment, received_ms: now, carried: &Rejections::default(), gated: Gated::No };
        let mut appends = record::encode(&payload, &split, &judged, &stamp);
        self.append(appends.remove(0), now);
    }

    /// What the experiment's cells say, by day from the day of noon on.
    fn told(&self) -> BTreeMap<i64, Facts> {
        let days = -9..9_i64;
        let told = |day: i64| {
            let cell = crate::held::CellRef {
                kind: CellKind::StandIn,
                environment: &Environment::new("p", "e").unwrap(),
                name: crate::held::NameRef::Key(b"x"),
                window: u32::try_from(19_000 + day).unwrap(),
            };
            let facts = told(self.cells.get(&cell.to_key(1, 0))?.0);
            (!facts.is_empty()).then_some((day, facts))
        };
        days.filter_map(told).collect()
    }

    fn all_cells(&mut self) -> BTreeMap<CellKey, (u64, Bytes)> {
        self.cells.begin_flush().into_iter().map(|write| (write.key, (write.cell.h, write.cell.value))).collect()
    }
}

fn facts<const N: usize>(facts: [(&str, i128); N]) -> Facts {
    facts.map(|(what, number)| (what.to_owned(), number)).into()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let who = || prop::sample::select(vec!["ann", "ben"]);
    let time = || (-60_i64..60).prop_map(|hours| NOON + hours * HOUR);
    let exposure = (who(), time(), 0_u32..2).prop_map(|(who, time, variation)| Row::Exposure(who, time, variation));
    let conversion = (who(), time(), -5_i64..9).prop_map(|(who, time, value)| Row::Conversion(who, time, value));
    prop::collection::vec(prop_oneof![exposure, conversion], 1..14)
}

proptest! {
    #[test]
    fn rows_in_any_order_and_in_any_records_give_the_same_cells(
        (rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        cuts in prop::collection::vec(1_usize..5, 14),
    ) {
        let mut straight = Partition::begun();
        straight.send(NOON + 3 * DAY_MS, &rows);
        let (mut cut, mut rest) = (Partition::begun(), shuffled.as_slice());
        for at in cuts {
            let (record, others) = rest.split_at(at.min(rest.len()));
            cut.send(NOON + 3 * DAY_MS, record);
            rest = others;
        }
        prop_assert_eq!(straight.told(), cut.told());
    }

    /// A subject that is compacted at every turn says the same as one that keeps every row.
    #[test]
    fn compaction_changes_nothing(
        turns in prop::collection::vec((0_i64..30, 1_i64..60, prop::option::weighted(0.4, 0_u32..3), -5_i128..9), 1..40),
    ) {
        let (mut compacted, mut whole) = (Subject::default(), Subject::default());
        let mut horizon = NOON;
        for (on, after, variation, amount) in turns {
            horizon += on * HOUR / 10;
            let time = horizon + after * after * HOUR / 60;
            for subject in [&mut compacted, &mut whole] {
                match variation {
                    Some(variation) => subject.expose(variation, time),
                    None => subject.convert(time, amount),
                }
            }
            compacted.compact(horizon);
            prop_assert!(compacted.candidates.iter().all(|(time, _)| *time > horizon), "nothing old is kept as it came");
            prop_assert_eq!(compacted.contribution(1), whole.contribution(1));
            prop_assert_eq!(Subject::decode(&compacted.encode()), Some(compacted.clone()));
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
        let _ = (Subject::decode(&bytes), Experiment::parse(&bytes));
    }
}

#[test]
fn a_subject_counts_on_the_days_on_which_what_it_says_changes() {
    let mut partition = Partition::begun();
    partition.send(NOON, &[Row::Exposure("ann", NOON, 1), Row::Conversion("ann", NOON - 1, 100)]);
    assert_eq!(partition.told(), [(0, facts([("n of 1", 1)]))].into(), "what came before the exposure does not count");
    partition.send(NOON + DAY_MS, &[Row::Conversion("ann", NOON + DAY_MS, 7)]);
    let second = facts([("sum of 1", 7), ("square of 1", 49)]);
    assert_eq!(partition.told(), [(0, facts([("n of 1", 1)])), (1, second.clone())].into());
    partition.send(NOON + DAY_MS, &[Row::Exposure("ann", NOON - DAY_MS, 1)]);
    let first = facts([("sum of 1", 100), ("square of 1", 10_000)]);
    let later = facts([("sum of 1", 7), ("square of 1", 107 * 107 - 10_000)]);
    assert_eq!(partition.told(), [(-1, facts([("n of 1", 1)])), (0, first.clone()), (1, later)].into());
    partition.send(NOON + DAY_MS, &[Row::Exposure("ann", NOON + DAY_MS, 0)]);
    let gone = facts([("multiple", 1), ("n of 1", -1), ("sum of 1", -100), ("square of 1", -10_000)]);
    assert_eq!(partition.told(), [(-1, facts([("n of 1", 1)])), (0, first), (1, gone)].into());
}

#[test]
fn an_amount_is_decided_under_the_definition_in_force_at_its_offset() {
    let (from, to) = (NOON - DAY_MS, NOON + DAY_MS);
    let mut partition = Partition::begun();
    partition.send(NOON, &[Row::Exposure("ann", NOON, 1), Row::Conversion("ann", NOON, 10)]);
    partition.define(&format!("f user e 3 {from} {to}"), NOON);
    partition.send(NOON, &[Row::Conversion("ann", NOON, 10)]);
    let (sum, square) = (("sum of 1", 40), ("square of 1", 1_600));
    assert_eq!(partition.told(), [(0, facts([("n of 1", 1), sum, square]))].into());
    for ended in [
        "over",
        "f user e 3 0",
        "f user e 3 0 x",
        "f  user e 3 0 9",
        &format!("f user  3 {from} {to}"),
        &format!("f user e 3 {from} {to} "),
    ] {
        partition.define(ended, NOON);
        partition.send(NOON, &[Row::Conversion("ann", NOON, 10), Row::Exposure("ben", NOON, 1)]);
        assert_eq!(partition.told(), [(0, facts([("n of 1", 1), sum, square]))].into(), "{ended:?} defines nothing");
    }
}

#[test]
fn rows_at_the_horizon_are_late_and_those_outside_the_experiment_are_nothing() {
    let mut partition = Partition::begun();
    let now = NOON + 3 * DAY_MS;
    let horizon = now - 7 * DAY_MS;
    partition.send(now, &[Row::Exposure("ann", horizon, 1), Row::Conversion("ann", horizon, 1)]);
    assert_eq!(partition.told(), [(-4, facts([("late", 2)]))].into());
    partition.send(now, &[Row::Exposure("ann", horizon + 1, 1)]);
    assert_eq!(partition.told(), [(-4, facts([("late", 2), ("n of 1", 1)]))].into());
    let before = partition.told();
    partition.send(now, &[Row::Exposure("ben", NOON + 7 * DAY_MS, 1), Row::Exposure("ben", NOON - 7 * DAY_MS - 1, 1)]);
    assert_eq!(partition.told(), before);
}

#[test]
fn a_subject_expires_by_the_time_of_the_log() {
    for (later_by, units) in [(-1, 1), (0, 2)] {
        let mut partition = Partition::begun();
        partition.send(NOON, &[Row::Exposure("ann", NOON, 1)]);
        let expires = NOON + 14 * DAY_MS;
        partition.define(&format!("f user e 1 {NOON} {}", NOON + 90 * DAY_MS), NOON);
        let now = expires + later_by;
        partition.send(now, &[Row::Exposure("ann", now - 6 * DAY_MS, 1)]);
        let n: i128 = partition.told().values().filter_map(|facts| facts.get("n of 1")).sum();
        assert_eq!(n, units, "{later_by} ms after its time");
    }
}

/// The two rules that only the simulation notices by numbers: each switch moves the limit by one millisecond.
#[test]
fn a_switch_moves_the_horizon_or_the_expiry_by_one() {
    let broken = |rule| {
        let mut partition = Partition::begun();
        partition.rules.breakage.which = rule;
        partition
    };
    for (rule, late) in [(None, [1, 1, 0]), (Some(crate::Break::HorizonOffByOne), [1, 0, 0])] {
        for (by, late) in (-1..).zip(late) {
            let mut partition = broken(rule);
            let now = NOON + 3 * DAY_MS;
            partition.send(now, &[Row::Exposure("ann", now - 7 * DAY_MS + by, 1)]);
            let found: i128 = partition.told().values().filter_map(|facts| facts.get("late")).sum();
            assert_eq!(found, late, "{rule:?}, {by} ms from the horizon");
        }
    }
    for (rule, units) in [(None, [1, 2, 2]), (Some(crate::Break::ExpiryOffByOne), [1, 1, 2])] {
        for (by, units) in (-1..).zip(units) {
            let mut partition = broken(rule);
            partition.send(NOON, &[Row::Exposure("ann", NOON, 1)]);
            partition.define(&format!("f user e 1 {NOON} {}", NOON + 90 * DAY_MS), NOON);
            let now = NOON + 14 * DAY_MS + by;
            partition.send(now, &[Row::Exposure("ann", now - 6 * DAY_MS, 1)]);
            let found: i128 = partition.told().values().filter_map(|facts| facts.get("n of 1")).sum();
            assert_eq!(found, units, "{rule:?}, {by} ms from the expiry");
        }
    }
}

/// The broken rule shows in what is not linear alone: a sum of squares.
#[test]
fn a_switch_puts_what_was_told_before_under_the_newer_definition() {
    for (rule, square) in
        [(None, (10 + 30) * (10 + 30)), (Some(crate::Break::OldUnderNewer), 10 * 10 + 9 * (20 * 20 - 10 * 10))]
    {
        let mut partition = Partition::begun();
        partition.rules.breakage.which = rule;
        partition.send(NOON, &[Row::Exposure("ann", NOON, 1), Row::Conversion("ann", NOON, 10)]);
        partition.define(&format!("f user e 3 {} {}", NOON - DAY_MS, NOON + DAY_MS), NOON);
        partition.send(NOON, &[Row::Conversion("ann", NOON, 10)]);
        let expected = facts([("n of 1", 1), ("sum of 1", 40), ("square of 1", square)]);
        assert_eq!(partition.told(), [(0, expected)].into(), "{rule:?}");
    }
}

#[test]
fn a_subject_lives_until_the_latest_end_under_which_it_changed() {
    for (now, units) in [(NOON + 14 * DAY_MS - 1, 1), (NOON + 14 * DAY_MS, 2)] {
        let mut partition = Partition::begun();
        partition.send(NOON, &[Row::Exposure("ann", NOON, 1)]);
        partition.define(&format!("f user e 1 {NOON} {}", NOON + DAY_MS), NOON);
        partition.send(NOON, &[Row::Exposure("ann", NOON, 1)]);
        partition.define(&format!("f user e 1 {NOON} {}", NOON + 90 * DAY_MS), NOON);
        partition.send(now, &[Row::Exposure("ann", now - 6 * DAY_MS, 1)]);
        let n: i128 = partition.told().values().filter_map(|facts| facts.get("n of 1")).sum();
        assert_eq!(n, units, "at {now}");
    }
}

#[test]
fn a_part_that_is_not_home_counts_here_only_what_acts_here() {
    let mut partition = Partition::begun();
    partition.send_as(NOON, &[Row::Exposure("ann", NOON, 1)], false, 0);
    assert_eq!(partition.told(), [(0, facts([("n of 1", 1)]))].into());
    partition.send_as(NOON, &[Row::Exposure("ben", NOON, 1)], true, 3);
    assert_eq!(partition.told(), [(0, facts([("n of 1", 1)]))].into(), "users act in partition 3");
}

#[test]
fn a_record_that_leaves_a_cell_as_it_was_does_not_touch_it() {
    let mut partition = Partition::begun();
    partition.send(NOON, &[Row::Exposure("ann", NOON, 1)]);
    let before = partition.all_cells();
    partition.send(NOON, &[Row::Conversion("ann", NOON, 5), Row::Conversion("ann", NOON, -5)]);
    let touched = partition.all_cells();
    assert!(before.keys().any(|key| key.kind == CellKind::StandIn));
    assert!(!touched.keys().any(|key| key.kind == CellKind::StandIn), "{touched:?}");
}

#[test]
fn a_state_read_again_after_any_record_goes_on_to_the_same_bytes() {
    quiet_wanted_panics();
    let (mut subjects, seeds) = (0, seeds(60));
    for seed in 0..seeds {
        let made = make_log(&mut Dice::new(seed), &small_generation(), 40);
        let rules = || Rules::new(small_generation(), 0).panicking_in(PanicIn::Rows, &made.panics_at);
        let (mut whole, mut broken, mut rows) = (Partition::of(rules()), Partition::of(rules()), BTreeMap::new());
        for logged in &made.log {
            whole.fold(logged.clone());
            broken.fold(logged.clone());
            let changes = broken.state.changes();
            changes.remove.iter().for_each(|key| drop(rows.remove(key)));
            rows.extend(changes.put);
            let saved = SavedState { position: changes.position, rows: rows.clone().into_iter().collect() };
            broken.state = State::load(&saved, small_generation().dedupe_records).unwrap();
        }
        subjects += whole.state.in_memory().rows.iter().filter(|(key, _)| key.first() == Some(&200)).count();
        assert_eq!(whole.state.in_memory(), broken.state.in_memory(), "seed {seed}");
        assert_eq!(whole.all_cells(), broken.all_cells(), "seed {seed}");
    }
    assert!(2 * subjects > seeds as usize, "{subjects} subjects");
}
