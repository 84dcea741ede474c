//! One record at a time: the generation, the duplicate check, poison, the books, `needs`.

mod bulk;
mod old_path;

use bytes::Bytes;
use prost::Message;
use schemas::cell::CellKind;
use schemas::event::Credential;
use schemas::fixed::MICROS_MAX;
use schemas::generation::{Disagreement, Generation};
use schemas::id::Environment;
use schemas::log::Logged;
use schemas::record;
use schemas::rejection::Rejections;
use schemas::wire::record as wire;

use super::*;
use crate::PanicIn;
use crate::cells::{BODY_BYTES_MAX, BooksChange, Cell};
use crate::held::{CellRef, Cells, NameRef};
use crate::state::{DefinitionKey, State};
use crate::tests::{dice::Dice, naive, payloads, quiet_wanted_panics, seeds};
use crate::worker::{Action, Assigned, Input, LogRange, Mode, Settings, Worker};

struct Partition {
    rules: Rules,
    state: State,
    cells: Cells,
}

impl Partition {
    fn new(rules: Rules) -> Self {
        let state = State::empty(rules.generation.dedupe_records);
        Self { rules, state, cells: Cells::default() }
    }

    /// Folds a record, loading nothing but what `needs` asks for; answers what became of it.
    fn fold(&mut self, logged: Logged) -> Result<(Outcome, Option<DeadLetter>), Halt> {
        let prepared = self.rules.decode(vec![logged]);
        for key in self.rules.needs(&prepared, &self.state, &self.cells) {
            self.cells.insert(key, None, u64::MAX).unwrap();
        }
        match self.rules.step(&self.state, &self.cells, &prepared.records[0]) {
            Stepped::Commit(commit) => {
                let offset = prepared.records[0].logged().offset;
                assert_eq!((commit.offset(), prepared.records[0].offset()), (offset, offset));
                let (outcome, told) = (commit.outcome(), commit.dead_letter().cloned());
                let letter = commit.apply(&mut self.state, &mut self.cells, &self.rules.generation.fold);
                assert_eq!(told, letter, "what is told before is what comes of it");
                Ok((outcome, letter))
            }
            Stepped::Missing(keys) => panic!("needs did not name {keys:?}"),
            Stepped::Halt(halt) => Err(halt),
        }
    }

    /// The cell of SDKs, of the one day that there is.
    fn sdks(&self) -> crate::cells::Sdks {
        let environment = Environment::new("p", "dev").unwrap();
        let window = 1_700_000_000_000_i64.div_euclid(86_400_000) as u32;
        let sdks = CellRef { kind: CellKind::Sdks, environment: &environment, name: NameRef::None, window };
        let key = sdks.to_key(self.rules.generation.number, self.rules.partition);
        let Some((Cell::Sdks(sdks), _)) = self.cells.get(&key) else { panic!("not SDKs") };
        sdks.clone()
    }

    /// The books of all days together.
    fn books(&mut self) -> BooksChange {
        let mut all = Cell::empty(CellKind::Books);
        for write in self.cells.begin_flush().iter().filter(|write| write.key.kind == CellKind::Books) {
            all.merge(&Cell::decode(CellKind::Books, &write.cell.value).unwrap());
        }
        let Cell::Books(books) = all else { panic!("not books") };
        *books.numbers()
    }
}

fn first(rules: &Rules) -> Logged {
    let append = record::generation_record(&rules.generation, rules.partition, 0);
    Logged { offset: 0, append_ms: 0, header: append.header, body: append.body }
}

fn rules() -> Rules {
    Rules::new(payloads::small_generation(), 0)
}

fn begun() -> Partition {
    let mut partition = Partition::new(rules());
    let first = first(&partition.rules);
    partition.fold(first).unwrap();
    partition
}

fn header(version: u32) -> wire::Header {
    wire::Header {
        version,
        kind: 1,
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(b"dev"),
        id_kind: 1,
        payload_id: Bytes::from_static(b"id"),
        home: true,
        accepted: 5,
        received_ms: 1_700_000_000_000,
        carried: vec![wire::Number { reason: 8, number: 2 }],
        rejected: vec![wire::Number { reason: 1, number: 3 }],
        ..wire::Header::default()
    }
}

/// A body that says nothing but who sent it.
fn empty() -> wire::Payload {
    wire::Payload { credential: Credential::Server as u32, ..wire::Payload::default() }
}

/// A body with one evaluation of one flag.
fn one_count() -> Vec<u8> {
    let counts = wire::Counts {
        flag: vec![1],
        variation: vec![1],
        version: vec![0],
        value: vec![0],
        count: vec![1],
        minute: vec![0],
        marks: vec![0],
        element: vec![0],
    };
    let texts = vec![Bytes::from_static(b"f")];
    wire::Payload { texts, counts: Some(counts), ..empty() }.encode_to_vec()
}

fn logged(offset: u64, header: &wire::Header, body: &[u8]) -> Logged {
    Logged { offset, append_ms: 0, header: header.encode_to_vec().into(), body: Bytes::copy_from_slice(body) }
}

#[test]
fn a_partition_begins_with_its_generation() {
    let mut partition = Partition::new(rules());
    assert_eq!(partition.fold(logged(0, &header(1), b"")).unwrap_err(), Halt::NoGeneration(0));
    let mut other = rules();
    other.generation.fold.flags_max = 7;
    let halt = partition.fold(first(&other)).unwrap_err();
    let Halt::Generation { offset: 0, why: Disagreement::Mismatch(mismatch) } = &halt else { panic!("{halt:?}") };
    assert_eq!(mismatch.field, "flags_max");
    assert!(halt.to_string().contains("flags_max = 7"), "{halt}");
    assert_eq!(partition.fold(first(&rules())).unwrap().0, Outcome::Folded);
}

#[test]
fn a_generation_that_disagrees_later_stops_the_partition_too() {
    let mut partition = begun();
    let mut other = rules();
    other.generation.dedupe_records += 1;
    let later = Logged { offset: 1, ..first(&other) };
    assert!(matches!(partition.fold(later), Err(Halt::Generation { offset: 1, .. })));
}

#[test]
fn what_nobody_understands_is_booked_once_as_poison_and_then_as_duplicate() {
    let late = wire::Payload { late: 6, ..empty() };
    let mut no_hour = wire::Payload::decode(&one_count()[..]).unwrap();
    no_hour.counts.as_mut().unwrap().minute = vec![-1_000_000_000];
    let cases: [(&str, &str, wire::Header, Vec<u8>); 5] = [
        ("a body that is none", "cannot be decoded", header(1), b"\xff\xff".to_vec()),
        ("a version of tomorrow", "version", header(2), Vec::new()),
        ("a kind of tomorrow", "kind", wire::Header { kind: 9, ..header(1) }, Vec::new()),
        ("more late than accepted", "6 late elements of 5", header(1), late.encode_to_vec()),
        ("a count in no hour", "in no hour", header(1), no_hour.encode_to_vec()),
    ];
    for (what, words, header, body) in cases {
        let mut partition = begun();
        let (outcome, letter) = partition.fold(logged(1, &header, &body)).unwrap();
        let letter = letter.unwrap_or_else(|| panic!("{what}: no dead letter"));
        assert_eq!((outcome, letter.offset, &letter.body[..]), (Outcome::Poison, 1, &body[..]), "{what}");
        assert!(letter.reason.contains(words), "{what}: {}", letter.reason);
        assert_eq!(partition.fold(logged(2, &header, &body)).unwrap(), (Outcome::Duplicate, None), "{what}");
        let books = partition.books();
        let refused = books.rejected.refused();
        let numbers = (books.accepted, books.counted, books.poison, books.duplicate, refused);
        assert_eq!(numbers, (10, 0, 5, 5, 3 + 2 + 2), "{what}: rejected once, carried twice");
    }
}

#[test]
fn a_panic_in_the_fold_is_poison_and_changes_nothing_else() {
    quiet_wanted_panics();
    for place in [PanicIn::Rows, PanicIn::Reading, PanicIn::Id] {
        let mut partition = Partition::new(rules().panicking_in(place, &[1]));
        let first = first(&partition.rules);
        partition.fold(first).unwrap();
        let (outcome, letter) = partition.fold(logged(1, &header(1), &one_count())).unwrap();
        let reason = letter.unwrap().reason;
        assert_eq!(outcome, Outcome::Poison, "{place:?}");
        assert!(reason.contains("panicked") && reason.contains("offset 1"), "{place:?}: {reason}");
        // Without its id nothing can be remembered of it; a fold that panics there does so on every copy.
        let again = if place == PanicIn::Id { Outcome::Folded } else { Outcome::Duplicate };
        assert_eq!(partition.fold(logged(2, &header(1), &empty().encode_to_vec())).unwrap().0, again, "{place:?}");
        let kinds: Vec<CellKind> = partition.cells.begin_flush().iter().map(|write| write.key.kind).collect();
        assert_eq!(kinds, [CellKind::Books], "{place:?}");
    }
}

#[test]
fn a_panic_in_needs_asks_for_the_books_alone_and_takes_nothing_from_others() {
    quiet_wanted_panics();
    let two = |panics: &[u64]| {
        let rules = rules().panicking_in(PanicIn::Needs, panics);
        let other = wire::Header { payload_id: Bytes::from_static(b"other"), ..header(1) };
        let batch = vec![logged(1, &header(1), &one_count()), logged(2, &other, &one_count())];
        let (state, cells, prepared) = (State::empty(8), Cells::default(), rules.decode(batch));
        let keys = rules.needs(&prepared, &state, &cells);
        keys.into_iter().map(|key| key.kind).collect::<Vec<CellKind>>()
    };
    let all = [CellKind::Books, CellKind::Sdks, CellKind::Usage, CellKind::LastSeen];
    assert_eq!(two(&[]), all);
    assert_eq!(two(&[1, 2]), all[..1]);
    assert_eq!(two(&[1]), all, "what the first asked for is asked for again by the second");

    let mut worker = Worker::new(Settings::new(rules().generation, 0, Mode::Apart).panicking_in(PanicIn::Needs, &[1]));
    let worker = worker.as_mut().unwrap();
    let log = LogRange { from: 0, to: 0 };
    let assigned = Assigned { checkpoint: None, state: None, log, before_checkpoint: None };
    worker.handle(Input::Assigned(Box::new(assigned)));
    let mut inputs = vec![Input::Batch(vec![first(&rules()), logged(1, &header(1), &one_count())])];
    while let Some(input) = inputs.pop() {
        for action in worker.handle(input) {
            let Action::Load(keys) = action else { panic!("{action:?}") };
            inputs.push(Input::Loaded(vec![None; keys.len()]));
        }
    }
    assert_eq!(worker.progress().outcomes, [2, 0, 0], "what `needs` did not name, `step` asks for");
}

#[test]
fn a_process_that_sends_payloads_and_diagnostics_is_one_sdk() {
    let own = ["shop", "NodeJSClient", "9"];
    let rows = |application: u32, sdk: u32, sdk_version: u32| {
        let texts = ["shop", "NodeJSClient", "9", "@n", "8"].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
        let payload = wire::Payload { application, sdk, sdk_version, texts, ..empty() };
        let diagnostic = wire::Diagnostic { sdk: 4, sdk_version: 5, dropped_events: 7, ..wire::Diagnostic::default() };
        let report = wire::Payload { diagnostics: vec![diagnostic], ..payload.clone() };
        let mut partition = begun();
        partition.rules.generation.fold.texts_bytes_max = 4_096;
        for (offset, id, body) in [(1, "payload", payload), (2, "report", report)] {
            let header = wire::Header { payload_id: id.into(), ..header(1) };
            let outcome = partition.fold(logged(offset, &header, &body.encode_to_vec())).unwrap().0;
            assert_eq!(outcome, Outcome::Folded, "{id}");
        }
        let writes = partition.cells.begin_flush();
        let write = writes.iter().find(|write| write.key.kind == CellKind::Sdks).unwrap();
        let Cell::Sdks(sdks) = Cell::decode(CellKind::Sdks, &write.cell.value).unwrap() else { panic!("not SDKs") };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let told = sdks.rows().map(|row| {
            let names = [row.application, row.sdk, row.sdk_version].map(text);
            (names, row.diagnostics, row.dropped_events)
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(rows(1, 2, 3), [(own.map(String::from), 1, 7)]);
    let by_itself = ["", "@n", "8"].map(String::from);
    assert_eq!(rows(0, 0, 0), [(by_itself, 1, 7)], "a sender without a name is what its diagnostic calls itself");
}

#[test]
fn a_header_that_is_none_is_a_dead_letter_and_in_no_books() {
    let mut partition = begun();
    let bad = Logged { header: Bytes::from_static(b"\xff"), ..logged(1, &header(1), b"body") };
    let (outcome, letter) = partition.fold(bad).unwrap();
    let letter = letter.unwrap();
    assert_eq!((outcome, letter.body), (Outcome::Poison, Bytes::from_static(b"body")));
    assert!(letter.reason.contains("cannot be decoded"), "{}", letter.reason);
    assert_eq!(partition.books(), BooksChange::default());
    assert_eq!(partition.state.position(), 2);
}

#[test]
fn parts_of_subjects_touch_neither_books_nor_events() {
    let mut partition = begun();
    let conversions = wire::Conversions {
        key: vec![1],
        kind: vec![1],
        time: vec![0],
        value: vec![5],
        marks: vec![1],
        sampling: vec![1],
        contexts: vec![0],
        ..wire::Conversions::default()
    };
    let texts = vec![Bytes::from_static(b"buy")];
    let body = wire::Payload { texts, conversions: Some(conversions), ..empty() }.encode_to_vec();
    let subject = wire::Header { home: false, accepted: 0, carried: vec![], rejected: vec![], ..header(1) };
    assert_eq!(partition.fold(logged(1, &subject, &body)).unwrap().0, Outcome::Folded);
    assert!(partition.cells.begin_flush().is_empty());
    let odd = wire::Header { accepted: 4, ..subject };
    assert_eq!(partition.fold(logged(2, &odd, &body)).unwrap().0, Outcome::Duplicate);
    assert!(partition.cells.begin_flush().is_empty(), "whatever its header says");
    let home = wire::Header { part: 1, ..header(1) };
    partition.fold(logged(3, &home, &body)).unwrap();
    let kinds: Vec<CellKind> = partition.cells.begin_flush().iter().map(|write| write.key.kind).collect();
    assert_eq!(kinds, [CellKind::Books, CellKind::Events]);
}

/// The log may hold what another ingest wrote: the limits of a value and of a body are the fold's own too.
#[test]
fn values_and_bodies_beyond_their_limits_are_poison() {
    let mut partition = begun();
    let conversions = |value| wire::Conversions {
        key: vec![1],
        kind: vec![1],
        time: vec![0],
        value: vec![value],
        marks: vec![1],
        sampling: vec![1],
        contexts: vec![0],
        ..wire::Conversions::default()
    };
    let mut offset = 0;
    for (value, expected) in [
        (MICROS_MAX, Outcome::Folded),
        (-MICROS_MAX, Outcome::Folded),
        (MICROS_MAX + 1, Outcome::Poison),
        (-MICROS_MAX - 1, Outcome::Poison),
        (i64::MIN, Outcome::Poison),
    ] {
        offset += 1;
        let texts = vec![Bytes::from_static(b"buy")];
        let body = wire::Payload { texts, conversions: Some(conversions(value)), ..empty() }.encode_to_vec();
        let header = wire::Header { payload_id: Bytes::copy_from_slice(&[offset]), ..header(1) };
        assert_eq!(partition.fold(logged(offset.into(), &header, &body)).unwrap().0, expected, "{value}");
    }
    for (bytes, expected) in [(BODY_BYTES_MAX, Outcome::Folded), (BODY_BYTES_MAX + 1, Outcome::Poison)] {
        offset += 1;
        let definition = wire::Definition {
            project: Bytes::from_static(b"p"),
            kind: 1,
            key: Bytes::from_static(b"f"),
            body: vec![b' '; bytes].into(),
            ..wire::Definition::default()
        };
        let append = record::definition_record(&definition, 0, 0);
        let logged = Logged { offset: offset.into(), append_ms: 0, header: append.header, body: append.body };
        assert_eq!(partition.fold(logged).unwrap().0, expected, "{bytes} bytes");
    }
}

#[test]
fn definitions_count_in_partition_0_and_the_highest_version_stays() {
    let definition = |version, body: &'static str| wire::Definition {
        project: Bytes::from_static(b"p"),
        environment: Bytes::new(),
        kind: 1,
        key: Bytes::from_static(b"f"),
        version,
        body: body.into(),
    };
    let record = |offset, partition, version, body| {
        let append = record::definition_record(&definition(version, body), partition, 0);
        Logged { offset, append_ms: 0, header: append.header, body: append.body }
    };
    let mut zero = begun();
    zero.fold(record(1, 0, 0, "old")).unwrap();
    zero.fold(record(4, 0, 0, "new")).unwrap();
    assert_eq!(zero.fold(record(5, 0, 9, "odd")).unwrap().0, Outcome::Poison);
    let writes = zero.cells.begin_flush();
    let Cell::Definition(held) = Cell::decode(CellKind::Definition, &writes[0].cell.value).unwrap() else { panic!() };
    assert_eq!((writes.len(), held.version(), &held.body()[..]), (1, 5, &b"new"[..]));
    assert_eq!(zero.state.definition_version(), 5);

    let mut one = Partition::new(Rules::new(payloads::small_generation(), 1));
    let begin = first(&one.rules);
    one.fold(begin).unwrap();
    one.fold(record(1, 1, 5, "new")).unwrap();
    one.fold(record(2, 1, 2, "old")).unwrap();
    assert_eq!(one.fold(record(3, 1, 0, "none")).unwrap().0, Outcome::Poison);
    assert!(one.cells.begin_flush().is_empty());
    assert_eq!(one.state.definition_version(), 5);
    let environment = Environment { project: Bytes::from_static(b"p"), key: Bytes::new() };
    let held = one.state.definition(&DefinitionKey { environment, kind: 1, key: Bytes::from_static(b"f") }).unwrap();
    assert_eq!((held.version, &held.body[..]), (5, &b"new"[..]));
}

#[test]
fn the_running_log_time_believes_neither_clock_alone() {
    let mut partition = begun();
    let at = |offset, append_ms, received_ms| {
        let header = wire::Header { received_ms, payload_id: Bytes::copy_from_slice(&[offset as u8]), ..header(1) };
        Logged { append_ms, ..logged(offset, &header, b"") }
    };
    for (offset, append_ms, received_ms, expected) in [
        (1, 1_000_000, 900_000, 1_000_000),
        (2, 9_000_000, 1_000_000, 1_300_000),
        (3, 500, 1_000_000, 1_300_000),
        (4, 1_400_000, 99_000_000, 1_400_000),
    ] {
        partition.fold(at(offset, append_ms, received_ms)).unwrap();
        assert_eq!(partition.state.log_time_ms(), expected, "offset {offset}");
    }
}

#[test]
fn needs_names_every_cell_for_any_batch() {
    quiet_wanted_panics();
    let generation = payloads::small_generation();
    for seed in 0..seeds(300) {
        let mut dice = Dice::new(seed);
        let made = payloads::make_log(&mut dice, &generation, 40);
        let rules = Rules::new(generation.clone(), 0).panicking_in(PanicIn::Rows, &made.panics_at);
        let (mut state, mut cells) = (State::empty(generation.dedupe_records), Cells::default());
        let mut rest = &made.log[..];
        while !rest.is_empty() {
            let (batch, later) = rest.split_at((1 + dice.below(12)).min(rest.len()));
            rest = later;
            let prepared = rules.decode(batch.to_vec());
            let keys = rules.needs(&prepared, &state, &cells);
            assert!(keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key)), "each once, seed {seed}");
            keys.into_iter().for_each(|key| cells.insert(key, None, u64::MAX).unwrap());
            for record in &prepared.records {
                let mut again = true;
                while std::mem::take(&mut again) {
                    match rules.step(&state, &cells, record) {
                        Stepped::Commit(commit) => drop(commit.apply(&mut state, &mut cells, &generation.fold)),
                        // Which days of an experiment a row changes only its subject tells.
                        Stepped::Missing(keys) if keys.iter().all(|key| key.kind == CellKind::StandIn) => {
                            keys.into_iter().for_each(|key| cells.insert(key, None, u64::MAX).unwrap());
                            again = true;
                        }
                        other => panic!("{other:?}\nseed {seed}"),
                    }
                }
            }
        }
        let naive = naive::Naive::new(&generation, &made.panics_at).folded(&made.log);
        assert_eq!(state.log_time_ms(), naive.log_time_ms, "seed {seed}");
    }
}

#[test]
fn what_was_refused_is_booked_where_it_was_received() {
    let mut partition = begun();
    let mut carried = Rejections::default();
    carried.add(schemas::rejection::Rejection::BadCompression, 4);
    let append = record::numbers_record(&Environment::new("p", "dev").unwrap(), 1, &carried, 1_700_000_000_000);
    partition.fold(Logged { offset: 1, append_ms: 0, header: append.header, body: append.body }).unwrap();
    assert_eq!(partition.books(), BooksChange { rejected: carried, ..BooksChange::default() });

    let numbers = wire::Header { kind: 4, carried: vec![], rejected: vec![], ..header(1) };
    partition.fold(logged(2, &numbers, b"")).unwrap();
    assert_eq!(partition.books().counted, 5, "what such a record says that it took in balances too");
}

#[test]
fn an_instance_is_told_from_others_and_is_one_however_often_it_reports() {
    let mut partition = begun();
    partition.rules.generation.fold.texts_bytes_max = 4_096;
    for (offset, instance, expected) in [(1, "", 0), (2, "a", 1), (3, "a", 1), (4, "b", 2), (5, "c", 3), (6, "", 3)] {
        let texts = ["NodeJSClient", instance].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
        let told = wire::Payload { sdk: 1, instance: if instance.is_empty() { 0 } else { 2 }, texts, ..empty() };
        let header = wire::Header { payload_id: Bytes::copy_from_slice(&[offset]), ..header(1) };
        partition.fold(logged(offset.into(), &header, &told.encode_to_vec())).unwrap();
        let sdks = partition.sdks();
        let instances: f64 = sdks.rows().map(|row| row.instances.unwrap()).sum();
        assert_eq!(instances.round() as u32, expected, "record {offset}");
    }
}

#[test]
fn the_same_id_in_another_environment_or_of_another_kind_is_another_payload() {
    let body = empty().encode_to_vec();
    let first = header(1);
    let elsewhere = wire::Header { environment: Bytes::from_static(b"prod"), ..first.clone() };
    let diagnostic = wire::Header { id_kind: 2, ..first.clone() };
    let duplicates = |rule: Option<crate::Break>| {
        let mut partition = begun();
        partition.rules.breakage.which = rule;
        let sent = (1..).zip([&first, &elsewhere, &diagnostic, &first, &elsewhere]);
        let fold = |(offset, header)| partition.fold(logged(offset, header, &body)).unwrap().0 == Outcome::Duplicate;
        sent.map(fold).collect::<Vec<bool>>()
    };
    assert_eq!(duplicates(None), [false, false, false, true, true]);
    assert_eq!(duplicates(Some(crate::Break::IdWithoutEnvironment)), [false, true, false, true, true]);
    assert_eq!(duplicates(Some(crate::Break::IdWithoutKind)), [false, false, true, true, true]);
}
