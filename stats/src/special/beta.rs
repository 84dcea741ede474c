//! The beta distribution.
//!
//! Regularised incomplete beta by its continued fraction (A. R. DiDonato, A. H. Morris, "Algorithm 708", ACM TOMS 18,
//! 1992; evaluated after Lentz), with the factor before it after Loader. The fraction takes about √max(a, b) terms.

use super::deviance::{deviance, stirling_error};
use super::ln_complement;
use std::f64::consts::PI;

const TERMS_MAX: u32 = 1_000_000;
const TINY: f64 = 1e-300;
/// Steps of the search for a quantile: bisection alone would need about 60.
const STEPS_MAX: u32 = 200;

/// ln of P(X ≤ x) and of P(X > x).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LnTails {
    /// ln P(X ≤ x).
    pub lower: f64,
    /// ln P(X > x).
    pub upper: f64,
}

/// ln (1/B(a, b) · x^a · y^b), y = 1 − x, both > 0.
pub(crate) fn ln_power(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    0.5 * (a / n * b / (2.0 * PI)).ln() - deviance(a, n * x) - deviance(b, n * y) + stirling_error(n)
        - stirling_error(a)
        - stirling_error(b)
}

/// Both tails at `x`, with `y` = 1 − x given apart, since one of them may be too near to 1 to hold it. a, b > 0.
pub(crate) fn ln_tails(a: f64, b: f64, x: f64, y: f64) -> LnTails {
    if x <= 0.0 {
        return LnTails { lower: f64::NEG_INFINITY, upper: 0.0 };
    }
    if y <= 0.0 {
        return LnTails { lower: 0.0, upper: f64::NEG_INFINITY };
    }
    let power = ln_power(a, b, x, y);
    if x * (a + b + 2.0) < a + 1.0 {
        let lower = (power + (fraction(a, b, x) / a).ln()).min(0.0);
        LnTails { lower, upper: ln_complement(lower) }
    } else {
        let upper = (power + (fraction(b, a, y) / b).ln()).min(0.0);
        LnTails { lower: ln_complement(upper), upper }
    }
}

/// The continued fraction that x^a·y^b/(a·B) is multiplied with.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let hold = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / hold(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / hold(1.0 + even * d);
        c = hold(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / hold(1.0 + odd * d);
        c = hold(1.0 + odd / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 2.0 * f64::EPSILON {
            break;
        }
    }
    h
}

/// P(X ≤ x) of Beta(a, b), a and b > 0.
#[must_use]
pub fn cdf(x: f64, a: f64, b: f64) -> f64 {
    ln_tails(a, b, x, 1.0 - x).lower.exp()
}

/// The x with P(X ≤ x) = p, 0 < p < 1, a and b > 0: Newton's steps, halved where they leave the bracket.
#[must_use]
pub fn quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = a / (a + b);
    for _ in 0..STEPS_MAX {
        let tails = ln_tails(a, b, x, 1.0 - x);
        // The smaller tail has the digits.
        let off = if p < 0.5 { tails.lower.exp() - p } else { (1.0 - p) - tails.upper.exp() };
        if off > 0.0 {
            high = x
        } else {
            low = x
        }
        let density = (ln_power(a, b, x, 1.0 - x) - x.ln() - (1.0 - x).ln()).exp();
        let step = off / density;
        if step.abs() <= 4.0 * f64::EPSILON * x {
            return x;
        }
        x = if x - step > low && x - step < high { x - step } else { f64::midpoint(low, high) };
    }
    x
}
