//! What the numbers are: rounding, paging, groups, limits, how far an answer reaches, and exactness.

use std::sync::atomic::Ordering;

use counting::cells::{BooksChange, COUNTER_MAX};
use schemas::cell::CellName;
use schemas::partition::home;
use serde_json::{Value, json};

use super::world::{DAY, HOUR, LOG_TIME, MINUTE, NOW, PARTITIONS, Reply, Sight, World, development, full, path_of};
use crate::DeadLetter;
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
    let mut world = full().await;
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
        assert_eq!(complete(ask(&world, rest).await), (json!(false), json!(NOW)), "{rest}: nothing waited just now");
    }
    world.caught_up = crate::CaughtUp::default();
    for rest in rests {
        assert_eq!(complete(ask(&world, rest).await), (json!(false), json!(LOG_TIME)), "{rest}");
    }
    let health = world.get("/v1/pipeline/health").await.json();
    assert_eq!(health["lag"], json!({ "records": 6, "seconds": 5.0 }));
    assert_eq!(world.get("/v1/pipeline/health").await.json()["lag"]["seconds"], 5.0);
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
    // The rows of a page are full before its items are: it ends there, and the next goes on.
    let first = ask(&world, &days(5, "minute")).await.json();
    let second = world.get(first["_links"]["next"]["href"].as_str().unwrap()).await.json();
    for (page, variation) in [(&first, 0), (&second, 1)] {
        let items = page["items"].as_array().unwrap();
        assert_eq!((items.len(), &items[0]["variation"], &page["totalCount"]), (1, &json!(variation), &json!(2)));
        assert_eq!(items[0]["series"].as_array().unwrap().len(), 6_000);
    }
    assert_eq!(second["_links"], json!({}));
    // One series that no page can hold is refused.
    for minute in 0..10_001 {
        world.see(&development(), &Sight::of("g", 0, "true", NOW - minute * MINUTE, 1));
    }
    world.flush().await;
    let much = ask(&world, &format!("{}&flag=g", days(8, "minute"))).await;
    assert_eq!((much.status.as_u16(), &much.json()["code"]), (400, &json!("too_much")));
    assert!(much.json()["message"].as_str().unwrap().contains("10001 points, at most 10000"), "{}", much.body);
}

#[tokio::test]
async fn the_second_page_of_the_longest_interval_is_answered() {
    let world = full().await;
    // An odd second at both ends: rounded outwards, it is longer than may be asked for.
    let to = NOW - MINUTE;
    let from = to - 92 * DAY - 5 * MINUTE;
    for rest in ["evaluations?limit=2", "evaluations?limit=2&groupBy=sdk", "events?limit=2"] {
        let first = ask(&world, &format!("{rest}&from={from}&to={to}")).await;
        assert_eq!(first.status, 200, "{}", first.body);
        let next = first.json()["_links"]["next"]["href"].as_str().unwrap().to_owned();
        let second = world.get(&next).await;
        assert_eq!(second.status, 200, "{rest}: {}", second.body);
        assert_eq!((&second.json()["from"], &second.json()["to"]), (&first.json()["from"], &first.json()["to"]));
        let longer = ask(&world, &format!("{rest}&from={}&to={to}", from - 1)).await;
        assert_eq!(longer.status, 400, "{rest}: asked for, it is too long: {}", longer.body);
    }
}

#[tokio::test]
async fn a_token_that_no_page_had_is_refused() {
    let world = full().await;
    let token = |json: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, json);
    for (rest, sound, forged) in [
        ("events", "[0,3600000,[false,\"a\"]]", "[0,9000000000000,[false,\"a\"]]"),
        ("events", "[0,3600000,[true,null]]", "[3600000,0,[true,null]]"),
        (
            "evaluations",
            "[0,60000,\"a\",[false,0,null,null,null,null]]",
            "[-1,60000,\"a\",[false,0,null,null,null,null]]",
        ),
        ("evaluations", "[0,60000,null,[true,null,null,null,null,null]]", "[0,60000,null,3]"),
    ] {
        let ask = async |json: &str| ask(&world, &format!("{rest}?continuationToken={}", token(json))).await;
        assert_eq!(ask(sound).await.status, 200, "{sound}");
        let reply = ask(forged).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (400, &json!("invalid_parameter")), "{forged}");
    }
}

/// The rest of a list of one item a page, of which one more item was written after each page.
async fn walk(
    world: &mut World,
    first: &str,
    items: &str,
    mut write: impl AsyncFnMut(&mut World, usize),
) -> Vec<Value> {
    let (mut path, mut seen) = (first.to_owned(), Vec::new());
    for round in 0.. {
        let page = world.get(&path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item[items].clone()));
        assert!(seen.len() <= 20, "a page comes again: {seen:?}");
        let Some(next) = page["_links"]["next"]["href"].as_str() else { break };
        path = next.to_owned();
        write(world, round).await;
    }
    seen
}

#[tokio::test]
async fn what_appears_before_a_page_neither_doubles_nor_loses_what_comes_after() {
    let here = path_of(&development());
    let mut world = full().await;
    let first = format!("{here}/events?limit=1&from={}", NOW - 60 * DAY);
    let keys = walk(&mut world, &first, "key", async |world, round| {
        world.event(&development(), CellName::Key(format!("{round}").into()), NOW, None);
        world.flush().await;
    });
    assert_eq!(keys.await, [json!("click"), json!("long ago"), json!("purchase"), Value::Null]);

    for group in ["variation", "variation,version", "variation,application,sdk"] {
        let mut world = World::empty();
        for index in 5..9 {
            world.see(&development(), &Sight::of("f", index, "true", NOW - MINUTE, 1));
        }
        world.see(&development(), &Sight::of("f", 5, "true", NOW - 20 * HOUR, 1));
        world.flush().await;
        let first = format!("{here}/evaluations?limit=1&groupBy={group}");
        let variations = walk(&mut world, &first, "variation", async |world, round| {
            let index = u32::try_from(round).unwrap();
            // A cell of its own: the store's cells are not written again.
            let hour = 1 + i64::from(index);
            world.see(&development(), &Sight::of("f", index, "true", NOW - hour * HOUR, 1));
            world.flush().await;
        });
        assert_eq!(variations.await, [json!(5), json!(6), json!(7), json!(8)], "{group}");
        let written = ask(&world, &format!("evaluations?groupBy={group}")).await.json();
        assert_eq!(written["totalCount"], 7, "{group}: the lower ones are there");
    }

    let mut world = World::empty();
    let letter = |partition, offset| DeadLetter {
        generation: 1,
        partition,
        offset,
        environment: None,
        reason: "test".to_owned(),
        received_ms: NOW,
        bytes: 1,
    };
    world.dead = (1..=3).map(|offset| letter(1, offset)).collect();
    let offsets = walk(&mut world, "/v1/pipeline/dead-letters?limit=1", "offset", async |world, round| {
        // Newer ones stand before all others.
        world.dead.push(letter(2, 100 + round as u64));
    });
    assert_eq!(offsets.await, [json!(3), json!(2), json!(1)]);
    assert_eq!(world.get("/v1/pipeline/dead-letters?limit=1").await.json()["totalCount"], 5);
}
