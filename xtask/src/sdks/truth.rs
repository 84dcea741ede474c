//! What a program says it did, held against what was counted. `Truth` is the `expected.json` of the captured runs; a
//! field left out is not compared.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const SUM_TOLERANCE: f64 = 1e-9;

/// What a program did.
#[derive(Debug, Deserialize)]
pub(crate) struct Truth {
    pub(crate) flags: BTreeMap<String, FlagTruth>,
    #[serde(default)]
    pub(crate) custom: BTreeMap<String, EventCounts>,
    pub(crate) identify: Option<u64>,
}

/// What it did with one flag. Counts by variation have the index or name as key, or `default` for the caller's own
/// value.
#[derive(Debug, Deserialize)]
pub(crate) struct FlagTruth {
    total: u64,
    by_variation: BTreeMap<String, u64>,
    #[serde(default)]
    excluded_from_summaries: u64,
    feature_events: Option<u64>,
    debug_events: Option<u64>,
    in_experiment: Option<u64>,
}

/// One custom event.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
pub(crate) struct EventCounts {
    pub(crate) count: u64,
    pub(crate) metric_count: u64,
    pub(crate) metric_sum: f64,
}

/// What was counted, by whoever counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Usage by flag and variation, as in `FlagTruth`; zeros are as good as nothing.
    pub(crate) usage: BTreeMap<String, BTreeMap<String, u64>>,
    pub(crate) custom: BTreeMap<String, EventCounts>,
    /// Full events, where the counter has them.
    pub(crate) full: Option<FullEvents>,
}

/// Numbers of full events, by flag where they have one.
#[derive(Debug, Default)]
pub(crate) struct FullEvents {
    pub(crate) identify: u64,
    pub(crate) feature: BTreeMap<String, u64>,
    pub(crate) debug: BTreeMap<String, u64>,
    pub(crate) in_experiment: BTreeMap<String, u64>,
}

impl Truth {
    /// One line for each difference: what, then expected and counted. `whose` names the counter.
    pub(crate) fn differences(&self, counted: &Counted, whose: &str) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differ = |what: String, expected: String, got: String| {
            differences.push(format!("{what}: the program did {expected}, {whose} counted {got}"));
        };
        for key in names(&self.flags, &counted.usage) {
            let got = nonzero(counted.usage.get(key));
            let expected = self.flags.get(key).map_or_else(|| Some(BTreeMap::new()), FlagTruth::usage);
            match expected {
                Some(expected) if expected != got => {
                    differ(format!("usage of `{key}`"), format!("{expected:?}"), format!("{got:?}"))
                }
                Some(_) => {}
                None => {
                    let (expected, got) = (self.flags.get(key).map_or(0, FlagTruth::used), got.values().sum::<u64>());
                    if expected != got {
                        differ(format!("usage of `{key}`"), expected.to_string(), got.to_string());
                    }
                }
            }
        }
        for key in names(&self.custom, &counted.custom) {
            let expected = self.custom.get(key).copied().unwrap_or_default();
            let got = counted.custom.get(key).copied().unwrap_or_default();
            let sums_agree = (expected.metric_sum - got.metric_sum).abs() <= SUM_TOLERANCE;
            if (expected.count, expected.metric_count) != (got.count, got.metric_count) || !sums_agree {
                differ(format!("custom event `{key}`"), format!("{expected:?}"), format!("{got:?}"));
            }
        }
        for (what, expected, got) in counted.full.iter().flat_map(|full| self.full_numbers(full)) {
            if expected != got {
                differ(what, expected.to_string(), got.to_string());
            }
        }
        differences
    }

    /// (what, expected, counted) of the full events that the program has told of.
    fn full_numbers(&self, full: &FullEvents) -> Vec<(String, u64, u64)> {
        let mut numbers: Vec<_> =
            self.identify.map(|n| ("identify events".to_owned(), n, full.identify)).into_iter().collect();
        for (key, flag) in &self.flags {
            let kinds = [
                ("feature events", flag.feature_events, &full.feature),
                ("debug events", flag.debug_events, &full.debug),
                ("exposures", flag.in_experiment, &full.in_experiment),
            ];
            let told = kinds
                .into_iter()
                .filter_map(|(kind, told, got)| Some((kind, told?, got.get(key).copied().unwrap_or(0))));
            numbers.extend(told.map(|(kind, expected, got)| (format!("{kind} of `{key}`"), expected, got)));
        }
        numbers
    }
}

impl FlagTruth {
    fn used(&self) -> u64 {
        self.total.saturating_sub(self.excluded_from_summaries)
    }

    /// Usage by variation; `None` where only a part was excluded, and nobody knows of which variation.
    fn usage(&self) -> Option<BTreeMap<String, u64>> {
        match self.used() {
            0 => Some(BTreeMap::new()),
            used if used == self.total => Some(nonzero(Some(&self.by_variation))),
            _ => None,
        }
    }
}

fn names<'a, A, B>(left: &'a BTreeMap<String, A>, right: &'a BTreeMap<String, B>) -> BTreeSet<&'a String> {
    left.keys().chain(right.keys()).collect()
}

fn nonzero(counts: Option<&BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    counts.into_iter().flatten().filter(|(_, count)| **count > 0).map(|(name, count)| (name.clone(), *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Truth {
        serde_json::from_str(
            r#"{"sdk": "x", "notes": [], "identify": 1,
                "flags": {"a": {"total": 5, "by_variation": {"0": 2, "default": 3}, "feature_events": 2, "in_experiment": 1},
                          "hidden": {"total": 4, "by_variation": {"0": 4}, "excluded_from_summaries": 4},
                          "mixed": {"total": 6, "by_variation": {"0": 4, "1": 2}, "excluded_from_summaries": 1}},
                "custom": {"buy": {"count": 2, "metric_count": 1, "metric_sum": 0.3}}}"#,
        )
        .unwrap()
    }

    fn counted() -> Counted {
        let map = |counts: &[(&str, u64)]| {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<BTreeMap<_, _>>()
        };
        Counted {
            usage: BTreeMap::from([
                ("a".to_owned(), map(&[("0", 2), ("default", 3), ("1", 0)])),
                ("mixed".to_owned(), map(&[("0", 5)])),
            ]),
            custom: BTreeMap::from([(
                "buy".to_owned(),
                EventCounts { count: 2, metric_count: 1, metric_sum: 0.1 + 0.2 },
            )]),
            full: Some(FullEvents {
                identify: 1,
                feature: map(&[("a", 2)]),
                debug: map(&[]),
                in_experiment: map(&[("a", 1)]),
            }),
        }
    }

    #[test]
    fn the_same_is_no_difference() {
        assert_eq!(truth().differences(&counted(), "the test"), Vec::<String>::new());
        assert!(truth().differences(&Counted { full: None, ..counted() }, "the test").is_empty());
    }

    /// After `change`, exactly one difference is told, and it begins so.
    #[track_caller]
    fn one_difference(change: impl FnOnce(&mut Counted), begins: &str) {
        let mut counted = counted();
        change(&mut counted);
        let found = truth().differences(&counted, "the test");
        assert!(found.len() == 1 && found[0].starts_with(begins), "{found:?}");
    }

    #[test]
    fn each_field_is_compared() {
        let set = |counted: &mut Counted, flag: &str, variation: &str, count: u64| {
            counted.usage.entry(flag.to_owned()).or_default().insert(variation.to_owned(), count);
        };
        one_difference(|counted| set(counted, "a", "0", 3), "usage of `a`");
        one_difference(|counted| set(counted, "a", "default", 0), "usage of `a`");
        one_difference(|counted| set(counted, "a", "1", 1), "usage of `a`");
        one_difference(|counted| set(counted, "hidden", "0", 4), "usage of `hidden`");
        one_difference(
            |counted| set(counted, "mixed", "1", 1),
            "usage of `mixed`: the program did 5, the test counted 6",
        );
        one_difference(|counted| set(counted, "of nobody", "0", 1), "usage of `of nobody`");
        one_difference(|counted| counted.usage.retain(|key, _| key != "a"), "usage of `a`");
        one_difference(|counted| counted.custom.clear(), "custom event `buy`");
        let foreign = EventCounts { count: 1, ..EventCounts::default() };
        one_difference(
            |counted| counted.custom.extend([("of nobody".to_owned(), foreign)]),
            "custom event `of nobody`",
        );
        let buy =
            |change: fn(&mut EventCounts)| move |counted: &mut Counted| counted.custom.values_mut().for_each(change);
        one_difference(buy(|event| event.count += 1), "custom event `buy`");
        one_difference(buy(|event| event.metric_count += 1), "custom event `buy`");
        one_difference(buy(|event| event.metric_sum += 1e-6), "custom event `buy`");
        let full = |change: fn(&mut FullEvents)| move |counted: &mut Counted| counted.full.iter_mut().for_each(change);
        one_difference(full(|full| full.identify = 0), "identify events");
        one_difference(full(|full| full.feature.clear()), "feature events of `a`");
        one_difference(full(|full| full.in_experiment.clear()), "exposures of `a`");
    }
}
