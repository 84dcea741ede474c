//! LaunchDarkly's shapes as its clients read them, and days of a time zone.

use serde_json::Value;

use super::world::{DAY, HOUR, NOW, Sight, World, development, full};

/// What the vendor's generated clients check of a `SeriesListRep`: `_links` an object of objects, `metadata` a list of
/// objects, `series` a list of objects of whole numbers.
fn parses(answer: &Value) {
    for link in answer["_links"].as_object().unwrap().values() {
        assert!(link["href"].is_string() && link["type"].is_string());
    }
    let metadata = answer["metadata"].as_array().unwrap();
    assert!(metadata.iter().all(Value::is_object));
    for point in answer["series"].as_array().unwrap() {
        let point = point.as_object().unwrap();
        assert!(point.values().all(|value| value.is_u64()), "{point:?}");
        assert!(point.contains_key("time") && point.len() == metadata.len() + 1, "{point:?}");
        assert!((0..metadata.len()).all(|place| point.contains_key(&place.to_string())), "{point:?}");
    }
}

#[tokio::test]
async fn the_vendors_clients_can_read_every_answer() {
    let world = full().await;
    for path in [
        "/api/v2/usage/evaluations/default/development/checkout",
        "/api/v2/usage/evaluations/default/development/colour?granularity=hourly",
        "/api/v2/usage/evaluations/default/development/nobody",
        "/api/v2/usage/events/received",
        "/api/v2/usage/events/published?from=1768000000000",
    ] {
        parses(&world.get(path).await.json());
    }
}

#[tokio::test]
async fn granularity_follows_the_age_of_from_as_the_vendors_does() {
    let world = full().await;
    for (age, step) in
        [(HOUR, 60_000), (2 * HOUR, 60_000), (3 * HOUR, HOUR), (2 * DAY, HOUR), (3 * DAY, DAY), (29 * DAY, DAY)]
    {
        let path = format!("/api/v2/usage/evaluations/default/development/checkout?from={}", NOW - age);
        let answer = world.get(&path).await.json();
        let times: Vec<i64> =
            answer["series"].as_array().unwrap().iter().map(|p| p["time"].as_i64().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == step), "age {age}: {times:?}");
        assert!(times.iter().all(|time| time % step == 0));
    }
}

#[tokio::test]
async fn days_are_broken_at_the_zones_midnight_also_when_clocks_change() {
    let world = World::empty();
    // 2025-10-26 has 25 hours in Berlin: from 22:00Z of the 25th to 23:00Z of the 26th.
    let start = 1_761_429_600_000;
    for (at_ms, count) in [(start - 1, 1), (start, 10), (start + 25 * HOUR - 1, 100), (start + 25 * HOUR, 1000)] {
        world.see(&development(), &Sight::of("f", 0, "true", at_ms, count));
    }
    // Kathmandu is 5:45 ahead: its midnight lies within a UTC hour.
    let kathmandu = 1_767_204_900_000;
    for (at_ms, count) in [(kathmandu - 1, 1), (kathmandu, 10)] {
        world.see(&development(), &Sight::of("g", 0, "true", at_ms, count));
    }
    world.flush().await;
    let days = async |flag: &str, zone: &str, from: i64, to: i64| {
        let base = "/api/v2/usage/evaluations/default/development";
        let path = format!("{base}/{flag}?granularity=day&tz={zone}&from={from}&to={to}");
        let answer = world.get(&path).await.json();
        let series = answer["series"].as_array().unwrap().clone();
        series.iter().map(|p| (p["time"].as_i64().unwrap(), p["0"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let (from, to) = (start - 24 * HOUR, start + 49 * HOUR);
    let berlin = days("f", "Europe/Berlin", from, to).await;
    assert_eq!(berlin, [(start - 24 * HOUR, 1), (start, 110), (start + 25 * HOUR, 1000)]);
    let utc = days("f", "UTC", from, to).await;
    assert_eq!(utc.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 11, 1100, 0]);
    let east = days("g", "Asia/Kathmandu", kathmandu - DAY, kathmandu + DAY).await;
    assert_eq!(east, [(kathmandu - DAY, 1), (kathmandu, 10)]);
}

#[tokio::test]
async fn a_series_of_too_many_points_is_refused() {
    let world = full().await;
    let path =
        format!("/api/v2/usage/evaluations/default/development/checkout?granularity=minute&from={}", NOW - 8 * DAY);
    let reply = world.get(&path).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (400, &Value::from("too_much")));
}
