//! What `cargo xtask verify` does, in order: one row a step. A step is a command that anyone can type; it fails when
//! the command does.

use crate::workspace;
use anyhow::Result;
use std::process::Command;

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What holds when it passes.
    pub(crate) what: &'static str,
    pub(crate) program: Program,
    /// Its arguments; `TESTING` stands for the `testing` features of all packages that have one, `BUILT` and `RELEASED`
    /// for the command as the steps `build` and `build-release` made it.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// A step that must have passed before this one can tell anything.
    pub(crate) needs: Option<&'static str>,
    pub(crate) minutes_max: u64,
}

/// What runs a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Cargo,
    /// This program.
    Xtask,
}

const TESTING: &str = "{testing}";
const BUILT: &str = "{target}/debug/flagstream";
/// How many seeds each test tries that tries seeds; a step that sets it fails when no test says that it took so many.
pub(crate) const SEEDS: &str = "FLAGSTREAM_SEEDS";
/// Our crates optimised, and overflows and debug assertions checked as ever: many seeds take a quarter of the time.
const OPTIMISED: (&str, &str) = ("CARGO_PROFILE_TEST_OPT_LEVEL", "2");
const RELEASED: &str = "{target}/release/flagstream";

const STEP: Step = Step {
    name: "",
    what: "",
    program: Program::Cargo,
    arguments: &[],
    environment: &[],
    needs: None,
    minutes_max: 30,
};

/// The steps of `verify`.
pub(crate) const VERIFY: &[Step] = &[
    Step {
        name: "tools",
        what: "what the steps need is installed",
        program: Program::Xtask,
        arguments: &["tools"],
        ..STEP
    },
    Step {
        name: "format",
        what: "rustfmt has nothing to change",
        arguments: &["fmt", "--all", "--check", "--", "--color", "never"],
        ..STEP
    },
    Step {
        name: "arrows",
        what: "packages import what they may",
        program: Program::Xtask,
        arguments: &["arrows"],
        ..STEP
    },
    Step {
        name: "clippy",
        what: "clippy has nothing to say",
        arguments: &["clippy", "--workspace", "--all-targets", TESTING, "--", "--deny", "warnings"],
        ..STEP
    },
    Step {
        name: "clippy-default",
        what: "nor of what users build, without the features of tests",
        // The simulation asks for the features of tests, and would switch them on for all.
        arguments: &["clippy", "--workspace", "--exclude", "simulation", "--", "--deny", "warnings"],
        ..STEP
    },
    Step {
        name: "without-oldpath",
        what: "nor of a build without the old path, of which nothing else knows",
        arguments: &["clippy", "--package", "flagstream", "--no-default-features", "--", "--deny", "warnings"],
        ..STEP
    },
    Step {
        name: "build",
        what: "the command builds as its users build it",
        arguments: &["build", "--package", "flagstream"],
        ..STEP
    },
    Step {
        name: "tests",
        what: "every test of every package passes",
        arguments: &["test", "--workspace", "--no-fail-fast", TESTING],
        ..STEP
    },
    Step {
        name: "docs",
        what: "the documentation builds and its links lead somewhere",
        arguments: &["doc", "--workspace", "--no-deps", "--document-private-items"],
        environment: &[("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private_intra_doc_links")],
        ..STEP
    },
    Step {
        name: "sdks",
        what: "real SDKs are counted exactly, also through faults",
        program: Program::Xtask,
        arguments: &["sdks"],
        needs: Some("build"),
        minutes_max: 10,
        ..STEP
    },
    Step {
        name: "crash",
        what: "killed under load 20 times at 1 and at 4 partitions, and every acknowledged event is there once",
        arguments: &["run", "--quiet", "--package", "loadtest", "--", "crash", "--binary", BUILT],
        needs: Some("build"),
        minutes_max: 10,
        ..STEP
    },
    Step {
        name: "load",
        what: "what a fleet sent is what was counted, to the minute, and what the log holds, by a program in Python",
        program: Program::Xtask,
        arguments: &["load", "--binary", BUILT],
        needs: Some("build"),
        minutes_max: 10,
        ..STEP
    },
    Step {
        name: "sim",
        what: "20,000 seeds under both store models give no wrong number, and every fault happens often enough",
        program: Program::Xtask,
        arguments: &["sim", "--seeds", "20000"],
        minutes_max: 10,
        ..STEP
    },
    Step {
        name: "sim-mutants",
        what: "every deliberate mistake is noticed within 20,000 seeds",
        program: Program::Xtask,
        arguments: &["sim", "--mutants", "--seeds", "20000"],
        minutes_max: 10,
        ..STEP
    },
    Step {
        name: "sim-small",
        what: "every crash, and every pair of crashes, of a small script leaves exact cells",
        program: Program::Xtask,
        arguments: &["sim", "--small"],
        ..STEP
    },
    Step {
        name: "peeking",
        what: "5,000 experiments without effect, looked at 20 times: each rule of stopping is wrong as often as it should be",
        program: Program::Xtask,
        arguments: &["peeking"],
        ..STEP
    },
    Step {
        name: "clippy-full",
        what: "clippy has nothing to say of what is left out by default",
        arguments: &[
            "clippy",
            "--package",
            "flagstream",
            "--package",
            "eventlog",
            "--package",
            "stores",
            "--package",
            "oldpath",
            "--all-targets",
            "--features",
            "flagstream/full,oldpath/dynamodb,oldpath/sqs",
            "--",
            "--deny",
            "warnings",
        ],
        ..STEP
    },
    Step {
        name: "suites",
        what: "the log's suite passes on Kafka, the stores' on DynamoDB Local and Cassandra, the queue's on a server that speaks SQS",
        program: Program::Xtask,
        arguments: &["suites"],
        ..STEP
    },
    Step {
        name: "apart",
        what: "on Kafka with DynamoDB or Cassandra: ingest, processors and brokers killed, the store throttled and gone, all stages of \
               the gate, and every number holds",
        program: Program::Xtask,
        arguments: &["apart"],
        ..STEP
    },
    Step {
        name: "dockerfile",
        what: "a linter has nothing to say of the Dockerfile, nor Compose's schema of its file (no engine runs here: neither is run)",
        program: Program::Xtask,
        arguments: &["dockerfile"],
        ..STEP
    },
];

/// What `full` does beyond `verify`.
pub(crate) const LONG: &[Step] = &[
    Step {
        name: "counting-long",
        what: "counting's tests, each that tries seeds with 10,000 of them (else 100 to 600)",
        arguments: &["test", "--package", "counting", "--", "--show-output"],
        environment: &[(SEEDS, "10000"), OPTIMISED],
        needs: Some("tests"),
        ..STEP
    },
    Step {
        name: "eventlog-long",
        what: "the log's, with 60,000 seeds (else 40 to 1,200)",
        arguments: &["test", "--package", "eventlog", "--", "--show-output"],
        environment: &[(SEEDS, "60000"), OPTIMISED],
        needs: Some("tests"),
        ..STEP
    },
    Step {
        name: "stores-long",
        what: "the stores', with 12,000 seeds (else 1,200)",
        arguments: &["test", "--package", "stores", "--", "--show-output"],
        environment: &[(SEEDS, "12000"), OPTIMISED],
        needs: Some("tests"),
        ..STEP
    },
    Step {
        name: "power-long",
        what: "the processor's under power cuts, with 5,000 seeds (else 40 to 1,000)",
        arguments: &["test", "--package", "processor", "--", "--show-output", "tests::power"],
        environment: &[(SEEDS, "5000"), OPTIMISED],
        needs: Some("tests"),
        ..STEP
    },
    Step {
        name: "processor-long",
        what: "its others, most of which wait for a clock or a disk, with 1,000 seeds (else 8 to 200)",
        arguments: &["test", "--package", "processor", "--", "--show-output", "--skip", "tests::power"],
        environment: &[(SEEDS, "1000"), OPTIMISED],
        needs: Some("tests"),
        ..STEP
    },
    Step {
        name: "browsers",
        what: "in Chromium, a page that reads all flags makes bulk reads, and hostile names act on no page of ours",
        program: Program::Xtask,
        arguments: &["browsers"],
        needs: Some("build"),
        minutes_max: 15,
        ..STEP
    },
    Step {
        name: "sim-long",
        what: "500,000 seeds of the simulation under both store models",
        program: Program::Xtask,
        arguments: &["sim", "--from", "1000000", "--seeds", "500000"],
        minutes_max: 60,
        ..STEP
    },
    Step {
        name: "peeking-long",
        what: "the same with 40,000 and another seed",
        program: Program::Xtask,
        arguments: &["peeking", "--experiments", "40000", "--seed", "2"],
        ..STEP
    },
    Step {
        name: "fleet",
        what: "the stale report on five fleets of 500 flags with a known story: every kind is told as it should be",
        program: Program::Xtask,
        arguments: &["sim", "fleet", "--seed", "1", "--seeds", "5"],
        minutes_max: 15,
        ..STEP
    },
    Step {
        name: "build-release",
        what: "the release build of the command",
        arguments: &["build", "--release", "--package", "flagstream"],
        ..STEP
    },
    Step {
        name: "sdks-release",
        what: "real SDKs against the release build",
        program: Program::Xtask,
        arguments: &["sdks", "--release"],
        needs: Some("build-release"),
        minutes_max: 10,
        ..STEP
    },
    Step {
        name: "crash-release",
        what: "the release build killed under load 200 times at 1 and at 4 partitions",
        arguments: &[
            "run",
            "--release",
            "--package",
            "loadtest",
            "--",
            "crash",
            "--rounds",
            "200",
            "--seed",
            "2",
            "--binary",
            RELEASED,
        ],
        needs: Some("build-release"),
        minutes_max: 60,
        ..STEP
    },
];

impl Step {
    /// The command as one would type it.
    pub(crate) fn typed(&self, testing: &[String]) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}='{value}'"));
        let program =
            ["cargo".to_owned()].into_iter().chain((self.program == Program::Xtask).then(|| "xtask".to_owned()));
        environment.chain(program).chain(self.arguments(testing)).collect::<Vec<_>>().join(" ")
    }

    /// The command to run.
    pub(crate) fn command(&self, testing: &[String]) -> Result<Command> {
        let mut command = match self.program {
            Program::Cargo => workspace::cargo(),
            Program::Xtask => workspace::command(&std::env::current_exe()?.to_string_lossy()),
        };
        command.args(self.arguments(testing)).env("CARGO_TERM_COLOR", "never").envs(self.environment.iter().copied());
        Ok(command)
    }

    fn arguments(&self, testing: &[String]) -> Vec<String> {
        let mut arguments = Vec::new();
        let target = workspace::target_dir();
        for argument in self.arguments {
            match *argument {
                TESTING if testing.is_empty() => {}
                TESTING => arguments.extend(["--features".to_owned(), testing.join(",")]),
                other => arguments.push(other.replace("{target}", &target.to_string_lossy())),
            }
        }
        arguments
    }
}

/// `package/testing` for each package of the workspace that has such a feature: doubles that other packages' tests use.
pub(crate) fn testing_features() -> Result<Vec<String>> {
    let metadata = workspace::metadata(&workspace::root())?;
    let having = metadata.workspace_packages().into_iter().filter(|package| package.features.contains_key("testing"));
    Ok(having.map(|package| format!("{}/testing", package.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_can_be_typed_with_the_features_of_the_day() {
        let tests = VERIFY.iter().find(|step| step.name == "tests").unwrap();
        assert_eq!(tests.typed(&[]), "cargo test --workspace --no-fail-fast");
        let features = ["eventlog/testing".to_owned(), "stores/testing".to_owned()];
        assert_eq!(
            tests.typed(&features),
            "cargo test --workspace --no-fail-fast --features eventlog/testing,stores/testing"
        );
    }

    #[test]
    fn names_are_distinct_and_needs_come_earlier() {
        let steps: Vec<&Step> = VERIFY.iter().chain(LONG).collect();
        for (place, step) in steps.iter().enumerate() {
            assert!(steps[..place].iter().all(|earlier| earlier.name != step.name), "{}", step.name);
            assert!(
                step.needs.is_none_or(|needed| steps[..place].iter().any(|earlier| earlier.name == needed)),
                "{}",
                step.name
            );
        }
    }
}
