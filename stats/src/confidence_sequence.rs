//! F8: an interval that holds however often one looks.
//!
//! S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
//! Annals of Statistics 49, 2021, whose two-sided normal mixture it is; made asymptotic by I. Waudby-Smith, D. Arbour,
//! R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals
//! of Statistics 52, 2024. Tuned to be narrowest at N* units of both arms; N* is fixed for the run.

use crate::alpha::Alpha;
use crate::arm::Arm;
use crate::interval::Interval;
use crate::no_number::{NoNumber, finite};
use crate::p::P;
use crate::{lift, welch};

/// N* where nobody says otherwise: units of both arms.
pub const TUNING_UNITS: u64 = 5_000;

/// One look of a confidence sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceSequence {
    /// With an interval that all looks together miss with probability α at most.
    pub difference: Interval,
    /// Standard error of the difference.
    pub se: f64,
    /// The mixture's width.
    pub rho: f64,
    /// Natural logarithm of the e-value against no difference: the e-value itself overflows.
    pub ln_e: f64,
    /// min(1, 1/e) of this look; ≤ α exactly when the interval excludes 0. Over looks: [`crate::p::running_minimum`].
    pub p: P,
}

/// Of treatment less control.
pub fn absolute(
    control: &Arm,
    treatment: &Arm,
    alpha: Alpha,
    tuning_units: u64,
) -> Result<ConfidenceSequence, NoNumber> {
    let se = welch::standard_error(control, treatment)?;
    at_look(treatment.less(control), se, control.n() + treatment.n(), alpha, tuning_units)
}

/// Of (treatment − control)/|control|, with the standard error of the delta method.
pub fn relative(
    control: &Arm,
    treatment: &Arm,
    alpha: Alpha,
    tuning_units: u64,
) -> Result<ConfidenceSequence, NoNumber> {
    let (estimate, se) = lift::estimate(control, treatment)?;
    at_look(estimate, se, control.n() + treatment.n(), alpha, tuning_units)
}

fn at_look(
    estimate: f64,
    se: f64,
    units: u64,
    alpha: Alpha,
    tuning_units: u64,
) -> Result<ConfidenceSequence, NoNumber> {
    let n = units as f64;
    let minus_2_ln_alpha = -2.0 * alpha.get().ln();
    let rho_sq = (minus_2_ln_alpha + minus_2_ln_alpha.ln_1p()) / tuning_units.max(1) as f64;
    let grown = n * rho_sq;
    let half = se * ((1.0 + 1.0 / grown) * (grown.ln_1p() + minus_2_ln_alpha)).sqrt();
    let z = finite(estimate / se)?;
    let ln_e = finite(grown / (grown + 1.0) * z * z / 2.0 - 0.5 * grown.ln_1p())?;
    Ok(ConfidenceSequence {
        difference: Interval::around(estimate, half)?,
        se,
        rho: rho_sq.sqrt(),
        ln_e,
        p: P::from_ln(-ln_e),
    })
}
