//! What the rule says of a flag, with every number it used.
//!
//! Always true here: codes are spelled as people read them, and never renamed.

use std::collections::BTreeMap;

use super::{Hours, Thresholds, Variation};

/// The verdict on a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The flag's key.
    pub key: String,
    /// The time of the verdict, Unix milliseconds.
    pub as_of_ms: i64,
    /// Since its creation, else since its first row, else 0; milliseconds.
    pub age_ms: i64,
    /// Rule 6.
    pub stale: bool,
    /// 0 to 100: the weights of its reasons, at most 100, times coverage, rounded down.
    pub score: u8,
    /// 0 to 100: 100 less what is not known, times coverage, rounded down.
    pub confidence: u8,
    /// All that hold, deciding ones first.
    pub reasons: Vec<Reason>,
    /// All that hold.
    pub blockers: Vec<Blocker>,
    /// The rest of what rule 6 asks for.
    pub conditions: Conditions,
    /// What to do, if stale.
    pub advice: Option<Advice>,
    /// With [`Advice::ReadyForCodeRemoval`]: what to put in its place.
    pub forward_variation: Option<Variation>,
    /// Its value as JSON, where told.
    pub forward_value: Option<String>,
    /// Last intentional request in any environment, Unix milliseconds.
    pub last_requested_ms: Option<i64>,
    /// Whose it was.
    pub last_requested_by: Option<Requester>,
    /// The least coverage of a critical environment, in parts per million, rounded down.
    pub coverage_ppm: u32,
    /// That share was measured: an hour was expected in a critical environment. Else it is the whole because nothing
    /// could be missed.
    pub coverage_measured: bool,
    /// Every environment of the fleet, by name.
    pub environments: Vec<EnvironmentVerdict>,
}

/// What was seen of a flag in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentVerdict {
    /// The environment's name.
    pub name: String,
    /// It decides.
    pub critical: bool,
    /// Rule 2.
    pub status: Status,
    /// Rule 3; `None` = it is alive there.
    pub dead: Option<Dead>,
    /// The thresholds that held.
    pub thresholds: Thresholds,
    /// `None` = fully covered.
    pub hours: Option<Hours>,
    /// In parts per million, rounded down.
    pub coverage_ppm: u32,
    /// The flag's version.
    pub version: Option<u64>,
    /// First sight of that version, Unix milliseconds.
    pub version_since_ms: Option<i64>,
    /// Variations served within S, rising; a row whose variation is not known adds none.
    pub served_within_inactive: Vec<Variation>,
    /// Variations served within W, rising; a row whose variation is not known adds none.
    pub served_within_stale: Vec<Variation>,
    /// Where the flag is quiet, what was served last, the newest first: at most [`LAST_SERVED_MAX`] variations.
    pub last_served: Vec<LastServed>,
    /// Last bulk read, Unix milliseconds.
    pub last_bulk_ms: Option<i64>,
    /// Last intentional request, Unix milliseconds.
    pub last_requested_ms: Option<i64>,
    /// Whose it was.
    pub last_requested_by: Option<Requester>,
}

/// Variations of [`EnvironmentVerdict::last_served`].
pub const LAST_SERVED_MAX: usize = 5;

impl Verdict {
    /// Of a flag that nobody asks for in any environment that decides, what was served there last, with the
    /// environment's name, the newest first: at most [`LAST_SERVED_MAX`].
    #[must_use]
    pub fn last_served(&self) -> Vec<(&str, &LastServed)> {
        let deciding = || self.environments.iter().filter(|place| place.critical);
        if !deciding().all(|place| place.dead == Some(Dead::Quiet)) {
            return Vec::new();
        }
        let mut served: Vec<_> =
            deciding().flat_map(|place| place.last_served.iter().map(|served| (place.name.as_str(), served))).collect();
        served.sort_by_key(|(_, served)| std::cmp::Reverse(served.last_ms));
        served.truncate(LAST_SERVED_MAX);
        served
    }
}

/// A variation and when it was served last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastServed {
    /// The variation.
    pub variation: Variation,
    /// Its value as JSON, where told.
    pub value: Option<String>,
    /// When, Unix milliseconds.
    pub last_ms: i64,
    /// That was a bulk read.
    pub bulk: bool,
}

impl EnvironmentVerdict {
    /// Whether its coverage was measured: an hour was expected.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        is_measured(self.hours)
    }
}

/// Whether an hour was expected.
pub(crate) fn is_measured(hours: Option<Hours>) -> bool {
    hours.is_some_and(|hours| hours.expected > 0)
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// In which environment.
    pub environment: String,
    /// What was served.
    pub variation: Option<Variation>,
    /// Application id; empty = not told.
    pub application: String,
    /// Its version; empty = not told.
    pub application_version: String,
    /// SDK and its version; empty = not told.
    pub sdk: String,
}

/// How a flag is in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Too little was heard from there.
    Unknown,
    /// Young and not asked for yet.
    New,
    /// Not asked for.
    Inactive,
    /// One variation and no new version.
    Launched,
    /// In use.
    Active,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::New, Self::Inactive, Self::Launched, Self::Active];

    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::New => "new",
            Self::Inactive => "inactive",
            Self::Launched => "launched",
            Self::Active => "active",
        }
    }
}

/// How a flag is dead in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dead {
    /// Nobody asks.
    Quiet,
    /// All who ask are told the same.
    Settled {
        /// What they are told.
        variation: Variation,
        /// Since when, Unix milliseconds.
        since_ms: i64,
    },
}

/// Why a flag may be dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Which it is.
    pub code: ReasonCode,
    /// Since when it holds, Unix milliseconds, where known.
    pub since_ms: Option<i64>,
    /// The numbers that made it hold.
    pub evidence: Evidence,
}

/// Why a flag is not called stale all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Which it is.
    pub code: BlockerCode,
    /// The numbers that made it hold.
    pub evidence: Evidence,
}

/// Figures by name; a name ends in its unit (`Ms`, `Days`, `Ppm`) where it has one.
pub type Evidence = BTreeMap<&'static str, Figure>;

/// A figure of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// A number.
    Number(i64),
    /// Names.
    Names(Vec<String>),
}

/// The reasons, the deciding ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonCode {
    /// No row in any environment.
    NeverEvaluated,
    /// Rows, but none of late.
    NoEvaluations,
    /// Bulk reads alone.
    BulkReadOnly,
    /// One variation alone.
    SingleVariation,
    /// Older than its type should be.
    PastLifetime,
    /// In no code.
    NoCodeRefs,
    /// Nothing but errors.
    ErrorsOnly,
    /// Nothing but callers' defaults.
    DefaultsOnly,
    /// Asked for by old versions of applications alone.
    OldAppVersionsOnly,
}

impl ReasonCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NeverEvaluated,
        Self::NoEvaluations,
        Self::BulkReadOnly,
        Self::SingleVariation,
        Self::PastLifetime,
        Self::NoCodeRefs,
        Self::ErrorsOnly,
        Self::DefaultsOnly,
        Self::OldAppVersionsOnly,
    ];

    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverEvaluated => "NEVER_EVALUATED",
            Self::NoEvaluations => "NO_EVALUATIONS",
            Self::BulkReadOnly => "BULK_READ_ONLY",
            Self::SingleVariation => "SINGLE_VARIATION",
            Self::PastLifetime => "PAST_LIFETIME",
            Self::NoCodeRefs => "NO_CODE_REFS",
            Self::ErrorsOnly => "ERRORS_ONLY",
            Self::DefaultsOnly => "DEFAULTS_ONLY",
            Self::OldAppVersionsOnly => "OLD_APP_VERSIONS_ONLY",
        }
    }

    /// Rule 4: it can make a flag stale; the others only support.
    #[must_use]
    pub fn is_deciding(self) -> bool {
        matches!(self, Self::NeverEvaluated | Self::NoEvaluations | Self::BulkReadOnly | Self::SingleVariation)
    }
}

/// The blockers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockerCode {
    /// Other flags have it as a prerequisite.
    Dependents,
    /// An experiment on it is running.
    ExperimentRunning,
    /// Critical environments settled on different variations.
    MixedValues,
    /// Too little was heard from a critical environment.
    LowCoverage,
    /// A weekly or monthly job asks for it.
    Periodic,
}

impl BlockerCode {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Dependents, Self::ExperimentRunning, Self::MixedValues, Self::LowCoverage, Self::Periodic];

    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dependents => "DEPENDENTS",
            Self::ExperimentRunning => "EXPERIMENT_RUNNING",
            Self::MixedValues => "MIXED_VALUES",
            Self::LowCoverage => "LOW_COVERAGE",
            Self::Periodic => "PERIODIC",
        }
    }
}

/// What rule 6 asks for beside a deciding reason and no blocker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// It is meant to go, or nobody said that it is not.
    pub temporary: bool,
    /// Archived already.
    pub archived: bool,
    /// Snoozed at the time of the verdict.
    pub snoozed: bool,
    /// Until when it is or was snoozed, Unix milliseconds.
    pub snoozed_until_ms: Option<i64>,
    /// Its age is at least W.
    pub old_enough: bool,
    /// W: the greatest of the critical environments, in days.
    pub stale_days: u32,
}

/// What to do with a stale flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Advice {
    /// Put the forward variation in its place.
    ReadyForCodeRemoval,
    /// Nobody asks and no code names it.
    ReadyToArchive,
}

impl Advice {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ReadyForCodeRemoval, Self::ReadyToArchive];

    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadyForCodeRemoval => "READY_FOR_CODE_REMOVAL",
            Self::ReadyToArchive => "READY_TO_ARCHIVE",
        }
    }
}
