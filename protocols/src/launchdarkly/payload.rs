//! An array of events: each element alone, all in one walk.
//!
//! Always true here: the walk goes to the end of the body, so bad JSON anywhere refuses the payload whole; short of
//! that, an element is kept or refused alone, and every element ends in one of three places: [`Payload::elements`],
//! [`Payload::rejections`], or (a diagnostic among events) [`Payload::diagnostics`]. Rows of an element that is refused
//! are taken back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemas::event::Payload;
use schemas::rejection::Rejection;

use super::element::Raw;
use super::rows::{Mark, Rows, push_rows};
use super::summary::Features;
use super::{Mode, diagnostic, not_json, sights};
use crate::json::{Name, Object, Walk, is_deeper, read_array};
use crate::limits::Limits;
use crate::protocol::Refusal;

/// Rows of an analytics body, without origin and id.
///
/// # Errors
/// A [`Refusal`] when the body is no JSON array.
pub(super) fn decode<'a>(plain: &'a str, mode: Mode, limits: &Limits) -> Result<Payload<'a>, Refusal> {
    let mut rows =
        Rows { payload: Payload::default(), sights: Vec::new(), contexts_seen: BTreeMap::new(), mode, limits };
    let mut seen = 0;
    let taken = read_array(plain, |text| {
        seen += 1;
        if seen > limits.events_max {
            rows.refuse(Rejection::TooManyEvents);
        } else {
            push_element(text, &mut rows);
        }
    });
    taken.map_err(|error| not_json(&error, plain, limits))?;
    sights::add(rows.sights, &mut rows.payload.counts);
    let contexts_seen: Vec<(Cow<'a, str>, u64)> = rows.contexts_seen.into_iter().collect();
    Ok(Payload { contexts_seen, ..rows.payload })
}

fn push_element<'a>(text: &'a str, rows: &mut Rows<'_, 'a>) {
    let mark = rows.mark();
    if let Err(reason) = try_push_element(text, rows, mark) {
        rows.take_back(mark);
        rows.refuse(reason);
    }
}

fn try_push_element<'a>(text: &'a str, rows: &mut Rows<'_, 'a>, mark: Mark) -> Result<(), Rejection> {
    let limits = rows.limits;
    let mut element = Element { raw: Raw::default(), rows, mark };
    let shape = Walk::new(text).object(&mut element);
    let raw = element.raw;
    let kind = raw.kind.told().map(|kind| kind.name());
    if kind.as_deref() == Some("summary") {
        // Its entries are measured one by one.
        shape.required()?;
        return push_rows(rows, &raw);
    }
    // A field `features` on another kind means nothing.
    rows.take_back(mark);
    // The element lies in one level, the array.
    if is_deeper(text, limits.depth_max.saturating_sub(1)) {
        return Err(Rejection::TooDeep);
    }
    shape.required()?;
    if text.len() > limits.event_bytes_max {
        return Err(Rejection::EventTooLarge);
    }
    if kind.is_some_and(|kind| kind.starts_with("diagnostic")) {
        rows.payload.diagnostics.push(diagnostic::from_element(text).ok_or(Rejection::UnknownKind)?);
        return Ok(());
    }
    push_rows(rows, &raw)
}

/// Takes the fields of an element, and its `features` straight into rows.
struct Element<'r, 'l, 'a> {
    raw: Raw<'a>,
    rows: &'r mut Rows<'l, 'a>,
    mark: Mark,
}

impl<'a> Object<'a> for Element<'_, '_, 'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        if *name.0 != *b"features" {
            return self.raw.member(name, value);
        }
        self.rows.take_back(self.mark);
        let mut features = Features::new(self.rows.next_element(), &mut self.rows.payload.counts, self.rows.limits);
        let shape = value.object(&mut features);
        self.raw.features = shape.with(features.tally);
    }
}
