//! `[gate]` and `[jobs]`: the flag that chooses between the old path and the new, and the queue of the old one, as
//! written and as understood. The old path's counters lie beside the cells, in the same kind of store.
//!
//! Always true here: without `[gate] flags` there is no old path, and `[jobs]` is refused.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::Written;
use super::kept::{self, belong, known};

/// Kinds of queues that this build has.
const QUEUES: &[&str] = &[
    "embedded",
    #[cfg(feature = "sqs")]
    "sqs",
];
/// Seconds for which a job may be out of sight: SQS's own limit is 12 hours.
const VISIBILITY_SECONDS: std::ops::RangeInclusive<u64> = 1..=43_200;

/// `[gate]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSection {
    /// The flagd flag file, watched; left out, there is no gate and the new path runs alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<PathBuf>,
    /// Most MiB of old writes under way; beyond it they are refused, and told as such.
    pub old_mib: u32,
}

impl Default for GateSection {
    fn default() -> Self {
        Self { flags: None, old_mib: u32::try_from(ingest::gate::Settings::OLD_BYTES_MAX >> 20).unwrap_or(64) }
    }
}

/// `[jobs]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsSection {
    /// `embedded` or `sqs`.
    pub kind: String,
    /// How long a job that a worker took stays out of sight before another worker may take it.
    pub visibility_seconds: u64,
    /// Another server than AWS's own, as `http://HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The queue's region; left out, as the environment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The queue's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

impl GateSection {
    /// One with every field, for those who need their names.
    pub fn with_all() -> Self {
        Self { flags: Some(PathBuf::new()), ..Self::default() }
    }
}

impl Default for JobsSection {
    fn default() -> Self {
        let visibility_seconds = oldpath::jobs::VISIBILITY.as_secs();
        Self { kind: "embedded".to_owned(), visibility_seconds, endpoint: None, region: None, queue: None }
    }
}

/// A gate, and where the old path keeps things.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The flag file.
    pub flags: PathBuf,
    /// Most bytes of old writes under way.
    pub old_bytes_max: usize,
    /// Where the old path counts.
    pub counters: Counters,
    /// Where its jobs wait.
    pub jobs: Jobs,
}

/// Where the old path counts.
#[derive(Debug, Clone)]
pub enum Counters {
    /// A file in the data directory.
    Embedded,
    /// DynamoDB.
    #[cfg(feature = "dynamodb")]
    DynamoDb(oldpath::store::dynamodb::Options),
}

/// Where jobs wait.
#[derive(Debug, Clone)]
pub enum Jobs {
    /// A file in the data directory.
    Embedded {
        /// How long one that was taken stays out of sight.
        visibility: Duration,
    },
    /// SQS.
    #[cfg(feature = "sqs")]
    Sqs(oldpath::jobs::sqs::Options),
}

/// The gate, where one is written.
///
/// # Errors
/// Which value cannot be, and what to write.
pub fn understand(written: &mut Written, store: &kept::Store) -> anyhow::Result<Option<Gate>> {
    let Some(flags) = written.gate.flags.clone() else {
        ensure!(
            written.jobs == JobsSection::default(),
            "[jobs] is the queue of the old path, which runs behind a gate; set [gate] flags to the gate's flag file, or take \
             [jobs] out"
        );
        return Ok(None);
    };
    ensure!(!flags.as_os_str().is_empty(), "gate.flags is empty; name a flagd flag file");
    ensure!(written.gate.old_mib >= 1, "gate.old_mib = 0 must be at least 1");
    let old_bytes_max = usize::try_from(u64::from(written.gate.old_mib) << 20).context("gate.old_mib is too much")?;
    let counters = counters(store)?;
    let jobs = written.jobs.understand()?;
    let one_process = matches!(counters, Counters::Embedded);
    ensure!(
        one_process == matches!(jobs, Jobs::Embedded { .. }),
        "jobs.kind = {:?} does not go with store.kind = {:?}: an embedded one is for one process, the others for several",
        written.jobs.kind,
        written.store.kind
    );
    Ok(Some(Gate { flags, old_bytes_max, counters, jobs }))
}

fn counters(store: &kept::Store) -> anyhow::Result<Counters> {
    match store {
        kept::Store::Embedded => Ok(Counters::Embedded),
        #[cfg(feature = "dynamodb")]
        kept::Store::DynamoDb(options) => {
            let stores::dynamodb::Options { endpoint, region, prefix, .. } = options.clone();
            let place = oldpath::aws::Place { endpoint, region };
            Ok(Counters::DynamoDb(oldpath::store::dynamodb::Options { place, prefix }))
        }
        #[cfg(feature = "cassandra")]
        kept::Store::Cassandra(_) => {
            anyhow::bail!(
                "[gate] flags: the old path counts in DynamoDB or embedded, not in Cassandra; take [gate] out"
            )
        }
    }
}

impl JobsSection {
    fn understand(&mut self) -> anyhow::Result<Jobs> {
        known("jobs", &self.kind, QUEUES, &["embedded", "sqs"])?;
        belong(
            "jobs",
            &self.kind,
            &[
                ("endpoint", self.endpoint.is_some(), &["sqs"]),
                ("region", self.region.is_some(), &["sqs"]),
                ("queue", self.queue.is_some(), &["sqs"]),
            ],
        )?;
        let seconds = self.visibility_seconds;
        ensure!(
            VISIBILITY_SECONDS.contains(&seconds),
            "jobs.visibility_seconds = {seconds} must lie between {} and {}",
            VISIBILITY_SECONDS.start(),
            VISIBILITY_SECONDS.end()
        );
        let visibility = Duration::from_secs(seconds);
        match self.kind.as_str() {
            #[cfg(feature = "sqs")]
            "sqs" => {
                let defaults = oldpath::jobs::sqs::Options::default();
                let queue = self.queue.get_or_insert(defaults.queue).clone();
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                ensure!(
                    (1..=75).contains(&queue.len()) && queue.bytes().all(is_name),
                    "jobs.queue = {queue:?} is no name: 1 to 75 letters, digits, - and _"
                );
                let place = oldpath::aws::Place { endpoint: self.endpoint.clone(), region: self.region.clone() };
                Ok(Jobs::Sqs(oldpath::jobs::sqs::Options { place, queue, visibility }))
            }
            _ => Ok(Jobs::Embedded { visibility }),
        }
    }

    /// One with every field, for those who need their names.
    pub fn with_all() -> Self {
        let text = || Some(String::new());
        Self { endpoint: text(), region: text(), queue: text(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(text: &str) -> anyhow::Result<Option<Gate>> {
        let mut written: Written = toml::from_str(text).unwrap();
        let store = written.store.understand()?;
        understand(&mut written, &store)
    }

    #[test]
    fn without_a_flag_file_there_is_no_gate_and_no_queue() {
        assert!(gate("").unwrap().is_none());
        let said = gate("[jobs]\nvisibility_seconds = 7").unwrap_err().to_string();
        assert!(said.contains("set [gate] flags"), "{said}");
    }

    #[test]
    fn a_gate_alone_has_its_old_path_in_the_data_directory() {
        let gate = gate("[gate]\nflags = \"gate.json\"").unwrap().unwrap();
        assert!(matches!(gate.counters, Counters::Embedded), "{gate:?}");
        assert!(matches!(gate.jobs, Jobs::Embedded { visibility } if visibility == oldpath::jobs::VISIBILITY));
        assert_eq!(gate.old_bytes_max, ingest::gate::Settings::OLD_BYTES_MAX);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, expected) in [
            ("[gate]\nflags = \"\"", "gate.flags is empty"),
            ("[gate]\nflags = \"g\"\nold_mib = 0", "gate.old_mib = 0 must"),
            ("[gate]\nflags = \"g\"\n[jobs]\nvisibility_seconds = 0", "jobs.visibility_seconds = 0 must lie between 1"),
            ("[gate]\nflags = \"g\"\n[jobs]\nqueue = \"q\"", "jobs.queue is for jobs.kind = \"sqs\""),
            ("[gate]\nflags = \"g\"\n[jobs]\nkind = \"rabbit\"", "jobs.kind = \"rabbit\" is unknown"),
        ] {
            let said = gate(text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[cfg(all(feature = "dynamodb", feature = "sqs"))]
    #[test]
    fn several_processes_share_their_counters_and_their_queue() {
        let text = "[store]\nkind = \"dynamodb\"\nprefix = \"x_\"\nendpoint = \"http://127.0.0.1:1\"\n[gate]\nflags = \"g\"\n[jobs]\nkind = \"sqs\"\n";
        let gate = gate(&format!("{text}queue = \"some-jobs\"")).unwrap().unwrap();
        let Counters::DynamoDb(counters) = &gate.counters else { panic!("{gate:?}") };
        assert_eq!((counters.prefix.as_str(), counters.place.endpoint.as_deref()), ("x_", Some("http://127.0.0.1:1")));
        assert!(matches!(&gate.jobs, Jobs::Sqs(jobs) if jobs.queue == "some-jobs"), "{gate:?}");
        let said = self::gate("[store]\nkind = \"dynamodb\"\n[gate]\nflags = \"g\"").unwrap_err().to_string();
        assert!(said.contains("jobs.kind = \"embedded\" does not go with store.kind = \"dynamodb\""), "{said}");
    }
}
