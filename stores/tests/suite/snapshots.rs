//! Snapshots in a folder.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stores::SavedState;
use stores::snapshots::{Folder, KEPT, Newest};

fn state(position: u64) -> SavedState {
    let row = |n: u64| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(format!("value {n} at {position}")));
    SavedState { position, rows: (0..3).map(row).collect() }
}

fn whole(position: u64) -> Newest {
    Newest { state: Some(state(position)), passed_over: Vec::new() }
}

fn file_of(folder: &Path, position: u64) -> PathBuf {
    folder.join(format!("g1-p0-{position:020}.v1.snapshot"))
}

#[tokio::test]
async fn the_newest_comes_back_and_the_one_before_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(&place.path().join("snapshots")).unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(Newest::default()));
    for position in [0, 9, 10, 100, 1 << 40] {
        folder.put(1, 0, state(position)).await.unwrap();
        assert_eq!(folder.newest(1, 0).await, Ok(whole(position)));
    }
    assert_eq!(folder.positions(1, 0).await, Ok(vec![1 << 40, 100]));
    let files = std::fs::read_dir(place.path().join("snapshots")).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(files.filter(|name| name.to_string_lossy().ends_with(".snapshot")).count(), KEPT);
    // One that lags does not push out a newer one.
    folder.put(1, 0, state(50)).await.unwrap();
    assert_eq!(folder.positions(1, 0).await, Ok(vec![1 << 40, 100]));
}

#[tokio::test]
async fn generations_and_partitions_are_apart() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let of = [(1, 0), (1, 1), (1, 11), (11, 1), (11, 11)];
    for (at, (generation, partition)) in of.into_iter().enumerate() {
        folder.put(generation, partition, state(at as u64)).await.unwrap();
    }
    for (at, (generation, partition)) in of.into_iter().enumerate() {
        assert_eq!(folder.newest(generation, partition).await, Ok(whole(at as u64)));
    }
    // One that lies under a foreign name is not taken.
    std::fs::rename(place.path().join("g11-p1-00000000000000000003.v1.snapshot"), file_of(place.path(), 3)).unwrap();
    let newest = folder.newest(1, 0).await.unwrap();
    assert_eq!(newest.state, Some(state(0)));
    assert!(newest.passed_over[0].1.contains("generation 11, partition 1"), "{newest:?}");
}

#[tokio::test]
async fn any_damage_is_reported_and_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.put(1, 0, state(5)).await.unwrap();
    folder.put(1, 0, state(8)).await.unwrap();
    let path = file_of(place.path(), 8);
    let bytes = std::fs::read(&path).unwrap();
    let mut damages: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    damages.extend((0..bytes.len()).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        changed
    }));
    damages.push([&bytes[..], b"x"].concat());
    for damaged in damages {
        std::fs::write(&path, damaged).unwrap();
        let newest = folder.newest(1, 0).await.unwrap();
        assert_eq!(newest.state, Some(state(5)));
        assert_eq!(newest.passed_over.len(), 1);
    }
    // Written anew it is whole again.
    folder.put(1, 0, state(8)).await.unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(whole(8)));
}

#[tokio::test]
async fn a_write_that_was_cut_short_is_no_snapshot_and_hinders_nobody() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.put(1, 0, state(5)).await.unwrap();
    std::fs::write(place.path().join("g1-p0-unfinished"), b"flagsnp1 half").unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(whole(5)));
    folder.put(1, 0, state(6)).await.unwrap();
    assert_eq!(folder.newest(1, 0).await, Ok(whole(6)));
}

#[tokio::test]
async fn writers_of_one_partition_do_not_write_into_each_others_snapshot() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    for round in 0..5 {
        // Lengths differ, so that what one writes over another's fits nowhere.
        let puts = (1..=8_u64).map(|writer| {
            let row = |n: u64| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(vec![writer as u8; 700]));
            let state = SavedState { position: round * 10 + writer, rows: (0..writer * 300).map(row).collect() };
            let folder = folder.clone();
            tokio::spawn(async move { (state.clone(), folder.put(1, 0, state).await) })
        });
        let mut kept = Vec::new();
        for put in puts.collect::<Vec<_>>() {
            match put.await.unwrap() {
                (state, Ok(())) => kept.push(state),
                (_, Err(error)) => assert!(error.is_retryable(), "{error}"),
            }
        }
        let newest = kept.into_iter().max_by_key(|state| state.position);
        assert!(newest.is_some(), "whoever came first had nobody to wait for");
        assert_eq!(folder.newest(1, 0).await.unwrap(), Newest { state: newest, passed_over: vec![] });
    }
}

#[tokio::test]
async fn a_writer_that_is_at_a_snapshot_is_told_of_and_hinders_no_other_partition() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let other = std::fs::File::create(place.path().join("g1-p0-lock")).unwrap();
    other.lock().unwrap();
    let error = folder.put(1, 0, state(5)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("another writer"), "{error}");
    folder.put(1, 1, state(5)).await.unwrap();
    drop(other);
    folder.put(1, 0, state(5)).await.unwrap();
    assert_eq!(folder.newest(1, 0).await.unwrap(), whole(5));
}
