//! Ledger → what may have been counted: a range for every number of every environment.
//!
//! Always true here: a payload acknowledged at least once counts once; one that was attempted and neither acknowledged
//! nor refused for good counts once or not at all; one that was only refused, or never left, does not count.

use crate::contents::{Contents, MINUTE_MS};
use crate::ledger::{Attempt, Holds, Line, Meaning, Outcome};
use anyhow::{Context, Result};
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
    /// By `project/environment`.
    pub(crate) environments: BTreeMap<String, Ranges>,
    pub(crate) totals: Totals,
    /// From the first to the last time that the ledger names, Unix milliseconds.
    pub(crate) interval_ms: Option<(i64, i64)>,
}

/// What may have been counted of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(crate) evaluations: BTreeMap<Cell, Range>,
    pub(crate) versions: BTreeMap<FlagVersion, Range>,
    pub(crate) events: BTreeMap<String, EventRanges>,
    pub(crate) books: BookRanges,
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

/// Gathers the ledger's lines. Of a payload it keeps its id and five numbers; what payloads hold is kept once.
#[derive(Debug)]
pub(crate) struct Ledgered {
    unanswered: Unanswered,
    payloads: HashMap<Box<str>, Fate>,
    contents: Vec<Contents>,
    /// Places in `contents` of this run's numbers.
    numbers: HashMap<u64, usize>,
    environments: Vec<String>,
    interval_ms: Option<(i64, i64)>,
}

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Fate {
    /// Place in `environments`.
    environment: usize,
    /// Place in `contents`.
    contents: usize,
    attempts: u64,
    acknowledged: u64,
    /// Attempts that are certainly not counted.
    without_effect: u64,
}

impl Ledgered {
    /// An empty ledger.
    pub(crate) fn new(unanswered: Unanswered) -> Self {
        Self {
            unanswered,
            payloads: HashMap::new(),
            contents: Vec::new(),
            numbers: HashMap::new(),
            environments: Vec::new(),
            interval_ms: None,
        }
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// It speaks of a payload, or of contents, of which no line before it has told.
    pub(crate) fn take(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Run(run) => {
                self.numbers.clear();
                self.seen(run.at_ms);
            }
            Line::Contents(described) => {
                let place = self.keep(described.contents);
                self.numbers.insert(described.number, place);
            }
            Line::Send(attempt) => {
                self.seen(attempt.at_ms);
                match self.payloads.get_mut(&*attempt.payload) {
                    Some(fate) => fate.attempts += 1,
                    None => self.begin(attempt)?,
                }
            }
            Line::Answer(answered) => {
                self.seen(answered.at_ms);
                let dropped = self.unanswered == Unanswered::NotAccepted && answered.outcome == Outcome::Closed;
                let fate = self.payloads.get_mut(&*answered.payload);
                let fate =
                    fate.with_context(|| format!("payload {} was answered, and never sent", answered.payload))?;
                match answered.outcome.meaning() {
                    Meaning::Acknowledged => fate.acknowledged += 1,
                    Meaning::Refused => fate.without_effect += 1,
                    Meaning::Unknown => fate.without_effect += u64::from(dropped),
                }
            }
        }
        Ok(())
    }

    /// A payload's first attempt.
    fn begin(&mut self, attempt: Attempt) -> Result<()> {
        let Attempt { payload, environment, contents, .. } = attempt;
        let contents = match contents {
            Holds::Whole(contents) => self.keep(contents),
            Holds::Numbered(number) => *self.numbers.get(&number).with_context(|| {
                format!("payload {payload} holds what stands under {number}, and nothing stands there")
            })?,
        };
        let known = self.environments.iter().position(|known| *known == environment);
        let environment = known.unwrap_or_else(|| {
            self.environments.push(environment);
            self.environments.len() - 1
        });
        let fate = Fate { environment, contents, attempts: 1, acknowledged: 0, without_effect: 0 };
        self.payloads.insert(payload.into(), fate);
        Ok(())
    }

    fn keep(&mut self, contents: Contents) -> usize {
        for row in &contents.evaluations {
            self.seen(row.minute_ms);
            self.seen(row.minute_ms + MINUTE_MS);
        }
        self.contents.push(contents);
        self.contents.len() - 1
    }

    fn seen(&mut self, at_ms: i64) {
        let (first, last) = self.interval_ms.unwrap_or((at_ms, at_ms));
        self.interval_ms = Some((first.min(at_ms), last.max(at_ms)));
    }

    /// What may have been counted.
    pub(crate) fn expected(&self) -> Expected {
        let mut expected = Expected { interval_ms: self.interval_ms, ..Expected::default() };
        // Many payloads hold the same and fare the same: their rows are added once.
        let mut alike: HashMap<Fate, u64> = HashMap::new();
        for fate in self.payloads.values() {
            *alike.entry(*fate).or_default() += 1;
        }
        for (fate, payloads) in alike {
            let contents = &self.contents[fate.contents];
            let environment = self.environments[fate.environment].clone();
            expected.environments.entry(environment).or_default().add(&fate, contents, payloads);
            expected.totals.add(&fate, contents, payloads);
        }
        expected
    }
}

impl Fate {
    /// Attempts that arrived: at least, at most.
    fn arrived(&self) -> (u64, u64) {
        (self.acknowledged, self.attempts.saturating_sub(self.without_effect))
    }

    /// Copies of it that count: at least, at most.
    fn copies(&self) -> (u64, u64) {
        let arrived = self.arrived();
        (arrived.0.min(1), arrived.1.min(1))
    }
}

impl Ranges {
    /// Adds `payloads` payloads with the same contents and fate.
    fn add(&mut self, fate: &Fate, contents: &Contents, payloads: u64) {
        let times = |(least, most): (u64, u64)| (least * payloads, most * payloads);
        let arrived = fate.arrived();
        let copies = times(fate.copies());
        let extra = times((arrived.0.saturating_sub(1), arrived.1.saturating_sub(1)));
        let elements = i128::from(contents.elements);
        self.books.accepted.add(elements, times(arrived));
        self.books.counted.add(elements, copies);
        self.books.duplicate.add(elements, extra);
        for row in &contents.evaluations {
            let served = row.variation.map_or(Served::Default, Served::Index);
            let range = self.evaluations.entry((row.flag.clone(), served, row.minute_ms)).or_default();
            range.add(i128::from(row.count), copies);
            let range = self.versions.entry((row.flag.clone(), row.version)).or_default();
            range.add(i128::from(row.count), copies);
        }
        for row in &contents.events {
            let ranges = self.events.entry(row.key.clone()).or_default();
            ranges.count.add(i128::from(row.count), copies);
            ranges.metric_count.add(i128::from(row.metric_count), copies);
            ranges.metric_sum.add(i128::from(row.metric_micros), copies);
        }
    }
}

impl Totals {
    fn add(&mut self, fate: &Fate, contents: &Contents, payloads: u64) {
        self.payloads += payloads;
        self.attempts += fate.attempts * payloads;
        match fate.copies() {
            (0, 0) => self.refused += payloads,
            (0, _) => self.unknown += payloads,
            _ => {
                self.acknowledged += payloads;
                self.acknowledged_elements += contents.elements * payloads;
                self.acknowledged_evaluations += contents.evaluations() * payloads;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::{CustomEvents, Evaluations};
    use crate::environments::DEFAULT;
    use crate::ledger::{Answered, Described};

    fn contents() -> Contents {
        let evaluations =
            vec![Evaluations { flag: "f".into(), variation: Some(1), version: Some(2), minute_ms: 60_000, count: 5 }];
        let events = vec![CustomEvents { key: "e".into(), count: 2, metric_count: 1, metric_micros: -30 }];
        Contents { elements: 3, evaluations, events }
    }

    fn send(payload: &str, environment: &str, attempt: u32, contents: Holds) -> Line {
        let (payload, environment) = (payload.to_owned(), environment.to_owned());
        Line::Send(Attempt { payload, environment, attempt, at_ms: 1, intended_ms: None, contents })
    }

    /// Ranges of (accepted, counted, duplicate, evaluations, metric sum) after attempts of one payload with these
    /// outcomes.
    fn ranges(unanswered: Unanswered, outcomes: &[Option<Outcome>]) -> [(i128, i128); 5] {
        let mut ledgered = Ledgered::new(unanswered);
        for (attempt, outcome) in (1..).zip(outcomes) {
            let payload = "p".to_owned();
            ledgered.take(send(&payload, DEFAULT, attempt, Holds::Whole(contents()))).unwrap();
            if let Some(outcome) = *outcome {
                ledgered.take(Line::Answer(Answered { payload, attempt, at_ms: 2, outcome })).unwrap();
            }
        }
        let expected = &ledgered.expected().environments[DEFAULT];
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

    #[test]
    fn what_stands_under_a_number_counts_for_each_payload_of_its_environment_until_the_next_run() {
        let mut ledgered = Ledgered::new(Unanswered::Unknown);
        let described = |number| Line::Contents(Described { number, contents: contents() });
        ledgered.take(described(7)).unwrap();
        for (payload, environment) in [("a", "p/one"), ("b", "p/two"), ("c", "p/two"), ("d", "p/two")] {
            ledgered.take(send(payload, environment, 1, Holds::Numbered(7))).unwrap();
        }
        for payload in ["a", "b", "c"] {
            let (payload, outcome) = (payload.to_owned(), Outcome::Status(202));
            ledgered.take(Line::Answer(Answered { payload, attempt: 1, at_ms: 2, outcome })).unwrap();
        }
        let expected = ledgered.expected();
        let cell = ("f".to_owned(), Served::Index(1), 60_000);
        let ends = |environment: &str| {
            let ranges = &expected.environments[environment];
            [ranges.evaluations[&cell], ranges.books.counted].map(|range| (range.least, range.most))
        };
        assert_eq!((ends("p/one"), ends("p/two")), ([(5, 5), (3, 3)], [(10, 15), (6, 9)]));
        assert_eq!((expected.totals.payloads, expected.totals.acknowledged_evaluations), (4, 15));
        assert_eq!(expected.interval_ms, Some((1, 120_000)));

        let run = crate::ledger::Run { run: 2, seed: 1, clients: 1, at_ms: 3 };
        ledgered.take(Line::Run(run)).unwrap();
        let error = ledgered.take(send("e", "p/one", 1, Holds::Numbered(7))).unwrap_err().to_string();
        assert_eq!(error, "payload e holds what stands under 7, and nothing stands there");
    }
}
