//! The split rule: which rows of a payload make which record of which partition.
//!
//! Always true here: one payload makes at most one record per partition, or several *parts* where one would be too
//! large; the rule looks at nothing but the decoded rows and P, so a re-send makes the same parts again, wherever and
//! whenever it arrives; the home partition gets every row, the partition of a subject gets the exposures and
//! conversions that act there. It is version [`crate::generation::SPLIT_RULE`] of the rule: to change it is to begin
//! another generation.

use std::ops::Range;

use crate::event::{ContextKey, Conversion, Count, Evaluation, Payload, Variation};
use crate::id::Environment;
use crate::log::RECORD_BYTES_MAX;
use crate::partition;

/// What a record takes beside its rows, at most: header, origin, rejections, contexts seen, diagnostics, and the frames
/// of the columns. A test fills each to its limit.
const FIXED_BYTES: usize = 40 * 1024;
/// What one row takes beside the bytes of its texts, at most; a full evaluation (a reason and an exposure) takes the
/// most.
const ROW_BYTES: usize = 80;
/// What one context of a row takes beside the bytes of its kind and key, at most.
const CONTEXT_BYTES: usize = 20;
/// Rows of one part may weigh this much.
const PART_BYTES_MAX: usize = RECORD_BYTES_MAX - FIXED_BYTES;

/// The rows that one record takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Where it goes.
    pub partition: u32,
    /// Its number among this payload's parts in that partition.
    pub part: u32,
    /// It is of the home partition.
    pub home: bool,
    /// Elements that begin in it (home parts only).
    pub elements: Range<u32>,
    /// Counters, by index.
    pub counts: Range<u32>,
    /// Full evaluations, by index.
    pub evaluations: Vec<u32>,
    /// Custom events and goals, by index.
    pub conversions: Vec<u32>,
    /// Migration operations, by index.
    pub migrations: Range<u32>,
}

/// A payload cut into parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The parts: home parts first, then by partition.
    pub parts: Vec<Part>,
    /// For each of the payload's context keys, the partition in which it acts.
    pub acts_in: Vec<u32>,
}

/// Cuts a payload of `environment` into parts for a log of `partitions` partitions. There is always at least one home
/// part.
#[must_use]
pub fn split(environment: &Environment, payload: &Payload<'_>, partitions: u32) -> Split {
    cut(environment, payload, partitions, PART_BYTES_MAX)
}

/// [`split`] with another limit, so that tests cut small payloads too.
#[cfg(any(test, feature = "testing"))]
#[must_use]
pub fn split_within(environment: &Environment, payload: &Payload<'_>, partitions: u32, part_bytes_max: usize) -> Split {
    cut(environment, payload, partitions, part_bytes_max)
}

/// The rule itself, whatever a part may weigh.
fn cut(environment: &Environment, payload: &Payload<'_>, partitions: u32, part_bytes_max: usize) -> Split {
    let home = partition::home(environment, partitions);
    let acts_in: Vec<u32> = payload
        .context_keys
        .iter()
        .map(|context| if partitions == 1 { 0 } else { acts_in(environment, context, partitions) })
        .collect();
    let mut parts = home_parts(payload, home, part_bytes_max);
    if partitions > 1 {
        parts.extend(subject_parts(payload, home, &acts_in, part_bytes_max));
    }
    Split { parts, acts_in }
}

fn acts_in(environment: &Environment, context: &ContextKey<'_>, partitions: u32) -> u32 {
    partition::subject(environment, &context.kind, &context.key, partitions)
}

/// Walks all rows in order of element and begins another part where the weight would pass the limit. An element without
/// rows weighs nothing: it is only a number in the header.
fn home_parts(payload: &Payload<'_>, home: u32, part_bytes_max: usize) -> Vec<Part> {
    let mut cutter = Cutter::new(Part { partition: home, home: true, ..Part::default() }, part_bytes_max);
    let (mut count, mut evaluation, mut conversion, mut migration) = (0, 0, 0, 0);
    for element in 0..index(payload.elements.len()) {
        cutter.part.elements.end = element + 1;
        while let Some(row) = payload.counts.get(at(count)).filter(|row| row.element == element) {
            cutter.room_for(count_weight(row));
            count += 1;
            cutter.part.counts.end = count;
        }
        while let Some(row) = payload.evaluations.get(at(evaluation)).filter(|row| row.element == element) {
            cutter.room_for(evaluation_weight(payload, row));
            cutter.part.evaluations.push(evaluation);
            evaluation += 1;
        }
        while let Some(row) = payload.conversions.get(at(conversion)).filter(|row| row.element == element) {
            cutter.room_for(conversion_weight(payload, row));
            cutter.part.conversions.push(conversion);
            conversion += 1;
        }
        while let Some(row) = payload.migrations.get(at(migration)).filter(|row| row.element == element) {
            cutter.room_for(ROW_BYTES + row.flag.len() + variation_bytes(&row.variation));
            migration += 1;
            cutter.part.migrations.end = migration;
        }
    }
    debug_assert_eq!(
        (at(count), at(evaluation), at(conversion), at(migration)),
        (payload.counts.len(), payload.evaluations.len(), payload.conversions.len(), payload.migrations.len()),
        "rows must stand in rising order of their elements"
    );
    cutter.finish()
}

/// Exposures and conversions, once in each further partition in which one of their contexts acts.
fn subject_parts(payload: &Payload<'_>, home: u32, acts_in: &[u32], part_bytes_max: usize) -> Vec<Part> {
    let mut cutters: Vec<Cutter> = Vec::new();
    let mut exposures = (0_u32..).zip(&payload.evaluations).filter(|(_, row)| row.in_experiment).peekable();
    let mut conversions = (0_u32..).zip(&payload.conversions).peekable();
    loop {
        let exposure_first = match (exposures.peek(), conversions.peek()) {
            (None, None) => break,
            (Some((_, exposure)), Some((_, conversion))) => exposure.element <= conversion.element,
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        if exposure_first {
            let Some((row, exposure)) = exposures.next() else { break };
            let weight = evaluation_weight(payload, exposure);
            for partition in further(acts_in, &exposure.contexts, home) {
                let cutter = cutter_of(&mut cutters, partition, part_bytes_max);
                cutter.room_for(weight);
                cutter.part.evaluations.push(row);
            }
        } else {
            let Some((row, conversion)) = conversions.next() else { break };
            let weight = conversion_weight(payload, conversion);
            for partition in further(acts_in, &conversion.contexts, home) {
                let cutter = cutter_of(&mut cutters, partition, part_bytes_max);
                cutter.room_for(weight);
                cutter.part.conversions.push(row);
            }
        }
    }
    cutters.sort_by_key(|cutter| cutter.part.partition);
    cutters.into_iter().flat_map(Cutter::finish).collect()
}

/// The partitions other than `home` in which these contexts act, each once.
fn further<'a>(acts_in: &'a [u32], contexts: &Range<u32>, home: u32) -> impl Iterator<Item = u32> + use<'a> {
    let here = &acts_in[at(contexts.start)..at(contexts.end)];
    here.iter()
        .enumerate()
        .filter(move |(place, partition)| **partition != home && !here[..*place].contains(partition))
        .map(|(_, partition)| *partition)
}

fn cutter_of(cutters: &mut Vec<Cutter>, partition: u32, part_bytes_max: usize) -> &mut Cutter {
    let place = cutters.iter().position(|cutter| cutter.part.partition == partition).unwrap_or_else(|| {
        cutters.push(Cutter::new(Part { partition, ..Part::default() }, part_bytes_max));
        cutters.len() - 1
    });
    &mut cutters[place]
}

/// Fills one part after another.
struct Cutter {
    done: Vec<Part>,
    part: Part,
    weight: usize,
    part_bytes_max: usize,
}

impl Cutter {
    fn new(part: Part, part_bytes_max: usize) -> Self {
        Self { done: Vec::new(), part, weight: 0, part_bytes_max }
    }

    fn room_for(&mut self, weight: usize) {
        if self.weight > 0 && self.weight + weight > self.part_bytes_max {
            let next = Part {
                partition: self.part.partition,
                part: self.part.part + 1,
                home: self.part.home,
                elements: self.part.elements.end..self.part.elements.end,
                counts: self.part.counts.end..self.part.counts.end,
                migrations: self.part.migrations.end..self.part.migrations.end,
                ..Part::default()
            };
            self.done.push(std::mem::replace(&mut self.part, next));
            self.weight = 0;
        }
        self.weight += weight;
    }

    fn finish(mut self) -> Vec<Part> {
        self.done.push(self.part);
        self.done
    }
}

fn count_weight(row: &Count<'_>) -> usize {
    ROW_BYTES + row.flag.len() + row.value.map_or(0, str::len) + variation_bytes(&row.variation)
}

/// Only an exposure brings its variation and contexts along; else a reason is all that is kept.
fn evaluation_weight(payload: &Payload<'_>, row: &Evaluation<'_>) -> usize {
    let exposure =
        if row.in_experiment { variation_bytes(&row.variation) + contexts_bytes(payload, &row.contexts) } else { 0 };
    ROW_BYTES + row.flag.len() + exposure
}

fn conversion_weight(payload: &Payload<'_>, row: &Conversion<'_>) -> usize {
    ROW_BYTES + row.key.len() + contexts_bytes(payload, &row.contexts)
}

fn variation_bytes(variation: &Variation<'_>) -> usize {
    if let Variation::Name(name) = variation { name.len() } else { 0 }
}

fn contexts_bytes(payload: &Payload<'_>, contexts: &Range<u32>) -> usize {
    payload.context_keys[at(contexts.start)..at(contexts.end)]
        .iter()
        .map(|context| CONTEXT_BYTES + context.kind.len() + context.key.len())
        .sum()
}

pub(crate) fn at(index: u32) -> usize {
    index as usize
}

/// A length as a row number; a body is smaller than 4 GiB, so it always fits.
pub(crate) fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
