//! Flags that were read in bulk, or seen and never counted: the first page, a flag's page, counts and the stale report
//! tell the same of them.

use super::pages::stale::between;
use super::stale_flags::fleet::{PATH, at, heard};
use super::world::{HOUR, MINUTE, NOW, Sight, World, development, path_of};

/// Development with a flag that is asked for by name, one in bulk, one both ways, one by full events alone, and one of
/// long ago.
async fn world() -> World {
    let world = World::empty();
    let here = development();
    heard(&world, &here, 0..0);
    let sight = |flag, hours_ago: i64| Sight::of(flag, 0, "true", NOW - hours_ago * HOUR - MINUTE, 10);
    world.see(&here, &sight("by-name", 1));
    world.see(&here, &Sight { bulk: true, ..sight("in-bulk", 1) });
    world.see(&here, &Sight { bulk: true, ..sight("both", 1) });
    world.see(&here, &Sight { count: 3, served: schemas::record::StoredVariation::Index(1), ..sight("both", 2) });
    world.sight(&here, "full-events", at(0));
    world.see(&here, &sight("of-old", 24 * 10));
    world.flush().await;
    world
}

const MARKS: [&str; 3] = ["bulk reads only", "bulk reads too", "seen, not counted: full events alone"];

fn marks(html: &str) -> Vec<&'static str> {
    MARKS.into_iter().filter(|mark| html.contains(&format!(">{mark}</span>"))).collect()
}

#[tokio::test]
async fn the_pages_mark_what_the_stale_report_takes_otherwise_than_counts_do() {
    let world = world().await;
    let first = world.page("/").await.body;
    for (flag, expected) in [
        ("by-name", &[][..]),
        ("in-bulk", &["bulk reads only"]),
        ("both", &["bulk reads too"]),
        ("full-events", &["seen, not counted: full events alone"]),
        ("of-old", &[]),
    ] {
        let row = first.split("<tr").find(|row| row.contains(&format!("<bdi>{flag}</bdi>"))).unwrap();
        assert_eq!(marks(row), expected, "{flag}: {row}");
        assert_eq!(row.contains("not in the last 24 hours"), flag == "of-old", "{flag}: {row}");
        let own = world.page(&format!("/flag?project=default&environment=development&key={flag}")).await.body;
        assert_eq!(marks(&own), expected, "{flag} on its own page");
        assert_eq!(own.contains("None in this time."), flag == "of-old", "{flag}");
        // What is marked so is no use to the rule either, and what is not marked is.
        let item = world.get(&format!("{PATH}?q={flag}")).await.json()["items"][0].clone();
        assert_eq!(item["lastRequested"].is_null(), flag == "in-bulk", "{flag}: {item}");
    }
    let tile = between(&first, "<span class=\"tile-name\">Flags asked for</span>", "</div>");
    assert!(tile.contains(">3<") && tile.contains("of 5 known flags; 1 in bulk reads only"), "{tile}");
    assert!(first.contains("id=\"counts-of\""), "{first}");
    let quarter = world.page("/?range=15m").await.body;
    assert_eq!(marks(&quarter), Vec::<&str>::new(), "sights are kept to the hour");
}

#[tokio::test]
async fn counts_say_which_of_them_are_bulk_reads_and_what_they_leave_out() {
    let world = world().await;
    let ask = async |rest: &str| world.get(&format!("{}/evaluations?{rest}", path_of(&development()))).await.json();
    let answer = ask("").await;
    let told: Vec<(&str, bool)> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["flag"].as_str().unwrap(), item["bulkOnly"] == true))
        .collect();
    assert_eq!(told, [("both", true), ("both", false), ("by-name", false), ("in-bulk", true)], "by variation");
    assert_eq!(answer["seenOnly"], serde_json::json!({ "count": 1, "flags": ["full-events"] }));
    let by_application = ask("groupBy=application").await;
    assert_eq!(by_application["items"][0]["bulkOnly"], serde_json::Value::Null, "both ways: {by_application}");
    assert_eq!(ask("flag=full-events").await["seenOnly"]["count"], 1);
    for rest in ["flag=by-name", "groupBy=reason", &format!("to={}", NOW - 5 * HOUR)] {
        assert!(ask(rest).await.get("seenOnly").is_none(), "{rest}");
    }
    let past = ask(&format!("from={}&to={}", NOW - 12 * 24 * HOUR, NOW - 8 * 24 * HOUR)).await;
    assert_eq!((&past["items"][0]["flag"], past["items"].as_array().unwrap().len()), (&"of-old".into(), 1));
}
