//! One variation, as a test of two means sees it.
//!
//! Always true here: at least two units, a finite value, a finite variance ≥ 0.

use crate::moments::Moments;
use crate::no_number::{NoNumber, finite};

/// A value whose variance is `unit_variance`/n: a mean, a ratio, an adjusted mean, a quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    n: u64,
    value: f64,
    /// What the rounding of `value` left out; 0 where nobody knows.
    rest: f64,
    unit_variance: f64,
}

impl Arm {
    /// `InsufficientData` below two units.
    pub(crate) fn new(n: u64, value: f64, unit_variance: f64) -> Result<Self, NoNumber> {
        if n < 2 {
            return Err(NoNumber::InsufficientData);
        }
        Ok(Self { n, value: finite(value)?, rest: 0.0, unit_variance: finite(unit_variance)?.max(0.0) })
    }

    /// The mean of a metric.
    pub fn mean(moments: &Moments) -> Result<Self, NoNumber> {
        let (Some(mean), Some(variance)) = (moments.mean(), moments.variance()) else {
            return Err(NoNumber::InsufficientData);
        };
        Ok(Self { rest: moments.mean_rest(), ..Self::new(moments.n(), mean, variance)? })
    }

    /// Units (events, for a quantile over events).
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The mean, ratio or quantile.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// This value less the control's.
    #[must_use]
    pub fn less(&self, control: &Self) -> f64 {
        (self.value - control.value) + (self.rest - control.rest)
    }

    /// n times the variance of [`value`](Self::value).
    #[must_use]
    pub fn unit_variance(&self) -> f64 {
        self.unit_variance
    }

    /// The variance of [`value`](Self::value).
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.unit_variance / self.n as f64
    }
}

/// Welch's and Satterthwaite's degrees of freedom of a sum of two variances; between min(n) − 1 and n₁ + n₂ − 2.
/// Shares, not the variances themselves, are squared: those may leave the doubles.
pub(crate) fn degrees_of_freedom(control: &Arm, treatment: &Arm) -> f64 {
    let share = treatment.variance() / (treatment.variance() + control.variance());
    let rest = 1.0 - share;
    1.0 / (share * share / (treatment.n - 1) as f64 + rest * rest / (control.n - 1) as f64)
}
