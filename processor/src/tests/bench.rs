//! What tests need to run processors: logs, stores, folders, and the comparison with the oracle.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use counting::worker;
use eventlog::embedded::EmbeddedLog;
use eventlog::memory::MemoryLog;
use eventlog::{EventLog, Held, Signal, Subscription};
use schemas::generation::Generation;
use schemas::log::{Append, Logged};
use stores::Store;
use stores::embedded::Options;
use stores::memory::MemoryStore;
use stores::snapshots::Snapshots;
use stores::state::LocalState;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::oracle::{Said, differences, flags_in, said_by, said_in};
use crate::{Error, Keeping, Processor, Settings, SnapshotEvery};

/// No test waits longer than this for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Panics that a test asked for say nothing; all others are told as ever.
pub(crate) fn quiet_wanted_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let wanted = panic.payload().downcast_ref::<String>().is_some_and(|text| text.starts_with("a test wants"));
            if !wanted {
                told(panic);
            }
        }));
    });
}

pub(crate) fn settings(generation: &Generation, folder: &Path) -> Settings {
    Settings {
        name: "a test".to_owned(),
        generation: generation.clone(),
        flush_every: Duration::from_millis(3),
        dead_letters: folder.join("dead-letters"),
    }
}

/// A log and a store in memory that several processes share; each has its state in a folder.
pub(crate) struct Shared {
    pub(crate) generation: Generation,
    pub(crate) log: MemoryLog,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) folder: TempDir,
    pub(crate) snapshot_every: SnapshotEvery,
    /// Where snapshots are; `None` = in the folder.
    pub(crate) elsewhere: Option<Snapshots>,
    /// What was appended, by partition.
    pub(crate) written: Vec<Vec<Logged>>,
    /// Readers so far.
    subscribed: usize,
}

/// A process.
pub(crate) struct Node {
    pub(crate) processor: Processor,
    /// Its readers are numbered from here, one a partition.
    pub(crate) first_reader: usize,
}

impl Node {
    /// The reader of a partition.
    pub(crate) fn reader(&self, partition: u32) -> usize {
        self.first_reader + partition as usize
    }
}

impl Shared {
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            log: MemoryLog::new(generation.partitions),
            store: Arc::new(MemoryStore::new()),
            folder: tempfile::tempdir().unwrap(),
            snapshot_every: SnapshotEvery { time: Duration::from_secs(3_600), records: 1_000_000 },
            elsewhere: None,
            written: vec![Vec::new(); generation.partitions as usize],
            subscribed: 0,
            generation,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn snapshots(&self) -> Snapshots {
        match &self.elsewhere {
            Some(snapshots) => snapshots.clone(),
            None => Snapshots::in_folder(&self.path("snapshots")).unwrap(),
        }
    }

    pub(crate) async fn append(&mut self, records: Vec<Append>) {
        let offsets = self.log.append(records.clone()).await.unwrap();
        for (Append { partition, header, body }, offset) in records.into_iter().zip(offsets) {
            self.written[partition as usize].push(Logged { offset, append_ms: 0, header, body });
        }
    }

    /// Starts a process by its name, under which its state lies; it has no partition that another one has.
    pub(crate) fn start(&mut self, name: &str) -> Node {
        self.start_with(name, |worker| worker)
    }

    pub(crate) fn start_with(&mut self, name: &str, change: impl Fn(worker::Settings) -> worker::Settings) -> Node {
        let keeping = Keeping::Apart {
            store: self.store.clone(),
            state: Arc::new(LocalState::open(&self.path(name).join("state"), &Options::default()).unwrap()),
            snapshots: self.snapshots(),
            snapshot_every: self.snapshot_every,
        };
        let first_reader = self.subscribed;
        self.subscribed += self.generation.partitions as usize;
        let log = self.log.clone();
        let settings = settings(&self.generation, &self.path(name));
        let readers = self.readers();
        let started = Processor::start_with(settings, Arc::new(log), readers, keeping, change);
        Node { processor: started.unwrap(), first_reader }
    }

    /// Readers so far.
    pub(crate) fn subscribed(&self) -> usize {
        self.subscribed
    }

    /// A reader for each partition.
    pub(crate) fn readers(&self) -> Vec<Box<dyn Subscription>> {
        (0..self.generation.partitions).map(|_| self.log.subscribe().unwrap()).collect()
    }

    /// Gives a process all partitions.
    pub(crate) fn give_all(&self, node: &Node) {
        (0..self.generation.partitions).for_each(|partition| self.log.assign(partition, node.reader(partition)));
    }

    /// Compares the store with the oracle.
    pub(crate) async fn compare(&self, panics_at: &[u64]) -> Result<Said, String> {
        compare(&self.written, &*self.store, &self.generation, panics_at).await
    }
}

/// A reader for each partition of an embedded log.
pub(crate) fn readers_of(log: &EmbeddedLog) -> Result<Vec<Box<dyn Subscription>>, eventlog::Error> {
    (0..log.partitions()).map(|partition| log.subscribe_to(&[partition])).collect()
}

/// Whatever an embedded log holds of a partition.
pub(crate) async fn read_all(log: &EmbeddedLog, partition: u32) -> Vec<Logged> {
    let held = log.held().await.unwrap()[partition as usize];
    let mut records: Vec<Logged> = Vec::new();
    let mut reader = log.subscribe_to(&[partition]).unwrap();
    while (records.len() as u64) < held.end - held.first {
        match reader.next().await.unwrap() {
            Signal::Assigned { partition } => reader.begin(partition, held.first).unwrap(),
            Signal::Batch { records: batch, .. } => records.extend(batch),
            _ => {}
        }
    }
    records
}

/// Compares a store with the oracle over these records, by partition from offset 0.
pub(crate) async fn compare(
    log: &[Vec<Logged>],
    store: &dyn Store,
    generation: &Generation,
    panics_at: &[u64],
) -> Result<Said, String> {
    let mut all = Said::default();
    for (partition, records) in (0..).zip(log) {
        let said = said_by(generation, partition, records, panics_at);
        all.facts.extend(said.facts);
        all.poisoned.extend(said.poisoned);
    }
    let flags = flags_in(log.iter().flatten());
    let found = said_in(store, generation.partitions, &flags).await;
    let differ = differences(&found, &all.facts);
    if differ.is_empty() { Ok(all) } else { Err(format!("{} facts:\n{}", found.len(), differ.join("\n"))) }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until all that is in the log is durable, or a partition says that it cannot go on.
pub(crate) async fn settled(processor: &Processor, log: &dyn EventLog) -> Result<(), String> {
    let health = processor.health();
    let is_settled = |held: Vec<Held>| {
        (0_u32..).zip(held).all(|(partition, held)| {
            let progress = health.partition(partition).and_then(|health| health.progress);
            progress.is_some_and(|progress| progress.saved == held.end && progress.durable == held.end)
        })
    };
    let all_is_durable = async {
        let begun = Instant::now();
        while !is_settled(log.held().await.unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain: all is durable");
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = all_is_durable => Ok(()),
        why = processor.failed() => Err(why),
    }
}

/// Stops a process; what it could not do is told.
pub(crate) async fn stop(node: Node) -> Result<(), Error> {
    node.processor.stop().await
}
