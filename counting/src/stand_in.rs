//! The stand-in experiment: what its definition says and what is kept of a subject.
//!
//! It stands where real experiments will, with the same shape: state per subject, amounts decided once, and differences
//! booked on UTC days. It exists in tests and in the simulation alone.
//!
//! Always true here: what a subject says of a day depends on the rows that were worked into it and not on their order;
//! conversions that no exposure can precede any more are dropped or added up by day, which changes nothing that it
//! says.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::cells::{StandInChange, StandInNumbers};

#[cfg(test)]
mod tests;

const DAY_MS: i64 = 86_400_000;
/// What a conversion without a value counts, in millionths: one.
pub(crate) const NO_VALUE: i64 = 1_000_000;

/// Experiments of an environment by key.
pub(crate) type Experiments = BTreeMap<Bytes, Experiment>;

/// A stand-in experiment, as its definition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Experiment {
    /// Exposures to this flag count.
    pub(crate) flag: Bytes,
    /// Kind of the context that is the subject.
    pub(crate) kind: Bytes,
    /// Custom events of this key count.
    pub(crate) event: Bytes,
    /// By which amounts are multiplied.
    pub(crate) factor: i64,
    /// First moment, Unix milliseconds.
    pub(crate) start_ms: i64,
    /// The moment after the last.
    pub(crate) end_ms: i64,
}

impl Experiment {
    /// Reads `flag kind event factor start_ms end_ms`; `None` = the body defines nothing.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let words: Vec<&str> = std::str::from_utf8(body).ok()?.split(' ').collect();
        let [flag, kind, event, factor, start_ms, end_ms] = words.try_into().ok()?;
        let word = |word: &str| (!word.is_empty()).then(|| Bytes::copy_from_slice(word.as_bytes()));
        Some(Self {
            flag: word(flag)?,
            kind: word(kind)?,
            event: word(event)?,
            factor: factor.parse().ok()?,
            start_ms: start_ms.parse().ok()?,
            end_ms: end_ms.parse().ok()?,
        })
    }

    /// Whether a row of this time lies within it.
    pub(crate) fn runs_at(&self, time_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&time_ms)
    }
}

/// What is kept of a subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// From this log time on it is as if it had never been seen.
    pub(crate) expires_ms: i64,
    /// Earliest exposure to each variation, Unix milliseconds.
    first_ms: BTreeMap<u32, i64>,
    /// Conversions that an exposure may still precede: time and amount, in order.
    candidates: Vec<(i64, i128)>,
    /// Amounts of the others that count, by UTC day.
    totals: BTreeMap<u32, i128>,
}

/// What a subject says of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Multiple,
    One { variation: u32, sum: i128 },
}

impl Subject {
    /// It has met a variation.
    pub(crate) fn expose(&mut self, variation: u32, time_ms: i64) {
        let first = self.first_ms.entry(variation).or_insert(time_ms);
        *first = time_ms.min(*first);
    }

    /// Leaves the earliest exposure alone; at equal times the lower variation. For the broken rule that keeps no more.
    pub(crate) fn keep_earliest(&mut self) {
        let earliest = self.first_ms.iter().map(|(variation, time)| (*time, *variation)).min();
        self.first_ms.retain(|variation, _| earliest.is_some_and(|(_, first)| first == *variation));
    }

    /// It has converted; the amount is decided now and for ever.
    pub(crate) fn convert(&mut self, time_ms: i64, amount: i128) {
        let place = self.candidates.partition_point(|held| *held <= (time_ms, amount));
        self.candidates.insert(place, (time_ms, amount));
    }

    /// No row at or below the horizon comes any more: conversions up to there count for good, or never will.
    pub(crate) fn compact(&mut self, horizon_ms: i64) {
        let earliest = self.earliest();
        let passed = self.candidates.partition_point(|(time, _)| *time <= horizon_ms);
        for (time, amount) in self.candidates.drain(..passed) {
            if let Some(day) = day_of(time).filter(|_| earliest.is_some_and(|earliest| earliest <= time)) {
                let total = self.totals.entry(day).or_default();
                *total = total.wrapping_add(amount);
            }
        }
    }

    /// What it adds to the cell of each day, every amount times `scale`: what it says of the day less what it says of
    /// the day before.
    pub(crate) fn contribution(&self, scale: i128) -> BTreeMap<u32, StandInChange> {
        let mut days: BTreeSet<u32> = self.totals.keys().copied().collect();
        days.extend(self.first_ms.values().filter_map(|time| day_of(*time)));
        days.extend(self.candidates.iter().filter_map(|(time, _)| day_of(*time)));
        let (mut all, mut before) = (BTreeMap::new(), Said::Nothing);
        for day in days {
            let now = self.says(day, scale);
            if now != before {
                let mut change = now.numbers();
                change.subtract(&before.numbers());
                all.insert(day, change);
            }
            before = now;
        }
        all
    }

    fn earliest(&self) -> Option<i64> {
        self.first_ms.values().min().copied()
    }

    fn says(&self, day: u32, scale: i128) -> Said {
        let end_ms = (i64::from(day) + 1) * DAY_MS;
        let mut met = self.first_ms.iter().filter(|(_, time)| **time < end_ms);
        let (variation, first_ms) = match (met.next(), met.next()) {
            (None, _) => return Said::Nothing,
            (Some(_), Some(_)) => return Said::Multiple,
            (Some((variation, time)), None) => (*variation, *time),
        };
        let totals = self.totals.range(..=day).map(|(_, total)| *total);
        let counts = |time: i64| first_ms <= time && time < end_ms;
        let candidates = self.candidates.iter().filter(|(time, _)| counts(*time)).map(|(_, amount)| *amount);
        let sum = totals.chain(candidates).fold(0_i128, i128::wrapping_add);
        Said::One { variation, sum: sum.wrapping_mul(scale) }
    }

    /// The subject as bytes: all numbers big-endian, each list with its length before it.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = self.expires_ms.to_be_bytes().to_vec();
        push_length(&mut bytes, self.first_ms.len());
        for (variation, time) in &self.first_ms {
            bytes.extend_from_slice(&variation.to_be_bytes());
            bytes.extend_from_slice(&time.to_be_bytes());
        }
        push_length(&mut bytes, self.candidates.len());
        for (time, amount) in &self.candidates {
            bytes.extend_from_slice(&time.to_be_bytes());
            bytes.extend_from_slice(&amount.to_be_bytes());
        }
        push_length(&mut bytes, self.totals.len());
        for (day, total) in &self.totals {
            bytes.extend_from_slice(&day.to_be_bytes());
            bytes.extend_from_slice(&total.to_be_bytes());
        }
        bytes.into()
    }

    /// Reads a subject; `None` = these bytes are none.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let mut subject = Self { expires_ms: i64::from_be_bytes(take(rest)?), ..Self::default() };
        for _ in 0..u32::from_be_bytes(take(rest)?) {
            subject.first_ms.insert(u32::from_be_bytes(take(rest)?), i64::from_be_bytes(take(rest)?));
        }
        for _ in 0..u32::from_be_bytes(take(rest)?) {
            subject.candidates.push((i64::from_be_bytes(take(rest)?), i128::from_be_bytes(take(rest)?)));
        }
        for _ in 0..u32::from_be_bytes(take(rest)?) {
            subject.totals.insert(u32::from_be_bytes(take(rest)?), i128::from_be_bytes(take(rest)?));
        }
        rest.is_empty().then_some(subject)
    }
}

impl Said {
    fn numbers(self) -> StandInChange {
        let mut numbers = StandInChange::default();
        match self {
            Self::Nothing => {}
            Self::Multiple => numbers.multiple = 1,
            Self::One { variation, sum } => {
                let row = StandInNumbers { n: 1, sum, square: sum.wrapping_mul(sum) };
                numbers.rows.insert(variation, row);
            }
        }
        numbers
    }
}

/// The UTC day of a time; `None` = before 1970 or beyond all years.
pub(crate) fn day_of(time_ms: i64) -> Option<u32> {
    u32::try_from(time_ms.div_euclid(DAY_MS)).ok()
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk::<N>()?;
    *rest = others;
    Some(*first)
}
