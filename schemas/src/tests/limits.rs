//! No record outgrows the log's limit, whatever a body within ingest's limits decodes to; and what a usual record
//! weighs.

use std::borrow::Cow;
use std::fmt::Write;

use super::payloads::{RECEIVED_MS, conversion, count, environment, exposure, full};
use crate::event::{
    ContextKey, Conversion, Count, Diagnostic, Element, ElementKind, Evaluation, MigrationOp, OldNew, Origin, Payload,
    PayloadId, Reason, VALUE_BYTES_MAX, Variation,
};
use crate::fixed::Micros;
use crate::id::{CONTEXT_KEY_BYTES_MAX, Environment, KEY_BYTES_MAX, NAME_BYTES_MAX, PAYLOAD_ID_BYTES_MAX};
use crate::log::{Append, RECORD_BYTES_MAX};
use crate::old_path::Gated;
use crate::record::{Judged, Stamp, encode};
use crate::rejection::{Rejection, Rejections};
use crate::split::split;

const BODY_BYTES: usize = 10 * 1024 * 1024;
/// As far from the receive time as a number goes, so that each time takes the most bytes.
const FAR: Judged = Judged { time_ms: i64::MIN / 4, clamped: true, late: false };

fn longest_environment() -> Environment {
    Environment::new(&"p".repeat(KEY_BYTES_MAX), &"e".repeat(KEY_BYTES_MAX)).unwrap()
}

fn most_rejections() -> Rejections {
    let mut all = Rejections::default();
    Rejection::ALL.into_iter().for_each(|reason| all.add(reason, u64::MAX));
    all
}

/// Everything beside the rows at its limit, and beyond where the encoder holds the limit.
fn heavy() -> Payload<'static> {
    let name = |letter: char| Cow::Owned(letter.to_string().repeat(10 * NAME_BYTES_MAX));
    Payload {
        origin: Origin {
            application: name('a'),
            application_version: name('b'),
            sdk: name('c'),
            sdk_version: name('d'),
            wrapper: name('e'),
            instance: name('f'),
            ..Origin::default()
        },
        id: Some(PayloadId::Sent(vec![b'i'; PAYLOAD_ID_BYTES_MAX])),
        contexts_seen: (0..50_000).map(|n| (key(n, KEY_BYTES_MAX), u64::MAX)).collect(),
        diagnostics: (0..5_000)
            .map(|n| Diagnostic {
                id: "".into(),
                time_ms: Some(i64::MAX),
                start: true,
                sdk: key(n, NAME_BYTES_MAX),
                sdk_version: key(n + 5_000, NAME_BYTES_MAX),
                dropped_events: u64::MAX,
            })
            .collect(),
        rejections: most_rejections(),
        ..Payload::default()
    }
}

/// A key of exactly `bytes` bytes, another for each `number`.
fn key(number: usize, bytes: usize) -> Cow<'static, str> {
    let mut text = String::with_capacity(bytes);
    write!(text, "{number:x}").unwrap();
    Cow::Owned(format!("{text:-<bytes$}"))
}

fn records(payload: &Payload<'_>, partitions: u32, judged: Judged) -> Vec<Append> {
    let (environment, carried) = (longest_environment(), most_rejections());
    let stamp = Stamp { environment: &environment, received_ms: RECEIVED_MS, carried: &carried, gated: Gated::Both };
    let judged = vec![judged; payload.elements.len()];
    encode(payload, &split(&environment, payload, partitions), &judged, &stamp)
}

fn assert_within(payload: &Payload<'_>, at_least: usize) {
    for partitions in [1, 4] {
        let [on_time, late] = [false, true].map(|late| {
            let records = records(payload, partitions, Judged { late, ..FAR });
            records.iter().map(|record| record.header.len() + record.body.len()).collect::<Vec<usize>>()
        });
        let sizes = [&on_time[..], &late[..]].concat();
        assert!(sizes.iter().all(|size| *size <= RECORD_BYTES_MAX), "{sizes:?}");
        let sizes = on_time;
        assert!(
            sizes.len() >= at_least,
            "only {} records: the payload is not as large as it is meant to be",
            sizes.len()
        );
    }
}

fn elements(number: usize) -> Vec<Element> {
    vec![Element { kind: ElementKind::Summary, time_ms: None }; number]
}

#[test]
fn ten_mebibytes_of_counters_with_the_longest_keys() {
    let value: &'static str = Box::leak("v".repeat(VALUE_BYTES_MAX).into_boxed_str());
    let rows = BODY_BYTES / (KEY_BYTES_MAX + 40);
    let counts = (0..rows).map(|n| Count {
        version: Some(u64::MAX - 1),
        value: Some(value),
        error: true,
        estimated: true,
        ..count(0, &key(n, KEY_BYTES_MAX), Variation::Name(key(rows + n, KEY_BYTES_MAX)), u64::MAX)
    });
    assert_within(&Payload { elements: elements(1), counts: counts.collect(), ..heavy() }, 10);
}

/// The smallest rows: the most that a body of this size can hold.
#[test]
fn ten_mebibytes_of_the_shortest_counters() {
    let rows = BODY_BYTES / 20;
    let counts = (0..rows).map(|n| Count {
        version: Some(u64::MAX - 1),
        value: None,
        error: true,
        ..count(0, &format!("{n:x}"), Variation::Index(u32::MAX), u64::MAX)
    });
    assert_within(&Payload { elements: elements(1), counts: counts.collect(), ..heavy() }, 10);
}

#[test]
fn events_with_many_contexts_and_the_longest_keys() {
    let mut payload = Payload { elements: elements(10_000), ..heavy() };
    for element in 0..10_000_u32 {
        let n = element as usize;
        let from = payload.context_keys.len() as u32;
        payload.context_keys.push(ContextKey { kind: key(n, KEY_BYTES_MAX), key: key(n, CONTEXT_KEY_BYTES_MAX) });
        let evaluation = Evaluation {
            variation: Variation::Name(key(50_000 + n, KEY_BYTES_MAX)),
            version: Some(u64::MAX - 1),
            reason: [Reason::Off, Reason::Other][n % 2],
            ..exposure(element, &key(n, KEY_BYTES_MAX), from..from + 1)
        };
        payload.evaluations.push(evaluation);
        let value = Some(Micros(i64::MIN));
        let conversion = Conversion { value, sampling: u64::MAX, ..conversion(element, "c", from..from + 1) };
        payload.conversions.push(conversion);
        payload.migrations.push(MigrationOp {
            element,
            flag: key(70_000 + n, KEY_BYTES_MAX),
            variation: Variation::Name(key(90_000 + n, KEY_BYTES_MAX)),
            write: true,
            invoked: OldNew { old: true, new: true },
            consistent: Some(true),
            error: OldNew { old: true, new: true },
            latency_us: OldNew { old: Some(u64::MAX - 1), new: Some(u64::MAX - 1) },
            sampling: u64::MAX,
        });
    }
    assert_within(&payload, 10);
}

/// One event may name thousands of contexts; it still is one row.
#[test]
fn one_event_of_thousands_of_contexts() {
    let contexts = 64 * 1024 / 8;
    let mut payload = Payload { elements: elements(100), ..heavy() };
    for element in 0..100_u32 {
        let from = payload.context_keys.len() as u32;
        for n in 0..contexts {
            payload.context_keys.push(ContextKey { kind: format!("{n:x}").into(), key: "k".into() });
        }
        payload.evaluations.push(exposure(element, "f", from..payload.context_keys.len() as u32));
    }
    assert_within(&payload, 10);
}

#[test]
fn full_evaluations_without_texts_take_no_more_than_their_weight() {
    let mut payload = Payload { elements: elements(200_000), ..heavy() };
    payload.context_keys.push(ContextKey { kind: "u".into(), key: "k".into() });
    for element in 0..200_000_u32 {
        let reason = [Reason::Off, Reason::Other][element as usize % 2];
        let version = Some(u64::MAX - 1);
        let variation = Variation::Index(u32::MAX);
        payload.evaluations.push(Evaluation { version, reason, variation, ..exposure(element, "f", 0..1) });
    }
    assert_within(&payload, 10);
}

/// The figures of `docs/decisions/record-encoding.md`.
#[test]
fn what_usual_records_weigh() {
    let environment = environment();
    let carried = Rejections::default();
    let stamp = Stamp { environment: &environment, received_ms: RECEIVED_MS, carried: &carried, gated: Gated::No };
    let weigh = |payload: &Payload<'_>, judged: &[Judged]| {
        let records = encode(payload, &split(&environment, payload, 1), judged, &stamp);
        assert_eq!(records.len(), 1);
        (records[0].header.len(), records[0].body.len())
    };
    let now = Judged { time_ms: RECEIVED_MS - 5_000, clamped: false, late: false };
    let base = Payload { origin: full().0.origin, id: full().0.id, ..Payload::default() };
    let summary = |flags: usize| {
        let flag = |n: usize| format!("team-{}.feature-number-{n}", n % 7);
        let counts =
            (0..flags).flat_map(|n| [0, 1].map(|index| count(0, &flag(n), Variation::Index(index), 100 + n as u64)));
        Payload { elements: elements(1), counts: counts.collect(), ..base.clone() }
    };
    let full_events = {
        let mut payload = Payload { elements: elements(1_000), ..base.clone() };
        for element in 0..1_000_u32 {
            payload.context_keys.push(ContextKey { kind: "user".into(), key: format!("user-{element:08}").into() });
            payload.evaluations.push(exposure(element, "new-checkout", element..element + 1));
        }
        payload
    };
    let figures = [
        weigh(&summary(3), &[now]),
        weigh(&summary(50), &[now]),
        weigh(&summary(1_000), &[now]),
        weigh(&full_events, &[now; 1_000]),
    ];
    assert_eq!(figures, [(76, 266), (76, 2_279), (76, 46_747), (77, 24_059)]);
}

/// The figures of `docs/decisions/partitioning.md`.
#[test]
fn how_many_records_usual_payloads_make() {
    let mut subjects = Payload { elements: elements(1_000), ..Payload::default() };
    for element in 0..1_000_u32 {
        subjects.context_keys.push(ContextKey { kind: "user".into(), key: format!("user-{element:08}").into() });
        subjects.evaluations.push(exposure(element, "new-checkout", element..element + 1));
    }
    let mut php = Payload { elements: elements(10_000), ..Payload::default() };
    for element in 0..10_000_u32 {
        php.context_keys.push(ContextKey { kind: "user".into(), key: format!("user-{element:08}").into() });
        php.counts.push(count(element, "new-checkout", Variation::Index(1), 1));
        let evaluation = exposure(element, "new-checkout", element..element + 1);
        php.evaluations.push(Evaluation { in_experiment: false, ..evaluation });
    }
    let parts = |payload: &Payload<'_>| [1, 8].map(|partitions| split(&environment(), payload, partitions).parts.len());
    let value: &'static str = Box::leak("v".repeat(VALUE_BYTES_MAX).into_boxed_str());
    let counts = (0..18_000)
        .map(|n| Count { value: Some(value), ..count(0, &key(n, KEY_BYTES_MAX), Variation::Index(0), 1) })
        .collect();
    let longest = Payload { elements: elements(1), counts, ..Payload::default() };
    assert_eq!([parts(&subjects), parts(&php), parts(&longest)], [[1, 8], [3, 3], [13, 13]]);
}
