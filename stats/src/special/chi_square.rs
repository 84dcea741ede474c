//! The upper tail of χ².
//!
//! Near the middle `statrs`'s incomplete gamma function; in the tail the continued fraction in logarithms (Abramowitz &
//! Stegun 6.5.31, evaluated after Lentz), which goes on where a double would be 0.

use super::ln_complement;

const TERMS_MAX: u32 = 100_000;
const TINY: f64 = 1e-300;

/// ln P(χ² > x) with `df` > 0 degrees of freedom, x ≥ 0.
#[must_use]
pub fn ln_upper_tail(x: f64, df: f64) -> f64 {
    let (a, h) = (df / 2.0, x / 2.0);
    if h <= 0.0 {
        return 0.0;
    }
    if h < a + 1.0 {
        return ln_complement(statrs::function::gamma::gamma_lr(a, h).ln());
    }
    let mut b = h + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut product = d;
    for i in 1..TERMS_MAX {
        let i = f64::from(i);
        let term = -i * (i - a);
        b += 2.0;
        d = 1.0 / hold(term * d + b);
        c = hold(b + term / c);
        product *= d * c;
        if (d * c - 1.0).abs() < 2.0 * f64::EPSILON {
            break;
        }
    }
    a * h.ln() - h - libm::lgamma(a) + product.ln()
}

fn hold(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}
