//! A summary's flags: entries and counters go straight into rows.
//!
//! Always true here: a bad counter, or a bad flag's entry, is refused alone and numbered; what is good around it stays. A
//! flag that is named twice is counted twice over, since either entry may hold counts. A counter is never told apart by its
//! `value`: SDKs merge the defaults of an unknown flag and show the first.

use std::borrow::Cow;

use schemas::event::Count;
use schemas::id::KEY_BYTES_MAX;
use schemas::rejection::{Rejection, Rejections};

use super::context::checked;
use super::element::Served;
use super::rows::{kept_value, variation, version};
use crate::json::{Cursor, Field, Number, Syntax};
use crate::limits::Limits;

/// What became of a summary's flags.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tally {
    /// Entries seen.
    pub(super) entries: u64,
    /// Entries without counters, and counters, that are good.
    pub(super) good: u64,
    /// What was refused.
    pub(super) rejections: Rejections,
}

/// Reads `features` and appends its good counters, as counters of element number `element`.
pub(super) fn read_features<'a>(
    cursor: &mut Cursor<'a>,
    element: u32,
    counts: &mut Vec<Count<'a>>,
    limits: &Limits,
) -> Result<Field<Tally>, Syntax> {
    let mut tally = Tally::default();
    let shape = cursor.object(|cursor, flag| {
        tally.entries += 1;
        let mark = counts.len();
        let before = tally;
        let (refused, measure) = cursor.measured(|cursor| match checked(flag, KEY_BYTES_MAX) {
            Ok(flag) => read_entry(cursor, &Entry { element, flag, limits }, counts, &mut tally),
            Err(reason) => cursor.skip().map(|_| Some(reason)),
        })?;
        let refused = match refused {
            _ if measure.depth > limits.depth_max => Some(Rejection::TooDeep),
            _ if measure.bytes > limits.event_bytes_max => Some(Rejection::EventTooLarge),
            other => other,
        };
        if let Some(reason) = refused {
            counts.truncate(mark);
            tally = before;
            tally.rejections.add(reason, 1);
        }
        Ok(())
    })?;
    Ok(shape.with(tally))
}

struct Entry<'l, 'a> {
    element: u32,
    flag: Cow<'a, str>,
    limits: &'l Limits,
}

/// Reads one flag's entry; gives why all of it is refused, if it is.
fn read_entry<'a>(
    cursor: &mut Cursor<'a>,
    entry: &Entry<'_, 'a>,
    counts: &mut Vec<Count<'a>>,
    tally: &mut Tally,
) -> Result<Option<Rejection>, Syntax> {
    let mark = counts.len();
    let before = *tally;
    let mut counters = Field::Absent;
    let shape = cursor.object(|cursor, name| {
        if *name.name() != *b"counters" {
            return cursor.skip().map(drop);
        }
        counts.truncate(mark);
        *tally = before;
        let mut seen = 0_u64;
        counters = cursor.array(|cursor| {
            seen += 1;
            read_counter(cursor, entry, counts, tally)
        })?;
        if seen == 0 {
            tally.good += 1;
        }
        Ok(())
    })?;
    Ok(shape.required().and(counters.required()).err())
}

fn read_counter<'a>(
    cursor: &mut Cursor<'a>,
    entry: &Entry<'_, 'a>,
    counts: &mut Vec<Count<'a>>,
    tally: &mut Tally,
) -> Result<(), Syntax> {
    let mut count = Field::Absent;
    let mut unknown = Field::Absent;
    let mut served = Served::default();
    let shape = cursor.object(|cursor, name| {
        match &*name.name() {
            b"count" => count = cursor.number()?,
            b"unknown" => unknown = cursor.bool()?,
            field => served.read_field(cursor, field)?,
        }
        Ok(())
    })?;
    match shape.required().and_then(|()| row(entry, count, unknown, &served)) {
        Ok(row) if row.count > 0 && counts.len() >= entry.limits.counters_max => {
            tally.rejections.add(Rejection::TooManyEvents, 1);
        }
        Ok(row) => {
            tally.good += 1;
            // Nothing happened: good, and no row.
            if row.count > 0 {
                counts.push(row);
            }
        }
        Err(reason) => tally.rejections.add(reason, 1),
    }
    Ok(())
}

fn row<'a>(
    entry: &Entry<'_, 'a>,
    count: Field<Number<'a>>,
    unknown: Field<bool>,
    served: &Served<'a>,
) -> Result<Count<'a>, Rejection> {
    let count = count.required()?.whole().filter(|count| *count <= entry.limits.count_max);
    Ok(Count {
        element: entry.element,
        flag: entry.flag.clone(),
        variation: variation(served.variation)?,
        version: version(served.version)?,
        value: kept_value(served.value),
        count: count.ok_or(Rejection::CountOutOfRange)?,
        error: unknown.optional()?.unwrap_or(false),
        estimated: false,
    })
}
