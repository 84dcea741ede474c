//! SDK clients: a payload, its attempts, and what the clients get to know.
//!
//! Always true here: a payload is sent at most twice, with the same id, the second time about a second after the client
//! gave the first up; the node's 2xx counts as acknowledged even where its answer is lost.

use schemas::event::{Payload, PayloadId};

use super::node::Handling;
use crate::chance::Chance;
use crate::faults::Fault;
use crate::note;
use crate::trace::Trace;

/// Ingest nodes.
pub(super) const NODES: usize = 2;
/// Keys of the environments.
pub(super) const KEYS: [&str; 3] = ["dev", "prod", crate::audit::KEY];
/// A client waits so long before its retry.
const RETRY_AFTER_MS: i64 = 1_000;

/// A payload that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// Index of its environment.
    pub(super) environment: usize,
    pub(super) payload: Payload<'static>,
    /// Its number in the audit, if that is where it belongs.
    pub(super) audit: Option<usize>,
    /// The second attempt has reached a node.
    again_arrived: bool,
    /// The log has some of it.
    in_log: bool,
}

impl Sent {
    pub(super) fn new(environment: usize, payload: Payload<'static>, audit: Option<usize>) -> Self {
        Self { environment, payload, audit, again_arrived: false, in_log: false }
    }

    /// Its environment and id for people.
    pub(super) fn name(&self) -> String {
        let environment = KEYS[self.environment];
        match &self.payload.id {
            Some(PayloadId::Sent(id)) => format!("{environment}/{}", String::from_utf8_lossy(id)),
            Some(PayloadId::Diagnostic(id)) => format!("{environment}/diagnostic {}", String::from_utf8_lossy(id)),
            Some(PayloadId::Outcome(_)) => format!("{environment}/outcomes"),
            None => format!("{environment}/without id"),
        }
    }

    /// The log took one of its records: only now will a step panic, if it is to.
    pub(super) fn is_in_log(&mut self, chance: &mut Chance) {
        let first = !std::mem::replace(&mut self.in_log, true);
        if first && matches!(&self.payload.id, Some(PayloadId::Sent(id)) if id.ends_with(b"!")) {
            chance.tally.add(Fault::StepPanics);
        }
    }
}

/// An attempt that some node has or will get.
#[derive(Debug)]
pub(super) struct Request {
    /// Which payload, by index.
    pub(super) sent: usize,
    /// It is the client's second attempt.
    pub(super) again: bool,
    /// Its client does not wait for it any more.
    pub(super) given_up: bool,
    pub(super) node: usize,
    pub(super) place: Place,
}

/// Where a request is.
#[derive(Debug)]
pub(super) enum Place {
    OnTheWay { until_ms: i64 },
    AtNode(Handling),
}

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) sent: Vec<Sent>,
    pub(super) requests: Vec<Request>,
    /// Retries that are due at a time, Unix milliseconds.
    retries: Vec<(i64, usize)>,
}

impl Clients {
    /// A new payload is on its way.
    pub(super) fn send(&mut self, sent: Sent, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        self.sent.push(sent);
        self.attempt(self.sent.len() - 1, false, now_ms, chance, trace);
    }

    /// Whether nothing is on its way and nobody waits.
    pub(super) fn are_at_rest(&self) -> bool {
        self.requests.is_empty() && self.retries.is_empty()
    }

    /// Sends a retry that is due, if there is one.
    pub(super) fn retry_due(&mut self, now_ms: i64, chance: &mut Chance, trace: &mut Trace) -> bool {
        let Some(due) = self.retries.iter().position(|(at_ms, _)| *at_ms <= now_ms) else { return false };
        let (_, sent) = self.retries.swap_remove(due);
        self.attempt(sent, true, now_ms, chance, trace);
        true
    }

    fn attempt(&mut self, sent: usize, again: bool, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        let node = chance.below(NODES);
        note!(trace, "client", "sends {}{} to node {node}", self.sent[sent].name(), if again { " again" } else { "" });
        if chance.fault(Fault::RequestLost, 40) {
            note!(trace, "client", "{}: the request is lost", self.sent[sent].name());
            self.gives_up(sent, again, now_ms);
            return;
        }
        // The client gives up waiting for a request that takes long; the request does not. Counted when it arrives.
        let delayed = !again && !chance.is_calm() && chance.permille(50);
        let mut until_ms = now_ms;
        if delayed {
            note!(trace, "client", "{}: the request takes longer than its client waits", self.sent[sent].name());
            let longer = if chance.percent(80) { 5_000 } else { 15 * 60_000 };
            until_ms += RETRY_AFTER_MS + super::payloads::below_i64(chance, longer);
            self.gives_up(sent, again, now_ms);
        }
        self.requests.push(Request { sent, again, given_up: delayed, node, place: Place::OnTheWay { until_ms } });
    }

    /// A request reaches its node, perhaps after its own retry did.
    pub(super) fn arrives(&mut self, at: usize, chance: &mut Chance) {
        let Request { sent, again, .. } = self.requests[at];
        let sent = &mut self.sent[sent];
        if again {
            sent.again_arrived = true;
        } else if sent.again_arrived {
            chance.tally.add(Fault::RequestDelayed);
        }
    }

    /// The node is through with a request.
    pub(super) fn answered(
        &mut self,
        request: &Request,
        accepted: bool,
        now_ms: i64,
        chance: &mut Chance,
        trace: &mut Trace,
    ) {
        let name = || self.sent[request.sent].name();
        note!(trace, "node i{}", request.node; "answers {}: {}", name(), if accepted { "202" } else { "503" });
        let lost = !chance.is_calm() && chance.permille(80);
        if lost && accepted && !request.given_up && !request.again {
            // Otherwise nobody does anything else for it.
            chance.tally.add(Fault::AnswerLost);
        }
        if lost {
            note!(trace, "client", "{}: the answer is lost", name());
        }
        if !request.given_up && (lost || !accepted) {
            self.gives_up(request.sent, request.again, now_ms);
        }
    }

    /// A client gives up an attempt; the first one is followed by another.
    fn gives_up(&mut self, sent: usize, again: bool, now_ms: i64) {
        if !again {
            self.retries.push((now_ms + RETRY_AFTER_MS, sent));
        }
    }
}
