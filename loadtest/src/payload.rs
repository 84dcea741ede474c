//! Payloads as server SDKs make them: a summary, index and identify events, full events of an experiment, custom
//! events.
//!
//! Always true here: a payload is a function of (seed, run, client, number, time); every element is valid and on time,
//! so that a correct server rejects nothing and finds nothing late; metric values have at most two decimals, so their
//! sums are known exactly. Few keys and versions are used: what is counted must never reach a limit of the fold and
//! land in an `other` row.

use crate::contents::{Contents, Gathering};
use crate::dice::{Dice, mixed};
use crate::flags::{Flag, Flags};
use serde_json::{Value, json};

/// The flags that `run`'s clients ask for: key and number of variations. Keys with odd characters are among them on
/// purpose.
const FLAGS: &[(&str, u32)] = &[
    ("checkout-redesign", 2),
    ("search.ranking", 3),
    ("price-test", 4),
    ("flag.with:odd/key", 2),
    ("größe überall", 2),
    ("recommendations", 3),
    ("new-navigation", 2),
    ("kill-switch", 2),
];
/// A flag that no one made: the SDK answers with the caller's default.
const UNKNOWN_FLAG: &str = "no-such-flag";
/// The flags of a running experiment: their evaluations are also sent in full.
const EXPERIMENTS: &[(&str, u32)] = &[("checkout-redesign", 2), ("price-test", 4)];
const EVENTS: &[&str] = &["purchase", "signup", "page.load:ms", "support/ticket"];
const PLANS: &[&str] = &["free", "gold", "enterprise"];
const COUNTRIES: &[&str] = &["US", "DE", "FR", "JP", "BR"];
/// Versions seen of each flag; clients learn of a new one at different times.
const VERSIONS: u64 = 3;

/// A payload, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// Its UUID.
    pub(crate) id: String,
    /// JSON text, not compressed.
    pub(crate) body: Vec<u8>,
    pub(crate) contents: Contents,
}

/// Makes the payloads of one client.
#[derive(Debug)]
pub(crate) struct Maker {
    dice: Dice,
    flags: Flags,
    run: u64,
    client: u64,
    made: u64,
}

impl Maker {
    /// The maker of `client`. `run` makes payload ids differ between runs of one seed.
    pub(crate) fn new(seed: u64, run: u64, client: u64) -> Self {
        let flags = Flags::even(FLAGS, EXPERIMENTS);
        Self { dice: Dice::of_part(seed, client), flags, run, client, made: 0 }
    }

    /// The next payload, as if flushed at `now_ms` (Unix milliseconds).
    pub(crate) fn make(&mut self, now_ms: i64) -> Payload {
        // Most payloads are flushed at once, some were held back by a slow application: several minutes are live at a
        // time.
        let held_ms = if self.dice.happens(0.2) { self.dice.below(180_000) as i64 } else { 0 };
        let end_ms = now_ms - held_ms;
        let mut draft = Draft::default();
        for _ in 0..self.dice.below(3) {
            draft.context(&mut self.dice, end_ms);
        }
        for _ in 0..if self.dice.happens(0.05) { 2 } else { 1 } {
            let flags = self.dice.between(1, 5);
            draft.summary(&mut self.dice, &self.flags, end_ms, flags);
        }
        for _ in 0..self.dice.below(4) {
            draft.feature(&mut self.dice, &self.flags, end_ms);
        }
        for _ in 0..self.dice.below(3) {
            draft.custom(&mut self.dice, end_ms);
        }
        self.finish(draft)
    }

    /// A payload that is one summary of `flags` flags, for measuring.
    pub(crate) fn make_summary(&mut self, now_ms: i64, flags: u64) -> Payload {
        let mut draft = Draft::default();
        draft.summary(&mut self.dice, &self.flags, now_ms, flags);
        self.finish(draft)
    }

    /// A payload of full events, one custom event after every three evaluations, until the body has `bytes_min` bytes,
    /// for measuring.
    pub(crate) fn make_full(&mut self, now_ms: i64, bytes_min: usize) -> Payload {
        let mut draft = Draft::default();
        while draft.bytes < bytes_min {
            for _ in 0..3 {
                draft.feature(&mut self.dice, &self.flags, now_ms);
            }
            draft.custom(&mut self.dice, now_ms);
        }
        self.finish(draft)
    }

    fn finish(&mut self, draft: Draft) -> Payload {
        self.made += 1;
        let (body, contents) = draft.done();
        Payload { id: payload_id(self.run, self.client, self.made), body, contents }
    }
}

/// A version 4 UUID whose bits are (run, client, number), mixed.
pub(crate) fn payload_id(run: u64, client: u64, number: u64) -> String {
    let high = mixed(run ^ mixed(client << 32 ^ 0x5eed));
    let low = mixed(high ^ mixed(number));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}", (low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff)
}

/// A payload in the making.
#[derive(Default)]
pub(crate) struct Draft {
    elements: Vec<Value>,
    contents: Gathering,
    /// Size of the body so far, less its last bracket.
    bytes: usize,
}

impl Draft {
    /// Size of the body so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + 1
    }

    /// The body, and what it holds.
    pub(crate) fn done(self) -> (Vec<u8>, Contents) {
        (Value::Array(self.elements).to_string().into_bytes(), self.contents.done())
    }

    fn add(&mut self, element: Value) {
        self.bytes += element.to_string().len() + 1;
        self.elements.push(element);
        self.contents.element();
    }

    /// An index or identify event.
    pub(crate) fn context(&mut self, dice: &mut Dice, time_ms: i64) {
        let kind = if dice.happens(0.7) { "index" } else { "identify" };
        self.add(json!({"kind": kind, "creationDate": time_ms, "context": {
            "kind": "user", "key": user(dice), "plan": dice.pick(PLANS), "country": dice.pick(COUNTRIES),
            "_meta": {"redactedAttributes": ["email"]},
        }}));
    }

    /// A summary of up to `flags_max` flags, each with one to three counters.
    pub(crate) fn summary(&mut self, dice: &mut Dice, flags: &Flags, end_ms: i64, flags_max: u64) {
        let mut features = serde_json::Map::new();
        for _ in 0..flags_max {
            if dice.happens(0.05) {
                let n = dice.between(1, 5);
                let counters = json!([{"unknown": true, "value": "fallback", "count": n}]);
                if features.contains_key(UNKNOWN_FLAG) {
                    continue;
                }
                self.contents.evaluated(UNKNOWN_FLAG, None, None, end_ms, n);
                features.insert(UNKNOWN_FLAG.into(), flag_of_summary(counters));
                continue;
            }
            let Flag { key: flag, variations } = flags.pick(dice);
            if features.contains_key(flag) {
                continue;
            }
            let version = dice.between(1, VERSIONS);
            let mut counters = Vec::new();
            for variation in 0..*variations {
                if dice.happens(0.6) {
                    let n = if dice.happens(0.1) { dice.between(100, 5_000) } else { dice.between(1, 20) };
                    self.contents.evaluated(flag, Some(variation), Some(version), end_ms, n);
                    counters.push(
                        json!({"variation": variation, "version": version, "value": value(variation), "count": n}),
                    );
                }
            }
            if counters.is_empty() || dice.happens(0.05) {
                let n = dice.between(1, 3);
                self.contents.evaluated(flag, None, Some(version), end_ms, n);
                counters.push(json!({"version": version, "value": "default", "count": n}));
            }
            features.insert(flag.clone(), flag_of_summary(Value::Array(counters)));
        }
        let start_ms = end_ms - dice.below(5_000) as i64;
        self.add(json!({"kind": "summary", "startDate": start_ms, "endDate": end_ms, "features": features}));
    }

    /// A full event of an experiment; the summary has counted it already.
    pub(crate) fn feature(&mut self, dice: &mut Dice, flags: &Flags, time_ms: i64) {
        let Flag { key: flag, variations } = flags.pick_experiment(dice);
        let variation = dice.below(u64::from(*variations)) as u32;
        let reason = if dice.happens(0.7) {
            json!({"kind": "FALLTHROUGH", "inExperiment": true})
        } else {
            json!({"kind": "RULE_MATCH", "ruleIndex": 1, "ruleId": "beta-users", "inExperiment": true})
        };
        self.add(json!({
            "kind": "feature", "creationDate": time_ms, "key": flag, "version": dice.between(1, VERSIONS),
            "variation": variation, "value": value(variation), "default": "default", "reason": reason,
            "context": {"kind": "user", "key": user(dice), "plan": dice.pick(PLANS), "country": dice.pick(COUNTRIES)},
        }));
    }

    /// A custom event, mostly with a metric value.
    pub(crate) fn custom(&mut self, dice: &mut Dice, time_ms: i64) {
        let key = *dice.pick(EVENTS);
        let mut event = json!({
            "kind": "custom", "creationDate": time_ms, "key": key, "data": {"cart": dice.below(1_000), "source": "web"},
            "context": {"kind": "user", "key": user(dice), "country": dice.pick(COUNTRIES)},
        });
        let cents = dice.happens(0.8).then(|| dice.below(20_000) as i64 - 1_000);
        if let Some(cents) = cents {
            // Two decimals: the shortest text of this float is the decimal itself.
            event["metricValue"] = if cents % 100 == 0 { json!(cents / 100) } else { json!(cents as f64 / 100.0) };
        }
        self.contents.happened(key, cents.map(|cents| cents * 10_000));
        self.add(event);
    }
}

fn flag_of_summary(counters: Value) -> Value {
    json!({"default": "default", "contextKinds": ["user"], "counters": counters})
}

fn user(dice: &mut Dice) -> String {
    format!("user-{}", dice.below(50_000))
}

fn value(variation: u32) -> String {
    format!("value-{variation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::fixed::Micros;

    const NOW_MS: i64 = 1_795_335_146_703;

    #[test]
    fn a_payload_is_a_function_of_its_seed_and_its_id_also_of_the_run() {
        let first = |seed, run| Maker::new(seed, run, 3).make(NOW_MS);
        assert_eq!(first(1, 1).body, first(1, 2).body);
        assert_ne!(first(1, 1).id, first(1, 2).id);
        assert_ne!(first(1, 1).body, first(2, 1).body);
    }

    #[test]
    fn ids_are_uuids_and_distinct() {
        let ids: std::collections::HashSet<_> =
            (0..4).flat_map(|client| (0..5_000).map(move |n| payload_id(9, client, n))).collect();
        assert_eq!(ids.len(), 20_000);
        for id in &ids {
            let lengths: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!((lengths.as_slice(), &id[14..15]), (&[8, 4, 4, 4, 12][..], "4"), "{id}");
        }
    }

    /// What the generator says of a payload is what a reader finds who reads the body by itself.
    #[test]
    fn contents_are_what_the_body_says() {
        let mut maker = Maker::new(5, 1, 0);
        let mut sums = 0;
        for _ in 0..500 {
            let payload = maker.make(NOW_MS);
            let body: Vec<Value> = serde_json::from_slice(&payload.body).unwrap();
            assert_eq!(body.len() as u64, payload.contents.elements);
            let counters: u64 = body
                .iter()
                .filter(|element| element["kind"] == "summary")
                .flat_map(|summary| summary["features"].as_object().unwrap().values())
                .flat_map(|flag| flag["counters"].as_array().unwrap())
                .map(|counter| counter["count"].as_u64().unwrap())
                .sum();
            assert_eq!(counters, payload.contents.evaluations.iter().map(|row| row.count).sum::<u64>());
            let metrics: i64 = body
                .iter()
                .filter_map(|element| element.get("metricValue"))
                .map(|value| Micros::parse(&value.to_string()).unwrap().0)
                .sum();
            assert_eq!(metrics, payload.contents.events.iter().map(|row| row.metric_micros).sum::<i64>());
            sums += counters;
        }
        assert!(sums > 10_000);
    }

    #[test]
    fn bodies_for_measuring_have_their_size() {
        let mut maker = Maker::new(1, 1, 0);
        let full = maker.make_full(NOW_MS, 16 * 1024).body.len();
        assert!((16 * 1024..18 * 1024).contains(&full), "{full}");
        let summary = maker.make_summary(NOW_MS, 8).body.len();
        assert!((500..2_000).contains(&summary), "{summary}");
    }
}
