//! Numbers as they are written: read when somebody needs one, as what it is needed for.
//!
//! Always true here: the text is a JSON number, so it is ASCII; no value is rounded twice.

use super::Scalar;

/// A JSON number's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number<'a>(&'a str);

/// Largest integer that every float-speaking SDK can still tell from its neighbours.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

impl<'a> Number<'a> {
    /// The text.
    pub(crate) fn text(self) -> &'a str {
        self.0
    }

    /// A whole number from 0 on, also when it is written as a float (`3.0`, `1e3`); `None` = anything else.
    pub(crate) fn whole(self) -> Option<u64> {
        if self.0.len() <= 19 && self.0.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(self.0.bytes().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        }
        let float: f64 = self.0.parse().ok()?;
        // The range makes the cast exact; a fraction is no count.
        ((0.0..=EXACT_FLOAT_MAX).contains(&float) && float.fract() == 0.0).then_some(float as u64)
    }

    /// A time in milliseconds, rounded down; what lies beyond an `i64` becomes its end (and is clamped at ingest).
    pub(crate) fn millis(self) -> i64 {
        match self.whole() {
            Some(whole) => i64::try_from(whole).unwrap_or(i64::MAX),
            None => self.0.parse::<f64>().unwrap_or_default().floor() as i64,
        }
    }
}

impl<'a> Scalar<'a> for Number<'a> {
    fn of(text: &'a str) -> Option<Self> {
        text.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_that_are_whole_are_whole_numbers() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("1e9", Some(1_000_000_000)),
            ("1.7957e4", Some(17_957)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("99999999999999999999", None),
            ("1.5", None),
            ("-1", None),
            ("1e400", None),
            ("1e-400", Some(0)),
        ];
        for (text, expected) in cases {
            assert_eq!(Number(text).whole(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_rounded_down_and_never_overflow() {
        let cases = [
            ("1795335146703", 1_795_335_146_703),
            ("1.795335146703e12", 1_795_335_146_703),
            ("1795335146703.9", 1_795_335_146_703),
            ("-0.5", -1),
            ("1e300", i64::MAX),
            ("-1e300", i64::MIN),
            ("18446744073709551615", i64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(Number(text).millis(), expected, "{text}");
        }
    }
}
