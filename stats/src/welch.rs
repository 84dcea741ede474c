//! F1: two means of unlike variance.
//!
//! B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
//! Biometrika 34, 1947. One arm without variance is no obstacle; both without leaves nothing to compare with.

use crate::alpha::Alpha;
use crate::arm::{Arm, degrees_of_freedom};
use crate::interval::Interval;
use crate::no_number::{NoNumber, finite};
use crate::p::P;
use crate::special::student;

/// Treatment less control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// The difference, with an interval of level 1 − α for one look fixed beforehand.
    pub difference: Interval,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// difference/se.
    pub t: f64,
    /// Of a difference this large, either way; ≤ α exactly when the interval excludes 0.
    pub p: P,
    /// Of one this large upwards.
    pub p_greater: P,
    /// Of one this large downwards.
    pub p_less: P,
}

/// Compares two arms at one look.
pub fn welch(control: &Arm, treatment: &Arm, alpha: Alpha) -> Result<Welch, NoNumber> {
    let difference = treatment.less(control);
    let se = standard_error(control, treatment)?;
    let df = degrees_of_freedom(control, treatment);
    let t = finite(difference / se)?;
    let half = student::upper_quantile(alpha.get() / 2.0, df) * se;
    Ok(Welch {
        difference: Interval::around(difference, half)?,
        se,
        df: finite(df)?,
        t,
        p: P::two_sided(student::ln_upper_tail(t.abs(), df)),
        p_greater: P::from_ln(student::ln_upper_tail(t, df)),
        p_less: P::from_ln(student::ln_upper_tail(-t, df)),
    })
}

/// Of the difference of the two values; > 0.
pub(crate) fn standard_error(control: &Arm, treatment: &Arm) -> Result<f64, NoNumber> {
    let se = finite((treatment.variance() + control.variance()).sqrt())?;
    if se > 0.0 { Ok(se) } else { Err(NoNumber::ZeroVariance) }
}
