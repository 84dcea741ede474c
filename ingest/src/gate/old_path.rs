//! What the old path is given: a payload's rows as they are after all that ingest decides.
//!
//! Always true here: rows own what they hold, so that a write may outlive its request; times are as judged; nothing of
//! a rejected element is in them.

use std::fmt;

use futures_util::future::BoxFuture;
use schemas::event::Variation;
use schemas::fixed::Micros;
use schemas::id::Environment;

use super::Stage;

/// The other sink of ingest. Its answer is waited for in the stages `off` and `shadow` alone.
pub trait OldPath: Send + Sync + fmt::Debug {
    /// Writes a payload's rows. In `off` the log knows nothing of them; in every other stage the log has all records
    /// of the payload before this is called. What is called is also polled to its end, unless the process stops.
    fn write(&self, payload: OldPayload) -> BoxFuture<'static, OldAnswer>;

    /// Takes note that nothing of this payload will be written: the log says that both paths are written, but too many
    /// old writes are under way. Must not wait, and should keep no more of it than sums.
    fn refuse(&self, payload: OldPayload);
}

/// What came of an old write, as far as the sender's answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldAnswer {
    /// All rows are written.
    Written,
    /// Some row may not be: a 503 where it is waited for.
    NotWritten,
}

/// A payload's rows on their way to the old path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPayload {
    /// Whose they are.
    pub environment: Environment,
    /// The stage that the payload is in; one that writes the old path.
    pub stage: Stage,
    /// Receive time, Unix milliseconds.
    pub received_ms: i64,
    /// Evaluations counted.
    pub counts: Vec<OldCount>,
    /// Custom events: a job each.
    pub events: Vec<OldEvent>,
    /// Evaluations that were part of an experiment: a job each.
    pub exposures: Vec<OldExposure>,
}

/// Evaluations of a flag's variation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldCount {
    /// The flag's key.
    pub flag: Box<str>,
    /// What was served.
    pub variation: OldVariation,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// How often; at least 1.
    pub count: u64,
    /// The new path leaves it out for its age.
    pub late: bool,
}

/// A custom event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldEvent {
    /// The event's key.
    pub key: Box<str>,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// Its metric value; `None` = none was given, or it was out of range.
    pub value: Option<Micros>,
    /// How many events it stands for; at least 1.
    pub sampling: u64,
    /// The new path leaves it out for its age.
    pub late: bool,
}

/// An evaluation that was part of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldExposure {
    /// The flag's key.
    pub flag: Box<str>,
    /// What was served.
    pub variation: OldVariation,
    /// Unix milliseconds.
    pub time_ms: i64,
}

/// What was served, owned: see [`Variation`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OldVariation {
    /// The caller's own default.
    Default,
    /// The variation with this index.
    Index(u32),
    /// The variation with this name.
    Name(Box<str>),
}

impl OldPayload {
    /// Nothing in it is for the old path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.events.is_empty() && self.exposures.is_empty()
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = |variation: &OldVariation| if let OldVariation::Name(name) = variation { name.len() } else { 0 };
        let counts = self.counts.iter().map(|row| row.flag.len() + names(&row.variation));
        let events = self.events.iter().map(|row| row.key.len());
        let exposures = self.exposures.iter().map(|row| row.flag.len() + names(&row.variation));
        size_of::<Self>()
            + size_of_val(&*self.counts)
            + size_of_val(&*self.events)
            + size_of_val(&*self.exposures)
            + counts.chain(events).chain(exposures).sum::<usize>()
    }
}

impl OldVariation {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Variation<'_> {
        match self {
            Self::Default => Variation::Default,
            Self::Index(index) => Variation::Index(*index),
            Self::Name(name) => Variation::Name((&**name).into()),
        }
    }
}

impl From<&Variation<'_>> for OldVariation {
    fn from(variation: &Variation<'_>) -> Self {
        match variation {
            Variation::Default => Self::Default,
            Variation::Index(index) => Self::Index(*index),
            Variation::Name(name) => Self::Name((&**name).into()),
        }
    }
}
