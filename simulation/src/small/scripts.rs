//! The logs of the small worlds: few records, each with a reason.
//!
//! Always true here: the same plot is the same log.

use bytes::Bytes;
use schemas::cell::STAND_IN;
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Element, ElementKind, Evaluation, Payload, PayloadId, Reason,
    Variation,
};
use schemas::fixed::Micros;
use schemas::generation::ClockLimits;
use schemas::id::Environment;
use schemas::old_path::Gated;
use schemas::record::{self, Stamp};
use schemas::rejection::Rejections;
use schemas::split::split;
use schemas::wire::record::Definition;

use crate::chance::Chance;
use crate::log::Log;

const DAY: i64 = 86_400_000;

/// What the log of a small world tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plot {
    /// Payloads of one flag: usage, last seen and books, three cells; two of them sent again.
    Usage,
    /// An experiment, changed on the way; a unit that converts, is exposed, and converts; a record on which the fold
    /// panics.
    Experiment,
    /// A unit is exposed to another variation at the very log time at which its subject expires, under a later end: it
    /// is a new subject, and no one that saw several variations.
    Expiry,
}

impl Plot {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Usage, Self::Experiment, Self::Expiry];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Experiment => "experiment",
            Self::Expiry => "expiry",
        }
    }

    /// Appends its records; nothing is thrown.
    pub(super) fn fill(self, log: &mut Log, start_ms: i64, chance: &mut Chance) {
        match self {
            Self::Usage => {
                for (second, id) in (0..).zip(["a", "b", "a", "c", "b"]) {
                    let now_ms = start_ms + 1_000 * second;
                    send(log, &usage(id, now_ms), now_ms, chance);
                }
            }
            Self::Experiment => {
                let ends_ms = start_ms + DAY;
                define(log, &format!("f user e 1 {start_ms} {ends_ms}"), start_ms, chance);
                send(log, &of_a_unit("a", start_ms, true, 1), start_ms, chance);
                define(log, &format!("f user e 2 {start_ms} {ends_ms}"), start_ms, chance);
                send(log, &usage("b!", start_ms), start_ms, chance);
                send(log, &of_a_unit("c", start_ms + 1_000, false, 1), start_ms + 1_000, chance);
            }
            Self::Expiry => {
                let ends_ms = start_ms + DAY;
                define(log, &format!("f user e 1 {start_ms} {ends_ms}"), start_ms, chance);
                send(log, &of_a_unit("a", start_ms, true, 1), start_ms, chance);
                define(log, &format!("f user e 1 {start_ms} {}", start_ms + 90 * DAY), start_ms, chance);
                let expires_ms = ends_ms + i64::try_from(ClockLimits::default().lateness_ms).unwrap_or(i64::MAX);
                send(log, &of_a_unit("b", expires_ms, true, 2), expires_ms, chance);
            }
        }
    }
}

fn send(log: &mut Log, payload: &Payload<'_>, now_ms: i64, chance: &mut Chance) {
    let environment = Environment { project: "p".into(), key: "dev".into() };
    let cut = split(&environment, payload, 1);
    let judged = ingest::judge::judge(&payload.elements, now_ms, &ClockLimits::default());
    let stamp =
        Stamp { environment: &environment, received_ms: now_ms, carried: &Rejections::default(), gated: Gated::No };
    for append in record::encode(payload, &cut, &judged, &stamp) {
        log.append(&append, now_ms, chance);
    }
}

fn define(log: &mut Log, body: &str, now_ms: i64, chance: &mut Chance) {
    let definition = Definition {
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(b"dev"),
        kind: STAND_IN,
        key: Bytes::from_static(b"x"),
        version: 0,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    log.append(&record::definition_record(&definition, 0, now_ms), now_ms, chance);
}

fn usage(id: &str, now_ms: i64) -> Payload<'static> {
    Payload {
        id: Some(PayloadId::Sent(id.as_bytes().to_vec())),
        elements: vec![Element { kind: ElementKind::Summary, time_ms: Some(now_ms) }],
        counts: vec![Count {
            element: 0,
            flag: "f".into(),
            variation: Variation::Index(0),
            version: None,
            value: None,
            count: 1,
            error: false,
            estimated: false,
        }],
        ..Payload::default()
    }
}

/// A conversion, and an exposure of the same unit before or after it.
fn of_a_unit(id: &str, now_ms: i64, exposed_first: bool, variation: u32) -> Payload<'static> {
    let exposed_ms = if exposed_first { now_ms } else { now_ms + 500 };
    let element = |time_ms| Element { kind: ElementKind::Custom, time_ms: Some(time_ms) };
    let unit = || ContextKey { kind: "user".into(), key: "ann".into() };
    Payload {
        id: Some(PayloadId::Sent(id.as_bytes().to_vec())),
        context_keys: vec![unit(), unit()],
        elements: vec![element(exposed_ms), element(now_ms + 200)],
        evaluations: vec![Evaluation {
            element: 0,
            flag: "f".into(),
            variation: Variation::Index(variation),
            version: None,
            reason: Reason::Fallthrough,
            in_experiment: true,
            contexts: 0..1,
        }],
        conversions: vec![Conversion {
            element: 1,
            kind: ConversionKind::Custom,
            key: "e".into(),
            value: Some(Micros(3)),
            sampling: 1,
            contexts: 1..2,
        }],
        ..Payload::default()
    }
}
