//! From the columns of a record back to rows.
//!
//! Always true here: columns of a table have the same length, every text number points into `texts` and every number
//! that stands for a meaning is one this build knows, proved once in [`PayloadView::new`]; so reading rows cannot fail
//! and builds nothing.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::RecordError;
use super::columns::MINUTE_MS;
use crate::event::{Credential, Reason};
use crate::wire::record as wire;

/// A payload's part, proved to fit together.
#[derive(Debug, Clone)]
pub struct PayloadView {
    payload: wire::Payload,
    received_ms: i64,
}

/// A variation as it lies in a record or cell, its name looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoredVariation<'a> {
    /// The caller's own default.
    Default,
    /// By index.
    Index(u32),
    /// By name.
    Name(&'a [u8]),
}

/// A row of [`wire::Counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountRow<'a> {
    /// The flag.
    pub flag: &'a Bytes,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// The value served, as JSON, when kept.
    pub value: Option<&'a Bytes>,
    /// How often; 0 = seen in a full event of a flag that its SDK does not count.
    pub count: u64,
    /// Minutes since 1970 (UTC).
    pub minute: i64,
    /// The evaluation failed.
    pub error: bool,
    /// Its time was clamped.
    pub clamped: bool,
    /// The SDK sampled.
    pub estimated: bool,
    /// Rows of one summary have the same number.
    pub element: u32,
}

/// A row of [`wire::Reasons`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonRow<'a> {
    /// The flag.
    pub flag: &'a Bytes,
    /// Minutes since 1970 (UTC).
    pub minute: i64,
    /// Why.
    pub reason: Reason,
    /// How many full evaluations.
    pub number: u64,
}

/// A row of [`wire::Exposures`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposureRow<'a> {
    /// The flag.
    pub flag: &'a Bytes,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// Its contexts: a range for [`PayloadView::exposure_contexts`].
    pub contexts: std::ops::Range<usize>,
}

/// A row of [`wire::Conversions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionRow<'a> {
    /// The event's key.
    pub key: &'a Bytes,
    /// 1 custom, 2 click, 3 page view.
    pub kind: u32,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// Millionths, where it has a value.
    pub value: Option<i64>,
    /// Its time was clamped.
    pub clamped: bool,
    /// How many events it stands for.
    pub sampling: u64,
    /// Its contexts: a range for [`PayloadView::conversion_contexts`].
    pub contexts: std::ops::Range<usize>,
}

/// A context of an exposure or conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextRow<'a> {
    /// The kind.
    pub kind: &'a Bytes,
    /// The key; `None` = for this kind the row does not act in this partition.
    pub key: Option<&'a Bytes>,
}

/// A row of [`wire::Migrations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationRow<'a> {
    /// The migration flag.
    pub flag: &'a Bytes,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// The bits of `Migrations.marks`.
    pub marks: u32,
    /// Latency of the old side in microseconds.
    pub latency_old_us: Option<u64>,
    /// Latency of the new side in microseconds.
    pub latency_new_us: Option<u64>,
    /// How many operations it stands for.
    pub sampling: u64,
}

/// A row of [`wire::LateCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateCountRow<'a> {
    /// The flag.
    pub flag: &'a Bytes,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// How often.
    pub count: u64,
    /// Minutes since 1970 (UTC).
    pub minute: i64,
}

/// A row of [`wire::LateEvents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateEventRow<'a> {
    /// The event's key.
    pub key: &'a Bytes,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// How many events it stands for.
    pub sampling: u64,
}

static EMPTY: Bytes = Bytes::new();

impl PayloadView {
    pub(super) fn new(payload: wire::Payload, received_ms: i64) -> Result<Self, RecordError> {
        let view = Self { payload, received_ms };
        view.prove()?;
        Ok(view)
    }

    /// Kind of credential it came with.
    #[must_use]
    pub fn credential(&self) -> Credential {
        match self.payload.credential {
            2 => Credential::Mobile,
            3 => Credential::ClientSide,
            _ => Credential::Server,
        }
    }

    /// Application id; empty = not told.
    #[must_use]
    pub fn application(&self) -> &Bytes {
        self.text(self.payload.application)
    }

    /// Application version; empty = not told.
    #[must_use]
    pub fn application_version(&self) -> &Bytes {
        self.text(self.payload.application_version)
    }

    /// Name of the SDK; empty = not told.
    #[must_use]
    pub fn sdk(&self) -> &Bytes {
        self.text(self.payload.sdk)
    }

    /// Version of the SDK; empty = not told.
    #[must_use]
    pub fn sdk_version(&self) -> &Bytes {
        self.text(self.payload.sdk_version)
    }

    /// Id of the SDK instance; empty = not told.
    #[must_use]
    pub fn instance(&self) -> &Bytes {
        self.text(self.payload.instance)
    }

    /// Elements that begin here and are late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.payload.late
    }

    /// Elements that begin here and whose time was clamped.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.payload.clamped
    }

    /// Evaluations by counter.
    pub fn counts(&self) -> impl Iterator<Item = CountRow<'_>> {
        self.payload.counts.iter().flat_map(move |t| {
            (0..t.flag.len()).map(move |i| CountRow {
                flag: self.text(t.flag[i]),
                variation: self.variation(t.variation[i]),
                version: t.version[i].checked_sub(1),
                value: (t.value[i] != 0).then(|| self.text(t.value[i])),
                count: t.count[i],
                minute: self.minute(t.minute[i]),
                error: t.marks[i] & 1 != 0,
                clamped: t.marks[i] & 2 != 0,
                estimated: t.marks[i] & 4 != 0,
                element: t.element[i],
            })
        })
    }

    /// Full evaluations by reason.
    pub fn reasons(&self) -> impl Iterator<Item = ReasonRow<'_>> {
        self.payload.reasons.iter().flat_map(move |t| {
            (0..t.flag.len()).map(move |i| ReasonRow {
                flag: self.text(t.flag[i]),
                minute: self.minute(t.minute[i]),
                reason: Reason::from_number(t.reason[i]),
                number: t.number[i],
            })
        })
    }

    /// Full evaluations within experiments.
    pub fn exposures(&self) -> impl Iterator<Item = ExposureRow<'_>> {
        self.payload.exposures.iter().flat_map(move |t| {
            let mut from = 0;
            (0..t.flag.len()).map(move |i| {
                let contexts = from..from + t.contexts[i] as usize;
                from = contexts.end;
                ExposureRow {
                    flag: self.text(t.flag[i]),
                    variation: self.variation(t.variation[i]),
                    version: t.version[i].checked_sub(1),
                    time_ms: self.received_ms.saturating_add(t.time[i]),
                    contexts,
                }
            })
        })
    }

    /// Custom events and goals.
    pub fn conversions(&self) -> impl Iterator<Item = ConversionRow<'_>> {
        self.payload.conversions.iter().flat_map(move |t| {
            let mut from = 0;
            (0..t.key.len()).map(move |i| {
                let contexts = from..from + t.contexts[i] as usize;
                from = contexts.end;
                ConversionRow {
                    key: self.text(t.key[i]),
                    kind: t.kind[i],
                    time_ms: self.received_ms.saturating_add(t.time[i]),
                    value: (t.marks[i] & 1 != 0).then_some(t.value[i]),
                    clamped: t.marks[i] & 2 != 0,
                    sampling: t.sampling[i],
                    contexts,
                }
            })
        })
    }

    /// The contexts of an exposure.
    pub fn exposure_contexts(&self, row: &ExposureRow<'_>) -> impl Iterator<Item = ContextRow<'_>> {
        let range = row.contexts.clone();
        self.payload
            .exposures
            .iter()
            .flat_map(move |t| range.clone().map(move |c| self.context(t.context_kind[c], t.context_key[c])))
    }

    /// The contexts of a conversion.
    pub fn conversion_contexts(&self, row: &ConversionRow<'_>) -> impl Iterator<Item = ContextRow<'_>> {
        let range = row.contexts.clone();
        self.payload
            .conversions
            .iter()
            .flat_map(move |t| range.clone().map(move |c| self.context(t.context_kind[c], t.context_key[c])))
    }

    /// Operations of customers' migrations.
    pub fn migrations(&self) -> impl Iterator<Item = MigrationRow<'_>> {
        self.payload.migrations.iter().flat_map(move |t| {
            (0..t.flag.len()).map(move |i| MigrationRow {
                flag: self.text(t.flag[i]),
                variation: self.variation(t.variation[i]),
                time_ms: self.received_ms.saturating_add(t.time[i]),
                marks: t.marks[i],
                latency_old_us: t.latency_old_us[i].checked_sub(1),
                latency_new_us: t.latency_new_us[i].checked_sub(1),
                sampling: t.sampling[i],
            })
        })
    }

    /// Evaluations that are late, where both paths were written.
    pub fn late_counts(&self) -> impl Iterator<Item = LateCountRow<'_>> {
        self.payload.late_counts.iter().flat_map(move |t| {
            (0..t.flag.len()).map(move |i| LateCountRow {
                flag: self.text(t.flag[i]),
                variation: self.variation(t.variation[i]),
                count: t.count[i],
                minute: self.minute(t.minute[i]),
            })
        })
    }

    /// Custom events that are late, where both paths were written.
    pub fn late_events(&self) -> impl Iterator<Item = LateEventRow<'_>> {
        self.payload.late_events.iter().flat_map(move |t| {
            (0..t.key.len()).map(move |i| LateEventRow {
                key: self.text(t.key[i]),
                time_ms: self.received_ms.saturating_add(t.time[i]),
                sampling: t.sampling[i],
            })
        })
    }

    /// Contexts described in this payload: kind and number.
    pub fn contexts_seen(&self) -> impl Iterator<Item = (&Bytes, u64)> {
        let kinds = self.payload.context_kind.iter().map(|kind| self.text(*kind));
        kinds.zip(self.payload.context_number.iter().copied())
    }

    /// What SDKs told of themselves: (name, version, dropped events).
    pub fn diagnostics(&self) -> impl Iterator<Item = (&Bytes, &Bytes, u64)> {
        self.payload.diagnostics.iter().map(|d| (self.text(d.sdk), self.text(d.sdk_version), d.dropped_events))
    }

    fn text(&self, number: u32) -> &Bytes {
        match number.checked_sub(1) {
            Some(index) => self.payload.texts.get(index as usize).unwrap_or(&EMPTY),
            None => &EMPTY,
        }
    }

    fn variation(&self, stored: u64) -> StoredVariation<'_> {
        match (stored, stored % 2) {
            (0, _) => StoredVariation::Default,
            (_, 1) => StoredVariation::Index(u32::try_from(stored / 2).unwrap_or(u32::MAX)),
            _ => StoredVariation::Name(self.text(u32::try_from(stored / 2).unwrap_or(0))),
        }
    }

    fn context(&self, kind: u32, key: u32) -> ContextRow<'_> {
        ContextRow { kind: self.text(kind), key: (key != 0).then(|| self.text(key)) }
    }

    fn minute(&self, delta: i64) -> i64 {
        self.received_ms.div_euclid(MINUTE_MS).saturating_add(delta)
    }

    fn prove(&self) -> Result<(), RecordError> {
        let p = &self.payload;
        let top = [p.application, p.application_version, p.sdk, p.sdk_version, p.wrapper, p.instance];
        self.prove_texts("origin", &top)?;
        prove_numbers("credential", &[p.credential], Credential::Server as u32..=Credential::ClientSide as u32)?;
        same("context_kind", p.context_kind.len(), &[p.context_number.len()])?;
        self.prove_keys("context_kind", &p.context_kind)?;
        for diagnostic in &p.diagnostics {
            self.prove_texts("diagnostic", &[diagnostic.sdk, diagnostic.sdk_version])?;
        }
        if let Some(t) = &p.counts {
            let columns = [t.variation.len(), t.version.len(), t.value.len(), t.count.len(), t.minute.len()];
            same("counts", t.flag.len(), &columns)?;
            same("counts", t.flag.len(), &[t.marks.len(), t.element.len()])?;
            self.prove_keys("counts.flag", &t.flag)?;
            self.prove_texts("counts.value", &t.value)?;
            self.prove_variations("counts.variation", &t.variation)?;
            prove_numbers("counts.marks", &t.marks, 0..=7)?;
        }
        if let Some(t) = &p.reasons {
            same("reasons", t.flag.len(), &[t.minute.len(), t.reason.len(), t.number.len()])?;
            self.prove_keys("reasons.flag", &t.flag)?;
            prove_numbers("reasons.reason", &t.reason, 0..=Reason::Other as u32)?;
        }
        if let Some(t) = &p.exposures {
            same("exposures", t.flag.len(), &[t.variation.len(), t.version.len(), t.time.len(), t.contexts.len()])?;
            self.prove_keys("exposures.flag", &t.flag)?;
            self.prove_variations("exposures.variation", &t.variation)?;
            self.prove_contexts("exposures", &t.contexts, &t.context_kind, &t.context_key)?;
        }
        if let Some(t) = &p.conversions {
            let columns = [t.kind.len(), t.time.len(), t.value.len(), t.marks.len(), t.sampling.len()];
            same("conversions", t.key.len(), &columns)?;
            same("conversions", t.key.len(), &[t.contexts.len()])?;
            self.prove_keys("conversions.key", &t.key)?;
            prove_numbers("conversions.kind", &t.kind, 1..=3)?;
            prove_numbers("conversions.marks", &t.marks, 0..=3)?;
            self.prove_contexts("conversions", &t.contexts, &t.context_kind, &t.context_key)?;
        }
        if let Some(t) = &p.migrations {
            let columns = [t.variation.len(), t.time.len(), t.marks.len(), t.sampling.len()];
            same("migrations", t.flag.len(), &columns)?;
            same("migrations", t.flag.len(), &[t.latency_old_us.len(), t.latency_new_us.len()])?;
            self.prove_keys("migrations.flag", &t.flag)?;
            self.prove_variations("migrations.variation", &t.variation)?;
            prove_numbers("migrations.marks", &t.marks, 0..=127)?;
        }
        if let Some(t) = &p.late_counts {
            same("late_counts", t.flag.len(), &[t.variation.len(), t.count.len(), t.minute.len()])?;
            self.prove_keys("late_counts.flag", &t.flag)?;
            self.prove_variations("late_counts.variation", &t.variation)?;
        }
        if let Some(t) = &p.late_events {
            same("late_events", t.key.len(), &[t.time.len(), t.sampling.len()])?;
            self.prove_keys("late_events.key", &t.key)?;
        }
        Ok(())
    }

    fn prove_texts(&self, field: &'static str, numbers: &[u32]) -> Result<(), RecordError> {
        let held = self.payload.texts.len();
        match numbers.iter().find(|number| **number as usize > held) {
            Some(number) => Err(RecordError::Value { field, value: u64::from(*number) }),
            None => Ok(()),
        }
    }

    /// Texts that must be there.
    fn prove_keys(&self, field: &'static str, numbers: &[u32]) -> Result<(), RecordError> {
        if numbers.contains(&0) {
            return Err(RecordError::Value { field, value: 0 });
        }
        self.prove_texts(field, numbers)
    }

    fn prove_variations(&self, field: &'static str, variations: &[u64]) -> Result<(), RecordError> {
        let held = self.payload.texts.len() as u64;
        let fits = |v: u64| if v % 2 == 1 { v / 2 <= u64::from(u32::MAX) } else { v / 2 <= held };
        match variations.iter().find(|variation| !fits(**variation)) {
            Some(variation) => Err(RecordError::Value { field, value: *variation }),
            None => Ok(()),
        }
    }

    fn prove_contexts(
        &self,
        field: &'static str,
        contexts: &[u32],
        kinds: &[u32],
        keys: &[u32],
    ) -> Result<(), RecordError> {
        let total: u64 = contexts.iter().map(|number| u64::from(*number)).sum();
        same(field, usize::try_from(total).unwrap_or(usize::MAX), &[kinds.len(), keys.len()])?;
        self.prove_keys(field, kinds)?;
        self.prove_texts(field, keys)
    }
}

/// A number outside is of a newer build: folded as if it were another, it would give other cells than that build's.
fn prove_numbers(field: &'static str, numbers: &[u32], known: RangeInclusive<u32>) -> Result<(), RecordError> {
    match numbers.iter().find(|number| !known.contains(number)) {
        Some(number) => Err(RecordError::Value { field, value: u64::from(*number) }),
        None => Ok(()),
    }
}

fn same(field: &'static str, rows: usize, columns: &[usize]) -> Result<(), RecordError> {
    match columns.iter().find(|len| **len != rows) {
        Some(len) => Err(RecordError::Value { field, value: *len as u64 }),
        None => Ok(()),
    }
}
