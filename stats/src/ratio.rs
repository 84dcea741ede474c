//! F5: a ratio of two sums, with the unit of randomisation as the cluster.
//!
//! A. Deng, U. Knoblich, J. Lu, KDD 2018. The same as the cluster-robust variance with the factor G/(G − 1).

use crate::arm::Arm;
use crate::no_number::{NoNumber, finite};
use crate::pair::PairMoments;

impl Arm {
    /// Σy/Σx of one arm, y the numerator and x the denominator of each unit; `ZeroDenominator` for Σx = 0. What comes
    /// out is compared like a mean.
    pub fn ratio(pair: &PairMoments) -> Result<Self, NoNumber> {
        let (Some(y), Some(x)) = (pair.y.mean(), pair.x.mean()) else { return Err(NoNumber::InsufficientData) };
        let (Some(vy), Some(vx), Some(c)) = (pair.y.variance(), pair.x.variance(), pair.covariance()) else {
            return Err(NoNumber::InsufficientData);
        };
        if x == 0.0 {
            return Err(NoNumber::ZeroDenominator);
        }
        let ratio = finite(y / x)?;
        let variance = above_rounding(vy, ratio * ratio * vx, 2.0 * ratio * c);
        Self::new(pair.n(), ratio, variance / x / x)
    }
}

/// a + b − c, a variance; 0 where it is no more than the rounding of its parts.
pub(crate) fn above_rounding(a: f64, b: f64, c: f64) -> f64 {
    let variance = a + b - c;
    if variance <= 8.0 * f64::EPSILON * (a + b + c.abs()) { 0.0 } else { variance }
}
