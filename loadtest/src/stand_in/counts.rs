//! Counting, the plain way: read the JSON, add it up.
//!
//! It shares no code with what makes the payloads, so that a mistake there is not made here again.

use super::journal::Entry;
use schemas::fixed::Micros;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// A flag and its variation, null = the caller's default.
type Variation = (String, Option<u64>);

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    seen: HashSet<String>,
    evaluations: BTreeMap<Variation, BTreeMap<i64, u64>>,
    versions: BTreeMap<(String, Option<u64>), u64>,
    events: BTreeMap<String, Event>,
    books: BTreeMap<String, Books>,
}

#[derive(Debug, Default)]
struct Event {
    count: u64,
    metric_count: u64,
    metric_micros: i64,
}

#[derive(Debug, Default)]
struct Books {
    accepted: u64,
    counted: u64,
    duplicate: u64,
}

impl Counts {
    /// Adds a payload, if its id is new.
    pub(super) fn add(&mut self, entry: &Entry) {
        let elements: Vec<Value> = serde_json::from_str(&entry.body).unwrap_or_default();
        let books = self.books.entry(day(entry.at_ms)).or_default();
        let number = elements.len() as u64;
        books.accepted += number;
        if !self.seen.insert(entry.id.clone()) {
            books.duplicate += number;
            return;
        }
        books.counted += number;
        for element in &elements {
            self.add_element(element);
        }
    }

    /// Counts what a payload says once more, and not its elements.
    pub(super) fn double(&mut self, entry: &Entry) {
        let elements: Vec<Value> = serde_json::from_str(&entry.body).unwrap_or_default();
        elements.iter().for_each(|element| self.add_element(element));
    }

    /// True if a payload with this id has been seen.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// Takes a payload for seen, without counting it.
    pub(super) fn remember(&mut self, id: String) {
        self.seen.insert(id);
    }

    /// Forgets which payloads it has seen.
    pub(super) fn forget_ids(&mut self) {
        self.seen.clear();
    }

    /// Breaks the books of the day.
    pub(super) fn misbook(&mut self, at_ms: i64) {
        self.books.entry(day(at_ms)).or_default().accepted += 1;
    }

    fn add_element(&mut self, element: &Value) {
        if element["kind"] == "custom" {
            let event = self.events.entry(element["key"].as_str().unwrap_or_default().to_owned()).or_default();
            event.count += 1;
            if let Some(value) = element.get("metricValue").and_then(|value| Micros::parse(&value.to_string())) {
                event.metric_count += 1;
                event.metric_micros += value.0;
            }
        }
        if element["kind"] == "summary" {
            let minute_ms = element["endDate"].as_i64().unwrap_or_default() / 60_000 * 60_000;
            for (flag, said) in element["features"].as_object().into_iter().flatten() {
                for counter in said["counters"].as_array().into_iter().flatten() {
                    let variation = (flag.clone(), counter["variation"].as_u64());
                    let minutes = self.evaluations.entry(variation).or_default();
                    let count = counter["count"].as_u64().unwrap_or_default();
                    *minutes.entry(minute_ms).or_default() += count;
                    *self.versions.entry((flag.clone(), counter["version"].as_u64())).or_default() += count;
                }
            }
        }
    }

    /// Evaluations by flag and variation, in the minutes of `interval_ms`.
    pub(super) fn evaluations(&self, interval_ms: &Range<i64>) -> Vec<Value> {
        let item = |((flag, variation), minutes): (&Variation, &BTreeMap<i64, u64>)| {
            let series: Vec<(i64, u64)> = minutes.range(interval_ms.clone()).map(|(at, count)| (*at, *count)).collect();
            let count: u64 = series.iter().map(|(_, count)| count).sum();
            let default = variation.is_none();
            json!({"flag": flag, "variation": variation, "default": default, "count": count, "series": series})
        };
        self.evaluations.iter().map(item).collect()
    }

    /// Evaluations by flag and version, in all minutes.
    pub(super) fn versions(&self) -> Vec<Value> {
        let item = |((flag, version), count): (&(String, Option<u64>), &u64)| json!({"flag": flag, "version": version, "count": count});
        self.versions.iter().map(item).collect()
    }

    pub(super) fn events(&self) -> Vec<Value> {
        let item = |(key, event): (&String, &Event)| {
            let sum = event.metric_micros as f64 / 1e6;
            json!({"key": key, "count": event.count, "metricCount": event.metric_count, "metricSum": sum})
        };
        self.events.iter().map(item).collect()
    }

    pub(super) fn books(&self, day: &str) -> Value {
        let none = Books::default();
        let Books { accepted, counted, duplicate } = self.books.get(day).unwrap_or(&none);
        json!({"accepted": accepted, "counted": counted, "duplicate": duplicate, "late": 0, "poison": 0, "rejected": {}})
    }
}

fn day(at_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    time.to_string()[..10].to_owned()
}
