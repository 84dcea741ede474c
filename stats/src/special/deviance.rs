//! Two small terms that stand in for differences of large ones.
//!
//! C. Loader, "Fast and accurate computation of binomial probabilities", 2000. ln Γ of 10⁹ is 2·10¹⁰, and a double
//! holds it to 4·10⁻⁶; with these terms the large parts cancel on paper.

const LN_SQRT_2_PI: f64 = 0.918_938_533_204_672_8;

/// x·ln(x/m) + m − x ≥ 0, for x ≥ 0, m > 0.
pub(crate) fn deviance(x: f64, m: f64) -> f64 {
    if x <= 0.0 {
        return m;
    }
    let v = (x - m) / (x + m);
    if v.abs() >= 0.1 {
        return x * (x / m).ln() + m - x;
    }
    // ln(x/m) = 2·atanh(v); what is left after the terms that cancel.
    let mut power = 2.0 * x * v;
    let mut sum = (x - m) * v;
    for j in 1..200 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// ln Γ(z) less Stirling's (z − ½)·ln z − z + ln √(2π), for z > 0.
pub(crate) fn stirling_error(z: f64) -> f64 {
    if z < 16.0 {
        return libm::lgamma(z) - (z - 0.5) * z.ln() + z - LN_SQRT_2_PI;
    }
    let w = 1.0 / (z * z);
    (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w / 1188.0)))) / z
}
