//! What was sent: the truth that both paths are measured by.
//!
//! Always true here: each payload counts once, however often it is sent, in the part in which it was made; sums of
//! values are exact.

use std::collections::BTreeMap;

use super::payload::Contents;
use super::script::Part;

/// What was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served {
    /// The caller's own default.
    Default,
    /// A variation of the flag.
    Index(u32),
}

/// A flag's key, and what was served of it.
pub type Evaluated = (String, Served);

/// Custom events of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// How many.
    pub number: u64,
    /// Sum of their values, in millionths.
    pub sum_micros: i128,
}

/// What was sent, by part.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    evaluations: BTreeMap<Part, BTreeMap<Evaluated, u64>>,
    events: BTreeMap<Part, BTreeMap<String, Events>>,
}

impl Truth {
    /// Adds what a payload holds.
    pub fn add(&mut self, part: Part, contents: &Contents) {
        let evaluations = self.evaluations.entry(part).or_default();
        for (evaluated, number) in &contents.evaluations {
            *evaluations.entry(evaluated.clone()).or_default() += number;
        }
        let events = self.events.entry(part).or_default();
        for (key, value_micros) in &contents.events {
            let event = events.entry(key.clone()).or_default();
            event.number += 1;
            event.sum_micros += i128::from(value_micros.unwrap_or(0));
        }
    }

    /// Evaluations sent in a part.
    pub fn evaluations(&self, part: Part, evaluated: &Evaluated) -> u64 {
        self.evaluations.get(&part).and_then(|sent| sent.get(evaluated)).copied().unwrap_or(0)
    }

    /// Everything that was evaluated, in order.
    pub fn evaluated(&self) -> Vec<Evaluated> {
        let mut all: Vec<Evaluated> = self.evaluations.values().flat_map(BTreeMap::keys).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// All evaluations sent in a part.
    pub fn evaluations_in(&self, part: Part) -> u64 {
        self.evaluations.get(&part).map_or(0, |sent| sent.values().sum())
    }

    /// Custom events of a key sent in a part.
    pub fn events(&self, part: Part, key: &str) -> Events {
        self.events.get(&part).and_then(|sent| sent.get(key)).copied().unwrap_or_default()
    }

    /// Keys of all custom events, in order.
    pub fn event_keys(&self) -> Vec<String> {
        let mut all: Vec<String> = self.events.values().flat_map(BTreeMap::keys).cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_kept_by_part() {
        let mut truth = Truth::default();
        let checkout = || ("checkout".to_owned(), Served::Index(1));
        let contents = Contents {
            evaluations: vec![(checkout(), 3), (("checkout".to_owned(), Served::Default), 1)],
            events: vec![("paid".to_owned(), Some(-2_500_000)), ("paid".to_owned(), None)],
        };
        truth.add(Part::Both, &contents);
        truth.add(Part::Both, &contents);
        truth.add(Part::NewOnly, &contents);
        assert_eq!(Part::ALL.map(|part| truth.evaluations(part, &checkout())), [0, 6, 3]);
        assert_eq!(Part::ALL.map(|part| truth.evaluations_in(part)), [0, 8, 4]);
        assert_eq!(truth.events(Part::Both, "paid"), Events { number: 4, sum_micros: -5_000_000 });
        assert_eq!((truth.evaluated().len(), truth.event_keys()), (2, vec!["paid".to_owned()]));
    }
}
