//! Diagnostics: what an SDK tells of itself. Facts, no events; never in the books.
//!
//! Always true here: a bare object is never taken for events of schema 1, on whatever path it comes; its identity is
//! (diagnostic id, kind, time), so that the retry on the other path is known again. A kind unknown to us is numbered and
//! otherwise ignored, since its SDK must get its 202.

use std::borrow::Cow;

use schemas::event::{Diagnostic, Payload};
use schemas::rejection::{Rejection, Rejections};

use super::headers::cut;
use super::{malformed, not_json};
use crate::json::{Cursor, Field, Number, Str, Syntax};
use crate::payload_id;
use crate::protocol::Refusal;

/// Kinds of elements that belong in an array.
const EVENT_KINDS: [&[u8]; 11] = [
    b"summary",
    b"feature",
    b"debug",
    b"identify",
    b"index",
    b"custom",
    b"migration_op",
    b"click",
    b"pageview",
    b"click_pageview",
    b"alias",
];

#[derive(Default)]
struct Raw<'a> {
    kind: Field<Str<'a>>,
    id: Field<Str<'a>>,
    creation_date: Field<Number<'a>>,
    sdk: [Field<Str<'a>>; 2],
    dropped_events: Field<Number<'a>>,
}

/// A body that is one object.
///
/// # Errors
/// Bad JSON, no kind, or an event outside an array.
pub(super) fn decode(plain: &[u8]) -> Result<Payload<'_>, Refusal> {
    let mut cursor = Cursor::new(plain);
    let raw = read(&mut cursor).and_then(|raw| cursor.end().map(|()| raw)).map_err(not_json)?;
    let Some(kind) = raw.kind.told() else {
        return Err(malformed("body is an object without a kind; events come as an array"));
    };
    if EVENT_KINDS.contains(&&*kind.name()) {
        return Err(malformed("body is one event as an object; events come as an array"));
    }
    Ok(match row(&raw) {
        Some((diagnostic, kind)) => Payload {
            id: raw
                .id
                .told()
                .and_then(|id| id.text().ok())
                .and_then(|id| payload_id::diagnostic(&id, kind, diagnostic.time_ms)),
            diagnostics: vec![diagnostic],
            ..Payload::default()
        },
        None => {
            let mut rejections = Rejections::default();
            rejections.add(Rejection::UnknownKind, 1);
            Payload { rejections, ..Payload::default() }
        }
    })
}

/// The fact that an element of an analytics array tells, should an SDK put a diagnostic there.
pub(super) fn from_element(element: &[u8]) -> Option<Diagnostic<'_>> {
    let raw = read(&mut Cursor::new(element)).ok()?;
    row(&raw).map(|(diagnostic, _)| diagnostic)
}

fn read<'a>(cursor: &mut Cursor<'a>) -> Result<Raw<'a>, Syntax> {
    let mut raw = Raw::default();
    cursor.object(|cursor, name| {
        match &*name.name() {
            b"kind" => raw.kind = cursor.str()?,
            b"creationDate" => raw.creation_date = cursor.number()?,
            b"droppedEvents" => raw.dropped_events = cursor.number()?,
            b"id" => [raw.id] = strings(cursor, [b"diagnosticId"])?,
            b"sdk" => raw.sdk = strings(cursor, [b"name", b"version"])?,
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(raw)
}

/// Some strings of an object.
fn strings<'a, const N: usize>(cursor: &mut Cursor<'a>, names: [&[u8]; N]) -> Result<[Field<Str<'a>>; N], Syntax> {
    let mut found = [Field::Absent; N];
    cursor.object(|cursor, name| {
        match names.iter().position(|wanted| **wanted == *name.name()) {
            Some(at) => found[at] = cursor.str()?,
            None => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(found)
}

fn row<'a>(raw: &Raw<'a>) -> Option<(Diagnostic<'a>, &'static str)> {
    let (kind, start) = match &*raw.kind.told()?.name() {
        b"diagnostic-init" => ("diagnostic-init", true),
        b"diagnostic-combined" => ("diagnostic-combined", true),
        b"diagnostic" => ("diagnostic", false),
        _ => return None,
    };
    let name = |field: Field<Str<'a>>| cut(field.told().and_then(|text| text.text().ok()).unwrap_or(Cow::Borrowed("")));
    let diagnostic = Diagnostic {
        id: name(raw.id),
        time_ms: raw.creation_date.told().map(Number::millis),
        start,
        sdk: name(raw.sdk[0]),
        sdk_version: name(raw.sdk[1]),
        dropped_events: raw.dropped_events.told().and_then(Number::whole).unwrap_or(0),
    };
    Some((diagnostic, kind))
}
