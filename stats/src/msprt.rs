//! F9: the mixture sequential probability ratio test.
//!
//! R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference: continuous monitoring of A/B tests", Operations
//! Research 70, 2022. τ is fixed before the run. One that shrinks with the sample makes the bound a constant z, which
//! is not always valid in the limit, and weak before it.

use crate::alpha::Alpha;
use crate::interval::Interval;
use crate::no_number::{NoNumber, finite};
use crate::p::P;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Msprt {
    /// With its always-valid interval.
    pub difference: Interval,
    /// ln Λ: in the hundred thousands for large samples, where Λ overflows.
    pub ln_lambda: f64,
    /// min(1, 1/Λ) of this look; ≤ α exactly when the interval excludes 0. Over looks: [`crate::p::running_minimum`].
    pub p: P,
}

/// A look at `difference` with its variance, both of one sample; `tau_sq` > 0 is the variance that effects are thought
/// to have.
pub fn msprt(difference: f64, variance: f64, tau_sq: f64, alpha: Alpha) -> Result<Msprt, NoNumber> {
    if variance <= 0.0 {
        return Err(NoNumber::ZeroVariance);
    }
    let total = finite(variance + tau_sq)?;
    // ½·ln(V/(V + τ²)) as a logarithm of 1 + τ²/V.
    let grown = (tau_sq / variance).ln_1p();
    let ln_lambda = finite(tau_sq / total * (difference * difference / variance) / 2.0 - grown / 2.0)?;
    let half = (variance * (total / tau_sq) * (grown - 2.0 * alpha.get().ln())).sqrt();
    Ok(Msprt { difference: Interval::around(difference, half)?, ln_lambda, p: P::from_ln(-ln_lambda) })
}
