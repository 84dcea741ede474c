//! Answers beside 202: browsers, images, diagnostics, flag delivery, `Date`, and what people see of all that.

use axum::body::Body;
use http::Request;

use super::bench::{Bench, CLIENT_SIDE_ID, NOW_MS, SERVER_KEY, post, summary};

fn empty(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

#[tokio::test]
async fn every_answer_has_the_date_and_errors_an_id() {
    let bench = Bench::new();
    let fine = bench.post(summary(NOW_MS)).await;
    assert_eq!((fine.header("date"), fine.body.len()), ("Thu, 09 Oct 2025 08:53:20 GMT", 0));
    let ids = [bench.post("{").await, bench.post("{").await].map(|answer| {
        assert_eq!(answer.header("date"), "Thu, 09 Oct 2025 08:53:20 GMT");
        assert_eq!((answer.status, answer.header("content-type")), (400, "application/json"));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
        body["requestId"].as_str().unwrap().to_owned()
    });
    assert!(!ids[0].is_empty() && ids[0] != ids[1]);
}

#[tokio::test]
async fn browsers_are_told_that_they_may() {
    let bench = Bench::new();
    let path = format!("/events/bulk/{CLIENT_SIDE_ID}");
    let preflight = empty("OPTIONS", &path).header("origin", "https://shop.example").body(Body::empty()).unwrap();
    let answer = bench.send(preflight).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, "https://shop.example"));
    assert!(answer.header("access-control-allow-headers").contains("X-LaunchDarkly-Payload-ID"));
    assert_eq!(answer.header("access-control-expose-headers"), "Date");
    for (path, status) in [(path.as_str(), 400), ("/events/bulk/unknown", 401), ("/events/other/x", 400)] {
        let refused = empty("POST", path).header("origin", "https://shop.example").body("{".into()).unwrap();
        let answer = bench.send(refused).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, "https://shop.example"));
    }
}

#[tokio::test]
async fn an_image_request_lands_and_is_answered_by_an_image() {
    use base64::Engine;
    let bench = Bench::new();
    let events = format!(r#"[{{"kind":"custom","key":"tap","creationDate":{NOW_MS},"userKey":"alice"}}]"#);
    let sent = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(events);
    for path in [format!("/a/{CLIENT_SIDE_ID}.gif"), format!("/events/bulk/{CLIENT_SIDE_ID}/a/{CLIENT_SIDE_ID}.gif")] {
        let answer = bench.send(empty("GET", &format!("{path}?d={sent}")).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/gif"), "{path}");
        assert!(answer.body.starts_with(b"GIF89a"));
        assert_eq!(bench.records().iter().map(|record| record.view.conversions().count()).max(), Some(1), "{path}");
    }
}

#[tokio::test]
async fn diagnostics_are_facts_and_no_events() {
    let bench = Bench::new();
    let body = r#"{"kind":"diagnostic-init","id":{"diagnosticId":"d-1","sdkKeySuffix":"abcdef"},
        "creationDate":1760000000000,"sdk":{"name":"js-server-sdk","version":"9.13.7"},"droppedEvents":0}"#;
    for path in ["/diagnostic", "/bulk"] {
        let request = empty("POST", path).header("authorization", SERVER_KEY).body(body.into()).unwrap();
        assert_eq!(bench.send(request).await.status, 202);
        let records = bench.records();
        assert_eq!((records[0].header.accepted, records[0].view.diagnostics().count()), (0, 1), "{path}");
    }
}

#[tokio::test]
async fn who_asks_for_flags_is_told_and_shown() {
    let bench = Bench::new();
    for path in ["/sdk/latest-all", "/all", "/meval/x", "/api/client/features"] {
        let answer = bench.send(empty("GET", path).body(Body::empty()).unwrap()).await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(body["message"], "Flagstream takes events only; set the events address alone");
    }
    let view = bench.ingest.doorstep().view();
    assert_eq!(view.flag_delivery.last().unwrap().shown, "GET /api/client/features");
    assert_eq!(view.flag_delivery.len(), 4);
    assert_eq!(bench.ingest.metrics().flag_delivery.get(), 4);
}

#[tokio::test]
async fn people_see_first_payloads_unknown_keys_and_wrong_paths() {
    let bench = Bench::new();
    let tell = |since| {
        let (news, made) = bench.ingest.doorstep().news_since(since);
        (news.iter().map(ToString::to_string).collect::<Vec<_>>(), made)
    };
    bench.post(summary(NOW_MS)).await;
    bench.post(summary(NOW_MS)).await;
    let (news, made) = tell(0);
    assert_eq!(news, ["first payload: NodeJSClient/9.13.7, 1 flag (default/production)"]);
    bench.set_now(NOW_MS + 5_000);
    bench.send(post("sdk-11111111-wxyz").body("[]".into()).unwrap()).await;
    bench.set_now(NOW_MS + 10_000);
    bench.send(empty("POST", "/bulk/more").body("[]".into()).unwrap()).await;
    let (news, _) = tell(made);
    assert!(news[0].starts_with("unknown server key …wxyz;") && !news[0].contains("11-wxyz"), "{news:?}");
    assert!(news[1].starts_with("no events are taken at POST /bulk/…;"), "{news:?}");
    assert_eq!(news.len(), 2);
    let metrics = bench.ingest.metrics();
    assert_eq!([202, 401, 400].map(|status| metrics.answers(status)), [2, 1, 1]);
    assert_eq!(metrics.accepted.get(), 2);
}

/// A table that is not there yet is no reason to silence an SDK for life.
#[tokio::test]
async fn without_a_key_table_nobody_is_unknown() {
    let clock = std::sync::Arc::new(|| NOW_MS);
    let log = std::sync::Arc::new(eventlog::memory::MemoryLog::new(1));
    let ingest = crate::Ingest::new(log, Default::default(), Default::default(), clock);
    let request = post(SERVER_KEY).body(Body::from(summary(NOW_MS))).unwrap();
    let answer = tower::ServiceExt::oneshot(crate::service(ingest), request).await.unwrap();
    assert_eq!(answer.status(), 503);
}
