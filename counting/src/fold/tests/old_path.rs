//! What the gate and the old path did, record by record.

use std::collections::BTreeSet;

use schemas::event::{Conversion, ConversionKind, Count, Element, ElementKind, Payload, PayloadId, Variation};
use schemas::log::Append;
use schemas::old_path::{Counted, Fate, Gated, Numbers, OutcomeRow, outcome_record};
use schemas::record::{Judged, Stamp, StoredVariation};
use schemas::split::split;

use super::*;
use crate::cells::{Events, OldPath, Usage};

const NOW: i64 = 1_700_000_000_000;
const WEEK_AGO: i64 = NOW - 8 * 86_400_000;

fn dev() -> Environment {
    Environment::new("p", "dev").unwrap()
}

/// Three evaluations and a sight of a flag, ten purchases and a click; the second summary and purchase are late.
fn payload(id: &str) -> Payload<'static> {
    let element = |kind| Element { kind, time_ms: None };
    let count = |element, count| Count {
        element,
        flag: "f".into(),
        variation: Variation::Index(1),
        version: Some(3),
        value: None,
        count,
        error: false,
        estimated: false,
    };
    let conversion = |element, kind, sampling| Conversion {
        element,
        kind,
        key: "buy".into(),
        value: None,
        sampling,
        contexts: 0..0,
    };
    use ConversionKind::{Click, Custom};
    Payload {
        id: Some(PayloadId::Sent(id.as_bytes().to_vec())),
        elements: [ElementKind::Summary, ElementKind::Summary, ElementKind::Custom, ElementKind::Custom]
            .map(element)
            .to_vec(),
        counts: vec![count(0, 3), count(0, 0), count(1, 20), count(1, 0)],
        conversions: vec![
            conversion(2, Custom, 10),
            conversion(2, Click, 1),
            conversion(3, Custom, 40),
            conversion(3, Click, 1),
        ],
        ..Payload::default()
    }
}

fn copy(id: &str, gated: Gated) -> Append {
    let judged = [(NOW, false), (WEEK_AGO, true), (NOW, false), (WEEK_AGO, true)].map(|(time_ms, late)| Judged {
        time_ms,
        clamped: false,
        late,
    });
    record_of(&payload(id), &judged, gated)
}

fn record_of(payload: &Payload<'_>, judged: &[Judged], gated: Gated) -> Append {
    let environment = dev();
    let stamp = Stamp { environment: &environment, received_ms: NOW, carried: &Rejections::default(), gated };
    record::encode(payload, &split(&environment, payload, 1), judged, &stamp).remove(0)
}

fn folded(records: &[Append]) -> Partition {
    let mut partition = begun();
    for (offset, append) in (1..).zip(records) {
        let Append { header, body, .. } = append.clone();
        let outcome = partition.fold(Logged { offset, append_ms: 0, header, body }).unwrap().0;
        assert_ne!(outcome, Outcome::Poison, "record {offset}");
    }
    partition
}

fn cell(partition: &Partition, kind: CellKind, name: &str, time_ms: i64) -> Option<Cell> {
    let (environment, window) = (dev(), u32::try_from(time_ms / HOUR_MS).unwrap());
    let of = CellRef { kind, environment: &environment, name: NameRef::Key(name.as_bytes()), window };
    let (cell, h) = partition.cells.get(&of.to_key(1, 0))?;
    h.map(|_| cell.clone())
}

/// The old path's numbers of the flag and of the event in an hour.
fn numbers(partition: &Partition, time_ms: i64) -> [Numbers; 2] {
    let of = |kind, name| match cell(partition, kind, name, time_ms) {
        Some(Cell::OldPath(cell) | Cell::OldPathEvents(cell)) => cell.total(),
        _ => Numbers::default(),
    };
    [of(CellKind::OldPath, "f"), of(CellKind::OldPathEvents, "buy")]
}

#[test]
fn each_copy_is_numbered_by_what_the_gate_did_with_it() {
    let none = Numbers::default();
    let both = |flag, event| (flag, event);
    for (gated, again, now, late) in [
        (Gated::No, Gated::No, both(none, none), both(none, none)),
        (
            Gated::Both,
            Gated::No,
            both(Numbers { counted: 3, ..none }, Numbers { counted: 10, ..none }),
            both(Numbers { late: 20, ..none }, Numbers { late: 40, ..none }),
        ),
        (
            Gated::NewOnly,
            Gated::NewOnly,
            both(Numbers { new_only: 3, ..none }, Numbers { new_only: 10, ..none }),
            both(none, none),
        ),
        (
            Gated::Both,
            Gated::Both,
            both(Numbers { counted: 3, duplicate: 3, ..none }, Numbers { counted: 10, duplicate: 10, ..none }),
            both(Numbers { late: 20, duplicate: 20, ..none }, Numbers { late: 40, duplicate: 40, ..none }),
        ),
        // The old path was in charge alone of nothing here: its copy came when both are written, and is dropped.
        (
            Gated::NewOnly,
            Gated::Both,
            both(Numbers { new_only: 3, duplicate: 3, ..none }, Numbers { new_only: 10, duplicate: 10, ..none }),
            both(Numbers { duplicate: 20, ..none }, Numbers { duplicate: 40, ..none }),
        ),
    ] {
        let partition = folded(&[copy("a", gated), copy("a", again)]);
        assert_eq!(numbers(&partition, NOW), [now.0, now.1], "{gated:?}, then {again:?}");
        assert_eq!(numbers(&partition, WEEK_AGO), [late.0, late.1], "{gated:?}, then {again:?}, late");
    }
}

#[test]
fn usage_and_events_tell_what_came_while_a_gate_chose() {
    let partition = folded(&[copy("a", Gated::No), copy("b", Gated::Both), copy("c", Gated::NewOnly)]);
    let Some(Cell::Usage(usage)) = cell(&partition, CellKind::Usage, "f", NOW) else { panic!("no usage") };
    let pairs: Vec<_> = usage.pairs().map(|pair| (pair.version, pair.count, pair.gated)).collect();
    assert_eq!(pairs, [(Some(3), 9, 6)]);
    let Some(Cell::Events(events)) = cell(&partition, CellKind::Events, "buy", NOW) else { panic!("no events") };
    assert_eq!((events.count(), events.gated()), (30, 20));
    let [flag, event] = numbers(&partition, NOW);
    assert_eq!((flag.counted + flag.new_only, event.counted + event.new_only), (6, 20), "the same said twice");
}

#[test]
fn without_a_gate_the_same_is_written_as_ever() {
    let mut partition = folded(&[copy("a", Gated::No), copy("a", Gated::No)]);
    let writes = partition.cells.begin_flush();
    let kinds: BTreeSet<CellKind> = writes.iter().map(|write| write.key.kind).collect();
    use CellKind::{Books, Events, LastSeen, Sdks, Usage};
    assert!(!kinds.contains(&Sdks), "nobody said who it is");
    assert_eq!(kinds, BTreeSet::from([Usage, LastSeen, Events, Books]));
    // Fields of the gate are 0 and take no byte.
    let of = |kind| writes.iter().find(|write| write.key.kind == kind).unwrap().cell.value.clone();
    let events = schemas::wire::cells::Events::decode(of(Events)).unwrap();
    assert_eq!((events.gated, of(Events).len()), (0, 2));
    let usage = schemas::wire::cells::Usage::decode(of(Usage)).unwrap();
    assert!(usage.pairs.iter().all(|pair| pair.gated == 0));
    let prepared = partition.rules.decode(vec![logged_of(9, &copy("b", Gated::No))]);
    let asked = partition.rules.needs(&prepared, &partition.state, &Cells::default());
    let asked: BTreeSet<CellKind> = asked.iter().map(|key| key.kind).collect();
    assert_eq!(asked, BTreeSet::from([Usage, LastSeen, Events, Books, Sdks]), "nor is more asked for");
}

fn logged_of(offset: u64, append: &Append) -> Logged {
    Logged { offset, append_ms: 0, header: append.header.clone(), body: append.body.clone() }
}

fn outcomes(id: u8, rows: &[(Fate, u64)]) -> Append {
    let flag = Counted::Flag { key: b"f", variation: StoredVariation::Index(1) };
    let rows: Vec<_> = rows
        .iter()
        .flat_map(|(fate, number)| {
            [flag, Counted::Event { key: b"buy" }].map(|counted| OutcomeRow {
                counted,
                time_ms: NOW,
                fate: *fate,
                number: *number,
            })
        })
        .collect();
    outcome_record(&dev(), 1, [id; 16], NOW, &rows)
}

#[test]
fn every_fate_is_added_once_however_often_its_record_is_appended() {
    let all: Vec<(Fate, u64)> = Fate::ALL.into_iter().zip(1..).collect();
    let mut partition = folded(&[outcomes(1, &all), outcomes(1, &all), outcomes(2, &all[..4])]);
    for of in numbers(&partition, NOW) {
        for (fate, number) in &all {
            let times = if (*fate as u64) <= 4 { 2 } else { 1 };
            assert_eq!(of.of(*fate), number * times, "{fate:?}");
        }
    }
    assert_eq!(partition.books(), BooksChange::default(), "outcomes are no events");
}

/// Nobody writes such a record yet; whoever does finds the books balanced.
#[test]
fn what_a_record_of_outcomes_says_was_accepted_is_counted() {
    let mut append = outcomes(1, &[(Fate::Applied, 1)]);
    let mut header = schemas::record::Header::decode(&append.header).unwrap();
    header.accepted = 3;
    append.header = header.encode();
    let books = folded(&[append]).books();
    assert_eq!(books, BooksChange { accepted: 3, counted: 3, ..BooksChange::default() });
}

/// The intents and the outcomes of a flag's hour, in any order: the sums are the same.
#[test]
fn no_order_of_intents_and_outcomes_matters() {
    let records = [
        copy("a", Gated::Both),
        copy("b", Gated::NewOnly),
        copy("c", Gated::Both),
        outcomes(1, &[(Fate::Applied, 3)]),
        outcomes(2, &[(Fate::Uncertain, 2), (Fate::Extra, 1)]),
        outcomes(3, &[(Fate::Started, 10), (Fate::JobApplied, 10)]),
    ];
    let expected = [NOW, WEEK_AGO].map(|hour| numbers(&folded(&records), hour));
    assert_eq!(expected[0][0].of(Fate::Applied), 3);
    for seed in 0..200 {
        let dice = &mut Dice::new(seed);
        let mut shuffled = records.to_vec();
        (1..shuffled.len()).for_each(|last| shuffled.swap(last, dice.below(last + 1)));
        assert_eq!([NOW, WEEK_AGO].map(|hour| numbers(&folded(&shuffled), hour)), expected, "seed {seed}");
    }
}

/// Ingest writes late rows where the old path is written with them; wherever else they stand, they say nothing of it.
#[test]
fn late_rows_of_a_copy_that_the_old_path_is_not_written_with_are_left_out() {
    for gated in [Gated::No, Gated::NewOnly] {
        let mut copy = copy("a", Gated::Both);
        let mut header = schemas::record::Header::decode(&copy.header).unwrap();
        header.gated = gated;
        copy.header = header.encode();
        assert_eq!(numbers(&folded(&[copy]), WEEK_AGO), [Numbers::default(); 2], "{gated:?}");
    }
}

/// A dead letter tells the minute in which the row lies, rounded down as hours are.
#[test]
fn what_lies_in_no_hour_is_poison_that_tells_the_minute() {
    let count = |late| (ElementKind::Summary, late);
    let event = |late| (ElementKind::Custom, late);
    let of_payload = |(kind, late)| {
        let mut payload = payload("a");
        payload.elements = vec![Element { kind, time_ms: None }];
        payload.counts.truncate(if kind == ElementKind::Summary { 1 } else { 0 });
        payload.conversions.truncate(if kind == ElementKind::Custom { 1 } else { 0 });
        payload.conversions.iter_mut().for_each(|row| row.element = 0);
        record_of(&payload, &[Judged { time_ms: -90_000, clamped: false, late }], Gated::Both)
    };
    let row = OutcomeRow { counted: Counted::Event { key: b"buy" }, time_ms: -90_000, fate: Fate::Applied, number: 1 };
    for (what, append) in [
        ("a count", of_payload(count(false))),
        ("a late count", of_payload(count(true))),
        ("an event", of_payload(event(false))),
        ("a late event", of_payload(event(true))),
        ("an outcome", outcome_record(&dev(), 1, [9; 16], NOW, &[row])),
    ] {
        let (outcome, letter) = begun().fold(logged_of(1, &append)).unwrap();
        let reason = letter.map(|letter| letter.reason).unwrap_or_default();
        let expected = format!("{what} lies at minute -2 since 1970, in no hour");
        assert_eq!((outcome, reason), (Outcome::Poison, expected));
    }
}

#[test]
fn an_outcome_of_another_partition_is_nothing() {
    let mut partition = begun();
    let mut away = outcomes(1, &[(Fate::Applied, 1)]);
    let mut header = schemas::record::Header::decode(&away.header).unwrap();
    header.home = false;
    away.header = header.encode();
    assert_eq!(partition.fold(logged_of(2, &away)).unwrap().0, Outcome::Folded);
    assert_eq!(numbers(&partition, NOW), [Numbers::default(); 2]);
}

/// Whatever a dropped copy says or does to the fold, it stays a duplicate.
#[test]
fn a_copy_that_cannot_be_walked_is_a_duplicate_all_the_same() {
    quiet_wanted_panics();
    let mut partition = begun();
    partition.rules = partition.rules.clone().panicking_in(PanicIn::Duplicate, &[2]);
    let again =
        |partition: &mut Partition, offset| partition.fold(logged_of(offset, &copy("a", Gated::Both))).unwrap().0;
    assert_eq!(again(&mut partition, 1), Outcome::Folded);
    let before = numbers(&partition, NOW);
    assert_eq!(again(&mut partition, 2), Outcome::Duplicate);
    assert_eq!(numbers(&partition, NOW), before);
    assert_eq!(again(&mut partition, 3), Outcome::Duplicate);
    assert_eq!(numbers(&partition, NOW)[0], Numbers { counted: 3, duplicate: 3, ..Numbers::default() });

    let far = wire::Counts {
        flag: vec![1],
        variation: vec![0],
        version: vec![0],
        value: vec![0],
        count: vec![1],
        minute: vec![i64::MAX],
        marks: vec![0],
        element: vec![0],
    };
    let body = wire::Payload { counts: Some(far), texts: vec![Bytes::from_static(b"f")], ..empty() };
    let header = wire::Header { gated: 1, ..header(1) };
    let mut partition = begun();
    let mut fold = |offset| partition.fold(logged(offset, &header, &body.encode_to_vec())).unwrap().0;
    assert_eq!([fold(1), fold(2)], [Outcome::Poison, Outcome::Duplicate]);
}

#[test]
fn a_generation_of_the_fold_before_is_refused_by_name() {
    let mut partition = Partition::new(rules());
    let before = crate::FOLD_VERSION - 1;
    let theirs = Generation { fold_version: before, ..partition.rules.generation.clone() };
    let append = record::generation_record(&theirs, 0, 0);
    let refused = partition.fold(logged_of(0, &append)).unwrap_err().to_string();
    let said = format!("fold = {before}, this process has fold = {}", crate::FOLD_VERSION);
    assert!(refused.contains(&said), "{refused}");
    assert!(refused.contains("begin another generation"), "{refused}");
}

/// Names beyond the limit share a cell, in whichever way they come.
#[test]
fn names_beyond_the_limit_share_a_cell_of_the_old_path() {
    let mut partition = begun();
    let row = |key| OutcomeRow {
        counted: Counted::Flag { key, variation: StoredVariation::Default },
        time_ms: NOW,
        fate: Fate::Applied,
        number: 1,
    };
    let keys: Vec<Vec<u8>> = (b'a'..=b'h').map(|key| vec![key]).collect();
    let rows: Vec<_> = keys.iter().map(|key| row(key)).collect();
    partition.fold(logged_of(1, &outcome_record(&dev(), 1, [1; 16], NOW, &rows))).unwrap();
    let writes = partition.cells.begin_flush();
    let of = |name: &schemas::cell::CellName| -> Vec<u64> {
        let cells = writes.iter().filter(|write| write.key.kind == CellKind::OldPath && write.key.name == *name);
        cells.map(|write| OldPath::decode(&write.cell.value).unwrap().total().of(Fate::Applied)).collect()
    };
    let most = partition.rules.generation.fold.flags_max as usize;
    assert_eq!(of(&schemas::cell::CellName::Other), [(keys.len() - most) as u64]);
    for key in &keys[..most] {
        assert_eq!(of(&schemas::cell::CellName::Key(Bytes::copy_from_slice(key))), [1], "{key:?}");
    }
}

#[test]
fn reads_and_writes_of_a_migration_are_counted_apart() {
    use schemas::event::{MigrationOp, OldNew};
    let op = |element, write, sampling, latency| MigrationOp {
        element,
        flag: "move".into(),
        variation: Variation::Name("live".into()),
        write,
        invoked: OldNew { old: true, new: true },
        consistent: Some(!write),
        error: OldNew { old: false, new: write },
        latency_us: OldNew { old: Some(latency), new: None },
        sampling,
    };
    let elements = vec![Element { kind: ElementKind::MigrationOp, time_ms: None }; 3];
    let migrations = vec![op(0, false, 1, 1_000), op(1, false, 9, 2_000), op(2, true, 1, 3_000)];
    let payload = Payload { elements, migrations, ..Payload::default() };
    let judged = [Judged { time_ms: NOW, clamped: false, late: false }; 3];
    let mut partition = folded(&[record_of(&payload, &judged, Gated::No)]);
    let of = |name: &str| match cell(&partition, CellKind::Migration, name, NOW) {
        Some(Cell::Migration(cell)) => cell,
        other => panic!("{other:?}"),
    };
    let (reads, writes) = (of("rmove"), of("wmove"));
    assert_eq!((reads.operations(), reads.checked(), reads.consistent(), reads.estimated()), (10, 10, 10, true));
    assert_eq!((writes.operations(), writes.checked(), writes.consistent(), writes.estimated()), (1, 1, 0, false));
    assert_eq!((reads.sides().old.invoked, reads.sides().new.failed, writes.sides().new.failed), (10, 0, 1));
    let latency = |per_mille| reads.sides().old.latency.quantile_us(per_mille).unwrap();
    assert!(latency(100).abs_diff(1_000) <= 1_000 / 64 && latency(101).abs_diff(2_000) <= 2_000 / 64);
    assert_eq!(reads.sides().new.latency.quantile_us(500), None);
    let of_name = [b"rmove", b"wmove", b"xmove"].map(|name| crate::cells::operation_of(name));
    assert_eq!(of_name, [Some((false, &b"move"[..])), Some((true, &b"move"[..])), None]);
    assert!(partition.cells.begin_flush().iter().all(|write| write.key.kind != CellKind::LastSeen));
}

/// Cells of kinds that hold what a gate did are read as they were written, and so are those from before there was one.
#[test]
fn cells_from_before_the_gate_are_read() {
    let usage = schemas::wire::cells::UsagePair { minutes: 1, count: vec![5], ..Default::default() };
    let usage = schemas::wire::cells::Usage { pairs: vec![usage], ..Default::default() };
    let usage = Usage::decode(&usage.encode_to_vec()).unwrap();
    assert_eq!(usage.pairs().map(|pair| (pair.count, pair.gated)).collect::<Vec<_>>(), [(5, 0)]);
    assert_eq!(Events::decode(b"").unwrap().gated(), 0);
}
