//! Records of outcomes: what is written is read again, within the log's limit, once only.

use bytes::Bytes;
use proptest::prelude::*;

use super::payloads::{RECEIVED_MS, environment};
use crate::id::{Environment, KEY_BYTES_MAX};
use crate::log::RECORD_BYTES_MAX;
use crate::old_path::{Counted, Fate, Gated, OUTCOME_ROWS_MAX, OutcomeRow, decode_outcomes, outcome_record};
use crate::partition;
use crate::record::{Header, RecordKind, StoredVariation};

/// Every fate, of every kind of variation and of events.
pub(super) fn every_outcome() -> Vec<OutcomeRow<'static>> {
    let flag = |variation| Counted::Flag { key: b"new-checkout", variation };
    let counted = [
        flag(StoredVariation::Default),
        flag(StoredVariation::Index(1)),
        flag(StoredVariation::Name(b"blue")),
        Counted::Event { key: b"new-checkout" },
    ];
    let fates = Fate::ALL.into_iter().zip(1..).zip(counted.into_iter().cycle());
    fates
        .map(|((fate, number), counted)| {
            let time_ms = RECEIVED_MS - 3_600_000 * i64::try_from(number).unwrap();
            OutcomeRow { counted, time_ms, fate, number }
        })
        .collect()
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"ab\0/".to_vec()), 1..4)
}

fn variations() -> impl Strategy<Value = Option<Result<u32, Vec<u8>>>> {
    prop_oneof![Just(None), any::<u32>().prop_map(|n| Some(Ok(n))), texts().prop_map(|name| Some(Err(name)))]
}

proptest! {
    #[test]
    fn rows_in_are_rows_out(
        rows in prop::collection::vec((texts(), any::<bool>(), variations(), any::<i32>(), 0..13_usize, any::<u64>()), 0..20),
        id: [u8; 16],
        partitions in 1..9_u32,
    ) {
        let rows: Vec<OutcomeRow<'_>> = rows.iter().map(|(key, flag, variation, delta, fate, number)| {
            let variation = match variation {
                None => StoredVariation::Default,
                Some(Ok(index)) => StoredVariation::Index(*index),
                Some(Err(name)) => StoredVariation::Name(name),
            };
            let counted = if *flag { Counted::Flag { key, variation } } else { Counted::Event { key } };
            let time_ms = RECEIVED_MS + i64::from(*delta);
            OutcomeRow { counted, time_ms, fate: Fate::ALL[*fate], number: *number }
        }).collect();
        let record = outcome_record(&environment(), partitions, id, RECEIVED_MS, &rows);
        let header = Header::decode(&record.header).unwrap();
        prop_assert_eq!((header.kind, header.home, header.gated), (RecordKind::Outcome, true, Gated::No));
        prop_assert_eq!((header.accepted, header.received_ms, &header.environment), (0, RECEIVED_MS, &environment()));
        prop_assert_eq!(record.partition, partition::home(&environment(), partitions));
        let view = decode_outcomes(&record.body, header.received_ms).unwrap();
        prop_assert_eq!(view.rows().collect::<Vec<_>>(), rows);
    }
}

#[test]
fn the_largest_record_of_outcomes_is_within_the_logs_limit() {
    let environment = Environment::new(&"p".repeat(KEY_BYTES_MAX), &"e".repeat(KEY_BYTES_MAX)).unwrap();
    let text = |letter: char, n: usize| {
        format!("{n:-<width$}", width = KEY_BYTES_MAX - 1)
            .into_bytes()
            .into_iter()
            .chain([letter as u8])
            .collect::<Vec<u8>>()
    };
    let texts: Vec<_> = (0..OUTCOME_ROWS_MAX).map(|n| (text('k', n), text('v', n))).collect();
    let row = |(key, name): &'static (Vec<u8>, Vec<u8>)| OutcomeRow {
        counted: Counted::Flag { key, variation: StoredVariation::Name(name) },
        time_ms: i64::MIN / 2,
        fate: Fate::JobLost,
        number: u64::MAX,
    };
    let texts: &'static [_] = texts.leak();
    let rows: Vec<_> = texts.iter().map(row).collect();
    let record = outcome_record(&environment, 1, [255; 16], i64::MAX / 2, &rows);
    let size = record.header.len() + record.body.len();
    assert!((RECORD_BYTES_MAX / 2..=RECORD_BYTES_MAX).contains(&size), "{size} bytes");
}

#[test]
fn an_outcome_is_known_by_its_own_id_and_is_no_payload_of_that_id() {
    let record = |id| Header::decode(&outcome_record(&environment(), 1, id, 7, &every_outcome()).header).unwrap();
    assert_eq!(record([1; 16]).record_id(), record([1; 16]).record_id());
    assert_ne!(record([1; 16]).record_id(), record([2; 16]).record_id());
    let sent = crate::event::PayloadId::Sent(vec![1; 16]);
    assert_ne!(Header { id: Some(sent), ..record([1; 16]) }.record_id(), record([1; 16]).record_id());
}

#[test]
fn numbers_of_marks_and_fates_never_change() {
    assert_eq!([Gated::No, Gated::Both, Gated::NewOnly].map(|gated| gated as u32), [0, 1, 2]);
    assert_eq!(Gated::from_number(3), None);
    for (number, fate) in (1..).zip(Fate::ALL) {
        assert_eq!((fate as u32, Fate::from_number(number)), (number, Some(fate)));
    }
    assert_eq!([0, 14].map(Fate::from_number), [None, None]);
    let nothing = decode_outcomes(&Bytes::new(), 0).unwrap();
    assert_eq!(nothing.rows().count(), 0);
}
