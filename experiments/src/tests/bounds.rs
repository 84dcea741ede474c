//! What is known as a bound only, or may be an estimate, is marked; what is exact is not.

use std::sync::atomic::Ordering;

use counting::cells::{BooksChange, COUNTER_MAX, Cell, Change, EventChange, Events};
use schemas::cell::{CellKind, CellName};
use schemas::partition::home;
use serde_json::{Value, json};

use super::world::{DAY, HOUR, LOG_TIME, MINUTE, NOW, PARTITIONS, Sight, World, development, path_of};

async fn items(world: &World, rest: &str) -> Vec<Value> {
    let answer = world.get(&format!("{}/{rest}", path_of(&development()))).await.json();
    answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

#[tokio::test]
async fn last_seen_goes_on_with_the_counts_when_its_rows_are_full() {
    let mut world = World::empty();
    world.limits.last_seen_rows_max = 1;
    let here = development();
    world.see(&here, &Sight::of("f", 0, "true", NOW - 30 * HOUR, 1));
    // Another application: beyond the limit of rows, so its sight goes to the row of all others.
    world.see(&here, &Sight { application: "new", ..Sight::of("f", 0, "true", NOW - 3 * MINUTE, 2) });
    world.see(&here, &Sight { application: "new", ..Sight::of("f", 1, "false", NOW - 2 * MINUTE, 4) });
    world.flush().await;
    let minute = |ms: i64| ms - ms % MINUTE;
    let hour = |ms: i64| ms - ms % HOUR;
    let seen = |item: &Value| [item["firstSeen"].clone(), item["lastSeen"].clone(), item["seenBound"].clone()];
    let now = items(&world, "evaluations").await;
    assert_eq!(seen(&now[0]), [json!(hour(NOW - 30 * HOUR)), json!(minute(NOW - 3 * MINUTE)), Value::Null]);
    assert_eq!(seen(&now[1]), [json!(hour(NOW)), json!(minute(NOW - 2 * MINUTE)), Value::Null]);
    // Of an earlier time no counts tell of the later sight: then it is a bound.
    let past = format!("evaluations?from={}&to={}", NOW - 40 * HOUR, NOW - 20 * HOUR);
    let past = items(&world, &past).await;
    let old = NOW - 30 * HOUR;
    assert_eq!(seen(&past[0]), [json!(hour(old)), json!(minute(old)), json!(true)]);
    let page = world.page("/flag?project=default&environment=development&key=f&range=24h").await.body;
    assert!(page.contains(">3 min ago<"), "{page}");
}

#[tokio::test]
async fn counts_by_reason_are_not_clipped_to_last_seen() {
    let world = World::empty();
    let here = development();
    world.see(&here, &Sight::of("f", 0, "true", NOW - MINUTE, 1));
    world.reason(&here, "f", NOW - HOUR, 2, 4);
    world.reason(&here, "f", NOW, 2, 8);
    // An SDK that keeps a flag out of its summaries: seen, and not counted.
    world.see(&here, &Sight::of("reasons-only", 0, "true", NOW, 0));
    world.reason(&here, "reasons-only", NOW, 2, 16);
    world.flush().await;
    let counts = async |rest: &str| -> Vec<Value> {
        items(&world, rest).await.iter().map(|item| json!([item["flag"], item["count"]])).collect()
    };
    assert_eq!(counts("evaluations?groupBy=reason").await, [json!(["f", 12]), json!(["reasons-only", 16])]);
    assert_eq!(counts("evaluations?groupBy=reason&flag=reasons-only").await, [json!(["reasons-only", 16])]);
    assert!(counts("evaluations?groupBy=reason&flag=nobody").await.is_empty());
    assert!(counts("evaluations?flag=reasons-only").await.is_empty());
}

#[tokio::test]
async fn what_may_be_sampled_is_marked_in_every_grouping_that_can_tell() {
    let world = World::empty();
    let here = development();
    world.see(&here, &Sight { estimated: true, ..Sight::of("f", 0, "true", NOW - MINUTE, 1) });
    world.see(&here, &Sight { application: "exact", ..Sight::of("f", 1, "false", NOW - MINUTE, 1) });
    world.flush().await;
    for (group, expected) in
        [("variation", [true, false]), ("variation,version", [true, false]), ("application", [false, true])]
    {
        let marks: Vec<bool> = items(&world, &format!("evaluations?groupBy={group}"))
            .await
            .iter()
            .map(|item| item["estimated"] == true)
            .collect();
        assert_eq!(marks, expected, "{group}");
    }
    let vendor = world.get("/api/v2/usage/evaluations/default/development/f").await.json();
    assert_eq!(
        (&vendor["metadata"][0]["estimated"], &vendor["metadata"][1]["estimated"]),
        (&json!(true), &Value::Null)
    );
}

/// An events cell whose counter has stopped.
fn stopped() -> Events {
    let mut cell = Cell::empty(CellKind::Events);
    cell.apply(
        &Change::Event(EventChange { sampling: 1_000_000_000, value: None, gated: false }),
        &World::empty().limits,
    );
    let mut events = Events::decode(&cell.encode()).unwrap();
    for _ in 0..20 {
        events.merge(&events.clone());
    }
    events
}

#[tokio::test]
async fn a_counter_that_has_stopped_says_so_everywhere_and_no_other_does() {
    for (count, marked) in [(COUNTER_MAX, true), (COUNTER_MAX - 1, false)] {
        let world = World::empty();
        let here = development();
        world.see(&here, &Sight::of("f", 0, "true", NOW - MINUTE, count));
        world.reason(&here, "f", NOW - MINUTE, 2, count);
        world.book(&here, NOW, BooksChange { accepted: count, counted: count, ..BooksChange::default() });
        world.flush().await;
        let mark = if marked { json!(true) } else { Value::Null };
        for group in ["variation", "version", "application", "reason"] {
            let item = &items(&world, &format!("evaluations?groupBy={group}")).await[0];
            assert_eq!((&item["saturated"], &item["count"]), (&mark, &json!(count)), "{group}");
        }
        let books = world.get(&format!("{}/books", path_of(&here))).await.json();
        assert_eq!(books["saturated"], mark);
        for path in ["/", "/flag?project=default&environment=development&key=f"] {
            assert_eq!(world.page(path).await.body.contains(">at least<"), marked, "{path} at {count}");
        }
    }
    let world = World::empty();
    world.put(&development(), CellKind::Events, CellName::Key("e".into()), NOW, stopped().encode()).await;
    let item = &items(&world, "events").await[0];
    assert_eq!((&item["saturated"], &item["count"]), (&json!(true), &json!(COUNTER_MAX)));
    world.see(&development(), &Sight::of("f", 0, "true", NOW - MINUTE, 1));
    world.flush().await;
    assert!(world.page("/").await.body.contains(">at least<"));
}

#[tokio::test]
async fn idle_time_is_no_lag_once_somebody_has_looked() {
    let world = World::empty();
    let mine = home(&development(), PARTITIONS);
    world.stand(mine, 10, 10).await;
    let lag = async || world.get("/v1/pipeline/health").await.json()["lag"].clone();
    assert_eq!(lag().await, json!({ "records": 0, "seconds": 0.0 }));
    // An hour of nothing, a look from a page, and two seconds later a record.
    world.clock.store(NOW + HOUR, Ordering::Relaxed);
    items(&world, "evaluations").await;
    world.clock.store(NOW + HOUR + 2_000, Ordering::Relaxed);
    world.stand(mine, 11, 10).await;
    assert_eq!(lag().await, json!({ "records": 1, "seconds": 2.0 }));
    // It waits on.
    world.clock.store(NOW + HOUR + 9_000, Ordering::Relaxed);
    assert_eq!(lag().await, json!({ "records": 1, "seconds": 9.0 }));
    // What was answered before it came is in the numbers, whatever the time of the record before.
    let told = world.get("/v1/projects/default/environments/development/evaluations").await.json();
    assert_eq!((&told["complete"], &told["asOf"]), (&json!(false), &json!(NOW + HOUR)));
    // Where nobody has looked, the checkpoint's record is the bound.
    let mut fresh = World::empty();
    fresh.clock.store(NOW + DAY, Ordering::Relaxed);
    fresh.stand(mine, 11, 10).await;
    fresh.caught_up = crate::CaughtUp::default();
    let seconds = &fresh.get("/v1/pipeline/health").await.json()["lag"]["seconds"];
    assert_eq!(seconds.as_f64(), Some(((NOW + DAY - LOG_TIME) / 1000) as f64));
}

#[tokio::test]
async fn a_time_that_is_yet_to_come_holds_nothing_of_the_hour_that_has_begun() {
    let world = World::empty();
    let here = development();
    world.see(&here, &Sight::of("f", 0, "true", NOW - MINUTE, 1));
    world.event(&here, CellName::Key("paid".into()), NOW - MINUTE, None);
    world.flush().await;
    for rest in ["evaluations?groupBy=application", "evaluations?groupBy=variation", "events?"] {
        let between = |from: i64, to: i64| format!("{rest}&from={}&to={}", NOW + from * MINUTE, NOW + to * MINUTE);
        assert!(items(&world, &between(6, 10)).await.is_empty(), "{rest}: nothing can be dated so far ahead");
        assert!(items(&world, &between(6, 120)).await.is_empty(), "{rest}");
        assert_eq!(items(&world, &between(-60, 10)).await.len(), 1, "{rest}");
    }
}
