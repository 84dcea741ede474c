//! A summary's flags: entries and counters go straight into rows.
//!
//! Always true here: a bad counter, or a bad flag's entry, is refused alone and numbered; what is good around it stays.
//! A flag that is named twice is counted twice over, since either entry may hold counts. A counter is never told apart
//! by its `value`: SDKs merge the defaults of an unknown flag and show the first.

use std::borrow::Cow;

use schemas::event::Count;
use schemas::id::KEY_BYTES_MAX;
use schemas::rejection::{Rejection, Rejections};

use super::context::checked;
use super::element::Served;
use super::rows::{kept_value, variation, version};
use crate::json::{Array, Field, Name, Number, Object, Walk, is_deeper};
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

/// Levels of a body around a flag's entry: the array, the summary, `features`.
const LEVELS_AROUND_ENTRY: usize = 3;

/// Takes `features`, and appends the good counters in it as counters of element number `element`.
pub(super) struct Features<'c, 'l, 'a> {
    pub(super) tally: Tally,
    element: u32,
    counts: &'c mut Vec<Count<'a>>,
    limits: &'l Limits,
}

impl<'c, 'l, 'a> Features<'c, 'l, 'a> {
    pub(super) fn new(element: u32, counts: &'c mut Vec<Count<'a>>, limits: &'l Limits) -> Self {
        Self { tally: Tally::default(), element, counts, limits }
    }

    fn push_entry(&mut self, flag: Name<'a>, value: &mut Walk<'a>) -> Result<(), Rejection> {
        let (mark, before, limits) = (self.counts.len(), self.tally, self.limits);
        let flag = checked(flag.text(), KEY_BYTES_MAX);
        let mut entry =
            Entry { features: self, flag: flag.clone().unwrap_or_default(), mark, before, counters: Field::Absent };
        let (shape, text) = value.text_of(|value| value.object(&mut entry));
        if is_deeper(text, limits.depth_max.saturating_sub(LEVELS_AROUND_ENTRY)) {
            return Err(Rejection::TooDeep);
        }
        if text.len() > limits.event_bytes_max {
            return Err(Rejection::EventTooLarge);
        }
        flag?;
        shape.required().and(entry.counters.required())
    }
}

impl<'a> Object<'a> for Features<'_, '_, 'a> {
    fn member(&mut self, flag: Name<'a>, value: &mut Walk<'a>) {
        self.tally.entries += 1;
        let (mark, before) = (self.counts.len(), self.tally);
        if let Err(reason) = self.push_entry(flag, value) {
            self.counts.truncate(mark);
            self.tally = before;
            self.tally.rejections.add(reason, 1);
        }
    }
}

/// Takes one flag's entry.
struct Entry<'f, 'c, 'l, 'a> {
    features: &'f mut Features<'c, 'l, 'a>,
    flag: Cow<'a, str>,
    /// What there was before it.
    mark: usize,
    before: Tally,
    counters: Field<()>,
}

impl<'a> Object<'a> for Entry<'_, '_, '_, 'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        if *name.0 != *b"counters" {
            return;
        }
        self.features.counts.truncate(self.mark);
        self.features.tally = self.before;
        let mut counters = Counters { features: self.features, flag: &self.flag, seen: 0 };
        self.counters = value.array(&mut counters);
        if counters.seen == 0 {
            self.features.tally.good += 1;
        }
    }
}

/// Takes an entry's counters.
struct Counters<'e, 'c, 'l, 'a> {
    features: &'e mut Features<'c, 'l, 'a>,
    flag: &'e Cow<'a, str>,
    seen: u64,
}

#[derive(Default)]
struct Counter<'a> {
    count: Field<Number<'a>>,
    unknown: Field<bool>,
    served: Served<'a>,
}

impl<'a> Object<'a> for Counter<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"count" => self.count = value.read(),
            b"unknown" => self.unknown = value.read(),
            _ => self.served.member(name, value),
        }
    }
}

impl<'a> Array<'a> for Counters<'_, '_, '_, 'a> {
    fn item(&mut self, items: &mut Walk<'a>) {
        let mut counter = Counter::default();
        let shape = items.object(&mut counter);
        self.seen += 1;
        let Features { tally, element, counts, limits } = &mut *self.features;
        match shape.required().and_then(|()| row(&counter, *element, self.flag, limits)) {
            Ok(row) if row.count > 0 && counts.len() >= limits.counters_max => {
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
    }
}

fn row<'a>(counter: &Counter<'a>, element: u32, flag: &Cow<'a, str>, limits: &Limits) -> Result<Count<'a>, Rejection> {
    let count = counter.count.required()?.whole().filter(|count| *count <= limits.count_max);
    Ok(Count {
        element,
        flag: flag.clone(),
        variation: variation(counter.served.variation)?,
        version: version(counter.served.version)?,
        value: kept_value(counter.served.value),
        count: count.ok_or(Rejection::CountOutOfRange)?,
        error: counter.unknown.optional()?.unwrap_or(false),
        estimated: false,
    })
}
