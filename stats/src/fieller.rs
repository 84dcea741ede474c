//! F4: the difference relative to the control, by Fieller's theorem.
//!
//! E. C. Fieller, "Some problems in interval estimation", JRSS B 16, 1954. Exact for normal means where the delta
//! method is not: with a control near 0. When the control itself does not differ from 0, no bounded interval exists.

use crate::alpha::Alpha;
use crate::arm::Arm;
use crate::interval::Interval;
use crate::no_number::{NoNumber, finite};

/// What is known of the lift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fieller {
    /// An interval; not symmetric about the estimate.
    Bounded {
        /// The lift.
        lift: Interval,
        /// z² times the control's variance over its square, < 1.
        g: f64,
    },
    /// The control does not differ from 0 at this α: the lift may be anything.
    Unbounded {
        /// As above, ≥ 1.
        g: f64,
    },
}

impl Fieller {
    /// z² times the control's variance over its square: how near to 0 the control is.
    #[must_use]
    pub fn g(&self) -> f64 {
        match self {
            Self::Bounded { g, .. } | Self::Unbounded { g } => *g,
        }
    }

    /// `ok` or `unbounded`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bounded { .. } => "ok",
            Self::Unbounded { .. } => "unbounded",
        }
    }
}

/// The interval of (treatment − control)/|control|; `ZeroDenominator` for a control of 0.
pub fn fieller(control: &Arm, treatment: &Arm, alpha: Alpha) -> Result<Fieller, NoNumber> {
    let base = control.value();
    if base == 0.0 {
        return Err(NoNumber::ZeroDenominator);
    }
    let z = alpha.z();
    // In units of the control, so that squares of huge or tiny means stay within the doubles.
    let ratio = finite(treatment.value() / base)?;
    let g = finite((z * control.variance().sqrt() / base).powi(2))?;
    if g >= 1.0 {
        return Ok(Fieller::Unbounded { g });
    }
    let h = (z * treatment.variance().sqrt() / base).powi(2);
    let half = finite((h + g * (ratio * ratio - h)).max(0.0).sqrt() / (1.0 - g))?;
    let middle = ratio / (1.0 - g);
    let theta = Interval { estimate: ratio - 1.0, low: middle - half - 1.0, high: middle + half - 1.0 };
    let lift = if base < 0.0 { theta.mirrored() } else { theta };
    Ok(Fieller::Bounded { lift, g })
}
