//! The stand-in experiments, said naively: every accepted row of a subject is kept for ever, and what the subject says
//! of each day is worked out from the beginning whenever a row comes.
//!
//! Always true here: what a row counts for is decided when it comes, under the definition in force then; a cell of a
//! day is the sum over all subjects of what each says of that day less what it says of the day before.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schemas::id::Environment;
use schemas::record::{ContextRow, ConversionRow, Header, PayloadView, StoredVariation};

use super::DAY_MS;
use super::facts::Fact;

/// The kind of the definitions.
pub(super) const DEFINITION_KIND: u8 = 200;
/// The kind of the conversions that take part.
const CUSTOM: u32 = 1;
/// What an event without a value is worth, in millionths.
const WITHOUT_VALUE: i64 = 1_000_000;

/// All experiments of a partition.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    /// By environment and experiment key: the highest version, and what it defines.
    definitions: BTreeMap<(Environment, Bytes), (u64, Option<Experiment>)>,
    /// By environment, experiment key, context kind and context key.
    subjects: BTreeMap<(Environment, Bytes, Bytes, Bytes), Subject>,
}

#[derive(Debug)]
struct Experiment {
    flag: Bytes,
    kind: Bytes,
    event: Bytes,
    factor: i64,
    start_ms: i64,
    end_ms: i64,
}

#[derive(Debug)]
struct Subject {
    rows: Vec<Row>,
    expires_ms: i64,
}

#[derive(Debug)]
enum Row {
    Exposure { variation: u32, time_ms: i64 },
    Conversion { time_ms: i64, amount: i128 },
}

/// The log's time with the record at hand, and the lateness limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) log_time_ms: i64,
    pub(super) lateness_ms: i64,
}

/// By how much a record changes facts of cells, by experiment key and UTC day.
pub(super) type Differences = BTreeMap<(Bytes, i64, Fact), i128>;

impl Experiments {
    /// A version of a definition; the highest is in force.
    pub(super) fn define(&mut self, environment: &Environment, key: &Bytes, version: u64, body: &[u8]) {
        let held = self.definitions.entry((environment.clone(), key.clone())).or_default();
        if version > held.0 {
            *held = (version, Experiment::parse(body));
        }
    }

    /// Exposures first, then conversions, each for one experiment after the other in order of key.
    pub(super) fn rows(&mut self, header: &Header, view: &PayloadView, clock: Clock) -> Differences {
        let mut differences = Differences::new();
        let from = (header.environment.clone(), Bytes::new());
        let in_force = self.definitions.range(from..).take_while(|((of, _), _)| *of == header.environment);
        let in_force: Vec<(&Bytes, &Experiment)> =
            in_force.filter_map(|((_, key), (_, experiment))| Some((key, experiment.as_ref()?))).collect();
        let subjects = &mut self.subjects;
        for row in view.exposures() {
            let StoredVariation::Index(variation) = row.variation else { continue };
            for (key, experiment) in &in_force {
                if *row.flag == experiment.flag
                    && experiment.covers(row.time_ms)
                    && let Some(unit) = unit(view.exposure_contexts(&row), &experiment.kind)
                {
                    let subject = (header.environment.clone(), (*key).clone(), experiment.kind.clone(), unit.clone());
                    let row = Row::Exposure { variation, time_ms: row.time_ms };
                    take_in(subjects, subject, row, experiment.end_ms, clock, &mut differences);
                }
            }
        }
        for row in view.conversions().filter(|row| row.kind == CUSTOM) {
            for (key, experiment) in &in_force {
                if *row.key == experiment.event
                    && experiment.covers(row.time_ms)
                    && let Some(unit) = unit(view.conversion_contexts(&row), &experiment.kind)
                {
                    let subject = (header.environment.clone(), (*key).clone(), experiment.kind.clone(), unit.clone());
                    let row = Row::Conversion { time_ms: row.time_ms, amount: experiment.amount(&row) };
                    take_in(subjects, subject, row, experiment.end_ms, clock, &mut differences);
                }
            }
        }
        differences
    }
}

impl Experiment {
    /// `flag kind event factor start_ms end_ms`; anything else defines nothing.
    fn parse(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let [flag, kind, event, factor, start_ms, end_ms] = words.as_slice() else { return None };
        if [flag, kind, event].iter().any(|word| word.is_empty()) {
            return None;
        }
        let name = |word: &str| Bytes::copy_from_slice(word.as_bytes());
        Some(Self {
            flag: name(flag),
            kind: name(kind),
            event: name(event),
            factor: factor.parse().ok()?,
            start_ms: start_ms.parse().ok()?,
            end_ms: end_ms.parse().ok()?,
        })
    }

    fn covers(&self, time_ms: i64) -> bool {
        self.start_ms <= time_ms && time_ms < self.end_ms
    }

    fn amount(&self, row: &ConversionRow<'_>) -> i128 {
        i128::from(row.value.unwrap_or(WITHOUT_VALUE)) * i128::from(self.factor) * i128::from(row.sampling)
    }
}

/// The key of the first context of this kind that acts here.
fn unit<'a>(mut contexts: impl Iterator<Item = ContextRow<'a>>, kind: &Bytes) -> Option<&'a Bytes> {
    contexts.find_map(|context| context.key.filter(|_| context.kind == kind))
}

fn take_in(
    subjects: &mut BTreeMap<(Environment, Bytes, Bytes, Bytes), Subject>,
    subject: (Environment, Bytes, Bytes, Bytes),
    row: Row,
    end_ms: i64,
    clock: Clock,
    differences: &mut Differences,
) {
    let experiment = subject.1.clone();
    let mut differ = |day, fact, number| *differences.entry((experiment.clone(), day, fact)).or_default() += number;
    if row.time_ms() <= clock.log_time_ms - clock.lateness_ms {
        differ(row.time_ms().div_euclid(DAY_MS), Fact::of("late"), 1);
        return;
    }
    let subject = subjects.entry(subject).or_insert(Subject { rows: Vec::new(), expires_ms: i64::MIN });
    if subject.expires_ms <= clock.log_time_ms {
        // As if never seen; what it contributed stays.
        *subject = Subject { rows: Vec::new(), expires_ms: i64::MIN };
    }
    for ((day, fact), number) in subject.contribution() {
        differ(day, fact, -number);
    }
    subject.rows.push(row);
    subject.expires_ms = subject.expires_ms.max(end_ms + clock.lateness_ms);
    for ((day, fact), number) in subject.contribution() {
        differ(day, fact, number);
    }
}

impl Row {
    fn time_ms(&self) -> i64 {
        match self {
            Self::Exposure { time_ms, .. } | Self::Conversion { time_ms, .. } => *time_ms,
        }
    }
}

impl Subject {
    /// For each day what it says of that day less what it says of the day before. What it says changes on days of its
    /// rows alone.
    fn contribution(&self) -> BTreeMap<(i64, Fact), i128> {
        let days: BTreeSet<i64> = self.rows.iter().map(|row| row.time_ms().div_euclid(DAY_MS)).collect();
        let mut contribution: BTreeMap<(i64, Fact), i128> = BTreeMap::new();
        for day in days {
            for (fact, number) in self.says(day) {
                *contribution.entry((day, fact)).or_default() += number;
            }
            for (fact, number) in self.says(day - 1) {
                *contribution.entry((day, fact)).or_default() -= number;
            }
        }
        contribution
    }

    /// What it says of a day: one unit of its only variation, with what it did from its first exposure to the day's
    /// end; or that it saw several; or nothing.
    fn says(&self, day: i64) -> Vec<(Fact, i128)> {
        let end_ms = (day + 1) * DAY_MS;
        let mut first: BTreeMap<u32, i64> = BTreeMap::new();
        for row in &self.rows {
            if let Row::Exposure { variation, time_ms } = row
                && *time_ms < end_ms
            {
                let least = first.entry(*variation).or_insert(*time_ms);
                *least = (*least).min(*time_ms);
            }
        }
        let Some((variation, from_ms)) = first.pop_first() else { return Vec::new() };
        if !first.is_empty() {
            return vec![(Fact::of("multiple"), 1)];
        }
        let amounts = self.rows.iter().filter_map(|row| match row {
            Row::Conversion { time_ms, amount } if (from_ms..end_ms).contains(time_ms) => Some(amount),
            _ => None,
        });
        let sum: i128 = amounts.sum();
        let place = u64::from(variation);
        vec![(Fact::at("n", place), 1), (Fact::at("sum", place), sum), (Fact::at("square", place), sum * sum)]
    }
}
