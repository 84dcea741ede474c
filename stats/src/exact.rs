//! Integers of 256 bits, and the one difference that statistics begin with.
//!
//! Always true here: n·Σab − Σa·Σb is formed exactly and rounded once. In doubles it loses every digit: the variance of
//! 10⁹ + {0, 1, 2} comes out as 128, and that of NIST's NumAcc4 as −2.

use ethnum::{I256, U256};

/// n·Σab − Σa·Σb; `None` if it does not fit 255 bits.
pub(crate) fn centred(n: u64, sum_a: I256, sum_b: I256, sum_ab: I256) -> Option<I256> {
    I256::from(n).checked_mul(sum_ab)?.checked_sub(sum_a.checked_mul(sum_b)?)
}

/// The nearest double, ties to even.
pub(crate) fn to_f64(value: I256) -> f64 {
    let magnitude = value.unsigned_abs();
    let shift = 128_u32.saturating_sub(magnitude.leading_zeros());
    // 128 bits round as all 256 would, if a bit below them tells that there was more.
    let more = magnitude & ((U256::ONE << shift) - U256::ONE) != U256::ZERO;
    let top = (magnitude >> shift).as_u128() | u128::from(more);
    let rounded = libm::ldexp(top as f64, shift as i32);
    if value.is_negative() { -rounded } else { rounded }
}

/// value/divisor as the nearest double and what its rounding left out.
pub(crate) fn quotient(value: I256, divisor: f64) -> (f64, f64) {
    let high = to_f64(value);
    let back = split(high).and_then(|parts| whole(parts, 0));
    let low = back.and_then(|back| value.checked_sub(back)).map_or(0.0, to_f64);
    let quotient = high / divisor;
    (quotient, ((-quotient).mul_add(divisor, high) + low) / divisor)
}

/// Doubles as whole numbers of one step, 2^-k: sums in steps, sums of products in steps².
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stepped {
    pub(crate) sums: Vec<I256>,
    pub(crate) products: Vec<I256>,
    /// Steps in 1: 2^k.
    pub(crate) steps_in_one: f64,
}

impl Stepped {
    /// Without any rounding; `None` for what is not finite, or spans more than 255 bits.
    pub(crate) fn from_doubles(sums: &[f64], products: &[f64]) -> Option<Self> {
        let sums = sums.iter().map(|&sum| split(sum)).collect::<Option<Vec<_>>>()?;
        let products = products.iter().map(|&product| split(product)).collect::<Option<Vec<_>>>()?;
        let of_sums = sums.iter().filter(|part| part.0 != 0).map(|part| -part.1);
        let of_products = products.iter().filter(|part| part.0 != 0).map(|part| (1 - part.1).div_euclid(2));
        let k = of_sums.chain(of_products).max().unwrap_or(0);
        let steps_in_one = libm::ldexp(1.0, k);
        Some(Self {
            sums: sums.into_iter().map(|part| whole(part, k)).collect::<Option<_>>()?,
            products: products.into_iter().map(|part| whole(part, 2 * k)).collect::<Option<_>>()?,
            steps_in_one: (steps_in_one.is_normal()).then_some(steps_in_one)?,
        })
    }
}

/// value = mantissa · 2^exponent, the mantissa odd or 0.
fn split(value: f64) -> Option<(i64, i32)> {
    if !value.is_finite() {
        return None;
    }
    let (fraction, exponent) = libm::frexp(value);
    let mantissa = libm::ldexp(fraction, 53) as i64;
    let zeros = if mantissa == 0 { 0 } else { mantissa.trailing_zeros() };
    Some((mantissa >> zeros, exponent - 53 + zeros as i32))
}

/// mantissa · 2^(exponent + k).
fn whole((mantissa, exponent): (i64, i32), k: i32) -> Option<I256> {
    if mantissa == 0 {
        return Some(I256::ZERO);
    }
    let shift = u32::try_from(exponent.checked_add(k)?).ok()?;
    let bits = 64 - mantissa.unsigned_abs().leading_zeros();
    (shift.checked_add(bits)? < 255).then(|| I256::from(mantissa) << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_double_is_found_at_every_size() {
        for (value, expected) in [
            (I256::ZERO, 0.0),
            (I256::from(-7), -7.0),
            (I256::from(i128::MAX), 2_f64.powi(127)),
            (I256::MIN, -(2_f64.powi(255))),
            (I256::MAX, 2_f64.powi(255)),
        ] {
            assert_eq!(to_f64(value), expected, "{value}");
        }
    }

    #[test]
    fn a_bit_far_below_decides_a_tie() {
        // 2^200 + 2^147 lies half way between two doubles: even wins, unless there is one more at the very end.
        let half = (I256::ONE << 200) + (I256::ONE << 147);
        assert_eq!(to_f64(half), 2_f64.powi(200));
        assert_eq!(to_f64(half + I256::ONE), 2_f64.powi(200) + 2_f64.powi(148));
    }

    #[test]
    fn a_quotient_has_the_digits_of_two_doubles() {
        // 10¹⁸ + 1 over 3·10⁶: the second double goes on where the first one ends.
        let value = I256::from(1_000_000_000_000_000_001_i64);
        let (high, low) = quotient(value, 3e6);
        assert_eq!(high, 333_333_333_333.333_3);
        assert!((low - 2.067_838_5e-5).abs() < 1e-12, "{low:e}");
        assert_eq!(quotient(I256::ZERO, 7.0), (0.0, 0.0));
    }

    #[test]
    fn doubles_become_whole_steps_and_back() {
        let stepped = Stepped::from_doubles(&[7.5, 0.1], &[34.43, 1e300 / 1e300]).unwrap();
        assert_eq!(to_f64(stepped.sums[1]) / stepped.steps_in_one, 0.1);
        assert_eq!(to_f64(stepped.products[0]) / stepped.steps_in_one / stepped.steps_in_one, 34.43);
        let huge = Stepped::from_doubles(&[2e150], &[2e300]).unwrap();
        assert_eq!(to_f64(huge.sums[0]) / huge.steps_in_one, 2e150);
        assert!(Stepped::from_doubles(&[1e300], &[1e-300]).is_none());
        assert!(Stepped::from_doubles(&[f64::NAN], &[]).is_none());
    }
}
