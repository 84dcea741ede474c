//! The error that an experiment's owner accepts.

use crate::special::normal;

/// A two-sided error probability, between 0 and 1, both excluded. An interval of level 1 − α goes with it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// `None` unless 10⁻¹² ≤ `alpha` ≤ 0.999: beyond that no interval is of use.
    #[must_use]
    pub fn new(alpha: f64) -> Option<Self> {
        (1e-12..=0.999).contains(&alpha).then_some(Self(alpha))
    }

    /// 5 %, the default.
    pub const FIVE_PERCENT: Self = Self(0.05);

    /// The probability.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// What a standard normal passes, either way, with this probability.
    pub(crate) fn z(self) -> f64 {
        normal::upper_quantile(self.0 / 2.0)
    }
}
