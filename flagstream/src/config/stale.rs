//! `[stale]`: the numbers of the stale rule, as they are written; [`super::rule`] checks them and says what they mean.
//!
//! Always true here: the defaults are the rule's own; a number that is left out of a table for some environment or type
//! is the one of the next wider table.

use std::fmt;

use experiments::stale::{FlagType, ReasonCode, Settings};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[stale]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stale {
    /// S: a flag that was not asked for within so many days is inactive.
    pub inactive_days: Whole,
    /// W: what was not seen within so many days is dead.
    pub stale_days: Whole,
    /// An environment of which a smaller share of hours was heard is unknown.
    pub coverage_min: f64,
    /// Days after which a flag of a type is past its lifetime, or `"never"`.
    pub lifetimes_days: Lifetimes,
    /// Points of each reason for the score.
    pub weights: Weights,
    /// Points that the confidence loses for what is not known.
    pub unknown_costs: UnknownCosts,
    /// Other thresholds for flags of a type.
    #[serde(skip_serializing_if = "Types::is_empty")]
    pub types: Types,
}

/// `[environment.stale]`: wins over `[stale]` and its types.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfEnvironment {
    /// S.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_days: Option<Whole>,
    /// W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_days: Option<Whole>,
    /// The least coverage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage_min: Option<f64>,
    /// For flags of a type, in this environment alone.
    #[serde(skip_serializing_if = "Types::is_empty")]
    pub types: Types,
}

/// Thresholds of flags of a type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfType {
    /// S.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_days: Option<Whole>,
    /// W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_days: Option<Whole>,
    /// The least coverage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage_min: Option<f64>,
}

/// `[stale.types.release]` and so on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named after the types")]
pub struct Types {
    #[serde(skip_serializing_if = "OfType::is_empty")]
    pub release: OfType,
    #[serde(skip_serializing_if = "OfType::is_empty")]
    pub experiment: OfType,
    #[serde(skip_serializing_if = "OfType::is_empty")]
    pub operational: OfType,
    #[serde(skip_serializing_if = "OfType::is_empty")]
    pub kill_switch: OfType,
    #[serde(skip_serializing_if = "OfType::is_empty")]
    pub permission: OfType,
}

/// `[stale.lifetimes_days]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named after the types")]
pub struct Lifetimes {
    pub release: Lifetime,
    pub experiment: Lifetime,
    pub operational: Lifetime,
    pub kill_switch: Lifetime,
    pub permission: Lifetime,
}

/// `[stale.weights]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named after the reasons")]
pub struct Weights {
    pub never_evaluated: Whole,
    pub no_evaluations: Whole,
    pub bulk_read_only: Whole,
    pub single_variation: Whole,
    pub past_lifetime: Whole,
    pub no_code_refs: Whole,
    pub errors_only: Whole,
    pub defaults_only: Whole,
    pub old_app_versions_only: Whole,
}

/// `[stale.unknown_costs]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named after what is not known")]
pub struct UnknownCosts {
    pub created_at: Whole,
    pub code_references: Whole,
    pub version_since: Whole,
}

/// A whole number. The library rounds others, which would set something that nobody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Whole(pub i64);

/// Days, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// So many days.
    Days(Whole),
    /// `"never"`
    Never,
}

impl OfType {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Types {
    /// Each with its name in the file.
    pub fn all(&self) -> [(FlagType, &'static str, &OfType); 5] {
        [
            (FlagType::Release, "release", &self.release),
            (FlagType::Experiment, "experiment", &self.experiment),
            (FlagType::Operational, "operational", &self.operational),
            (FlagType::KillSwitch, "kill_switch", &self.kill_switch),
            (FlagType::Permission, "permission", &self.permission),
        ]
    }

    fn is_empty(&self) -> bool {
        self.all().iter().all(|(_, _, of)| of.is_empty())
    }
}

impl OfEnvironment {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Lifetimes {
    /// Each with its name in the file.
    pub fn all(&self) -> [(FlagType, &'static str, Lifetime); 5] {
        [
            (FlagType::Release, "release", self.release),
            (FlagType::Experiment, "experiment", self.experiment),
            (FlagType::Operational, "operational", self.operational),
            (FlagType::KillSwitch, "kill_switch", self.kill_switch),
            (FlagType::Permission, "permission", self.permission),
        ]
    }
}

impl Weights {
    /// Each with its name in the file.
    pub fn all(&self) -> [(ReasonCode, &'static str, Whole); 9] {
        [
            (ReasonCode::NeverEvaluated, "never_evaluated", self.never_evaluated),
            (ReasonCode::NoEvaluations, "no_evaluations", self.no_evaluations),
            (ReasonCode::BulkReadOnly, "bulk_read_only", self.bulk_read_only),
            (ReasonCode::SingleVariation, "single_variation", self.single_variation),
            (ReasonCode::PastLifetime, "past_lifetime", self.past_lifetime),
            (ReasonCode::NoCodeRefs, "no_code_refs", self.no_code_refs),
            (ReasonCode::ErrorsOnly, "errors_only", self.errors_only),
            (ReasonCode::DefaultsOnly, "defaults_only", self.defaults_only),
            (ReasonCode::OldAppVersionsOnly, "old_app_versions_only", self.old_app_versions_only),
        ]
    }
}

impl Default for Stale {
    fn default() -> Self {
        let thresholds = Settings::default().thresholds;
        Self {
            inactive_days: thresholds.inactive_days.into(),
            stale_days: thresholds.stale_days.into(),
            coverage_min: f64::from(thresholds.coverage_min_ppm) / 1e6,
            lifetimes_days: Lifetimes::default(),
            weights: Weights::default(),
            unknown_costs: UnknownCosts::default(),
            types: Types::default(),
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        let held = Settings::default().lifetimes_days;
        let of = |of: FlagType| held.get(&of).map_or(Lifetime::Never, |days| Lifetime::Days((*days).into()));
        Self {
            release: of(FlagType::Release),
            experiment: of(FlagType::Experiment),
            operational: of(FlagType::Operational),
            kill_switch: of(FlagType::KillSwitch),
            permission: of(FlagType::Permission),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        let held = Settings::default().weights;
        let of = |of: ReasonCode| held.get(&of).copied().unwrap_or(0).into();
        Self {
            never_evaluated: of(ReasonCode::NeverEvaluated),
            no_evaluations: of(ReasonCode::NoEvaluations),
            bulk_read_only: of(ReasonCode::BulkReadOnly),
            single_variation: of(ReasonCode::SingleVariation),
            past_lifetime: of(ReasonCode::PastLifetime),
            no_code_refs: of(ReasonCode::NoCodeRefs),
            errors_only: of(ReasonCode::ErrorsOnly),
            defaults_only: of(ReasonCode::DefaultsOnly),
            old_app_versions_only: of(ReasonCode::OldAppVersionsOnly),
        }
    }
}

impl Default for UnknownCosts {
    fn default() -> Self {
        let held = Settings::default().unknown_costs;
        Self {
            created_at: held.created_at.into(),
            code_references: held.code_references.into(),
            version_since: held.version_since.into(),
        }
    }
}

impl From<u32> for Whole {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

/// Takes whole numbers, and `"never"` where that is allowed.
struct Reading {
    may_be_never: bool,
}

impl Visitor<'_> for Reading {
    type Value = Lifetime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.may_be_never { "a whole number of days, or \"never\"" } else { "a whole number" })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Lifetime, E> {
        Ok(Lifetime::Days(Whole(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Lifetime, E> {
        let whole = i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        self.visit_i64(whole)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Lifetime, E> {
        if self.may_be_never && text == "never" {
            return Ok(Lifetime::Never);
        }
        Err(E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match from.deserialize_any(Reading { may_be_never: false })? {
            Lifetime::Days(days) => Ok(days),
            Lifetime::Never => Err(D::Error::custom("never is no number")),
        }
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading { may_be_never: true })
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Days(days) => days.serialize(to),
            Self::Never => to.serialize_str("never"),
        }
    }
}
