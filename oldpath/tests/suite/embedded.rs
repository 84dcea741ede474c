//! The suites on files, and what only a file shows.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use oldpath::conformance::{self, Bench};
use oldpath::counter::{Add, Kind};
use oldpath::jobs::embedded::EmbeddedJobs;
use oldpath::jobs::{Job, Jobs, What};
use oldpath::store::OldStore;
use oldpath::store::embedded::EmbeddedStore;

use crate::world::{Hand, NOW_MS, environment, evaluations, held};

const VISIBILITY: Duration = Duration::from_secs(30);

/// A folder that goes with the last who holds it.
struct Folder(tempfile::TempDir);

struct Queue {
    folder: Folder,
    hand: Hand,
}

impl Bench for Queue {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Jobs>> {
        Box::pin(async {
            let jobs = EmbeddedJobs::open(self.folder.0.path(), VISIBILITY, self.hand.clock()).unwrap();
            Arc::new(jobs) as Arc<dyn Jobs>
        })
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.hand.pass(time);
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_in_a_file_conforms() {
    let failures = conformance::of_jobs(|| async {
        let folder = Folder(tempfile::tempdir().unwrap());
        Arc::new(Queue { folder, hand: Hand::new() }) as Arc<dyn Bench>
    });
    assert_eq!(failures.await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_in_a_file_conform() {
    let folders = tempfile::tempdir().unwrap();
    let mut number = 0;
    let failures = conformance::of_store(|| {
        number += 1;
        let folder = folders.path().join(number.to_string());
        async move { Arc::new(EmbeddedStore::open(&folder).unwrap()) as Arc<dyn OldStore> }
    });
    assert_eq!(failures.await, []);
}

fn add(number: u64) -> Add {
    Add { environment: environment(), counter: evaluations("flag"), time_ms: NOW_MS, number, off: false, value: None }
}

#[tokio::test]
async fn counters_are_there_again_and_one_process_has_them() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..4 {
        let store = EmbeddedStore::open(folder.path()).unwrap();
        let second = EmbeddedStore::open(folder.path()).unwrap_err().to_string();
        assert!(second.contains("oldpath.redb") && second.contains("in use by another process"), "{second}");
        store.add(add(round)).await.unwrap();
        assert_eq!(held(&store, Kind::Evaluations).await[0].totals.number, (1..=round).sum::<u64>());
    }
}

#[test]
fn a_file_that_was_left_half_made_is_made_anew_and_one_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("oldpath.redb.new"), b"half").unwrap();
    drop(EmbeddedStore::open(folder.path()).unwrap());
    std::fs::write(folder.path().join("oldpath.redb"), b"no database, but long enough to be looked at").unwrap();
    let error = EmbeddedStore::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("oldpath.redb"), "{error}");
}

fn job(key: &str) -> Job {
    let what = What::Event { key: key.into(), value_micros: None, sampling: 1 };
    Job { project: "project".into(), environment: "environment".into(), time_ms: NOW_MS, off: false, what }
}

/// A worker that was too slow must not delete what another one has in hand.
#[tokio::test]
async fn an_old_receipt_deletes_nothing() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let jobs = EmbeddedJobs::open(folder.path(), VISIBILITY, hand.clock()).unwrap();
    assert_eq!(jobs.send(vec![job("a")]).await, [Ok(())]);
    let slow = jobs.receive(Duration::ZERO).await.unwrap();
    hand.pass(VISIBILITY);
    assert_eq!(jobs.receive(Duration::ZERO).await.unwrap().len(), 1);
    assert_eq!(jobs.delete(vec![slow[0].receipt.clone()]).await, [Ok(())]);
    hand.pass(VISIBILITY);
    assert_eq!(jobs.receive(Duration::ZERO).await.unwrap()[0].deliveries, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_woken_by_a_job_and_gives_up_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = Arc::new(EmbeddedJobs::open(folder.path(), VISIBILITY, Hand::new().clock()).unwrap());
    assert_eq!(jobs.receive(Duration::from_millis(20)).await.unwrap(), []);
    let waits = tokio::spawn({
        let jobs = Arc::clone(&jobs);
        async move { jobs.receive(Duration::from_secs(3_600)).await.unwrap() }
    });
    tokio::task::yield_now().await;
    assert_eq!(jobs.send(vec![job("a")]).await, [Ok(())]);
    assert_eq!(waits.await.unwrap()[0].job, Ok(job("a")));
}
