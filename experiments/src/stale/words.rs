//! The rule's codes in words: the same on the page, in Markdown and in the command's tables.
//!
//! Always true here: words are of us alone, so they can stand anywhere; those of reasons read on with "since".

use super::{Advice, BlockerCode, ReasonCode, Status};

impl ReasonCode {
    /// In few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NeverEvaluated => "never evaluated",
            Self::NoEvaluations => "no longer asked for",
            Self::BulkReadOnly => "bulk reads only",
            Self::SingleVariation => "one variation only",
            Self::PastLifetime => "past its lifetime",
            Self::NoCodeRefs => "in no code",
            Self::ErrorsOnly => "errors only",
            Self::DefaultsOnly => "callers' defaults only",
            Self::OldAppVersionsOnly => "old app versions only",
        }
    }
}

impl BlockerCode {
    /// In few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Dependents => "other flags depend on it",
            Self::ExperimentRunning => "an experiment is running",
            Self::MixedValues => "environments differ",
            Self::LowCoverage => "too little was heard",
            Self::Periodic => "used weekly or monthly",
        }
    }
}

impl Advice {
    /// In few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ReadyForCodeRemoval => "ready for code removal",
            Self::ReadyToArchive => "ready to archive",
        }
    }
}

impl Status {
    /// What it means.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::Unknown => "too little was heard from there to tell",
            Self::New => "young, and not asked for yet",
            Self::Inactive => "not asked for of late",
            Self::Launched => "everybody gets the same",
            Self::Active => "in use",
        }
    }
}
