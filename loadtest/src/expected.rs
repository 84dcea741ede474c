//! Ledger → what may have been counted: a range for every number.
//!
//! Always true here: a payload acknowledged at least once counts once; one that was attempted and neither acknowledged
//! nor refused for good counts once or not at all; one that was only refused, or never left, does not count.

use crate::contents::Contents;
use crate::ledger::{Line, Meaning, Outcome};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// What was served, as the API names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Served {
    /// The caller's own default.
    Default,
    /// The variation with this index.
    Index(u32),
    /// A variation with a name, which no client here sends.
    Name(String),
}

/// One cell of the comparison: a flag's variation in a minute (Unix milliseconds of its start).
pub(crate) type Cell = (String, Served, i64);

/// A flag's version; none = the SDK told none.
pub(crate) type FlagVersion = (String, Option<u64>);

/// A range, both ends included. Sums of negative values may make `least` negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) least: i128,
    pub(crate) most: i128,
}

impl Range {
    /// Adds `amount` at least `copies.0` and at most `copies.1` times.
    fn add(&mut self, amount: i128, copies: (u64, u64)) {
        let ends = [amount * i128::from(copies.0), amount * i128::from(copies.1)];
        self.least += ends[0].min(ends[1]);
        self.most += ends[0].max(ends[1]);
    }

    /// True if `number` lies inside.
    pub(crate) fn holds(self, number: i128) -> bool {
        (self.least..=self.most).contains(&number)
    }
}

/// Ranges of one custom event's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventRanges {
    pub(crate) count: Range,
    pub(crate) metric_count: Range,
    /// In millionths.
    pub(crate) metric_sum: Range,
}

/// Ranges of the books, in elements, over all days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BookRanges {
    pub(crate) accepted: Range,
    pub(crate) counted: Range,
    pub(crate) duplicate: Range,
}

/// What may have been counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) evaluations: BTreeMap<Cell, Range>,
    pub(crate) versions: BTreeMap<FlagVersion, Range>,
    pub(crate) events: BTreeMap<String, EventRanges>,
    pub(crate) books: BookRanges,
    pub(crate) totals: Totals,
    /// Time of the first and of the last line, Unix milliseconds.
    pub(crate) at_ms: Option<(i64, i64)>,
}

/// What the ledger holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) payloads: u64,
    /// Answered 2xx at least once.
    pub(crate) acknowledged: u64,
    /// Neither acknowledged nor refused: counted once or not at all.
    pub(crate) unknown: u64,
    /// Refused for good, or never left the client.
    pub(crate) refused: u64,
    pub(crate) attempts: u64,
    /// Elements of the acknowledged payloads.
    pub(crate) acknowledged_elements: u64,
    /// Evaluations in the acknowledged payloads.
    pub(crate) acknowledged_evaluations: u64,
}

/// What an attempt means whose connection ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It may have been counted: the server may have died in between.
    Unknown,
    /// It must not have been counted: the server only ever stopped gracefully, and answers whatever it accepts.
    NotAccepted,
}

/// Gathers the ledger's lines.
#[derive(Debug)]
pub(crate) struct Ledgered {
    unanswered: Unanswered,
    payloads: HashMap<String, Fate>,
    at_ms: Option<(i64, i64)>,
}

#[derive(Debug, Default)]
struct Fate {
    contents: Contents,
    attempts: u64,
    acknowledged: u64,
    /// Attempts that are certainly not counted.
    without_effect: u64,
}

impl Ledgered {
    /// An empty ledger.
    pub(crate) fn new(unanswered: Unanswered) -> Self {
        Self { unanswered, payloads: HashMap::new(), at_ms: None }
    }

    /// Takes the next line.
    pub(crate) fn take(&mut self, line: Line) {
        match line {
            Line::Run(run) => self.seen(run.at_ms),
            Line::Send(attempt) => {
                self.seen(attempt.at_ms);
                let fate = self.payloads.entry(attempt.payload).or_default();
                fate.contents = attempt.contents;
                fate.attempts += 1;
            }
            Line::Answer(answered) => {
                self.seen(answered.at_ms);
                let fate = self.payloads.entry(answered.payload).or_default();
                match answered.outcome.meaning() {
                    Meaning::Acknowledged => fate.acknowledged += 1,
                    Meaning::Refused => fate.without_effect += 1,
                    Meaning::Unknown => {
                        let dropped = self.unanswered == Unanswered::NotAccepted && answered.outcome == Outcome::Closed;
                        fate.without_effect += u64::from(dropped);
                    }
                }
            }
        }
    }

    fn seen(&mut self, at_ms: i64) {
        let (first, last) = self.at_ms.unwrap_or((at_ms, at_ms));
        self.at_ms = Some((first.min(at_ms), last.max(at_ms)));
    }

    /// What may have been counted.
    pub(crate) fn expected(&self) -> Expected {
        let mut expected = Expected { at_ms: self.at_ms, ..Expected::default() };
        for fate in self.payloads.values() {
            expected.add(fate);
        }
        expected
    }
}

impl Expected {
    fn add(&mut self, fate: &Fate) {
        let arrived = (fate.acknowledged, fate.attempts.saturating_sub(fate.without_effect));
        let copies = (arrived.0.min(1), arrived.1.min(1));
        let extra = (arrived.0.saturating_sub(1), arrived.1.saturating_sub(1));
        let elements = i128::from(fate.contents.elements);
        self.books.accepted.add(elements, arrived);
        self.books.counted.add(elements, copies);
        self.books.duplicate.add(elements, extra);
        for row in &fate.contents.evaluations {
            let served = row.variation.map_or(Served::Default, Served::Index);
            let range = self.evaluations.entry((row.flag.clone(), served, row.minute_ms)).or_default();
            range.add(i128::from(row.count), copies);
            let range = self.versions.entry((row.flag.clone(), row.version)).or_default();
            range.add(i128::from(row.count), copies);
        }
        for row in &fate.contents.events {
            let ranges = self.events.entry(row.key.clone()).or_default();
            ranges.count.add(i128::from(row.count), copies);
            ranges.metric_count.add(i128::from(row.metric_count), copies);
            ranges.metric_sum.add(i128::from(row.metric_micros), copies);
        }
        self.totals.add(fate, copies);
    }
}

impl Totals {
    fn add(&mut self, fate: &Fate, copies: (u64, u64)) {
        self.payloads += 1;
        self.attempts += fate.attempts;
        match copies {
            (0, 0) => self.refused += 1,
            (0, _) => self.unknown += 1,
            _ => {
                self.acknowledged += 1;
                self.acknowledged_elements += fate.contents.elements;
                self.acknowledged_evaluations += fate.contents.evaluations.iter().map(|row| row.count).sum::<u64>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::{CustomEvents, Evaluations};
    use crate::ledger::{Answered, Attempt};

    fn contents() -> Contents {
        let evaluations =
            vec![Evaluations { flag: "f".into(), variation: Some(1), version: Some(2), minute_ms: 60_000, count: 5 }];
        let events = vec![CustomEvents { key: "e".into(), count: 2, metric_count: 1, metric_micros: -30 }];
        Contents { elements: 3, evaluations, events }
    }

    /// Ranges of (accepted, counted, duplicate, evaluations, metric sum) after attempts of one payload with these
    /// outcomes.
    fn ranges(unanswered: Unanswered, outcomes: &[Option<Outcome>]) -> [(i128, i128); 5] {
        let mut ledgered = Ledgered::new(unanswered);
        for (attempt, outcome) in (1..).zip(outcomes) {
            let payload = "p".to_owned();
            ledgered.take(Line::Send(Attempt { payload: payload.clone(), attempt, at_ms: 1, contents: contents() }));
            if let Some(outcome) = *outcome {
                ledgered.take(Line::Answer(Answered { payload, attempt, at_ms: 2, outcome }));
            }
        }
        let expected = ledgered.expected();
        let ends = |range: Range| (range.least, range.most);
        let books = expected.books;
        let cell = expected.evaluations[&("f".to_owned(), Served::Index(1), 60_000)];
        assert_eq!(expected.versions[&("f".to_owned(), Some(2))], cell);
        [books.accepted, books.counted, books.duplicate, cell, expected.events["e"].metric_sum].map(ends)
    }

    #[test]
    fn fates() {
        use Outcome::{Closed, NotConnected, Status, TimedOut};
        let ok = Some(Status(202));
        for (outcomes, wanted) in [
            (&[ok][..], [(3, 3), (3, 3), (0, 0), (5, 5), (-30, -30)]),
            (&[ok, ok], [(6, 6), (3, 3), (3, 3), (5, 5), (-30, -30)]),
            (&[Some(Status(503)), ok], [(3, 6), (3, 3), (0, 3), (5, 5), (-30, -30)]),
            (&[Some(Closed), None], [(0, 6), (0, 3), (0, 3), (0, 5), (-30, 0)]),
            (&[Some(Status(413))], [(0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]),
            (&[Some(NotConnected), Some(TimedOut)], [(0, 3), (0, 3), (0, 0), (0, 5), (-30, 0)]),
            (&[None], [(0, 3), (0, 3), (0, 0), (0, 5), (-30, 0)]),
        ] {
            assert_eq!(ranges(Unanswered::Unknown, outcomes), wanted, "{outcomes:?}");
        }
        let exact = [(3, 3), (3, 3), (0, 0), (5, 5), (-30, -30)];
        assert_eq!(ranges(Unanswered::NotAccepted, &[Some(Closed), ok]), exact);
        let open = [(0, 3), (0, 3), (0, 0), (0, 5), (-30, 0)];
        assert_eq!(ranges(Unanswered::NotAccepted, &[Some(Status(503))]), open, "an answer that leaves it open");
        assert_eq!(ranges(Unanswered::NotAccepted, &[None]), open, "the ledger's own death");
    }
}
