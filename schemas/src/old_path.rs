//! The old path as the log tells of it: what the gate did with a payload, and what became of each write of the old
//! path.
//!
//! Always true here: the gate's word stands in the header of a payload's record before the old path is written (intent
//! before effect); an outcome is appended afterwards, in a record of its own kind, of the environment's home partition,
//! under an id that makes it once only. A row says how many evaluations or events met which fate; nothing but sums is
//! ever drawn from it. Numbers of [`Gated`] and [`Fate`] never change their meaning.
//!
//! What follows from the sums is in [`Numbers`]. To remove the old path is to delete this file and what names it; the
//! field and kind numbers stay taken.

mod numbers;

use bytes::Bytes;
use prost::Message;

use crate::event::PayloadId;
use crate::id::Environment;
use crate::log::Append;
use crate::partition;
use crate::record::{RecordError, RecordKind, StoredVariation, Texts, plain_header};
use crate::wire::record as wire;
pub use numbers::{ATTEMPTS_MAX, Causes, Expected, Numbers, Range, Way, unexplained};

/// What the gate did with one copy of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Gated {
    /// There was no gate: the new path alone runs, and nobody compares.
    #[default]
    No = 0,
    /// Both paths are written with this copy (stages shadow and live).
    Both = 1,
    /// The new path alone is written (stage complete).
    NewOnly = 2,
}

impl Gated {
    /// The mark with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::No, Self::Both, Self::NewOnly].into_iter().find(|gated| *gated as u32 == number)
    }
}

/// What became of evaluations or events on the old path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fate {
    /// Written, surely once.
    Applied = 1,
    /// Surely not written.
    Refused = 2,
    /// Written once or not at all: a time-out, a lost answer.
    Uncertain = 3,
    /// May have been written once more, beside an [`Self::Applied`]: an attempt of unknown end came before it.
    Extra = 4,
    /// A job lies in the queue, surely.
    Enqueued = 5,
    /// No job lies in the queue, surely.
    EnqueueRefused = 6,
    /// A job lies in the queue, or none.
    EnqueueUncertain = 7,
    /// A worker took the job for the first time.
    Started = 8,
    /// A worker took it again.
    StartedAgain = 9,
    /// The first delivery was written, surely once.
    JobApplied = 10,
    /// A later delivery was written, surely once.
    JobAppliedAgain = 11,
    /// A delivery changed nothing, surely.
    JobRefused = 12,
    /// The job was given up: it lies in the dead-letter queue.
    JobLost = 13,
}

impl Fate {
    /// Every fate, in order of number.
    pub const ALL: [Self; 13] = [
        Self::Applied,
        Self::Refused,
        Self::Uncertain,
        Self::Extra,
        Self::Enqueued,
        Self::EnqueueRefused,
        Self::EnqueueUncertain,
        Self::Started,
        Self::StartedAgain,
        Self::JobApplied,
        Self::JobAppliedAgain,
        Self::JobRefused,
        Self::JobLost,
    ];

    /// The fate with this number, when this version knows it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|n| Self::ALL.get(n)).copied()
    }
}

/// What a row of outcomes is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counted<'a> {
    /// Evaluations of a flag's variation.
    Flag {
        /// The flag's key.
        key: &'a [u8],
        /// What was served.
        variation: StoredVariation<'a>,
    },
    /// Custom events.
    Event {
        /// The event's key.
        key: &'a [u8],
    },
}

/// How many evaluations or events met a fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeRow<'a> {
    /// Of what.
    pub counted: Counted<'a>,
    /// Their time as ingest judged it, Unix milliseconds: it tells the hour in which they count.
    pub time_ms: i64,
    /// What became of them.
    pub fate: Fate,
    /// How many.
    pub number: u64,
}

/// Rows that an outcome record may have: with the longest keys and names they stay below
/// [`crate::log::RECORD_BYTES_MAX`].
pub const OUTCOME_ROWS_MAX: usize = 1_000;

const FLAG: u32 = 1;
const EVENT: u32 = 2;

/// A record of outcomes for the environment's home partition. `id` is 16 random bytes of whoever writes it: a record
/// that is appended again under the same id counts once. `at_ms` is when it was made, Unix milliseconds.
///
/// At most [`OUTCOME_ROWS_MAX`] rows; the log may refuse a record of more for its size.
#[must_use]
pub fn outcome_record(
    environment: &Environment,
    partitions: u32,
    id: [u8; 16],
    at_ms: i64,
    rows: &[OutcomeRow<'_>],
) -> Append {
    let mut texts = Texts::default();
    let mut table = wire::Outcomes::default();
    for row in rows {
        let (counted, key, variation) = match row.counted {
            Counted::Flag { key, variation } => (FLAG, key, stored_number(variation, &mut texts)),
            Counted::Event { key } => (EVENT, key, 0),
        };
        table.counted.push(counted);
        table.key.push(texts.number_of(key));
        table.variation.push(variation);
        table.time.push(row.time_ms.saturating_sub(at_ms));
        table.fate.push(row.fate as u32);
        table.number.push(row.number);
    }
    let mut header = plain_header(RecordKind::Outcome, environment.clone(), at_ms);
    header.id = Some(PayloadId::Outcome(id.to_vec()));
    header.home = true;
    // Texts have the same field number here as in a payload, and messages that stand one after another are one.
    let body = [texts.wire(), &table.encode_to_vec()].concat();
    Append { partition: partition::home(environment, partitions), header: header.encode(), body: Bytes::from(body) }
}

fn stored_number(variation: StoredVariation<'_>, texts: &mut Texts) -> u64 {
    match variation {
        StoredVariation::Default => 0,
        StoredVariation::Index(index) => u64::from(index) * 2 + 1,
        StoredVariation::Name(name) => u64::from(texts.number_of(name)) * 2,
    }
}

/// The rows of an outcome record, proved to fit together once, so that reading them cannot fail and builds nothing.
#[derive(Debug, Clone)]
pub struct OutcomeView {
    table: wire::Outcomes,
    at_ms: i64,
}

/// Reads the body of a [`RecordKind::Outcome`]; `at_ms` is the header's receive time.
///
/// # Errors
/// [`RecordError`] when the bytes are none, its columns do not fit together, or a number stands for nothing that this
/// build knows.
pub fn decode_outcomes(body: &Bytes, at_ms: i64) -> Result<OutcomeView, RecordError> {
    let table = wire::Outcomes::decode(body.clone()).map_err(|e| RecordError::Decode(e.to_string()))?;
    let view = OutcomeView { table, at_ms };
    view.prove()?;
    Ok(view)
}

impl OutcomeView {
    /// The rows, in the order in which they were written.
    pub fn rows(&self) -> impl Iterator<Item = OutcomeRow<'_>> {
        (0..self.table.key.len()).filter_map(|row| self.row(row))
    }

    /// A row; of a proved view there is one at every place.
    fn row(&self, row: usize) -> Option<OutcomeRow<'_>> {
        let t = &self.table;
        let key = self.text(u64::from(t.key[row]))?;
        let counted = match (t.counted[row], t.variation[row]) {
            (EVENT, _) => Counted::Event { key },
            (_, 0) => Counted::Flag { key, variation: StoredVariation::Default },
            (_, stored) if stored % 2 == 1 => {
                Counted::Flag { key, variation: StoredVariation::Index(u32::try_from(stored / 2).ok()?) }
            }
            (_, stored) => Counted::Flag { key, variation: StoredVariation::Name(self.text(stored / 2)?) },
        };
        let fate = Fate::from_number(t.fate[row])?;
        Some(OutcomeRow { counted, time_ms: self.at_ms.saturating_add(t.time[row]), fate, number: t.number[row] })
    }

    fn text(&self, number: u64) -> Option<&[u8]> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.table.texts.get(place).map(|text| &text[..])
    }

    fn prove(&self) -> Result<(), RecordError> {
        let t = &self.table;
        let wrong = |field, value| Err(RecordError::Value { field, value });
        let columns = [t.counted.len(), t.variation.len(), t.time.len(), t.fate.len(), t.number.len()];
        if let Some(len) = columns.into_iter().find(|len| *len != t.key.len()) {
            return wrong("outcomes", len as u64);
        }
        for row in 0..t.key.len() {
            let (counted, variation) = (t.counted[row], t.variation[row]);
            if counted != FLAG && counted != EVENT {
                return wrong("outcomes.counted", counted.into());
            }
            if self.text(t.key[row].into()).is_none() {
                return wrong("outcomes.key", t.key[row].into());
            }
            if counted == EVENT && variation != 0 {
                return wrong("outcomes.variation", variation);
            }
            if Fate::from_number(t.fate[row]).is_none() {
                return wrong("outcomes.fate", t.fate[row].into());
            }
            if self.row(row).is_none() {
                return wrong("outcomes.variation", variation);
            }
        }
        Ok(())
    }
}
