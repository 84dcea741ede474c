//! Many seeds of one story, several at once: most of a seed's time goes by in waiting for a disk or for the clock.
//!
//! Always true here: seeds share nothing, outcomes are looked at in the order of seeds, and whatever goes wrong, a
//! panic included, is told with its seed.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};

const AT_ONCE: usize = 16;

/// What each seed below `seeds` came to, or the first that found something wrong, and what.
pub(super) async fn each_seed<T, F>(seeds: u64, one: impl Fn(u64) -> F) -> Result<Vec<T>, (u64, String)>
where
    F: Future<Output = Result<T, String>>,
{
    let told = |seed| {
        // Unwind safe: nothing of the seed is looked at after its panic.
        let outcome = AssertUnwindSafe(one(seed)).catch_unwind();
        outcome.map(move |outcome| {
            let outcome = outcome.unwrap_or_else(|panic| Err(format!("it panicked: {}", crate::words(&*panic))));
            outcome.map_err(|what| (seed, what))
        })
    };
    let mut outcomes = stream::iter(0..seeds).map(told).buffered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        all.push(outcome?);
    }
    Ok(all)
}

/// Fails with the seed on the last line.
#[track_caller]
pub(super) fn none_wrong<T>(outcomes: Result<Vec<T>, (u64, String)>) -> Vec<T> {
    outcomes.unwrap_or_else(|(seed, what)| panic!("{what}\nseed {seed}"))
}

#[tokio::test]
async fn the_lowest_wrong_seed_is_told_and_a_panic_with_its_seed() {
    let wrong = |seed: u64| async move {
        // The later the seed, the earlier it is done.
        for _ in seed..20 {
            tokio::task::yield_now().await;
        }
        if seed % 5 == 3 { Err(format!("{seed} is wrong")) } else { Ok(seed) }
    };
    assert_eq!(each_seed(3, wrong).await, Ok(vec![0, 1, 2]));
    assert_eq!(each_seed(20, wrong).await, Err((3, "3 is wrong".to_owned())));
    super::bench::quiet_wanted_panics();
    let panics = |seed: u64| async move {
        if seed == 7 {
            panic!("{}", format!("a test wants {seed} to panic"));
        }
        Ok(())
    };
    assert_eq!(each_seed(9, panics).await, Err((7, "it panicked: a test wants 7 to panic".to_owned())));
}
