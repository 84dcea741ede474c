//! What the old path is given is what the log tells.

use std::collections::BTreeMap;

use schemas::event::ConversionKind;
use schemas::fixed::Micros;
use schemas::record::StoredVariation;

use super::super::bench::{NOW_MS, environment};
use super::Gated;
use crate::gate::{OldCount, OldEvent, OldExposure, OldVariation, Stage};

const DAY_MS: i64 = 86_400_000;

/// Counters in time and late, a sight, full events in and out of an experiment, custom events and a goal.
fn payload() -> String {
    let late = NOW_MS - 30 * DAY_MS;
    let summary = |end_ms: i64, flag: &str| {
        format!(
            r#"{{"kind":"summary","startDate":{end_ms},"endDate":{end_ms},"features":{{"{flag}":{{"default":false,
            "contextKinds":["user"],"counters":[{{"variation":0,"version":7,"value":true,"count":3}},
            {{"value":false,"count":2,"unknown":true}}]}}}}}}"#
        )
    };
    let feature = |flag: &str, reason: &str| {
        format!(
            r#"{{"kind":"feature","creationDate":{NOW_MS},"key":"{flag}","variation":1,"version":7,"value":"b",
            "context":{{"kind":"user","key":"alice"}}{reason}}}"#
        )
    };
    let custom = |time: i64, key: &str, rest: &str| {
        format!(
            r#"{{"kind":"custom","creationDate":{time},"key":"{key}","context":{{"kind":"user","key":"alice"}}{rest}}}"#
        )
    };
    let events = [
        summary(NOW_MS, "checkout"),
        summary(late, "old"),
        feature("tested", r#","reason":{"kind":"FALLTHROUGH","inExperiment":true}"#),
        feature("seen", ""),
        custom(NOW_MS, "bought", r#","metricValue":24.99,"samplingRatio":5"#),
        custom(late, "bought", ""),
        format!(
            r#"{{"kind":"click","creationDate":{NOW_MS},"key":"goal","url":"https://shop.example/","selector":"a",
            "context":{{"kind":"user","key":"alice"}}}}"#
        ),
    ];
    format!("[{}]", events.join(","))
}

#[tokio::test]
async fn rows_are_as_judged_and_sights_are_left_out() {
    let gated = Gated::new(Stage::Shadow).await;
    assert_eq!(gated.bench.post(payload()).await.status, 202);
    let old = gated.writes().remove(0).payload;
    assert_eq!((&old.environment, old.stage, old.received_ms), (&environment(), Stage::Shadow, NOW_MS));
    let late_ms = NOW_MS - 30 * DAY_MS;
    let count = |flag: &str, variation: OldVariation, count, time_ms| {
        let late = time_ms == late_ms;
        OldCount { flag: flag.into(), variation, time_ms, count, late }
    };
    let (zero, default) = (OldVariation::Index(0), OldVariation::Default);
    let counts = [
        count("checkout", zero.clone(), 3, NOW_MS),
        count("checkout", default.clone(), 2, NOW_MS),
        count("old", zero, 3, late_ms),
        count("old", default, 2, late_ms),
    ];
    assert_eq!(old.counts, counts);
    let event = |time_ms, value, sampling| OldEvent {
        key: "bought".into(),
        time_ms,
        value,
        sampling,
        late: time_ms == late_ms,
    };
    assert_eq!(old.events, [event(NOW_MS, Some(Micros(24_990_000)), 5), event(late_ms, None, 1)]);
    assert_eq!(
        old.exposures,
        [OldExposure { flag: "tested".into(), variation: OldVariation::Index(1), time_ms: NOW_MS }]
    );
}

/// Evaluations by flag and variation, and custom events by key: the same in both, so that they can be compared.
#[tokio::test]
async fn the_old_path_gets_as_many_as_the_log_tells_of() {
    let gated = Gated::new(Stage::Live).await;
    gated.bench.post(payload()).await;
    gated.settle().await;
    let (mut old, mut new) = (BTreeMap::<(String, String), u64>::new(), BTreeMap::<(String, String), u64>::new());
    for write in gated.writes() {
        for row in write.payload.counts {
            *old.entry((row.flag.into(), format!("{:?}", row.variation))).or_default() += row.count;
        }
        for row in write.payload.events {
            *old.entry((row.key.into(), "event".into())).or_default() += row.sampling;
        }
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let variation = |stored: &StoredVariation| match stored {
        StoredVariation::Default => "Default".to_owned(),
        StoredVariation::Index(index) => format!("Index({index})"),
        StoredVariation::Name(name) => format!("Name({name:?})"),
    };
    for record in gated.bench.records().iter().filter(|record| record.header.home) {
        for row in record.view.counts().filter(|row| row.count > 0) {
            *new.entry((text(row.flag), variation(&row.variation))).or_default() += row.count;
        }
        for row in record.view.late_counts() {
            *new.entry((text(row.flag), variation(&row.variation))).or_default() += row.count;
        }
        for row in record.view.conversions().filter(|row| row.kind == ConversionKind::Custom as u32) {
            *new.entry((text(row.key), "event".into())).or_default() += row.sampling;
        }
        for row in record.view.late_events() {
            *new.entry((text(row.key), "event".into())).or_default() += row.sampling;
        }
    }
    assert_eq!(old, new);
    assert_eq!(old.len(), 5);
}
