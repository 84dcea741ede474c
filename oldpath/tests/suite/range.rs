//! Whatever a store in trouble does to the writer, what it holds lies in the range that the log is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eventlog::memory::MemoryLog;
use futures_util::future::join_all;
use ingest::gate::{OldPath, Stage};
use oldpath::Dice;
use oldpath::counter::Kind;
use oldpath::jobs::embedded::EmbeddedJobs;
use oldpath::jobs::{BATCH_MAX, Held, Job, Jobs, What};
use oldpath::store::embedded::EmbeddedStore;
use oldpath::trouble::Troubled;
use oldpath::worker::{self, Worker};
use oldpath::writer::{Options, Writer};
use schemas::old_path::{Causes, Numbers, Way};
use stores::trouble::{Switch, Trouble};

use crate::world::{Answer, Hand, NOW_MS, Scripted, counts, held, outcomes, told};

const FLAGS: u64 = 40;

/// A job for 2 events.
fn job(key: &str) -> Job {
    let what = What::Event { key: key.into(), value_micros: None, sampling: 2 };
    Job { project: "project".into(), environment: "environment".into(), time_ms: NOW_MS, off: false, what }
}

/// What the log is told of each flag, of which `intended` evaluations were to be written.
async fn numbers(log: &MemoryLog, intended: u64) -> BTreeMap<String, Numbers> {
    let mut flags: BTreeMap<String, Numbers> = BTreeMap::new();
    for ((flag, fate), number) in told(log).await.0 {
        let empty = Numbers { counted: intended, ..Numbers::default() };
        *flags.entry(flag).or_insert(empty).of_mut(fate) += number;
    }
    flags
}

#[tokio::test(start_paused = true)]
async fn whatever_answers_come_the_store_holds_what_the_range_says() {
    let mut seen = Causes::default();
    for seed in 0..60_u64 {
        let dice = |n: u64| (seed * 7_919 + n * 104_729) / 13 % Answer::ALL.len() as u64;
        let script: Vec<Answer> = (0..3 * FLAGS).map(|n| Answer::ALL[dice(n) as usize]).collect();
        let (store, log) = (Scripted::new(&script), MemoryLog::new(4));
        let outcomes = outcomes(&log);
        let folder = tempfile::tempdir().unwrap();
        let jobs = Arc::new(EmbeddedJobs::open(folder.path(), Duration::from_secs(30), Hand::new().clock()).unwrap());
        let writer = Writer::new(store.clone(), jobs, outcomes.clone(), Dice::seeded(seed), Options::default());
        let flags: Vec<String> = (0..FLAGS).map(|flag| format!("flag-{flag}")).collect();
        let rows: Vec<(&str, u64)> = flags.iter().map(|flag| (flag.as_str(), 5)).collect();
        writer.write(counts(Stage::Live, &rows)).await;
        outcomes.settle().await;
        let told = numbers(&log, 5).await;
        assert_eq!(told.len() as u64, FLAGS);
        let held = store.held.lock().unwrap();
        for (flag, numbers) in &told {
            let expected = numbers.expected(Way::Straight);
            let number: u64 =
                held.iter().filter(|((counter, _), _)| counter.key() == flag).map(|(_, totals)| totals.number).sum();
            assert_eq!(expected.range.outside(number), 0, "seed {seed}: {flag} has {number} of {expected:?}");
            assert_eq!(numbers.without_intent(Way::Straight), 0);
        }
        drop(held);
        for numbers in told.values() {
            let causes = numbers.expected(Way::Straight).causes;
            assert_eq!(causes.outstanding, 0, "each row has its fate");
            seen.refused += causes.refused;
            seen.uncertain += causes.uncertain;
            seen.extra += causes.extra;
        }
    }
    assert!(seen.refused > 0 && seen.uncertain > 0 && seen.extra > 0, "{seen:?}");
}

/// The same for jobs, which come again and again until they are done or given up.
#[tokio::test(start_paused = true)]
async fn whatever_answers_come_jobs_are_done_as_often_as_the_range_says() {
    const VISIBILITY: Duration = Duration::from_secs(30);
    let mut seen = Causes::default();
    for seed in 0..6_u64 {
        let dice = |n: u64| (seed * 7_919 + n * 104_729) / 13 % Answer::ALL.len() as u64;
        let script: Vec<Answer> = (0..5 * FLAGS).map(|n| Answer::ALL[dice(n) as usize]).collect();
        let (store, log, hand) = (Scripted::new(&script), MemoryLog::new(4), Hand::new());
        let (outcomes, folder) = (outcomes(&log), tempfile::tempdir().unwrap());
        let jobs = Arc::new(EmbeddedJobs::open(folder.path(), VISIBILITY, hand.clock()).unwrap());
        let keys: Vec<String> = (0..FLAGS).map(|key| format!("event-{key}")).collect();
        for keys in keys.chunks(BATCH_MAX) {
            let batch = keys.iter().map(|key| job(key)).collect();
            assert!(jobs.send(batch).await.iter().all(Result::is_ok));
        }
        let options = worker::Options { receive: Duration::ZERO, ..worker::Options::default() };
        let metrics = worker::Metrics::default();
        let worker = Worker::new(store.clone(), jobs.clone(), outcomes.clone(), Dice::seeded(seed), options, metrics);
        let dead = loop {
            while worker.round().await.unwrap() > 0 {}
            match jobs.held().await.unwrap() {
                Held { waiting: 0, taken: 0, dead } => break dead,
                _ => hand.pass(VISIBILITY),
            }
        };
        outcomes.settle().await;
        let told = numbers(&log, 2).await;
        assert_eq!(told.len() as u64, FLAGS);
        let held = store.held.lock().unwrap();
        let mut lost = 0;
        for (key, numbers) in &told {
            let expected = numbers.expected(Way::Jobs);
            let number: u64 =
                held.iter().filter(|((counter, _), _)| counter.key() == key).map(|(_, totals)| totals.number).sum();
            assert_eq!(expected.range.outside(number), 0, "seed {seed}: {key} has {number} of {expected:?}");
            assert_eq!(expected.causes.waiting, 0);
            seen.redelivered.high += expected.causes.redelivered.high;
            seen.outstanding += expected.causes.outstanding;
            lost += expected.causes.lost;
        }
        assert_eq!(lost, 2 * dead, "what is told as lost lies among the dead letters");
        seen.lost += lost;
    }
    assert!(seen.redelivered.high > 0 && seen.outstanding > 0 && seen.lost > 0, "{seen:?}");
}

#[tokio::test]
async fn a_troubled_store_loses_or_doubles_and_the_log_knows_how_far() {
    let throttled = Trouble::Throttled { refused_permille: 700, slower: Duration::ZERO };
    let down = Trouble::Down { applied_permille: 500, hang: Duration::from_secs(5) };
    for trouble in [throttled, down] {
        let (folder, log, switch) = (tempfile::tempdir().unwrap(), MemoryLog::new(4), Switch::new(11));
        let outcomes = outcomes(&log);
        let store = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let jobs = Arc::new(EmbeddedJobs::open(folder.path(), Duration::from_secs(30), Hand::new().clock()).unwrap());
        let troubled = Arc::new(Troubled::new(store.clone(), switch.clone()));
        let options = Options {
            attempt: Duration::from_millis(100),
            deadline: Duration::from_millis(600),
            pause: Duration::from_millis(20),
            ..Options::default()
        };
        let writer = Writer::new(troubled, jobs, outcomes.clone(), Dice::seeded(1), options);
        switch.set(trouble);
        let flags: Vec<String> = (0..FLAGS).map(|flag| format!("flag-{flag}")).collect();
        join_all(flags.iter().map(|flag| writer.write(counts(Stage::Shadow, &[(flag, 3)])))).await;
        outcomes.settle().await;
        let told = numbers(&log, 3).await;
        assert_eq!(told.len() as u64, FLAGS);
        let held: BTreeMap<String, u64> = held(&*store, Kind::Evaluations)
            .await
            .into_iter()
            .map(|counted| (counted.counter.key().to_owned(), counted.totals.number))
            .collect();
        for (flag, numbers) in &told {
            let (range, number) = (numbers.expected(Way::Straight).range, held.get(flag).copied().unwrap_or(0));
            assert_eq!(range.outside(number), 0, "{flag}: {number} of {range:?} in {trouble:?}");
        }
        let exact = flags.iter().filter(|flag| held.get(*flag) == Some(&3)).count();
        assert!(exact < flags.len(), "nothing was lost or doubled in {trouble:?}");
    }
}
