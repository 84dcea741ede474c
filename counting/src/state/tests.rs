//! State: the memory of ids against a list, and rows there and back.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use schemas::id::Environment;
use schemas::record::RecordId;
use schemas::stored::SavedState;

use super::rows::DefinitionKey;
use super::*;
use crate::stand_in::Subject;

fn id(number: u8) -> RecordId {
    let mut bytes = [0; 16];
    // Few distinct hashes, so that ids meet in the table.
    (bytes[0], bytes[15]) = (number % 3, number + 1);
    RecordId(bytes)
}

/// What a state says, by looking.
fn told(state: &State) -> String {
    let mut ids: Vec<(u8, u64)> = Vec::new();
    for number in 0..40 {
        ids.extend((0..60).map(|at| (number, state.position() + at)).filter(|(n, at)| state.knows(&id(*n), *at)));
    }
    let environment = Environment::new("p", "dev").unwrap();
    let names =
        |kind| state.seen(&environment).map(|seen| (0..9_u8).filter(|n| seen.of(kind).contains(&[*n][..])).count());
    let (flags, events) = (names(NameKind::Flag), names(NameKind::Event));
    let marks = |seen: &Seen| (0..9_u8).filter(|n| seen.client_side().contains(&[*n][..])).collect::<Vec<_>>();
    let marks = state.seen(&environment).map(marks);
    let definitions: Vec<_> = (0..5).map(|key| state.definition(&definition_key(key)).cloned()).collect();
    let subjects: Vec<_> = (0..9).map(|key| state.subject(&subject(key)).cloned()).collect();
    let experiments = state.stand_in_experiments(&definition_key(0).environment);
    let head = (state.position(), state.log_time_ms(), state.definition_version());
    format!("{head:?} {ids:?} {flags:?} {events:?} {marks:?} {definitions:?} {subjects:?} {experiments:?}")
}

fn definition_key(key: u8) -> DefinitionKey {
    DefinitionKey {
        environment: Environment::new("p", "e").unwrap(),
        kind: 200 - key % 2,
        key: Bytes::copy_from_slice(&[key]),
    }
}

fn subject(key: u8) -> Bytes {
    subject_row(&Environment::new("p", "e").unwrap(), b"x", b"user", &[key])
}

proptest! {
    #[test]
    fn an_id_is_known_when_a_copy_lies_within_the_last_n_records(
        records in 1_u64..12,
        log in prop::collection::vec((prop::option::weighted(0.9, 0_u8..9), 0_u64..3), 1..60),
    ) {
        let mut state = State::empty(records);
        let mut list: Vec<(u64, u8)> = Vec::new();
        let mut offset = 0;
        for (number, gap) in log {
            offset += gap * if gap == 2 { records } else { 1 };
            for asked in 0..9 {
                let known = list.iter().any(|(at, held)| *held == asked && offset - at <= records);
                prop_assert_eq!(state.knows(&id(asked), offset), known, "id {} at {}", asked, offset);
            }
            state.pass(offset, number.map(id), None);
            list.extend(number.map(|number| (offset, number)));
            offset += 1;
        }
    }

    #[test]
    fn what_was_saved_is_the_state_as_it_was(
        records in 1_u64..12,
        steps in prop::collection::vec((0_u8..8, 0_u8..9), 1..80),
    ) {
        let mut state = State::empty(records);
        let mut rows: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        let environment = Environment::new("p", "dev").unwrap();
        for (what, number) in steps {
            match what {
                0 | 1 => {
                    let (kind, name) = (if what == 0 { NameKind::Flag } else { NameKind::Event }, Bytes::from(vec![number]));
                    state.see(&environment, NameSeen { kind, name: &name, client_side: false });
                }
                7 => {
                    let name = Bytes::from(vec![number]);
                    state.see(&environment, NameSeen { kind: NameKind::Flag, name: &name, client_side: true });
                }
                2 => {
                    let body = if number > 5 { "over".to_owned() } else { format!("f user e {number} 0 9") };
                    let (key, version, body) = (definition_key(number % 5), state.position() + 1, Bytes::from(body));
                    state.define(DefinitionSeen { key, version, body: &body, in_force: true }, &Breakage::default());
                }
                4 => {
                    let mut kept = Subject::default();
                    kept.expires_ms = i64::from(number);
                    kept.expose(number.into(), 5);
                    kept.convert(7, -1);
                    kept.convert(8, i128::MAX);
                    kept.compact(7);
                    state.put_subject(subject(number), kept);
                }
                3 => {
                    let changes = state.changes();
                    changes.remove.iter().for_each(|key| { rows.remove(key); });
                    rows.extend(changes.put);
                    let saved: Vec<_> = rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                    let held = saved.len() as u64;
                    prop_assert!(held <= records + 1 + 2 * 9 + 5 + 9, "{} rows: what left the window stays", held);
                    let mut loaded = State::load(&SavedState { position: changes.position, rows: saved }, records).unwrap();
                    prop_assert_eq!(told(&loaded), told(&state));
                    let in_memory = State::load(&state.in_memory(), records).unwrap();
                    prop_assert_eq!(told(&in_memory), told(&state), "what is in memory is all of it");
                    prop_assert_eq!(loaded.changes().put.len(), 1, "only the head is put again");
                    state = State::load(&SavedState { position: changes.position, rows: rows.clone().into_iter().collect() }, records).unwrap();
                }
                _ => state.pass(state.position(), (number > 0).then(|| id(number)), Some(i64::from(number))),
            }
        }
    }

    #[test]
    fn no_rows_make_loading_panic(rows: Vec<(Vec<u8>, Vec<u8>)>, position: u64) {
        let rows = rows.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let _ = State::load(&SavedState { position, rows }, 10);
    }
}

#[test]
fn rows_that_are_no_state_are_refused_by_name() {
    let head = rows::head(5, 0);
    let load = |position, rows: Vec<(Bytes, Bytes)>| State::load(&SavedState { position, rows }, 10).unwrap_err();
    assert_eq!(load(3, vec![]), StateError::NoHead(3));
    assert_eq!(load(3, vec![(head.0.clone(), Bytes::from_static(&[9]))]), StateError::Form(9));
    let before = (head.0.clone(), Bytes::from([&[1], &head.1[1..]].concat()));
    assert_eq!(load(3, vec![before]), StateError::Form(1), "a state without marks of client-side flags");
    let name = Bytes::from_static(b"f");
    for kind in [NameKind::Flag, NameKind::Event] {
        let seen = NameSeen { kind, name: &name, client_side: false };
        let (key, _) = rows::name(&Environment::new("p", "e").unwrap(), seen);
        let odd = (key, Bytes::from_static(if kind == NameKind::Flag { &[2] } else { &[1] }));
        assert!(matches!(load(3, vec![head.clone(), odd]), StateError::Row { .. }), "{kind:?}");
    }
    let ahead = (rows::id_key(3), Bytes::copy_from_slice(&id(1).0));
    assert_eq!(load(3, vec![head.clone(), ahead]), StateError::Ahead { position: 3, offset: 3 });
    let unknown = (Bytes::from_static(&[99]), Bytes::new());
    assert!(matches!(load(3, vec![head, unknown]), StateError::Row { .. }));
}

#[test]
fn what_leaves_the_window_leaves_what_is_saved_and_nothing_else_does() {
    let (mut state, mut rows) = (State::empty(5), BTreeMap::new());
    for offset in 0..40_u64 {
        state.pass(offset, Some(id(offset as u8 + 1)), None);
        // Now and then more passes than the window holds, so that some ids are never saved.
        if offset % 3 == 0 && offset / 10 % 2 == 0 {
            let changes = state.changes();
            changes.remove.iter().for_each(|key| assert!(rows.remove(key).is_some(), "{key:?} was never put"));
            rows.extend(changes.put);
            let held = (offset + 1).min(5) as usize;
            assert_eq!(rows.len(), held + 1, "the window and the head, at {offset}");
        }
    }
}

#[test]
fn no_rows_at_offset_0_are_the_empty_state() {
    let state = State::load(&SavedState { position: 0, rows: vec![] }, 10).unwrap();
    assert_eq!(told(&state), told(&State::empty(10)));
}

/// An eighth of the default N, so that all capacities are an eighth of the default's too.
#[test]
fn a_remembered_id_takes_28_bytes() {
    let records = schemas::generation::DEDUPE_RECORDS / 8;
    let mut state = State::empty(records);
    for offset in 0..records * 2 {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&offset.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        state.pass(offset, Some(RecordId(bytes)), None);
    }
    assert_eq!(state.remembered(), (125_000, records));
    let each = state.remembered.bytes() as f64 / records as f64;
    assert!(each < 28.0, "{each} bytes an id");
}
