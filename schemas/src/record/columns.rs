//! From the rows of a part to the columns of a record.
//!
//! Always true here: rows of late elements are left out (their number stays); times are written against the receive time;
//! a text stands once; what is not cut by [`crate::split`] is held within a limit here, so no record outgrows the log's.

use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashMap;
use prost::Message;

use super::{Header, RecordKind};
use crate::event::{Conversion, Evaluation, MigrationOp, Payload, Variation};
use crate::id::{Environment, cut_name};
use crate::log::Append;
use crate::rejection::Rejections;
use crate::split::{Part, Split, at};
use crate::wire::record as wire;

/// What ingest decided about an element's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The time that counts, Unix milliseconds.
    pub time_ms: i64,
    /// The time sent was impossible and became the receive time.
    pub clamped: bool,
    /// It is older than the lateness limit: it stands in the books and nowhere else.
    pub late: bool,
}

/// What ingest stamps on a payload's records.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Whose it is, from the credential.
    pub environment: &'a Environment,
    /// Receive time, Unix milliseconds.
    pub received_ms: i64,
    /// Rejections of payloads refused whole before this one.
    pub carried: &'a Rejections,
}

/// Kinds of contexts seen that a record keeps, in the order of the payload.
pub const CONTEXTS_SEEN_MAX: usize = 64;
/// Facts about SDKs that a record keeps, in the order of the payload.
pub const DIAGNOSTICS_MAX: usize = 64;

/// Milliseconds of a minute.
pub(super) const MINUTE_MS: i64 = 60_000;

/// Writes every part of a payload as a record. `judged` has one entry for each of the payload's elements.
#[must_use]
pub fn encode(payload: &Payload<'_>, split: &Split, judged: &[Judged], stamp: &Stamp<'_>) -> Vec<Append> {
    split.parts.iter().map(|part| encode_part(payload, split, part, judged, stamp)).collect()
}

fn encode_part(payload: &Payload<'_>, split: &Split, part: &Part, judged: &[Judged], stamp: &Stamp<'_>) -> Append {
    let first = part.home && part.part == 0;
    let header = Header {
        kind: RecordKind::Payload,
        environment: stamp.environment.clone(),
        id: payload.id.clone(),
        part: part.part,
        home: part.home,
        accepted: u64::from(part.elements.end - part.elements.start),
        received_ms: stamp.received_ms,
        rejected: if first { payload.rejections } else { Rejections::default() },
        carried: if first { *stamp.carried } else { Rejections::default() },
    };
    let writer = Writer {
        payload,
        split,
        part,
        judged,
        received_ms: stamp.received_ms,
        texts: HashMap::new(),
        out: wire::Payload::default(),
    };
    let body = writer.write(first);
    Append { partition: part.partition, header: header.encode(), body }
}

struct Writer<'p, 'a> {
    payload: &'p Payload<'a>,
    split: &'p Split,
    part: &'p Part,
    judged: &'p [Judged],
    received_ms: i64,
    texts: HashMap<&'p str, u32>,
    out: wire::Payload,
}

impl<'p, 'a> Writer<'p, 'a> {
    fn write(mut self, first: bool) -> Bytes {
        self.origin();
        self.elements();
        self.counts();
        self.evaluations();
        self.conversions();
        self.migrations();
        if first {
            self.contexts_seen();
            self.diagnostics();
        }
        Bytes::from(self.out.encode_to_vec())
    }

    fn text(&mut self, text: &'p str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        self.out.texts.push(Bytes::copy_from_slice(text.as_bytes()));
        let number = crate::split::index(self.out.texts.len());
        self.texts.insert(text, number);
        number
    }

    fn variation(&mut self, variation: &'p Variation<'a>) -> u64 {
        match variation {
            Variation::Default => 0,
            Variation::Index(index) => u64::from(*index) * 2 + 1,
            Variation::Name(name) => u64::from(self.text(name)) * 2,
        }
    }

    fn judged(&self, element: u32) -> Judged {
        self.judged[at(element)]
    }

    fn minute(&self, judged: Judged) -> i64 {
        judged.time_ms.div_euclid(MINUTE_MS) - self.received_ms.div_euclid(MINUTE_MS)
    }

    fn origin(&mut self) {
        let origin = &self.payload.origin;
        self.out.credential = origin.credential as u32;
        self.out.application = self.text(cut_name(&origin.application));
        self.out.application_version = self.text(cut_name(&origin.application_version));
        self.out.sdk = self.text(cut_name(&origin.sdk));
        self.out.sdk_version = self.text(cut_name(&origin.sdk_version));
        self.out.wrapper = self.text(cut_name(&origin.wrapper));
        self.out.instance = self.text(cut_name(&origin.instance));
    }

    fn elements(&mut self) {
        for judged in &self.judged[at(self.part.elements.start)..at(self.part.elements.end)] {
            self.out.late += u64::from(judged.late);
            self.out.clamped += u64::from(judged.clamped);
        }
    }

    fn counts(&mut self) {
        let rows = &self.payload.counts[at(self.part.counts.start)..at(self.part.counts.end)];
        let mut out = counts_for(rows.len());
        for row in rows {
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            out.flag.push(self.text(&row.flag));
            out.variation.push(self.variation(&row.variation));
            out.version.push(row.version.map_or(0, |version| version.saturating_add(1)));
            out.value.push(row.value.map_or(0, |value| self.text(value)));
            out.count.push(row.count);
            out.minute.push(self.minute(judged));
            let marks = u32::from(row.error) | u32::from(judged.clamped) << 1 | u32::from(row.estimated) << 2;
            out.marks.push(marks);
            out.element.push(row.element);
        }
        self.out.counts = (!out.flag.is_empty()).then_some(out);
    }

    fn evaluations(&mut self) {
        let mut exposures = wire::Exposures::default();
        let mut reasons = wire::Reasons::default();
        for row in &self.part.evaluations {
            let row = &self.payload.evaluations[at(*row)];
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            if self.part.home {
                self.reason(&mut reasons, row, judged);
            }
            if row.in_experiment {
                self.exposure(&mut exposures, row, judged);
            }
        }
        self.out.reasons = (!reasons.flag.is_empty()).then_some(reasons);
        self.out.exposures = (!exposures.flag.is_empty()).then_some(exposures);
    }

    /// Neighbours of the same flag, minute and reason are one row.
    fn reason(&mut self, out: &mut wire::Reasons, row: &'p Evaluation<'a>, judged: Judged) {
        let (flag, minute, reason) = (self.text(&row.flag), self.minute(judged), row.reason as u32);
        let last = (out.flag.last(), out.minute.last(), out.reason.last());
        if last == (Some(&flag), Some(&minute), Some(&reason)) {
            if let Some(number) = out.number.last_mut() {
                *number += 1;
            }
            return;
        }
        out.flag.push(flag);
        out.minute.push(minute);
        out.reason.push(reason);
        out.number.push(1);
    }

    fn exposure(&mut self, out: &mut wire::Exposures, row: &'p Evaluation<'a>, judged: Judged) {
        out.flag.push(self.text(&row.flag));
        out.variation.push(self.variation(&row.variation));
        out.version.push(row.version.map_or(0, |version| version.saturating_add(1)));
        out.time.push(judged.time_ms - self.received_ms);
        out.contexts.push(row.contexts.end - row.contexts.start);
        self.contexts(&row.contexts, &mut out.context_kind, &mut out.context_key);
    }

    /// Kinds always; keys only where they act in this partition.
    fn contexts(&mut self, contexts: &Range<u32>, kinds: &mut Vec<u32>, keys: &mut Vec<u32>) {
        for context in contexts.clone() {
            let row: &'p crate::event::ContextKey<'a> = &self.payload.context_keys[at(context)];
            kinds.push(self.text(&row.kind));
            let acts = self.split.acts_in[at(context)] == self.part.partition;
            keys.push(if acts { self.text(&row.key) } else { 0 });
        }
    }

    fn conversions(&mut self) {
        let mut out = wire::Conversions::default();
        for row in &self.part.conversions {
            let row: &'p Conversion<'a> = &self.payload.conversions[at(*row)];
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            out.key.push(self.text(&row.key));
            out.kind.push(row.kind as u32);
            out.time.push(judged.time_ms - self.received_ms);
            out.value.push(row.value.map_or(0, |value| value.0));
            out.marks.push(u32::from(row.value.is_some()) | u32::from(judged.clamped) << 1);
            out.sampling.push(row.sampling);
            out.contexts.push(row.contexts.end - row.contexts.start);
            self.contexts(&row.contexts, &mut out.context_kind, &mut out.context_key);
        }
        self.out.conversions = (!out.key.is_empty()).then_some(out);
    }

    fn migrations(&mut self) {
        let mut out = wire::Migrations::default();
        for row in &self.payload.migrations[at(self.part.migrations.start)..at(self.part.migrations.end)] {
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            out.flag.push(self.text(&row.flag));
            out.variation.push(self.variation(&row.variation));
            out.time.push(judged.time_ms - self.received_ms);
            out.marks.push(migration_marks(row));
            out.latency_old_us.push(row.latency_us.old.map_or(0, |us| us.saturating_add(1)));
            out.latency_new_us.push(row.latency_us.new.map_or(0, |us| us.saturating_add(1)));
            out.sampling.push(row.sampling);
        }
        self.out.migrations = (!out.flag.is_empty()).then_some(out);
    }

    fn contexts_seen(&mut self) {
        let payload = self.payload;
        for (kind, number) in payload.contexts_seen.iter().take(CONTEXTS_SEEN_MAX) {
            let kind = self.text(kind);
            self.out.context_kind.push(kind);
            self.out.context_number.push(*number);
        }
    }

    fn diagnostics(&mut self) {
        let payload = self.payload;
        for row in payload.diagnostics.iter().take(DIAGNOSTICS_MAX) {
            let diagnostic = wire::Diagnostic {
                start: row.start,
                sdk: self.text(cut_name(&row.sdk)),
                sdk_version: self.text(cut_name(&row.sdk_version)),
                dropped_events: row.dropped_events,
                time: row.time_ms.map_or(0, |time| time.saturating_sub(self.received_ms)),
            };
            self.out.diagnostics.push(diagnostic);
        }
    }
}

/// Columns with room for so many rows, so that none grows in steps.
fn counts_for(rows: usize) -> wire::Counts {
    wire::Counts {
        flag: Vec::with_capacity(rows),
        variation: Vec::with_capacity(rows),
        version: Vec::with_capacity(rows),
        value: Vec::with_capacity(rows),
        count: Vec::with_capacity(rows),
        minute: Vec::with_capacity(rows),
        marks: Vec::with_capacity(rows),
        element: Vec::with_capacity(rows),
    }
}

fn migration_marks(row: &MigrationOp<'_>) -> u32 {
    let bits = [
        row.write,
        row.invoked.old,
        row.invoked.new,
        row.consistent.is_some(),
        row.consistent == Some(true),
        row.error.old,
        row.error.new,
    ];
    bits.into_iter().enumerate().map(|(bit, set)| u32::from(set) << bit).sum()
}
