//! Which flags are asked for, in which order, page by page, and by whom.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::fleet::{PATH, empty, fill, full, guard};
use crate::tests::world::{DAY, HOUR, LOG_TIME, NOW, PARTITIONS, World};

async fn keys(world: &World, query: &str) -> Vec<String> {
    let reply = world.get(&format!("{PATH}?{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    keys_of(&reply.json())
}

fn keys_of(answer: &Value) -> Vec<String> {
    answer["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn filters_are_on_what_the_entry_says() {
    let world = full().await;
    let here = "critical=development&environment=development&sort=key";
    let of = async |query: &str| keys(&world, &format!("{here}&{query}")).await;
    assert_eq!(of("").await.len(), 9);
    assert_eq!(of("status=new").await, ["young"]);
    assert_eq!(of("status=new,LAUNCHED").await, ["launched", "old-app", "young"]);
    assert_eq!(of("reason=NO_EVALUATIONS").await, ["gone"]);
    assert_eq!(of("reason=errors_only,DEFAULTS_ONLY").await, ["defaulted", "failing"]);
    assert_eq!(of("stale=true").await, ["gone", "launched", "old-app", "quiet-lately", "read-in-bulk"]);
    assert_eq!(of("stale=false&status=active").await, ["active", "defaulted", "failing"]);
    assert!(of("stale=true&status=new").await.is_empty());
    assert_eq!(of("advice=ready_for_code_removal").await, ["launched", "old-app", "quiet-lately"]);
    assert!(of("advice=READY_TO_ARCHIVE").await.is_empty());
    assert_eq!(of("q=la").await, ["launched", "quiet-lately"]);
    assert!(of("q=LA").await.is_empty(), "as it is written");
    assert_eq!(
        keys(&world, "status=launched&sort=key").await,
        ["gone", "launched", "old-app"],
        "where it is liveliest"
    );
}

#[tokio::test]
async fn the_order_is_as_asked() {
    let world = full().await;
    let scores = |answer: &Value| -> Vec<(i64, String)> {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| (-item["score"].as_i64().unwrap(), item["key"].as_str().unwrap().to_owned())).collect()
    };
    let by_score = scores(&world.get(PATH).await.json());
    assert!(by_score.is_sorted() && by_score[0].0 < by_score[8].0, "{by_score:?}");
    assert!(keys(&world, "sort=key").await.is_sorted());
    let by_time = keys(&world, "sort=lastRequested&critical=development").await;
    assert_eq!(by_time[..3], ["read-in-bulk", "young", "quiet-lately"], "never, then the longest ago");
}

#[tokio::test]
async fn pages_put_together_are_the_list() {
    let world = full().await;
    for query in ["sort=score", "sort=key&stale=true", "sort=lastRequested&critical=development"] {
        let whole = keys(&world, query).await;
        let mut path = format!("{PATH}?{query}&limit=2");
        let mut pages = Vec::new();
        loop {
            let answer = world.get(&path).await.json();
            assert_eq!(answer["totalCount"], whole.len());
            let page = keys_of(&answer);
            assert!((1..=2).contains(&page.len()));
            pages.extend(page);
            match answer["_links"]["next"]["href"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(pages, whole, "{query}");
    }
}

/// A pipeline that is hours behind judges at the log's time; the next page is one of a list begun just now all the
/// same.
#[tokio::test]
async fn pages_go_on_while_the_pipeline_lags() {
    let mut world = full().await;
    let whole = keys(&world, "sort=key").await;
    world.caught_up = crate::CaughtUp::default();
    for partition in 0..PARTITIONS {
        world.stand(partition, 20, 10).await;
    }
    let began_ms = LOG_TIME + 3 * HOUR;
    world.clock.store(began_ms, Ordering::Relaxed);
    let first = world.get(&format!("{PATH}?sort=key&limit=5")).await.json();
    assert_eq!((&first["asOf"], &first["complete"]), (&json!(LOG_TIME), &json!(false)));
    let next = first["_links"]["next"]["href"].as_str().unwrap();
    world.clock.store(began_ms + HOUR, Ordering::Relaxed);
    let second = world.get(next).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!([keys_of(&first), keys_of(&second.json())].concat(), whole);
    world.clock.store(began_ms + HOUR + 1, Ordering::Relaxed);
    let late = world.get(next).await;
    assert!(late.status == 400 && late.body.contains("within the last hour"), "{}", late.body);
}

#[tokio::test]
async fn a_token_of_ones_own_asks_for_no_time_to_come() {
    let world = full().await;
    let with = async |begun_ms: i64, as_of_ms: i64| {
        let token = json!({ "b": begun_ms, "a": as_of_ms, "p": [i64::MIN, ""] }).to_string();
        world.get(&format!("{PATH}?continuationToken={}", URL_SAFE_NO_PAD.encode(token))).await.status.as_u16()
    };
    assert_eq!(with(NOW, NOW).await, 200);
    assert_eq!(with(NOW, NOW + 1).await, 400, "judged after it was begun");
    assert_eq!(with(NOW + 1, NOW).await, 400, "begun after now");
    assert_eq!(with(NOW - HOUR - 1, NOW - HOUR - 1).await, 400);
}

#[tokio::test]
async fn what_cannot_be_honoured_says_why_and_what_can() {
    let world = full().await;
    for (query, status, parts) in [
        ("status=dead", 400, &["`status`", "\"dead\"", "unknown, new, inactive, launched, active"][..]),
        ("reason=OLD", 400, &["`reason`", "NEVER_EVALUATED", "OLD_APP_VERSIONS_ONLY"]),
        ("stale=maybe", 400, &["`stale`", "true, false"]),
        ("advice=DELETE", 400, &["`advice`", "READY_FOR_CODE_REMOVAL, READY_TO_ARCHIVE"]),
        ("sort=age", 400, &["`sort`", "score, key, lastRequested"]),
        ("format=xml", 400, &["`format`", "json, csv, markdown"]),
        ("environments=production", 400, &["`environments`", "only environment, status"]),
        ("environment=prod", 404, &["default/prod", "default/production"]),
        ("critical=production,prod", 404, &["default/prod"]),
        ("continuationToken=x", 400, &["continuationToken"]),
    ] {
        let reply = world.get(&format!("{PATH}?{query}")).await;
        assert_eq!(reply.status, status, "{query}");
        for part in parts {
            assert!(reply.body.replace("\\\"", "\"").contains(part), "{query}: {part}: {}", reply.body);
        }
    }
    let none = world.get("/v1/projects/nothing/stale-flags").await;
    assert!(none.status == 404 && none.body.contains("no project `nothing`"), "{}", none.body);
}

#[tokio::test]
async fn another_time_than_now_is_refused_and_not_guessed() {
    let world = full().await;
    let at = async |ms: i64| world.get(&format!("{PATH}?asOf={ms}")).await;
    assert_eq!(at(NOW).await.status, 200);
    let (past, future) = (at(NOW - DAY).await, at(NOW + 1).await);
    assert!(past.status == 400 && past.body.contains("back-test"), "{}", past.body);
    assert!(future.status == 400 && future.body.contains("in the future"), "{}", future.body);
}

#[tokio::test]
async fn a_read_key_sees_its_environment_alone() {
    let mut world = empty();
    guard(&mut world.access);
    let world = fill(world).await;
    let with = async |path: &str, key: &str| world.get_with(path, &[("authorization", key)]).await;
    for (key, environments) in [
        ("read-development", &["development"][..]),
        ("read-production", &["production"]),
        ("admin", &["development", "production"]),
    ] {
        let answer = with(PATH, key).await.json();
        assert_eq!(answer["environments"], serde_json::json!(environments), "{key}");
        for item in answer["items"].as_array().unwrap() {
            assert_eq!(item["environments"].as_array().unwrap().len(), environments.len(), "{key}");
        }
        let across = with("/api/v2/flag-status/default/launched", key).await.json();
        assert_eq!(across["environments"].as_object().unwrap().len(), environments.len(), "{key}");
    }
    let other = |query: &str| format!("{PATH}?{query}");
    for path in [
        other("environment=development"),
        other("critical=development"),
        "/api/v2/flag-statuses/default/development".to_owned(),
        "/api/v2/flag-statuses/default/development/launched".to_owned(),
        "/api/v2/flag-status/default/launched?env=development".to_owned(),
        "/api/v2/flag-status/default/active".to_owned(),
    ] {
        assert_eq!(with(&path, "read-production").await.status, 404, "{path}");
        assert_eq!(with(&path, "admin").await.status, 200, "{path}");
        assert_eq!(world.get(&path).await.status, 401, "{path}");
    }
}
