//! Student's t, with any real number of degrees of freedom.
//!
//! The tail: up to 2,000 degrees the incomplete beta function, above them G. W. Hill's normalisation ("Algorithm 395",
//! Comm. ACM 13, 1970), whose error falls with their sixth power. The quantile inverts that tail.

use super::deviance::stirling_error;
use super::{beta, ln_complement, normal};
use std::f64::consts::LN_2;

const LARGE: f64 = 2_000.0;
const STEPS_MAX: u32 = 100;

/// ln P(T > t) with `df` > 0 degrees of freedom.
#[must_use]
pub fn ln_upper_tail(t: f64, df: f64) -> f64 {
    if t < 0.0 {
        return ln_complement(ln_upper_tail(-t, df));
    }
    if df > LARGE {
        return normal::ln_upper_tail(normalised(t, df));
    }
    // t² may leave the doubles, t/√df does not matter then: both shares are of 1.
    let ratio = t / df.sqrt();
    let (x, y) = if ratio < 1e100 {
        (1.0 / (1.0 + ratio * ratio), ratio * ratio / (1.0 + ratio * ratio))
    } else {
        ((1.0 / ratio / ratio).max(f64::MIN_POSITIVE), 1.0)
    };
    if y <= 0.0 { -LN_2 } else { beta::ln_tails(df / 2.0, 0.5, x, y).lower - LN_2 }
}

/// The z whose normal tail is the tail of t.
fn normalised(t: f64, df: f64) -> f64 {
    let ratio = t / df.sqrt();
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let y = a * if ratio < 1e100 { (ratio * ratio).ln_1p() } else { 2.0 * ratio.ln() };
    let second = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b);
    y.sqrt() * (1.0 + (y + 3.0 + second) / b)
}

/// ln of the density.
fn ln_density(t: f64, df: f64) -> f64 {
    let a = df / 2.0;
    let gammas = a * (0.5 / a).ln_1p() - 0.5 + stirling_error(a + 0.5) - stirling_error(a);
    let ratio = t / df.sqrt();
    normal::ln_density(0.0) + gammas - (a + 0.5) * (ratio * ratio).ln_1p()
}

/// The t with P(T > t) = p, for 0 < p < 1.
#[must_use]
pub fn upper_quantile(p: f64, df: f64) -> f64 {
    if p > 0.5 {
        return -upper_quantile(1.0 - p, df);
    }
    let mut t = normal::upper_quantile(p);
    if t <= 0.0 {
        return 0.0;
    }
    // Over ln t, ln of the tail is concave: Newton's steps come to the root from wherever they start.
    for _ in 0..STEPS_MAX {
        let tail = ln_upper_tail(t, df);
        let slope = t * (ln_density(t, df) - tail).exp();
        let step = (tail - p.ln()) / slope;
        t *= step.clamp(-50.0, 50.0).exp();
        if step.abs() < 1e-14 {
            break;
        }
    }
    t
}
