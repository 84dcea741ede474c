//! The ledger: a file of JSON lines, one before each send and one after each answer.
//!
//! Always true here: the line of a send has been handed to the operating system before its first byte goes to the
//! socket, so a payload that may have reached the server stands in the ledger, whatever dies. An attempt without an
//! answer's line is unknown. What many payloads hold alike is written once, before the first of them, and has a number
//! that is good until the next run begins. Each line is one write; a line torn by the ledger's own death is followed by
//! the end of the file or by a new run. `check/check.py` reads it too.

use crate::contents::Contents;
use crate::environments;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A run begins.
    Run(Run),
    /// What payloads to come hold.
    Contents(Described),
    /// An attempt is about to be sent.
    Send(Attempt),
    /// An attempt has been answered, or has failed.
    Answer(Answered),
}

/// What a run was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Makes payload ids differ between runs of one seed.
    pub(crate) run: u64,
    pub(crate) seed: u64,
    pub(crate) clients: u64,
    pub(crate) at_ms: i64,
}

/// What payloads hold, under a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) number: u64,
    pub(crate) contents: Contents,
}

/// What a payload holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Holds {
    /// What stands under this number in the same run.
    Numbered(u64),
    Whole(Contents),
}

/// An attempt about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) payload: String,
    /// As `project/environment`.
    #[serde(default = "default_environment")]
    pub(crate) environment: String,
    /// 1 for the first.
    pub(crate) attempt: u32,
    pub(crate) at_ms: i64,
    /// When the schedule wanted it to be sent, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intended_ms: Option<i64>,
    pub(crate) contents: Holds,
}

fn default_environment() -> String {
    environments::DEFAULT.to_owned()
}

/// An attempt's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) payload: String,
    pub(crate) attempt: u32,
    pub(crate) at_ms: i64,
    pub(crate) outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Answered with this status.
    Status(u16),
    /// No connection was made: nothing was sent.
    NotConnected,
    /// The connection ended before an answer came.
    Closed,
    /// No answer came in time.
    TimedOut,
    /// What came was no HTTP answer.
    Malformed,
}

/// What a server's user may conclude from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It has it.
    Acknowledged,
    /// It said no, for good; or was never asked.
    Refused,
    /// It may or may not have it.
    Unknown,
}

impl Outcome {
    /// What it means; the SDK's retryable statuses leave it open.
    pub(crate) fn meaning(self) -> Meaning {
        match self {
            Self::Status(200..=299) => Meaning::Acknowledged,
            Self::Status(400 | 408 | 429) => Meaning::Unknown,
            Self::Status(400..=499) | Self::NotConnected => Meaning::Refused,
            Self::Status(_) | Self::Closed | Self::TimedOut | Self::Malformed => Meaning::Unknown,
        }
    }

    /// The SDK sends such a payload once more.
    pub(crate) fn is_retryable(self) -> bool {
        self == Self::NotConnected || self.meaning() == Meaning::Unknown
    }
}

/// A ledger open for writing, shared by all clients of a process.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// None = lines go nowhere.
    file: Option<Mutex<File>>,
    path: PathBuf,
}

impl Ledger {
    /// Opens a ledger to add to, or makes it. A torn last line is ended, so that the next run starts on a line of its
    /// own.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.with_context(|| format!("cannot open the ledger `{}`", path.display()))?;
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self { file: Some(Mutex::new(file)), path: path.to_owned() })
    }

    /// A ledger that keeps nothing, for a load that nobody checks.
    pub(crate) fn nowhere() -> Self {
        Self { file: None, path: PathBuf::new() }
    }

    /// Writes one line. When this returns, the operating system has it.
    pub(crate) fn write(&self, line: &Line) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        // A writer that panicked half-way through a line left a torn line, which readers refuse: going on is safe.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).with_context(|| format!("cannot write to the ledger `{}`", self.path.display()))
    }
}

/// Reads a ledger and hands each line to `take`, in order.
///
/// # Errors
/// A line that cannot be read and is not one torn by the writer's death, or one that `take` refuses.
pub(crate) fn read(path: &Path, mut take: impl FnMut(Line) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open the ledger `{}`", path.display()))?;
    let mut torn: Option<usize> = None;
    for (number, text) in BufReader::new(file).split(b'\n').enumerate() {
        let text = text?;
        let line = serde_json::from_slice::<Line>(&text);
        match (torn, line) {
            (Some(before), ref line) if !matches!(line, Ok(Line::Run(_))) => {
                bail!("line {before} of the ledger `{}` cannot be read, and no run begins after it", path.display())
            }
            (_, Ok(line)) => {
                torn = None;
                let at = || format!("line {} of the ledger `{}`", number + 1, path.display());
                take(line).with_context(at)?;
            }
            (_, Err(_)) => torn = Some(number + 1),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(payload: &str) -> Line {
        Line::Send(Attempt {
            payload: payload.into(),
            environment: default_environment(),
            attempt: 1,
            at_ms: 5,
            intended_ms: None,
            contents: Holds::Whole(Contents::default()),
        })
    }

    fn run() -> Line {
        Line::Run(Run { run: 1, seed: 2, clients: 3, at_ms: 4 })
    }

    fn read_all(path: &Path) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        read(path, |line| {
            lines.push(line);
            Ok(())
        })?;
        Ok(lines)
    }

    #[test]
    fn a_torn_line_is_passed_only_at_the_end_or_before_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        Ledger::open(&path).unwrap().write(&send("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        assert_eq!(read_all(&path).unwrap(), [send("a")]);

        let ledger = Ledger::open(&path).unwrap();
        ledger.write(&run()).unwrap();
        ledger.write(&send("b")).unwrap();
        assert_eq!(read_all(&path).unwrap(), [send("a"), run(), send("b")]);

        std::fs::write(&path, [&whole[..20], b"\n", &whole[..]].concat()).unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.starts_with("line 1 of the ledger"), "{error}");
    }

    #[test]
    fn every_line_is_read_as_it_was_written_and_in_the_documented_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Ledger::open(&path).unwrap();
        let numbered = Attempt {
            payload: "p".into(),
            environment: "load/environment-3".into(),
            attempt: 2,
            at_ms: 9,
            intended_ms: Some(7),
            contents: Holds::Numbered(5),
        };
        let answered = |outcome| Answered { payload: "p".into(), attempt: 2, at_ms: 11, outcome };
        let lines = [
            run(),
            Line::Contents(Described { number: 5, contents: Contents { elements: 2, ..Contents::default() } }),
            Line::Send(numbered),
            send("q"),
            Line::Answer(answered(Outcome::Status(503))),
            Line::Answer(answered(Outcome::TimedOut)),
        ];
        lines.iter().for_each(|line| ledger.write(line).unwrap());
        assert_eq!(read_all(&path).unwrap(), lines);
        let wanted = [
            r#"{"run":{"run":1,"seed":2,"clients":3,"at_ms":4}}"#,
            r#"{"contents":{"number":5,"contents":{"elements":2,"evaluations":[],"events":[]}}}"#,
            r#"{"send":{"payload":"p","environment":"load/environment-3","attempt":2,"at_ms":9,"intended_ms":7,"contents":5}}"#,
            r#"{"send":{"payload":"q","environment":"default/development","attempt":1,"at_ms":5,"contents":{"elements":0,"evaluations":[],"events":[]}}}"#,
            r#"{"answer":{"payload":"p","attempt":2,"at_ms":11,"outcome":{"status":503}}}"#,
            r#"{"answer":{"payload":"p","attempt":2,"at_ms":11,"outcome":"timed_out"}}"#,
        ];
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_written_line_is_on_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Ledger::open(&path).unwrap();
        ledger.write(&send("a")).unwrap();
        assert_eq!(read_all(&path).unwrap(), [send("a")], "while the ledger is still open");
    }

    #[test]
    fn outcomes_mean_what_the_guarantee_says() {
        let means = |outcome: Outcome| (outcome.meaning(), outcome.is_retryable());
        assert_eq!(means(Outcome::Status(202)), (Meaning::Acknowledged, false));
        for status in [400, 408, 429, 500, 503, 302] {
            assert_eq!(means(Outcome::Status(status)), (Meaning::Unknown, true), "{status}");
        }
        for status in [401, 403, 404, 413] {
            assert_eq!(means(Outcome::Status(status)), (Meaning::Refused, false), "{status}");
        }
        for outcome in [Outcome::Closed, Outcome::TimedOut, Outcome::Malformed] {
            assert_eq!(means(outcome), (Meaning::Unknown, true), "{outcome:?}");
        }
        assert_eq!(means(Outcome::NotConnected), (Meaning::Refused, true));
    }
}
