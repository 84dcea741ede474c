//! Broken bytes are an error value: never a panic, and never a view that points outside its texts.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::describe;
use super::payloads::{RECEIVED_MS, environment, full};
use crate::log::{Append, Logged};
use crate::record::{Header, PayloadView, RecordError, Stamp, decode_definition, decode_payload, encode};
use crate::rejection::{Rejection, Rejections};
use crate::split::split;
use crate::wire::record as wire;

fn sample() -> Append {
    let (payload, judged) = full();
    let carried = Rejections::default();
    let stamp = Stamp { environment: &environment(), received_ms: RECEIVED_MS, carried: &carried };
    encode(&payload, &split(&environment(), &payload, 1), &judged, &stamp).remove(0)
}

fn view(body: Bytes) -> Result<PayloadView, RecordError> {
    decode_payload(&Logged { offset: 0, append_ms: 0, header: Bytes::new(), body }, RECEIVED_MS)
}

/// Reads every row; the rows of a proved view can always be read.
fn walk(view: &PayloadView) {
    let exposures = view.exposures().map(|row| view.exposure_contexts(&row).count()).sum::<usize>();
    let conversions = view.conversions().map(|row| view.conversion_contexts(&row).count()).sum::<usize>();
    let rest = view.counts().count() + view.reasons().count() + view.migrations().count();
    let seen = view.contexts_seen().count() + view.diagnostics().count();
    std::hint::black_box((exposures, conversions, rest, seen, view.sdk(), view.application()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn flipped_bytes_never_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(), whole: bool) {
        let sample = sample();
        for bytes in [&sample.header, &sample.body] {
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
            if let Ok(view) = view(broken) {
                walk(&view);
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = std::hint::black_box(Header::decode(&bytes));
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
    let breaks: [(&str, Break); 35] = [
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
    assert_eq!(refused(|h| h.id_kind = 3), RecordError::Value { field: "id_kind", value: 3 });
}
