//! Partition state in a file of its own.

use bytes::Bytes;
use stores::embedded::Options;
use stores::state::LocalState;
use stores::{Error, SavedState, StateChanges};

fn row(key: &str, value: &str) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
}

fn changes(position: u64, put: &[(&str, &str)], remove: &[&str]) -> StateChanges {
    StateChanges {
        put: put.iter().map(|(key, value)| row(key, value)).collect(),
        remove: remove.iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect(),
        position,
    }
}

fn saved(position: u64, rows: &[(&str, &str)]) -> Option<SavedState> {
    Some(SavedState { position, rows: rows.iter().map(|(key, value)| row(key, value)).collect() })
}

#[tokio::test]
async fn changes_and_position_are_saved_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = LocalState::open(&path, &Options::default()).unwrap();
    assert_eq!(state.load(1, 0).await, Ok(None));
    state.save(1, 0, changes(0, &[], &[])).await.unwrap();
    assert_eq!(state.load(1, 0).await, Ok(saved(0, &[])));
    state.save(1, 0, changes(3, &[("b", "1"), ("a", "2"), ("", "empty key")], &[])).await.unwrap();
    state.save(1, 0, changes(5, &[("c", ""), ("b", "new")], &["a", "b", "never there"])).await.unwrap();
    let expected = saved(5, &[("", "empty key"), ("b", "new"), ("c", "")]);
    assert_eq!(state.load(1, 0).await, Ok(expected.clone()));

    // A position that falls is refused whole; an equal one is not.
    let error = state.save(1, 0, changes(4, &[("z", "z")], &["c"])).await.unwrap_err();
    assert!(matches!(&error, Error::Setting(text) if text.contains("stands at position 5")), "{error}");
    assert_eq!(state.load(1, 0).await, Ok(expected.clone()));
    state.save(1, 0, changes(5, &[], &[])).await.unwrap();
    drop(state);
    assert_eq!(LocalState::open(&path, &Options::default()).unwrap().load(1, 0).await, Ok(expected));
}

#[tokio::test]
async fn generations_and_partitions_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let state = LocalState::open(&folder.path().join("state"), &Options::default()).unwrap();
    let of = [(0, 0), (0, 1), (0, 65_536), (0, u32::MAX), (1, 0), (1, 1), (u32::MAX, 0), (u32::MAX, u32::MAX)];
    for (at, (generation, partition)) in of.into_iter().enumerate() {
        let value = format!("{at}");
        state.save(generation, partition, changes(at as u64, &[("k", &value), ("\u{0}", &value)], &[])).await.unwrap();
    }
    // Replacing the last and one in the middle leaves the others as they are.
    for (generation, partition) in [(0, u32::MAX), (u32::MAX, u32::MAX)] {
        state.replace(generation, partition, saved(1, &[("new", "row")]).unwrap()).await.unwrap();
    }
    for (at, (generation, partition)) in of.into_iter().enumerate() {
        let value = format!("{at}");
        let expected = match partition {
            u32::MAX => saved(1, &[("new", "row")]),
            _ => saved(at as u64, &[("\u{0}", &value), ("k", &value)]),
        };
        assert_eq!(state.load(generation, partition).await, Ok(expected), "{generation}, {partition}");
    }
}

#[tokio::test]
async fn rows_are_visited_in_order_without_being_held() {
    let folder = tempfile::tempdir().unwrap();
    let state = LocalState::open(&folder.path().join("state"), &Options::default()).unwrap();
    let put = (0..5_000_u64).rev().map(|n| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(vec![7; 16]))).collect();
    state.save(1, 0, StateChanges { put, remove: Vec::new(), position: 9 }).await.unwrap();
    let (sender, seen) = std::sync::mpsc::channel();
    let visit = move |key: &[u8], value: &[u8]| sender.send((key.to_vec(), value.len())).unwrap();
    assert_eq!(state.visit(1, 0, visit).await, Ok(Some(9)));
    let expected: Vec<_> = (0..5_000_u64).map(|n| (n.to_be_bytes().to_vec(), 16)).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(state.load(1, 0).await.unwrap().unwrap().rows.len(), 5_000);
}

/// Changes table `state` behind the back of the package: what the engine could do by losing or mixing up pages.
async fn after_tampering(tamper: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)) -> Error {
    use redb::ReadableTable;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = LocalState::open(&path, &Options::default()).unwrap();
    state.save(1, 0, changes(1, &[("a", "old"), ("b", "old")], &[])).await.unwrap();
    state.save(1, 0, changes(2, &[("a", "new")], &[])).await.unwrap();
    drop(state);
    {
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(redb::TableDefinition::new("state")).unwrap();
        assert_eq!(table.iter().unwrap().count(), 2);
        tamper(&mut table);
        drop(table);
        transaction.commit().unwrap();
    }
    LocalState::open(&path, &Options::default()).unwrap().load(1, 0).await.unwrap_err()
}

/// The key of a row of generation 1, partition 0.
fn key(row: u8) -> Vec<u8> {
    vec![0, 0, 0, 1, 0, 0, 0, 0, row]
}

#[tokio::test]
async fn a_lost_row_is_noticed() {
    let error = after_tampering(|table| drop(table.remove(key(b'b').as_slice()).unwrap())).await;
    assert!(matches!(&error, Error::Damaged { place, .. } if place.contains("table `positions`")), "{error}");
}

#[tokio::test]
async fn a_stale_row_is_noticed() {
    // `old` under key `a`, with the checksum it had: CRC32C of table 4, length 9, key, bytes.
    let checked = [&[4, 9, 0, 0, 0][..], &key(b'a'), b"old"].concat();
    let sealed = [&crc32c::crc32c(&checked).to_le_bytes()[..], b"old"].concat();
    let error = after_tampering(|table| drop(table.insert(key(b'a').as_slice(), sealed.as_slice()).unwrap())).await;
    assert!(matches!(&error, Error::Damaged { place, .. } if place.contains("table `positions`")), "{error}");
}

#[tokio::test]
async fn a_row_under_another_key_is_noticed() {
    let error = after_tampering(|table| {
        let moved = table.remove(key(b'b').as_slice()).unwrap().unwrap().value().to_vec();
        table.insert(key(b'c').as_slice(), moved.as_slice()).unwrap();
    })
    .await;
    assert!(
        matches!(&error, Error::Damaged { place, what } if place.contains("table `state`") && what.contains("checksum")),
        "{error}"
    );
}
