//! Where the last write wins, a cell that can be read need not be there to stay: its writer may have died before enough
//! copies had it. Whoever loads it must write it again before any checkpoint says that it holds.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};
use stores::embedded::Options;
use stores::memory::MemoryStore;
use stores::state::LocalState;
use stores::{CellWrite, Checkpoint, Page, Store, StoredCell, WriteAnswer};

use super::bench::{Shared, compare, settings, settled, stop};
use super::exact::DEDUPE_RECORDS;
use super::payloads::{beginnings, generation};
use super::trouble::send;
use crate::{Keeping, Processor};

/// A store in which an earlier process wrote cells that no write is known to have kept: they are read where nothing
/// else was written since, and are not held.
#[derive(Debug)]
struct Fleeting {
    seen: Arc<MemoryStore>,
    held: Arc<MemoryStore>,
}

impl Store for Fleeting {
    fn last_write_wins(&self) -> bool {
        self.held.last_write_wins()
    }

    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, stores::Error>> {
        async move {
            let (held, seen) = (self.held.load(keys.clone()).await?, self.seen.load(keys).await?);
            Ok(held.into_iter().zip(seen).map(|(held, seen)| held.or(seen)).collect())
        }
        .boxed()
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, stores::Error>> {
        self.held.write(cells)
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, stores::Error>> {
        self.held.range(range, limit)
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, stores::Error>> {
        self.held.checkpoint(generation, partition)
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, stores::Error>> {
        self.held.write_checkpoint(generation, partition, checkpoint)
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, stores::Error>> {
        self.held.generation(number)
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, stores::Error>> {
        self.held.create_generation(number, row)
    }
}

/// What a process holds to the end of a log, where an earlier one wrote the same cells and nobody knows whether they
/// stay.
async fn folded_again(held: MemoryStore) -> Result<(), String> {
    let mut shared = Shared::new(generation(2, DEDUPE_RECORDS));
    shared.append(beginnings(&shared.generation)).await;
    send(&mut shared, 20).await;
    let earlier = shared.start("a");
    shared.give_all(&earlier);
    settled(&earlier.processor, &shared.log).await?;
    stop(earlier).await.map_err(|error| error.to_string())?;

    let held = Arc::new(held);
    let keeping = Keeping::Apart {
        store: Arc::new(Fleeting { seen: Arc::clone(&shared.store), held: Arc::clone(&held) }),
        state: Arc::new(LocalState::open(&shared.path("state"), &Options::default()).unwrap()),
        snapshots: shared.snapshots(),
        snapshot_every: shared.snapshot_every,
    };
    let log = shared.log.clone();
    let first_reader = shared.subscribed();
    let settings = settings(&shared.generation, &shared.path("b"));
    let later = Processor::start(settings, Arc::new(log), shared.readers(), keeping).unwrap();
    (0..2).for_each(|partition| shared.log.assign(partition, first_reader + partition as usize));
    settled(&later, &shared.log).await?;
    compare(&shared.written, &*held, &shared.generation, &[]).await.map(drop)
}

#[tokio::test]
async fn what_was_loaded_and_not_acknowledged_is_written_again() {
    folded_again(MemoryStore::new().where_the_last_write_wins()).await.unwrap();
    let lost = folded_again(MemoryStore::new()).await;
    assert!(lost.is_err(), "a worker that trusts what it loads must lose it here, or this test shows nothing");
}
