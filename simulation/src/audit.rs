//! The audit: what clients of one environment may expect, event by event, held against what was counted.
//!
//! Always true here:
//! - every event carries a digit of its own, to base 4, so a sum tells of each how often it is in it: once where the
//!   payload was acknowledged, once or not at all where nobody knows, never twice;
//! - exposures carry no digit: each is the only one of its subject;
//! - what becomes of a time is worked out here, never taken from the product's judge;
//! - where time decides, and two nodes, or a node and the fold, may decide otherwise, an event is *undecided*: it may
//!   be missing, but it may not be there twice either.

mod hold;
mod homes;
mod judged;
mod sums;

use bytes::Bytes;
use schemas::cell::{CellKey, STAND_IN};
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Element, ElementKind, Evaluation, Payload, PayloadId, Reason,
    Variation,
};
use schemas::fixed::Micros;
use schemas::generation::ClockLimits;
use schemas::record::Judged;
use schemas::wire::record::Definition;

use crate::chance::Chance;
use crate::traffic::payloads::{around_the_limit, below_i64, origin};
pub use homes::homes;
pub(crate) use sums::Sums;

/// The environment's key, its flag's, its custom event's and its experiment's.
pub const KEY: &str = "audit";

const DAY: i64 = 86_400_000;
/// 4^14 is the largest power within the largest count of a counter.
const COUNTS_MAX: u32 = 15;
/// 4^28 millionths are within the largest value.
const VALUES_MAX: u32 = 29;
const SUBJECTS_MAX: usize = 8;
/// An exposure lies so far back that no clock's error puts a conversion before it.
const EXPOSED_BEFORE_MS: i64 = 10 * 60_000;

/// The ledger of the audited environment.
#[derive(Debug)]
pub struct Audit {
    limits: ClockLimits,
    open: bool,
    /// How many in a hundred times lie at the limit of lateness.
    at_limit_percent: usize,
    payloads: Vec<Entry>,
    /// When each subject was exposed, and where in the ledger: payload and element.
    subjects: Vec<Subject>,
    counts: u32,
    values: u32,
    /// The first judgement of a node, in any environment, that is not what it must be.
    misjudged: Option<String>,
}

#[derive(Debug)]
struct Entry {
    acknowledged: bool,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Event {
    what: What,
    sent_ms: Option<i64>,
    /// How often some node received it, found it late, and found its time impossible.
    received: u32,
    late: u32,
    clamped: u32,
    /// The fold may have found it beyond its horizon.
    beyond: bool,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// A counter of 4^digit.
    Count { digit: u32 },
    /// A custom event of 4^digit millionths, of a subject that was exposed before it or after it.
    Value { digit: u32, subject: usize, exposed_before: bool },
    /// The one exposure of a subject.
    Exposure,
    /// An element that is in the books alone.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Subject {
    exposed_ms: i64,
    payload: usize,
    element: usize,
}

impl Audit {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(limits: ClockLimits, chance: &mut Chance) -> Self {
        let at_limit_percent = chance.pick(&[5, 20, 40]);
        let (payloads, subjects) = (Vec::new(), Vec::new());
        Self { limits, open: false, at_limit_percent, payloads, subjects, counts: 0, values: 0, misjudged: None }
    }

    /// The experiment, which is the same from first to last.
    #[must_use]
    pub fn definition() -> Definition {
        let (start_ms, end_ms) = (15_000 * DAY, 25_000 * DAY);
        Definition {
            project: Bytes::from_static(b"p"),
            environment: Bytes::from_static(KEY.as_bytes()),
            kind: STAND_IN,
            key: Bytes::from_static(KEY.as_bytes()),
            version: 0,
            body: format!("{KEY} user {KEY} 1 {start_ms} {end_ms}").into(),
        }
    }

    /// Every partition has the definition.
    pub fn open(&mut self) {
        self.open = true;
    }

    /// Whether payloads may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The next payload, and its number: by its id it would not be known, for other environments have the same ones.
    /// `None` = not open, or every digit is used.
    pub fn payload(&mut self, now_ms: i64, chance: &mut Chance) -> Option<(usize, Payload<'static>)> {
        if !self.open || (self.counts >= COUNTS_MAX && self.values >= VALUES_MAX) {
            return None;
        }
        let number = self.payloads.len();
        let mut payload = Payload { origin: origin(chance), ..Payload::default() };
        payload.id = Some(PayloadId::Sent(number.to_string().into_bytes()));
        self.payloads.push(Entry { acknowledged: false, events: Vec::new() });
        for _ in 0..1 + chance.below(5) {
            match chance.below(10) {
                0..=3 if self.counts < COUNTS_MAX => self.count(&mut payload, now_ms, chance),
                4..=5 if self.subjects.len() < SUBJECTS_MAX => self.exposure(&mut payload, now_ms, chance),
                _ if self.values < VALUES_MAX && !self.subjects.is_empty() => self.value(&mut payload, now_ms, chance),
                _ => {}
            }
        }
        if payload.elements.is_empty() {
            self.event(&mut payload, ElementKind::Identify, None, What::Nothing);
        }
        Some((number, payload))
    }

    fn count(&mut self, payload: &mut Payload<'static>, now_ms: i64, chance: &mut Chance) {
        let digit = self.counts;
        self.counts += 1;
        let time_ms = self.time(now_ms, chance);
        let element = self.event(payload, ElementKind::Summary, time_ms, What::Count { digit });
        payload.counts.push(Count {
            element,
            flag: KEY.into(),
            variation: Variation::Index(u32::from(chance.percent(50))),
            version: chance.pick(&[None, Some(1), Some(2)]),
            value: None,
            count: 1 << (2 * digit),
            error: false,
            estimated: false,
        });
    }

    fn exposure(&mut self, payload: &mut Payload<'static>, now_ms: i64, chance: &mut Chance) {
        let exposed_ms = now_ms - EXPOSED_BEFORE_MS - below_i64(chance, 60 * 60_000);
        let subject = self.subjects.len();
        let element = self.event(payload, ElementKind::Feature, Some(exposed_ms), What::Exposure);
        self.subjects.push(Subject { exposed_ms, payload: self.payloads.len() - 1, element: element as usize });
        let contexts = contexts(payload, subject);
        payload.evaluations.push(Evaluation {
            element,
            flag: KEY.into(),
            variation: Variation::Index(u32::from(subject % 2 == 1)),
            version: None,
            reason: Reason::Fallthrough,
            in_experiment: true,
            contexts,
        });
    }

    fn value(&mut self, payload: &mut Payload<'static>, now_ms: i64, chance: &mut Chance) {
        let digit = self.values;
        self.values += 1;
        let subject = chance.below(self.subjects.len());
        let time_ms = self.time(now_ms, chance);
        let exposed_before = time_ms.is_none_or(|time_ms| time_ms >= self.subjects[subject].exposed_ms);
        let what = What::Value { digit, subject, exposed_before };
        let element = self.event(payload, ElementKind::Custom, time_ms, what);
        let contexts = contexts(payload, subject);
        payload.conversions.push(Conversion {
            element,
            kind: ConversionKind::Custom,
            key: KEY.into(),
            value: Some(Micros(1 << (2 * digit))),
            sampling: 1,
            contexts,
        });
    }

    fn event(&mut self, payload: &mut Payload<'static>, kind: ElementKind, time_ms: Option<i64>, what: What) -> u32 {
        let element = u32::try_from(payload.elements.len()).unwrap_or(u32::MAX);
        payload.elements.push(Element { kind, time_ms });
        if let Some(entry) = self.payloads.last_mut() {
            entry.events.push(Event { what, sent_ms: time_ms, received: 0, late: 0, clamped: 0, beyond: false });
        }
        element
    }

    fn time(&self, now_ms: i64, chance: &mut Chance) -> Option<i64> {
        if chance.percent(self.at_limit_percent) {
            return Some(around_the_limit(chance, now_ms, self.lateness_ms()));
        }
        match chance.below(20) {
            0 => None,
            1 => Some(now_ms + DAY),
            _ => Some(now_ms - below_i64(chance, EXPOSED_BEFORE_MS)),
        }
    }

    fn lateness_ms(&self) -> i64 {
        i64::try_from(self.limits.lateness_ms).unwrap_or(i64::MAX)
    }

    /// A node received a payload of some environment and judged its times.
    pub(crate) fn judged(
        &mut self,
        payload: &Payload<'_>,
        received_ms: i64,
        judged: &[Judged],
        name: impl Fn() -> String,
    ) {
        if self.misjudged.is_none() {
            let held = judged::hold(&payload.elements, received_ms, judged, &self.limits);
            self.misjudged = held.err().map(|what| format!("payload {}: {what}", name()));
        }
    }

    /// A node received the payload at `received_ms`, by its own clock.
    pub fn received(&mut self, number: usize, received_ms: i64) {
        for event in &mut self.payloads[number].events {
            let expected = judged::expected(event.sent_ms, received_ms, &self.limits);
            event.received += 1;
            event.late += u32::from(expected.late);
            event.clamped += u32::from(expected.clamped);
        }
    }

    /// One of the records of the payload as received at `received_ms` is in the log, whose newest append time is
    /// `newest_ms`.
    pub fn appended(&mut self, number: usize, received_ms: i64, newest_ms: i64) {
        let horizon_ms = newest_ms - self.lateness_ms();
        for event in &mut self.payloads[number].events {
            let expected = judged::expected(event.sent_ms, received_ms, &self.limits);
            event.beyond |= expected.time_ms <= horizon_ms;
        }
    }

    /// A node answered 2xx.
    pub fn acknowledged(&mut self, number: usize) {
        self.payloads[number].acknowledged = true;
    }

    /// Whether every node judged every time, of every environment, as it must be.
    ///
    /// # Errors
    /// The first judgement that is wrong.
    pub fn check_judged(&self) -> Result<(), String> {
        self.misjudged.clone().map_or(Ok(()), Err)
    }

    /// Holds the cells of the whole topic, as they are at the very end, against the ledger.
    ///
    /// # Errors
    /// Which payload and event was counted how often, and how often it should have been; what the books say of the
    /// environment, and what they should.
    pub fn check(&self, cells: &[(CellKey, Bytes)]) -> Result<(), String> {
        self.check_judged()?;
        self.hold(&Sums::of(cells)?)
    }
}

/// A user on a device, each of one number.
fn contexts(payload: &mut Payload<'static>, subject: usize) -> std::ops::Range<u32> {
    let keys = &mut payload.context_keys;
    let from = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    keys.push(ContextKey { kind: "user".into(), key: format!("u{subject}").into() });
    keys.push(ContextKey { kind: "device".into(), key: format!("d{subject}").into() });
    from..from + 2
}
