//! Who sees what came to the door, and how the lists of the page are paged.

use std::collections::BTreeSet;

use counting::cells::SdkChange;
use schemas::cell::CellName;
use schemas::rejection::{Rejection, Rejections};

use super::world::{DAY, MINUTE, NOW, Sight, World, development, fill, slashed};
use crate::{Arrivals, FirstPayload, UnknownKey};

fn arrivals() -> Arrivals {
    let refused = |reason| {
        let mut rejections = Rejections::default();
        rejections.add(reason, 2);
        rejections
    };
    let first = |sdk: &str| FirstPayload { time_ms: NOW, sdk: sdk.to_owned(), flags: 1 };
    Arrivals {
        first_payloads: [(development(), first("sdk-of-development")), (slashed(), first("sdk-of-shop"))].into(),
        rejections: [(development(), refused(Rejection::BadCompression)), (slashed(), refused(Rejection::InvalidKey))]
            .into(),
        discarded: [(development(), 1_012), (slashed(), 1)].into(),
        unknown_keys: vec![UnknownKey {
            kind: "server",
            last_four: "beef".to_owned(),
            times: 1,
            last_ms: NOW,
            sdk: String::new(),
        }],
        wrong_paths: vec![("/wrong".to_owned(), 1)],
        flag_delivery: vec![("/sdk/all".to_owned(), 1)],
    }
}

#[tokio::test]
async fn a_reader_sees_the_door_of_the_environment_alone_and_strangers_are_for_those_who_see_all() {
    let there = "/?project=shop%2Feu&environment=prod%20%26%20%252F";
    let mine = ["sdk-of-development", "bad_compression", "1,012 payloads</strong> of a removed key were discarded"];
    let others = ["sdk-of-shop", "invalid_key", "1 payload</strong> of a removed key was discarded"];
    let strangers = ["beef", "/wrong", "/sdk/all"];
    for (key, path, shown, hidden, all) in [
        ("read-development", "/", mine, others, false),
        ("read-shop", there, others, mine, false),
        ("read-both", there, others, mine, false),
        ("admin", "/", mine, others, true),
        ("admin", there, others, mine, true),
    ] {
        let mut world = World::guarded();
        world.arrivals = arrivals();
        let page = world.page_with(path, &[("authorization", key)]).await;
        assert_eq!(page.status, 200);
        assert!(shown.iter().all(|text| page.body.contains(text)), "{key} {path}: {}", page.body);
        assert!(!hidden.iter().any(|text| page.body.contains(text)), "{key} {path}: {}", page.body);
        assert!(strangers.iter().all(|text| page.body.contains(text) == all), "{key} {path}: {}", page.body);
    }
    // Once flags are shown, it is the same.
    let mut world = fill(World::guarded()).await;
    world.arrivals = arrivals();
    let page = world.page_with("/", &[("authorization", "read-development")]).await.body;
    assert!(page.contains("bad_compression") && !page.contains("beef"));
}

#[tokio::test]
async fn the_pages_of_the_list_show_each_flag_once() {
    let world = World::empty();
    for number in 0..450 {
        world.see(&development(), &Sight::of(&format!("flag {number:03}"), 0, "true", NOW - MINUTE, 1));
    }
    world.see_named(&development(), CellName::Other, &Sight::of("", 0, "", NOW - MINUTE, 1));
    world.flush().await;
    for (query, expected) in [("", 450), ("&q=flag+2", 100), ("&q=flag", 450)] {
        let mut path = format!("/?range=1h{query}");
        let mut seen = BTreeSet::new();
        for page in 1.. {
            let body = world.page(&path).await.body;
            let rows: Vec<String> =
                body.match_indices("<bdi>flag ").map(|(at, _)| body[at + 5..at + 13].to_owned()).collect();
            assert!(rows.len() <= 200 && rows.is_sorted());
            for row in rows {
                assert!(seen.insert(row.clone()), "{query}: {row} comes again on page {page}");
            }
            assert_eq!(body.contains(">First page<"), page > 1);
            let Some((_, rest)) = body.split_once("rel=\"next\" href=\"") else {
                assert_eq!(body.contains("all other flags"), query.is_empty());
                break;
            };
            path = rest.split('"').next().unwrap().replace("&amp;", "&");
        }
        let named = if query.contains("+2") { 100 } else { expected };
        assert_eq!(seen.iter().filter(|row| row.starts_with("flag ")).count(), named, "{query}");
    }
}

#[tokio::test]
async fn keys_without_counts_keep_their_card_and_sdks_are_told_once() {
    let world = World::empty();
    world.see(&development(), &Sight::of("f", 0, "true", NOW - MINUTE, 1));
    for number in 0..150 {
        world.event(&development(), CellName::Key(format!("old {number:03}").into()), NOW - 30 * DAY, None);
    }
    for (application, version) in [("web", "1"), ("web", "2"), ("shop", "2")] {
        let report = SdkChange {
            application: application.as_bytes(),
            sdk: b"NodeJSClient",
            sdk_version: version.as_bytes(),
            hour: 1,
            instance: None,
            diagnostics: 1,
            dropped_events: 0,
        };
        world.report(&development(), NOW, report);
    }
    world.flush().await;
    let page = world.page("/").await.body;
    assert!(page.contains("Custom events") && page.contains("None of the first 100 keys counted."), "{page}");
    let (_, tile) = page.split_once("<span class=\"tile-name\">SDKs</span>").unwrap();
    assert!(tile.starts_with("<span class=\"tile-value\">1</span>"), "{tile}");
    let none = World::empty();
    none.see(&development(), &Sight::of("f", 0, "true", NOW - MINUTE, 1));
    none.flush().await;
    assert!(!none.page("/").await.body.contains("Custom events"));
}
