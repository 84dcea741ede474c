//! Snapshots in a folder, and what only a folder shows.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stores::SavedState;
use stores::conformance::snapshots as conformance;
use stores::snapshots::{KEPT, Newest, Snapshots};
use tempfile::TempDir;

pub(crate) fn state(position: u64) -> SavedState {
    let row = |n: u64| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(format!("value {n} at {position}")));
    SavedState { position, rows: (0..3).map(row).collect() }
}

fn whole(position: u64) -> Newest {
    Newest { state: Some(state(position)), passed_over: Vec::new() }
}

/// The snapshots in a folder, newest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "snapshot")).collect();
    files.sort_by(|a, b| b.cmp(a));
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_conforms() {
    let places: TempDir = tempfile::tempdir().unwrap();
    let mut number = 0;
    let failures = conformance::run(|| {
        number += 1;
        std::future::ready(Snapshots::in_folder(&places.path().join(number.to_string())).map(|found| found.place()))
    });
    assert_eq!(failures.await.unwrap(), []);
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_is_an_error_that_may_pass() {
    let place = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::in_folder(&place.path().join("mounted")).unwrap();
    std::fs::remove_dir(place.path().join("mounted")).unwrap();
    assert_eq!(conformance::away(snapshots.place()).await, Ok(()));
}

#[tokio::test]
async fn every_byte_that_is_damaged_or_missing_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let folder = Snapshots::in_folder(place.path()).unwrap();
    folder.put(1, 0, state(5)).await.unwrap();
    folder.put(1, 0, state(8)).await.unwrap();
    assert_eq!(files(place.path()).len(), KEPT);
    let path = &files(place.path())[0];
    let bytes = std::fs::read(path).unwrap();
    let mut damages: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    damages.extend((0..bytes.len()).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        changed
    }));
    for damaged in damages {
        std::fs::write(path, damaged).unwrap();
        let newest = folder.newest(1, 0).await.unwrap();
        assert_eq!((newest.state, newest.passed_over.len()), (Some(state(5)), 1));
    }
}

#[tokio::test]
async fn a_folder_of_before_contents_were_in_names_is_read() {
    let place = tempfile::tempdir().unwrap();
    let folder = Snapshots::in_folder(place.path()).unwrap();
    folder.put(1, 0, state(8)).await.unwrap();
    std::fs::rename(&files(place.path())[0], place.path().join("g1-p0-00000000000000000008.v1.snapshot")).unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(whole(8)));
    for position in [9, 10] {
        folder.put(1, 0, state(position)).await.unwrap();
    }
    assert_eq!(folder.positions(1, 0).await, Ok(vec![10, 9]), "and goes when its time has come");
}

#[tokio::test]
async fn a_write_that_was_cut_short_is_no_snapshot_and_hinders_nobody() {
    let place = tempfile::tempdir().unwrap();
    let folder = Snapshots::in_folder(place.path()).unwrap();
    folder.put(1, 0, state(5)).await.unwrap();
    std::fs::write(place.path().join("g1-p0-unfinished"), b"flagsnp1 half").unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(whole(5)));
    folder.put(1, 0, state(6)).await.unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(whole(6)));
}

#[tokio::test]
async fn a_writer_that_is_at_a_snapshot_is_told_of_and_hinders_no_other_partition() {
    let place = tempfile::tempdir().unwrap();
    let folder = Snapshots::in_folder(place.path()).unwrap();
    let other = std::fs::File::create(place.path().join("g1-p0-lock")).unwrap();
    other.lock().unwrap();
    let error = folder.put(1, 0, state(5)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("another writer"), "{error}");
    folder.put(1, 1, state(5)).await.unwrap();
    drop(other);
    folder.put(1, 0, state(5)).await.unwrap();
    assert_eq!(folder.newest(1, 0).await.unwrap(), whole(5));
}

/// A place that lists nothing where it should say that it cannot.
#[tokio::test]
async fn what_is_asked_of_a_place_that_is_away_can_fail() {
    let empty = tempfile::tempdir().unwrap();
    let place = Snapshots::in_folder(empty.path()).unwrap().place();
    let said = conformance::away(place).await;
    assert!(said.unwrap_err().starts_with("newest: Ok("));
}
