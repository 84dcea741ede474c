//! How the events of a unit become its value.
//!
//! Always true here: integers, and one rounding at most: an average is Σ over n in 10⁻¹², half to even, for a mean of
//! decimals is no decimal. All other values are millionths.

use schemas::experiment::{Metric, MetricKind, Missing};

use super::subject::Pending;

const ONE: i128 = 1_000_000;

/// The events of one unit that count for one metric, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// How many, sampled ones as often as they stand for; of kinds that need a value, those with one.
    pub(crate) number: u64,
    /// The sum of their values, in millionths; 0 of kinds that need none.
    pub(crate) sum: i128,
    /// The same of a ratio's denominator.
    pub(crate) under: i128,
}

/// A unit's value of a metric: y, and a ratio's d.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) y: i128,
    pub(crate) d: i128,
}

impl Total {
    /// Adds another total.
    pub(crate) fn add(&mut self, other: &Self) {
        self.number = self.number.saturating_add(other.number);
        self.sum = self.sum.wrapping_add(other.sum);
        self.under = self.under.wrapping_add(other.under);
    }

    /// What an event adds: as one that is counted (`over`), as one that is divided by (`under`), or both.
    pub(crate) fn of(metric: &Metric, event: &Pending, over: bool, under: bool) -> Self {
        let times = i128::from(event.sampling);
        let value = i128::from(event.value.unwrap_or(0)).wrapping_mul(times);
        match metric.kind {
            MetricKind::Once | MetricKind::Count => Self { number: event.sampling, ..Self::default() },
            _ => {
                Self { number: event.sampling, sum: if over { value } else { 0 }, under: if under { value } else { 0 } }
            }
        }
    }

    /// The unit's value; `None` = it is no unit of this metric.
    pub(crate) fn value(&self, metric: &Metric) -> Option<Value> {
        if self.number == 0 && metric.missing == Missing::Exclude {
            return None;
        }
        let number = i128::from(self.number);
        let cap = metric.cap.map(|cap| i128::from(cap.0));
        let (y, cap) = match metric.kind {
            MetricKind::Once => (number.min(1) * ONE, cap),
            MetricKind::Count => (number * ONE, cap),
            MetricKind::Sum | MetricKind::Ratio => (self.sum, cap),
            MetricKind::Average => (mean(self.sum, number), cap.map(|cap| cap * ONE)),
        };
        let d = if metric.kind == MetricKind::Ratio { self.under } else { 0 };
        Some(Value { y: cap.map_or(y, |cap| y.min(cap)), d })
    }
}

/// A sum of millionths over a number, in 10⁻¹², half to even.
fn mean(sum: i128, number: i128) -> i128 {
    if number == 0 {
        return 0;
    }
    let sum = sum.wrapping_mul(ONE);
    let (down, rest) = (sum.div_euclid(number), sum.rem_euclid(number));
    // rest < number ≤ 2⁶⁴, so twice of it fits.
    match (rest * 2).cmp(&number) {
        std::cmp::Ordering::Less => down,
        std::cmp::Ordering::Equal => down + (down & 1),
        std::cmp::Ordering::Greater => down + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_rounded_once_half_to_even() {
        for (sum, number, expected) in [
            (10_000_000, 3, 3_333_333_333_333),
            (20_000_000, 3, 6_666_666_666_667),
            (-10_000_000, 3, -3_333_333_333_333),
            (-20_000_000, 3, -6_666_666_666_667),
            // Halves of the last place.
            (1, 2_000_000, 0),
            (3, 2_000_000, 2),
            (5, 2_000_000, 2),
            (-1, 2_000_000, 0),
            (-3, 2_000_000, -2),
            (7, 0, 0),
        ] {
            assert_eq!(mean(sum, number), expected, "{sum} / {number}");
        }
    }
}
