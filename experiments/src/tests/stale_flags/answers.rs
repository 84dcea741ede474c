//! What is said of each flag, and the numbers beside it.

use std::sync::atomic::Ordering;

use counting::cells::LastSeenChange;
use schemas::cell::CellName;
use schemas::record::StoredVariation;
use serde_json::{Value, json};

use super::fleet::{PATH, at, empty, from_to, full, heard, production};
use crate::tests::world::{HOUR, LOG_TIME, NOW, PARTITIONS, Sight, World, development};

async fn items(world: &World, query: &str) -> Vec<Value> {
    let reply = world.get(&format!("{PATH}?{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["items"].as_array().unwrap().clone()
}

async fn item(world: &World, query: &str, key: &str) -> Value {
    items(world, query).await.into_iter().find(|item| item["key"] == key).unwrap_or_else(|| panic!("no {key}"))
}

fn codes(item: &Value, field: &str) -> Vec<String> {
    item[field].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_flag_has_its_status_and_reasons() {
    let world = full().await;
    let query = "critical=development&environment=development";
    for (key, status, stale, reasons) in [
        ("launched", "launched", true, &["SINGLE_VARIATION"][..]),
        ("active", "active", false, &[]),
        ("gone", "inactive", true, &["NO_EVALUATIONS"]),
        ("quiet-lately", "inactive", true, &["SINGLE_VARIATION"]),
        ("read-in-bulk", "inactive", true, &["BULK_READ_ONLY"]),
        ("young", "new", false, &["BULK_READ_ONLY"]),
        ("failing", "active", false, &["ERRORS_ONLY"]),
        ("defaulted", "active", false, &["DEFAULTS_ONLY"]),
        ("old-app", "launched", true, &["SINGLE_VARIATION", "OLD_APP_VERSIONS_ONLY"]),
    ] {
        let item = item(&world, query, key).await;
        assert_eq!((item["status"].as_str(), item["stale"].as_bool()), (Some(status), Some(stale)), "{item}");
        assert_eq!(codes(&item, "reasons"), reasons, "{key}");
    }
}

#[tokio::test]
async fn an_entry_has_every_number_that_the_rule_used() {
    let item = item(&full().await, "", "launched").await;
    let hour = |days_ago: i64| i64::from(at(days_ago).hour) * HOUR;
    assert_eq!(item["advice"], "READY_FOR_CODE_REMOVAL");
    assert_eq!((&item["forwardVariation"], &item["forwardValue"]), (&json!(1), &json!("blue")));
    assert_eq!(item["lastRequested"], hour(0));
    assert_eq!(item["lastRequestedBy"]["application"], "web");
    assert_eq!(item["lastRequestedBy"]["sdk"], "NodeJSClient/9.13.7");
    assert_eq!((&item["asOf"], &item["coverage"], &item["status"]), (&json!(NOW), &json!(1.0), &json!("launched")));
    assert_eq!(item["ageMs"], NOW - (hour(50) + HOUR - 1), "the rule takes a sight for the end of its hour");
    assert_eq!(item["conditions"]["staleDays"], 30);
    assert!(item.get("environment").is_none());
    let place = &item["environments"][0];
    assert_eq!(place["key"], "development");
    assert_eq!(place["hours"], json!({ "expected": 720, "reported": 720 }));
    assert_eq!((&place["version"], &place["versionSince"]), (&json!(3), &json!(hour(50))));
    assert_eq!((&place["dead"], &place["settledVariation"]), (&json!("settled"), &json!(1)));
    assert_eq!(place["servedWithinStale"], json!([1]));
}

/// Nobody asks between two looks, so nothing may say that somebody did: not within the hour of the last sight, and not
/// when that is over.
#[tokio::test]
async fn no_time_of_a_sight_moves_while_nobody_asks() {
    let world = full().await;
    let looked = async |now_ms: i64| {
        world.clock.store(now_ms, Ordering::Relaxed);
        let items = items(&world, "critical=development&limit=1000&sort=key").await;
        let times = |item: &Value| {
            let mut times: Vec<Value> = ["key", "lastRequested"].map(|field| item[field].clone()).into();
            times.extend(item["reasons"].as_array().unwrap().iter().flat_map(|reason| {
                let evidence = reason["evidence"].as_object().unwrap();
                let sights = evidence.iter().filter(|(name, _)| name.starts_with("last"));
                sights.map(|(_, ms)| ms.clone()).chain([reason["since"].clone()]).collect::<Vec<_>>()
            }));
            let fields = ["lastRequested", "lastBulkRead", "versionSince", "settledSince"];
            let places = item["environments"].as_array().unwrap().iter();
            times.extend(places.flat_map(|place| fields.map(|field| place[field].clone())));
            times
        };
        items.iter().map(times).collect::<Vec<_>>()
    };
    let first = looked(NOW).await;
    assert_eq!(first.len(), 9);
    for (later_ms, what) in [(1, "a moment"), (20 * 60_000, "the same hour"), (HOUR, "the next")] {
        assert_eq!(looked(NOW + later_ms).await, first, "{what}");
    }
    let gone = item(&world, "environment=development", "gone").await;
    assert_eq!(gone["lastRequested"], i64::from(at(40).hour) * HOUR);
    assert_eq!(gone["environment"], "development");
}

#[tokio::test]
async fn a_flag_that_another_environment_uses_is_not_stale() {
    let world = full().await;
    let gone = item(&world, "", "gone").await;
    assert_eq!((&gone["status"], &gone["environments"][0]["status"]), (&json!("launched"), &json!("inactive")));
    assert_eq!(codes(&gone, "reasons"), ["SINGLE_VARIATION"], "production asks for one variation alone");
    let asked = item(&world, "environment=development", "gone").await;
    assert_eq!(
        (&asked["stale"], &asked["status"]),
        (&gone["stale"], &json!("inactive")),
        "the verdict is the project's"
    );
    let alone = item(&world, "critical=development", "gone").await;
    assert_eq!(codes(&alone, "reasons"), ["NO_EVALUATIONS"]);
}

#[tokio::test]
async fn what_was_not_heard_is_unknown_and_not_stale() {
    let world = empty();
    heard(&world, &development(), 10..13);
    heard(&world, &production(), 0..0);
    for environment in [development(), production()] {
        from_to(&world, &environment, "launched", [50, 0], at(0));
    }
    world.flush().await;
    let flag = item(&world, "", "launched").await;
    assert_eq!(flag["environments"][0]["hours"], json!({ "expected": 720, "reported": 648 }));
    assert_eq!((&flag["status"], &flag["stale"]), (&json!("unknown"), &json!(false)));
    assert_eq!((codes(&flag, "blockers"), &flag["coverage"]), (vec!["LOW_COVERAGE".to_owned()], &json!(0.9)));
    let elsewhere = item(&world, "critical=production&environment=production", "launched").await;
    assert_eq!((&elsewhere["status"], &elsewhere["stale"]), (&json!("launched"), &json!(true)));
}

#[tokio::test]
async fn what_is_beyond_the_limit_of_rows_keeps_a_flag_from_being_settled() {
    let mut world = empty();
    world.limits.last_seen_rows_max = 1;
    let here = development();
    from_to(&world, &here, "crowded", [50, 0], at(0));
    from_to(&world, &here, "crowded", [50, 0], LastSeenChange { application: b"another", ..at(0) });
    from_to(&world, &here, "read", [50, 40], at(0));
    from_to(&world, &here, "read", [50, 0], LastSeenChange { bulk: true, ..at(0) });
    world.flush().await;
    let crowded = item(&world, "", "crowded").await;
    assert_eq!((codes(&crowded, "reasons").len(), &crowded["status"]), (0, &json!("active")));
    let read = item(&world, "", "read").await;
    assert_eq!(codes(&read, "reasons"), ["BULK_READ_ONLY"], "the other row of bulk reads keeps nothing alive");
}

#[tokio::test]
async fn an_environment_without_data_is_an_answer_that_says_so() {
    let answer = empty().get(PATH).await.json();
    assert_eq!((&answer["items"], &answer["totalCount"], &answer["judged"]), (&json!([]), &json!(0), &json!(0)));
    let notes = answer["notes"].to_string();
    for part in ["no flag was ever seen in environment `development`", "`production`", "events address"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let world = full().await;
    assert_eq!(world.get(PATH).await.json()["notes"], json!([]));
    world.see_named(&production(), CellName::Other, &Sight::of("", 0, "", NOW, 1));
    world.flush().await;
    let notes = world.get(PATH).await.json()["notes"].to_string();
    assert!(notes.contains("environment `production` has more flags than its limit"), "{notes}");
}

#[tokio::test]
async fn numbers_that_lag_are_judged_at_the_time_they_reach() {
    let world = full().await;
    for partition in 0..crate::tests::world::PARTITIONS {
        world.stand(partition, 12, 11).await;
    }
    let answer = world.get(PATH).await.json();
    assert_eq!((&answer["complete"], &answer["asOf"]), (&json!(false), &json!(LOG_TIME)));
    assert_eq!(answer["items"][0]["asOf"], LOG_TIME);
    assert!(answer["notes"].to_string().contains("lag the log"), "{}", answer["notes"]);
}

#[tokio::test]
async fn the_vendors_shape_has_the_same_statuses() {
    let world = full().await;
    let list = world.get("/api/v2/flag-statuses/default/development").await.json();
    let ours = items(&world, "environment=development&sort=key&limit=1000").await;
    let theirs = list["items"].as_array().unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        let key = ours["key"].as_str().unwrap();
        assert_eq!((&ours["status"], &ours["status"]), (&theirs["name"], &theirs["status"]), "{key}");
        let href = format!("/api/v2/flag-statuses/default/development/{key}");
        assert_eq!(theirs["_links"]["self"], json!({ "href": href, "type": "application/json" }));
        let mut alone = world.get(&href).await.json();
        let reaches = [alone["asOf"].take(), alone["complete"].take()];
        assert_eq!(reaches, [list["asOf"].clone(), list["complete"].clone()], "{key}");
        alone.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(alone, *theirs);
        let told =
            theirs["lastRequested"].as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        assert_eq!(ours["lastRequested"].as_i64(), told, "{key}");
    }
    let defaulted = theirs.iter().find(|item| item["key"] == "defaulted").unwrap();
    assert_eq!(defaulted["default"], "blue");
}

/// The vendor's times have milliseconds; ours are of an hour's beginning, for no more is kept.
#[tokio::test]
async fn the_vendors_last_requested_has_its_form_and_stands_still() {
    let world = full().await;
    let told = async |now_ms: i64, key: &str| {
        world.clock.store(now_ms, Ordering::Relaxed);
        let status = world.get(&format!("/api/v2/flag-statuses/default/development/{key}")).await.json();
        status["lastRequested"].as_str().map(str::to_owned)
    };
    for now_ms in [NOW, NOW + 20 * 60_000, NOW + HOUR] {
        assert_eq!(told(now_ms, "launched").await.as_deref(), Some("2026-01-15T12:00:00.000Z"), "at {now_ms}");
    }
    assert_eq!(told(NOW, "gone").await.as_deref(), Some("2025-12-06T12:00:00.000Z"));
    assert_eq!(told(NOW, "read-in-bulk").await, None);
}

#[tokio::test]
async fn the_vendors_clients_never_see_a_word_of_ours() {
    let world = empty();
    heard(&world, &development(), 10..13);
    from_to(&world, &development(), "f/1", [50, 40], at(0));
    let default = LastSeenChange { variation: StoredVariation::Default, ..at(0) };
    from_to(&world, &production(), "f/1", [50, 0], default);
    world.flush().await;
    let across = world.get("/api/v2/flag-status/default/f%2F1").await.json();
    let names = |across: &Value| across["environments"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((across["key"].as_str(), names(&across).len()), (Some("f/1"), 2));
    assert_eq!(across["_links"]["self"]["href"], "/api/v2/flag-status/default/f%2F1");
    let unheard = &across["environments"]["development"];
    assert_eq!((&unheard["name"], &unheard["status"]), (&json!("active"), &json!("unknown")));
    let one = world.get("/api/v2/flag-status/default/f%2F1?env=production").await.json();
    assert_eq!(names(&one), ["production"]);
    assert_eq!(world.get("/api/v2/flag-status/default/f%2F1?env=nowhere").await.status, 404);
    assert_eq!(world.get("/api/v2/flag-status/default/nobody").await.status, 404);
}

#[tokio::test]
async fn the_newest_version_is_the_one_that_came_last_and_an_hour_old_from_its_end_on() {
    let world = empty();
    heard(&world, &development(), 0..0);
    let of = |version| LastSeenChange { version: Some(version), ..at(0) };
    from_to(&world, &development(), "again", [50, 40], of(9));
    from_to(&world, &development(), "again", [30, 0], of(2));
    world.flush().await;
    for partition in 0..PARTITIONS {
        world.stand(partition, 10, 10).await;
    }
    let told = item(&world, "environment=development", "again").await;
    let place = &told["environments"][0];
    let since = i64::from(at(30).hour) * HOUR;
    assert_eq!((&place["version"], &place["versionSince"]), (&json!(2), &json!(since)));
    assert_eq!(place["dead"], Value::Null, "its version is 30 days old at the end of the hour alone");
}
