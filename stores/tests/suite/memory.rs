//! The faults of the store in memory.

use bytes::Bytes;
use stores::memory::{Fault, MemoryStore};
use stores::{CellWrite, Error, Store, StoredCell, WriteAnswer};

use crate::world::{checkpoint, key};

fn writes() -> Vec<CellWrite> {
    (0..4)
        .map(|flag| CellWrite { key: key(0, flag), cell: StoredCell { h: 3, value: Bytes::from_static(b"value") } })
        .collect()
}

/// Which of the four cells are there.
async fn there(store: &MemoryStore) -> Vec<bool> {
    let cells = store.load((0..4).map(|flag| key(0, flag)).collect()).await.unwrap();
    cells.iter().map(Option::is_some).collect()
}

#[tokio::test]
async fn a_write_fails_before_midway_or_after_taking_effect() {
    for (fault, effect) in
        [(Fault::Before, [false; 4]), (Fault::Midway, [true, true, false, false]), (Fault::After, [true; 4])]
    {
        let store = MemoryStore::new();
        store.fail_call(2, fault);
        assert_eq!(store.load(Vec::new()).await, Ok(Vec::new()));
        let error = store.write(writes()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(there(&store).await, effect, "{fault:?}");
        // Tried again it is success, whatever took effect.
        assert_eq!(store.write(writes()).await, Ok(vec![WriteAnswer::Stored; 4]));
        assert_eq!(there(&store).await, [true; 4]);
        assert_eq!(store.calls(), 5);
    }
}

#[tokio::test]
async fn a_checkpoint_fails_before_or_after_taking_effect() {
    for (fault, effect) in [(Fault::Before, None), (Fault::Midway, None), (Fault::After, Some(checkpoint(5)))] {
        let store = MemoryStore::new();
        store.fail_call(1, fault);
        assert!(store.write_checkpoint(1, 0, checkpoint(5)).await.unwrap_err().is_retryable());
        assert_eq!(store.checkpoint(1, 0).await, Ok(effect), "{fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_down_answers_nothing_and_comes_back_as_it_was() {
    let store = MemoryStore::new();
    store.write(writes()).await.unwrap();
    store.set_down(true);
    assert!(matches!(store.load(vec![key(0, 0)]).await, Err(Error::Unavailable(_))));
    assert!(matches!(store.create_generation(1, Bytes::new()).await, Err(Error::Unavailable(_))));
    store.set_down(false);
    assert_eq!(there(&store).await, [true; 4]);
    assert_eq!(store.generation(1).await, Ok(None));
}
