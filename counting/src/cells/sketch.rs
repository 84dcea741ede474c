//! Latencies as numbers of operations by bucket, so that sketches of hours and partitions add up exactly.
//!
//! Always true here: integers only; buckets are log-linear (32 to each doubling of microseconds, below 64 µs one for
//! each), so that a quantile is within 1/64 of what was measured; what took longer than 19 hours is in the last bucket;
//! buckets with a number stand in rising order, none is 0.
//!
//! Why no crate: `hdrhistogram` holds every bucket in memory and, at this precision, two of its encodings may pass a
//! cell's 64 KiB; `sketches-ddsketch` finds its buckets by logarithms of floats, which differ between machines.

use super::add;

/// Buckets to a doubling, as a power of two.
const PRECISION_BITS: u32 = 5;
const LINEAR: u64 = 1 << PRECISION_BITS;
/// Longest latency that is told from longer ones, in microseconds: about 19 hours.
pub(super) const LATENCY_US_MAX: u64 = (1 << 36) - 1;
/// How many buckets there are.
pub(super) const BUCKETS: u32 = 1_024;

/// Numbers of operations by how long they took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatencySketch {
    buckets: Vec<(u32, u64)>,
}

impl LatencySketch {
    /// The latency that `per_mille` of a thousand operations did not exceed, in microseconds, within 1/64: 500 is the
    /// median, 990 the 99th percentile. `None` = nothing was measured.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u32) -> Option<u64> {
        // The sum of counters of 48 bits over 1,024 buckets fits.
        let rank = (u128::from(self.number()) * u128::from(per_mille.min(1_000))).div_ceil(1_000).max(1);
        let mut passed = 0_u128;
        let (bucket, _) = self.buckets.iter().find(|(_, number)| {
            passed += u128::from(*number);
            passed >= rank
        })?;
        Some(middle_us(*bucket))
    }

    /// The middle of each bucket that has any, in microseconds and rising, and how many it has.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(bucket, number)| (middle_us(*bucket), *number))
    }

    /// How many operations were measured.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.buckets.iter().map(|(_, number)| number).sum()
    }

    /// Adds another sketch to this one.
    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, number) in &other.buckets {
            self.add_to(*bucket, *number);
        }
    }

    pub(super) fn add(&mut self, latency_us: u64, number: u64) -> bool {
        number > 0 && self.add_to(bucket_of(latency_us), number)
    }

    fn add_to(&mut self, bucket: u32, number: u64) -> bool {
        let place = self.buckets.partition_point(|(held, _)| *held < bucket);
        if self.buckets.get(place).is_none_or(|(held, _)| *held != bucket) {
            self.buckets.insert(place.min(self.buckets.len()), (bucket, 0));
        }
        self.buckets.get_mut(place).is_some_and(|(_, held)| add(held, number))
    }

    /// Buckets as gaps, and their numbers.
    pub(super) fn to_wire(&self) -> (Vec<u32>, Vec<u64>) {
        let mut before = 0;
        let gap =
            |(bucket, number): &(u32, u64)| (bucket.saturating_sub(std::mem::replace(&mut before, *bucket)), *number);
        self.buckets.iter().map(gap).unzip()
    }

    /// The sketch that [`Self::to_wire`] wrote; the error is a value that it never writes.
    pub(super) fn from_wire(gaps: &[u32], numbers: &[u64]) -> Result<Self, (&'static str, u64)> {
        if gaps.len() != numbers.len() {
            return Err(("latency_number's length", numbers.len() as u64));
        }
        let mut buckets: Vec<(u32, u64)> = Vec::with_capacity(gaps.len().min(BUCKETS as usize));
        for (gap, number) in gaps.iter().zip(numbers) {
            let before = buckets.last().map(|(bucket, _)| *bucket);
            let bucket = before.unwrap_or(0).saturating_add(*gap);
            if bucket >= BUCKETS || before == Some(bucket) {
                return Err(("latency_gap", u64::from(*gap)));
            }
            if *number == 0 {
                return Err(("latency_number", 0));
            }
            buckets.push((bucket, *number));
        }
        Ok(Self { buckets })
    }

    pub(super) fn saturated(&self) -> bool {
        self.buckets.iter().any(|(_, number)| *number == super::COUNTER_MAX)
    }
}

/// The bucket of a latency: its doubling, and which of 32 equal steps of that.
fn bucket_of(latency_us: u64) -> u32 {
    let latency_us = latency_us.min(LATENCY_US_MAX);
    let doubling = latency_us.max(1).ilog2().saturating_sub(PRECISION_BITS);
    let step = latency_us >> doubling;
    // At most 31 doublings of 32 steps, the last step below 64.
    doubling * (1 << PRECISION_BITS) + u32::try_from(step).unwrap_or(u32::MAX)
}

/// The middle of a bucket, in microseconds.
fn middle_us(bucket: u32) -> u64 {
    let doubling = (bucket >> PRECISION_BITS).saturating_sub(1);
    let step = u64::from(bucket) - u64::from(doubling) * LINEAR;
    (step << doubling) + (1 << doubling) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::dice::Dice;

    #[test]
    fn every_latency_has_one_bucket_whose_middle_is_within_a_sixty_fourth() {
        let mut last = 0;
        let edges = (0..36).flat_map(|power| [1_u64 << power, (1 << power) + 1, (1 << power) * 2 - 1]);
        let mut all: Vec<u64> = (0..20_000).chain(edges).collect();
        all.sort_unstable();
        for latency_us in all {
            let bucket = bucket_of(latency_us);
            assert!(bucket >= last, "{latency_us} µs is in bucket {bucket} after {last}");
            last = bucket;
            let middle = middle_us(bucket);
            assert_eq!(bucket_of(middle), bucket, "{latency_us} µs");
            assert!(middle.abs_diff(latency_us) * 64 <= latency_us, "{latency_us} µs is told as {middle}");
        }
        let beyond = [LATENCY_US_MAX, LATENCY_US_MAX + 1, u64::MAX].map(bucket_of);
        assert_eq!(beyond, [BUCKETS - 1; 3]);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        for seed in 0..200 {
            let dice = &mut Dice::new(seed);
            let (mut sketch, mut list) = (LatencySketch::default(), Vec::new());
            for _ in 0..1 + dice.below(60) {
                let latency = (dice.below(1_000) as u64) << dice.below(20);
                let number = 1 + dice.below(3) as u64;
                assert!(sketch.add(latency, number));
                list.extend(std::iter::repeat_n(latency, number as usize));
            }
            list.sort_unstable();
            for per_mille in [0, 1, 500, 900, 990, 1_000] {
                let rank = (list.len() * per_mille as usize).div_ceil(1_000).max(1);
                let (true_us, told) = (list[rank - 1], sketch.quantile_us(per_mille).unwrap());
                assert!(told.abs_diff(true_us) * 64 <= true_us, "{per_mille}: {true_us} told as {told}, seed {seed}");
            }
            assert_eq!(sketch.number(), list.len() as u64);
        }
        let mut none = LatencySketch::default();
        assert!(!none.add(5, 0));
        assert_eq!((none.quantile_us(500), none.buckets().count()), (None, 0));
    }
}
