//! An ingest node: from a payload to records, and their way into the log.
//!
//! Always true here: a payload is split, judged and encoded by the product's own rules, all at once and at the node's
//! own clock; its records are appended one by one; 2xx is said only after the log has all of them.

use schemas::event::Payload;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::old_path::Gated;
use schemas::record::{Judged, Stamp, encode};
use schemas::rejection::{Rejection, Rejections};
use schemas::split::{Split, split, split_within};

use super::{IngestBreak, broken};
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
    /// What became of the elements' times …
    pub(super) judged: Vec<Judged>,
    /// … at this one by the node's clock, Unix milliseconds.
    pub(super) received_ms: i64,
}

impl Node {
    pub(super) fn new(generation: &Generation, broken: Option<IngestBreak>, chance: &mut Chance) -> Self {
        let part_bytes_max = chance.pick(&[None, Some(150), Some(250), Some(400)]);
        Self { generation: generation.clone(), part_bytes_max, broken }
    }

    /// The payload is there whole, at `received_ms` by the node's clock, and the gate did this with it; `again` = it is the client's second attempt.
    pub(super) fn receive(
        &self,
        environment: &Environment,
        payload: &Payload<'static>,
        (received_ms, gated): (i64, Gated),
        again: bool,
        chance: &mut Chance,
    ) -> Handling {
        let mut judged = ingest::judge::judge(&payload.elements, received_ms, &self.generation.clock);
        broken::judged(self.broken, &mut judged, received_ms);
        let mut carried = Rejections::default();
        if chance.percent(5) {
            carried.add(Rejection::TooDeep, 1);
        }
        let stamp = Stamp { environment, received_ms, carried: &carried, gated };
        let partitions = self.generation.partitions;
        let left = match self.broken {
            None => encode(payload, &self.split(environment, payload), &judged, &stamp),
            Some(IngestBreak::SplitAfterLateness) => {
                let payload = broken::without_late(payload, &judged);
                encode(&payload, &self.split(environment, &payload), &judged, &stamp)
            }
            Some(rule) => {
                let split = self.split(environment, payload);
                broken::encode_broken(rule, again, partitions, payload, &split, &judged, &stamp)
            }
        };
        Handling { left, appended: 0, failed: false, judged, received_ms }
    }

    fn split(&self, environment: &Environment, payload: &Payload<'_>) -> Split {
        match self.part_bytes_max {
            Some(bytes) => split_within(environment, payload, self.generation.partitions, bytes),
            None => split(environment, payload, self.generation.partitions),
        }
    }
}
