//! Diagnostics: what an SDK tells of itself. Facts, no events; never in the books.
//!
//! Always true here: a bare object is never taken for events of schema 1, on whatever path it comes; its identity is
//! (diagnostic id, kind, time), so that the retry on the other path is known again. A kind unknown to us is numbered
//! and otherwise ignored, since its SDK must get its 202.

use std::borrow::Cow;

use schemas::event::{Diagnostic, Payload};
use schemas::rejection::{Rejection, Rejections};
use serde_json::value::RawValue;

use super::headers::cut;
use super::{malformed, not_json};
use crate::json::{Field, Name, Number, Object, Str, Walk};
use crate::limits::Limits;
use crate::payload_id;
use crate::protocol::Refusal;

/// Kinds of elements that belong in an array.
const EVENT_KINDS: [&str; 11] = [
    "summary",
    "feature",
    "debug",
    "identify",
    "index",
    "custom",
    "migration_op",
    "click",
    "pageview",
    "click_pageview",
    "alias",
];

#[derive(Default)]
struct Raw<'a> {
    kind: Field<Str<'a>>,
    /// `id` and `sdk` as text, since whatever they are, the rest is told.
    id: Field<&'a str>,
    creation_date: Field<Number<'a>>,
    sdk: Field<&'a str>,
    dropped_events: Field<Number<'a>>,
}

/// Who tells it: members of `id` and of `sdk`.
#[derive(Clone, Copy, Default)]
struct Identity<'a> {
    diagnostic_id: Field<Str<'a>>,
    name: Field<Str<'a>>,
    version: Field<Str<'a>>,
}

/// A body that is one object.
///
/// # Errors
/// Bad JSON, no kind, or an event outside an array.
pub(super) fn decode<'a>(plain: &'a str, limits: &Limits) -> Result<Payload<'a>, Refusal> {
    let whole: &RawValue = serde_json::from_str(plain).map_err(|error| not_json(&error, plain, limits))?;
    let raw = raw(whole.get());
    let Some(kind) = raw.kind.told() else {
        return Err(malformed("body is an object without a kind; events come as an array"));
    };
    if EVENT_KINDS.contains(&&*kind.name()) {
        return Err(malformed("body is one event as an object; events come as an array"));
    }
    Ok(match row(&raw) {
        Some((diagnostic, kind)) => Payload {
            id: identity(raw.id)
                .diagnostic_id
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
pub(super) fn from_element(element: &str) -> Option<Diagnostic<'_>> {
    row(&raw(element)).map(|(diagnostic, _)| diagnostic)
}

fn raw(text: &str) -> Raw<'_> {
    Walk::new(text).read().told().unwrap_or_default()
}

impl<'a> Object<'a> for Raw<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"kind" => self.kind = value.read(),
            b"creationDate" => self.creation_date = value.read(),
            b"droppedEvents" => self.dropped_events = value.read(),
            b"id" => self.id = value.read(),
            b"sdk" => self.sdk = value.read(),
            _ => {}
        }
    }
}

impl<'a> Object<'a> for Identity<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"diagnosticId" => self.diagnostic_id = value.read(),
            b"name" => self.name = value.read(),
            b"version" => self.version = value.read(),
            _ => {}
        }
    }
}

fn identity(field: Field<&str>) -> Identity<'_> {
    field.told().and_then(|text| Walk::new(text).read().told()).unwrap_or_default()
}

fn row<'a>(raw: &Raw<'a>) -> Option<(Diagnostic<'a>, &'static str)> {
    let (kind, start) = match &*raw.kind.told()?.name() {
        "diagnostic-init" => ("diagnostic-init", true),
        "diagnostic-combined" => ("diagnostic-combined", true),
        "diagnostic" => ("diagnostic", false),
        _ => return None,
    };
    let name = |field: Field<Str<'a>>| cut(field.told().and_then(|text| text.text().ok()).unwrap_or(Cow::Borrowed("")));
    let (id, sdk) = (identity(raw.id), identity(raw.sdk));
    let diagnostic = Diagnostic {
        id: name(id.diagnostic_id),
        time_ms: raw.creation_date.told().map(Number::millis),
        start,
        sdk: name(sdk.name),
        sdk_version: name(sdk.version),
        dropped_events: raw.dropped_events.told().and_then(Number::whole).unwrap_or(0),
    };
    Some((diagnostic, kind))
}
