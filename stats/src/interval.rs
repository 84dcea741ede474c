//! An estimate and how far chance reaches around it.

use crate::no_number::{NoNumber, finite};

/// low ≤ estimate ≤ high, all finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The best guess.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// `estimate` ± `half`.
    pub(crate) fn around(estimate: f64, half: f64) -> Result<Self, NoNumber> {
        Ok(Self { estimate: finite(estimate)?, low: finite(estimate - half)?, high: finite(estimate + half)? })
    }

    /// Whether the interval tells a difference from 0.
    #[must_use]
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// The same, seen with the other sign.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        Self { estimate: -self.estimate, low: -self.high, high: -self.low }
    }
}
