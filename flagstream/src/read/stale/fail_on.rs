//! The words of `stale --fail-on`: what a pipeline may end for.
//!
//! Always true here: every advice and every reason of the rule is a word, spelled as the rule spells it; a word that is
//! none is a wrong command line, for it would never fail and nobody would know.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use experiments::stale::{Advice, ReasonCode};

/// What to fail on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    /// Any stale flag.
    Stale,
    /// A stale flag with this advice.
    Advice(Advice),
    /// A stale flag with this reason.
    Reason(ReasonCode),
}

const ALL: [FailOn; 12] = [
    FailOn::Stale,
    FailOn::Advice(Advice::ReadyForCodeRemoval),
    FailOn::Advice(Advice::ReadyToArchive),
    FailOn::Reason(ReasonCode::NeverEvaluated),
    FailOn::Reason(ReasonCode::NoEvaluations),
    FailOn::Reason(ReasonCode::BulkReadOnly),
    FailOn::Reason(ReasonCode::SingleVariation),
    FailOn::Reason(ReasonCode::PastLifetime),
    FailOn::Reason(ReasonCode::NoCodeRefs),
    FailOn::Reason(ReasonCode::ErrorsOnly),
    FailOn::Reason(ReasonCode::DefaultsOnly),
    FailOn::Reason(ReasonCode::OldAppVersionsOnly),
];

impl FailOn {
    /// As the answers have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Advice(advice) => advice.as_str(),
            Self::Reason(reason) => reason.as_str(),
        }
    }

    fn means(self) -> &'static str {
        match self {
            Self::Stale => "there is a stale flag",
            Self::Advice(Advice::ReadyForCodeRemoval) => "one variation can take the flag's place in the code",
            Self::Advice(Advice::ReadyToArchive) => "nobody asks for it and no code names it",
            Self::Reason(ReasonCode::NeverEvaluated) => "no evaluation was ever reported",
            Self::Reason(ReasonCode::NoEvaluations) => "none was reported of late",
            Self::Reason(ReasonCode::BulkReadOnly) => "it is only read along with all other flags",
            Self::Reason(ReasonCode::SingleVariation) => "all who ask get the same variation",
            Self::Reason(ReasonCode::PastLifetime) => "it is older than flags of its type should be",
            Self::Reason(ReasonCode::NoCodeRefs) => "code was looked through, and none names it",
            Self::Reason(ReasonCode::ErrorsOnly) => "its evaluations all fail",
            Self::Reason(ReasonCode::DefaultsOnly) => "all who ask get their own default",
            Self::Reason(ReasonCode::OldAppVersionsOnly) => "only old versions of applications ask",
        }
    }
}

impl ValueEnum for FailOn {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(self.means()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_advice_and_reason_is_a_word_whatever_its_case() {
        let words = Advice::ALL.map(FailOn::Advice).into_iter().chain(ReasonCode::ALL.map(FailOn::Reason));
        for word in words.chain([FailOn::Stale]) {
            assert_eq!(FailOn::from_str(&word.as_str().to_lowercase(), true), Ok(word));
        }
        assert!(FailOn::from_str("READY", true).is_err());
    }
}
