//! Too much, too slow: refused before the body is read, and everything comes back.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};

use schemas::id::Environment;
use schemas::partition;

use super::bench::{Bench, NOW_MS, SERVER_KEY, Says, chunked, gzipped, post, summary};
use crate::keys::{EnvironmentKeys, KeyTable};
use crate::limits::Limits;

type Piece = Result<Bytes, std::convert::Infallible>;

/// A body that begins and never ends.
fn endless(first: &'static [u8]) -> Body {
    Body::from_stream(stream::iter([Piece::Ok(Bytes::from_static(first))]).chain(stream::pending()))
}

/// A body that nobody may read.
fn untouched() -> Body {
    Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Piece>> { panic!("the body was read") }))
}

#[tokio::test]
async fn beyond_the_budget_nobody_is_read() {
    let limits = Limits { body_bytes_max: 60_000, in_flight_bytes_max: 70_000, ..Limits::default() };
    let bench = Bench::with(limits);
    let mut first = Box::pin(bench.post(endless(&[b' '; 30_000])));
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(bench.ingest.in_flight_bytes(), 60_000);
    for body in [untouched(), Body::from(vec![b' '; 10_001])] {
        let refused = bench.post(body).await;
        assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (503, "overloaded".into(), "1"));
    }
    assert_eq!(bench.post(summary(NOW_MS)).await.status, 202, "a small one still has room");
    drop(first);
    assert_eq!(bench.ingest.in_flight_bytes(), 0, "a sender that goes away gives all back");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_refuses_costs_one_body_each_100_ms() {
    let bench = Bench::new();
    bench.log_says(Says::Full);
    for _ in 0..3 {
        assert_eq!(bench.post(summary(NOW_MS)).await.status, 503);
        for _ in 0..3 {
            let refused = bench.post(untouched()).await;
            assert_eq!((refused.status, refused.code()), (503, "unavailable".into()));
        }
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    bench.log_says(Says::Done);
    for _ in 0..3 {
        assert_eq!(bench.post(summary(NOW_MS)).await.status, 202);
    }
}

/// The door is shut to those alone whose home it is.
#[tokio::test(start_paused = true)]
async fn a_partition_that_refuses_holds_up_no_other() {
    let bench = Bench::new();
    let (bad, good) = ("sdk-bad-00000001", "sdk-good-0000001");
    let at_home_in = |wanted, key: &str| {
        let mut environments = (0..).map(|n| Environment::new("default", &format!("e{n}")).unwrap());
        let environment = environments.find(|environment| partition::home(environment, 2) == wanted).unwrap();
        let server_keys = vec![key.to_owned()];
        EnvironmentKeys { environment, server_keys, mobile_keys: vec![], client_side_ids: vec![] }
    };
    bench.ingest.keys().swap(KeyTable::new(&[at_home_in(1, bad), at_home_in(0, good)]).unwrap(), NOW_MS, 0);
    let send = |key, body| bench.send(post(key).body(body).unwrap());
    bench.log_says(Says::FullAt(1));
    for _ in 0..3 {
        assert_eq!(send(bad, summary(NOW_MS).into()).await.status, 503);
        assert_eq!(send(bad, untouched()).await.status, 503);
        assert_eq!(send(good, summary(NOW_MS).into()).await.status, 202, "the other one is well");
        assert_eq!(send(bad, untouched()).await.status, 503, "what the other one takes opens nothing here");
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    bench.log_says(Says::Done);
    assert_eq!(send(bad, summary(NOW_MS).into()).await.status, 202);
}

/// Strangers cost no reading either.
#[tokio::test]
async fn a_stranger_is_answered_before_the_body() {
    let bench = Bench::new();
    let request = post("sdk-unknown-0001").body(untouched()).unwrap();
    assert_eq!(bench.send(request).await.status, 401);
}

#[tokio::test]
async fn a_body_of_untold_length_grows_within_the_budget() {
    let limits = Limits { body_bytes_max: 100_000, in_flight_bytes_max: 100_000, ..Limits::default() };
    let bench = Bench::with(limits);
    let mut first = Box::pin(bench.send(post(SERVER_KEY).body(endless(b"[")).unwrap()));
    assert!((&mut first).now_or_never().is_none());
    let spaces = |pieces: usize| chunked(vec![Bytes::from(vec![b' '; 10_000]); pieces]);
    let refused = bench.post(spaces(10)).await;
    assert_eq!((refused.status, refused.code()), (503, "overloaded".into()));
    drop(first);
    assert_eq!(bench.post(spaces(10)).await.code(), "malformed_payload");
    assert_eq!(bench.post(spaces(11)).await.code(), "payload_too_large");
    assert_eq!(bench.ingest.in_flight_bytes(), 0);
}

/// A small body that makes large records is refused where they have no room.
#[tokio::test]
async fn records_are_in_the_budget_too() {
    let flag = |n: usize| format!(r#""{n:-<200}":{{"counters":[{{"variation":0,"version":1,"count":1}}]}}"#);
    let flags = (0..5_000).map(flag).collect::<Vec<_>>().join(",");
    let body = gzipped(format!(r#"[{{"kind":"summary","endDate":{NOW_MS},"features":{{{flags}}}}}]"#).as_bytes());
    let request = || post(SERVER_KEY).header("content-encoding", "gzip").body(body.clone().into()).unwrap();
    assert!(body.len() < 100_000, "{}", body.len());
    let limits = Limits { body_bytes_max: 100_000, in_flight_bytes_max: 500_000, ..Limits::default() };
    let bench = Bench::with(limits);
    assert_eq!(bench.send(request()).await.code(), "overloaded");
    assert_eq!((bench.appended(), bench.ingest.in_flight_bytes()), (vec![], 0));
    assert_eq!(Bench::new().send(request()).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_pauses_is_given_up_after_ten_seconds() {
    let bench = Bench::new();
    let start = tokio::time::Instant::now();
    let answer = bench.post(endless(b"[")).await;
    assert_eq!((answer.status, start.elapsed().as_secs()), (408, 10));
    assert_eq!(bench.ingest.in_flight_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up_after_thirty_seconds() {
    let bench = Bench::new();
    let start = tokio::time::Instant::now();
    let trickle = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        Some((Piece::Ok(Bytes::from_static(b" ")), ()))
    });
    let answer = bench.post(Body::from_stream(trickle)).await;
    assert_eq!((answer.status, start.elapsed().as_secs()), (408, 30));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_payload() {
    let bench = Bench::new();
    let pieces = [Ok(Bytes::from_static(b"[")), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    let answer = bench.post(Body::from_stream(stream::iter(pieces))).await;
    assert_eq!((answer.status, bench.appended()), (408, vec![]));
}
