//! The programs and the runs: a new program or fault is a row.

use super::install::Installed;
use super::proxy::Fault;
use super::truth::Truth;
use anyhow::{Context, Result};
use std::process::Command;

/// A program that uses an SDK.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    language: Language,
    file: &'static str,
    /// What it does, where it does not say so itself; such a program takes part in the first run alone.
    known: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Language {
    Node,
    Python,
}

/// How a program is run.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) gzip: bool,
    pub(crate) fault: Fault,
}

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "the README's first program",
        language: Language::Node,
        file: "first.mjs",
        known: Some(r#"{"flags": {"my-first-flag": {"total": 3, "by_variation": {"0": 3}}}}"#),
    },
    Program { name: "Node server SDK", language: Language::Node, file: "program.mjs", known: None },
    Program { name: "Python server SDK", language: Language::Python, file: "program.py", known: None },
];

pub(crate) const RUNS: &[Run] = &[
    Run { name: "plain", gzip: false, fault: Fault::Nothing },
    Run { name: "compressed", gzip: true, fault: Fault::Nothing },
    Run { name: "a payload refused", gzip: false, fault: Fault::Refused },
    Run { name: "an answer lost", gzip: false, fault: Fault::AnswerLost },
    Run { name: "an answer lost, compressed", gzip: true, fault: Fault::AnswerLost },
    Run { name: "a diagnostic refused", gzip: false, fault: Fault::DiagnosticRefused },
];

impl Program {
    pub(crate) fn takes_part(&self, run: &Run) -> bool {
        self.known.is_none() || run.name == RUNS[0].name
    }

    pub(crate) fn command(&self, installed: &Installed) -> Command {
        let (program, folder) = match self.language {
            Language::Node => ("node".into(), &installed.node),
            Language::Python => (installed.python.join("venv/bin/python"), &installed.python),
        };
        let mut command = Command::new(program);
        command.arg(self.file).current_dir(folder);
        command
    }

    /// What the program did, from the last line of its output if it says so there.
    pub(crate) fn truth(&self, output: &str) -> Result<Truth> {
        let text = self.known.or_else(|| output.lines().last()).context("the program said nothing")?;
        serde_json::from_str(text).with_context(|| format!("the program's last line: {text}"))
    }
}
