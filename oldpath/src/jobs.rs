//! The old path's queue: a job for each custom event and each exposure.
//!
//! Always true here: a job that was taken and not deleted comes again when its visibility time-out has passed, with a
//! count of its deliveries; one delivered [`DELIVERIES_MAX`] times lies among the dead letters when it is due again; an
//! answered send is kept. A job is JSON of its own words, since people read queues.
//!
//! Where to go next: [`embedded`] is for a single process, `sqs` (feature) for several; `conformance` (feature
//! `testing`) is what each must pass.

pub mod embedded;
#[cfg(feature = "sqs")]
pub mod sqs;

use std::time::Duration;

use futures_util::future::BoxFuture;
use ingest::gate::OldVariation;
use schemas::id::{Environment, KeyError};
use serde::{Deserialize, Serialize};

use crate::counter::{Add, Counter};
use crate::{Error, WriteError};

/// Jobs of one send, one receive or one delete: SQS's own limit.
pub const BATCH_MAX: usize = 10;
/// How often a job is delivered before it lies among the dead letters.
pub const DELIVERIES_MAX: u32 = 5;
/// How long a job that was taken stays out of sight, unless told otherwise.
pub const VISIBILITY: Duration = Duration::from_secs(30);

/// A queue of jobs.
pub trait Jobs: Send + Sync + std::fmt::Debug {
    /// Sends jobs, at most [`BATCH_MAX`] of them; an answer for each, in their order. One attempt.
    fn send(&self, jobs: Vec<Job>) -> BoxFuture<'_, Vec<Result<(), WriteError>>>;

    /// Takes jobs, at most [`BATCH_MAX`] of them and at least one where there is any; waits for the first so long.
    fn receive(&self, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, Error>>;

    /// Deletes jobs that were taken, at most [`BATCH_MAX`] of them; an answer for each. A job that was delivered to
    /// somebody else since may come again.
    fn delete(&self, receipts: Vec<Receipt>) -> BoxFuture<'_, Vec<Result<(), WriteError>>>;

    /// How a job that was taken stays out of sight.
    fn visibility(&self) -> Duration;

    /// How many jobs lie where, about.
    fn held(&self) -> BoxFuture<'_, Result<Held, Error>>;
}

/// How many jobs a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// To be taken.
    pub waiting: u64,
    /// Taken, neither deleted nor due again.
    pub taken: u64,
    /// Given up.
    pub dead: u64,
}

/// A job as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What is to be done; or why what was in the queue is no job.
    pub job: Result<Job, String>,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// By which it is deleted.
    pub receipt: Receipt,
}

/// Names a delivery to its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub(crate) String);

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Key of the project.
    pub project: String,
    /// Key of the environment.
    pub environment: String,
    /// Unix milliseconds, as ingest judged it.
    pub time_ms: i64,
    /// Sent in stage `off`, of which the log knows nothing.
    pub off: bool,
    /// What is counted.
    #[serde(flatten)]
    pub what: What,
}

/// What a job counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What {
    /// A custom event.
    Event {
        /// Its key.
        key: String,
        /// Its metric value in millionths.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value_micros: Option<i64>,
        /// How many events it stands for.
        sampling: u64,
    },
    /// An evaluation that was part of an experiment.
    Exposure {
        /// The flag's key.
        flag: String,
        /// What was served.
        variation: Served,
    },
}

/// What was served, as a job says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Served {
    /// The caller's own default.
    Default,
    /// The variation with this index.
    Index(u32),
    /// The variation with this name.
    Name(String),
}

impl Job {
    /// As it lies in a queue. SQS takes no U+FFFE and U+FFFF, and no control characters; JSON writes all of them as
    /// escapes, if asked.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers alone: there is nothing in it that could not be written.
        let json = serde_json::to_string(self).unwrap_or_default();
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    }

    /// Reads one; else says why it is none.
    pub(crate) fn from_json(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Whose it is.
    ///
    /// # Errors
    /// [`KeyError`] when a key is none.
    pub fn environment(&self) -> Result<Environment, KeyError> {
        Environment::new(&self.project, &self.environment)
    }

    /// The addition that it asks for.
    ///
    /// # Errors
    /// [`KeyError`] when a key is none.
    pub fn add(&self) -> Result<Add, KeyError> {
        let (counter, number, value) = match &self.what {
            What::Event { key, value_micros, sampling } => {
                (Counter::Events { key: key.as_str().into() }, *sampling, *value_micros)
            }
            What::Exposure { flag, variation } => {
                let variation = variation.clone().into();
                (Counter::Exposures { flag: flag.as_str().into(), variation }, 1, None)
            }
        };
        Ok(Add { environment: self.environment()?, counter, time_ms: self.time_ms, number, off: self.off, value })
    }
}

impl From<OldVariation> for Served {
    fn from(variation: OldVariation) -> Self {
        match variation {
            OldVariation::Default => Self::Default,
            OldVariation::Index(index) => Self::Index(index),
            OldVariation::Name(name) => Self::Name(name.into()),
        }
    }
}

impl From<Served> for OldVariation {
    fn from(served: Served) -> Self {
        match served {
            Served::Default => Self::Default,
            Served::Index(index) => Self::Index(index),
            Served::Name(name) => Self::Name(name.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(what: What) -> Job {
        Job {
            project: "default".into(),
            environment: "production".into(),
            time_ms: 1_780_000_000_000,
            off: false,
            what,
        }
    }

    #[track_caller]
    fn check(what: What, expected: &str) {
        let job = job(what);
        assert_eq!(job.to_json(), expected);
        assert_eq!(Job::from_json(expected), Ok(job));
    }

    #[test]
    fn a_job_is_readable_and_comes_back() {
        check(
            What::Event { key: "checkout".into(), value_micros: Some(24_990_000), sampling: 1 },
            r#"{"project":"default","environment":"production","time_ms":1780000000000,"off":false,"kind":"event","key":"checkout","value_micros":24990000,"sampling":1}"#,
        );
        check(
            What::Exposure { flag: "a\u{1}\u{ffff}".into(), variation: Served::Index(1) },
            r#"{"project":"default","environment":"production","time_ms":1780000000000,"off":false,"kind":"exposure","flag":"a\u0001\uffff","variation":{"index":1}}"#,
        );
        check(
            What::Exposure { flag: "a".into(), variation: Served::Default },
            r#"{"project":"default","environment":"production","time_ms":1780000000000,"off":false,"kind":"exposure","flag":"a","variation":"default"}"#,
        );
    }

    #[test]
    fn what_is_no_job_is_told() {
        for (json, why) in
            [("{}", "missing field"), (r#"{"kind":"party"}"#, "missing field"), ("job", "expected value")]
        {
            let error = Job::from_json(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }
}
