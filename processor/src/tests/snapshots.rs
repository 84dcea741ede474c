//! Another machine takes a partition over: it begins from the newest snapshot, wherever that lies, waits while nobody can
//! tell whether there is one, and stops where there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventlog::files::forgetful::Dice;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stores::Error;
use stores::snapshots::{Content, Name, Place, Reader, Snapshots};

use super::bench::{Shared, settled, stop, until};
use super::exact::{DEDUPE_RECORDS, traffic};
use super::payloads::{beginnings, generation};
use crate::SnapshotEvery;

/// One machine has folded, kept snapshots and gone; the log was cut.
async fn cut_after_one_machine(elsewhere: Option<Snapshots>) -> Shared {
    let mut shared = Shared::new(generation(1, DEDUPE_RECORDS));
    shared.snapshot_every = SnapshotEvery { time: Duration::from_secs(3_600), records: 10 };
    shared.elsewhere = elsewhere;
    shared.append(beginnings(&shared.generation)).await;
    let (mut dice, mut sent) = (Dice::new(2), Vec::new());
    let node = shared.start("a");
    for _ in 0..20 {
        let records = traffic(&mut dice, 1, &mut sent);
        shared.append(records).await;
        settled(&node.processor, &shared.log).await.unwrap();
    }
    let log = shared.log.clone();
    until("a snapshot lets the log go", || log.released(0) >= 10).await;
    stop(node).await.unwrap();
    assert!(shared.log.released(0) <= shared.snapshots().newest(1, 0).await.unwrap().state.unwrap().position);
    shared.log.drop_released(0);
    let records = traffic(&mut dice, 1, &mut sent);
    shared.append(records).await;
    shared
}

async fn another_begins_and_a_third_does_not_without_any(mut shared: Shared) {
    let other = shared.start("b");
    shared.give_all(&other);
    settled(&other.processor, &shared.log).await.unwrap();
    shared.compare(&[]).await.unwrap();
    stop(other).await.unwrap();

    let place = shared.snapshots().place();
    for name in place.list(1, 0).await.unwrap() {
        place.remove(name).await.unwrap();
    }
    let third = shared.start("c");
    shared.give_all(&third);
    let why = third.processor.failed().await;
    assert!(why.contains("records are lost to the counts"), "{why}");
}

#[tokio::test]
async fn another_machine_begins_from_the_snapshot_when_the_log_is_cut_and_not_without_one() {
    another_begins_and_a_third_does_not_without_any(cut_after_one_machine(None).await).await;
}

/// On a server that speaks S3, which must run already: `cargo xtask services up s3`.
#[cfg(feature = "objects")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_begins_from_a_snapshot_in_a_bucket() {
    use stores::snapshots::bucket;
    let server = std::env::var("FLAGSTREAM_TEST_S3");
    let server = server.expect("FLAGSTREAM_TEST_S3 names the server: see `cargo xtask services up s3`");
    let prefix = format!("processor/{}", std::process::id());
    let options = bucket::Options { endpoint: Some(server), ..bucket::Options::new("flagstream", &prefix) };
    let snapshots = bucket::open(&options).await.unwrap();
    another_begins_and_a_third_does_not_without_any(cut_after_one_machine(Some(snapshots)).await).await;
}

#[tokio::test]
async fn while_snapshots_are_away_nobody_begins_anew_and_nobody_stops() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Snapshots::in_folder(folder.path()).unwrap().place();
    let place = Arc::new(Leaving { inner, is_away: AtomicBool::new(false), asked: AtomicU64::new(0) });
    let mut shared = cut_after_one_machine(Some(Snapshots::new(place.clone()))).await;
    place.is_away.store(true, Ordering::SeqCst);
    place.asked.store(0, Ordering::SeqCst);
    let other = shared.start("b");
    shared.give_all(&other);
    until("it has asked, and again", || place.asked.load(Ordering::SeqCst) >= 3).await;
    assert_eq!(other.processor.failed().now_or_never(), None);
    assert!(other.processor.health().partition(0).and_then(|health| health.progress).is_none(), "it has not begun");
    place.is_away.store(false, Ordering::SeqCst);
    settled(&other.processor, &shared.log).await.unwrap();
    shared.compare(&[]).await.unwrap();
    stop(other).await.unwrap();
}

/// A place that nobody reaches for a while.
#[derive(Debug)]
struct Leaving {
    inner: Arc<dyn Place>,
    is_away: AtomicBool,
    asked: AtomicU64,
}

impl Leaving {
    fn ask<'a, T: Send + 'a>(&'a self, answer: BoxFuture<'a, Result<T, Error>>) -> BoxFuture<'a, Result<T, Error>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_away.load(Ordering::SeqCst) {
            return std::future::ready(Err(Error::Unavailable("nobody answers".to_owned()))).boxed();
        }
        answer
    }
}

impl Place for Leaving {
    fn list(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        self.ask(self.inner.list(generation, partition))
    }

    fn open(&self, name: Name) -> BoxFuture<'_, Result<Option<Reader>, Error>> {
        self.ask(self.inner.open(name))
    }

    fn keep(&self, name: Name, content: Content) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(self.inner.keep(name, content))
    }

    fn remove(&self, name: Name) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(self.inner.remove(name))
    }
}
