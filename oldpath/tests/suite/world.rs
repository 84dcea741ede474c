//! What the tests share: a store that answers by a script, a clock that is set, what the log was told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventlog::memory::MemoryLog;
use eventlog::{EventLog, Signal};
use futures_util::future::BoxFuture;
use ingest::Clock;
use ingest::gate::{OldCount, OldEvent, OldExposure, OldPayload, OldVariation, Stage};
use oldpath::counter::{Add, Counted, Counter, Kind, Totals, hour_of};
use oldpath::outcomes::Outcomes;
use oldpath::store::{HoursOf, OldStore, Page, Place, of_environment};
use oldpath::{Dice, Error, WriteError};
use schemas::fixed::Micros;
use schemas::id::Environment;
use schemas::old_path::{Fate, OutcomeRow, decode_outcomes};
use schemas::record::{Header, RecordKind};

pub(crate) const NOW_MS: i64 = 1_780_000_000_000;

pub(crate) fn environment() -> Environment {
    Environment::new("project", "environment").unwrap()
}

/// A clock that a test sets.
#[derive(Debug, Clone)]
pub(crate) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW_MS)))
    }

    pub(crate) fn clock(&self) -> Clock {
        let hand = Arc::clone(&self.0);
        Arc::new(move || hand.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

pub(crate) fn outcomes(log: &MemoryLog) -> Outcomes {
    Outcomes::new(Arc::new(log.clone()), Hand::new().clock(), Dice::seeded(1))
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Refused,
    /// Told as unknown; it was not done.
    Unknown,
    /// Told as unknown; it was done.
    DoneUnknown,
    /// Never answered; it was not done.
    Hang,
    /// Never answered; it was done.
    DoneHang,
}

impl Answer {
    pub(crate) const ALL: [Self; 6] =
        [Self::Done, Self::Refused, Self::Unknown, Self::DoneUnknown, Self::Hang, Self::DoneHang];

    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::DoneUnknown | Self::DoneHang)
    }

    pub(crate) async fn say(self) -> Result<(), WriteError> {
        match self {
            Self::Done => Ok(()),
            Self::Refused => Err(WriteError::Refused("by the script".into())),
            Self::Unknown | Self::DoneUnknown => Err(WriteError::Unknown("by the script".into())),
            Self::Hang | Self::DoneHang => std::future::pending().await,
        }
    }
}

/// Counters in memory; calls are answered by a script, and when it is at its end as done.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    script: Mutex<VecDeque<Answer>>,
    pub(crate) held: Mutex<BTreeMap<(Counter, u32), Totals>>,
    calls: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Scripted {
    pub(crate) fn new(script: &[Answer]) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.to_vec().into()), ..Self::default() })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn most_under_way(&self) -> usize {
        self.most_under_way.load(Ordering::SeqCst)
    }

    /// What all counters hold together.
    pub(crate) fn number(&self) -> u64 {
        self.held.lock().unwrap().values().map(|totals| totals.number).sum()
    }
}

/// One less is under way when it goes.
struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl OldStore for Scripted {
    fn add(&self, add: Add) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            let _leaves = Leaves(&self.under_way);
            self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
            let answer = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(Answer::Done);
            if answer.is_done() {
                let mut held = self.held.lock().unwrap();
                let there = held.entry((add.counter.clone(), add.hour())).or_default();
                *there = there.and(add.totals());
            }
            answer.say().await
        })
    }

    fn keys<'a>(
        &'a self,
        _: &'a Environment,
        _: Kind,
        _: Option<&'a str>,
        _: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        unreachable!("nobody reads it")
    }

    fn hours<'a>(&'a self, _: HoursOf<'a>, _: Option<Place>, _: usize) -> BoxFuture<'a, Result<Page, Error>> {
        unreachable!("nobody reads it")
    }
}

pub(crate) fn evaluations(flag: &str) -> Counter {
    Counter::Evaluations { flag: flag.into(), variation: OldVariation::Index(1) }
}

/// A payload with nothing in it.
pub(crate) fn empty(stage: Stage) -> OldPayload {
    OldPayload {
        environment: environment(),
        stage,
        received_ms: NOW_MS,
        counts: Vec::new(),
        events: Vec::new(),
        exposures: Vec::new(),
    }
}

/// A payload with these flags evaluated so many times each.
pub(crate) fn counts(stage: Stage, counts: &[(&str, u64)]) -> OldPayload {
    let row = |(flag, count): &(&str, u64)| OldCount {
        flag: (*flag).into(),
        variation: OldVariation::Index(1),
        time_ms: NOW_MS,
        count: *count,
        late: false,
    };
    OldPayload { counts: counts.iter().map(row).collect(), ..empty(stage) }
}

/// A payload with these custom events.
pub(crate) fn events(stage: Stage, keys: &[&str]) -> OldPayload {
    let row =
        |key: &&str| OldEvent { key: (*key).into(), time_ms: NOW_MS, value: Some(Micros(5)), sampling: 2, late: false };
    OldPayload { events: keys.iter().map(row).collect(), ..empty(stage) }
}

/// A payload with an exposure.
pub(crate) fn exposure(stage: Stage, flag: &str) -> OldPayload {
    let row = OldExposure { flag: flag.into(), variation: OldVariation::Index(1), time_ms: NOW_MS };
    OldPayload { exposures: vec![row], ..empty(stage) }
}

/// What the log was told: numbers by key and fate, each record's id once; and how many records there are.
pub(crate) async fn told(log: &MemoryLog) -> (BTreeMap<(String, Fate), u64>, usize) {
    let (mut numbers, mut ids, mut records) = (BTreeMap::new(), Vec::new(), 0);
    for partition in 0..log.partitions() {
        let mut reader = log.read(partition).unwrap();
        assert!(matches!(reader.next().await.unwrap(), Signal::Assigned { .. }));
        reader.begin(partition, 0).unwrap();
        while let Signal::Batch { records: batch, .. } = reader.next().await.unwrap() {
            for record in batch {
                let header = Header::decode(&record.header).unwrap();
                assert_eq!(header.kind, RecordKind::Outcome);
                assert_eq!(header.environment, environment());
                records += 1;
                let id = header.record_id().unwrap();
                if ids.contains(&id) {
                    continue;
                }
                ids.push(id);
                for row in decode_outcomes(&record.body, header.received_ms).unwrap().rows() {
                    let OutcomeRow { counted, time_ms, fate, number } = row;
                    assert_eq!(hour_of(time_ms), hour_of(NOW_MS));
                    let key = match counted {
                        schemas::old_path::Counted::Flag { key, .. } | schemas::old_path::Counted::Event { key } => key,
                    };
                    *numbers.entry((String::from_utf8(key.to_vec()).unwrap(), fate)).or_default() += number;
                }
            }
        }
    }
    (numbers, records)
}

/// The same for one key: its numbers by fate.
pub(crate) async fn told_of(log: &MemoryLog, key: &str) -> Vec<(Fate, u64)> {
    let (numbers, _) = told(log).await;
    numbers.into_iter().filter(|((of, _), _)| of == key).map(|((_, fate), number)| (fate, number)).collect()
}

/// All counters of a kind.
pub(crate) async fn held(store: &dyn OldStore, kind: Kind) -> Vec<Counted> {
    of_environment(store, &environment(), kind, 0..u32::MAX, 10_000).await.unwrap()
}
