//! The command as it is run, against its stand-in: servers are really killed and stopped, and exit codes tell.

#![allow(missing_docs, clippy::unwrap_used)]

use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

const LOADTEST: &str = env!("CARGO_BIN_EXE_loadtest");

/// One run at a time: a server is started again on the port that it was killed on, which another run's server could
/// have taken meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `loadtest crash` against the stand-in with a fault, in short rounds.
fn crash(fault: Option<&str>, every: u64, rounds: [u32; 2]) -> (bool, serde_json::Value) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let [killed, stopped] = rounds.map(|rounds| rounds.to_string());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(LOADTEST);
    command.args(["crash", "--binary", LOADTEST, "--json", "--partitions", "1", "--clients", "8", "--rate", "400"]);
    command.args(["--seconds-per-round", "0.3", "--rounds", &killed, "--graceful-rounds", &stopped, "--seed", "7"]);
    command.env("LOADTEST_FAULT_EVERY", every.to_string()).env("TMPDIR", folder.path());
    if let Some(fault) = fault {
        command.env("LOADTEST_FAULT", fault);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)));
    assert_eq!(report["holds"].as_bool(), Some(status.success()));
    assert_eq!(processes_with(folder.path().to_str().unwrap()), 0, "a server was left behind");
    (status.success(), report)
}

/// Processes whose command line names `word`.
fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(word)).count()
}

#[test]
fn a_server_that_journals_before_it_answers_survives() {
    let (holds, report) = crash(None, 1, [3, 2]);
    assert!(holds, "{report}");
    assert_eq!(report["phases"][0]["rounds"].as_array().unwrap().len(), 3);
    assert!(report["phases"][0]["afterSettling"]["acknowledged"].as_u64().unwrap() > 24, "{report}");
}

#[test]
fn a_server_that_journals_too_late_does_not() {
    let (holds, report) = crash(Some("behind"), 40, [3, 0]);
    assert!(!holds, "{report}");
}

#[test]
fn a_server_that_is_silent_about_what_it_counted_does_not_stop_gracefully() {
    let (holds, report) = crash(Some("mute"), 10, [2, 0]);
    assert!(holds, "allowed where servers die: {report}");
    let (holds, report) = crash(Some("mute"), 10, [0, 2]);
    assert!(!holds, "{report}");
}

#[test]
fn a_server_that_does_not_start_is_named() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(LOADTEST).args(["crash", "--binary", "/bin/false", "--rounds", "1"]).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // By which of two sentences depends on what is noticed first: its end, or that it says nothing.
    assert!(text.contains("the server ended") && text.contains("exit status: 1"), "{text}");
}
