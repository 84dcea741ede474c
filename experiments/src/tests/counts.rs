//! What the numbers are: rounding, paging, groups, limits, how far an answer reaches, and exactness.

use std::sync::atomic::Ordering;

use counting::cells::{BooksChange, COUNTER_MAX};
use schemas::cell::CellName;
use schemas::partition::home;
use serde_json::{Value, json};

use super::world::{DAY, HOUR, LOG_TIME, MINUTE, NOW, PARTITIONS, Reply, Sight, World, development, full, path_of};
use crate::events::decimal;
use crate::page::text;

async fn ask(world: &World, rest: &str) -> Reply {
    world.get(&format!("{}/{rest}", path_of(&development()))).await
}

async fn total(world: &World, rest: &str) -> u64 {
    let answer = ask(world, rest).await.json();
    answer["items"].as_array().unwrap().iter().map(|item| item["count"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn pages_hold_each_item_once_at_every_size_while_the_clock_goes_on() {
    let world = full().await;
    let whole = ask(&world, "evaluations?granularity=hour").await.json();
    let all = whole["items"].as_array().unwrap();
    assert_eq!(all.len(), 5);
    for limit in 1..=6 {
        let mut path = format!("{}/evaluations?granularity=hour&limit={limit}", path_of(&development()));
        let mut items = Vec::new();
        loop {
            let page = world.get(&path).await.json();
            assert!(page["items"].as_array().unwrap().len() <= limit);
            assert_eq!(page["totalCount"], 5);
            assert_eq!((&page["from"], &page["to"]), (&whole["from"], &whole["to"]), "limit {limit}");
            items.extend(page["items"].as_array().unwrap().clone());
            assert!(items.len() <= all.len(), "limit {limit}: a page comes again");
            world.clock.fetch_add(7 * MINUTE, Ordering::Relaxed);
            match page["_links"]["next"]["href"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        world.clock.store(NOW, Ordering::Relaxed);
        assert_eq!(&items, all, "limit {limit}");
    }
}

#[tokio::test]
async fn a_flag_that_appears_between_pages_moves_nothing() {
    let world = full().await;
    let first = ask(&world, "evaluations?limit=3").await.json();
    world.see(&development(), &Sight::of("aaa", 0, "true", NOW - MINUTE, 1));
    world.flush().await;
    let second = world.get(first["_links"]["next"]["href"].as_str().unwrap()).await.json();
    let flags: Vec<&Value> = second["items"].as_array().unwrap().iter().map(|item| &item["flag"]).collect();
    assert_eq!(flags, [&json!("colour"), &Value::Null]);
}

#[tokio::test]
async fn events_page_too() {
    let world = full().await;
    let mut path = format!("{}/events?limit=1&from={}", path_of(&development()), NOW - 60 * DAY);
    let mut keys = Vec::new();
    loop {
        let page = world.get(&path).await.json();
        assert_eq!(page["totalCount"], 4);
        keys.extend(page["items"].as_array().unwrap().iter().map(|item| item["key"].clone()));
        assert!(keys.len() <= 4, "a page comes again");
        match page["_links"]["next"]["href"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(keys, [json!("click"), json!("long ago"), json!("purchase"), Value::Null]);
}

#[tokio::test]
async fn events_of_other_hours_neither_count_nor_count_twice() {
    let world = World::empty();
    let hour = NOW - NOW % HOUR;
    for (name, value) in [("a", 1), ("a longer name", 100)] {
        for (place, weight) in [(-2, 1), (-1, 10), (0, 10_000), (1, 100_000)] {
            let name = CellName::Key(name.into());
            world.event(&development(), name, hour + place * HOUR, Some(value * weight * 1_000_000));
        }
    }
    world.event(&development(), CellName::Other, hour, Some(7_000_000));
    world.flush().await;
    let cases = [
        (-2, 2, json!([["a", 110_011], ["a longer name", 11_001_100], [null, 7]])),
        (-1, 0, json!([["a", 10], ["a longer name", 1000]])),
        (-1, 1, json!([["a", 10_010], ["a longer name", 1_001_000], [null, 7]])),
        (1, 2, json!([["a", 100_000], ["a longer name", 10_000_000]])),
        (2, 3, json!([])),
    ];
    for (from, to, expected) in cases {
        let answer = ask(&world, &format!("events?from={}&to={}", hour + from * HOUR, hour + to * HOUR)).await.json();
        let items = answer["items"].as_array().unwrap().iter();
        let sums: Vec<Value> = items.map(|item| json!([item["key"], item["metricSum"]])).collect();
        assert_eq!(Value::from(sums), expected, "hours {from} to {to}");
    }
}

#[tokio::test]
async fn minutes_are_rounded_outwards_and_hours_where_only_hours_are_kept() {
    let world = World::empty();
    let hour = NOW - NOW % HOUR;
    for (minute, count) in [(9, 1), (10, 10), (11, 100), (12, 1000)] {
        world.see(&development(), &Sight::of("f", 0, "true", hour + minute * MINUTE, count));
    }
    world.flush().await;
    let at = |minute: i64, second: i64| hour + minute * MINUTE + second * 1000;
    let cases = [
        (at(10, 0), at(12, 0), "variation", 110),
        (at(10, 59), at(12, 0), "variation", 110),
        (at(10, 0), at(11, 1), "variation", 110),
        (at(10, 0), at(11, 0), "variation", 10),
        (at(10, 1), at(10, 2), "variation", 10),
        (at(13, 0), at(20, 0), "variation", 0),
        (at(13, 0), at(20, 0), "application", 1111),
        (at(13, 0), at(20, 0), "sdk", 1111),
        (at(-20, 0), at(0, 0), "sdk", 0),
    ];
    for (from, to, group, expected) in cases {
        let rest = format!("evaluations?from={from}&to={to}&groupBy={group}");
        assert_eq!(total(&world, &rest).await, expected, "{rest}");
        let unit = if group == "variation" { MINUTE } else { HOUR };
        let answer = ask(&world, &rest).await.json();
        assert_eq!(answer["from"], from - from % unit);
        assert_eq!(answer["to"], (to + unit - 1) / unit * unit);
    }
}

#[tokio::test]
async fn an_answer_is_complete_when_the_checkpoint_has_reached_the_logs_end_in_its_own_partition() {
    let world = full().await;
    let mine = home(&development(), PARTITIONS);
    let other = (mine + 1) % PARTITIONS;
    world.stand(other, 15, 10).await;
    let complete = |reply: Reply| (reply.json()["complete"].clone(), reply.json()["asOf"].clone());
    let rests = ["evaluations", "events", "books"];
    for rest in rests {
        assert_eq!(complete(ask(&world, rest).await), (json!(true), json!(NOW)), "{rest}");
    }
    world.stand(mine, 11, 10).await;
    for rest in rests {
        assert_eq!(complete(ask(&world, rest).await), (json!(false), json!(LOG_TIME)), "{rest}");
    }
    let health = world.get("/v1/pipeline/health").await.json();
    assert_eq!(health["lag"], json!({ "records": 6, "seconds": 5.0 }));
    assert_eq!(health["complete"], false);
    world.stand(mine, 11, 11).await;
    assert_eq!(complete(ask(&world, "evaluations").await), (json!(true), json!(NOW)));
    assert_eq!(world.get("/v1/pipeline/health").await.json()["lag"]["records"], 5);
    let fresh = World::empty();
    assert_eq!(complete(ask(&fresh, "evaluations").await), (json!(true), json!(NOW)), "an empty log is all counted");
}

#[tokio::test]
async fn sums_beyond_2_to_the_53_keep_every_digit() {
    let world = World::empty();
    let mut expected = 0_u64;
    for hour in 0..40 {
        world.see(&development(), &Sight::of("big", 0, "true", NOW - hour * HOUR, COUNTER_MAX - 1));
        expected += COUNTER_MAX - 1;
    }
    for _ in 0..64 {
        world.event(&development(), CellName::Key("sum".into()), NOW, Some(999_999_999_999_999_999));
    }
    world.book(
        &development(),
        NOW,
        BooksChange { accepted: COUNTER_MAX, counted: COUNTER_MAX, ..BooksChange::default() },
    );
    world.see(&development(), &Sight::of("big", 0, "true", NOW - 41 * HOUR, 1));
    expected += 1;
    // Odd and above 2^53: no float holds it.
    assert!(expected > 1 << 53 && expected % 2 == 1);
    world.flush().await;
    let from = NOW - 3 * DAY;
    let evaluations = ask(&world, &format!("evaluations?from={from}")).await;
    assert!(evaluations.body.contains(&format!("\"count\":{expected},")), "{}", evaluations.body);
    let events = ask(&world, "events").await;
    assert!(events.body.contains("\"metricSum\":63999999999999.999936"), "{}", events.body);
    let vendor = world.get(&format!("/api/v2/usage/evaluations/default/development/big?from={from}")).await;
    assert!(vendor.body.contains(&format!("\"totalEvaluations\":{expected},")), "{}", vendor.body);
    assert!(ask(&world, "books").await.body.contains(&format!("\"accepted\":{COUNTER_MAX},")));
    let page = world.page("/?range=7d").await;
    assert!(page.body.contains(&text::number(expected)), "the page rounds");
}

#[test]
fn millionths_are_written_as_the_decimal_that_they_are() {
    let cases = [
        (0, "0"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (1_500_000, "1.5"),
        (-24_990_000, "-24.99"),
        (10_000_000, "10"),
        (i128::MAX, "170141183460469231731687303715884.105727"),
        (i128::MIN, "-170141183460469231731687303715884.105728"),
    ];
    for (millionths, expected) in cases {
        assert_eq!(decimal(millionths), expected);
    }
}

#[tokio::test]
async fn a_request_may_ask_for_92_days_and_10_000_rows() {
    let world = World::empty();
    for minute in 0..6_000 {
        world.see(&development(), &Sight::of("f", 0, "true", NOW - minute * MINUTE, 1));
        world.see(&development(), &Sight::of("f", 1, "false", NOW - minute * MINUTE, 1));
    }
    world.flush().await;
    let days =
        |days: i64, granularity: &str| format!("evaluations?from={}&granularity={granularity}", NOW - days * DAY);
    assert_eq!(ask(&world, &days(92, "day")).await.status, 200);
    let long = ask(&world, &days(93, "day")).await;
    assert_eq!((long.status.as_u16(), &long.json()["code"]), (400, &json!("invalid_parameter")));
    assert!(long.json()["message"].as_str().unwrap().contains("92 days"), "{}", long.body);
    let much = ask(&world, &days(5, "minute")).await;
    assert_eq!((much.status.as_u16(), &much.json()["code"]), (400, &json!("too_much")));
    assert!(much.json()["message"].as_str().unwrap().contains("12000 rows, at most 10000"), "{}", much.body);
    assert_eq!(ask(&world, &format!("{}&limit=1", days(5, "minute"))).await.status, 200);
}
