//! Keys change while requests come.

use super::bench::{Bench, NOW_MS, SERVER_KEY, post, summary, table};

#[tokio::test]
async fn keys_are_swapped_without_a_restart() {
    let bench = Bench::new();
    let status = async |key: &str| {
        let answer = bench.send(post(key).body(summary(NOW_MS).into()).unwrap()).await;
        (answer.status, bench.records().len())
    };
    assert_eq!(status(SERVER_KEY).await, (202, 1));
    assert_eq!(status("sdk-newer-0002").await, (401, 0));
    bench.ingest.keys().swap(table(&["sdk-newer-0002"]), NOW_MS, 60);
    assert_eq!(status("sdk-newer-0002").await, (202, 1));
    assert_eq!(status(SERVER_KEY).await, (202, 0), "a revoked key is discarded kindly in its grace");
    assert_eq!(bench.ingest.metrics().discarded.get(), 1);
    bench.set_now(NOW_MS + 60_000);
    assert_eq!(status(SERVER_KEY).await, (401, 0));
    let view = bench.ingest.doorstep().view();
    assert_eq!(view.discarded.values().sum::<u64>(), 1, "people can see what was discarded");
    let stranger = view.unknown_keys.last().unwrap();
    assert_eq!((stranger.shown.as_str(), stranger.agent.as_str()), ("0001", "NodeJSClient/9.13.7"));
}
