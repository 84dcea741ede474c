//! `flagstream demo`: what it promises, kept by the whole product in one process.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{run, said};
use crate::server::flagstream;

/// Longer than the quick demo takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn the_new_path_is_exact_while_the_store_is_throttled_and_down_and_the_old_one_is_not() {
    let output = run(&["demo", "--quick", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let printed = String::from_utf8(output.stdout.clone()).expect("text");
    assert_eq!(printed.lines().count(), 1, "nothing else goes to standard output: {printed}");
    let numbers: Value = serde_json::from_str(&printed).expect("JSON");
    let of = |name: &str| numbers[name].as_i64().unwrap_or_else(|| panic!("no {name}: {numbers}"));
    assert!(of("sent") > 1_000, "{numbers}");
    assert_eq!((of("new"), of("unexplained")), (of("sent"), 0), "{numbers}");
    assert_ne!(of("old"), of("sent"), "{numbers}");
    assert!(of("duplicate") > 0 && of("lost") > 0, "the trouble shows as both: {numbers}");
    assert_eq!(of("old"), of("new") + of("duplicate") - of("lost"), "{numbers}");
}

#[test]
fn a_demo_that_is_stopped_judges_nothing_and_leaves_nothing_behind() {
    let folders = tempfile::tempdir().expect("a folder");
    let mut command = flagstream();
    command.args(["demo", "--quick", "--json"]).env("TMPDIR", folders.path());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start flagstream");
    let made = || std::fs::read_dir(folders.path()).expect("the folder").count();
    let start = Instant::now();
    while made() == 0 {
        assert!(start.elapsed() < PATIENCE, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    // It may still be starting, or be playing: both end the same.
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = child.wait_with_output().expect("wait");
    let said = said(&output);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{said}");
    assert!(said.contains("nothing was judged"), "{said}");
    assert_eq!(made(), 0, "its folder is still there");
}
