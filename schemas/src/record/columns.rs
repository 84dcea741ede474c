//! From the rows of a part to the columns of a record.
//!
//! Always true here: rows of late elements are left out (their number stays), but for what the old path is written with,
//! which goes to tables of its own; times are written against the receive
//! time; a text stands once; what is not cut by [`crate::split`] is held within a limit here, so no record outgrows the
//! log's.

use std::ops::Range;

use bytes::Bytes;
use prost::Message;

use super::texts::Texts;
use super::{Header, RecordKind};
use crate::event::{Conversion, ConversionKind, Evaluation, MigrationOp, Payload, Variation};
use crate::id::{Environment, cut_name};
use crate::log::Append;
use crate::old_path::Gated;
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
    /// What the gate does with this copy; [`Gated::No`] where none runs.
    pub gated: Gated,
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
    Encoder::default().encode(payload, split, judged, stamp)
}

/// Writes records, and keeps the memory that it took for the next ones; so drop it after an uncommonly large payload.
#[derive(Debug, Default)]
pub struct Encoder {
    texts: Texts,
    tables: Tables,
    body: Vec<u8>,
}

/// The tables of a part.
#[derive(Debug, Default)]
struct Tables {
    counts: wire::Counts,
    reasons: wire::Reasons,
    exposures: wire::Exposures,
    conversions: wire::Conversions,
    migrations: wire::Migrations,
    late_counts: wire::LateCounts,
    late_events: wire::LateEvents,
}

impl Encoder {
    /// [`encode`], with the memory of former payloads.
    #[must_use]
    pub fn encode(
        &mut self,
        payload: &Payload<'_>,
        split: &Split,
        judged: &[Judged],
        stamp: &Stamp<'_>,
    ) -> Vec<Append> {
        let received_ms = stamp.received_ms;
        let mut header = header(payload, stamp);
        let append = |part: &Part| {
            let first = part.home && part.part == 0;
            header.part = part.part;
            header.home = part.home;
            header.accepted = u64::from(part.elements.end - part.elements.start);
            if !first {
                header.rejected.clear();
                header.carried.clear();
            }
            let late_rows = part.home && stamp.gated == Gated::Both;
            let body = self.body(&Source { payload, split, part, judged, received_ms, late_rows }, first);
            Append { partition: part.partition, header: Bytes::from(header.encode_to_vec()), body }
        };
        split.parts.iter().map(append).collect()
    }

    fn body(&mut self, source: &Source<'_, '_>, first: bool) -> Bytes {
        let Self { texts, tables, body } = self;
        texts.clear();
        body.clear();
        let head = source.origin(texts);
        let mut rest = source.elements();
        source.counts(&mut tables.counts, texts);
        source.evaluations(&mut tables.reasons, &mut tables.exposures, texts);
        source.conversions(&mut tables.conversions, texts);
        source.migrations(&mut tables.migrations, texts);
        if source.late_rows {
            source.late_counts(&mut tables.late_counts, texts);
            source.late_events(&mut tables.late_events, texts);
        }
        if first {
            source.contexts_seen(&mut rest, texts);
            source.diagnostics(&mut rest, texts);
        }
        tables.lend(&mut rest);
        // Messages that stand one after another are one message, so the texts need not be fields of one.
        push(body, &head);
        body.extend_from_slice(texts.wire());
        push(body, &rest);
        tables.take_back(rest);
        Bytes::copy_from_slice(body)
    }
}

fn push(out: &mut Vec<u8>, message: &wire::Payload) {
    // All that can fail is room, and a vector grows.
    _ = message.encode(out);
}

impl Tables {
    /// Puts each table that has rows into a record.
    fn lend(&mut self, out: &mut wire::Payload) {
        out.counts = lent(&mut self.counts, |table| table.flag.is_empty());
        out.reasons = lent(&mut self.reasons, |table| table.flag.is_empty());
        out.exposures = lent(&mut self.exposures, |table| table.flag.is_empty());
        out.conversions = lent(&mut self.conversions, |table| table.key.is_empty());
        out.migrations = lent(&mut self.migrations, |table| table.flag.is_empty());
        out.late_counts = lent(&mut self.late_counts, |table| table.flag.is_empty());
        out.late_events = lent(&mut self.late_events, |table| table.key.is_empty());
    }

    /// Takes the tables of a written record back, empty.
    fn take_back(&mut self, written: wire::Payload) {
        taken_back(&mut self.counts, written.counts);
        taken_back(&mut self.reasons, written.reasons);
        taken_back(&mut self.exposures, written.exposures);
        taken_back(&mut self.conversions, written.conversions);
        taken_back(&mut self.migrations, written.migrations);
        taken_back(&mut self.late_counts, written.late_counts);
        taken_back(&mut self.late_events, written.late_events);
    }
}

fn lent<T: Message + Default>(table: &mut T, is_empty: impl Fn(&T) -> bool) -> Option<T> {
    (!is_empty(table)).then(|| std::mem::take(table))
}

fn taken_back<T: Message>(table: &mut T, written: Option<T>) {
    if let Some(mut written) = written {
        written.clear();
        *table = written;
    }
}

/// The header of a payload's first part; what differs from part to part is still to be set.
fn header(payload: &Payload<'_>, stamp: &Stamp<'_>) -> wire::Header {
    let header = Header {
        kind: RecordKind::Payload,
        environment: stamp.environment.clone(),
        id: payload.id.clone(),
        part: 0,
        home: true,
        accepted: 0,
        received_ms: stamp.received_ms,
        rejected: payload.rejections,
        carried: *stamp.carried,
        gated: stamp.gated,
    };
    header.wire()
}

/// What a part is written from.
struct Source<'p, 'a> {
    payload: &'p Payload<'a>,
    split: &'p Split,
    part: &'p Part,
    judged: &'p [Judged],
    received_ms: i64,
    /// Late rows are written too, since the old path is written with them.
    late_rows: bool,
}

impl Source<'_, '_> {
    fn judged(&self, element: u32) -> Judged {
        self.judged[at(element)]
    }

    fn minute(&self, judged: Judged) -> i64 {
        judged.time_ms.div_euclid(MINUTE_MS) - self.received_ms.div_euclid(MINUTE_MS)
    }

    fn origin(&self, texts: &mut Texts) -> wire::Payload {
        let origin = &self.payload.origin;
        wire::Payload {
            credential: origin.credential as u32,
            application: texts.number(cut_name(&origin.application)),
            application_version: texts.number(cut_name(&origin.application_version)),
            sdk: texts.number(cut_name(&origin.sdk)),
            sdk_version: texts.number(cut_name(&origin.sdk_version)),
            wrapper: texts.number(cut_name(&origin.wrapper)),
            instance: texts.number(cut_name(&origin.instance)),
            ..wire::Payload::default()
        }
    }

    fn elements(&self) -> wire::Payload {
        let mut out = wire::Payload::default();
        for judged in &self.judged[at(self.part.elements.start)..at(self.part.elements.end)] {
            out.late += u64::from(judged.late);
            out.clamped += u64::from(judged.clamped);
        }
        out
    }

    fn counts(&self, out: &mut wire::Counts, texts: &mut Texts) {
        for row in &self.payload.counts[at(self.part.counts.start)..at(self.part.counts.end)] {
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            out.flag.push(texts.number(&row.flag));
            out.variation.push(variation(&row.variation, texts));
            out.version.push(row.version.map_or(0, |version| version.saturating_add(1)));
            out.value.push(row.value.map_or(0, |value| texts.number(value)));
            out.count.push(row.count);
            out.minute.push(self.minute(judged));
            let marks = u32::from(row.error) | u32::from(judged.clamped) << 1 | u32::from(row.estimated) << 2;
            out.marks.push(marks);
            out.element.push(row.element);
        }
    }

    fn evaluations(&self, reasons: &mut wire::Reasons, exposures: &mut wire::Exposures, texts: &mut Texts) {
        for row in &self.part.evaluations {
            let row = &self.payload.evaluations[at(*row)];
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            if self.part.home {
                self.reason(reasons, row, judged, texts);
            }
            if row.in_experiment {
                self.exposure(exposures, row, judged, texts);
            }
        }
    }

    /// Neighbours of the same flag, minute and reason are one row.
    fn reason(&self, out: &mut wire::Reasons, row: &Evaluation<'_>, judged: Judged, texts: &mut Texts) {
        let (flag, minute, reason) = (texts.number(&row.flag), self.minute(judged), row.reason as u32);
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

    fn exposure(&self, out: &mut wire::Exposures, row: &Evaluation<'_>, judged: Judged, texts: &mut Texts) {
        out.flag.push(texts.number(&row.flag));
        out.variation.push(variation(&row.variation, texts));
        out.version.push(row.version.map_or(0, |version| version.saturating_add(1)));
        out.time.push(judged.time_ms - self.received_ms);
        out.contexts.push(row.contexts.end - row.contexts.start);
        self.contexts(&row.contexts, &mut out.context_kind, &mut out.context_key, texts);
    }

    /// Kinds always; keys only where they act in this partition.
    fn contexts(&self, contexts: &Range<u32>, kinds: &mut Vec<u32>, keys: &mut Vec<u32>, texts: &mut Texts) {
        for context in contexts.clone() {
            let row = &self.payload.context_keys[at(context)];
            kinds.push(texts.number(&row.kind));
            let acts = self.split.acts_in[at(context)] == self.part.partition;
            keys.push(if acts { texts.number(&row.key) } else { 0 });
        }
    }

    fn conversions(&self, out: &mut wire::Conversions, texts: &mut Texts) {
        for row in &self.part.conversions {
            let row: &Conversion<'_> = &self.payload.conversions[at(*row)];
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            out.key.push(texts.number(&row.key));
            out.kind.push(row.kind as u32);
            out.time.push(judged.time_ms - self.received_ms);
            out.value.push(row.value.map_or(0, |value| value.0));
            out.marks.push(u32::from(row.value.is_some()) | u32::from(judged.clamped) << 1);
            out.sampling.push(row.sampling);
            out.contexts.push(row.contexts.end - row.contexts.start);
            self.contexts(&row.contexts, &mut out.context_kind, &mut out.context_key, texts);
        }
    }

    fn migrations(&self, out: &mut wire::Migrations, texts: &mut Texts) {
        for row in &self.payload.migrations[at(self.part.migrations.start)..at(self.part.migrations.end)] {
            let judged = self.judged(row.element);
            if judged.late {
                continue;
            }
            out.flag.push(texts.number(&row.flag));
            out.variation.push(variation(&row.variation, texts));
            out.time.push(judged.time_ms - self.received_ms);
            out.marks.push(migration_marks(row));
            out.latency_old_us.push(row.latency_us.old.map_or(0, |us| us.saturating_add(1)));
            out.latency_new_us.push(row.latency_us.new.map_or(0, |us| us.saturating_add(1)));
            out.sampling.push(row.sampling);
        }
    }

    /// Late counters, but for sights, which count nothing on either path.
    fn late_counts(&self, out: &mut wire::LateCounts, texts: &mut Texts) {
        for row in &self.payload.counts[at(self.part.counts.start)..at(self.part.counts.end)] {
            let judged = self.judged(row.element);
            if judged.late && row.count > 0 {
                out.flag.push(texts.number(&row.flag));
                out.variation.push(variation(&row.variation, texts));
                out.count.push(row.count);
                out.minute.push(self.minute(judged));
            }
        }
    }

    /// Late custom events; goals are counted on neither path.
    fn late_events(&self, out: &mut wire::LateEvents, texts: &mut Texts) {
        for row in &self.part.conversions {
            let row: &Conversion<'_> = &self.payload.conversions[at(*row)];
            let judged = self.judged(row.element);
            if judged.late && row.kind == ConversionKind::Custom {
                out.key.push(texts.number(&row.key));
                out.time.push(judged.time_ms - self.received_ms);
                out.sampling.push(row.sampling);
            }
        }
    }

    fn contexts_seen(&self, out: &mut wire::Payload, texts: &mut Texts) {
        for (kind, number) in self.payload.contexts_seen.iter().take(CONTEXTS_SEEN_MAX) {
            out.context_kind.push(texts.number(kind));
            out.context_number.push(*number);
        }
    }

    fn diagnostics(&self, out: &mut wire::Payload, texts: &mut Texts) {
        for row in self.payload.diagnostics.iter().take(DIAGNOSTICS_MAX) {
            let diagnostic = wire::Diagnostic {
                start: row.start,
                sdk: texts.number(cut_name(&row.sdk)),
                sdk_version: texts.number(cut_name(&row.sdk_version)),
                dropped_events: row.dropped_events,
                time: row.time_ms.map_or(0, |time| time.saturating_sub(self.received_ms)),
            };
            out.diagnostics.push(diagnostic);
        }
    }
}

fn variation(variation: &Variation<'_>, texts: &mut Texts) -> u64 {
    match variation {
        Variation::Default => 0,
        Variation::Index(index) => u64::from(*index) * 2 + 1,
        Variation::Name(name) => u64::from(texts.number(name)) * 2,
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
