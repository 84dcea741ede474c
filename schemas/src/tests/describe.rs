//! Bytes as JSON: what a golden file says of its record.

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};

use crate::event::PayloadId;
use crate::log::Logged;
use crate::old_path::{Counted, Gated, OutcomeView, decode_outcomes};
use crate::record::{Header, PayloadView, StoredVariation, decode_definition, decode_payload};
use crate::rejection::Rejections;
use crate::wire::record as wire;

/// The rows that these bytes stand for, read with today's code. `what`: header, payload, outcomes, definition,
/// generation.
pub(super) fn describe(what: &str, bytes: &Bytes, received_ms: i64) -> Value {
    match what {
        "header" => header(&Header::decode(bytes).unwrap()),
        "payload" => {
            let logged = Logged { offset: 0, append_ms: 0, header: Bytes::new(), body: bytes.clone() };
            payload(&decode_payload(&logged, received_ms).unwrap())
        }
        "outcomes" => outcomes(&decode_outcomes(bytes, received_ms).unwrap()),
        "definition" => definition(&decode_definition(bytes).unwrap()),
        "generation" => generation(&wire::Generation::decode(bytes.clone()).unwrap()),
        other => panic!("{other} is no kind of golden bytes"),
    }
}

fn text(bytes: &[u8]) -> Value {
    json!(std::str::from_utf8(bytes).unwrap())
}

fn numbers(rejections: &Rejections) -> Value {
    rejections.iter().map(|(reason, number)| (reason.code().to_owned(), json!(number))).collect()
}

fn header(header: &Header) -> Value {
    let id = match &header.id {
        None => Value::Null,
        Some(PayloadId::Sent(id)) => json!({"sent": text(id)}),
        Some(PayloadId::Diagnostic(id)) => json!({"diagnostic": text(id)}),
        Some(PayloadId::Outcome(id)) => json!({"outcome": hex(id)}),
    };
    let mut said = json!({
        "kind": header.kind as u8,
        "project": text(&header.environment.project),
        "environment": text(&header.environment.key),
        "id": id,
        "part": header.part,
        "home": header.home,
        "accepted": header.accepted,
        "received_ms": header.received_ms,
        "rejected": numbers(&header.rejected),
        "carried": numbers(&header.carried),
        "record_id": header.record_id().map(|id| hex(&id.0)),
    });
    if header.gated != Gated::No {
        said["gated"] = json!(header.gated as u8);
    }
    said
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn variation(variation: StoredVariation<'_>) -> Value {
    match variation {
        StoredVariation::Default => Value::Null,
        StoredVariation::Index(index) => json!(index),
        StoredVariation::Name(name) => text(name),
    }
}

/// Every row that a payload's record holds.
pub(super) fn payload(view: &PayloadView) -> Value {
    let contexts = |rows: Vec<crate::record::ContextRow<'_>>| -> Value {
        rows.iter().map(|row| json!([text(row.kind), row.key.map(|key| text(key))])).collect()
    };
    let mut said = json!({
        "credential": view.credential() as u8,
        "application": text(view.application()),
        "application_version": text(view.application_version()),
        "sdk": text(view.sdk()),
        "sdk_version": text(view.sdk_version()),
        "instance": text(view.instance()),
        "late": view.late(),
        "clamped": view.clamped(),
        "counts": view.counts().map(|row| json!({
            "flag": text(row.flag), "variation": variation(row.variation), "version": row.version,
            "value": row.value.map(|value| text(value)), "count": row.count, "minute": row.minute, "error": row.error,
            "clamped": row.clamped, "estimated": row.estimated, "element": row.element,
        })).collect::<Value>(),
        "reasons": view.reasons().map(|row| json!({
            "flag": text(row.flag), "minute": row.minute, "reason": row.reason.name(), "number": row.number,
        })).collect::<Value>(),
        "exposures": view.exposures().map(|row| json!({
            "flag": text(row.flag), "variation": variation(row.variation), "version": row.version,
            "time_ms": row.time_ms, "contexts": contexts(view.exposure_contexts(&row).collect()),
        })).collect::<Value>(),
        "conversions": view.conversions().map(|row| json!({
            "key": text(row.key), "kind": row.kind, "time_ms": row.time_ms, "value": row.value,
            "clamped": row.clamped, "sampling": row.sampling,
            "contexts": contexts(view.conversion_contexts(&row).collect()),
        })).collect::<Value>(),
        "migrations": view.migrations().map(|row| json!({
            "flag": text(row.flag), "variation": variation(row.variation), "time_ms": row.time_ms, "marks": row.marks,
            "latency_old_us": row.latency_old_us, "latency_new_us": row.latency_new_us, "sampling": row.sampling,
        })).collect::<Value>(),
        "contexts_seen": view.contexts_seen().map(|(kind, number)| json!([text(kind), number])).collect::<Value>(),
        "diagnostics": view.diagnostics().map(|(sdk, version, dropped)| {
            json!([text(sdk), text(version), dropped])
        }).collect::<Value>(),
    });
    // Records from before there was a gate were described without these.
    let late_counts: Vec<Value> = view
        .late_counts()
        .map(|row| {
            json!({
                "flag": text(row.flag), "variation": variation(row.variation), "count": row.count,
                "minute": row.minute,
            })
        })
        .collect();
    let late_events: Vec<Value> = view
        .late_events()
        .map(|row| json!({"key": text(row.key), "time_ms": row.time_ms, "sampling": row.sampling}))
        .collect();
    for (table, rows) in [("late_counts", late_counts), ("late_events", late_events)] {
        if !rows.is_empty() {
            said[table] = rows.into();
        }
    }
    said
}

/// Every row of a record of outcomes.
fn outcomes(view: &OutcomeView) -> Value {
    let row = |row: crate::old_path::OutcomeRow<'_>| {
        let counted = match row.counted {
            Counted::Flag { key, variation: served } => json!({"flag": text(key), "variation": variation(served)}),
            Counted::Event { key } => json!({"event": text(key)}),
        };
        json!([counted, row.time_ms, row.fate as u8, row.number])
    };
    view.rows().map(row).collect()
}

fn definition(definition: &wire::Definition) -> Value {
    json!({
        "project": text(&definition.project),
        "environment": text(&definition.environment),
        "kind": definition.kind,
        "key": text(&definition.key),
        "version": definition.version,
        "body": text(&definition.body),
    })
}

fn generation(row: &wire::Generation) -> Value {
    json!({
        "number": row.number,
        "topic": text(&row.topic),
        "partitions": row.partitions,
        "hash": text(&row.hash),
        "dedupe_records": row.dedupe_records,
        "clock_ahead_ms": row.clock_ahead_ms,
        "lateness_ms": row.lateness_ms,
        "time_min_ms": row.time_min_ms,
        "split_rule": row.split_rule,
        "fold": row.fold,
        "flags_max": row.flags_max,
        "usage_pairs_max": row.usage_pairs_max,
        "usage_rows_max": row.usage_rows_max,
        "last_seen_rows_max": row.last_seen_rows_max,
        "sdk_rows_max": row.sdk_rows_max,
        "texts_bytes_max": row.texts_bytes_max,
        "events_max": row.events_max,
        "event_bytes_max": row.event_bytes_max,
        "depth_max": row.depth_max,
        "count_max": row.count_max,
        "counters_max": row.counters_max,
        "context_kinds_max": row.context_kinds_max,
    })
}
