//! Payloads as server SDKs make them: a summary, now and then full events of an experiment, custom events with values.
//!
//! Always true here: a payload follows from seed, client, number and time; every element is valid and in time, so that
//! a right server refuses none; values have two decimals, so that their sums are known exactly.

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::truth::{Evaluated, Served};

/// The shop's flags and how many variations each has, the busiest first.
const FLAGS: [(&str, usize); 12] = [
    ("new-checkout", 2),
    ("search-ranking", 3),
    ("recommendations", 2),
    ("free-shipping", 2),
    ("price-test", 4),
    ("dark-mode", 2),
    ("one-click-buy", 2),
    ("image-quality", 3),
    ("gift-cards", 2),
    ("live-chat", 2),
    ("loyalty-points", 2),
    ("beta-banner", 2),
];
/// The flag of a running experiment: some of its evaluations are sent in full, too.
const EXPERIMENT: usize = 4;
const EVENTS: [&str; 3] = ["purchase", "signup", "page-load-ms"];
/// Most flags of a summary.
const FLAGS_MAX: u64 = 4;
/// Most evaluations of a counter.
const COUNT_MAX: u64 = 40;

/// A payload.
#[derive(Debug, Clone)]
pub struct Payload {
    /// A UUID.
    pub id: String,
    /// JSON.
    pub body: Bytes,
    /// What it holds.
    pub contents: Contents,
    /// The answer to its first attempt gets lost on the way.
    pub loses_answer: bool,
}

/// What a payload holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// How many evaluations of what.
    pub evaluations: Vec<(Evaluated, u64)>,
    /// Custom events: key, and value in millionths.
    pub events: Vec<(String, Option<i64>)>,
}

/// Makes the payloads of one client.
#[derive(Debug)]
pub struct Maker {
    dice: Dice,
}

impl Maker {
    /// That of a client.
    pub fn new(seed: u64, client: u64) -> Self {
        Self { dice: Dice::of_part(seed, client) }
    }

    /// The next payload, sent off at this time (Unix milliseconds).
    pub fn make(&mut self, now_ms: i64) -> Payload {
        let mut contents = Contents::default();
        let mut elements = vec![self.summary(now_ms, &mut contents)];
        if self.dice.happens(10) {
            elements.push(self.full_event(now_ms));
        }
        for _ in 0..self.dice.below(3) {
            elements.push(self.custom(now_ms, &mut contents));
        }
        let body = Value::Array(elements).to_string().into();
        Payload { id: self.uuid(), body, contents, loses_answer: self.dice.happens(2) }
    }

    fn summary(&mut self, now_ms: i64, contents: &mut Contents) -> Value {
        let mut features = Map::new();
        for _ in 0..=self.dice.below(FLAGS_MAX) {
            let (flag, variations) = FLAGS[self.dice.zipf(FLAGS.len())];
            if features.contains_key(flag) {
                continue;
            }
            let counters = self.counters(flag, variations, contents);
            features
                .insert(flag.to_owned(), json!({"default": "default", "contextKinds": ["user"], "counters": counters}));
        }
        let start_ms = now_ms - 300;
        json!({"kind": "summary", "startDate": start_ms, "endDate": now_ms, "features": features})
    }

    fn counters(&mut self, flag: &str, variations: usize, contents: &mut Contents) -> Vec<Value> {
        let first = self.dice.zipf(variations);
        let mut served = vec![Served::Index(u32::try_from(first).unwrap_or(0))];
        if self.dice.happens(30) {
            served.push(Served::Index(u32::try_from((first + 1) % variations).unwrap_or(0)));
        }
        if self.dice.happens(3) {
            served.push(Served::Default);
        }
        let counter = |served| {
            let count = 1 + self.dice.below(COUNT_MAX);
            contents.evaluations.push(((flag.to_owned(), served), count));
            match served {
                Served::Index(variation) => {
                    json!({"variation": variation, "version": 3, "value": format!("v{variation}"), "count": count})
                }
                Served::Default => json!({"version": 3, "value": "default", "count": count}),
            }
        };
        served.into_iter().map(counter).collect()
    }

    /// The summary has counted it already.
    fn full_event(&mut self, now_ms: i64) -> Value {
        let (flag, variations) = FLAGS[EXPERIMENT];
        let variation = self.dice.zipf(variations);
        json!({
            "kind": "feature", "creationDate": now_ms, "key": flag, "version": 3, "variation": variation,
            "value": format!("v{variation}"), "default": "default", "context": self.user(),
            "reason": {"kind": "FALLTHROUGH", "inExperiment": true},
        })
    }

    fn custom(&mut self, now_ms: i64, contents: &mut Contents) -> Value {
        let key = EVENTS[self.dice.zipf(EVENTS.len())];
        let mut event = json!({"kind": "custom", "creationDate": now_ms, "key": key, "context": self.user()});
        let hundredths = self.dice.happens(85).then(|| self.dice.below(20_000).cast_signed() - 1_000);
        if let Some(hundredths) = hundredths {
            // The shortest text of this float is the decimal itself.
            event["metricValue"] = json!(hundredths as f64 / 100.0);
        }
        contents.events.push((key.to_owned(), hundredths.map(|hundredths| hundredths * 10_000)));
        event
    }

    fn user(&mut self) -> Value {
        json!({"kind": "user", "key": format!("user-{}", self.dice.below(5_000))})
    }

    /// Of version 4.
    fn uuid(&mut self) -> String {
        let (high, low) = (self.dice.bits(), self.dice.bits());
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
        let (d, e) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW_MS: i64 = 1_795_335_146_703;

    /// What the maker says of a payload is what a reader finds in its body.
    #[test]
    fn contents_are_what_the_body_says() {
        let mut maker = Maker::new(5, 0);
        let (mut served_default, mut lost) = (false, 0);
        for _ in 0..500 {
            let payload = maker.make(NOW_MS);
            let body: Vec<Value> = serde_json::from_slice(&payload.body).unwrap();
            let mut read = Contents::default();
            for element in &body {
                for (flag, entry) in element["features"].as_object().into_iter().flatten() {
                    for counter in entry["counters"].as_array().unwrap() {
                        let served = match counter["variation"].as_u64() {
                            Some(variation) => Served::Index(u32::try_from(variation).unwrap()),
                            None => Served::Default,
                        };
                        served_default |= served == Served::Default;
                        read.evaluations.push(((flag.clone(), served), counter["count"].as_u64().unwrap()));
                    }
                }
                if element["kind"] == "custom" {
                    let value = element
                        .get("metricValue")
                        .map(|value| schemas::fixed::Micros::parse(&value.to_string()).unwrap().0);
                    read.events.push((element["key"].as_str().unwrap().to_owned(), value));
                }
            }
            let mut made = payload.contents;
            made.evaluations.sort();
            read.evaluations.sort();
            assert_eq!(read, made);
            lost += u32::from(payload.loses_answer);
        }
        assert!(served_default && (1..50).contains(&lost), "{served_default}, {lost}");
    }

    #[test]
    fn a_seed_makes_the_same_payloads_and_no_id_twice() {
        let made = |seed, client| -> Vec<String> {
            let mut maker = Maker::new(seed, client);
            (0..200).map(|_| maker.make(NOW_MS).id).collect()
        };
        assert_eq!(made(1, 0), made(1, 0));
        let ids: BTreeSet<String> = [made(1, 0), made(1, 1), made(2, 0)].concat().into_iter().collect();
        assert_eq!(ids.len(), 600);
    }
}
