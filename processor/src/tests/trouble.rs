//! Trouble that passes is waited for, trouble that stays is told, and neither keeps a stop waiting or memory growing.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use eventlog::files::forgetful::Dice;
use eventlog::memory::MemoryLog;
use eventlog::{EventLog, Signal, Subscription};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};
use schemas::generation::Generation;
use schemas::log::{Append, Logged};
use schemas::record::numbers_record;
use schemas::rejection::{Rejection, Rejections};
use stores::embedded::Options;
use stores::memory::MemoryStore;
use stores::state::LocalState;
use stores::{CellWrite, Checkpoint, Page, Store, StoredCell, WriteAnswer};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::bench::{PATIENCE, Shared, settings, settled, stop, until};
use super::exact::{DEDUPE_RECORDS, traffic};
use super::payloads::{START, beginnings, environments, generation};
use crate::partition::WAITING_BYTES_MAX;
use crate::{Error, Keeping, Processor};

async fn begun(partitions: u32) -> Shared {
    let mut shared = Shared::new(generation(partitions, DEDUPE_RECORDS));
    shared.append(beginnings(&shared.generation)).await;
    shared
}

pub(super) async fn send(shared: &mut Shared, number: u64) {
    let (mut dice, mut sent) = (Dice::new(number), Vec::new());
    for _ in 0..number {
        let records = traffic(&mut dice, shared.generation.partitions, &mut sent);
        shared.append(records).await;
    }
}

#[tokio::test]
async fn a_store_that_has_no_room_is_waited_for_and_nothing_is_lost() {
    let mut shared = begun(4).await;
    // Before it begins, while it loads, while it flushes.
    shared.store.set_down(true);
    let node = shared.start("a");
    shared.give_all(&node);
    sleep(Duration::from_millis(30)).await;
    assert!(node.processor.health().ready().is_err());
    shared.store.set_down(false);
    settled(&node.processor, &shared.log).await.unwrap();
    for round in 1..4 {
        send(&mut shared, 20 + round).await;
        sleep(Duration::from_millis(round)).await;
        shared.store.set_down(true);
        sleep(Duration::from_millis(60)).await;
        let calls = shared.store.calls();
        sleep(Duration::from_millis(100)).await;
        assert!(shared.store.calls() - calls <= 2 * 2 * 4, "a store that is down is asked ever less");
        shared.store.set_down(false);
        settled(&node.processor, &shared.log).await.unwrap();
    }
    shared.compare(&[]).await.unwrap();
    stop(node).await.unwrap();
}

#[tokio::test]
async fn a_stop_waits_for_no_load_and_no_beginning() {
    let mut shared = begun(1).await;
    let node = shared.start("a");
    shared.give_all(&node);
    settled(&node.processor, &shared.log).await.unwrap();
    shared.store.set_down(true);
    send(&mut shared, 5).await;
    let calls = shared.store.calls();
    let store = Arc::clone(&shared.store);
    until("cells are asked for", || store.calls() > calls).await;
    let waiting = Instant::now();
    stop(node).await.unwrap();
    let other = shared.start("b");
    shared.give_all(&other);
    sleep(Duration::from_millis(5)).await;
    stop(other).await.unwrap();
    assert!(waiting.elapsed() < Duration::from_secs(5), "{:?}", waiting.elapsed());
}

#[tokio::test]
async fn a_stop_that_cannot_flush_says_so_in_time() {
    let mut shared = begun(1).await;
    let node = shared.start("a");
    shared.give_all(&node);
    settled(&node.processor, &shared.log).await.unwrap();
    // Down as soon as something is folded that is not durable.
    let store = Arc::clone(&shared.store);
    store.fail_call(2, stores::memory::Fault::Before);
    send(&mut shared, 1).await;
    let calls = store.calls();
    until("the load is answered", || store.calls() > calls).await;
    store.set_down(true);
    let health = node.processor.health();
    let is_dirty = || {
        let progress = health.partition(0).unwrap().progress.unwrap();
        progress.folded > progress.durable
    };
    until("something is folded", is_dirty).await;
    // From here on only the clock moves: nothing asks the disk while the store is down.
    tokio::time::pause();
    let stopped = stop(node).await;
    assert!(matches!(stopped, Err(Error::StopTooLong(0))), "{stopped:?}");
    tokio::time::resume();
    store.set_down(false);
    let other = shared.start("b");
    shared.give_all(&other);
    settled(&other.processor, &shared.log).await.unwrap();
    shared.compare(&[]).await.unwrap();
}

/// A store whose writes take effect at once and are answered when a test says so.
#[derive(Debug)]
struct Slow {
    inner: Arc<MemoryStore>,
    answers: watch::Receiver<bool>,
}

impl Store for Slow {
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, stores::Error>> {
        self.inner.load(keys)
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, stores::Error>> {
        let written = self.inner.write(cells);
        async move {
            let _ = self.answers.clone().wait_for(|answers| *answers).await;
            written.await
        }
        .boxed()
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, stores::Error>> {
        self.inner.range(range, limit)
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, stores::Error>> {
        self.inner.checkpoint(generation, partition)
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, stores::Error>> {
        self.inner.write_checkpoint(generation, partition, checkpoint)
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, stores::Error>> {
        self.inner.generation(number)
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, stores::Error>> {
        self.inner.create_generation(number, row)
    }
}

#[tokio::test]
async fn a_worker_begins_when_the_end_of_an_earlier_ones_write_is_known() {
    let mut shared = begun(1).await;
    let (answer, answers) = watch::channel(false);
    let keeping = Keeping::Apart {
        store: Arc::new(Slow { inner: shared.store.clone(), answers }),
        state: Arc::new(LocalState::open(&shared.path("state"), &Options::default()).unwrap()),
        snapshots: shared.snapshots(),
        snapshot_every: shared.snapshot_every,
    };
    let settings = settings(&shared.generation, &shared.path("a"));
    let processor = Processor::start(settings, Arc::new(shared.log.clone()), shared.readers(), keeping).unwrap();
    send(&mut shared, 5).await;
    let health = processor.health();
    let folded = || health.partition(0).and_then(|health| health.progress).is_some_and(|progress| progress.folded > 1);
    until("cells are at the store", || folded() && shared.store.calls() >= 3).await;
    sleep(Duration::from_millis(20)).await;
    shared.log.revoke(0);
    // It waits for its flush as long as it may; nothing else moves meanwhile.
    tokio::time::pause();
    until("the partition has gone", || health.ready().is_err()).await;
    tokio::time::resume();
    shared.log.assign(0, 0);
    sleep(Duration::from_millis(50)).await;
    assert!(health.ready().is_err(), "it began though a write of the worker before has no end");
    answer.send_replace(true);
    settled(&processor, &shared.log).await.unwrap();
    shared.compare(&[]).await.unwrap();
    processor.stop().await.unwrap();
}

/// A reader that a test comes between.
struct Between<F> {
    inner: Box<dyn Subscription>,
    change: F,
    waiting: Option<Signal>,
    begins: u32,
}

impl<F: FnMut(Signal, u32) -> (Signal, Option<Signal>) + Send> Subscription for Between<F> {
    fn next(&mut self) -> BoxFuture<'_, Result<Signal, eventlog::Error>> {
        async move {
            if let Some(signal) = self.waiting.take() {
                return Ok(signal);
            }
            let (first, then) = (self.change)(self.inner.next().await?, self.begins);
            self.waiting = then;
            Ok(first)
        }
        .boxed()
    }

    fn next_move(&mut self) -> BoxFuture<'_, Result<Signal, eventlog::Error>> {
        self.inner.next_move()
    }

    fn begin(&mut self, partition: u32, position: u64) -> Result<(), eventlog::Error> {
        self.begins += 1;
        self.inner.begin(partition, position)
    }
}

/// A processor of one partition whose signals a test changes; the second of an answer comes after the first.
fn between(
    shared: &Shared,
    log: &MemoryLog,
    name: &str,
    change: impl FnMut(Signal, u32) -> (Signal, Option<Signal>) + Send + 'static,
) -> Processor {
    let keeping = Keeping::Apart {
        store: shared.store.clone(),
        state: Arc::new(LocalState::open(&shared.path(name).join("state"), &Options::default()).unwrap()),
        snapshots: shared.snapshots(),
        snapshot_every: shared.snapshot_every,
    };
    let reader = Between { inner: log.subscribe().unwrap(), change, waiting: None, begins: 0 };
    let settings = settings(&shared.generation, &shared.path(name));
    Processor::start(settings, Arc::new(log.clone()), vec![Box::new(reader)], keeping).unwrap()
}

#[tokio::test]
async fn a_log_that_leaves_records_out_is_told() {
    let mut shared = begun(1).await;
    send(&mut shared, 10).await;
    let leave_out = |signal, _| match signal {
        Signal::Batch { partition, mut records } => {
            records.drain(..3);
            (Signal::Batch { partition, records }, None)
        }
        other => (other, None),
    };
    let processor = between(&shared, &shared.log, "a", leave_out);
    let why = processor.failed().await;
    assert!(why.contains("went on at offset 3, 0 was next: 3 records are missing"), "{why}");
}

#[tokio::test]
async fn another_log_is_known_though_it_says_idle_first() {
    let mut shared = begun(1).await;
    send(&mut shared, 10).await;
    let node = shared.start("a");
    shared.give_all(&node);
    settled(&node.processor, &shared.log).await.unwrap();
    stop(node).await.unwrap();
    // As long as the first, with other records.
    let other = MemoryLog::new(1);
    other.append(beginnings(&shared.generation)).await.unwrap();
    for _ in 1..shared.log.held().await.unwrap()[0].end {
        other.append(vec![numbers(1)]).await.unwrap();
    }
    let idle_first = |signal, begins| match signal {
        batch @ Signal::Batch { .. } if begins == 1 => (Signal::Idle, Some(batch)),
        other => (other, None),
    };
    let processor = between(&shared, &other, "a", idle_first);
    let why = timeout(PATIENCE, processor.failed()).await.unwrap();
    assert!(why.contains("this is another log"), "{why}");
    let same = between(&shared, &shared.log, "b", idle_first);
    settled(&same, &shared.log).await.unwrap();
}

#[tokio::test]
async fn a_task_that_panics_is_told() {
    super::bench::quiet_wanted_panics();
    let shared = begun(1).await;
    let panic = |signal: Signal, _| match signal {
        Signal::Batch { records, .. } => panic!("a test wants this at {}", records[0].offset),
        other => (other, None),
    };
    let processor = between(&shared, &shared.log, "a", panic);
    let why = timeout(PATIENCE, processor.failed()).await.unwrap();
    assert!(why.contains("panicked: a test wants this at 0"), "{why}");
    assert!(matches!(processor.stop().await, Err(Error::Panicked(_))));
}

#[tokio::test]
async fn settings_that_cannot_be_kept_are_refused() {
    let shared = begun(1).await;
    let start = |generation: &Generation, flush_every, readers| {
        let keeping = Keeping::Apart {
            store: shared.store.clone(),
            state: Arc::new(LocalState::open(&shared.path("state"), &Options::default()).unwrap()),
            snapshots: shared.snapshots(),
            snapshot_every: shared.snapshot_every,
        };
        let settings = crate::Settings { flush_every, ..settings(generation, &shared.path("a")) };
        Processor::start(settings, Arc::new(shared.log.clone()), readers, keeping)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let generation_of_one = &shared.generation;
    assert!(start(generation_of_one, Duration::ZERO, shared.readers()).unwrap_err().contains("flush_every = 0"));
    let none = start(generation_of_one, Duration::from_secs(1), Vec::new()).unwrap_err();
    assert!(none.contains("0 readers for 1 partitions"), "{none}");
    let four = generation(4, DEDUPE_RECORDS);
    assert!(start(&four, Duration::from_secs(1), shared.readers()).unwrap_err().contains("4 partitions, the log 1"));
}

/// Size of a large record; 17 of them are more than a worker takes at a time.
const RECORD_BYTES: usize = 512 << 10;

/// Appends so many large records, handed out one by one.
pub(super) async fn fill(shared: &mut Shared, records: usize) {
    shared.log.set_read_records(1);
    let body = Bytes::from(vec![0xff; RECORD_BYTES]);
    let header = numbers(1).header;
    for _ in 0..records {
        shared.append(vec![Append { partition: 0, header: header.clone(), body: body.clone() }]).await;
    }
}

/// Everything that a log hands out, in bytes, while the store answers nothing.
#[tokio::test]
async fn memory_is_bounded_in_bytes_too() {
    const RECORDS: usize = 60;
    let mut shared = begun(1).await;
    let given = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&given);
    let count = move |signal: Signal, begins| {
        if let Signal::Batch { records, .. } = &signal
            && begins == 1
        {
            counter.fetch_add(records[0].body.len() as u64, Ordering::Relaxed);
        }
        (signal, None)
    };
    let processor = between(&shared, &shared.log, "a", count);
    settled(&processor, &shared.log).await.unwrap();
    shared.store.set_down(true);
    fill(&mut shared, RECORDS).await;
    let most = (WAITING_BYTES_MAX + RECORD_BYTES) as u64;
    until("the first are taken", || given.load(Ordering::Relaxed) >= WAITING_BYTES_MAX as u64).await;
    sleep(Duration::from_millis(50)).await;
    assert!(given.load(Ordering::Relaxed) <= most, "{} bytes wait", given.load(Ordering::Relaxed));
    shared.store.set_down(false);
    settled(&processor, &shared.log).await.unwrap();
    let all = RECORDS as u64 * RECORD_BYTES as u64;
    assert_eq!(given.load(Ordering::Relaxed), all + generation_bytes(&shared.written[0]));
}

fn generation_bytes(log: &[Logged]) -> u64 {
    log[0].body.len() as u64
}

fn numbers(number: u64) -> Append {
    let mut carried = Rejections::default();
    carried.add(Rejection::MalformedPayload, number);
    numbers_record(&environments()[0], 1, &carried, START)
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_long_log_says_how_far_its_replay_is() {
    const RECORDS: u64 = 22_000;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut shared = begun(1).await;
    let node = shared.start("a");
    shared.give_all(&node);
    settled(&node.processor, &shared.log).await.unwrap();
    // The store is gone for a while; with the disk at rest the clock can be moved.
    let store = Arc::clone(&shared.store);
    store.set_down(true);
    let calls = store.calls();
    shared.append((0..RECORDS).map(|_| numbers(1)).collect()).await;
    until("it loads cells", || store.calls() > calls).await;
    tokio::time::pause();
    sleep(Duration::from_secs(5)).await;
    tokio::time::resume();
    let far = lines.text();
    assert!(far.contains("catching up with the log partition=0") && far.contains("end=22001"), "{far}");
    store.set_down(false);
    settled(&node.processor, &shared.log).await.unwrap();
    tokio::time::pause();
    sleep(Duration::from_secs(5)).await;
    tokio::time::resume();
    let text = lines.text();
    assert_eq!(text.matches("caught up with the log").count(), 1, "{text}");
    assert!(!far.contains("caught up with the log"));
    let books = counting::cells::Cell::decode(schemas::cell::CellKind::Books, &books(&*shared.store).await).unwrap();
    let counting::cells::Cell::Books(books) = books else { panic!("{books:?}") };
    assert_eq!(books.numbers().rejected.of(Rejection::MalformedPayload), RECORDS);
    stop(node).await.unwrap();
}

async fn books(store: &dyn Store) -> Bytes {
    let window = u32::try_from(START.div_euclid(86_400_000)).unwrap();
    let key = schemas::cell::CellKey {
        generation: 1,
        partition: 0,
        kind: schemas::cell::CellKind::Books,
        environment: environments()[0].clone(),
        name: schemas::cell::CellName::None,
        window,
    };
    store.load(vec![key]).await.unwrap().remove(0).unwrap().value
}
