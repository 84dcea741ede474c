//! A partition that goes is flushed before the log may give it away, and is heard to go even where there is no room for
//! records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventlog::{EventLog, Signal, Subscription};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stores::Store;
use stores::embedded::Options;
use stores::memory::MemoryStore;
use stores::state::LocalState;

use super::bench::{Shared, settings, until};
use super::exact::DEDUPE_RECORDS;
use super::payloads::{beginnings, generation};
use super::trouble::{fill, send};
use crate::{Keeping, Processor};

/// A reader that notes where the checkpoint stands when the first signal behind a revocation is asked for.
struct Noting {
    inner: Box<dyn Subscription>,
    store: Arc<MemoryStore>,
    is_gone: bool,
    checkpoint: Arc<AtomicU64>,
}

impl Noting {
    async fn note(&mut self) {
        if std::mem::take(&mut self.is_gone) {
            // A store that is down has none to show.
            let checkpoint = self.store.checkpoint(1, 0).await.ok().flatten();
            self.checkpoint.store(checkpoint.map_or(0, |checkpoint| checkpoint.position), Ordering::SeqCst);
        }
    }

    fn look(&mut self, signal: Signal) -> Signal {
        self.is_gone = matches!(signal, Signal::Revoked { .. });
        signal
    }
}

impl Subscription for Noting {
    fn next(&mut self) -> BoxFuture<'_, Result<Signal, eventlog::Error>> {
        async move {
            self.note().await;
            let signal = self.inner.next().await?;
            Ok(self.look(signal))
        }
        .boxed()
    }

    fn next_move(&mut self) -> BoxFuture<'_, Result<Signal, eventlog::Error>> {
        async move {
            self.note().await;
            let signal = self.inner.next_move().await?;
            Ok(self.look(signal))
        }
        .boxed()
    }

    fn begin(&mut self, partition: u32, position: u64) -> Result<(), eventlog::Error> {
        self.inner.begin(partition, position)
    }
}

/// A processor that flushes once an hour, and where the checkpoint stood when its partition was let go.
fn hourly(shared: &Shared) -> (Processor, Arc<AtomicU64>) {
    let keeping = Keeping::Apart {
        store: shared.store.clone(),
        state: Arc::new(LocalState::open(&shared.path("state"), &Options::default()).unwrap()),
        snapshots: shared.snapshots(),
        snapshot_every: shared.snapshot_every,
    };
    let checkpoint = Arc::new(AtomicU64::new(u64::MAX));
    let noting = |inner| -> Box<dyn Subscription> {
        let (store, checkpoint) = (Arc::clone(&shared.store), Arc::clone(&checkpoint));
        Box::new(Noting { inner, store, is_gone: false, checkpoint })
    };
    let readers = shared.readers().into_iter().map(noting).collect();
    let settings =
        crate::Settings { flush_every: Duration::from_secs(3_600), ..settings(&shared.generation, &shared.path("a")) };
    let processor = Processor::start(settings, Arc::new(shared.log.clone()), readers, keeping).unwrap();
    (processor, checkpoint)
}

async fn begun() -> Shared {
    let mut shared = Shared::new(generation(1, DEDUPE_RECORDS));
    shared.append(beginnings(&shared.generation)).await;
    shared
}

#[tokio::test]
async fn what_was_folded_is_durable_before_the_partition_is_let_go() {
    let mut shared = begun().await;
    let (processor, checkpoint) = hourly(&shared);
    let health = processor.health();
    let folded = || health.partition(0).and_then(|health| health.progress).map(|progress| progress.folded);
    // A flush is due at once, and may have the first records in it; the next one is due in an hour.
    send(&mut shared, 20).await;
    let first = shared.log.held().await.unwrap()[0].end;
    until("the first are folded", || folded() == Some(first)).await;
    send(&mut shared, 20).await;
    let end = shared.log.held().await.unwrap()[0].end;
    until("all is folded", || folded() == Some(end)).await;
    assert!(shared.store.checkpoint(1, 0).await.unwrap().is_none_or(|checkpoint| checkpoint.position < end));
    shared.log.revoke(0);
    until("the partition is let go", || checkpoint.load(Ordering::SeqCst) != u64::MAX).await;
    assert_eq!(checkpoint.load(Ordering::SeqCst), end);
    assert!(health.ready().is_err(), "it is let go, and still ours");
    shared.compare(&[]).await.unwrap();
    processor.stop().await.unwrap();
}

#[tokio::test]
async fn a_partition_is_heard_to_go_though_there_is_no_room_and_the_store_is_down() {
    let mut shared = begun().await;
    let (processor, checkpoint) = hourly(&shared);
    let health = processor.health();
    until("it has begun", || health.ready().is_ok()).await;
    shared.store.set_down(true);
    fill(&mut shared, 20).await;
    let calls = shared.store.calls();
    let store = Arc::clone(&shared.store);
    until("it asks in vain for cells", || store.calls() > calls).await;
    shared.log.revoke(0);
    // Only the clock moves while the store is down: waiting for the flush costs the test no time.
    tokio::time::pause();
    until("the partition is let go", || checkpoint.load(Ordering::SeqCst) != u64::MAX).await;
    tokio::time::resume();
    assert!(health.ready().is_err());
    // Whoever gets it next counts what was not flushed.
    shared.store.set_down(false);
    shared.log.assign(0, 0);
    let end = shared.log.held().await.unwrap()[0].end;
    let folded = || health.partition(0).and_then(|health| health.progress).map(|progress| progress.folded);
    until("all is folded", || folded() == Some(end)).await;
    processor.stop().await.unwrap();
}

#[tokio::test]
async fn the_store_is_told_who_has_the_partition() {
    let shared = begun().await;
    let (processor, _) = hourly(&shared);
    let health = processor.health();
    until("it has begun", || health.ready().is_ok()).await;
    let told = async {
        loop {
            if let Some(owner) = shared.store.owners(1, 1).await.unwrap().remove(0) {
                return owner;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let owner = tokio::time::timeout(super::bench::PATIENCE, told).await.unwrap();
    assert_eq!(owner.name, "a test");
    assert!(owner.told_ms >= owner.since_ms && owner.since_ms > 0, "{owner:?}");
    // Again and again, though it flushes once an hour and nothing happens.
    let calls = shared.store.calls();
    tokio::time::pause();
    tokio::time::sleep(3 * crate::TELL_EVERY + Duration::from_secs(1)).await;
    tokio::time::resume();
    // A flush that was under way is among them.
    let words = shared.store.calls() - calls;
    assert!((3..=5).contains(&words), "{words} calls of the store in 31 s");
    processor.stop().await.unwrap();
}
