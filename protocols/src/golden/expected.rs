//! What a program did, and how what was counted differs from it.
//!
//! Always true here: a field that is left out is not compared, and so neither is a flag, a custom event or a goal that is left
//! out; a field that the format does not know does not parse.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::counted::Counted;

/// `expected.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Not compared.
    pub protocol: Option<String>,
    /// Not compared.
    pub sdk: Option<String>,
    /// Not compared.
    pub notes: Option<Value>,
    /// By flag key.
    pub flags: Option<BTreeMap<String, ExpectedFlag>>,
    /// By key of the custom event.
    pub custom: Option<BTreeMap<String, ExpectedCustom>>,
    /// Number of identify events.
    pub identify: Option<u64>,
    /// Number of alias events.
    pub alias: Option<u64>,
    /// Numbers of migration operations.
    pub migration_ops: Option<ExpectedMigrations>,
    /// Distinct keys by kind of goal.
    pub goals: Option<BTreeMap<String, u64>>,
}

/// A flag.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFlag {
    /// Evaluations that the program made.
    pub total: Option<u64>,
    /// By index, name, or `default`.
    pub by_variation: Option<BTreeMap<String, u64>>,
    /// Of these, such as are no usage.
    pub excluded_from_summaries: Option<u64>,
    /// Full events.
    pub feature_events: Option<u64>,
    /// Events for a debugger.
    pub debug_events: Option<u64>,
    /// Full events that are exposures.
    pub in_experiment: Option<u64>,
    /// Not compared.
    pub wrong_type: Option<u64>,
    /// Not compared; where nothing is summarized, the flag is not.
    pub sampled_feature_candidates: Option<u64>,
}

impl ExpectedFlag {
    /// Usage: evaluations, less the excluded ones.
    #[must_use]
    pub fn usage(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.excluded_from_summaries.unwrap_or(0)))
    }
}

/// A custom event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCustom {
    /// Events.
    pub count: Option<u64>,
    /// Events with a value.
    pub metric_count: Option<u64>,
    /// Sum of the values, within 1e-9.
    pub metric_sum: Option<f64>,
}

/// Migration operations.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedMigrations {
    /// All.
    pub total: Option<u64>,
    /// Reads.
    pub read: Option<u64>,
    /// Writes.
    pub write: Option<u64>,
    /// Both sides agreed.
    pub consistent: Option<u64>,
    /// They did not.
    pub inconsistent: Option<u64>,
    /// The new side failed.
    pub errors_new: Option<u64>,
}

/// Every compared field in which the two differ, in words; empty = equal.
#[must_use]
pub fn differences(expected: &Expected, counted: &Counted) -> Vec<String> {
    let mut out = Differences(Vec::new());
    if let Some(flags) = &expected.flags {
        flags.iter().for_each(|(key, flag)| out.flag(key, flag, counted));
    }
    if let Some(custom) = &expected.custom {
        custom.iter().for_each(|(key, event)| out.custom(key, event, counted));
    }
    if let Some(goals) = &expected.goals {
        for (kind, number) in goals {
            out.number(
                format!("goals of kind {kind}"),
                Some(*number),
                counted.goals.get(kind).map_or(0, |g| g.len() as u64),
            );
        }
    }
    out.number("identify", expected.identify, counted.identify);
    out.number("alias", expected.alias, counted.alias);
    if let Some(ops) = &expected.migration_ops {
        let counted = &counted.migrations;
        out.number("migration_ops.total", ops.total, counted.read + counted.write);
        out.number("migration_ops.read", ops.read, counted.read);
        out.number("migration_ops.write", ops.write, counted.write);
        out.number("migration_ops.consistent", ops.consistent, counted.consistent);
        out.number("migration_ops.inconsistent", ops.inconsistent, counted.inconsistent);
        out.number("migration_ops.errors_new", ops.errors_new, counted.errors_new);
    }
    out.0
}

struct Differences(Vec<String>);

impl Differences {
    fn number(&mut self, what: impl std::fmt::Display, expected: Option<u64>, counted: u64) {
        if expected.is_some_and(|expected| expected != counted) {
            self.0.push(format!("{what}: expected {}, counted {counted}", expected.unwrap_or(0)));
        }
    }

    fn flag(&mut self, key: &str, expected: &ExpectedFlag, counted: &Counted) {
        if expected.sampled_feature_candidates.is_some() && !counted.has_summaries {
            return;
        }
        let empty = super::Flag::default();
        let flag = counted.flags.get(key).unwrap_or(&empty);
        self.number(format!("{key}: usage"), expected.usage(), flag.usage());
        self.number(format!("{key}: total"), expected.total, flag.usage() + flag.excluded());
        self.number(format!("{key}: excluded"), expected.excluded_from_summaries, flag.excluded());
        self.number(format!("{key}: sights"), expected.excluded_from_summaries, flag.sights);
        self.number(format!("{key}: feature events"), expected.feature_events, flag.feature_events());
        self.number(format!("{key}: debug events"), expected.debug_events, flag.debug_events);
        self.number(format!("{key}: in experiment"), expected.in_experiment, flag.in_experiment);
        if let Some(by_variation) = &expected.by_variation {
            let mut wanted = by_variation.clone();
            wanted.retain(|_, number| *number > 0);
            let found = flag.by_variation();
            if wanted != found {
                self.0.push(format!("{key}: by variation: expected {wanted:?}, counted {found:?}"));
            }
        }
    }

    fn custom(&mut self, key: &str, expected: &ExpectedCustom, counted: &Counted) {
        let (count, metric_count, sum) = counted.custom.get(key).copied().unwrap_or_default();
        self.number(format!("custom {key}: count"), expected.count, count);
        self.number(format!("custom {key}: metric count"), expected.metric_count, metric_count);
        let sum = sum as f64 / 1e6;
        if expected.metric_sum.is_some_and(|wanted| (wanted - sum).abs() > 1e-9) {
            self.0.push(format!("custom {key}: metric sum: expected {:?}, counted {sum}", expected.metric_sum));
        }
    }
}
