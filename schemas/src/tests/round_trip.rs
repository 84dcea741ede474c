//! Rows in are rows out, over all parts together, and the split rule looks at nothing but rows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::payloads::{RECEIVED_MS, any_payload, environment};
use crate::event::{ContextKey, Conversion, ConversionKind, Payload, Variation};
use crate::log::{Append, Logged};
use crate::old_path::Gated;
use crate::record::{Header, Judged, PayloadView, Stamp, StoredVariation, decode_payload, encode};
use crate::rejection::{Rejection, Rejections};
use crate::split::{Split, at, split, split_within};

fn records(payload: &Payload<'_>, split: &Split, judged: &[Judged]) -> Vec<Append> {
    gated(payload, split, judged, Gated::Both)
}

fn gated(payload: &Payload<'_>, split: &Split, judged: &[Judged], gated: Gated) -> Vec<Append> {
    let mut carried = Rejections::default();
    carried.add(Rejection::TooDeep, 3);
    let stamp = Stamp { environment: &environment(), received_ms: RECEIVED_MS, carried: &carried, gated };
    encode(payload, split, judged, &stamp)
}

fn read(record: &Append) -> (Header, PayloadView) {
    let logged = Logged { offset: 0, append_ms: 0, header: record.header.clone(), body: record.body.clone() };
    let header = Header::decode(&record.header).unwrap();
    let view = decode_payload(&logged, header.received_ms).unwrap();
    (header, view)
}

fn variation(variation: &Variation<'_>) -> Value {
    match variation {
        Variation::Default => json!("default"),
        Variation::Index(index) => json!(index),
        Variation::Name(name) => json!([name]),
    }
}

fn stored(variation: StoredVariation<'_>) -> Value {
    match variation {
        StoredVariation::Default => json!("default"),
        StoredVariation::Index(index) => json!(index),
        StoredVariation::Name(name) => json!([str(name)]),
    }
}

fn str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The tables of a payload as comparable rows, those of late elements left out. Exposures and conversions as (row,
/// contexts).
#[derive(Debug, Default, PartialEq)]
struct Tables {
    counts: Vec<Value>,
    reasons: Vec<Value>,
    migrations: Vec<Value>,
    exposures: Vec<(Value, Vec<Value>)>,
    conversions: Vec<(Value, Vec<Value>)>,
    late_counts: Vec<Value>,
    late_events: Vec<Value>,
}

fn context((kind, key): (&str, Option<&str>)) -> Value {
    json!([kind, key])
}

/// What must come out: context keys only where `acts` says so.
fn expected(payload: &Payload<'_>, judged: &[Judged], acts: impl Fn(u32) -> bool) -> Tables {
    let on_time = |element: u32| !judged[at(element)].late;
    let minute = |element: u32| judged[at(element)].time_ms.div_euclid(60_000);
    let time = |element: u32| judged[at(element)].time_ms;
    let clamped = |element: u32| judged[at(element)].clamped;
    let contexts = |range: &std::ops::Range<u32>| -> Vec<Value> {
        let row = |at: u32| -> &ContextKey<'_> { &payload.context_keys[at as usize] };
        range.clone().map(|at| context((&row(at).kind, acts(at).then_some(&*row(at).key)))).collect()
    };
    let mut tables = Tables::default();
    for r in payload.counts.iter().filter(|r| on_time(r.element)) {
        let marks = [r.error, clamped(r.element), r.estimated];
        let row = json!([r.flag, variation(&r.variation), r.version, r.value, r.count, minute(r.element), marks]);
        tables.counts.push(json!([r.element, row]));
    }
    for r in payload.evaluations.iter().filter(|r| on_time(r.element)) {
        tables.reasons.push(json!([r.flag, minute(r.element), r.reason.name()]));
        if r.in_experiment {
            let row = json!([r.flag, variation(&r.variation), r.version, time(r.element)]);
            tables.exposures.push((row, contexts(&r.contexts)));
        }
    }
    for r in payload.conversions.iter().filter(|r| on_time(r.element)) {
        let value = r.value.map(|value| value.0);
        let row = json!([r.key, r.kind as u32, time(r.element), value, clamped(r.element), r.sampling]);
        tables.conversions.push((row, contexts(&r.contexts)));
    }
    for r in payload.migrations.iter().filter(|r| on_time(r.element)) {
        let marks = [
            (r.write, 1),
            (r.invoked.old, 2),
            (r.invoked.new, 4),
            (r.consistent.is_some(), 8),
            (r.consistent == Some(true), 16),
            (r.error.old, 32),
            (r.error.new, 64),
        ];
        let marks: u32 = marks.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
        let latency = [r.latency_us.old, r.latency_us.new];
        tables.migrations.push(json!([r.flag, variation(&r.variation), time(r.element), marks, latency, r.sampling]));
    }
    for r in payload.counts.iter().filter(|r| !on_time(r.element) && r.count > 0) {
        tables.late_counts.push(json!([r.flag, variation(&r.variation), r.count, minute(r.element)]));
    }
    let custom = |r: &&Conversion<'_>| r.kind == ConversionKind::Custom;
    for r in payload.conversions.iter().filter(custom).filter(|r| !on_time(r.element)) {
        tables.late_events.push(json!([r.key, time(r.element), r.sampling]));
    }
    tables
}

fn add(tables: &mut Tables, view: &PayloadView) {
    for r in view.counts() {
        let (flag, value) = (str(r.flag), r.value.map(|value| str(value)));
        let marks = [r.error, r.clamped, r.estimated];
        let row = json!([flag, stored(r.variation), r.version, value, r.count, r.minute, marks]);
        tables.counts.push(json!([r.element, row]));
    }
    for r in view.reasons() {
        let row = json!([str(r.flag), r.minute, r.reason.name()]);
        tables.reasons.extend(std::iter::repeat_n(row, usize::try_from(r.number).unwrap()));
    }
    for r in view.exposures() {
        let row = json!([str(r.flag), stored(r.variation), r.version, r.time_ms]);
        let contexts = view.exposure_contexts(&r).map(|c| context((str(c.kind), c.key.map(|key| str(key)))));
        tables.exposures.push((row, contexts.collect()));
    }
    for r in view.conversions() {
        let row = json!([str(r.key), r.kind, r.time_ms, r.value, r.clamped, r.sampling]);
        let contexts = view.conversion_contexts(&r).map(|c| context((str(c.kind), c.key.map(|key| str(key)))));
        tables.conversions.push((row, contexts.collect()));
    }
    for r in view.migrations() {
        let latency = [r.latency_old_us, r.latency_new_us];
        tables.migrations.push(json!([str(r.flag), stored(r.variation), r.time_ms, r.marks, latency, r.sampling]));
    }
    for r in view.late_counts() {
        tables.late_counts.push(json!([str(r.flag), stored(r.variation), r.count, r.minute]));
    }
    for r in view.late_events() {
        tables.late_events.push(json!([str(r.key), r.time_ms, r.sampling]));
    }
}

/// Rows of which a key acts there: what a further partition must get.
fn acting(rows: Vec<(Value, Vec<Value>)>) -> Vec<(Value, Vec<Value>)> {
    rows.into_iter().filter(|(_, contexts)| contexts.iter().any(|context| !context[1].is_null())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Each row once in the home parts; in each further partition once each row of which a key acts there; each key
    /// acts exactly once over all partitions, as every context's partition is one.
    #[test]
    fn every_row_comes_out_once_where_it_belongs(
        (payload, judged) in any_payload(),
        partitions in prop::sample::select(vec![1_u32, 2, 4, 9]),
        part_bytes_max in prop::sample::select(vec![200_usize, 600, 1_000_000]),
    ) {
        let split = split_within(&environment(), &payload, partitions, part_bytes_max);
        let appends = records(&payload, &split, &judged);
        let mut heads = Vec::new();
        for partition in 0..partitions {
            let mut found = Tables::default();
            let mut parts = Vec::new();
            for record in appends.iter().filter(|record| record.partition == partition) {
                let (header, view) = read(record);
                add(&mut found, &view);
                parts.push(header.part);
                heads.push((header, view));
            }
            prop_assert_eq!(&parts, &(0..u32::try_from(parts.len()).unwrap()).collect::<Vec<_>>());
            let mut wanted = expected(&payload, &judged, |context| split.acts_in[at(context)] == partition);
            if partition != crate::partition::home(&environment(), partitions) {
                let (exposures, conversions) = (acting(wanted.exposures), acting(wanted.conversions));
                wanted = Tables { exposures, conversions, ..Tables::default() };
            }
            prop_assert_eq!(found, wanted);
        }
        for (context, key) in payload.context_keys.iter().zip(&split.acts_in) {
            let partition = crate::partition::subject(&environment(), &context.kind, &context.key, partitions);
            prop_assert_eq!(partition, *key);
        }
        let sum = |number: fn(&Header, &PayloadView) -> u64| heads.iter().map(|(h, v)| number(h, v)).sum::<u64>();
        let judged_so = |judgement: fn(&Judged) -> bool| judged.iter().filter(|j| judgement(j)).count() as u64;
        prop_assert_eq!(sum(|h, _| h.accepted), payload.elements.len() as u64);
        prop_assert_eq!(sum(|_, v| v.late()), judged_so(|j| j.late));
        prop_assert_eq!(sum(|_, v| v.clamped()), judged_so(|j| j.clamped));
        prop_assert_eq!(sum(|h, _| h.rejected.of(Rejection::UnknownKind)), payload.rejections.of(Rejection::UnknownKind));
        prop_assert_eq!(sum(|h, _| h.carried.of(Rejection::TooDeep)), 3);
        let ids: std::collections::BTreeSet<_> =
            appends.iter().zip(&heads).map(|(append, _)| {
                (append.partition, Header::decode(&append.header).unwrap().record_id())
            }).collect();
        prop_assert_eq!(ids.len(), appends.len(), "two records of a payload share an id in one partition");
    }

    /// Other times, other judgements, another receipt: the same parts.
    #[test]
    fn the_split_looks_at_rows_alone((payload, _) in any_payload(), shift in any::<i32>()) {
        let mut moved = payload.clone();
        for element in &mut moved.elements {
            element.time_ms = element.time_ms.map(|time| time + i64::from(shift)).filter(|time| time % 3 != 0);
        }
        moved.id = None;
        moved.rejections = Rejections::default();
        moved.origin.application = "another".into();
        prop_assert_eq!(split(&environment(), &payload, 4), split(&environment(), &moved, 4));
        prop_assert_eq!(
            split_within(&environment(), &payload, 4, 300),
            split_within(&environment(), &moved, 4, 300)
        );
    }

    /// Each judgement for all, late included, leaves partition, id and part of every record as they were.
    #[test]
    fn judgements_leave_the_records_ids((payload, judged) in any_payload(), late: bool) {
        let split = split_within(&environment(), &payload, 4, 300);
        let others = vec![Judged { time_ms: RECEIVED_MS - 1, clamped: !late, late }; judged.len()];
        let ids = |judged: &[Judged]| -> Vec<_> {
            records(&payload, &split, judged).iter()
                .map(|record| (record.partition, Header::decode(&record.header).unwrap().record_id()))
                .collect()
        };
        prop_assert_eq!(ids(&judged), ids(&others));
    }

    /// Where the old path is not written nobody needs the late rows, and no byte is spent on them or on the gate.
    #[test]
    fn late_rows_are_kept_only_where_both_paths_are_written((payload, judged) in any_payload()) {
        let split = split_within(&environment(), &payload, 4, 600);
        let [none, new_only] = [Gated::No, Gated::NewOnly].map(|mark| gated(&payload, &split, &judged, mark));
        for ((none, new_only), both) in none.iter().zip(&new_only).zip(&records(&payload, &split, &judged)) {
            for (record, mark) in [(none, Gated::No), (new_only, Gated::NewOnly), (both, Gated::Both)] {
                prop_assert_eq!(Header::decode(&record.header).unwrap().gated, mark);
            }
            let view = read(none).1;
            prop_assert_eq!((view.late_counts().count(), view.late_events().count()), (0, 0));
            prop_assert_eq!(&none.body, &new_only.body);
            prop_assert_eq!(none.header.len() + 2, new_only.header.len());
            let ids = [none, new_only, both].map(|record| Header::decode(&record.header).unwrap().record_id());
            prop_assert_eq!((ids[0], ids[1]), (ids[1], ids[2]), "the stage of the gate must not make another record");
        }
    }

    /// The same rows, judged the same, give the same bytes.
    #[test]
    fn encoding_twice_gives_the_same_bytes((payload, judged) in any_payload()) {
        let split = split(&environment(), &payload, 4);
        prop_assert_eq!(records(&payload, &split, &judged), records(&payload, &split, &judged));
    }
}
