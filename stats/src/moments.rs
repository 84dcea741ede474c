//! Count, mean and M2 = Σ(y − ȳ)² of one variation: what the methods are handed.
//!
//! Formulas: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
//! variances", COMPSTAT 1982. Always true here: M2 ≥ 0, all finite. The product keeps exact integers and comes in by
//! [`Moments::exact`]; merging rounded moments is for those who have nothing better.

use crate::exact::{self, Stepped};
use crate::no_number::{NoNumber, finite};
use ethnum::I256;

/// Steps of a fixed-point value in 1: values are millionths, products of two are 10⁻¹².
pub(crate) const MILLIONTHS: f64 = 1e6;

/// n, ȳ and M2.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    n: u64,
    mean: f64,
    /// What the rounding of `mean` left out: means of a million differ by hundredths.
    mean_rest: f64,
    m2: f64,
}

impl Moments {
    /// From exact sums over `n` units: Σy in millionths, Σy² in 10⁻¹². The difference is formed in integers and rounded
    /// once, so that order, cut and partition cannot change a bit. `OutOfRange` for sums that no values can have.
    pub fn exact(n: u64, sum: i128, sum_sq: I256) -> Result<Self, NoNumber> {
        let moments = Self::stepped(n, I256::from(sum), sum_sq, MILLIONTHS)?;
        // One value does not vary.
        if n == 1 && moments.m2 > 0.0 { Err(NoNumber::OutOfRange) } else { Ok(moments) }
    }

    /// From raw sums as other engines keep them. The sums are taken at their word and their difference is exact, but
    /// they were rounded when they were added up: a variance below that rounding is 0.
    pub fn raw(n: u64, sum: f64, sum_sq: f64) -> Result<Self, NoNumber> {
        let stepped = Stepped::from_doubles(&[sum], &[sum_sq]).ok_or(NoNumber::OutOfRange)?;
        match Self::stepped(n, stepped.sums[0], stepped.products[0], stepped.steps_in_one) {
            Ok(moments) if moments.m2 > lost([sum, sum_sq]) => Ok(moments),
            Ok(moments) => Ok(Self { m2: 0.0, ..moments }),
            Err(_) if is_rounding(n, sum, sum_sq) => Ok(Self { n, mean: finite(sum / n as f64)?, ..Self::default() }),
            Err(why) => Err(why),
        }
    }

    fn stepped(n: u64, sum: I256, sum_sq: I256, steps_in_one: f64) -> Result<Self, NoNumber> {
        if n == 0 {
            let empty = sum == I256::ZERO && sum_sq == I256::ZERO;
            return if empty { Ok(Self::default()) } else { Err(NoNumber::OutOfRange) };
        }
        let difference = exact::centred(n, sum, sum, sum_sq).ok_or(NoNumber::OutOfRange)?;
        if difference.is_negative() {
            return Err(NoNumber::OutOfRange);
        }
        let (mean, mean_rest) = exact::quotient(sum, n as f64 * steps_in_one);
        let m2 = exact::to_f64(difference) / n as f64 / steps_in_one / steps_in_one;
        Ok(Self { n, mean: finite(mean)?, mean_rest: finite(mean_rest)?, m2: finite(m2)? })
    }

    /// Of values at hand, in two passes. `OutOfRange` if one is not finite, or their squares are not.
    pub fn of(values: &[f64]) -> Result<Self, NoNumber> {
        let n = values.len() as f64;
        if values.is_empty() {
            return Ok(Self::default());
        }
        let first = values.iter().map(|y| y / n).sum::<f64>();
        let off = values.iter().map(|y| y - first).sum::<f64>() / n;
        let mean = first + off;
        let m2 = values.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>();
        let mean_rest = (first - mean) + off;
        Ok(Self { n: values.len() as u64, mean: finite(mean)?, mean_rest, m2: finite(m2)? })
    }

    /// Both together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match (self.n, other.n) {
            (0, _) => other,
            (_, 0) => self,
            (a, b) => {
                let n = a + b;
                let share = b as f64 / n as f64;
                let d = (other.mean - self.mean) + (other.mean_rest - self.mean_rest);
                let mean = self.mean + d * share;
                let mean_rest = (self.mean - mean) + d * share + self.mean_rest;
                Self { n, mean, mean_rest, m2: self.m2 + other.m2 + d * d * a as f64 * share }
            }
        }
    }

    /// Units.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// ȳ; `None` of no units.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean)
    }

    pub(crate) fn mean_rest(&self) -> f64 {
        self.mean_rest
    }

    /// Σ(y − ȳ)².
    #[must_use]
    pub fn m2(&self) -> f64 {
        self.m2
    }

    /// M2/(n − 1); `None` of fewer than two units.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.m2 / (self.n - 1) as f64)
    }
}

/// What the rounding of [Σy, Σy²] to doubles can have made of an M2 of 0; nothing, where both are whole numbers that a
/// double holds.
fn lost(sums: [f64; 2]) -> f64 {
    let is_whole = |sum: f64| sum.fract() == 0.0 && sum.abs() < 9e15;
    if sums.into_iter().all(is_whole) { 0.0 } else { 2.0 * f64::EPSILON * sums[1].abs() }
}

/// Whether (Σy)² > n·Σy² by no more than rounding.
fn is_rounding(n: u64, sum: f64, sum_sq: f64) -> bool {
    n > 0 && (sum / n as f64) * sum - sum_sq <= 4.0 * lost([sum, sum_sq])
}
