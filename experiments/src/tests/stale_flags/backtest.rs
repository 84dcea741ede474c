//! Past verdicts over the API: days, revivals, pages, and what cannot be asked.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::fleet::{PATH, empty, full, guard, heard, production};
use crate::tests::world::{DAY, NOW, PARTITIONS, Sight, World, development};

/// The beginning of today.
const TODAY: i64 = NOW / DAY * DAY;

async fn ask(world: &World, query: &str) -> Value {
    let reply = world.get(&format!("{PATH}/backtest?{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn refused(world: &World, query: &str) -> String {
    let reply = world.get(&format!("{PATH}/backtest?{query}")).await;
    assert_eq!(reply.status, 400, "{query}: {}", reply.body);
    reply.json()["message"].as_str().unwrap().to_owned()
}

fn see(world: &World, flag: &str, variation: u32, days_ago: impl IntoIterator<Item = i64>) {
    for days_ago in days_ago {
        world.see(&development(), &Sight::of(flag, variation, "true", NOW - days_ago * DAY, 1));
    }
}

/// `dead` is quiet for 140 days, `woke` was so until 20 days ago, `rare` served another variation 150 and 2 days ago.
async fn fleet() -> World {
    let world = empty();
    see(&world, "dead", 1, [150, 140]);
    see(&world, "woke", 1, [150, 140, 20]);
    see(&world, "rare", 1, 0..=150);
    see(&world, "rare", 0, [150, 2]);
    stand(&world).await;
    world
}

async fn stand(world: &World) {
    world.flush().await;
    for partition in 0..PARTITIONS {
        world.stand(partition, 10, 10).await;
    }
}

fn item<'a>(told: &'a Value, key: &str) -> &'a Value {
    told["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap_or_else(|| panic!("no {key}"))
}

#[tokio::test]
async fn csv_has_every_flag_that_was_called_stale() {
    let world = fleet().await;
    let told = ask(&world, "").await;
    let csv = world.get(&format!("{PATH}/backtest?format=csv")).await;
    assert!(csv.header("content-type").starts_with("text/csv") && csv.header("x-flagstream-complete") == "true");
    let lines: Vec<&str> = csv.body.lines().collect();
    assert!(lines[0].starts_with("\"key\",\"calledOn\",\"lastCalledOn\",\"timesCalled\""), "{}", lines[0]);
    let items = told["items"].as_array().unwrap();
    assert_eq!(lines.len(), items.len() + 1, "{}", csv.body);
    for (line, item) in lines[1..].iter().zip(items) {
        let key = format!("{},\"20", item["key"]);
        let revived = format!("\"{}\"", item["revived"]);
        assert!(line.starts_with(&key) && line.contains(&revived), "{line}: {item}");
    }
    let first = world.get(&format!("{PATH}/backtest?format=csv&limit=1")).await;
    assert_eq!(first.body.lines().count(), 2);
    let next = first.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    assert_eq!(world.get(next).await.body.lines().nth(1), Some(lines[2]));
}

#[tokio::test]
async fn every_week_of_the_last_ninety_days_is_judged() {
    let told = ask(&fleet().await, "").await;
    let days = told["days"].as_array().unwrap();
    let times: Vec<i64> = days.iter().map(|day| day["asOf"].as_i64().unwrap()).collect();
    assert_eq!(times, (0..=12).rev().map(|weeks| TODAY - weeks * 7 * DAY).collect::<Vec<_>>());
    let (oldest, newest) = (&days[0], &days[12]);
    assert_eq!((&oldest["flags"], &oldest["stale"], &oldest["watchedDays"]), (&json!(3), &json!(3), &json!(84)));
    assert_eq!(oldest["byReason"], json!({ "NO_EVALUATIONS": 2, "SINGLE_VARIATION": 1 }));
    assert_eq!(oldest["byAdvice"], json!({ "none": 2, "READY_FOR_CODE_REMOVAL": 1 }));
    // woke 64 days later, rare 82.
    assert_eq!((&oldest["revivedWithin"], &oldest["revivedLater"]), (&json!(0), &json!(2)));
    // 28 days ago: woke 8 days later, rare 26.
    assert_eq!((&days[8]["revivedWithin"], &days[8]["revivedLater"]), (&json!(2), &json!(0)));
    // 49 days ago: woke 29 days later, rare 47; 56 days ago: 36 and 54.
    assert_eq!((&days[5]["revivedWithin"], &days[5]["revivedLater"]), (&json!(1), &json!(1)));
    assert_eq!((&days[4]["revivedWithin"], &days[4]["revivedLater"]), (&json!(0), &json!(2)));
    // Another variation was served two days ago, so rare is not stale today.
    assert_eq!(
        (&newest["stale"], &newest["byReason"]),
        (&json!(2), &json!({ "NO_EVALUATIONS": 1, "SINGLE_VARIATION": 1 }))
    );
}

#[tokio::test]
async fn what_came_alive_again_is_counted_and_listed_first() {
    let told = ask(&fleet().await, "").await;
    assert_eq!((&told["called"], &told["revived"], &told["rate"]), (&json!(3), &json!(2), &json!(2.0 / 3.0)));
    assert_eq!((&told["watched"], &told["revivedWithin"]), (&json!(3), &json!(2)));
    let keys: Vec<&str> = told["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["rare", "woke", "dead"]);
    let (rare, woke, dead) = (item(&told, "rare"), item(&told, "woke"), item(&told, "dead"));
    assert_eq!(
        (&rare["timesCalled"], &rare["forwardVariation"], &rare["revivedVariation"]),
        (&json!(12), &json!(1), &json!(0))
    );
    assert_eq!((&rare["revivedOn"], &rare["revivedIn"]), (&json!(TODAY - 2 * DAY), &json!("development")));
    assert_eq!((&woke["calledOn"], &woke["revivedAfterDays"]), (&json!(TODAY - 84 * DAY), &json!(64)));
    assert_eq!((&woke["reasons"], &woke["revivedVariation"]), (&json!(["NO_EVALUATIONS"]), &Value::Null));
    assert_eq!((&dead["revived"], &dead["revivedOn"], &dead["timesCalled"]), (&json!(false), &Value::Null, &json!(13)));
    let world = fleet().await;
    assert_eq!(ask(&world, "revived=false").await["items"], json!([dead]));
    assert_eq!(ask(&world, "revived=true").await["totalCount"], 2);
    assert_eq!(ask(&world, "q=wok").await["called"], 1);
}

#[tokio::test]
async fn usage_is_read_where_last_seen_cannot_tell_and_once() {
    let world = fleet().await;
    let weekly = ask(&world, "").await;
    // `rare` alone, from 30 days before the oldest day: a cell a day, 114 days ago to today.
    assert_eq!(weekly["read"], json!({ "flags": 3, "usageFlags": 1, "usageCells": 115 }));
    assert_eq!(ask(&world, "step=1&from=2025-10-23T00:00:00Z").await["read"], weekly["read"], "the same for every day");
    assert_eq!(ask(&world, "q=dead").await["read"], json!({ "flags": 1, "usageFlags": 0, "usageCells": 0 }));
    assert_eq!(ask(&world, "critical=production").await["read"]["usageFlags"], 0, "it does not decide");
}

#[tokio::test]
async fn a_day_says_what_the_report_said_on_it() {
    let world = full().await;
    // Nothing came after this midnight, so the report is asked at the very moment.
    world.clock.store(TODAY + DAY, Ordering::Relaxed);
    let report = world.get(&format!("{PATH}?stale=true&critical=development")).await.json();
    let told = ask(&world, &format!("asOf={}&critical=development", TODAY + DAY)).await;
    let codes = |item: &Value| -> Vec<Value> {
        item["reasons"].as_array().unwrap().iter().map(|reason| reason.get("code").unwrap_or(reason).clone()).collect()
    };
    let by_key = |answer: &Value| -> BTreeMap<String, (Vec<Value>, Value, Value)> {
        let items = answer["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                let told = (codes(item), item["advice"].clone(), item["forwardVariation"].clone());
                (item["key"].as_str().unwrap().to_owned(), told)
            })
            .collect()
    };
    assert_eq!(by_key(&told), by_key(&report));
    assert_eq!((by_key(&told).len(), &told["days"][0]["flags"]), (5, &report["judged"]));
    assert_eq!(told["rule"], report["rule"]);
}

#[tokio::test]
async fn pages_put_together_are_the_list() {
    let world = fleet().await;
    let whole = ask(&world, "").await["items"].clone();
    let (mut pages, mut path) = (Vec::new(), format!("{PATH}/backtest?limit=1"));
    loop {
        let told = world.get(&path).await.json();
        assert_eq!(told["totalCount"], 3);
        pages.extend(told["items"].as_array().unwrap().clone());
        match told["_links"]["next"]["href"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(Value::Array(pages), whole);
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_with_what_can() {
    let world = fleet().await;
    for (query, parts) in [
        (format!("asOf={}", NOW + 1), &["`asOf`", "in the future", "…/stale-flags"][..]),
        (format!("to={}", NOW + DAY), &["`to`", "in the future"]),
        (format!("asOf={NOW}&from={}", NOW - DAY), &["one day alone"]),
        (format!("from={NOW}&to={}", NOW - DAY), &["a day before `to`"]),
        (format!("asOf={}", NOW - 371 * DAY), &["kept for 400 days", "looks back 30"]),
        (format!("from={}&step=1", NOW - 92 * DAY), &["at most 92 days of verdicts", "93", "longer `step`"]),
        ("step=0".to_owned(), &["`step`", "1 to 400"]),
        ("days=7".to_owned(), &["`days`", "step"]),
    ] {
        let said = refused(&world, &query).await;
        for part in parts {
            assert!(said.contains(part), "{query}: {part}: {said}");
        }
    }
    assert_eq!(ask(&world, &format!("asOf={}", NOW - 370 * DAY)).await["days"][0]["flags"], 0);
    assert_eq!(ask(&world, &format!("from={}&step=1", NOW - 91 * DAY)).await["days"].as_array().unwrap().len(), 92);
    assert_eq!(world.get(&format!("{PATH}/backtest?critical=nowhere")).await.status, 404);
}

#[tokio::test]
async fn a_read_key_asks_about_its_environment_alone() {
    let mut world = empty();
    guard(&mut world.access);
    see(&world, "dead", 1, [150, 140]);
    heard(&world, &development(), 0..0);
    stand(&world).await;
    let path = format!("{PATH}/backtest");
    let told = world.get_with(&path, &[("authorization", "read-production")]).await.json();
    assert_eq!((&told["called"], &told["environments"]), (&json!(0), &json!([production().key_str()])));
    let told = world.get_with(&path, &[("authorization", "admin")]).await.json();
    assert_eq!((&told["called"], &told["rate"]), (&json!(1), &json!(0.0)));
    let notes = told["notes"].to_string();
    assert!(notes.contains("as it is now") && notes.contains("snoozes"), "{notes}");
}
