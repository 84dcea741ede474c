//! Moments of two values of each unit: numerator and denominator of a ratio, or an outcome and what was known before.
//!
//! Always true here: as in [`crate::moments`], and |C| is no more than its rounding above √(M2·M2).

use crate::exact::{self, Stepped};
use crate::moments::{MILLIONTHS, Moments};
use crate::no_number::{NoNumber, finite};
use ethnum::I256;

/// Exact sums over the units of one variation: sums in millionths, products in 10⁻¹².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairSums {
    /// Units.
    pub n: u64,
    /// Σy.
    pub y: i128,
    /// Σy².
    pub y_sq: I256,
    /// Σx.
    pub x: i128,
    /// Σx².
    pub x_sq: I256,
    /// Σxy.
    pub xy: I256,
}

/// The same as other engines keep them, in doubles.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RawPairSums {
    /// Units.
    pub n: u64,
    /// Σy.
    pub y: f64,
    /// Σy².
    pub y_sq: f64,
    /// Σx.
    pub x: f64,
    /// Σx².
    pub x_sq: f64,
    /// Σxy.
    pub xy: f64,
}

/// Moments of y and x, and C = Σ(y − ȳ)(x − x̄).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairMoments {
    /// Of y: the outcome, or the numerator.
    pub y: Moments,
    /// Of x: what was known before, or the denominator.
    pub x: Moments,
    c: f64,
}

impl PairMoments {
    /// From exact sums; see [`Moments::exact`].
    pub fn exact(sums: &PairSums) -> Result<Self, NoNumber> {
        let y = Moments::exact(sums.n, sums.y, sums.y_sq)?;
        let x = Moments::exact(sums.n, sums.x, sums.x_sq)?;
        let c = cross(sums.n, I256::from(sums.y), I256::from(sums.x), sums.xy, MILLIONTHS)?;
        Ok(Self { y, x, c })
    }

    /// From raw sums; see [`Moments::raw`].
    pub fn raw(sums: &RawPairSums) -> Result<Self, NoNumber> {
        let y = Moments::raw(sums.n, sums.y, sums.y_sq)?;
        let x = Moments::raw(sums.n, sums.x, sums.x_sq)?;
        let stepped = Stepped::from_doubles(&[sums.y, sums.x], &[sums.xy]).ok_or(NoNumber::OutOfRange)?;
        let c = cross(sums.n, stepped.sums[0], stepped.sums[1], stepped.products[0], stepped.steps_in_one)?;
        Ok(Self { y, x, c })
    }

    /// Of values (y, x) at hand.
    pub fn of(values: &[(f64, f64)]) -> Result<Self, NoNumber> {
        let (ys, xs): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
        let (y, x) = (Moments::of(&ys)?, Moments::of(&xs)?);
        let c = match (y.mean(), x.mean()) {
            (Some(my), Some(mx)) => values.iter().map(|(y, x)| (y - my) * (x - mx)).sum(),
            _ => 0.0,
        };
        Ok(Self { y, x, c: finite(c)? })
    }

    /// Both together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let between = match (self.y.mean(), self.x.mean(), other.y.mean(), other.x.mean()) {
            (Some(y), Some(x), Some(other_y), Some(other_x)) => {
                let (a, b) = (self.n() as f64, other.n() as f64);
                (other_y - y) * (other_x - x) * a * (b / (a + b))
            }
            _ => 0.0,
        };
        Self { y: self.y.merge(other.y), x: self.x.merge(other.x), c: self.c + other.c + between }
    }

    /// Units.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.y.n()
    }

    /// Σ(y − ȳ)(x − x̄).
    #[must_use]
    pub fn c(&self) -> f64 {
        self.c
    }

    /// C/(n − 1); `None` of fewer than two units.
    #[must_use]
    pub fn covariance(&self) -> Option<f64> {
        (self.n() > 1).then(|| self.c / (self.n() - 1) as f64)
    }
}

fn cross(n: u64, y: I256, x: I256, xy: I256, steps_in_one: f64) -> Result<f64, NoNumber> {
    if n == 0 {
        return if xy == I256::ZERO { Ok(0.0) } else { Err(NoNumber::OutOfRange) };
    }
    let difference = exact::centred(n, y, x, xy).ok_or(NoNumber::OutOfRange)?;
    finite(exact::to_f64(difference) / n as f64 / steps_in_one / steps_in_one)
}
