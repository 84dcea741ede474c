//! Another path that counts the same as this one, where there is one: what it is asked for.
//!
//! Always true here: nothing is known of how the other path counts. While it is in charge of an environment, reads are
//! answered from it ([`crate::other_reads`]); [`crate::comparison`] says why its numbers differ from ours.

use std::fmt;
use std::ops::Range;

use futures_util::future::BoxFuture;
use schemas::id::Environment;
use serde::Serialize;

use crate::cells::Served;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Evaluations of flags.
    Evaluations,
    /// Custom events.
    Events,
}

/// What is asked of the other path.
#[derive(Debug, Clone)]
pub struct OtherHours<'a> {
    /// Whose.
    pub environment: &'a Environment,
    /// Of what.
    pub counts: Counts,
    /// Of which flag or event; `None` = of all.
    pub key: Option<&'a str>,
    /// UTC hours since 1970.
    pub hours: Range<u32>,
    /// More counters than this are an error.
    pub limit: usize,
}

/// A counter of the other path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCount {
    /// The flag's or the event's key.
    pub key: String,
    /// What was served; of custom events the default.
    pub served: Served,
    /// UTC hour since 1970.
    pub hour: u32,
    /// How many.
    pub number: u64,
    /// How many of them were written while this path was given nothing (stage off).
    pub number_off: u64,
    /// When it was written to last, about, Unix milliseconds.
    pub seen_ms: i64,
}

/// Why the other path does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherError {
    /// It does not answer now.
    Unavailable(String),
    /// More was asked for than it gives, or it is not set up right.
    Refused(String),
}

/// Which path is in charge of an environment, and how that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStage {
    /// Key of the project.
    pub project: String,
    /// Key of the environment.
    pub environment: String,
    /// The stage in force.
    pub stage: &'static str,
    /// The stage that the flag asked for when it could last be read.
    pub asked: Option<&'static str>,
    /// Since when the stage is in force, Unix milliseconds.
    pub since: i64,
    /// Why the step forward that the flag asks for is not made.
    pub held_back: Option<String>,
    /// Why the flag says nothing now.
    pub flag_error: Option<String>,
    /// The newest changes, oldest first.
    pub history: Vec<StageChange>,
}

/// A change of stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageChange {
    /// When, Unix milliseconds.
    pub at: i64,
    /// From where; null = no stage was known before.
    pub from: Option<&'static str>,
    /// To where.
    pub to: &'static str,
    /// Why.
    pub cause: String,
}

/// Another path.
pub trait OtherPath: Send + Sync + fmt::Debug {
    /// Whether reads of this environment are answered from it.
    fn is_in_charge(&self, environment: &Environment) -> bool;

    /// Its counters, in no order that matters.
    fn counts<'a>(&'a self, asked: OtherHours<'a>) -> BoxFuture<'a, Result<Vec<OtherCount>, OtherError>>;

    /// Which path is in charge of each environment, in their order.
    fn stages(&self) -> Vec<EnvironmentStage>;
}
