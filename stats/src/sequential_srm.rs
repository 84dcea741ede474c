//! F14: the same, for those who look all the time.
//!
//! M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022. The Bayes factor depends on
//! the totals alone, not on the path; the running minimum of its inverse is a p-value that holds at every look.

use crate::no_number::{NoNumber, finite};
use crate::p::P;
use crate::special::deviance::{deviance, stirling_error};
use crate::srm;

/// Concentration of the prior about the weights.
pub const CONCENTRATION: f64 = 10_000.0;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Natural logarithm of the Bayes factor against the weights.
    pub ln_bayes_factor: f64,
    /// min(1, 1/Bayes factor) of this look; over looks its running minimum is valid ([`crate::p::running_minimum`]).
    pub p: P,
}

/// Compares the totals so far with the weights; `concentration` > 0 is fixed for the run. Statuses as of
/// [`srm::chi_square`]; without units the Bayes factor is 1.
pub fn look(totals: &[u64], weights: &[f64], concentration: f64) -> Result<Look, NoNumber> {
    let shares = srm::shares(totals, weights)?;
    if !(concentration.is_finite() && concentration > 0.0) {
        return Err(NoNumber::OutOfRange);
    }
    let units: u64 = totals.iter().sum();
    let all = concentration + units as f64;
    let parts = totals.iter().zip(&shares).filter(|(_, share)| **share > 0.0).map(|(count, share)| {
        // ln Γ(after) − ln Γ(before) − count·ln(share), without its large parts, which cancel over the variations.
        let before = concentration * share;
        let after = before + *count as f64;
        deviance(after, all * share) - 0.5 * (*count as f64 / before).ln_1p() + stirling_error(after)
            - stirling_error(before)
    });
    let prior = 0.5 * (units as f64 / concentration).ln_1p() - stirling_error(all) + stirling_error(concentration);
    let ln_bayes_factor = finite(parts.sum::<f64>() + prior)?;
    Ok(Look { ln_bayes_factor, p: P::from_ln(-ln_bayes_factor) })
}
