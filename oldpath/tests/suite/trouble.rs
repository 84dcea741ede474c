//! What an addition is told by a store in trouble.

use std::time::Duration;

use oldpath::WriteError;
use oldpath::counter::Add;
use oldpath::store::OldStore;
use oldpath::trouble::Troubled;
use stores::trouble::{Switch, Trouble};

use crate::world::{NOW_MS, Scripted, environment, evaluations};

/// What is said of an addition of 2, and how much is there then.
async fn added(trouble: Trouble) -> (Result<(), WriteError>, u64) {
    let (store, switch) = (Scripted::new(&[]), Switch::new(5));
    switch.set(trouble);
    let counter = evaluations("flag");
    let add = Add { environment: environment(), counter, time_ms: NOW_MS, number: 2, off: false, value: None };
    (Troubled::new(store.clone(), switch).add(add).await, store.number())
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_there_and_what_is_lost_may_be() {
    let (slower, hang) = (Duration::from_secs(1), Duration::from_secs(5));
    assert_eq!(added(Trouble::None).await, (Ok(()), 2));
    assert_eq!(added(Trouble::Throttled { refused_permille: 0, slower }).await, (Ok(()), 2));
    let (refused, number) = added(Trouble::Throttled { refused_permille: 1_000, slower }).await;
    assert!(matches!((&refused, number), (Err(WriteError::Refused(_)), 0)), "{refused:?}, {number}");
    for (applied_permille, there) in [(0, 0), (1_000, 2)] {
        let (lost, number) = added(Trouble::Down { applied_permille, hang }).await;
        assert!(matches!(&lost, Err(WriteError::Unknown(_))), "{lost:?}");
        assert_eq!(number, there);
    }
}
