//! Metric values as fixed-point integers: rounded once, at the door, then summed exactly for ever.
//!
//! Always true here: no float. A JSON number is read as the decimal that it is written as.

/// A metric value in millionths. |value| ≤ 10¹², so |millionths| ≤ 10¹⁸ fits an `i64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

/// Largest magnitude, in millionths: 10¹² units.
pub const MICROS_MAX: i64 = 1_000_000_000_000_000_000;

impl Micros {
    /// Reads a JSON number and rounds it to millionths, half to even. `None` = out of range, or no JSON number.
    ///
    /// ```
    /// use schemas::fixed::Micros;
    /// assert_eq!(Micros::parse("24.99"), Some(Micros(24_990_000)));
    /// assert_eq!(Micros::parse("-2.5e-6"), Some(Micros(-2)));
    /// assert_eq!(Micros::parse("1e12"), Some(Micros(1_000_000_000_000_000_000)));
    /// assert_eq!(Micros::parse("1e13"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let magnitude = round_digits(whole, fraction, exponent)?;
        Some(Self(if negative { -magnitude } else { magnitude }))
    }
}

/// An exponent, held within ±100,000: beyond that every value is zero or out of range whatever its digits (a body is
/// smaller).
fn parse_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().fold(0_i64, |sum, b| (sum * 10 + i64::from(b - b'0')).min(100_000_000));
    Some(if negative { -value } else { value })
}

/// The digits times 10^(exponent + 6), half to even; `None` above [`MICROS_MAX`].
fn round_digits(whole: &str, fraction: &str, exponent: i64) -> Option<i64> {
    let all = whole.len() + fraction.len();
    let digits = whole.bytes().chain(fraction.bytes());
    // `point` digits stand before the point once the value is in millionths.
    let point = i64::try_from(whole.len()).ok()? + exponent + 6;
    let mut sum: i64 = 0;
    let mut rounding = Rounding::default();
    for (place, digit) in (0_i64..).zip(digits) {
        let digit = i64::from(digit - b'0');
        if place < point {
            sum = sum.checked_mul(10)?.checked_add(digit)?;
            if sum > MICROS_MAX {
                return None;
            }
        } else {
            rounding.take(place - point, digit);
        }
    }
    let missing = point - i64::try_from(all).ok()?;
    for _ in 0..missing {
        if sum == 0 {
            break;
        }
        sum = sum.checked_mul(10).filter(|s| *s <= MICROS_MAX)?;
    }
    // All digits may lie behind leading zeros of the fraction: then the first dropped digit is not at place 0.
    let up = match rounding.half() {
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => sum & 1,
        std::cmp::Ordering::Less => 0,
    };
    Some(sum + up).filter(|s| *s <= MICROS_MAX)
}

/// What was cut off, compared with one half.
#[derive(Default)]
struct Rounding {
    first: i64,
    rest: bool,
}

impl Rounding {
    fn take(&mut self, place: i64, digit: i64) {
        if place == 0 {
            self.first = digit;
        } else {
            self.rest |= digit != 0;
        }
    }

    fn half(&self) -> std::cmp::Ordering {
        self.first.cmp(&5).then(self.rest.cmp(&false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_once_half_to_even() {
        let cases: [(&str, Option<i64>); 20] = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("120", Some(120_000_000)),
            ("0.0000005", Some(0)),
            ("0.0000015", Some(2)),
            ("0.0000025", Some(2)),
            ("0.00000250000000000000000000001", Some(3)),
            ("0.0000024999999999999999999", Some(2)),
            ("5e-7", Some(0)),
            ("51e-8", Some(1)),
            ("4e-8", Some(0)),
            ("9e-9", Some(0)),
            ("1.5E+3", Some(1_500_000_000)),
            ("1000000000000", Some(MICROS_MAX)),
            ("1000000000000.0000001", Some(MICROS_MAX)),
            ("1000000000000.000001", None),
            ("-1e12", Some(-MICROS_MAX)),
            ("1e400", None),
            ("0e99999999999", Some(0)),
            ("1e-99999999999", Some(0)),
        ];
        for (text, expected) in cases {
            assert_eq!(Micros::parse(text).map(|m| m.0), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "abc", "1e", "1e+", ".5", "1.2.3", "NaN", "Infinity", "\"1\"", "0x10", "--1"] {
            assert_eq!(Micros::parse(text), None, "{text}");
        }
    }
}
