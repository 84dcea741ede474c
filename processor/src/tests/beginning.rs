//! What a worker begins with while another process goes on: between any two reads that one may flush, copy its state
//! and let the log go.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use eventlog::{EventLog, Held, Subscription};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};
use schemas::log::Append;
use schemas::stored::{CellWrite, Checkpoint, SavedState, StoredCell, WriteAnswer};
use stores::embedded::Options;
use stores::memory::MemoryStore;
use stores::snapshots::Snapshots;
use stores::state::LocalState;
use stores::{Page, Store};

use crate::{Keeping, SnapshotEvery};

/// A log that says what it is told to hold.
#[derive(Debug, Clone)]
struct Told(Arc<Mutex<Held>>);

impl EventLog for Told {
    fn partitions(&self) -> u32 {
        1
    }

    fn append(&self, _records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, eventlog::Error>> {
        unreachable!("nobody appends here")
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>, eventlog::Error> {
        unreachable!("nobody reads here")
    }

    fn read(&self, _partition: u32) -> Result<Box<dyn Subscription>, eventlog::Error> {
        self.subscribe()
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, eventlog::Error>> {
        let held = vec![*self.0.lock().unwrap()];
        Box::pin(async { Ok(held) })
    }

    fn release(&self, _partition: u32, below: u64) {
        self.0.lock().unwrap().first = below;
    }
}

/// A store at which the other process is through with a flush, a snapshot and retention right after our read of the
/// checkpoint: once for each position, in order.
#[derive(Debug)]
struct Busy {
    store: MemoryStore,
    snapshots: Snapshots,
    log: Told,
    flushes: Mutex<Vec<u64>>,
    cuts: bool,
}

impl Busy {
    async fn flush(&self, position: u64) {
        let checkpoint = Checkpoint { position, definition_version: 0, fingerprint: 0, log_time_ms: 0 };
        assert!(self.store.write_checkpoint(1, 0, checkpoint).await.unwrap());
        self.snapshots.put(1, 0, SavedState { position, rows: Vec::new() }).await.unwrap();
        if self.cuts {
            self.log.release(0, position);
        }
    }
}

impl Store for Busy {
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, stores::Error>> {
        self.store.load(keys)
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, stores::Error>> {
        self.store.write(cells)
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, stores::Error>> {
        self.store.range(range, limit)
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, stores::Error>> {
        async move {
            let found = self.store.checkpoint(generation, partition).await;
            let next = self.flushes.lock().unwrap().pop();
            if let Some(position) = next {
                self.flush(position).await;
            }
            found
        }
        .boxed()
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, stores::Error>> {
        self.store.write_checkpoint(generation, partition, checkpoint)
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, stores::Error>> {
        self.store.generation(number)
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, stores::Error>> {
        self.store.create_generation(number, row)
    }
}

/// Positions of checkpoint, state and snapshot used, and of the oldest record held, as a process without a disk of its
/// own finds them; the other one had flushed to 10 before.
async fn found(flushes: &[u64], cuts: bool) -> (u64, u64, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::in_folder(&folder.path().join("snapshots")).unwrap();
    let log = Told(Arc::new(Mutex::new(Held { first: 0, end: 30 })));
    let flushes = Mutex::new(flushes.iter().rev().copied().collect());
    let store = Busy { store: MemoryStore::new(), snapshots: snapshots.clone(), log: log.clone(), flushes, cuts };
    store.flush(10).await;
    let keeping = Keeping::Apart {
        store: Arc::new(store),
        state: Arc::new(LocalState::open(&folder.path().join("state"), &Options::default()).unwrap()),
        snapshots,
        snapshot_every: SnapshotEvery::default(),
    };
    let found = keeping.find(1, 0, Arc::new(log)).await.unwrap();
    let position = found.state.map_or(0, |state| state.position);
    (found.checkpoint.map_or(0, |checkpoint| checkpoint.position), position, found.restored, found.held.first)
}

#[tokio::test]
async fn a_snapshot_of_a_flush_under_way_is_not_ahead_of_the_checkpoint() {
    let (checkpoint, state, restored, _) = found(&[20], false).await;
    assert!(state <= checkpoint, "the state is at {state}, the checkpoint at {checkpoint}");
    assert_eq!(restored, state);
}

#[tokio::test]
async fn what_the_log_let_go_meanwhile_is_looked_for_again() {
    assert_eq!(found(&[], true).await, (10, 10, 10, 10));
    assert_eq!(found(&[20], true).await, (20, 20, 20, 20));
    assert_eq!(found(&[20, 25], true).await, (25, 25, 25, 25));
}
