//! An ingest node: from a payload to records, and their way into the log.
//!
//! Always true here: a payload is split, judged and encoded by the product's own rules, all at once and at the node's own
//! clock; its records are appended one by one; 2xx is said only after the log has all of them.

use schemas::event::Payload;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::record::{Judged, Stamp, encode};
use schemas::rejection::{Rejection, Rejections};
use schemas::split::{Part, Split, split, split_within};

use super::IngestBreak;
use crate::chance::Chance;

/// What all ingest nodes of a world have in common.
#[derive(Debug, Clone)]
pub(super) struct Node {
    generation: Generation,
    /// The weight of a part, where it is smaller than the product's.
    part_bytes_max: Option<usize>,
    broken: Option<IngestBreak>,
}

/// A payload at a node.
#[derive(Debug)]
pub(super) struct Handling {
    /// Records that the log was not asked to take yet.
    pub(super) left: Vec<Append>,
    /// Records that are in the log.
    pub(super) appended: usize,
    /// One of the records is not in the log, as far as the node knows.
    pub(super) failed: bool,
    /// What became of the elements' times.
    pub(super) judged: Vec<Judged>,
}

impl Node {
    pub(super) fn new(generation: &Generation, broken: Option<IngestBreak>, chance: &mut Chance) -> Self {
        let part_bytes_max = chance.pick(&[None, Some(150), Some(250), Some(400)]);
        Self { generation: generation.clone(), part_bytes_max, broken }
    }

    /// The payload is there whole, at `received_ms` by the node's clock; `again` = it is the client's second attempt.
    pub(super) fn receive(
        &self,
        environment: &Environment,
        payload: &Payload<'static>,
        received_ms: i64,
        again: bool,
        chance: &mut Chance,
    ) -> Handling {
        let judged = ingest::judge::judge(&payload.elements, received_ms, &self.generation.clock);
        let mut carried = Rejections::default();
        if chance.percent(5) {
            carried.add(Rejection::TooDeep, 1);
        }
        let stamp = Stamp { environment, received_ms, carried: &carried };
        let mut left = match self.broken {
            Some(IngestBreak::SplitAfterLateness) => {
                let payload = without_late(payload, &judged);
                encode(&payload, &self.split(environment, &payload), &judged, &stamp)
            }
            Some(IngestBreak::HomeAndSubjectsApart) => {
                apart(payload, &self.split(environment, payload), &judged, &stamp)
            }
            Some(IngestBreak::ActsForEveryKind) => {
                acting_everywhere(payload, &self.split(environment, payload), &judged, &stamp)
            }
            Some(IngestBreak::ResendToAnotherPartition) | None => {
                encode(payload, &self.split(environment, payload), &judged, &stamp)
            }
        };
        if again && self.broken == Some(IngestBreak::ResendToAnotherPartition) {
            for append in &mut left {
                append.partition = (append.partition + 1) % self.generation.partitions;
            }
        }
        Handling { left, appended: 0, failed: false, judged }
    }

    fn split(&self, environment: &Environment, payload: &Payload<'_>) -> Split {
        match self.part_bytes_max {
            Some(bytes) => split_within(environment, payload, self.generation.partitions, bytes),
            None => split(environment, payload, self.generation.partitions),
        }
    }
}

/// A mistake: what is late is gone before the split, which then looks at the node's clock. Its elements stay, so that the
/// books still balance.
fn without_late(payload: &Payload<'static>, judged: &[Judged]) -> Payload<'static> {
    let in_time = |element: u32| !judged[element as usize].late;
    let mut payload = payload.clone();
    payload.counts.retain(|row| in_time(row.element));
    payload.evaluations.retain(|row| in_time(row.element));
    payload.conversions.retain(|row| in_time(row.element));
    payload.migrations.retain(|row| in_time(row.element));
    payload
}

/// A mistake: what counts at home and what acts there are two records of one id and part.
fn apart(payload: &Payload<'_>, split: &Split, judged: &[Judged], stamp: &Stamp<'_>) -> Vec<Append> {
    let acts_nowhere = Split { parts: split.parts.clone(), acts_in: vec![u32::MAX; split.acts_in.len()] };
    let mut appends = Vec::new();
    for (part, without) in split.parts.iter().zip(&acts_nowhere.parts) {
        let acts_here = |contexts: &std::ops::Range<u32>| {
            contexts.clone().any(|context| split.acts_in[context as usize] == part.partition)
        };
        let exposures = part.evaluations.iter().copied().filter(|row| {
            let row = &payload.evaluations[*row as usize];
            row.in_experiment && acts_here(&row.contexts)
        });
        let conversions = part.conversions.iter().copied();
        let subjects = Part {
            partition: part.partition,
            part: part.part,
            evaluations: exposures.collect(),
            conversions: conversions.filter(|row| acts_here(&payload.conversions[*row as usize].contexts)).collect(),
            ..Part::default()
        };
        if !part.home || (subjects.evaluations.is_empty() && subjects.conversions.is_empty()) {
            let whole = Split { parts: vec![part.clone()], acts_in: split.acts_in.clone() };
            appends.extend(encode(payload, &whole, judged, stamp));
            continue;
        }
        let home = Split { parts: vec![without.clone()], acts_in: acts_nowhere.acts_in.clone() };
        appends.extend(encode(payload, &home, judged, stamp));
        let subjects = Split { parts: vec![subjects], acts_in: split.acts_in.clone() };
        appends.extend(encode(payload, &subjects, judged, stamp));
    }
    appends
}

/// A mistake: each record brings every key of a context, whether it acts in that partition or not.
fn acting_everywhere(payload: &Payload<'_>, split: &Split, judged: &[Judged], stamp: &Stamp<'_>) -> Vec<Append> {
    let of = |part: &Part| {
        let acts_in = vec![part.partition; split.acts_in.len()];
        encode(payload, &Split { parts: vec![part.clone()], acts_in }, judged, stamp)
    };
    split.parts.iter().flat_map(of).collect()
}
