//! A custom event in a UTC hour: how many, how many with a value, and the exact sum of the values.
//!
//! Always true here: the sum is in millionths and exact. Each event adds at most 10¹⁸ × 10⁹, so that 1.7 × 10¹¹ events
//! at both limits fit an `i128`; more than 47 million of them in every second of the hour would be needed to pass it.

use prost::Message;
use schemas::event::COUNT_MAX;
use schemas::fixed::MICROS_MAX;
use schemas::wire::cells as wire;

use super::{COUNTER_MAX, CellError, add};

const KIND: &str = "events";
/// The largest encoding, in bytes.
pub(super) const BYTES_MAX: usize = 3 * (1 + 7) + (2 + 16);

/// A custom event's numbers in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    count: u64,
    metric_count: u64,
    metric_sum: i128,
    gated: u64,
}

/// One custom event of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventChange {
    /// How many events it stands for; above [`COUNT_MAX`] it is taken as that.
    pub sampling: u64,
    /// Its value in millionths, at most 10¹⁸ either way.
    pub value: Option<i64>,
    /// It came while a gate chose the path.
    pub gated: bool,
}

impl Events {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::Events::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let metric_sum = match <[u8; 16]>::try_from(cell.metric_sum.as_ref()) {
            Ok(bytes) => i128::from_be_bytes(bytes),
            Err(_) if cell.metric_sum.is_empty() => 0,
            Err(_) => {
                let value = cell.metric_sum.len() as u64;
                return Err(CellError::Value { kind: KIND, field: "metric_sum's length", value });
            }
        };
        Ok(Self { count: cell.count, metric_count: cell.metric_count, metric_sum, gated: cell.gated })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let metric_sum = if self.metric_sum == 0 { Vec::new() } else { self.metric_sum.to_be_bytes().to_vec() };
        let Self { count, metric_count, gated, .. } = *self;
        wire::Events { count, metric_count, metric_sum: metric_sum.into(), gated }.encode_to_vec()
    }

    /// How many events.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them had a value.
    #[must_use]
    pub fn metric_count(&self) -> u64 {
        self.metric_count
    }

    /// The exact sum of the values, in millionths.
    #[must_use]
    pub fn metric_sum(&self) -> i128 {
        self.metric_sum
    }

    /// How many of them came while a gate chose the path; the old path tells of these alone.
    #[must_use]
    pub fn gated(&self) -> u64 {
        self.gated
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`].
    #[must_use]
    pub fn saturated(&self) -> bool {
        [self.count, self.metric_count, self.gated].contains(&COUNTER_MAX)
    }

    /// Adds another cell to this one.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.count, other.count);
        add(&mut self.metric_count, other.metric_count);
        add(&mut self.gated, other.gated);
        self.metric_sum = self.metric_sum.wrapping_add(other.metric_sum);
    }

    pub(super) fn apply(&mut self, change: &EventChange) -> bool {
        let before = *self;
        let sampling = change.sampling.min(COUNT_MAX);
        add(&mut self.count, sampling);
        if change.gated {
            add(&mut self.gated, sampling);
        }
        if let Some(value) = change.value {
            add(&mut self.metric_count, sampling);
            let value = i128::from(value.clamp(-MICROS_MAX, MICROS_MAX));
            self.metric_sum = self.metric_sum.wrapping_add(value.wrapping_mul(i128::from(sampling)));
        }
        *self != before
    }
}
