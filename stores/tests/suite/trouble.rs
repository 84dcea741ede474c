//! What a store in trouble does to calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stores::memory::MemoryStore;
use stores::trouble::{Switch, Trouble, Troubled};
use stores::{CellWrite, Store, StoredCell};
use tokio::time::Instant;

use crate::world::key;

const SLOWER: Duration = Duration::from_millis(300);
const HANG: Duration = Duration::from_secs(5);

/// Writes so many cells, a call each: which were answered as written, and which are there.
async fn write(trouble: Trouble, seed: u64, calls: u64) -> (Vec<bool>, Vec<bool>) {
    let (held, switch) = (Arc::new(MemoryStore::new()), Switch::new(seed));
    let store = Troubled::new(held.clone(), switch.clone());
    switch.set(trouble);
    let mut answered = Vec::new();
    for flag in 0..calls {
        let write = CellWrite { key: key(0, flag), cell: StoredCell { h: 3, value: Bytes::from_static(b"value") } };
        let answer = store.write(vec![write]).await;
        assert!(answer.as_ref().err().is_none_or(stores::Error::is_retryable), "{answer:?}");
        answered.push(answer.is_ok());
    }
    switch.set(Trouble::None);
    let cells = store.load((0..calls).map(|flag| key(0, flag)).collect()).await.unwrap();
    (answered, cells.iter().map(Option::is_some).collect())
}

fn share(of: &[bool]) -> usize {
    of.iter().filter(|is| **is).count()
}

#[tokio::test(start_paused = true)]
async fn a_throttled_store_refuses_its_share_without_effect_and_is_slow_with_the_rest() {
    let begun = Instant::now();
    let (answered, there) = write(Trouble::Throttled { refused_permille: 400, slower: SLOWER }, 7, 500).await;
    assert_eq!(answered, there, "what was refused changed nothing");
    assert!((270..=330).contains(&share(&there)), "{}", share(&there));
    assert_eq!(begun.elapsed(), SLOWER * u32::try_from(share(&there)).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_answers_nothing_and_does_a_part_all_the_same() {
    let begun = Instant::now();
    let (answered, there) = write(Trouble::Down { applied_permille: 300, hang: HANG }, 7, 500).await;
    assert_eq!(share(&answered), 0);
    assert!((120..=180).contains(&share(&there)), "{}", share(&there));
    assert_eq!(begun.elapsed(), HANG * 500);
}

#[tokio::test(start_paused = true)]
async fn the_seed_chooses_which_calls_and_without_trouble_none() {
    let trouble = Trouble::Throttled { refused_permille: 500, slower: Duration::ZERO };
    assert_eq!(write(trouble, 1, 64).await, write(trouble, 1, 64).await);
    assert_ne!(write(trouble, 1, 64).await, write(trouble, 2, 64).await);
    assert_eq!(write(Trouble::None, 1, 64).await, (vec![true; 64], vec![true; 64]));
}
