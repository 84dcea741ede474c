//! Why there is no number.
//!
//! Always true here: a method gives finite numbers, or one of these; never a NaN, never a p-value of 0, never a panic.

use thiserror::Error;

/// Why a method gave no number. Not a mistake of anybody: the answer to a question that the data cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum NoNumber {
    /// An arm has fewer units than the method needs (two, for a variance).
    #[error("insufficient data: an arm has too few units for this method")]
    InsufficientData,
    /// No unit differs from any other, so that nothing tells how far chance reaches.
    #[error("zero variance: all units have the same value")]
    ZeroVariance,
    /// The control's mean, or a ratio's denominator, is 0.
    #[error("zero denominator: nothing can be told relative to 0")]
    ZeroDenominator,
    /// Nothing was counted at all.
    #[error("no data")]
    NoData,
    /// A variation that must get no traffic has units.
    #[error("unexpected variation: units in a variation of weight 0")]
    UnexpectedVariation,
    /// Sums that no values can have, or a result beyond the doubles.
    #[error("out of range: the sums contradict each other, or the result is no finite double")]
    OutOfRange,
}

impl NoNumber {
    /// The status's name in answers and reference cases.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InsufficientData => "insufficient_data",
            Self::ZeroVariance => "zero_variance",
            Self::ZeroDenominator => "zero_denominator",
            Self::NoData => "no_data",
            Self::UnexpectedVariation => "unexpected_variation",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// The name of an outcome's status: `ok`, or why there is no number.
#[must_use]
pub fn status<T>(outcome: &Result<T, NoNumber>) -> &'static str {
    outcome.as_ref().map_or_else(|why| why.name(), |_| "ok")
}

/// `value`, if it is a number that can be shown.
pub(crate) fn finite(value: f64) -> Result<f64, NoNumber> {
    if value.is_finite() { Ok(value) } else { Err(NoNumber::OutOfRange) }
}
