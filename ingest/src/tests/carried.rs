//! Numbers of payloads refused whole: with the next record, or alone within 10 s; never twice.

use std::time::Duration;

use schemas::id::Environment;
use schemas::record::{Header, RecordKind};
use schemas::rejection::{Rejection, Rejections};

use super::bench::{Bench, NOW_MS, SERVER_KEY, Says, by_code, post, summary};

/// Kind and what is carried, of each record appended since the last call.
fn carried(bench: &Bench) -> Vec<(RecordKind, Vec<(String, u64)>)> {
    let read = |append: &schemas::log::Append| Header::decode(&append.header).unwrap();
    let headers = bench.appended();
    let headers = headers.iter().map(read);
    headers.map(|header| (header.kind, by_code(&header.carried).into_iter().collect())).collect()
}

fn numbers(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(code, number)| ((*code).to_owned(), *number)).collect()
}

#[tokio::test]
async fn the_next_record_of_the_environment_carries_them_once() {
    let bench = Bench::new();
    bench.post("nonsense").await;
    bench.post("[{]").await;
    bench.post(r#"[{"kind":"novel"},{"kind":"novel"}]"#).await;
    bench.send(http::Request::post("/bulk/x").header("authorization", SERVER_KEY).body("".into()).unwrap()).await;
    bench.post(summary(NOW_MS)).await;
    bench.post(summary(NOW_MS)).await;
    let expected = numbers(&[("malformed_payload", 2), ("unknown_kind", 2), ("unknown_path", 1)]);
    assert_eq!(carried(&bench), [(RecordKind::Payload, expected), (RecordKind::Payload, vec![])]);
}

#[tokio::test(start_paused = true)]
async fn without_a_payload_they_come_alone_within_ten_seconds() {
    let bench = Bench::new();
    tokio::spawn(bench.ingest.clone().carry_numbers());
    tokio::time::sleep(Duration::from_millis(700)).await;
    bench.post("nonsense").await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(carried(&bench), [(RecordKind::Numbers, numbers(&[("malformed_payload", 1)]))]);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(carried(&bench), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_full_log_refused_travels_again() {
    let bench = Bench::new();
    tokio::spawn(bench.ingest.clone().carry_numbers());
    bench.post("nonsense").await;
    bench.log_says(Says::Full);
    bench.post(summary(NOW_MS)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(carried(&bench), []);
    bench.log_says(Says::Done);
    bench.post(summary(NOW_MS)).await;
    assert_eq!(carried(&bench), [(RecordKind::Payload, numbers(&[("malformed_payload", 1)]))]);
}

#[tokio::test]
async fn what_a_busy_log_refused_travels_again_and_the_sender_waits() {
    let bench = Bench::new();
    bench.post("nonsense").await;
    bench.log_says(Says::Busy);
    let refused = bench.post(summary(NOW_MS)).await;
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (503, "overloaded".into(), "1"));
    bench.log_says(Says::Done);
    assert_eq!(bench.post(summary(NOW_MS)).await.status, 202);
    assert_eq!(carried(&bench), [(RecordKind::Payload, numbers(&[("malformed_payload", 1)]))]);
}

#[tokio::test]
async fn what_the_log_may_have_is_not_told_twice() {
    let bench = Bench::new();
    bench.post("nonsense").await;
    bench.log_says(Says::Unknown);
    assert_eq!(bench.post(summary(NOW_MS)).await.status, 503);
    bench.log_says(Says::Done);
    let (_, rejected, payloads) = bench.books().await;
    assert_eq!((rejected.into_iter().collect(), payloads), (numbers(&[("malformed_payload", 1)]), 1));
}

#[tokio::test]
async fn a_stop_brings_the_last_of_them_into_the_log() {
    let bench = Bench::new();
    bench.post("nonsense").await;
    let (accepted, rejected, payloads) = bench.books().await;
    assert_eq!((accepted, rejected.into_iter().collect(), payloads), (0, numbers(&[("malformed_payload", 1)]), 0));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_says_nothing_holds_up_a_stop_once() {
    let bench = Bench::new();
    let mut refused = Rejections::default();
    refused.add(Rejection::MalformedPayload, 1);
    for key in ["a", "b", "c"] {
        bench.ingest.0.carry.add(&Environment::new("default", key).unwrap(), &refused);
    }
    bench.log_says(Says::Nothing);
    bench.ingest.stop().await;
    let start = tokio::time::Instant::now();
    bench.ingest.clone().carry_numbers().await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn strangers_leave_no_numbers() {
    let bench = Bench::new();
    bench.send(post("sdk-unknown-0001").body("nonsense".into()).unwrap()).await;
    assert_eq!(bench.books().await, (0, Default::default(), 0));
}
