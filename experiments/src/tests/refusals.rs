//! What cannot be answered: 400, 404, 405, 5xx, each with its shape.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::partition::home;
use stores::{CellWrite, Store as _, StoredCell};
use tower::ServiceExt as _;

use super::world::{PARTITIONS, Reply, World, development, full, path_of};
use crate::router;

fn shape(reply: &Reply, code: &str) -> String {
    let body = reply.json();
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["code", "message", "requestId"], "{}", reply.body);
    assert_eq!(body["code"], code, "{}", reply.body);
    assert_eq!(body["requestId"], reply.header("x-request-id"));
    assert!(reply.header("content-type").starts_with("application/json"));
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_its_value_and_what_is_allowed() {
    let world = full().await;
    let here = path_of(&development());
    let vendor = "/api/v2/usage/evaluations/default/development/checkout";
    let cases: [(&str, [&str; 3]); 30] = [
        ("evaluations?granularity=week", ["`granularity`", "week", "total, minute, hour, day"]),
        ("evaluations?groupBy=colour", ["`groupBy`", "colour", "variation, version"]),
        ("evaluations?groupBy=variation,variation", ["`groupBy`", "variation,variation", "once"]),
        ("evaluations?groupBy=reason,variation", ["`groupBy`", "reason,variation", "alone"]),
        ("evaluations?groupBy=version,sdk", ["`groupBy`", "version,sdk", "not kept"]),
        ("evaluations?groupBy=,", ["`groupBy`", ",", "variation"]),
        ("evaluations?groupBy=sdk&granularity=minute", ["`granularity`", "minute", "hour"]),
        ("evaluations?groupBy=reason&granularity=minute", ["`granularity`", "minute", "hour"]),
        ("evaluations?limit=0", ["`limit`", "0", "1 to 1000"]),
        ("evaluations?limit=1001", ["`limit`", "1001", "1 to 1000"]),
        ("evaluations?limit=ten", ["`limit`", "ten", "1 to 1000"]),
        ("evaluations?limit=-1", ["`limit`", "-1", "1 to 1000"]),
        ("evaluations?from=yesterday", ["`from`", "yesterday", "RFC 3339"]),
        ("evaluations?from=2026-13-01T00:00:00Z", ["`from`", "2026-13-01", "RFC 3339"]),
        ("evaluations?from=-5", ["`from`", "-5", "1970"]),
        ("evaluations?to=999999999999999999", ["`to`", "999999999999999999", "9999"]),
        ("evaluations?to=99999999999999999999999", ["`to`", "99999999999999999999999", "9999"]),
        ("evaluations?from=1768480496789&to=1768480496789", ["`from`", "1768480496789", "before `to`"]),
        (
            "evaluations?from=2027-01-01T00:00:00Z",
            ["`from`", "\"2027-01-01T00:00:00Z\"", "before `to`, which is 2026-01-15T"],
        ),
        (
            "events?from=2025-01-01T00:00:00Z&to=1768480496789",
            ["2025-01-01", "at most 92 days", "which is 2026-01-15T12:34:56.789Z (1768480496789)"],
        ),
        ("evaluations?continuationToken=abc", ["`continuationToken`", "abc", "_links.next.href"]),
        ("evaluations?continuationToken=WzEsMiwzLDRd", ["`continuationToken`", "WzEsMiwzLDRd", "_links.next.href"]),
        ("evaluations?granulariy=hour", ["`granulariy`", "hour", "granularity"]),
        ("evaluations?limit=1&limit=2", ["`limit`", "2", "once"]),
        ("events?flag=x", ["`flag`", "x", "from, to"]),
        ("events?continuationToken=%00", ["`continuationToken`", "\\0", "_links.next.href"]),
        ("books?day=today", ["`day`", "today", "YYYY-MM-DD"]),
        ("books?day=2026-02-30", ["`day`", "2026-02-30", "YYYY-MM-DD"]),
        ("books?day=1969-12-31", ["`day`", "1969-12-31", "1970-01-01"]),
        ("books?day=2026-1-5", ["`day`", "2026-1-5", "YYYY-MM-DD"]),
    ];
    for (rest, parts) in cases {
        let reply = world.get(&format!("{here}/{rest}")).await;
        assert_eq!(reply.status, 400, "{rest}: {}", reply.body);
        let message = shape(&reply, "invalid_parameter");
        for part in parts {
            assert!(message.contains(part), "{rest}: {part:?} is not in {message:?}");
        }
    }
    for (query, part) in [("tz=Mars/Olympus", "IANA"), ("granularity=yearly", "hourly"), ("from=x", "RFC 3339")] {
        let reply = world.get(&format!("{vendor}?{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        assert!(shape(&reply, "invalid_parameter").contains(part), "{query}: {}", reply.body);
    }
    assert_eq!(world.get(&format!("{vendor}?anything=else")).await.status, 200, "the vendor has more parameters");
}

#[tokio::test]
async fn times_are_milliseconds_or_rfc_3339() {
    let world = full().await;
    let from = |text: &str| format!("{}/evaluations?from={text}", path_of(&development()));
    for text in ["1768467600000", "2026-01-15T09:00:00Z", "2026-01-15T09:00:00.000Z", "2026-01-15T10:00:00%2B01:00"] {
        assert_eq!(world.get(&from(text)).await.json()["from"], 1_768_467_600_000_i64, "{text}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_wrong_method_405_with_allow() {
    let world = full().await;
    for path in ["/nothing", "/v1", "/v1/", "/v1/projects/default/environments/development/nothing", "//"] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        shape(&reply, "not_found");
    }
    shape(&world.get("/api/v2/usage/events/lost").await, "not_found");
    for path in ["/v1/pipeline/health", "/livez", "/openapi.json", "/"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let reply = world.ask(method, path, &[], "").await;
            assert_eq!(reply.status, 405, "{path}");
            assert_eq!(reply.header("allow"), "GET,HEAD");
            shape(&reply, "method_not_allowed");
        }
    }
    let head = world.ask(Method::HEAD, "/v1/pipeline/health", &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_key_that_is_missing_or_too_weak_gets_the_same_shape() {
    let world = World::guarded();
    let reply = world.get("/v1/pipeline/health").await;
    assert_eq!((reply.status.as_u16(), reply.header("www-authenticate")), (401, "Bearer"));
    shape(&reply, "unauthorized");
    let reply = world.get_with("/v1/pipeline/health", &[("authorization", "read-development")]).await;
    assert_eq!(reply.status, 403);
    shape(&reply, "forbidden");
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_a_damaged_cell_is_never_a_number() {
    let world = full().await;
    let path = format!("{}/evaluations", path_of(&development()));
    world.store.set_down(true);
    for path in [path.as_str(), "/v1/pipeline/health", "/readyz", "/api/v2/usage/events/received"] {
        let reply = world.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"), "{path}");
        shape(&reply, "unavailable");
    }
    assert_eq!(world.get("/livez").await.status, 200);
    world.store.set_down(false);
    assert_eq!(world.get(&path).await.status, 200);
    let environment = development();
    let key = CellKey {
        generation: 1,
        partition: home(&environment, PARTITIONS),
        kind: CellKind::LastSeen,
        environment,
        name: CellName::Key("damaged".into()),
        window: 0,
    };
    let cell = StoredCell { h: 1, value: (&b"\xff\xff\xff"[..]).into() };
    world.store.write(vec![CellWrite { key, cell }]).await.unwrap();
    let reply = world.get(&path).await;
    assert_eq!(reply.status, 500);
    assert!(shape(&reply, "damaged_cell").contains("last seen"), "{}", reply.body);
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_503() {
    let world = full().await;
    world.log.poison("the disk is gone");
    let reply = world.get(&format!("{}/books", path_of(&development()))).await;
    assert_eq!(reply.status, 503);
    shape(&reply, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_takes_too_long_is_given_up() {
    let mut serve = full().await.serve();
    serve.owners = Arc::new(|| Box::pin(std::future::pending()));
    let begun = tokio::time::Instant::now();
    let request = Request::builder().uri("/v1/pipeline/health").body(Body::empty()).unwrap();
    let response = router(serve).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["code"], "too_slow");
    assert!(body["message"].as_str().unwrap().contains("within 10 s"), "{body}");
    assert!((10..12).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
