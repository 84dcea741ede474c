//! What would be wise to do, in words, and the rule that says so.
//!
//! Always true here: a verdict follows from the interval that is shown beside it, and from nothing else of the data; a
//! broken split overrules it. A method that is valid at one look gives none before that look.

use crate::analysis::{Plan, Reading};
use crate::interval::Interval;
use crate::no_number::NoNumber;

/// Fewer units in an arm, and the confidence sequence decides nothing: its promise is one for large samples.
pub const UNITS_MIN: u64 = 100;

/// How units came to the variations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// As was asked for, as far as one can tell.
    #[default]
    Sound,
    /// Too far off for chance.
    Broken,
    /// A variation of weight 0 has units.
    UnexpectedVariation,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing can be said, since units did not come as was asked for.
    BrokenSampleRatio,
    /// Nor here, since some came where none must.
    BrokenUnexpectedVariation,
    /// Too few units, or all alike.
    NotEnoughData,
    /// There is data, and this method cannot answer.
    NoAnswer,
    /// Not yet known.
    KeepRunning,
    /// Take the treatment.
    TreatmentBetter,
    /// Stop it.
    Worse,
    /// Whatever the difference, nobody cares for one so small.
    NoPracticalDifference,
    /// The end is reached, and it is not known.
    NoClearDifference,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The split has a p-value below 0.001.
    SplitUnlikely,
    /// Units in a variation of weight 0.
    UnitsWhereNoneMustBe,
    /// The method gave no number, for this reason.
    NoNumber(NoNumber),
    /// Valid at one look alone, and this is an earlier one.
    OneLookNotReached,
    /// Fewer than [`UNITS_MIN`] units in an arm.
    FewUnits,
    /// The whole interval is on the good side of 0.
    IntervalBetter,
    /// … on the bad side.
    IntervalWorse,
    /// … nearer to 0 than the least effect of interest.
    IntervalWithinPractical,
    /// 0 is in the interval, and larger effects too.
    IntervalHoldsZero,
}

impl Verdict {
    /// As it is shown.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::BrokenSampleRatio => "broken: sample ratio",
            Self::BrokenUnexpectedVariation => "broken: unexpected variation",
            Self::NotEnoughData => "not enough data",
            Self::NoAnswer => "no answer",
            Self::KeepRunning => "keep running",
            Self::TreatmentBetter => "treatment better",
            Self::Worse => "worse: stop",
            Self::NoPracticalDifference => "no practical difference",
            Self::NoClearDifference => "no clear difference",
        }
    }
}

impl Rule {
    /// As it is shown.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::SplitUnlikely => "units did not come in the weights asked for (p < 0.001)",
            Self::UnitsWhereNoneMustBe => "units in a variation of weight 0",
            Self::NoNumber(NoNumber::InsufficientData) => "an arm has too few units",
            Self::NoNumber(NoNumber::NoData) => "no units",
            Self::NoNumber(NoNumber::ZeroVariance) => "all units have the same value",
            Self::NoNumber(NoNumber::ZeroDenominator) => "the control's value, or a denominator, is 0",
            Self::NoNumber(NoNumber::UnexpectedVariation) => "units in a variation of weight 0",
            Self::NoNumber(NoNumber::OutOfRange) => "the sums lie outside of what can be told",
            Self::OneLookNotReached => "this method is valid at one look, at the planned sample or the end",
            Self::FewUnits => "fewer than 100 units in an arm",
            Self::IntervalBetter => "the whole interval is better than 0",
            Self::IntervalWorse => "the whole interval is worse than 0",
            Self::IntervalWithinPractical => "the whole interval is smaller than the effect of interest",
            Self::IntervalHoldsZero => "0 is in the interval",
        }
    }
}

/// What a verdict looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    pub(crate) effect: Result<Interval, NoNumber>,
    /// The least effect of interest on the same scale.
    pub(crate) practical: Option<f64>,
    /// Of the smaller arm.
    pub(crate) units_min: u64,
}

/// The rules, in order; the first that holds decides.
pub(crate) fn decide(evidence: &Evidence, split: Split, reading: Reading, plan: &Plan) -> (Verdict, Rule) {
    match split {
        Split::Broken => return (Verdict::BrokenSampleRatio, Rule::SplitUnlikely),
        Split::UnexpectedVariation => return (Verdict::BrokenUnexpectedVariation, Rule::UnitsWhereNoneMustBe),
        Split::Sound => {}
    }
    let effect = match evidence.effect {
        Ok(effect) if plan.lower_is_better => effect.mirrored(),
        Ok(effect) => effect,
        Err(why @ (NoNumber::ZeroDenominator | NoNumber::OutOfRange | NoNumber::UnexpectedVariation)) => {
            return (Verdict::NoAnswer, Rule::NoNumber(why));
        }
        Err(why) => return (Verdict::NotEnoughData, Rule::NoNumber(why)),
    };
    if reading == Reading::Interim {
        if !plan.method.is_always_valid() {
            return (Verdict::KeepRunning, Rule::OneLookNotReached);
        }
        if evidence.units_min < UNITS_MIN {
            return (Verdict::KeepRunning, Rule::FewUnits);
        }
    }
    if evidence.practical.is_some_and(|least| -least < effect.low && effect.high < least) {
        (Verdict::NoPracticalDifference, Rule::IntervalWithinPractical)
    } else if effect.low > 0.0 {
        (Verdict::TreatmentBetter, Rule::IntervalBetter)
    } else if effect.high < 0.0 {
        (Verdict::Worse, Rule::IntervalWorse)
    } else if reading == Reading::Final {
        (Verdict::NoClearDifference, Rule::IntervalHoldsZero)
    } else {
        (Verdict::KeepRunning, Rule::IntervalHoldsZero)
    }
}
