//! Opening, locking, grouping, poisoning and the rules of a flush.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use stores::embedded::{Ahead, Embedded, Flushed, Options};
use stores::{Error, SavedState, Store, StoredCell};

use crate::disk::Disk;
use crate::world::{GENERATION, bare_flush, checkpoint, key};

fn open(path: &Path) -> Result<Embedded, Error> {
    Embedded::open(path, &Options::default())
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/store");
    for position in 1..4 {
        let store = open(&path).unwrap();
        assert_eq!(store.commit(bare_flush(0, position)).await, Ok(Flushed::Durable));
        drop(store);
        let store = open(&path).unwrap();
        assert_eq!(store.checkpoint(GENERATION, 0).await, Ok(Some(checkpoint(position))));
        let state = store.load_state(GENERATION, 0).await.unwrap().unwrap();
        assert_eq!((state.position, state.rows.len() as u64), (position, position));
    }
}

#[test]
fn a_second_opening_is_told_that_the_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, Error::Setting(_)));
    assert!(error.to_string().contains("is in use by another process"), "{error}");
    drop(first);
    open(&path).unwrap();
}

#[test]
fn a_damaged_file_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(open(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    let mut header_gone = whole.clone();
    header_gone[..512].fill(0);
    let damages = [whole[..whole.len() - 1].to_vec(), whole[..whole.len() / 2].to_vec(), header_gone, b"text".to_vec()];
    for damaged in damages {
        std::fs::write(&path, &damaged).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "the damaged file was not left as it was");
    }
}

#[test]
fn a_file_of_another_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let other = redb::Database::create(&path).unwrap();
    let transaction = other.begin_write().unwrap();
    for name in ["cells", "format"] {
        transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new(name)).unwrap();
    }
    transaction.commit().unwrap();
    drop(other);
    let error = open(&path).unwrap_err();
    assert!(error.to_string().contains("has layout"), "{error}");
}

#[test]
fn a_file_left_half_made_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.new"), b"half a file").unwrap();
    open(&folder.path().join("store")).unwrap();
    assert!(!folder.path().join("store.new").exists());
}

#[tokio::test]
async fn a_refused_flush_writes_nothing_and_says_where_the_store_is_ahead() {
    let store = Embedded::on(Disk::default(), &Options::default()).unwrap();
    store.commit(bare_flush(0, 10)).await.unwrap();
    let mut flush = bare_flush(0, 7);
    flush.cells.insert(0, stores::CellWrite { key: key(0, 1), ..flush.cells[0].clone() });
    let there = StoredCell { h: 10, value: Bytes::from_static(b"value at 10") };
    let ahead = Ahead { cells: vec![(1, there.clone())], checkpoint: Some(checkpoint(10)) };
    assert_eq!(store.commit(flush.clone()).await, Ok(Flushed::Refused(ahead)));
    // One cell ahead is enough, even when the checkpoint would rise.
    flush.checkpoint = checkpoint(11);
    let ahead = Ahead { cells: vec![(1, there.clone())], checkpoint: None };
    assert_eq!(store.commit(flush).await, Ok(Flushed::Refused(ahead)));
    assert_eq!(store.load(vec![key(0, 1), key(0, 0)]).await, Ok(vec![None, Some(there)]));
    assert_eq!(store.checkpoint(GENERATION, 0).await, Ok(Some(checkpoint(10))));
    assert_eq!(store.load_state(GENERATION, 0).await.unwrap().unwrap().rows.len(), 1);
    // The same flush again is success and changes nothing.
    assert_eq!(store.commit(bare_flush(0, 10)).await, Ok(Flushed::Durable));
    assert_eq!(store.load_state(GENERATION, 0).await.unwrap().unwrap().rows.len(), 1);
}

#[tokio::test]
async fn state_never_falls_and_never_stands_above_the_checkpoint() {
    let store = Embedded::on(Disk::default(), &Options::default()).unwrap();
    let mut flush = bare_flush(0, 5);
    flush.state.position = 6;
    let error = store.commit(flush.clone()).await.unwrap_err();
    assert!(error.to_string().contains("above the checkpoint at 5"), "{error}");
    assert_eq!(store.load(vec![key(0, 0)]).await, Ok(vec![None]));
    let snapshot = SavedState { position: 3, rows: Vec::new() };
    let error = store.replace_state(GENERATION, 0, snapshot.clone()).await.unwrap_err();
    assert!(error.to_string().contains("above the checkpoint at 0"), "{error}");

    store.commit(bare_flush(0, 5)).await.unwrap();
    flush.checkpoint = checkpoint(8);
    flush.cells.clear();
    flush.state.position = 4;
    let error = store.commit(flush).await.unwrap_err();
    assert!(error.to_string().contains("stands at position 5 and cannot fall to 4"), "{error}");
    assert_eq!(store.checkpoint(GENERATION, 0).await, Ok(Some(checkpoint(5))));
    // A snapshot below the checkpoint takes the place of what there is.
    store.replace_state(GENERATION, 0, snapshot.clone()).await.unwrap();
    assert_eq!(store.load_state(GENERATION, 0).await, Ok(Some(snapshot)));
}

#[tokio::test]
async fn flushes_that_wait_together_share_a_commit_and_fail_alone() {
    let disk = Disk::default();
    let store = Arc::new(Embedded::on(disk.clone(), &Options::default()).unwrap());
    disk.hold_syncs(true);
    let flush = |partition, position| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(bare_flush(partition, position)).await })
    };
    let mut flushes = vec![flush(0, 5)];
    while disk.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    flushes.extend((1..9).map(|partition| flush(partition, 5)));
    let lagging = flush(0, 4);
    tokio::task::yield_now().await;
    disk.hold_syncs(false);
    for flush in flushes {
        assert_eq!(flush.await.unwrap(), Ok(Flushed::Durable));
    }
    assert!(matches!(lagging.await.unwrap(), Ok(Flushed::Refused(_))));
    assert_eq!(store.commits(), 2);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_answered_any_more() {
    let disk = Disk::default();
    let store = Embedded::on(disk.clone(), &Options::default()).unwrap();
    let poisoned = store.poisoned();
    store.commit(bare_flush(0, 1)).await.unwrap();
    assert_eq!(*poisoned.borrow(), None);
    disk.fail_syncs(true);
    assert!(matches!(store.commit(bare_flush(0, 2)).await, Err(Error::Poisoned(_))));
    disk.fail_syncs(false);
    let why = poisoned.borrow().clone().unwrap();
    assert!(why.contains("sync failed"), "{why}");
    for answer in [store.commit(bare_flush(0, 2)).await.err(), store.load(vec![key(0, 0)]).await.err()] {
        assert_eq!(answer, Some(Error::Poisoned(why.clone())));
    }
}
