//! Everything before the log: SDK clients, ingest nodes, publishers of definitions.
//!
//! Always true here: a turn is one small step of one of them; splitting, judging, encoding and the choice of partitions
//! are the product's own; what a client may expect is kept in the [`Audit`].

mod broken;
mod client;
mod node;
pub(crate) mod old_path;
pub(crate) mod payloads;
mod publisher;

use bytes::Bytes;
use prost::Message;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::old_path::Gated;
use schemas::partition;
use schemas::record::{Header, RecordKind, numbers_record};
use schemas::rejection::{Rejection, Rejections};
use schemas::wire::record as wire;

use crate::audit::Audit;
use crate::chance::Chance;
use crate::faults::Fault;
use crate::log::Log;
use crate::note;
use crate::trace::Trace;

use client::{Clients, KEYS, NODES, Place, Request, Sent};
use node::Node;
use payloads::Numbers;
use publisher::Publishers;

/// Clocks of nodes are wrong by less than this.
const SKEW_MS: i64 = 3 * 60_000;
/// Payloads that are on their way at once, at most.
const REQUESTS_MAX: usize = 4;
/// One world in so many has a gate.
const GATED_WORLDS: i64 = 4;
/// Index of the environment that is audited.
const AUDIT: usize = 2;

switches! {
    /// What an ingest node or a publisher does wrong.
    IngestBreak {
        /// The records of a retry go to the partitions beside those of the first attempt.
        ResendToAnotherPartition,
        /// What this node judges late is gone before the payload is cut into parts.
        SplitAfterLateness,
        /// What of a payload counts at home and what acts there become two records of one id and part.
        HomeAndSubjectsApart,
        /// Each record brings every key of a context, wherever that acts.
        ActsForEveryKind,
        /// Everything older than its receipt is late.
        JudgeAllLate,
        /// Nothing is late.
        NeverLate,
        /// Each payload has a home partition of its own.
        HomePerPayload,
        /// A home part behind the first says that one more element begins in it.
        AcceptedTooHigh,
        /// A definition reaches the other partitions before the earlier ones that they lack.
        PublishFallingOrder,
        /// Whoever does not know whether partition 0 has a definition appends it again.
        PublishAgainWithoutLooking,
    }
}

/// SDK clients, ingest nodes and publishers of one world.
#[derive(Debug)]
pub struct Traffic {
    environments: [Environment; 3],
    partitions: u32,
    lateness_ms: i64,
    node: Node,
    skews_ms: [i64; NODES],
    clients: Clients,
    /// Of the next payloads of dev and prod: the same ids in both, as in the audit.
    numbers: [Numbers; AUDIT],
    publishers: Publishers,
    /// Second copies of records that the producer has not sent yet.
    doubles: Vec<Append>,
    audit: Audit,
    audited: bool,
    /// Some SDKs hand out all flags at once.
    all_flags: bool,
    /// A gate chooses the path of some payloads, an old path tells its outcomes, and customers migrate.
    has_gate: bool,
}

impl Traffic {
    /// Nobody has sent anything. `audited` = an environment of its own is held against what its clients may expect.
    #[must_use]
    pub fn new(generation: &Generation, audited: bool, broken: Option<IngestBreak>, chance: &mut Chance) -> Self {
        let lateness_ms = i64::try_from(generation.clock.lateness_ms).unwrap_or(i64::MAX);
        let environment = |key: &'static str| Environment {
            project: Bytes::from_static(b"p"),
            key: Bytes::from_static(key.as_bytes()),
        };
        let audit = Audit::new(generation.clock, chance);
        let mut publishers = Publishers::new(generation.partitions, broken, chance);
        if audited {
            publishers.begin(Audit::definition());
        }
        let node = Node::new(generation, broken, chance);
        let skews_ms = [(); NODES].map(|()| {
            let skew_ms = payloads::below_i64(chance, 2 * SKEW_MS) - SKEW_MS;
            // Clocks that are wrong by less than the grain are right.
            if chance.grain_ms() > SKEW_MS { 0 } else { chance.coarse(skew_ms) }
        });
        // No throw of the dice: a world without a gate is the run that it always was.
        let has_gate = skews_ms[0].rem_euclid(GATED_WORLDS) == 1;
        Self {
            environments: KEYS.map(environment),
            partitions: generation.partitions,
            lateness_ms,
            node,
            skews_ms,
            clients: Clients::default(),
            numbers: <[Numbers; AUDIT]>::default(),
            publishers,
            doubles: Vec::new(),
            audit,
            audited,
            all_flags: false,
            has_gate,
        }
    }

    /// From now on some SDKs hand out all flags at once.
    pub fn read_all_flags(&mut self) {
        self.all_flags = true;
    }

    /// One small step: a client sends, a node receives or appends one record, a publisher goes on.
    pub fn turn(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        let publishes = if self.waits_for_definition() || self.publishers.have_none() { 60 } else { 16 };
        if chance.percent(publishes) && self.publishers.turn(log, now_ms, chance, trace) {
            return;
        }
        if !self.doubles.is_empty() && chance.percent(20) {
            let double = self.doubles.swap_remove(0);
            let offset = log.append(&double, now_ms, chance);
            note!(trace, "producer", "appends a second copy to partition {} at {offset}", double.partition);
            return;
        }
        if chance.percent(60) && self.clients.retry_due(now_ms, chance, trace) {
            return;
        }
        let busy = self.clients.requests.len();
        if (busy >= REQUESTS_MAX || (busy > 0 && chance.percent(70))) && self.advance(log, now_ms, chance, trace) {
            return;
        }
        if busy >= REQUESTS_MAX {
            return;
        }
        if chance.percent(if self.has_gate { 25 } else { 8 }) {
            self.stray(log, now_ms, chance, trace);
        } else {
            self.send(now_ms, chance, trace);
        }
    }

    /// Everything on its way comes to its end, and half-published definitions are completed. The dice are to be calm.
    pub fn settle(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        for double in std::mem::take(&mut self.doubles) {
            log.append(&double, now_ms, chance);
        }
        // Nobody waits any longer than the longest of the waits.
        let later_ms = now_ms + 60 * 60_000;
        while !self.clients.are_at_rest() {
            if !self.clients.retry_due(later_ms, chance, trace) {
                self.advance_one(0, log, now_ms, chance, trace);
            }
        }
        self.publishers.settle(log, now_ms, chance, trace);
    }

    /// What clients may expect.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Whether partition 0 has each publication once, after everything has settled: not twice where somebody did not
    /// know, and not never.
    ///
    /// # Errors
    /// What was published how often, and how often partition 0 has it.
    pub fn check_publications(&self, log: &Log) -> Result<(), String> {
        self.publishers.check(log)
    }

    /// The newest version of each definition, as the configuration would have it.
    #[must_use]
    pub fn newest_definitions(&self) -> Vec<wire::Definition> {
        self.publishers.newest()
    }

    /// The topic was made again, or another begins: what is on its way arrives there, what was published is not.
    pub fn topic_again(&mut self) {
        self.publishers.forget();
    }

    fn waits_for_definition(&self) -> bool {
        self.audited && !self.audit.is_open()
    }

    fn send(&mut self, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        if self.waits_for_definition() && self.publishers.audits_is_everywhere() {
            self.audit.open();
        }
        let mut sent = None;
        if self.audited && chance.percent(50) {
            let audited = self.audit.payload(now_ms, chance);
            sent = audited.map(|(number, payload)| Sent::new(AUDIT, payload, Some(number)));
        }
        let sent = sent.unwrap_or_else(|| {
            let environment = chance.pick(&[0, 0, 1]);
            let numbers = &mut self.numbers[environment];
            let all_flags = self.all_flags && chance.percent(70);
            let mut payload = match all_flags {
                true => payloads::all_flags(chance, numbers, now_ms, self.lateness_ms),
                false => payloads::payload(chance, numbers, now_ms, self.lateness_ms),
            };
            if self.has_gate && chance.percent(20) {
                let time_ms = payloads::time(chance, now_ms, self.lateness_ms);
                old_path::operation(chance, &mut payload, time_ms);
            }
            Sent::new(environment, payload, None)
        });
        self.clients.send(sent, now_ms, chance, trace);
    }

    /// One of the requests that can go on does; `false` = none can.
    fn advance(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) -> bool {
        let requests = &self.clients.requests;
        let first = chance.below(requests.len());
        let can = |at: &usize| !matches!(requests[*at].place, Place::OnTheWay { until_ms } if until_ms > now_ms);
        let Some(at) = (first..requests.len()).chain(0..first).find(can) else { return false };
        self.advance_one(at, log, now_ms, chance, trace);
        true
    }

    /// A request arrives, or one of its records is appended, or it is answered.
    fn advance_one(&mut self, at: usize, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        let Request { sent, again, node, .. } = self.clients.requests[at];
        if let Place::OnTheWay { .. } = self.clients.requests[at].place {
            self.clients.arrives(at, chance);
            let known = &self.clients.sent[sent];
            let Sent { environment, payload, audit, .. } = known;
            let received_ms = now_ms + self.skews_ms[node];
            let gated = if self.has_gate { old_path::gated(chance) } else { Gated::No };
            let environment = &self.environments[*environment];
            let handling = self.node.receive(environment, payload, (received_ms, gated), again, chance);
            self.audit.judged(payload, received_ms, &handling.judged, || known.name());
            if let Some(number) = audit {
                self.audit.received(*number, received_ms);
            }
            note!(trace, "node i{}", node; "receives {}: {} records", known.name(), handling.left.len());
            self.clients.requests[at].place = Place::AtNode(handling);
            return;
        }
        self.append_one(at, log, now_ms, chance, trace);
        let done = matches!(&self.clients.requests[at].place, Place::AtNode(handling) if handling.left.is_empty());
        if done {
            let request = self.clients.requests.swap_remove(at);
            let accepted = matches!(&request.place, Place::AtNode(handling) if !handling.failed);
            if let (true, Some(number)) = (accepted, self.clients.sent[sent].audit) {
                self.audit.acknowledged(number);
            }
            self.clients.answered(&request, accepted, now_ms, chance, trace);
        }
    }

    /// One of a payload's records goes to the log, in any order.
    fn append_one(&mut self, at: usize, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        let request = &mut self.clients.requests[at];
        let (node, sent) = (request.node, &mut self.clients.sent[request.sent]);
        let Place::AtNode(handling) = &mut request.place else { return };
        if handling.left.is_empty() {
            return;
        }
        let append = handling.left.swap_remove(chance.below(handling.left.len()));
        let partition = append.partition;
        if handling.appended > 0 && chance.fault(Fault::PartLeftOut, 80) {
            note!(trace, "node i{}", node; "leaves a part of {} out, to partition {partition}", sent.name());
            handling.failed = true;
            return;
        }
        if chance.fault(Fault::AppendFailed, 60) {
            note!(trace, "node i{}", node; "cannot append {} to partition {partition}", sent.name());
            handling.failed = true;
            return;
        }
        let offset = log.append(&append, now_ms, chance);
        handling.appended += 1;
        note!(trace, "node i{}", node; "appends {} to partition {partition} at {offset}", sent.name());
        sent.is_in_log(chance);
        if let Some(number) = sent.audit {
            self.audit.appended(number, handling.received_ms, log.newest_ms());
        }
        if chance.fault(Fault::AppendUnknown, 60) {
            note!(trace, "node i{}", node; "does not know whether {} is in partition {partition}", sent.name());
            handling.failed = true;
        }
        if chance.fault(Fault::ProducerDuplicate, 50) {
            note!(trace, "node i{}", node; "has {} appended twice to partition {partition}", sent.name());
            if chance.percent(50) {
                log.append(&append, now_ms, chance);
            } else {
                self.doubles.push(append);
            }
        }
    }

    /// Numbers alone, or a record that nobody can read.
    fn stray(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        let environment = &self.environments[chance.below(2)];
        let record = if self.has_gate && chance.percent(70) {
            old_path::outcomes(environment, self.partitions, now_ms, chance)
        } else if chance.percent(50) {
            let mut carried = Rejections::default();
            carried
                .add(chance.pick(&[Rejection::MalformedPayload, Rejection::UnknownPath]), 1 + chance.below(3) as u64);
            numbers_record(environment, self.partitions, &carried, now_ms)
        } else {
            unreadable(environment, self.partitions, now_ms, chance)
        };
        let offset = log.append(&record, now_ms, chance);
        let what = match Header::decode(&record.header) {
            Ok(header) if header.kind == RecordKind::Outcome => "outcomes",
            _ if record.body.is_empty() => "numbers alone",
            _ => "what nobody can read",
        };
        note!(trace, "node", "appends {what} to partition {} at {offset}", record.partition);
    }
}

/// A body that is none, a version of tomorrow, or a header that is none.
fn unreadable(environment: &Environment, partitions: u32, received_ms: i64, chance: &mut Chance) -> Append {
    let header = wire::Header {
        version: if chance.percent(50) { 2 } else { 1 },
        kind: 1,
        project: environment.project.clone(),
        environment: environment.key.clone(),
        id_kind: 1,
        payload_id: Bytes::from_static(chance.pick(&[b"x" as &'static [u8], b"y"])),
        home: true,
        accepted: 3,
        received_ms,
        ..wire::Header::default()
    };
    let header = if chance.percent(80) { Bytes::from(header.encode_to_vec()) } else { Bytes::from_static(b"\xff") };
    let partition = partition::home(environment, partitions);
    Append { partition, header, body: Bytes::from_static(b"\xff\xff\xff") }
}

#[cfg(test)]
mod tests;
