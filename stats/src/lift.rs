//! F3: the difference relative to the control, by the delta method.
//!
//! A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018. Divided by |control|, so
//! that a gain over a negative baseline is a gain. The p-value is of lift = 0 under this very standard error; it is not
//! that of the absolute difference, and far larger where the effect is large.

use crate::alpha::Alpha;
use crate::arm::{Arm, degrees_of_freedom};
use crate::interval::Interval;
use crate::no_number::{NoNumber, finite};
use crate::p::P;
use crate::special::student;

/// (treatment − control)/|control|.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    /// The lift; 0.02 is two per cent.
    pub lift: Interval,
    /// Its standard error by the delta method.
    pub se: f64,
    /// Degrees of freedom, as for the difference.
    pub df: f64,
    /// Agrees with the interval.
    pub p: P,
}

/// Compares two arms relative to the control; `ZeroDenominator` for a control of 0.
pub fn lift(control: &Arm, treatment: &Arm, alpha: Alpha) -> Result<Lift, NoNumber> {
    let (estimate, se) = estimate(control, treatment)?;
    from_standard_error(estimate, se, degrees_of_freedom(control, treatment), alpha)
}

/// The lift alone, which is there also where nothing varies; `ZeroDenominator` for a control of 0.
pub fn relative_difference(control: &Arm, treatment: &Arm) -> Result<f64, NoNumber> {
    if control.value() == 0.0 {
        return Err(NoNumber::ZeroDenominator);
    }
    finite(treatment.less(control) / control.value().abs())
}

/// Lift and its standard error, > 0.
pub(crate) fn estimate(control: &Arm, treatment: &Arm) -> Result<(f64, f64), NoNumber> {
    let estimate = relative_difference(control, treatment)?;
    let base = control.value().abs();
    let ratio = treatment.value() / base;
    let se = (treatment.variance().sqrt() / base).hypot(control.variance().sqrt() / base * ratio);
    if finite(se)? > 0.0 { Ok((estimate, se)) } else { Err(NoNumber::ZeroVariance) }
}

pub(crate) fn from_standard_error(estimate: f64, se: f64, df: f64, alpha: Alpha) -> Result<Lift, NoNumber> {
    let half = student::upper_quantile(alpha.get() / 2.0, finite(df)?) * se;
    Ok(Lift {
        lift: Interval::around(estimate, half)?,
        se,
        df,
        p: P::two_sided(student::ln_upper_tail(finite(estimate / se)?.abs(), df)),
    })
}
