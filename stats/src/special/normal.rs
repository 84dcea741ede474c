//! The standard normal.
//!
//! The tail is `libm`'s erfc; beyond 20 its continued fraction (Laplace; Abramowitz & Stegun 26.2.14).

use super::ln_complement;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, SQRT_2};

const LN_SQRT_2_PI: f64 = 0.918_938_533_204_672_8;
/// Beyond this, erfc's argument has lost digits that the fraction has not, and later the tail is no normal double.
const FAR: f64 = 20.0;
const FAR_TERMS: u32 = 40;

/// φ(z).
#[must_use]
pub fn density(z: f64) -> f64 {
    ln_density(z).exp()
}

pub(crate) fn ln_density(z: f64) -> f64 {
    -0.5 * z * z - LN_SQRT_2_PI
}

/// P(Z > z).
#[must_use]
pub fn upper_tail(z: f64) -> f64 {
    if z > FAR { ln_upper_tail(z).exp() } else { 0.5 * libm::erfc(z * FRAC_1_SQRT_2) }
}

/// ln P(Z > z): finite for every finite z of size up to 10¹⁵⁰.
#[must_use]
pub fn ln_upper_tail(z: f64) -> f64 {
    if z > FAR {
        ln_density(z) - fraction(z).ln()
    } else if z < -1.0 {
        ln_complement(ln_upper_tail(-z))
    } else {
        libm::erfc(z * FRAC_1_SQRT_2).ln() - LN_2
    }
}

/// φ(z)/P(Z > z) = z + 1/(z + 2/(z + 3/(z + …))), for large z.
fn fraction(z: f64) -> f64 {
    (1..=FAR_TERMS).rev().fold(z, |below, k| z + f64::from(k) / below)
}

/// The z with P(Z > z) = p, for 0 < p < 1.
#[must_use]
pub fn upper_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -upper_quantile(1.0 - p);
    }
    // One step of Newton on the logarithm makes ten digits fifteen.
    let guess = SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p);
    let tail = ln_upper_tail(guess);
    guess + (tail - p.ln()) * (tail - ln_density(guess)).exp()
}
