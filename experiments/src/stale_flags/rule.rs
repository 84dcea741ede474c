//! The settings that a list of verdicts was made with, as its answer shows them.
//!
//! Always true here: only environments that the caller may read are named.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::entry::share;
use crate::stale::{FlagType, Fleet, Override, ReasonCode};

/// The rule's settings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    inactive_days: u32,
    stale_days: u32,
    coverage_min: f64,
    /// By flag type; null = never.
    lifetimes_days: BTreeMap<&'static str, Option<u32>>,
    /// Points by reason.
    weights: BTreeMap<&'static str, u32>,
    unknown_costs: Costs,
    /// Environments that decide.
    critical: Vec<String>,
    /// From the least specific to the most; the last that fits wins, number by number.
    overrides: Vec<Told>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Costs {
    created_at: u32,
    code_references: u32,
    version_since: u32,
}

/// Other thresholds for some; a number that is left out stays as it was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    flag_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inactive_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage_min: Option<f64>,
}

impl Rule {
    /// What the fleet is judged by.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let settings = &fleet.settings;
        let lifetime = |flag_type: FlagType| (flag_type.as_str(), settings.lifetimes_days.get(&flag_type).copied());
        let weight = |code: ReasonCode| (code.as_str(), settings.weights.get(&code).copied().unwrap_or(0));
        let named: BTreeSet<&String> = fleet.environments.keys().collect();
        let is_visible = |held: &&Override| held.environment.as_ref().is_none_or(|name| named.contains(name));
        let marked = fleet.environments.values().any(|environment| environment.critical);
        let critical = fleet.environments.iter().filter(|(_, environment)| !marked || environment.critical);
        Self {
            inactive_days: settings.thresholds.inactive_days,
            stale_days: settings.thresholds.stale_days,
            coverage_min: share(settings.thresholds.coverage_min_ppm),
            lifetimes_days: FlagType::ALL.into_iter().map(lifetime).collect(),
            weights: ReasonCode::ALL.into_iter().map(weight).collect(),
            unknown_costs: Costs {
                created_at: settings.unknown_costs.created_at,
                code_references: settings.unknown_costs.code_references,
                version_since: settings.unknown_costs.version_since,
            },
            critical: critical.map(|(name, _)| name.clone()).collect(),
            overrides: settings.overrides.iter().filter(is_visible).map(told).collect(),
        }
    }
}

fn told(held: &Override) -> Told {
    Told {
        environment: held.environment.clone(),
        flag_type: held.flag_type.map(FlagType::as_str),
        inactive_days: held.inactive_days,
        stale_days: held.stale_days,
        coverage_min: held.coverage_min_ppm.map(share),
    }
}
