//! A process that writes is killed in the middle: what it was answered is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use oldpath::counter::{Add, Kind};
use oldpath::jobs::embedded::EmbeddedJobs;
use oldpath::jobs::{Job, Jobs, What};
use oldpath::store::OldStore;
use oldpath::store::embedded::EmbeddedStore;

use crate::world::{Hand, NOW_MS, environment, evaluations, held};

/// Names the folder to the process that is to be killed.
const FOLDER: &str = "FLAGSTREAM_TEST_OLDPATH_KILLED";
const VISIBILITY: Duration = Duration::from_secs(30);
/// What is answered before the kill.
const ANSWERED: usize = 25;

fn open(folder: &Path) -> (EmbeddedStore, EmbeddedJobs) {
    let jobs = EmbeddedJobs::open(folder, VISIBILITY, Hand::new().clock()).unwrap();
    (EmbeddedStore::open(folder).unwrap(), jobs)
}

/// The process that is killed; run as a test of its own it has nothing to do.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (store, jobs) = open(Path::new(&folder));
    for number in 0_u64.. {
        let counter = evaluations("flag");
        let add = Add { environment: environment(), counter, time_ms: NOW_MS, number: 1, off: false, value: None };
        store.add(add).await.unwrap();
        let what = What::Event { key: number.to_string(), value_micros: None, sampling: 1 };
        let job = Job { project: "p".into(), environment: "e".into(), time_ms: NOW_MS, off: false, what };
        assert_eq!(jobs.send(vec![job]).await, [Ok(())]);
        let mut out = std::io::stdout();
        writeln!(out, "answered {number}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answered = lines.map_while(Result::ok).filter(|line| line.starts_with("answered ")).take(ANSWERED).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answered, ANSWERED, "it ended before it was killed");
    let (store, jobs) = open(folder.path());
    let number = held(&store, Kind::Evaluations).await[0].totals.number;
    assert!(number >= ANSWERED as u64, "{number}");
    let waiting = jobs.held().await.unwrap().waiting;
    assert!(waiting >= ANSWERED as u64 && number >= waiting, "{waiting} jobs, {number} additions");
}
