//! A stop answers what came in and takes nothing more.

use futures_util::FutureExt;

use super::bench::{Bench, NOW_MS, Says, summary};

#[tokio::test]
async fn what_came_in_is_answered_and_nothing_more_comes_in() {
    let bench = Bench::new();
    bench.log_says(Says::Nothing);
    let mut inside = Box::pin(bench.post(summary(NOW_MS)));
    assert!((&mut inside).now_or_never().is_none());
    let mut stop = Box::pin(bench.ingest.stop());
    assert!((&mut stop).now_or_never().is_none(), "stopped before the payload was answered");
    let late = bench.post(summary(NOW_MS)).await;
    assert_eq!((late.status, late.code()), (503, "unavailable".into()));
    assert!((&mut stop).now_or_never().is_none());
    bench.log_says(Says::Done);
    assert_eq!(inside.await.status, 202);
    stop.await;
    assert_eq!(bench.records().len(), 1);
}

#[tokio::test]
async fn a_sender_that_goes_away_does_not_hold_the_stop() {
    let bench = Bench::new();
    bench.log_says(Says::Nothing);
    let mut inside = Box::pin(bench.post(summary(NOW_MS)));
    assert!((&mut inside).now_or_never().is_none());
    drop(inside);
    bench.ingest.stop().await;
    let metrics = bench.ingest.metrics();
    assert_eq!((metrics.cancelled(), metrics.answers(202), metrics.accepted.get()), (1, 0, 0));
}
