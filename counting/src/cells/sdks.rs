//! Who reported on a UTC day: application, SDK and its version, in which hours, from about how many instances.
//!
//! Always true here: at most one row is marked `other`; a bit once set stays.

use prost::Message;
use schemas::generation::FoldLimits;
use schemas::wire::cells as wire;

use super::texts::{Texts, UNBOUNDED};
use super::{COUNTER_MAX, CellError, add, largest};

const KIND: &str = "sdks";
/// Bits by which instances are told apart.
pub(crate) const INSTANCE_BITS: u32 = 256;
const INSTANCE_BYTES: usize = INSTANCE_BITS as usize / 8;

/// The SDKs of a day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sdks {
    texts: Texts,
    rows: Vec<wire::SdkRow>,
}

/// A report of an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdkChange<'a> {
    /// Application id; empty = not told.
    pub application: &'a [u8],
    /// Name of the SDK; empty = not told.
    pub sdk: &'a [u8],
    /// Version of the SDK; empty = not told.
    pub sdk_version: &'a [u8],
    /// Hour of the day, 0 to 23.
    pub hour: u32,
    /// The instance's bit, below 256; `None` = it told no id.
    pub instance: Option<u32>,
    /// Diagnostics in this report.
    pub diagnostics: u64,
    /// Events that it admits to have dropped.
    pub dropped_events: u64,
}

/// A row, as readers see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SdkRow<'a> {
    /// It is the row of everything beyond the limit; the names mean nothing then.
    pub other: bool,
    /// Application id; empty = not told.
    pub application: &'a [u8],
    /// Name of the SDK; empty = not told.
    pub sdk: &'a [u8],
    /// Version of the SDK; empty = not told.
    pub sdk_version: &'a [u8],
    /// Hours in which it reported: bit n (lowest first) = hour n of the day.
    pub hours: u32,
    /// About how many instances reported, by linear counting (Whang et al., 1990) over 256 bits: standard error about 5
    /// % at 50 and at 250 instances, 8 % at 700; `None` = above about 1,000, where nearly all bits are set and nothing
    /// can be told. 0 when no instance told an id.
    pub instances: Option<f64>,
    /// Diagnostics received.
    pub diagnostics: u64,
    /// Events that they admit to have dropped.
    pub dropped_events: u64,
}

impl Sdks {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::Sdks::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let texts = Texts::new(cell.texts);
        for row in &cell.rows {
            texts.prove(KIND, "application", row.application)?;
            texts.prove(KIND, "sdk", row.sdk)?;
            texts.prove(KIND, "sdk_version", row.sdk_version)?;
            if !matches!(row.instances.len(), 0 | INSTANCE_BYTES) {
                let value = row.instances.len() as u64;
                return Err(CellError::Value { kind: KIND, field: "instances' length", value });
            }
        }
        Ok(Self { texts, rows: cell.rows })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Sdks { texts: self.texts.to_wire(), rows: self.rows.clone() }.encode_to_vec()
    }

    /// The rows, in order of first appearance.
    pub fn rows(&self) -> impl Iterator<Item = SdkRow<'_>> {
        self.rows.iter().map(|row| SdkRow {
            other: row.other,
            application: self.texts.get(row.application),
            sdk: self.texts.get(row.sdk),
            sdk_version: self.texts.get(row.sdk_version),
            hours: row.hours,
            instances: estimate(&row.instances),
            diagnostics: row.diagnostics,
            dropped_events: row.dropped_events,
        })
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`].
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.rows.iter().any(|row| row.diagnostics == COUNTER_MAX || row.dropped_events == COUNTER_MAX)
    }

    /// Adds another day to this one; hours then are those of any of the days.
    pub fn merge(&mut self, other: &Self) {
        for row in &other.rows {
            let texts = [row.application, row.sdk, row.sdk_version].map(|number| other.texts.get(number));
            let place = if row.other { self.other_row() } else { self.row(texts, UNBOUNDED, UNBOUNDED) };
            if let Some(mine) = self.rows.get_mut(place) {
                mine.hours |= row.hours;
                add(&mut mine.diagnostics, row.diagnostics);
                add(&mut mine.dropped_events, row.dropped_events);
                mine.instances = either(&mine.instances, &row.instances).into();
            }
        }
    }

    pub(super) fn apply(&mut self, change: &SdkChange<'_>, limits: &FoldLimits) -> bool {
        let texts = [change.application, change.sdk, change.sdk_version];
        let rows = self.rows.len();
        let place = self.row(texts, limits.sdk_rows_max as usize, limits.texts_bytes_max as usize);
        let mut changed = self.rows.len() != rows;
        let Some(row) = self.rows.get_mut(place) else { return changed };
        let hours = row.hours | 1 << change.hour.min(23);
        changed |= hours != row.hours;
        row.hours = hours;
        changed |= add(&mut row.diagnostics, change.diagnostics);
        changed |= add(&mut row.dropped_events, change.dropped_events);
        if let Some(instance) = change.instance {
            let mut bits = [0; INSTANCE_BYTES];
            if let Some(byte) = bits.get_mut(instance as usize / 8) {
                *byte = 1 << (instance % 8);
            }
            let held = row.instances.iter().zip(&bits).any(|(held, bit)| *bit != 0 && held & bit == *bit);
            if !held {
                row.instances = either(&row.instances, &bits).into();
                changed = true;
            }
        }
        changed
    }

    /// Where the row stands that counts for these three texts.
    fn row(&mut self, texts: [&[u8]; 3], rows_max: usize, budget: usize) -> usize {
        let numbers = texts.map(|text| self.texts.find(text));
        if let [Some(application), Some(sdk), Some(sdk_version)] = numbers {
            let here = |row: &wire::SdkRow| {
                row.application == application && row.sdk == sdk && row.sdk_version == sdk_version && !row.other
            };
            if let Some(place) = self.rows.iter().position(here) {
                return place;
            }
        }
        let named = self.rows.iter().filter(|row| !row.other).count();
        if named >= rows_max || !self.texts.admit(&texts, budget) {
            return self.other_row();
        }
        let [application, sdk, sdk_version] = texts.map(|text| self.texts.find(text).unwrap_or(0));
        self.rows.push(wire::SdkRow { application, sdk, sdk_version, ..wire::SdkRow::default() });
        self.rows.len() - 1
    }

    fn other_row(&mut self) -> usize {
        self.rows.iter().position(|row| row.other).unwrap_or_else(|| {
            self.rows.push(wire::SdkRow { other: true, ..wire::SdkRow::default() });
            self.rows.len() - 1
        })
    }
}

/// Bits set in either; empty only when both are.
fn either(left: &[u8], right: &[u8]) -> Vec<u8> {
    let len = left.len().max(right.len());
    (0..len).map(|at| left.get(at).copied().unwrap_or(0) | right.get(at).copied().unwrap_or(0)).collect()
}

fn estimate(bits: &[u8]) -> Option<f64> {
    let set: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
    let clear = INSTANCE_BITS.saturating_sub(set);
    let total = f64::from(INSTANCE_BITS);
    (clear > 3).then(|| total * (total / f64::from(clear)).ln())
}

/// An upper bound of the encoding, in bytes.
pub(super) fn bytes_max(limits: &FoldLimits) -> usize {
    use largest::{COUNTER, ROW, TEXT};
    let row = ROW + 3 * (1 + TEXT) + 2 + (1 + 4) + (2 + INSTANCE_BYTES) + 2 * (1 + COUNTER);
    (limits.sdk_rows_max as usize + 1) * row + limits.texts_bytes_max as usize
}
