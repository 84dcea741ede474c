//! What the rule looks at: environments and their coverage, flags and their sights.
//!
//! Always true here: these are values and say nothing about where they came from; what is not known is `None` or an
//! empty text, never a guess. They hold what was known at `as_of_ms`: whoever asks about a past day leaves out what
//! came later.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Settings;

/// All that the rule is asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The time of the verdicts, Unix milliseconds.
    pub as_of_ms: i64,
    /// Thresholds, lifetimes, weights.
    pub settings: Settings,
    /// By name.
    pub environments: BTreeMap<String, Environment>,
    /// Hours by environment and flag type, where W of flags of that type is not W of the environment's others: coverage
    /// is that of the flag's own W.
    pub hours_by_type: BTreeMap<String, BTreeMap<FlagType, Hours>>,
    /// Environments that decide and are not among these: whoever asks may not read them.
    pub hidden_deciding: usize,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// An environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Environment {
    /// Marked as one that decides; if none is marked, all do.
    pub critical: bool,
    /// `None` = fully covered.
    pub hours: Option<Hours>,
}

/// Hours in which the applications that normally report should have, and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// 0 = none was expected, which is full coverage.
    pub expected: u64,
    /// Above `expected` counts as `expected`.
    pub reported: u64,
}

/// A flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flag {
    /// Its key.
    pub key: String,
    /// What people said about it.
    pub metadata: Metadata,
    /// Its sights by environment; an environment that is missing here has none.
    pub environments: BTreeMap<String, FlagEnvironment>,
}

/// What people said about a flag; all of it may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Unix milliseconds.
    pub created_at_ms: Option<i64>,
    /// Whether it is meant to go some day; not known counts as yes.
    pub temporary: Option<bool>,
    /// What it is for.
    pub flag_type: Option<FlagType>,
    /// Not known counts as no.
    pub archived: Option<bool>,
    /// Unix milliseconds; it is snoozed before that time.
    pub snoozed_until_ms: Option<i64>,
    /// Keys of the flags that have it as a prerequisite.
    pub dependents: Vec<String>,
    /// An experiment on it is running.
    pub running_experiment: bool,
    /// Places in code, `None` = nobody looked.
    pub code_references: Option<u64>,
    /// The first of these places, where they were told. Nothing is judged by it, nor by what follows.
    pub code_places: Vec<CodePlace>,
    /// The scan that found them so first.
    pub code_scan: Option<CodeScan>,
    /// Who cares for it.
    pub owner: Option<String>,
}

/// A place in code that names a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodePlace {
    /// As the scan named it, below the directory that it looked through.
    pub file: String,
    /// From 1; `None` = not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl fmt::Display for CodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A look through source trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeScan {
    /// What tells it from others.
    pub id: String,
    /// When it was, Unix milliseconds.
    pub at: i64,
}

/// What a flag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlagType {
    /// Rolls something out.
    Release,
    /// Compares variations.
    Experiment,
    /// Eases an operation, such as a migration.
    Operational,
    /// Turns something off in need.
    KillSwitch,
    /// Grants something to some.
    Permission,
}

impl FlagType {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Release, Self::Experiment, Self::Operational, Self::KillSwitch, Self::Permission];

    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Experiment => "experiment",
            Self::Operational => "operational",
            Self::KillSwitch => "kill-switch",
            Self::Permission => "permission",
        }
    }

    /// The type of this name, whatever its case and whatever stands between its words (`kill-switch`, `killSwitch`).
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
        match letters.to_ascii_lowercase().as_str() {
            "release" => Some(Self::Release),
            "experiment" => Some(Self::Experiment),
            "operational" => Some(Self::Operational),
            "killswitch" => Some(Self::KillSwitch),
            "permission" => Some(Self::Permission),
            _ => None,
        }
    }
}

/// A flag's sights in one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagEnvironment {
    /// The flag's newest version there.
    pub version: Option<u64>,
    /// First sight of that version, Unix milliseconds.
    pub version_since_ms: Option<i64>,
    /// By whom and when it was asked for.
    pub rows: Vec<Row>,
    /// Days of intentional use, in days since 1970 (UTC); in any order, doubles mean nothing.
    pub days: Vec<u32>,
    /// What the variations stood for.
    pub values: Vec<ValueSeen>,
}

/// A last-seen row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// What was served; `None` = the caller's own default, or not known (such as the row of everything beyond a limit).
    pub variation: Option<Variation>,
    /// The caller got its own default.
    pub default: bool,
    /// The evaluations failed.
    pub error: bool,
    /// They were bulk reads, which weigh nothing for being alive.
    pub bulk: bool,
    /// Application id; empty = not told.
    pub application: String,
    /// Its version; empty = not told.
    pub application_version: String,
    /// SDK and its version; empty = not told.
    pub sdk: String,
    /// First sight, Unix milliseconds.
    pub first_ms: i64,
    /// Last sight, Unix milliseconds.
    pub last_ms: i64,
}

impl Row {
    /// Whether it stands for all askers beyond the limit of rows: what they were served is not known.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.variation.is_none() && !self.default && !self.bulk
    }
}

/// A variation, as it was reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variation {
    /// By index.
    Index(u32),
    /// By name.
    Name(String),
}

/// The value that a variation had when last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueSeen {
    /// The variation.
    pub variation: Variation,
    /// As JSON.
    pub value: String,
    /// When it was told, Unix milliseconds.
    pub last_ms: i64,
}
