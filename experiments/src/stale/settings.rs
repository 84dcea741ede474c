//! The numbers of the rule that people may set.
//!
//! Always true here: the defaults are those of the rule's text; of several overrides that fit, the last one that names
//! a number wins, number by number.

use std::collections::BTreeMap;

use super::{FlagType, ReasonCode};

pub(super) const DAY_MS: i64 = 86_400_000;
/// One, in parts per million.
pub(super) const WHOLE_PPM: u32 = 1_000_000;

/// Thresholds, lifetimes, weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where no override says otherwise.
    pub thresholds: Thresholds,
    /// By environment, flag type or both.
    pub overrides: Vec<Override>,
    /// Days after which a flag of a type is past its lifetime; a type that is missing here never is.
    pub lifetimes_days: BTreeMap<FlagType, u32>,
    /// Points of each reason for the score; a reason that is missing here has none.
    pub weights: BTreeMap<ReasonCode, u32>,
    /// What not knowing takes from the confidence.
    pub unknown_costs: UnknownCosts,
}

/// The thresholds that hold in an environment for a flag of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// S: days.
    pub inactive_days: u32,
    /// W: days.
    pub stale_days: u32,
    /// The least coverage, in parts per million.
    pub coverage_min_ppm: u32,
}

/// Other thresholds for some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Override {
    /// `None` = in every environment.
    pub environment: Option<String>,
    /// `None` = for every flag, those of no known type too.
    pub flag_type: Option<FlagType>,
    /// S: days.
    pub inactive_days: Option<u32>,
    /// W: days.
    pub stale_days: Option<u32>,
    /// The least coverage, in parts per million.
    pub coverage_min_ppm: Option<u32>,
}

/// Points of 100 that the confidence loses for what is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCosts {
    /// When the flag was created.
    pub created_at: u32,
    /// Whether it stands in code.
    pub code_references: u32,
    /// The age of its version, in a critical environment that has rows.
    pub version_since: u32,
}

impl Default for Settings {
    fn default() -> Self {
        use FlagType::{Experiment, Operational, Release};
        use ReasonCode as R;
        Self {
            thresholds: Thresholds { inactive_days: 7, stale_days: 30, coverage_min_ppm: 950_000 },
            overrides: Vec::new(),
            lifetimes_days: BTreeMap::from([(Release, 40), (Experiment, 40), (Operational, 7)]),
            weights: BTreeMap::from([
                (R::NeverEvaluated, 60),
                (R::NoEvaluations, 60),
                (R::BulkReadOnly, 50),
                (R::SingleVariation, 60),
                (R::PastLifetime, 20),
                (R::NoCodeRefs, 20),
                (R::ErrorsOnly, 10),
                (R::DefaultsOnly, 10),
                (R::OldAppVersionsOnly, 10),
            ]),
            unknown_costs: UnknownCosts { created_at: 10, code_references: 20, version_since: 20 },
        }
    }
}

impl Settings {
    /// The thresholds for a flag of this type in this environment (`None` = in none in particular).
    #[must_use]
    pub fn thresholds(&self, environment: Option<&str>, flag_type: Option<FlagType>) -> Thresholds {
        let fits = |o: &&Override| {
            o.environment.as_deref().is_none_or(|name| environment == Some(name))
                && o.flag_type.is_none_or(|wanted| flag_type == Some(wanted))
        };
        self.overrides.iter().filter(fits).fold(self.thresholds, |held, o| Thresholds {
            inactive_days: o.inactive_days.unwrap_or(held.inactive_days),
            stale_days: o.stale_days.unwrap_or(held.stale_days),
            coverage_min_ppm: o.coverage_min_ppm.unwrap_or(held.coverage_min_ppm),
        })
    }
}

impl Thresholds {
    /// S in milliseconds.
    pub(super) fn inactive_ms(self) -> i64 {
        i64::from(self.inactive_days) * DAY_MS
    }

    /// W in milliseconds.
    pub(super) fn stale_ms(self) -> i64 {
        i64::from(self.stale_days) * DAY_MS
    }
}
