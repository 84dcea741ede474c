//! Logs of a seed, with every kind of record; and records made by hand.

use bytes::Bytes;
use prost::Message;
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Credential, Diagnostic, Element, ElementKind, Evaluation, Origin,
    Payload, PayloadId, Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::{Append, Logged};
use schemas::old_path::Gated;
use schemas::record::{self, Judged, Stamp};
use schemas::rejection::{Rejection, Rejections};
use schemas::split::split_within;
use schemas::wire::record as wire;

use crate::chance::Chance;

pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const NOON: i64 = 19_000 * DAY + 12 * HOUR;
const START: i64 = 19_000 * DAY - 2 * HOUR;

/// A generation with limits that a handful of records meets.
pub(super) fn small(partitions: u32, dedupe_records: u64) -> Generation {
    let mut generation = Generation::new(7, "t", partitions, counting::FOLD_VERSION);
    generation.dedupe_records = dedupe_records;
    generation.clock.lateness_ms = 3 * DAY.unsigned_abs();
    generation.fold.flags_max = 3;
    generation.fold.usage_pairs_max = 2;
    generation.fold.usage_rows_max = 3;
    generation.fold.last_seen_rows_max = 3;
    generation.fold.sdk_rows_max = 2;
    generation.fold.texts_bytes_max = 24;
    generation
}

pub(super) fn environment(key: &str) -> Environment {
    Environment::new("p", key).unwrap()
}

/// The partitions of a log, being written.
pub(super) struct Logs {
    pub(super) generation: Generation,
    pub(super) partitions: Vec<Vec<Logged>>,
    /// What the gate does with the next payloads.
    pub(super) gated: Gated,
}

impl Logs {
    pub(super) fn new(generation: Generation) -> Self {
        let mut logs = Self {
            partitions: (0..generation.partitions).map(|_| Vec::new()).collect(),
            generation: generation.clone(),
            gated: Gated::No,
        };
        for partition in 0..generation.partitions {
            logs.append(record::generation_record(&generation, partition, START), START);
        }
        logs
    }

    /// Gives the offset.
    pub(super) fn append(&mut self, append: Append, append_ms: i64) -> u64 {
        let partition = &mut self.partitions[append.partition as usize];
        let offset = partition.len() as u64;
        partition.push(Logged { offset, append_ms, header: append.header, body: append.body });
        offset
    }

    /// A payload received at `now`, all its records appended in order; none of its elements is late or clamped.
    pub(super) fn payload(&mut self, payload: &Payload<'_>, now: i64) {
        let late = |_: &Element| false;
        for append in self.records(&environment("dev"), payload, now, late, 1 << 20) {
            self.append(append, now);
        }
    }

    pub(super) fn records(
        &self,
        environment: &Environment,
        payload: &Payload<'_>,
        now: i64,
        late: impl Fn(&Element) -> bool,
        part_bytes: usize,
    ) -> Vec<Append> {
        let judge = |element: &Element| {
            let sent = element.time_ms.unwrap_or(now);
            let clamped = sent > now + 300_000;
            Judged { time_ms: if clamped { now } else { sent }, clamped, late: late(element) }
        };
        let judged: Vec<Judged> = payload.elements.iter().map(judge).collect();
        let split = split_within(environment, payload, self.generation.partitions, part_bytes);
        record::encode(
            payload,
            &split,
            &judged,
            &Stamp { environment, received_ms: now, carried: &carried(now), gated: self.gated },
        )
    }

    /// A definition at the end of a partition.
    pub(super) fn define(&mut self, partition: u32, kind: u32, version: u64, body: &str, now: i64) -> u64 {
        let definition = wire::Definition {
            project: Bytes::from_static(b"p"),
            environment: Bytes::from_static(b"dev"),
            kind,
            key: Bytes::from_static(b"x"),
            version,
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.append(record::definition_record(&definition, partition, now), now)
    }
}

/// What a payload received then carries of others; none at full hours.
fn carried(now: i64) -> Rejections {
    let mut carried = Rejections::default();
    carried.add(Rejection::TooDeep, u64::from(now % HOUR != 0) * (now % 2).unsigned_abs());
    carried
}

/// A payload with nothing in it.
pub(super) fn empty(id: &str) -> Payload<'static> {
    Payload { id: Some(PayloadId::Sent(id.as_bytes().to_vec())), ..Payload::default() }
}

/// A payload with one count of a flag, at the time of receipt.
pub(super) fn one_count(id: &str, flag: &'static str, variation: Variation<'static>) -> Payload<'static> {
    let mut payload = empty(id);
    payload.elements.push(Element { kind: ElementKind::Summary, time_ms: None });
    payload.counts.push(Count {
        element: 0,
        flag: flag.into(),
        variation,
        version: None,
        value: None,
        count: 1,
        error: false,
        estimated: false,
    });
    payload
}

/// An exposure of alice's to a flag's variation.
pub(super) fn exposure(payload: &mut Payload<'static>, flag: &'static str, variation: u32, time_ms: i64) {
    let element = element(payload, ElementKind::Feature, time_ms);
    payload.evaluations.push(Evaluation {
        element,
        flag: flag.into(),
        variation: Variation::Index(variation),
        version: None,
        reason: Reason::Fallthrough,
        in_experiment: true,
        contexts: 0..1,
    });
}

/// A custom event of alice's.
pub(super) fn conversion(payload: &mut Payload<'static>, key: &'static str, value: Option<i64>, time_ms: i64) {
    let element = element(payload, ElementKind::Custom, time_ms);
    payload.conversions.push(Conversion {
        element,
        kind: ConversionKind::Custom,
        key: key.into(),
        value: value.map(Micros),
        sampling: 1,
        contexts: 0..1,
    });
}

fn element(payload: &mut Payload<'static>, kind: ElementKind, time_ms: i64) -> u32 {
    if payload.context_keys.is_empty() {
        payload.context_keys.push(ContextKey { kind: "user".into(), key: "alice".into() });
    }
    payload.elements.push(Element { kind, time_ms: Some(time_ms) });
    payload.elements.len() as u32 - 1
}

/// A log of a seed.
pub(super) fn random(chance: &mut Chance, generation: &Generation, turns: usize) -> Logs {
    let mut logs = Logs::new(generation.clone());
    let mut sent: Vec<(Environment, Payload<'static>, usize)> = Vec::new();
    for turn in 0..12 {
        let partition = turn % generation.partitions;
        logs.append(definition(chance, partition, START), START);
    }
    for turn in 0..turns {
        let now = START + chance.below(30 * 3_600_000) as i64;
        let append_ms = START + turn as i64 * 2_000_000 - chance.below(1_800_000) as i64;
        let partition = chance.below(generation.partitions as usize) as u32;
        let mut appends = Vec::new();
        match chance.below(24) {
            20..=23 => appends.push(crate::traffic::old_path::outcomes(
                &environment(chance.pick(&["dev", "dev", "prod"])),
                generation.partitions,
                now,
                chance,
            )),
            0 => {
                let mut numbers = Rejections::default();
                numbers.add(Rejection::MalformedPayload, 1 + chance.below(3) as u64);
                appends.push(record::numbers_record(&environment("dev"), generation.partitions, &numbers, now));
            }
            1 | 2 => appends.push(definition(chance, partition, now)),
            3 if chance.percent(50) => appends.push(unreadable(chance, partition, now)),
            3 => appends.push(record::generation_record(generation, partition, now)),
            roll => {
                let (environment, payload, bytes) = if roll < 9 && !sent.is_empty() {
                    sent[sent.len() - 1 - chance.below(sent.len().min(6))].clone()
                } else {
                    let environment = environment(chance.pick(&["dev", "dev", "prod"]));
                    let made = (
                        environment,
                        payload(chance, sent.len(), generation.fold.flags_max > 4),
                        chance.pick(&[120, 300, 1 << 20]),
                    );
                    sent.push(made.clone());
                    made
                };
                let late_before = now - 3 * HOUR + chance.below(3_600_000) as i64;
                let late = |element: &Element| element.time_ms.unwrap_or(now) < late_before;
                logs.gated = chance.pick(&[Gated::No, Gated::Both, Gated::Both, Gated::NewOnly]);
                appends = logs.records(&environment, &payload, now, late, bytes);
                appends.retain(|_| chance.percent(90));
                if chance.percent(20) {
                    appends.reverse();
                }
            }
        }
        for append in appends {
            logs.append(append, append_ms);
        }
    }
    logs
}

fn payload(chance: &mut Chance, number: usize, generation_has_room: bool) -> Payload<'static> {
    let poison = if chance.percent(6) { "!" } else { "" };
    let mut payload = empty(&format!("payload-{number}{poison}"));
    if chance.percent(10) {
        payload.id = None;
    }
    payload.origin = Origin {
        credential: chance.pick(&[Credential::Server, Credential::Server, Credential::Mobile]),
        application: chance.pick(&["", "shop", "other"]).into(),
        application_version: chance.pick(&["", "1"]).into(),
        sdk: chance.pick(&["node", "it's", ""]).into(),
        sdk_version: chance.pick(&["1", "1/1", ""]).into(),
        wrapper: "".into(),
        instance: chance.pick(&["", "i1", "i2", "i3"]).into(),
    };
    for key in ["alice", "bob"] {
        payload.context_keys.push(ContextKey { kind: "user".into(), key: key.into() });
    }
    payload.context_keys.push(ContextKey { kind: "device".into(), key: "phone".into() });
    if generation_has_room && chance.percent(40) {
        payload.elements.push(Element { kind: ElementKind::Summary, time_ms: None });
        all_flags(chance, &mut payload);
        return payload;
    }
    for element in 0..chance.below(6) as u32 {
        let kind =
            chance.pick(&[ElementKind::Summary, ElementKind::Feature, ElementKind::Custom, ElementKind::Identify]);
        let time = START + chance.below(30 * 3_600_000) as i64;
        payload.elements.push(Element { kind, time_ms: chance.percent(90).then_some(time) });
        match kind {
            ElementKind::Summary => (0..1 + chance.below(4)).for_each(|_| count(chance, &mut payload, element)),
            ElementKind::Feature => {
                count(chance, &mut payload, element);
                evaluation(chance, &mut payload, element);
            }
            ElementKind::Custom => custom(chance, &mut payload, element),
            _ => {}
        }
    }
    for _ in 0..chance.below(4) {
        let time_ms = START + chance.below(30 * 3_600_000) as i64;
        if chance.percent(50) {
            let variation = chance.pick(&[0, 0, 0, 1]);
            exposure(&mut payload, chance.pick(&["a", "a", "b"]), variation, time_ms);
        } else {
            conversion(
                &mut payload,
                chance.pick(&["buy", "buy", "sell"]),
                chance.pick(&[None, Some(3), Some(4)]),
                time_ms,
            );
        }
    }
    if chance.percent(30) {
        let time_ms = START + chance.below(30 * 3_600_000) as i64;
        crate::traffic::old_path::operation(chance, &mut payload, Some(time_ms));
    }
    if chance.percent(20) {
        payload.rejections.add(chance.pick(&Rejection::ALL), 1 + chance.below(3) as u64);
    }
    if chance.percent(20) {
        payload.diagnostics.push(Diagnostic {
            sdk: chance.pick(&["", "node"]).into(),
            sdk_version: chance.pick(&["", "2"]).into(),
            dropped_events: chance.below(3) as u64,
            ..Diagnostic::default()
        });
    }
    payload
}

fn variation(chance: &mut Chance) -> Variation<'static> {
    match chance.below(6) {
        0 => Variation::Default,
        1 => Variation::Name("other".into()),
        2 => Variation::Name("blue".into()),
        _ => Variation::Index(chance.below(3) as u32),
    }
}

fn flag(chance: &mut Chance) -> &'static str {
    chance.pick(&["a", "a", "a", "b", "b", "c", "other", "e"])
}

fn count(chance: &mut Chance, payload: &mut Payload<'static>, element: u32) {
    payload.counts.push(Count {
        element,
        flag: flag(chance).into(),
        variation: variation(chance),
        version: chance.pick(&[None, Some(3), Some(3), Some(4)]),
        value: chance.pick(&[None, Some("true"), Some("false")]),
        count: 1 + chance.below(9) as u64,
        error: chance.percent(10),
        estimated: chance.percent(10),
    });
}

/// Nearly all flags about equally often, by anybody's SDK.
fn all_flags(chance: &mut Chance, payload: &mut Payload<'static>) {
    payload.origin.credential = chance.pick(&[Credential::Server, Credential::Mobile, Credential::ClientSide]);
    let least = 1 + chance.below(4) as u64;
    for flag in ["a", "b", "c", "other", "e", "f", "g"] {
        for row in 0..chance.pick(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 2]) {
            count(chance, payload, 0);
            let more = chance.below(least as usize + 2) as u64;
            if let Some(last) = payload.counts.last_mut() {
                (last.flag, last.count) = (flag.into(), if row == 0 { least + more } else { 1 });
            }
        }
    }
}

fn evaluation(chance: &mut Chance, payload: &mut Payload<'static>, element: u32) {
    let from = chance.below(3) as u32;
    payload.evaluations.push(Evaluation {
        element,
        flag: flag(chance).into(),
        variation: variation(chance),
        version: None,
        reason: chance.pick(&[Reason::Off, Reason::Fallthrough]),
        in_experiment: chance.percent(60),
        contexts: from..3,
    });
}

fn custom(chance: &mut Chance, payload: &mut Payload<'static>, element: u32) {
    let from = chance.below(3) as u32;
    payload.conversions.push(Conversion {
        element,
        kind: chance.pick(&[ConversionKind::Custom, ConversionKind::Custom, ConversionKind::Click]),
        key: chance.pick(&["buy", "sell", "rent", "lend"]).into(),
        value: chance.percent(70).then(|| Micros(chance.below(1000) as i64 - 500)),
        sampling: 1 + chance.below(2) as u64,
        contexts: from..3,
    });
}

fn definition(chance: &mut Chance, partition: u32, now: i64) -> Append {
    let numbered = (partition != 0) != chance.percent(10);
    let kind = chance.pick(&[1, 1, 200, 200, 200, 300]);
    let (start, middle, end) = (START - DAY, START + 10 * HOUR, START + 40 * HOUR);
    let experiment = chance.pick(&[
        format!("a user buy 2 {start} {end}"),
        format!("a user sell -1 {start} {middle}"),
        format!("b user buy 3 {start} {middle}"),
        format!("a device buy 3 {start} {end}"),
        format!("a user buy 5 {start} {}", START + 3 * HOUR),
        "nothing".to_owned(),
    ]);
    let other = format!("{{\"n\": {}}}", chance.below(3));
    let definition = wire::Definition {
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(chance.pick(&[b"dev" as &'static [u8], b"dev", b"dev", b""])),
        kind,
        key: Bytes::from_static(chance.pick(&[b"a" as &'static [u8], b"b"])),
        version: if numbered { 1 + chance.below(50) as u64 } else { 0 },
        body: if kind == 200 { experiment.into() } else { other.into() },
    };
    record::definition_record(&definition, partition, now)
}

/// A body that is none, a version of tomorrow, or a header that is none.
fn unreadable(chance: &mut Chance, partition: u32, now: i64) -> Append {
    let header = wire::Header {
        version: if chance.percent(50) { 2 } else { 1 },
        kind: chance.pick(&[1, 2]),
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(b"dev"),
        id_kind: 1,
        payload_id: Bytes::from_static(chance.pick(&[b"x" as &'static [u8], b"y"])),
        home: true,
        accepted: 3,
        received_ms: now,
        ..wire::Header::default()
    };
    let header = if chance.percent(80) { Bytes::from(header.encode_to_vec()) } else { Bytes::from_static(b"\xff") };
    Append { partition, header, body: Bytes::from_static(b"\xff\xff\xff") }
}
