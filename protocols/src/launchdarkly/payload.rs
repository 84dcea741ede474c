//! An array of events: each element alone, all in one walk.
//!
//! Always true here: the walk goes to the end of the body, so bad JSON anywhere refuses the payload whole; short of that, an
//! element is kept or refused alone, and every element ends in one of three places: [`Payload::elements`],
//! [`Payload::rejections`], or (a diagnostic among events) [`Payload::diagnostics`]. Rows of an element that is refused are
//! taken back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemas::event::Payload;
use schemas::rejection::Rejection;

use super::element::Raw;
use super::rows::{Rows, push_rows};
use super::summary::read_features;
use super::{Mode, diagnostic, not_json};
use crate::json::{Cursor, Field, Syntax};
use crate::limits::Limits;
use crate::protocol::Refusal;

/// Rows of an analytics body, without origin and id.
///
/// # Errors
/// A [`Refusal`] when the body is no JSON array.
pub(super) fn decode<'a>(plain: &'a [u8], mode: Mode, limits: &Limits) -> Result<Payload<'a>, Refusal> {
    let mut rows = Rows { payload: Payload::default(), contexts_seen: BTreeMap::new(), mode, limits };
    let mut cursor = Cursor::new(plain);
    let mut seen = 0_usize;
    let mut walk = || {
        cursor.array(|cursor| {
            seen += 1;
            if seen > limits.events_max {
                rows.refuse(Rejection::TooManyEvents);
                return cursor.skip().map(drop);
            }
            read_element(cursor, &mut rows)
        })?;
        cursor.end()
    };
    walk().map_err(not_json)?;
    let contexts_seen: Vec<(Cow<'a, str>, u64)> = rows.contexts_seen.into_iter().collect();
    Ok(Payload { contexts_seen, ..rows.payload })
}

fn read_element<'a>(cursor: &mut Cursor<'a>, rows: &mut Rows<'_, 'a>) -> Result<(), Syntax> {
    let mark = rows.mark();
    let limits = rows.limits;
    cursor.peek()?;
    let start = cursor.position();
    let (raw, measure) = cursor.measured(|cursor| {
        Raw::read(cursor, |cursor| {
            rows.take_back(mark);
            let element = rows.next_element();
            read_features(cursor, element, &mut rows.payload.counts, limits)
        })
    })?;
    let verdict = match raw {
        _ if measure.depth > limits.depth_max => Err(Rejection::TooDeep),
        Field::Is(raw) => {
            let kind = raw.kind.told().map(|kind| kind.name());
            match kind.as_deref() {
                Some(b"summary") => push_rows(rows, &raw),
                _ if measure.bytes > limits.event_bytes_max => Err(Rejection::EventTooLarge),
                Some(kind) if kind.starts_with(b"diagnostic") => {
                    rows.take_back(mark);
                    push_diagnostic(cursor.between(start, cursor.position()), rows)
                }
                _ => {
                    // A field `features` on another kind means nothing.
                    rows.take_back(mark);
                    push_rows(rows, &raw)
                }
            }
        }
        Field::Absent | Field::Wrong => Err(Rejection::MalformedEvent),
    };
    if let Err(reason) = verdict {
        rows.take_back(mark);
        rows.refuse(reason);
    }
    Ok(())
}

fn push_diagnostic<'a>(element: &'a [u8], rows: &mut Rows<'_, 'a>) -> Result<(), Rejection> {
    rows.payload.diagnostics.push(diagnostic::from_element(element).ok_or(Rejection::UnknownKind)?);
    Ok(())
}
