//! Records of a seed: payloads with few flags and small limits, so that every limit is met; re-sends, parts, numbers,
//! definitions, and records that nobody can read.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message;
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Credential, Diagnostic, Element, ElementKind, Evaluation,
    MigrationOp, OldNew, Origin, Payload, PayloadId, Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::{Append, Logged};
use schemas::old_path::{Counted, Fate, Gated, OutcomeRow, outcome_record};
use schemas::record::{self, Judged, Stamp, StoredVariation};
use schemas::rejection::{Rejection, Rejections};
use schemas::split::{Part, Split};
use schemas::wire::record as wire;

use super::dice::Dice;

const DAY: i64 = 86_400_000;
const KINDS: [ElementKind; 7] = {
    use ElementKind::{Custom, Feature, Identify, MigrationOp, Summary};
    [Summary, Feature, Feature, Custom, Custom, Identify, MigrationOp]
};
/// Near midnight, so that records fall on two days and several hours.
pub(crate) const START: i64 = 19_000 * DAY - 2 * 3_600_000;

/// A generation of one partition with limits that a handful of records meets.
pub(crate) fn small_generation() -> Generation {
    let mut generation = Generation::new(1, "t", 1, crate::FOLD_VERSION);
    generation.dedupe_records = 8;
    // Experiments look back three hours, of a log that goes on for four or more.
    generation.clock.lateness_ms = 3 * 3_600_000;
    // As many client-side flags as a bulk read needs, and no more than a log has.
    generation.fold.flags_max = 5;
    generation.fold.usage_pairs_max = 2;
    generation.fold.usage_rows_max = 3;
    generation.fold.last_seen_rows_max = 3;
    generation.fold.sdk_rows_max = 2;
    generation.fold.texts_bytes_max = 24;
    generation
}

/// A partition's log, and the offsets at which the fold is to panic.
pub(crate) struct Made {
    pub(crate) log: Vec<Logged>,
    pub(crate) panics_at: Vec<u64>,
}

pub(crate) fn make_log(dice: &mut Dice, generation: &Generation, records: usize) -> Made {
    let mut appends: Vec<Append> = vec![record::generation_record(generation, 0, START)];
    let mut sent: Vec<(Environment, Payload<'static>, Split)> = Vec::new();
    let (mut panics_at, mut experiments, mut told) = (Vec::new(), Vec::new(), Vec::new());
    while appends.len() < records {
        let now = START + dice.below(4 * 3_600_000) as i64;
        match dice.below(26) {
            _ if (3..6).contains(&appends.len()) && dice.percent(70) => {
                appends.push(stand_in(dice, &mut experiments, START));
            }
            20..=22 => appends.push(stand_in(dice, &mut experiments, now)),
            23..=25 => appends.push(outcomes(dice, &mut told, now)),
            0 => appends.push(numbers(dice, now)),
            1 => appends.push(definition(dice, now)),
            2 => appends.push(unreadable(dice, now)),
            3 => appends.push(record::generation_record(generation, 0, now)),
            4..=9 if !sent.is_empty() => {
                let which = sent.len() - 1 - dice.below(sent.len().min(6));
                let (environment, payload, split) = &sent[which];
                push_some(dice, &mut appends, environment, payload, split, now);
            }
            _ => {
                let environment = Environment::new("p", dice.pick(&["dev", "dev", "prod"])).unwrap();
                let payload = payload(dice, sent.len());
                let split = cut(dice, &payload);
                if dice.percent(5) {
                    panics_at.push(appends.len() as u64);
                }
                push_some(dice, &mut appends, &environment, &payload, &split, now);
                sent.push((environment, payload, split));
            }
        }
    }
    let mut log = Vec::new();
    for (offset, append) in (0_u64..).zip(appends) {
        let append_ms = START + offset as i64 * 600_000 - dice.below(1_800_000) as i64;
        log.push(Logged { offset, append_ms, header: append.header, body: append.body });
    }
    Made { log, panics_at }
}

/// The payload's parts, some of them missing or out of order: their appends failed and come again with a re-send.
fn push_some(
    dice: &mut Dice,
    appends: &mut Vec<Append>,
    environment: &Environment,
    payload: &Payload<'_>,
    split: &Split,
    now: i64,
) {
    let late_before = now - 3 * 3_600_000 + dice.below(3_600_000) as i64;
    let judge = |element: &Element| {
        let sent = element.time_ms.unwrap_or(now);
        let clamped = sent > now + 300_000;
        Judged { time_ms: if clamped { now } else { sent }, clamped, late: sent < late_before }
    };
    let judged: Vec<Judged> = payload.elements.iter().map(judge).collect();
    let mut carried = Rejections::default();
    carried.add(Rejection::TooDeep, dice.below(2) as u64);
    let gated = dice.pick(&[Gated::No, Gated::Both, Gated::Both, Gated::NewOnly]);
    let stamp = Stamp { environment, received_ms: now, carried: &carried, gated };
    let mut records = record::encode(payload, split, &judged, &stamp);
    if dice.percent(20) {
        records.reverse();
    }
    for append in records {
        if dice.percent(90) {
            appends.push(append);
        }
    }
}

/// Cuts a payload into one to three parts by element, as the split rule does with large ones.
fn cut(dice: &mut Dice, payload: &Payload<'_>) -> Split {
    let elements = payload.elements.len() as u32;
    let mut parts: Vec<Part> = Vec::new();
    for part in 0..=dice.below(3) as u32 {
        let from = parts.last().map_or(0, |part| part.elements.end);
        let to = elements.min(from + 1 + dice.below(3) as u32);
        let of = |element: u32| (from..to).contains(&element);
        let counts = payload.counts.partition_point(|row| row.element < from) as u32
            ..payload.counts.partition_point(|row| row.element < to) as u32;
        parts.push(Part {
            partition: 0,
            part,
            home: true,
            elements: from..to,
            counts,
            evaluations: (0..).zip(&payload.evaluations).filter(|(_, row)| of(row.element)).map(|(n, _)| n).collect(),
            conversions: (0..).zip(&payload.conversions).filter(|(_, row)| of(row.element)).map(|(n, _)| n).collect(),
            migrations: payload.migrations.partition_point(|row| row.element < from) as u32
                ..payload.migrations.partition_point(|row| row.element < to) as u32,
        });
    }
    // Whatever was not cut goes into the last part.
    if let Some(last) = parts.last_mut() {
        last.elements.end = elements;
        last.counts.end = payload.counts.len() as u32;
        last.migrations.end = payload.migrations.len() as u32;
        let from = last.elements.start;
        last.evaluations = (0..).zip(&payload.evaluations).filter(|(_, r)| r.element >= from).map(|(n, _)| n).collect();
        last.conversions = (0..).zip(&payload.conversions).filter(|(_, r)| r.element >= from).map(|(n, _)| n).collect();
    }
    Split { parts, acts_in: vec![0; payload.context_keys.len()] }
}

fn payload(dice: &mut Dice, number: usize) -> Payload<'static> {
    let id = format!("payload-{number}").into_bytes();
    let id = if dice.percent(90) { Some(PayloadId::Sent(id)) } else { None };
    let mut payload = Payload { id, origin: origin(dice), ..Payload::default() };
    for (kind, key) in [("user", "alice"), ("user", "bob"), ("org", "acme")] {
        payload.context_keys.push(ContextKey { kind: kind.into(), key: key.into() });
    }
    if dice.percent(14) {
        let time_ms = Some(START + dice.below(6 * 3_600_000) as i64);
        payload.elements.push(Element { kind: ElementKind::Summary, time_ms });
        all_flags(dice, &mut payload, 0);
        payload.origin.credential = dice.pick(&[Credential::Server, Credential::Mobile, Credential::ClientSide]);
        return payload;
    }
    for element in 0..dice.below(6) as u32 {
        let kind = dice.pick(&KINDS);
        let time = START + dice.below(6 * 3_600_000) as i64;
        payload.elements.push(Element { kind, time_ms: dice.percent(90).then_some(time) });
        match kind {
            ElementKind::Summary if dice.percent(40) => all_flags(dice, &mut payload, element),
            ElementKind::Summary => (0..1 + dice.below(4)).for_each(|_| count(dice, &mut payload, element)),
            ElementKind::Feature => {
                count(dice, &mut payload, element);
                (0..1 + dice.below(3)).for_each(|_| evaluation(dice, &mut payload, element));
            }
            ElementKind::MigrationOp => operation(dice, &mut payload, element),
            ElementKind::Custom => (0..1 + dice.below(2)).for_each(|_| conversion(dice, &mut payload, element)),
            _ => {}
        }
    }
    if dice.percent(20) {
        payload.rejections.add(dice.pick(&Rejection::ALL), 1 + dice.below(3) as u64);
    }
    if dice.percent(20) {
        payload.diagnostics.push(Diagnostic {
            sdk: dice.pick(&["", "node"]).into(),
            sdk_version: dice.pick(&["", "2"]).into(),
            dropped_events: dice.below(3) as u64,
            ..Diagnostic::default()
        });
    }
    payload
}

fn origin(dice: &mut Dice) -> Origin<'static> {
    Origin {
        credential: dice.pick(&[Credential::Server, Credential::Server, Credential::Mobile]),
        application: dice.pick(&["", "shop", "other"]).into(),
        application_version: dice.pick(&["", "1"]).into(),
        sdk: dice.pick(&["node", "node/1", ""]).into(),
        sdk_version: dice.pick(&["1", "1/1", ""]).into(),
        wrapper: "".into(),
        instance: Cow::Owned(format!("i{}", dice.below(5))),
    }
}

fn variation(dice: &mut Dice) -> Variation<'static> {
    match dice.below(6) {
        0 => Variation::Default,
        1 => Variation::Name("other".into()),
        2 => Variation::Name("blue".into()),
        _ => Variation::Index(dice.below(3) as u32),
    }
}

fn flag(dice: &mut Dice) -> Cow<'static, str> {
    dice.pick(&["a", "a", "a", "b", "b", "c", "other", "e"]).into()
}

/// Nearly all flags about equally often: now and then one is left out, or is asked for once too often.
fn all_flags(dice: &mut Dice, payload: &mut Payload<'static>, element: u32) {
    let least = 1 + dice.below(3) as u64;
    for flag in ["a", "b", "c", "other", "e", "f"] {
        if dice.percent(90) {
            count(dice, payload, element);
            let too_often = usize::from(dice.percent(10));
            let more = dice.below(least as usize + 1 + too_often) as u64;
            if let Some(row) = payload.counts.last_mut() {
                (row.flag, row.count) = (flag.into(), least + more);
            }
        }
    }
}

fn count(dice: &mut Dice, payload: &mut Payload<'static>, element: u32) {
    payload.counts.push(Count {
        element,
        flag: flag(dice),
        variation: variation(dice),
        version: dice.pick(&[None, Some(3), Some(3), Some(4)]),
        value: dice.pick(&[None, Some("true"), Some("false")]),
        // Now and then a sight.
        count: dice.below(10) as u64,
        error: dice.percent(10),
        estimated: dice.percent(10),
    });
}

fn evaluation(dice: &mut Dice, payload: &mut Payload<'static>, element: u32) {
    payload.evaluations.push(Evaluation {
        element,
        flag: if dice.percent(60) { "a".into() } else { flag(dice) },
        variation: if dice.percent(60) { Variation::Index(dice.below(2) as u32) } else { variation(dice) },
        version: None,
        reason: dice.pick(&[Reason::Off, Reason::Fallthrough]),
        in_experiment: dice.percent(80),
        contexts: contexts(dice),
    });
}

fn conversion(dice: &mut Dice, payload: &mut Payload<'static>, element: u32) {
    payload.conversions.push(Conversion {
        element,
        kind: dice.pick(&[ConversionKind::Custom, ConversionKind::Custom, ConversionKind::Click]),
        key: dice.pick(&["buy", "buy", "buy", "sell", "rent", "lend", "hire", "owe"]).into(),
        value: dice.percent(70).then(|| Micros(dice.below(1000) as i64 - 500)),
        sampling: 1 + dice.below(2) as u64,
        contexts: contexts(dice),
    });
}

fn operation(dice: &mut Dice, payload: &mut Payload<'static>, element: u32) {
    let mut both = || OldNew { old: dice.percent(60), new: dice.percent(60) };
    let (invoked, error) = (both(), both());
    let mut latency = || dice.percent(70).then(|| dice.pick(&[3, 64, 70_000, 70_900, 80_000]));
    payload.migrations.push(MigrationOp {
        element,
        invoked,
        error,
        latency_us: OldNew { old: latency(), new: latency() },
        flag: flag(dice),
        variation: variation(dice),
        write: dice.percent(30),
        consistent: dice.pick(&[None, Some(false), Some(true), Some(true)]),
        sampling: dice.pick(&[1, 1, 1, 10]),
    });
}

/// What became of some writes of the old path; now and then a record that was appended before.
fn outcomes(dice: &mut Dice, told: &mut Vec<Append>, now: i64) -> Append {
    if dice.percent(35) && !told.is_empty() {
        return dice.pick(told);
    }
    let variations = [StoredVariation::Default, StoredVariation::Name(b"blue"), StoredVariation::Index(1)];
    let rows: Vec<OutcomeRow<'_>> = (0..1 + dice.below(5))
        .map(|_| {
            let key = dice.pick(&["a", "a", "b", "buy", "sell", "gone"]).as_bytes();
            let counted = match dice.percent(70) {
                true => Counted::Flag { key, variation: dice.pick(&variations) },
                false => Counted::Event { key },
            };
            let time_ms = START + dice.below(6 * 3_600_000) as i64;
            OutcomeRow { counted, time_ms, fate: dice.pick(&Fate::ALL), number: dice.below(4) as u64 }
        })
        .collect();
    let environment = Environment::new("p", dice.pick(&["dev", "dev", "prod"])).unwrap();
    let id = [told.len() as u8; 16];
    told.push(outcome_record(&environment, 1, id, now, &rows));
    told[told.len() - 1].clone()
}

/// Alice, Bob, the organisation, two of them, or nobody.
fn contexts(dice: &mut Dice) -> std::ops::Range<u32> {
    dice.pick(&[0..1, 0..1, 0..1, 0..3, 0..3, 1..3, 0..0])
}

fn numbers(dice: &mut Dice, now: i64) -> Append {
    let mut carried = Rejections::default();
    carried.add(Rejection::MalformedPayload, 1 + dice.below(3) as u64);
    record::numbers_record(&Environment::new("p", "dev").unwrap(), 1, &carried, now)
}

fn definition(dice: &mut Dice, now: i64) -> Append {
    let definition = wire::Definition {
        project: Bytes::from_static(b"p"),
        environment: Bytes::new(),
        kind: 1,
        key: Bytes::from_static(dice.pick(&[b"a" as &'static [u8], b"b"])),
        version: if dice.percent(10) { 7 } else { 0 },
        body: format!("{{\"n\": {}}}", dice.below(100)).into(),
    };
    record::definition_record(&definition, 0, now)
}

/// An experiment, its newer version, one that differs in the factor alone, or one that ends it.
fn stand_in(dice: &mut Dice, experiments: &mut Vec<StandIn>, now: i64) -> Append {
    let factor = dice.pick(&[1, 2, -3]);
    let experiment = if experiments.is_empty() || dice.percent(60) { experiment(dice) } else { dice.pick(experiments) };
    experiments.push(experiment);
    let StandIn { environment, key, counts, lasts: (start, end) } = experiment;
    let body = format!("{counts} {factor} {start} {end}");
    let definition = wire::Definition {
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(environment),
        kind: schemas::cell::STAND_IN,
        key: Bytes::from_static(key),
        version: if dice.percent(5) { 7 } else { 0 },
        body: if dice.percent(90) { body.into() } else { Bytes::from_static(b"over") },
    };
    record::definition_record(&definition, 0, now)
}

/// What an experiment's definition says beside the factor.
#[derive(Clone, Copy)]
struct StandIn {
    environment: &'static [u8],
    key: &'static [u8],
    /// Flag, kind and event.
    counts: &'static str,
    /// From its first moment to the one after its last.
    lasts: (i64, i64),
}

fn experiment(dice: &mut Dice) -> StandIn {
    let hour = 3_600_000;
    let start = START + dice.pick(&[-hour, 0]);
    let end = START + dice.pick(&[hour, 2 * hour, 30 * hour, 30 * hour, 30 * hour]);
    StandIn {
        environment: dice.pick(&[b"dev" as &[u8], b"dev", b"dev", b"prod"]),
        key: dice.pick(&[b"x" as &[u8], b"x", b"x", b"y"]),
        counts: dice.pick(&["a user buy", "a user buy", "a user buy", "a org buy", "a user sell", "b user buy"]),
        lasts: (start, end),
    }
}

/// A body that is none, a version of tomorrow, or a header that is none.
fn unreadable(dice: &mut Dice, now: i64) -> Append {
    let header = wire::Header {
        version: if dice.percent(50) { 2 } else { 1 },
        kind: 1,
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(b"dev"),
        id_kind: 1,
        payload_id: Bytes::from_static(dice.pick(&[b"x" as &'static [u8], b"y"])),
        home: true,
        accepted: 3,
        received_ms: now,
        ..wire::Header::default()
    };
    let header = if dice.percent(80) { Bytes::from(header.encode_to_vec()) } else { Bytes::from_static(b"\xff") };
    Append { partition: 0, header, body: Bytes::from_static(b"\xff\xff\xff") }
}
