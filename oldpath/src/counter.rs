//! What the old path counts, and how a counter's key lies in a store.
//!
//! Always true here: a counter is of one environment, one kind, one key, one UTC hour and, but for custom events, one
//! variation; keys are told apart by length, never by a separator; in a row's order stand the hours of one key one
//! after another.

use ingest::gate::OldVariation;
use schemas::id::{Environment, push_part, take_part};

const HOUR_MS: i64 = 3_600_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Evaluations of flags.
    Evaluations = 1,
    /// Custom events.
    Events = 2,
    /// Evaluations that were part of an experiment.
    Exposures = 3,
}

/// What a counter counts within its hour.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Evaluations of a flag's variation.
    Evaluations {
        /// The flag's key.
        flag: Box<str>,
        /// What was served.
        variation: OldVariation,
    },
    /// Custom events of a key.
    Events {
        /// The event's key.
        key: Box<str>,
    },
    /// Evaluations of a flag's variation that were part of an experiment.
    Exposures {
        /// The flag's key.
        flag: Box<str>,
        /// What was served.
        variation: OldVariation,
    },
}

impl Counter {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Evaluations { .. } => Kind::Evaluations,
            Self::Events { .. } => Kind::Events,
            Self::Exposures { .. } => Kind::Exposures,
        }
    }

    /// The key of the flag or event.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Evaluations { flag: key, .. } | Self::Events { key } | Self::Exposures { flag: key, .. } => key,
        }
    }
}

/// One addition to a counter: what one `UpdateItem … ADD` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// Whose counter.
    pub environment: Environment,
    /// Which.
    pub counter: Counter,
    /// Its time, Unix milliseconds: tells the hour, and is set as last seen.
    pub time_ms: i64,
    /// How many.
    pub number: u64,
    /// Written in stage `off`, of which the log knows nothing.
    pub off: bool,
    /// Of a custom event: its value in millionths, which counts `number` times.
    pub value: Option<i64>,
}

impl Add {
    /// The UTC hour in which it counts, in hours since 1970.
    #[must_use]
    pub fn hour(&self) -> u32 {
        hour_of(self.time_ms)
    }

    /// What it adds, as the totals of a counter that has nothing else.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            number: self.number,
            number_off: if self.off { self.number } else { 0 },
            valued: if self.value.is_some() { self.number } else { 0 },
            sum_micros: i128::from(self.value.unwrap_or(0)) * i128::from(self.number),
            seen_ms: self.time_ms,
        }
    }
}

/// The UTC hour of a time in Unix milliseconds, in hours since 1970; ingest lets no earlier time pass.
#[must_use]
pub fn hour_of(time_ms: i64) -> u32 {
    u32::try_from(time_ms.div_euclid(HOUR_MS)).unwrap_or(0)
}

/// What a counter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many.
    pub number: u64,
    /// How many of them were written in stage `off`.
    pub number_off: u64,
    /// Of custom events: how many had a value.
    pub valued: u64,
    /// Of custom events: the exact sum of the values, in millionths.
    pub sum_micros: i128,
    /// Time of what was written last, Unix milliseconds; within the hour it may step back.
    pub seen_ms: i64,
}

impl Totals {
    /// With another addition.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            number: self.number.saturating_add(more.number),
            number_off: self.number_off.saturating_add(more.number_off),
            valued: self.valued.saturating_add(more.valued),
            sum_micros: self.sum_micros.saturating_add(more.sum_micros),
            seen_ms: more.seen_ms,
        }
    }
}

/// A counter as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Of what.
    pub counter: Counter,
    /// In which UTC hour, in hours since 1970.
    pub hour: u32,
    /// What it holds.
    pub totals: Totals,
}

/// The row of a store in which all counters of a kind of an environment lie.
pub(crate) fn row(environment: &Environment, kind: Kind) -> Vec<u8> {
    let mut row = vec![kind as u8];
    push_part(&mut row, &environment.project);
    push_part(&mut row, &environment.key);
    row
}

const NO_VARIATION: u8 = 0;
const DEFAULT: u8 = 1;
const INDEX: u8 = 2;
const NAME: u8 = 3;

/// Where a counter stands in its row.
pub(crate) fn sort(counter: &Counter, hour: u32) -> Vec<u8> {
    let mut sort = hour_start(counter.key(), hour);
    match counter {
        Counter::Events { .. } => sort.push(NO_VARIATION),
        Counter::Evaluations { variation, .. } | Counter::Exposures { variation, .. } => match variation {
            OldVariation::Default => sort.push(DEFAULT),
            OldVariation::Index(index) => {
                sort.push(INDEX);
                sort.extend_from_slice(&index.to_be_bytes());
            }
            OldVariation::Name(name) => {
                sort.push(NAME);
                sort.extend_from_slice(name.as_bytes());
            }
        },
    }
    sort
}

/// Where an hour of a key begins in its row.
pub(crate) fn hour_start(key: &str, hour: u32) -> Vec<u8> {
    let mut sort = Vec::new();
    push_part(&mut sort, key.as_bytes());
    sort.extend_from_slice(&hour.to_be_bytes());
    sort
}

/// What comes after every hour of a key, and before the next key.
pub(crate) fn key_end(key: &str) -> Vec<u8> {
    let mut sort = hour_start(key, u32::MAX);
    sort.push(u8::MAX);
    sort
}

/// The counter and the hour that stand here in a row of this kind; `None` where none can.
pub(crate) fn read_sort(kind: Kind, mut sort: &[u8]) -> Option<(Counter, u32)> {
    let key: Box<str> = std::str::from_utf8(take_part(&mut sort)?).ok()?.into();
    let (hour, sort) = sort.split_first_chunk::<4>()?;
    let (tag, rest) = sort.split_first()?;
    let variation = match *tag {
        NO_VARIATION if kind == Kind::Events => None,
        DEFAULT => Some(OldVariation::Default),
        INDEX => Some(OldVariation::Index(u32::from_be_bytes(rest.try_into().ok()?))),
        NAME => Some(OldVariation::Name(std::str::from_utf8(rest).ok()?.into())),
        _ => return None,
    };
    let counter = match (kind, variation) {
        (Kind::Evaluations, Some(variation)) => Counter::Evaluations { flag: key, variation },
        (Kind::Exposures, Some(variation)) => Counter::Exposures { flag: key, variation },
        (Kind::Events, None) => Counter::Events { key },
        _ => return None,
    };
    Some((counter, u32::from_be_bytes(*hour)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_as_it_was_and_keys_keep_their_hours_together() {
        let variations = [OldVariation::Default, OldVariation::Index(7), OldVariation::Name("on\u{1}".into())];
        let mut all = Vec::new();
        for key in ["a", "b", "ab", "a\u{ff}"] {
            for hour in [0, 1, 494_000, u32::MAX] {
                all.extend(
                    variations.iter().map(|variation| {
                        (Counter::Evaluations { flag: key.into(), variation: variation.clone() }, hour)
                    }),
                );
            }
        }
        let mut sorts: Vec<Vec<u8>> = all.iter().map(|(counter, hour)| sort(counter, *hour)).collect();
        for (sort, expected) in sorts.iter().zip(&all) {
            assert_eq!(read_sort(Kind::Evaluations, sort).as_ref(), Some(expected));
            assert_eq!(read_sort(Kind::Events, sort), None);
            assert!(*sort < key_end(expected.0.key()));
            assert!(*sort >= hour_start(expected.0.key(), expected.1));
        }
        sorts.sort();
        let mut keys: Vec<String> =
            sorts.iter().filter_map(|sort| Some(read_sort(Kind::Evaluations, sort)?.0.key().to_owned())).collect();
        keys.dedup();
        assert_eq!(keys.len(), 4, "each key once: {keys:?}");
        let event = Counter::Events { key: "checkout".into() };
        assert_eq!(read_sort(Kind::Events, &sort(&event, 3)), Some((event, 3)));
    }

    #[test]
    fn an_hour_is_that_of_utc() {
        assert_eq!([hour_of(0), hour_of(3_599_999), hour_of(3_600_000), hour_of(-1)], [0, 0, 1, 0]);
    }
}
