//! The books of a UTC day of receipt.
//!
//! Always true here: `accepted = counted + duplicate + late + poison`, exactly, as long as no counter has stopped; each
//! change keeps it by itself. Rejections stand in order of reason.

use prost::Message;
use schemas::rejection::{Rejection, Rejections};
use schemas::wire::cells as wire;

use super::{COUNTER_MAX, CellError, add};

const KIND: &str = "books";

/// An upper bound of the encoding, in bytes.
pub(super) const BYTES_MAX: usize = 7 * 8 + Rejection::ALL.len() * (1 + 7) + 6;

/// An environment's books of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    numbers: BooksChange,
}

/// What a record adds to the books, and what they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BooksChange {
    /// Elements that passed validation.
    pub accepted: u64,
    /// Elements counted.
    pub counted: u64,
    /// Elements of records that had come before.
    pub duplicate: u64,
    /// Elements older than the lateness limit.
    pub late: u64,
    /// Elements of records on which the fold failed.
    pub poison: u64,
    /// Rejections by reason.
    pub rejected: Rejections,
    /// Elements counted whose time was clamped.
    pub clamped: u64,
    /// Payload records that nothing identifies on a re-send.
    pub without_id: u64,
}

impl Books {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::Books::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        if cell.reason.len() != cell.reason_number.len() {
            let value = cell.reason_number.len() as u64;
            return Err(CellError::Value { kind: KIND, field: "reason_number's length", value });
        }
        let mut rejected = Rejections::default();
        for (reason, number) in cell.reason.into_iter().zip(cell.reason_number) {
            let known = Rejection::from_number(reason);
            let reason = known.ok_or(CellError::Value { kind: KIND, field: "reason", value: reason.into() })?;
            rejected.add(reason, number);
        }
        let numbers = BooksChange {
            accepted: cell.accepted,
            counted: cell.counted,
            duplicate: cell.duplicate,
            late: cell.late,
            poison: cell.poison,
            rejected,
            clamped: cell.clamped,
            without_id: cell.without_id,
        };
        Ok(Self { numbers })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let numbers = &self.numbers;
        let cell = wire::Books {
            accepted: numbers.accepted,
            counted: numbers.counted,
            duplicate: numbers.duplicate,
            late: numbers.late,
            poison: numbers.poison,
            reason: numbers.rejected.iter().map(|(reason, _)| reason as u32).collect(),
            reason_number: numbers.rejected.iter().map(|(_, number)| number).collect(),
            clamped: numbers.clamped,
            without_id: numbers.without_id,
        };
        cell.encode_to_vec()
    }

    /// What the books hold.
    #[must_use]
    pub fn numbers(&self) -> &BooksChange {
        &self.numbers
    }

    /// Whether the sum holds: accepted = counted + duplicate + late + poison.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let n = &self.numbers;
        n.accepted == n.counted.saturating_add(n.duplicate).saturating_add(n.late).saturating_add(n.poison)
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`].
    #[must_use]
    pub fn saturated(&self) -> bool {
        let n = &self.numbers;
        [n.accepted, n.counted, n.duplicate, n.late, n.poison, n.clamped, n.without_id].contains(&COUNTER_MAX)
            || n.rejected.iter().any(|(_, number)| number == COUNTER_MAX)
    }

    /// Adds another day or partition to this one.
    pub fn merge(&mut self, other: &Self) {
        self.apply(&other.numbers);
    }

    pub(super) fn apply(&mut self, change: &BooksChange) -> bool {
        let before = *self;
        let n = &mut self.numbers;
        add(&mut n.accepted, change.accepted);
        add(&mut n.counted, change.counted);
        add(&mut n.duplicate, change.duplicate);
        add(&mut n.late, change.late);
        add(&mut n.poison, change.poison);
        add(&mut n.clamped, change.clamped);
        add(&mut n.without_id, change.without_id);
        for (reason, number) in change.rejected.iter() {
            let room = COUNTER_MAX.saturating_sub(n.rejected.of(reason));
            n.rejected.add(reason, number.min(room));
        }
        *self != before
    }
}
