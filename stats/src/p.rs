//! A p-value, kept as its logarithm.
//!
//! Always true here: 0 < p ≤ 1. Many p-values of large experiments lie below the smallest double; their logarithms do
//! not, so that none is ever shown as 0.

use std::f64::consts::{LN_2, LN_10};
use std::fmt;

/// Below this a p-value is told by its logarithm alone.
const SHOWN_MIN: f64 = 1e-300;

/// A probability of what was seen, or more, under no effect.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct P {
    ln: f64,
}

impl P {
    /// From its natural logarithm; a rounding above 0 is p = 1.
    pub(crate) fn from_ln(ln: f64) -> Self {
        Self { ln: ln.clamp(f64::MIN, 0.0) }
    }

    /// From the logarithm of one tail, for a test that looks both ways.
    pub(crate) fn two_sided(ln_tail: f64) -> Self {
        Self::from_ln(ln_tail + LN_2)
    }

    /// A p-value that another program worked out, in [0, 1]; its 0 is taken for the smallest double.
    #[must_use]
    pub fn new(p: f64) -> Option<Self> {
        (0.0..=1.0).contains(&p).then(|| Self::from_ln(p.max(f64::from_bits(1)).ln()))
    }

    /// As a double, and 1e-300 for whatever is less: never 0.
    #[must_use]
    pub fn value(self) -> f64 {
        self.ln.exp().max(SHOWN_MIN)
    }

    /// Its decimal logarithm, exact where [`value`](Self::value) is not.
    #[must_use]
    pub fn log10(self) -> f64 {
        self.ln / LN_10
    }

    /// `factor` times as likely, at most 1.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self::from_ln(self.ln + factor.ln())
    }

    /// Whether p ≤ `level`.
    #[must_use]
    pub fn is_at_most(self, level: f64) -> bool {
        self.value() <= level
    }
}

/// Of an always-valid method, the p-value after each look: the least so far. It never rises, also when an effect fades.
#[must_use]
pub fn running_minimum(looks: &[P]) -> Vec<P> {
    let lower = |least: &mut P, p: &P| {
        *least = P { ln: least.ln.min(p.ln) };
        Some(*least)
    };
    looks.iter().scan(P { ln: 0.0 }, lower).collect()
}

impl fmt::Display for P {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log10 = self.log10();
        if log10 < SHOWN_MIN.log10() {
            write!(f, "10^{log10:.1}")
        } else if log10 < -4.0 {
            write!(f, "{:.1e}", self.value())
        } else {
            write!(f, "{:.4}", self.value())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_shown_as_zero() {
        let shown = |ln| P::from_ln(ln).to_string();
        assert_eq!(shown(0.0), "1.0000");
        assert_eq!(shown(0.05_f64.ln()), "0.0500");
        assert_eq!(shown(1.234e-7_f64.ln()), "1.2e-7");
        assert_eq!(shown(-508.878_414_655 * LN_10), "10^-508.9");
        assert_eq!(P::from_ln(-1e9).value(), 1e-300);
        assert_eq!(P::new(0.0).map(|p| p.log10() < -300.0), Some(true));
        assert!(P::new(f64::NAN).is_none() && P::new(1.5).is_none() && P::new(-0.1).is_none());
    }
}
