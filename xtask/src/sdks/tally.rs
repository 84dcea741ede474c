//! Counts what went over the wire, as simply as can be: the proof that a program's truth is true, and the source of
//! what the books must say. A payload counts once, by its id; only what reached the server counts.

use super::proxy::Exchange;
use super::truth::{Counted, EventCounts, FullEvents};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What went by.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counted: Counted,
    /// Events of payloads that reached the server for the first time.
    pub(crate) events: u64,
    /// Events of payloads that reached it again.
    pub(crate) duplicates: u64,
}

/// Adds up all exchanges.
pub(crate) fn tally(exchanges: &[Exchange]) -> Result<Tally> {
    let mut tally =
        Tally { counted: Counted { full: Some(FullEvents::default()), ..Counted::default() }, ..Tally::default() };
    let mut seen = BTreeSet::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.reached) {
        let Some(id) = exchange.payload_id() else { continue };
        let events: Vec<Value> =
            serde_json::from_slice(&exchange.request.inflated()?).with_context(|| format!("payload {id}"))?;
        if !seen.insert(id) {
            tally.duplicates += events.len() as u64;
            continue;
        }
        tally.events += events.len() as u64;
        for event in &events {
            tally.counted.add(event);
        }
    }
    Ok(tally)
}

impl Counted {
    fn add(&mut self, event: &Value) {
        let key = event["key"].as_str().unwrap_or_default().to_owned();
        let full = self.full.get_or_insert_default();
        match event["kind"].as_str().unwrap_or_default() {
            "summary" => self.add_summary(event),
            "identify" => full.identify += 1,
            "debug" => increase(&mut full.debug, key, 1),
            "feature" => {
                if event["reason"]["inExperiment"] == true {
                    increase(&mut full.in_experiment, key.clone(), 1);
                }
                increase(&mut full.feature, key, 1);
            }
            "custom" => {
                let counts: &mut EventCounts = self.custom.entry(key).or_default();
                counts.count += 1;
                if let Some(value) = event["metricValue"].as_f64() {
                    counts.metric_count += 1;
                    counts.metric_sum += value;
                }
            }
            _ => {}
        }
    }

    fn add_summary(&mut self, summary: &Value) {
        for (flag, feature) in summary["features"].as_object().into_iter().flatten() {
            for counter in feature["counters"].as_array().into_iter().flatten() {
                let variation = counter["variation"].as_u64().map_or("default".to_owned(), |index| index.to_string());
                let usage = self.usage.entry(flag.clone()).or_default();
                increase(usage, variation, counter["count"].as_u64().unwrap_or(0));
            }
        }
    }
}

fn increase(counts: &mut BTreeMap<String, u64>, name: String, by: u64) {
    *counts.entry(name).or_default() += by;
}

#[cfg(test)]
mod tests {
    use super::super::request::Request;
    use super::*;

    fn exchange(id: Option<&str>, body: &str, reached: bool) -> Exchange {
        let headers = id.map(|id| ("X-LaunchDarkly-Payload-ID".to_owned(), id.to_owned())).into_iter().collect();
        let request = Request { method: "POST".to_owned(), target: "/bulk".to_owned(), headers, body: body.into() };
        Exchange { request, reached, status: 202 }
    }

    #[test]
    fn a_payload_counts_once_and_only_when_it_reached_the_server() {
        let body = r#"[{"kind": "summary", "features": {"f": {"counters": [{"variation": 1, "count": 2}, {"count": 3}]}}},
                       {"kind": "feature", "key": "f", "reason": {"inExperiment": true}},
                       {"kind": "custom", "key": "c", "metricValue": 0}, {"kind": "custom", "key": "c"}]"#;
        let exchanges = [
            exchange(None, r#"{"kind": "diagnostic-init"}"#, true),
            exchange(Some("a"), body, false),
            exchange(Some("a"), body, true),
            exchange(Some("a"), body, true),
            exchange(Some("b"), r#"[{"kind": "identify"}]"#, true),
        ];
        let tally = tally(&exchanges).unwrap();
        assert_eq!((tally.events, tally.duplicates), (5, 4));
        let usage: Vec<(&str, u64)> =
            tally.counted.usage["f"].iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(usage, [("1", 2), ("default", 3)]);
        assert_eq!(tally.counted.custom["c"], EventCounts { count: 2, metric_count: 1, metric_sum: 0.0 });
        let full = tally.counted.full.unwrap();
        assert_eq!((full.identify, full.feature["f"], full.in_experiment["f"]), (1, 1, 1));
    }
}
