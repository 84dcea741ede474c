//! What becomes of jobs, and what of it the log is told.

use std::sync::Arc;
use std::time::Duration;

use eventlog::memory::{Fault, MemoryLog};
use futures_util::future::BoxFuture;
use oldpath::counter::{Add, Kind};
use oldpath::jobs::embedded::EmbeddedJobs;
use oldpath::jobs::{DELIVERIES_MAX, Delivery, Held, Job, Jobs, Receipt, What};
use oldpath::outcomes::Outcomes;
use oldpath::store::embedded::EmbeddedStore;
use oldpath::store::{HoursOf, OldStore, Page, Place};
use oldpath::worker::{Metrics, Options, Worker};
use oldpath::{Dice, Error, WriteError};
use schemas::id::Environment;
use schemas::old_path::{Fate, Numbers, Way};
use tokio::sync::{Notify, watch};

use crate::world::{Answer, Hand, NOW_MS, Scripted, held, outcomes, told, told_of};

const VISIBILITY: Duration = Duration::from_secs(30);
/// No call to a disk takes so long. A call that hangs does, in tests whose time is paused.
const ATTEMPT: Duration = Duration::from_secs(3_600);

struct House {
    _folder: tempfile::TempDir,
    hand: Hand,
    jobs: Arc<EmbeddedJobs>,
    log: MemoryLog,
    outcomes: Outcomes,
}

impl House {
    fn new() -> Self {
        let (folder, hand, log) = (tempfile::tempdir().unwrap(), Hand::new(), MemoryLog::new(4));
        let jobs = Arc::new(EmbeddedJobs::open(folder.path(), VISIBILITY, hand.clock()).unwrap());
        let outcomes = outcomes(&log);
        Self { _folder: folder, hand, jobs, log, outcomes }
    }

    fn worker(&self, store: Arc<dyn OldStore>, jobs: Arc<dyn Jobs>) -> Worker {
        let options =
            Options { attempts_max: 2, attempt: ATTEMPT, pause: Duration::from_millis(2), receive: Duration::ZERO };
        Worker::new(store, jobs, self.outcomes.clone(), Dice::seeded(3), options, Metrics::default())
    }

    async fn send(&self, keys: &[&str], off: bool) {
        let job = |key: &&str| {
            let what = What::Event { key: (*key).into(), value_micros: Some(10), sampling: 2 };
            Job { project: "project".into(), environment: "environment".into(), time_ms: NOW_MS, off, what }
        };
        assert!(self.jobs.send(keys.iter().map(job).collect()).await.iter().all(Result::is_ok));
    }

    /// Works on what there is, again and again as jobs come again.
    async fn work(&self, store: &Arc<Scripted>) {
        let worker = self.worker(store.clone(), self.jobs.clone());
        for _ in 0..=DELIVERIES_MAX {
            worker.round().await.unwrap();
            self.hand.pass(VISIBILITY);
        }
        self.outcomes.settle().await;
    }

    async fn told(&self) -> Vec<(Fate, u64)> {
        self.outcomes.settle().await;
        told_of(&self.log, "event").await
    }

    async fn held(&self) -> Held {
        self.jobs.held().await.unwrap()
    }
}

/// One job for 2 events whose calls meet these answers: numbers by fate, what the store has, what is dead.
async fn job(script: &[Answer], fates: &[(Fate, u64)], number: u64, dead: u64) {
    let (house, store) = (House::new(), Scripted::new(script));
    house.send(&["event"], false).await;
    house.work(&store).await;
    assert_eq!(house.told().await, fates, "{script:?}");
    assert_eq!((store.number(), house.held().await), (number, Held { dead, ..Held::default() }), "{script:?}");
    assert_eq!(store.calls(), script.len(), "{script:?}");
    let mut numbers = Numbers { counted: 2, ..Numbers::default() };
    fates.iter().for_each(|(fate, number)| *numbers.of_mut(*fate) = *number);
    let range = numbers.expected(Way::Jobs).range;
    assert_eq!(range.outside(number), 0, "{script:?}: {number} in {range:?}");
}

#[tokio::test(start_paused = true)]
async fn each_fate_of_a_job() {
    use Answer::{Done, DoneHang, DoneUnknown, Hang, Refused, Unknown};
    use Fate::{JobApplied, JobAppliedAgain, JobLost, JobRefused, Started, StartedAgain};
    job(&[Done], &[(Started, 2), (JobApplied, 2)], 2, 0).await;
    job(&[Refused, Done], &[(Started, 2), (JobApplied, 2)], 2, 0).await;
    let again = [(Started, 2), (StartedAgain, 2), (JobAppliedAgain, 2)];
    job(&[Unknown, Done], &again, 2, 0).await;
    job(&[DoneUnknown, Done], &again, 4, 0).await;
    job(&[DoneHang, Done], &again, 4, 0).await;
    // An attempt of unknown end is the last of its delivery.
    job(&[Refused, Hang, Done], &again, 2, 0).await;
    let refused = [(Started, 2), (StartedAgain, 2), (JobAppliedAgain, 2), (JobRefused, 2)];
    job(&[Refused, Refused, Done], &refused, 2, 0).await;
    job(&[Refused; 10], &[(Started, 2), (StartedAgain, 8), (JobRefused, 10), (JobLost, 2)], 0, 1).await;
    job(&[Unknown; 5], &[(Started, 2), (StartedAgain, 8), (JobLost, 2)], 0, 1).await;
    job(&[DoneUnknown; 5], &[(Started, 2), (StartedAgain, 8), (JobLost, 2)], 10, 1).await;
}

#[tokio::test]
async fn a_job_of_off_is_told_nowhere_and_counted_apart() {
    let (house, store) = (House::new(), Scripted::new(&[Answer::DoneUnknown]));
    house.send(&["event"], true).await;
    house.work(&store).await;
    assert_eq!(told(&house.log).await.1, 0);
    let totals: Vec<_> = store.held.lock().unwrap().values().copied().collect();
    assert_eq!([(totals[0].number, totals[0].number_off, totals[0].sum_micros)], [(4, 4, 40)]);
}

#[tokio::test]
async fn a_job_is_not_done_while_the_log_does_not_take_note_of_it() {
    let (house, store) = (House::new(), Scripted::new(&[]));
    house.send(&["event"], false).await;
    house.log.poison("of a test");
    house.work(&store).await;
    assert_eq!((store.calls(), house.held().await.dead), (0, 1));
    let (house, store) = (House::new(), Scripted::new(&[]));
    house.send(&["event"], false).await;
    house.log.fail_next(Fault::AnswerLost);
    house.work(&store).await;
    assert_eq!(house.told().await, [(Fate::Started, 2), (Fate::JobApplied, 2)]);
}

/// A queue whose deletes never end; it tells when one has begun.
#[derive(Debug)]
struct NoDelete {
    jobs: Arc<EmbeddedJobs>,
    reached: Arc<Notify>,
}

impl Jobs for NoDelete {
    fn send(&self, jobs: Vec<Job>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        self.jobs.send(jobs)
    }

    fn receive(&self, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, Error>> {
        self.jobs.receive(wait)
    }

    fn delete(&self, _: Vec<Receipt>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        self.reached.notify_one();
        Box::pin(std::future::pending())
    }

    fn visibility(&self) -> Duration {
        self.jobs.visibility()
    }

    fn held(&self) -> BoxFuture<'_, Result<Held, Error>> {
        self.jobs.held()
    }
}

/// A store whose additions are done and never answered; it tells when one is done.
#[derive(Debug)]
struct NoAnswer {
    store: Arc<EmbeddedStore>,
    reached: Arc<Notify>,
}

impl OldStore for NoAnswer {
    fn add(&self, add: Add) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(async move {
            self.store.add(add).await.unwrap();
            self.reached.notify_one();
            std::future::pending().await
        })
    }

    fn keys<'a>(
        &'a self,
        environment: &'a Environment,
        kind: Kind,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.store.keys(environment, kind, after, limit)
    }

    fn hours<'a>(
        &'a self,
        asked: HoursOf<'a>,
        from: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, Error>> {
        self.store.hours(asked, from, limit)
    }
}

/// Ends a worker at the moment that `reached` tells, then lets another one work.
async fn killed_then_another(house: &House, worker: Worker, reached: &Notify, store: Arc<EmbeddedStore>) {
    let dies = tokio::spawn(async move { worker.round().await });
    reached.notified().await;
    dies.abort();
    assert!(dies.await.unwrap_err().is_cancelled());
    let another = house.worker(store, house.jobs.clone());
    assert_eq!(another.round().await, Ok(0), "the job is out of sight");
    house.hand.pass(VISIBILITY);
    assert_eq!(another.round().await, Ok(1));
    house.outcomes.settle().await;
    assert_eq!(house.held().await, Held::default());
}

#[tokio::test]
async fn a_worker_killed_between_doing_and_deleting_counts_twice_and_both_deliveries_are_told() {
    let (house, reached, folder) = (House::new(), Arc::new(Notify::new()), tempfile::tempdir().unwrap());
    house.send(&["event"], false).await;
    let store = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
    let jobs = Arc::new(NoDelete { jobs: house.jobs.clone(), reached: reached.clone() });
    killed_then_another(&house, house.worker(store.clone(), jobs), &reached, store.clone()).await;
    assert_eq!(held(&*store, Kind::Events).await[0].totals.number, 4);
    let twice = [(Fate::Started, 2), (Fate::StartedAgain, 2), (Fate::JobApplied, 2), (Fate::JobAppliedAgain, 2)];
    assert_eq!(house.told().await, twice);
}

#[tokio::test]
async fn a_worker_killed_before_it_knew_leaves_a_delivery_open() {
    let (house, reached, folder) = (House::new(), Arc::new(Notify::new()), tempfile::tempdir().unwrap());
    house.send(&["event"], false).await;
    let store = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
    let deaf = Arc::new(NoAnswer { store: store.clone(), reached: reached.clone() });
    let worker = house.worker(deaf, house.jobs.clone());
    killed_then_another(&house, worker, &reached, store.clone()).await;
    assert_eq!(held(&*store, Kind::Events).await[0].totals.number, 4);
    let open = [(Fate::Started, 2), (Fate::StartedAgain, 2), (Fate::JobAppliedAgain, 2)];
    assert_eq!(house.told().await, open);
    let mut numbers = Numbers { counted: 2, ..Numbers::default() };
    open.iter().for_each(|(fate, number)| *numbers.of_mut(*fate) = *number);
    let range = numbers.expected(Way::Jobs).range;
    assert_eq!((range.low, range.high), (2, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_at_once_do_each_job_once_and_finish_what_they_have_in_hand() {
    const JOBS: usize = 120;
    let (house, folder) = (House::new(), tempfile::tempdir().unwrap());
    let store = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
    for _ in 0..JOBS / 10 {
        house.send(&["event"; 10], false).await;
    }
    let (stop, stopped) = watch::channel(false);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (worker, stopped) = (house.worker(store.clone(), house.jobs.clone()), stopped.clone());
            tokio::spawn(async move { worker.run(stopped).await })
        })
        .collect();
    while held(&*store, Kind::Events).await.is_empty() {
        tokio::task::yield_now().await;
    }
    stop.send(true).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    let done = held(&*store, Kind::Events).await[0].totals.number;
    assert_eq!(house.held().await, Held { waiting: JOBS as u64 - done / 2, ..Held::default() });
    assert_eq!(house.told().await, [(Fate::Started, done), (Fate::JobApplied, done)]);
    let (another, stopped) = (house.worker(store.clone(), house.jobs.clone()), stop.subscribe());
    while another.round().await.unwrap() > 0 {}
    another.run(stopped).await;
    assert_eq!(held(&*store, Kind::Events).await[0].totals.number, 2 * JOBS as u64);
}

/// Of what is no job nothing can be told; it must not keep others from being done.
#[tokio::test]
async fn what_is_no_job_lies_among_the_dead_letters_in_the_end() {
    let (house, store) = (House::new(), Scripted::new(&[]));
    let what = What::Event { key: "event".into(), value_micros: None, sampling: 1 };
    let nobody = Job { project: String::new(), environment: "e".into(), time_ms: NOW_MS, off: false, what };
    assert_eq!(house.jobs.send(vec![nobody]).await, [Ok(())]);
    house.send(&["event"], false).await;
    house.work(&store).await;
    assert_eq!((store.number(), house.held().await), (2, Held { dead: 1, ..Held::default() }));
}
