//! Payloads to test with: one with every table filled, and any at all.
//!
//! Always true here: rows stand in rising order of their elements, as a decoder leaves them.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::event::{
    ContextKey, Conversion, ConversionKind, Count, Credential, Diagnostic, Element, ElementKind, Evaluation,
    MigrationOp, OldNew, Origin, Payload, PayloadId, Reason, Variation,
};
use crate::fixed::Micros;
use crate::id::Environment;
use crate::record::Judged;
use crate::rejection::{Rejection, Rejections};

pub(super) const RECEIVED_MS: i64 = 1_760_000_000_000;

pub(super) fn environment() -> Environment {
    Environment::new("default", "production").unwrap()
}

pub(super) fn context(kind: &str, key: &str) -> ContextKey<'static> {
    ContextKey { kind: Cow::Owned(kind.to_owned()), key: Cow::Owned(key.to_owned()) }
}

pub(super) fn count(element: u32, flag: &str, variation: Variation<'static>, count: u64) -> Count<'static> {
    Count {
        element,
        flag: Cow::Owned(flag.to_owned()),
        variation,
        version: Some(7),
        value: Some("true"),
        count,
        error: false,
        estimated: false,
    }
}

pub(super) fn exposure(element: u32, flag: &str, contexts: std::ops::Range<u32>) -> Evaluation<'static> {
    Evaluation {
        element,
        flag: Cow::Owned(flag.to_owned()),
        variation: Variation::Index(1),
        version: Some(7),
        reason: Reason::Fallthrough,
        in_experiment: true,
        contexts,
    }
}

pub(super) fn conversion(element: u32, key: &str, contexts: std::ops::Range<u32>) -> Conversion<'static> {
    Conversion {
        element,
        kind: ConversionKind::Custom,
        key: Cow::Owned(key.to_owned()),
        value: Some(Micros(24_990_000)),
        sampling: 1,
        contexts,
    }
}

/// Every table filled, with a late element (the last) and a clamped one (the fourth).
pub(super) fn full() -> (Payload<'static>, Vec<Judged>) {
    let mut rejections = Rejections::default();
    rejections.add(Rejection::UnknownKind, 2);
    rejections.add(Rejection::InvalidKey, 1);
    let kinds = [
        ElementKind::Summary,
        ElementKind::Feature,
        ElementKind::Custom,
        ElementKind::Custom,
        ElementKind::MigrationOp,
        ElementKind::Index,
        ElementKind::Feature,
    ];
    let elements = kinds.map(|kind| Element { kind, time_ms: Some(RECEIVED_MS - 61_000) }).to_vec();
    let payload = Payload {
        origin: Origin {
            credential: Credential::Mobile,
            application: "shop".into(),
            application_version: "2.1.0".into(),
            sdk: "NodeJSClient".into(),
            sdk_version: "9.13.7".into(),
            wrapper: "open-feature-node-server/1.3.6".into(),
            instance: "5f7c1d1e-8f7e-4e1f-9d5e-2f4c8a6b7c8d".into(),
        },
        id: Some(PayloadId::Sent(b"0b1c2d3e-0000-4000-8000-000000000001".to_vec())),
        elements,
        counts: vec![
            count(0, "new-checkout", Variation::Index(0), 12),
            Count { version: None, value: None, error: true, ..count(0, "no.such:flag", Variation::Default, 3) },
            Count { estimated: true, ..count(0, "new-checkout", Variation::Name("blue".into()), 1_000_000_000) },
        ],
        evaluations: vec![
            exposure(1, "new-checkout", 0..2),
            Evaluation { in_experiment: false, reason: Reason::FlagNotFound, ..exposure(6, "late", 2..3) },
        ],
        conversions: vec![
            conversion(2, "purchase", 3..5),
            Conversion { kind: ConversionKind::Click, value: None, sampling: 10, ..conversion(3, "tap", 5..6) },
        ],
        migrations: vec![MigrationOp {
            element: 4,
            flag: "move-orders".into(),
            variation: Variation::Name("shadow".into()),
            write: true,
            invoked: OldNew { old: true, new: true },
            consistent: Some(false),
            error: OldNew { old: false, new: true },
            latency_us: OldNew { old: Some(1_500), new: None },
            sampling: 2,
        }],
        context_keys: vec![
            context("user", "alice"),
            context("org", "acme"),
            context("user", "bob"),
            context("user", "alice"),
            context("org", "acme"),
            context("user", "ключ\u{1}"),
        ],
        contexts_seen: vec![("user".into(), 2), ("org".into(), 1)],
        diagnostics: vec![Diagnostic {
            id: "d1".into(),
            time_ms: Some(RECEIVED_MS - 5_000),
            start: true,
            sdk: "NodeJSClient".into(),
            sdk_version: "9.13.7".into(),
            dropped_events: 4,
        }],
        rejections,
    };
    let mut judged =
        vec![Judged { time_ms: RECEIVED_MS - 61_000, clamped: false, late: false }; payload.elements.len()];
    judged[3] = Judged { time_ms: RECEIVED_MS, clamped: true, late: false };
    judged[6].late = true;
    (payload, judged)
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "flag.with:odd/key", "ab", "\u{1}\u{7f}"]).prop_map(str::to_owned),
        1 => "[^\u{0}]{1,40}",
    ]
}

fn variations() -> impl Strategy<Value = Variation<'static>> {
    prop_oneof![
        Just(Variation::Default),
        any::<u32>().prop_map(Variation::Index),
        keys().prop_map(|name| Variation::Name(name.into())),
    ]
}

/// What one element brings along; the contexts are listed with their row.
#[derive(Debug, Clone)]
enum Row {
    Count(Count<'static>),
    Evaluation(Evaluation<'static>, Vec<ContextKey<'static>>),
    Conversion(Conversion<'static>, Vec<ContextKey<'static>>),
    Migration(MigrationOp<'static>),
}

fn contexts() -> impl Strategy<Value = Vec<ContextKey<'static>>> {
    vec((keys(), keys()), 0..5).prop_map(|keys| keys.iter().map(|(kind, key)| context(kind, key)).collect())
}

fn counts() -> impl Strategy<Value = Row> {
    let values = prop::sample::select(vec![None, Some("true"), Some("{\"a\":1}")]);
    (keys(), variations(), any::<Option<u32>>(), values, 1..=crate::event::COUNT_MAX, any::<(bool, bool)>()).prop_map(
        |(flag, variation, version, value, number, (error, estimated))| {
            let version = version.map(u64::from);
            Row::Count(Count { version, value, error, estimated, ..count(0, &flag, variation, number) })
        },
    )
}

fn evaluations() -> impl Strategy<Value = Row> {
    let reasons = prop::sample::select(Reason::ALL.to_vec());
    (keys(), variations(), any::<Option<u32>>(), reasons, any::<bool>(), contexts()).prop_map(
        |(flag, variation, version, reason, in_experiment, contexts)| {
            let version = version.map(u64::from);
            let row = Evaluation { variation, version, reason, in_experiment, ..exposure(0, &flag, 0..0) };
            Row::Evaluation(row, contexts)
        },
    )
}

fn conversions() -> impl Strategy<Value = Row> {
    let kinds = prop::sample::select(vec![ConversionKind::Custom, ConversionKind::Click, ConversionKind::Pageview]);
    (keys(), kinds, any::<Option<i64>>(), 1..1_000_000_u64, contexts()).prop_map(
        |(key, kind, value, sampling, contexts)| {
            let value = value.map(Micros);
            Row::Conversion(Conversion { kind, value, sampling, ..conversion(0, &key, 0..0) }, contexts)
        },
    )
}

fn migrations() -> impl Strategy<Value = Row> {
    let sides = any::<(bool, bool)>().prop_map(|(old, new)| OldNew { old, new });
    let latency = any::<(Option<u32>, Option<u32>)>()
        .prop_map(|(old, new)| OldNew { old: old.map(u64::from), new: new.map(u64::from) });
    (keys(), variations(), any::<bool>(), sides.clone(), any::<Option<bool>>(), sides, latency, 1..99_u64).prop_map(
        |(flag, variation, write, invoked, consistent, error, latency_us, sampling)| {
            let flag = flag.into();
            Row::Migration(MigrationOp {
                element: 0,
                flag,
                variation,
                write,
                invoked,
                consistent,
                error,
                latency_us,
                sampling,
            })
        },
    )
}

fn judgements() -> impl Strategy<Value = Judged> {
    (-700_000_000..400_000_i64, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(delta, clamped, late)| Judged {
        time_ms: RECEIVED_MS + delta,
        clamped: clamped && !late,
        late,
    })
}

/// Any payload of up to a dozen elements, with as many judgements.
pub(super) fn any_payload() -> impl Strategy<Value = (Payload<'static>, Vec<Judged>)> {
    let rows = vec(prop_oneof![counts(), evaluations(), conversions(), migrations()], 0..6);
    (vec((rows, judgements()), 0..12), 0..5_u64).prop_map(|(elements, refused)| {
        let mut payload = Payload { id: Some(PayloadId::Sent(b"id".to_vec())), ..Payload::default() };
        payload.rejections.add(Rejection::UnknownKind, refused);
        let mut judged = Vec::new();
        for (element, (rows, judgement)) in (0..).zip(elements) {
            payload.elements.push(Element { kind: ElementKind::Feature, time_ms: Some(judgement.time_ms) });
            judged.push(judgement);
            for row in rows {
                push(&mut payload, element, row);
            }
        }
        (payload, judged)
    })
}

fn push(payload: &mut Payload<'static>, element: u32, row: Row) {
    let from = crate::split::index(payload.context_keys.len());
    let mut range = |contexts: Vec<ContextKey<'static>>| {
        payload.context_keys.extend(contexts);
        from..crate::split::index(payload.context_keys.len())
    };
    match row {
        Row::Count(row) => payload.counts.push(Count { element, ..row }),
        Row::Evaluation(row, contexts) => {
            let contexts = range(contexts);
            payload.evaluations.push(Evaluation { element, contexts, ..row });
        }
        Row::Conversion(row, contexts) => {
            let contexts = range(contexts);
            payload.conversions.push(Conversion { element, contexts, ..row });
        }
        Row::Migration(row) => payload.migrations.push(MigrationOp { element, ..row }),
    }
}
