//! A stand-in experiment on a UTC day: units and exact sums by variation, in tests and in the simulation alone.
//!
//! Always true here: numbers are signed and exact, for a cell takes differences; a row never leaves the cell, not even
//! at zero; rows stand in order of variation; a cell that has nothing but zeros and no row is no bytes.

use std::collections::BTreeMap;

use super::CellError;

const KIND: &str = "stand-in";
/// Variations of a cell, at most: what is beyond them is in no row.
const ROWS_MAX: usize = 1_000;
const HEAD_BYTES: usize = 2 * 16;
const ROW_BYTES: usize = 4 + 3 * 16;
/// The largest encoding, in bytes.
pub(super) const BYTES_MAX: usize = HEAD_BYTES + ROWS_MAX * ROW_BYTES;

/// A stand-in experiment's day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandIn {
    numbers: StandInChange,
}

/// What a record adds to a day, and what the day holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandInChange {
    /// Exposures and conversions that came too late.
    pub late: i128,
    /// Units that have met several variations.
    pub multiple: i128,
    /// Units of one variation, by variation.
    pub rows: BTreeMap<u32, StandInNumbers>,
}

/// A variation's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandInNumbers {
    /// Units.
    pub n: i128,
    /// Sum over units.
    pub sum: i128,
    /// Sum of squares over units.
    pub square: i128,
}

impl StandIn {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || CellError::Value { kind: KIND, field: "length", value: bytes.len() as u64 };
        let (head, rows) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(wrong)?;
        let (rows, []) = rows.as_chunks::<ROW_BYTES>() else { return Err(wrong()) };
        let mut numbers =
            StandInChange { late: number(head, 0), multiple: number(head, 16), ..StandInChange::default() };
        let mut next = 0;
        for row in rows {
            let variation = row.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            if u64::from(variation) < next {
                return Err(CellError::Value { kind: KIND, field: "variation", value: variation.into() });
            }
            next = u64::from(variation) + 1;
            let row = StandInNumbers { n: number(row, 4), sum: number(row, 20), square: number(row, 36) };
            numbers.rows.insert(variation, row);
        }
        Ok(Self { numbers })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let StandInChange { late, multiple, rows } = &self.numbers;
        if self.numbers == StandInChange::default() {
            return Vec::new();
        }
        let mut bytes = Vec::with_capacity(HEAD_BYTES + rows.len() * ROW_BYTES);
        bytes.extend_from_slice(&late.to_be_bytes());
        bytes.extend_from_slice(&multiple.to_be_bytes());
        for (variation, row) in rows {
            bytes.extend_from_slice(&variation.to_be_bytes());
            [row.n, row.sum, row.square].iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
        }
        bytes
    }

    /// Exposures and conversions of this day that came too late.
    #[must_use]
    pub fn late(&self) -> i128 {
        self.numbers.late
    }

    /// What this day adds to the units that have met several variations.
    #[must_use]
    pub fn multiple(&self) -> i128 {
        self.numbers.multiple
    }

    /// What this day adds to each variation: (variation, n, sum, square).
    pub fn rows(&self) -> impl Iterator<Item = (u32, i128, i128, i128)> {
        self.numbers.rows.iter().map(|(variation, row)| (*variation, row.n, row.sum, row.square))
    }

    /// Adds another day or partition to this one.
    pub fn merge(&mut self, other: &Self) {
        self.numbers.add(&other.numbers);
    }

    pub(super) fn apply(&mut self, change: &StandInChange) -> bool {
        let mut changed = change.late != 0 || change.multiple != 0;
        self.numbers.late = self.numbers.late.wrapping_add(change.late);
        self.numbers.multiple = self.numbers.multiple.wrapping_add(change.multiple);
        for (variation, row) in &change.rows {
            let has_room = self.numbers.rows.len() < ROWS_MAX || self.numbers.rows.contains_key(variation);
            if has_room && *row != StandInNumbers::default() {
                self.numbers.rows.entry(*variation).or_default().add(row, 1);
                changed = true;
            }
        }
        changed
    }
}

impl StandInChange {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.late == 0 && self.multiple == 0 && self.rows.values().all(|row| *row == StandInNumbers::default())
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.add_times(other, 1);
    }

    /// Takes another one away.
    pub fn subtract(&mut self, other: &Self) {
        self.add_times(other, -1);
    }

    fn add_times(&mut self, other: &Self, times: i128) {
        self.late = self.late.wrapping_add(other.late.wrapping_mul(times));
        self.multiple = self.multiple.wrapping_add(other.multiple.wrapping_mul(times));
        for (variation, row) in &other.rows {
            self.rows.entry(*variation).or_default().add(row, times);
        }
    }
}

impl StandInNumbers {
    fn add(&mut self, other: &Self, times: i128) {
        self.n = self.n.wrapping_add(other.n.wrapping_mul(times));
        self.sum = self.sum.wrapping_add(other.sum.wrapping_mul(times));
        self.square = self.square.wrapping_add(other.square.wrapping_mul(times));
    }
}

/// The number at this place.
fn number(bytes: &[u8], place: usize) -> i128 {
    bytes.get(place..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| i128::from_be_bytes(*bytes))
}
