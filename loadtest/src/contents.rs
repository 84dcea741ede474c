//! What a payload says, as facts to be compared with what was counted.
//!
//! Always true here: lists are sorted by their key and hold each key once; minutes are Unix milliseconds of the
//! minute's start; metric values are exact millionths.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Milliseconds of a minute.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// The minute in which a time lies.
pub(crate) fn minute_of(time_ms: i64) -> i64 {
    time_ms - time_ms.rem_euclid(MINUTE_MS)
}

/// What one payload says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// Elements of the analytics array, all of them valid.
    pub(crate) elements: u64,
    /// Evaluations by flag, variation, version and minute.
    pub(crate) evaluations: Vec<Evaluations>,
    /// Custom events by key.
    pub(crate) events: Vec<CustomEvents>,
}

impl Contents {
    /// Evaluations of all flags.
    pub(crate) fn evaluations(&self) -> u64 {
        self.evaluations.iter().map(|row| row.count).sum()
    }
}

/// Evaluations of one flag, variation and version in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evaluations {
    pub(crate) flag: String,
    /// The variation's index; none = the caller's own default.
    pub(crate) variation: Option<u32>,
    pub(crate) version: Option<u64>,
    pub(crate) minute_ms: i64,
    pub(crate) count: u64,
}

/// Custom events of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CustomEvents {
    pub(crate) key: String,
    pub(crate) count: u64,
    /// Those with a metric value.
    pub(crate) metric_count: u64,
    /// Sum of the metric values, in millionths.
    pub(crate) metric_micros: i64,
}

/// Gathers contents while a payload is made.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    elements: u64,
    evaluations: BTreeMap<(String, Option<u32>, Option<u64>, i64), u64>,
    events: BTreeMap<String, (u64, u64, i64)>,
}

impl Gathering {
    /// One more element of the array.
    pub(crate) fn element(&mut self) {
        self.elements += 1;
    }

    /// A counter of a summary that ends at `end_ms`.
    pub(crate) fn evaluated(&mut self, flag: &str, variation: Option<u32>, version: Option<u64>, end_ms: i64, n: u64) {
        *self.evaluations.entry((flag.to_owned(), variation, version, minute_of(end_ms))).or_default() += n;
    }

    /// A custom event, with its metric value in millionths when it has one.
    pub(crate) fn happened(&mut self, key: &str, metric_micros: Option<i64>) {
        let (count, metric_count, sum) = self.events.entry(key.to_owned()).or_default();
        *count += 1;
        *metric_count += u64::from(metric_micros.is_some());
        *sum += metric_micros.unwrap_or(0);
    }

    /// What was gathered.
    pub(crate) fn done(self) -> Contents {
        let evaluations = self.evaluations.into_iter().map(|((flag, variation, version, minute_ms), count)| {
            Evaluations { flag, variation, version, minute_ms, count }
        });
        let events = self.events.into_iter().map(|(key, (count, metric_count, metric_micros))| CustomEvents {
            key,
            count,
            metric_count,
            metric_micros,
        });
        Contents { elements: self.elements, evaluations: evaluations.collect(), events: events.collect() }
    }
}
