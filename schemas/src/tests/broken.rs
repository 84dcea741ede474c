//! Broken bytes are an error value: never a panic, and never a view that points outside its texts.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::describe;
use super::old_path::every_outcome;
use super::payloads::{RECEIVED_MS, conversion, count, environment, full};
use crate::event::Variation;
use crate::log::{Append, Logged};
use crate::old_path::{Gated, decode_outcomes, outcome_record};
use crate::record::{Header, PayloadView, RecordError, Stamp, decode_definition, decode_payload, encode};
use crate::rejection::{Rejection, Rejections};
use crate::split::split;
use crate::wire::record as wire;

fn sample() -> Append {
    let (mut payload, mut judged) = full();
    // Late rows of both tables, beside rows that are not.
    payload.counts.push(count(6, "new-checkout", Variation::Name("blue".into()), 9));
    payload.conversions.push(conversion(6, "purchase", 3..5));
    judged[6].late = true;
    let carried = Rejections::default();
    let stamp = Stamp { environment: &environment(), received_ms: RECEIVED_MS, carried: &carried, gated: Gated::Both };
    encode(&payload, &split(&environment(), &payload, 1), &judged, &stamp).remove(0)
}

fn outcomes() -> Append {
    outcome_record(&environment(), 1, [7; 16], RECEIVED_MS, &every_outcome())
}

fn view(body: Bytes) -> Result<PayloadView, RecordError> {
    decode_payload(&Logged { offset: 0, append_ms: 0, header: Bytes::new(), body }, RECEIVED_MS)
}

/// Reads every row; the rows of a proved view can always be read.
fn walk(view: &PayloadView) {
    let exposures = view.exposures().map(|row| view.exposure_contexts(&row).count()).sum::<usize>();
    let conversions = view.conversions().map(|row| view.conversion_contexts(&row).count()).sum::<usize>();
    let late = view.late_counts().count() + view.late_events().count();
    let rest = view.counts().count() + view.reasons().count() + view.migrations().count() + late;
    let seen = view.contexts_seen().count() + view.diagnostics().count();
    std::hint::black_box((exposures, conversions, rest, seen, view.sdk(), view.application()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn flipped_bytes_never_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(), whole: bool) {
        let (sample, outcomes) = (sample(), outcomes());
        for bytes in [&sample.header, &sample.body, &outcomes.header, &outcomes.body] {
            let mut broken = bytes.to_vec();
            for (place, value) in &places {
                let place = place.index(broken.len());
                broken[place] = *value;
            }
            if !whole {
                broken.truncate(cut.index(broken.len()));
            }
            let broken = Bytes::from(broken);
            if let Ok(header) = Header::decode(&broken) {
                std::hint::black_box(header.record_id());
            }
            let _ = std::hint::black_box(decode_definition(&broken));
            if let Ok(view) = decode_outcomes(&broken, RECEIVED_MS) {
                std::hint::black_box(view.rows().count());
            }
            if let Ok(view) = view(broken) {
                walk(&view);
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = std::hint::black_box(Header::decode(&bytes));
        if let Ok(view) = decode_outcomes(&bytes, RECEIVED_MS) {
            std::hint::black_box(view.rows().count());
        }
        if let Ok(view) = view(bytes) {
            walk(&view);
        }
    }
}

#[test]
fn indexes_outside_the_texts_and_uneven_columns_are_refused() {
    let good = wire::Payload::decode(sample().body).unwrap();
    describe::payload(&view(Bytes::from(good.encode_to_vec())).unwrap());
    let beyond = u32::try_from(good.texts.len()).unwrap() + 1;
    type Break = fn(&mut wire::Payload, u32);
    let breaks: [(&str, Break); 41] = [
        ("origin", |p, beyond| p.sdk = beyond),
        ("origin", |p, beyond| p.wrapper = beyond),
        ("context_kind", |p, beyond| p.context_kind[0] = beyond),
        ("context_kind", |p, _| p.context_kind[0] = 0),
        ("context_kind", |p, _| p.context_number.push(1)),
        ("diagnostic", |p, beyond| p.diagnostics[0].sdk = beyond),
        ("counts.flag", |p, beyond| p.counts.as_mut().unwrap().flag[1] = beyond),
        ("counts.flag", |p, _| p.counts.as_mut().unwrap().flag[1] = 0),
        ("counts.value", |p, beyond| p.counts.as_mut().unwrap().value[0] = beyond),
        ("counts.variation", |p, beyond| p.counts.as_mut().unwrap().variation[0] = u64::from(beyond) * 2),
        ("counts.variation", |p, _| p.counts.as_mut().unwrap().variation[0] = u64::MAX),
        ("counts", |p, _| p.counts.as_mut().unwrap().marks.push(0)),
        ("counts", |p, _| p.counts.as_mut().unwrap().element.clear()),
        ("counts", |p, _| p.counts.as_mut().unwrap().minute.clear()),
        ("reasons", |p, _| p.reasons.as_mut().unwrap().number.push(1)),
        ("credential", |p, _| p.credential = 4),
        ("credential", |p, _| p.credential = 0),
        ("counts.marks", |p, _| p.counts.as_mut().unwrap().marks[0] |= 8),
        ("reasons.reason", |p, _| p.reasons.as_mut().unwrap().reason[0] = 14),
        ("conversions.kind", |p, _| p.conversions.as_mut().unwrap().kind[0] = 4),
        ("conversions.marks", |p, _| p.conversions.as_mut().unwrap().marks[0] |= 4),
        ("migrations.marks", |p, _| p.migrations.as_mut().unwrap().marks[0] |= 128),
        ("reasons.flag", |p, beyond| p.reasons.as_mut().unwrap().flag[0] = beyond),
        ("exposures", |p, _| p.exposures.as_mut().unwrap().contexts[0] = u32::MAX),
        ("exposures", |p, beyond| p.exposures.as_mut().unwrap().context_key[0] = beyond),
        ("exposures", |p, _| p.exposures.as_mut().unwrap().context_kind[0] = 0),
        ("exposures", |p, _| p.exposures.as_mut().unwrap().time.clear()),
        ("exposures.variation", |p, beyond| p.exposures.as_mut().unwrap().variation[0] = u64::from(beyond) * 2),
        ("conversions", |p, _| p.conversions.as_mut().unwrap().contexts[0] += 1),
        ("conversions.key", |p, _| p.conversions.as_mut().unwrap().key[0] = 0),
        ("conversions", |p, _| p.conversions.as_mut().unwrap().sampling.push(1)),
        ("conversions", |p, beyond| p.conversions.as_mut().unwrap().context_kind[0] = beyond),
        ("migrations", |p, _| p.migrations.as_mut().unwrap().latency_new_us.clear()),
        ("migrations.flag", |p, beyond| p.migrations.as_mut().unwrap().flag[0] = beyond),
        ("migrations.variation", |p, beyond| p.migrations.as_mut().unwrap().variation[0] = u64::from(beyond) * 2),
        ("late_counts", |p, _| p.late_counts.as_mut().unwrap().count.clear()),
        ("late_counts.flag", |p, _| p.late_counts.as_mut().unwrap().flag[0] = 0),
        ("late_counts.variation", |p, beyond| p.late_counts.as_mut().unwrap().variation[0] = u64::from(beyond) * 2),
        ("late_events", |p, _| p.late_events.as_mut().unwrap().time.push(1)),
        ("late_events", |p, _| p.late_events.as_mut().unwrap().sampling.clear()),
        ("late_events.key", |p, beyond| p.late_events.as_mut().unwrap().key[0] = beyond),
    ];
    for (number, (field, change)) in breaks.into_iter().enumerate() {
        let mut broken = good.clone();
        change(&mut broken, beyond);
        match view(Bytes::from(broken.encode_to_vec())) {
            Err(RecordError::Value { field: named, .. }) => assert_eq!(named, field, "break {number}"),
            answer => panic!("break {number} ({field}): {answer:?}"),
        }
    }
}

#[test]
fn outcomes_that_do_not_fit_together_are_refused() {
    let good = wire::Outcomes::decode(outcomes().body).unwrap();
    let beyond = u32::try_from(good.texts.len()).unwrap() + 1;
    let event = good.counted.iter().position(|counted| *counted == 2).unwrap();
    type Break = fn(&mut wire::Outcomes, u32, usize);
    let breaks: [(&str, Break); 14] = [
        ("outcomes", |o, _, _| o.counted.push(1)),
        ("outcomes", |o, _, _| o.variation.clear()),
        ("outcomes", |o, _, _| o.time.truncate(1)),
        ("outcomes", |o, _, _| o.fate.push(1)),
        ("outcomes", |o, _, _| o.number.push(1)),
        ("outcomes.counted", |o, _, _| o.counted[0] = 0),
        ("outcomes.counted", |o, _, _| o.counted[0] = 3),
        ("outcomes.key", |o, _, _| o.key[0] = 0),
        ("outcomes.key", |o, beyond, _| o.key[0] = beyond),
        ("outcomes.variation", |o, beyond, _| o.variation[0] = u64::from(beyond) * 2),
        ("outcomes.variation", |o, _, _| o.variation[0] = (u64::from(u32::MAX) + 1) * 2 + 1),
        ("outcomes.variation", |o, _, event| o.variation[event] = 1),
        ("outcomes.fate", |o, _, _| o.fate[0] = 0),
        ("outcomes.fate", |o, _, _| o.fate[0] = 14),
    ];
    for (number, (field, change)) in breaks.into_iter().enumerate() {
        let mut broken = good.clone();
        change(&mut broken, beyond, event);
        match decode_outcomes(&Bytes::from(broken.encode_to_vec()), RECEIVED_MS) {
            Err(RecordError::Value { field: named, .. }) => assert_eq!(named, field, "break {number}"),
            answer => panic!("break {number} ({field}): {answer:?}"),
        }
    }
}

#[test]
fn headers_of_other_builds_are_refused_by_name() {
    let header = wire::Header::decode(sample().header).unwrap();
    let refused = |change: fn(&mut wire::Header)| {
        let mut header = header.clone();
        change(&mut header);
        Header::decode(&Bytes::from(header.encode_to_vec())).unwrap_err()
    };
    assert_eq!(refused(|h| h.version = 2), RecordError::Version(2));
    assert_eq!(refused(|h| h.kind = 9), RecordError::Value { field: "kind", value: 9 });
    const NOVEL: wire::Number = wire::Number { reason: 14, number: 1 };
    assert_eq!(refused(|h| h.rejected = vec![NOVEL]), RecordError::Value { field: "rejected", value: 14 });
    assert_eq!(refused(|h| h.carried = vec![NOVEL]), RecordError::Value { field: "carried", value: 14 });
    let known = wire::Number { reason: 1, number: 2 };
    let header = wire::Header { rejected: vec![known, NOVEL], ..header.clone() };
    let salvaged = Header::salvage(&Bytes::from(header.encode_to_vec())).unwrap();
    assert_eq!(salvaged.rejected.iter().collect::<Vec<_>>(), [(Rejection::UnknownKind, 2)]);
    assert_eq!(refused(|h| h.id_kind = 4), RecordError::Value { field: "id_kind", value: 4 });
    assert_eq!(refused(|h| h.gated = 3), RecordError::Value { field: "gated", value: 3 });
    let header = wire::Header { gated: 3, ..header.clone() };
    assert_eq!(Header::salvage(&Bytes::from(header.encode_to_vec())).unwrap().gated, Gated::No);
}
