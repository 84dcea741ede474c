//! An iteration of an experiment on a UTC day: what its units say at the day's end less what they said at its
//! beginning.
//!
//! Always true here: sums and products are exact, and signed, for a cell takes differences; only what is not zero is
//! kept, so the same numbers are the same bytes in whatever order they came. A result up to a day is the sum of the
//! days' cells of all partitions. The cell's name is [`experiment_name`].

use std::collections::BTreeMap;

use bytes::Bytes;
use ethnum::I256;
use prost::Message;
use schemas::experiment::{METRICS_MAX, VARIATIONS_MAX};
use schemas::id::{push_part, take_part};
use schemas::wire::cells as wire;

use super::{COUNTER_MAX, CellError, add, largest};

const KIND: &str = "experiment";
/// An upper bound of the encoding, in bytes: all metrics of all variations.
pub(super) const BYTES_MAX: usize = {
    const WIDE: usize = 2 + 32;
    const SUMS: usize = largest::ROW + 2 + (1 + largest::U64) + 2 * (2 + 16) + 3 * WIDE;
    const ARM: usize = largest::ROW + 2 + (1 + largest::U64) + (1 + largest::COUNTER) + METRICS_MAX * SUMS;
    (1 + largest::U64) + 7 * (1 + largest::COUNTER) + VARIATIONS_MAX * ARM
};

/// What units a cell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slice {
    /// All of them.
    All,
    /// Those whose first exposure had this value of this dimension, both by their place in the definition.
    Value(u8, u8),
    /// Those whose first exposure had none of this dimension's values.
    Other(u8),
}

/// An experiment's day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Experiment {
    numbers: ExperimentNumbers,
}

/// What a record changes of a day, and what the day holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentNumbers {
    /// Units that have met several variations.
    pub multiple: i64,
    /// By variation: its place in the definition.
    pub arms: BTreeMap<u8, ExperimentArm>,
    /// What was left out, and what was out of the ordinary.
    pub counters: ExperimentCounters,
}

/// Numbers of a day that only grow. They are kept of all units alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExperimentCounters {
    /// Exposures and events too late for the experiment.
    pub late: u64,
    /// Exposures and events of records that had come before.
    pub duplicate: u64,
    /// Events without a context of the experiment's kind.
    pub unit_mismatch: u64,
    /// Events without the value that a metric needs.
    pub without_value: u64,
    /// Events of units that already had as many waiting as may be.
    pub left_out: u64,
    /// Exposures to a variation that the definition does not have.
    pub unknown_variation: u64,
    /// Events that take part and whose time was clamped.
    pub clamped: u64,
}

/// A variation's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentArm {
    /// Units that count in it.
    pub units: i64,
    /// Exposures to it, however often of one unit; kept of all units alone.
    pub exposures: u64,
    /// By metric: its place in the definition.
    pub metrics: BTreeMap<u8, ExperimentSums>,
}

/// A metric's sums over units: y is a unit's value in millionths (of an average in 10⁻¹²), d a ratio's denominator in
/// millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExperimentSums {
    /// Units of the metric.
    pub n: i64,
    /// Σy.
    pub sum: i128,
    /// Σy².
    pub square: I256,
    /// Σd.
    pub under: i128,
    /// Σd².
    pub under_square: I256,
    /// Σyd.
    pub product: I256,
}

/// The name of the cells of an iteration's units.
#[must_use]
pub fn experiment_name(experiment: &[u8], iteration: u32, slice: Slice) -> Vec<u8> {
    let mut name = Vec::with_capacity(experiment.len() + 8);
    push_part(&mut name, experiment);
    name.extend_from_slice(&iteration.to_be_bytes());
    match slice {
        Slice::All => name.push(0),
        Slice::Value(dimension, value) => name.extend_from_slice(&[1, dimension, value]),
        Slice::Other(dimension) => name.extend_from_slice(&[2, dimension]),
    }
    name
}

/// The experiment, iteration and units that a name made by [`experiment_name`] stands for.
#[must_use]
pub fn experiment_of(mut name: &[u8]) -> Option<(&[u8], u32, Slice)> {
    let experiment = take_part(&mut name)?;
    let (iteration, slice) = name.split_first_chunk::<4>()?;
    let slice = match *slice {
        [0] => Slice::All,
        [1, dimension, value] => Slice::Value(dimension, value),
        [2, dimension] => Slice::Other(dimension),
        _ => return None,
    };
    Some((experiment, u32::from_be_bytes(*iteration), slice))
}

impl Experiment {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell =
            wire::Experiment::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let counters = ExperimentCounters {
            late: cell.late,
            duplicate: cell.duplicate,
            unit_mismatch: cell.unit_mismatch,
            without_value: cell.without_value,
            left_out: cell.left_out,
            unknown_variation: cell.unknown_variation,
            clamped: cell.clamped,
        };
        let mut arms = BTreeMap::new();
        for arm in cell.arms {
            let place = place("arm", arm.arm, VARIATIONS_MAX, &arms)?;
            let mut metrics = BTreeMap::new();
            for sums in arm.metrics {
                let place = self::place("metric", sums.metric, METRICS_MAX, &metrics)?;
                let sums = read_sums(&sums)?;
                if sums == ExperimentSums::default() {
                    return Err(CellError::Value { kind: KIND, field: "metric without numbers", value: place.into() });
                }
                metrics.insert(place, sums);
            }
            let arm = ExperimentArm { units: arm.units, exposures: arm.exposures, metrics };
            if arm == ExperimentArm::default() {
                return Err(CellError::Value { kind: KIND, field: "arm without numbers", value: place.into() });
            }
            arms.insert(place, arm);
        }
        Ok(Self { numbers: ExperimentNumbers { multiple: cell.multiple, arms, counters } })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let ExperimentNumbers { multiple, arms, counters } = &self.numbers;
        let arm = |(place, arm): (&u8, &ExperimentArm)| {
            let metrics = arm.metrics.iter().map(|(place, sums)| write_sums(*place, sums)).collect();
            wire::ExperimentArm { arm: (*place).into(), units: arm.units, exposures: arm.exposures, metrics }
        };
        let cell = wire::Experiment {
            multiple: *multiple,
            arms: arms.iter().map(arm).collect(),
            late: counters.late,
            duplicate: counters.duplicate,
            unit_mismatch: counters.unit_mismatch,
            without_value: counters.without_value,
            left_out: counters.left_out,
            unknown_variation: counters.unknown_variation,
            clamped: counters.clamped,
        };
        cell.encode_to_vec()
    }

    /// What the day holds.
    #[must_use]
    pub fn numbers(&self) -> &ExperimentNumbers {
        &self.numbers
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`].
    #[must_use]
    pub fn saturated(&self) -> bool {
        let counters = self.numbers.counters.all();
        let exposures = self.numbers.arms.values().map(|arm| arm.exposures);
        counters.into_iter().chain(exposures).any(|counter| counter == COUNTER_MAX)
    }

    /// Adds another day or partition to this one.
    pub fn merge(&mut self, other: &Self) {
        self.numbers.add(&other.numbers);
    }

    pub(super) fn apply(&mut self, change: &ExperimentNumbers) -> bool {
        self.numbers.add(change)
    }
}

impl ExperimentNumbers {
    /// Whether all of it is zero.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds other numbers to these; answers whether they are others than before. What comes to nothing is not kept.
    pub fn add(&mut self, other: &Self) -> bool {
        self.multiple = self.multiple.wrapping_add(other.multiple);
        let mut changed = other.multiple != 0;
        for (own, other) in self.counters.all_mut().into_iter().zip(other.counters.all()) {
            changed |= add(own, other);
        }
        for (place, theirs) in &other.arms {
            let own = self.arms.entry(*place).or_default();
            changed |= own.add(theirs);
            if *own == ExperimentArm::default() {
                self.arms.remove(place);
            }
        }
        changed
    }

    /// A variation's numbers, to be changed.
    pub(crate) fn arm(&mut self, place: u8) -> &mut ExperimentArm {
        self.arms.entry(place).or_default()
    }
}

impl ExperimentArm {
    fn add(&mut self, other: &Self) -> bool {
        self.units = self.units.wrapping_add(other.units);
        let mut changed = other.units != 0;
        changed |= add(&mut self.exposures, other.exposures);
        for (metric, theirs) in &other.metrics {
            let own = self.metrics.entry(*metric).or_default();
            own.add(theirs, true);
            changed |= *theirs != ExperimentSums::default();
            if *own == ExperimentSums::default() {
                self.metrics.remove(metric);
            }
        }
        changed
    }
}

impl ExperimentSums {
    /// A unit's value comes, or goes.
    pub(crate) fn add_unit(&mut self, y: i128, d: i128, comes: bool) {
        let [wide_y, wide_d] = [y, d].map(I256::from);
        let unit = Self {
            n: 1,
            sum: y,
            square: wide_y.wrapping_mul(wide_y),
            under: d,
            under_square: wide_d.wrapping_mul(wide_d),
            product: wide_y.wrapping_mul(wide_d),
        };
        self.add(&unit, comes);
    }

    fn add(&mut self, other: &Self, comes: bool) {
        let narrow = if comes { i128::wrapping_add } else { i128::wrapping_sub };
        let wide = if comes { I256::wrapping_add } else { I256::wrapping_sub };
        self.n = self.n.wrapping_add(if comes { other.n } else { other.n.wrapping_neg() });
        self.sum = narrow(self.sum, other.sum);
        self.square = wide(self.square, other.square);
        self.under = narrow(self.under, other.under);
        self.under_square = wide(self.under_square, other.under_square);
        self.product = wide(self.product, other.product);
    }
}

impl ExperimentCounters {
    fn all(&self) -> [u64; 7] {
        let Self { late, duplicate, unit_mismatch, without_value, left_out, unknown_variation, clamped } = *self;
        [late, duplicate, unit_mismatch, without_value, left_out, unknown_variation, clamped]
    }

    fn all_mut(&mut self) -> [&mut u64; 7] {
        let Self { late, duplicate, unit_mismatch, without_value, left_out, unknown_variation, clamped } = self;
        [late, duplicate, unit_mismatch, without_value, left_out, unknown_variation, clamped]
    }
}

/// A place in the definition: rising, and below its limit.
fn place<T>(field: &'static str, value: u32, limit: usize, before: &BTreeMap<u8, T>) -> Result<u8, CellError> {
    let last = before.last_key_value().map(|(last, _)| *last);
    let wrong = CellError::Value { kind: KIND, field, value: value.into() };
    let place = u8::try_from(value).ok().filter(|place| usize::from(*place) < limit);
    place.filter(|place| last.is_none_or(|last| last < *place)).ok_or(wrong)
}

fn read_sums(sums: &wire::ExperimentSums) -> Result<ExperimentSums, CellError> {
    let narrow = |field, bytes: &Bytes| {
        let value = read_wide(field, bytes)?;
        i128::try_from(value).map_err(|_| CellError::Value { kind: KIND, field, value: bytes.len() as u64 })
    };
    Ok(ExperimentSums {
        n: sums.n,
        sum: narrow("sum's length", &sums.sum)?,
        square: read_wide("square's length", &sums.square)?,
        under: narrow("under's length", &sums.under)?,
        under_square: read_wide("under_square's length", &sums.under_square)?,
        product: read_wide("product's length", &sums.product)?,
    })
}

fn write_sums(metric: u8, sums: &ExperimentSums) -> wire::ExperimentSums {
    wire::ExperimentSums {
        metric: metric.into(),
        n: sums.n,
        sum: write_wide(I256::from(sums.sum)),
        square: write_wide(sums.square),
        under: write_wide(I256::from(sums.under)),
        under_square: write_wide(sums.under_square),
        product: write_wide(sums.product),
    }
}

/// A number from two's complement that is as short as it can be.
fn read_wide(field: &'static str, bytes: &Bytes) -> Result<I256, CellError> {
    let wrong = || CellError::Value { kind: KIND, field, value: bytes.len() as u64 };
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut whole = [sign; 32];
    let from = whole.len().checked_sub(bytes.len()).ok_or_else(wrong)?;
    whole[from..].copy_from_slice(bytes);
    let value = I256::from_be_bytes(whole);
    if write_wide(value) == *bytes { Ok(value) } else { Err(wrong()) }
}

fn write_wide(value: I256) -> Bytes {
    if value == I256::ZERO {
        return Bytes::new();
    }
    let whole = value.to_be_bytes();
    let sign = if value.is_negative() { 0xff } else { 0 };
    let spare = whole.iter().take_while(|byte| **byte == sign).count();
    // The first byte that stays must tell the sign.
    let tells = whole.get(spare).is_some_and(|first| (*first >= 0x80) == value.is_negative());
    let from = if tells { spare } else { spare.saturating_sub(1) };
    Bytes::copy_from_slice(&whole[from..])
}
