//! F13: whether units came in the split that was asked for.
//!
//! A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019; K. Pearson's χ² of
//! 1900. A split that is off breaks every other number of the experiment.

use crate::no_number::{NoNumber, finite};
use crate::p::P;
use crate::special::chi_square;

/// A p-value below this is an alarm.
pub const ALARM_BELOW: f64 = 0.001;
/// With fewer units in all, nobody is alarmed.
pub const UNITS_MIN: u64 = 100;

/// χ² of the counts against the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// Σ(observed − expected)²/expected.
    pub chi2: f64,
    /// Variations of weight > 0, less one.
    pub df: u64,
    /// Of a split this far off.
    pub p: P,
    /// Units in all.
    pub units: u64,
}

impl ChiSquare {
    /// Whether the split is to be called broken: p < 0.001, of at least 100 units.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.units >= UNITS_MIN && self.p.value() < ALARM_BELOW
    }
}

/// Compares units by variation with the weights asked for, which need not add up to 1. `UnexpectedVariation` for units
/// where the weight is 0, `NoData` without units, `InsufficientData` with fewer than two variations of weight > 0,
/// `OutOfRange` for weights that are none.
pub fn chi_square(counts: &[u64], weights: &[f64]) -> Result<ChiSquare, NoNumber> {
    let shares = shares(counts, weights)?;
    let units: u64 = counts.iter().sum();
    let used = shares.iter().filter(|share| **share > 0.0).count();
    if units == 0 {
        return Err(NoNumber::NoData);
    }
    if used < 2 {
        return Err(NoNumber::InsufficientData);
    }
    let parts = counts.iter().zip(&shares).filter(|(_, share)| **share > 0.0).map(|(count, share)| {
        let expected = units as f64 * share;
        let off = *count as f64 - expected;
        off / expected * off
    });
    let chi2 = finite(parts.sum())?;
    let p = P::from_ln(chi_square::ln_upper_tail(chi2, (used - 1) as f64));
    Ok(ChiSquare { chi2, df: used as u64 - 1, p, units })
}

/// The weights, scaled to add up to 1.
pub(crate) fn shares(counts: &[u64], weights: &[f64]) -> Result<Vec<f64>, NoNumber> {
    let total: f64 = weights.iter().sum();
    let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
    if counts.len() != weights.len() || !weights.iter().all(is_weight) || !total.is_finite() || total <= 0.0 {
        return Err(NoNumber::OutOfRange);
    }
    if counts.iter().zip(weights).any(|(count, weight)| *count > 0 && *weight == 0.0) {
        return Err(NoNumber::UnexpectedVariation);
    }
    Ok(weights.iter().map(|weight| weight / total).collect())
}
