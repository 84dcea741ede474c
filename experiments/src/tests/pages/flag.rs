//! A flag's own page: marks, break-downs, environments, and the verdict of the stale rule.

use super::stale::{between, unescaped};
use crate::tests::metadata::define;
use crate::tests::stale_flags::fleet;
use crate::tests::world::{DAY, HOUR, MINUTE, NOW, Sight, World, development, full};

const FLAG: &str = "/flag?project=default&environment=development&key=checkout";

#[tokio::test]
async fn new_versions_are_marked_where_they_lie_in_the_time() {
    let world = full().await;
    for ago in [3 * DAY, MINUTE] {
        world.see(&development(), &Sight::of("steady", 0, "true", NOW - ago, 1));
    }
    world.flush().await;
    let marks = async |range: &str| {
        let shown = world.page(&format!("{FLAG}&range={range}")).await.body;
        let chart = between(&shown, "<svg class=\"chart\"", "</svg>").to_owned();
        chart
            .split("<g class=\"version\"><title>")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (first, second) = ("version 1 first seen 2026-01-14 10:34", "version 2 first seen 2026-01-15 12:31");
    assert_eq!(marks("7d").await, [first, second]);
    assert_eq!(marks("90d").await, [first, second]);
    assert_eq!(marks("15m").await, [second], "to the minute");
    let shown = world.page(&format!("{FLAG}&range=7d")).await.body;
    assert!(shown.contains(">v2</text>") && shown.contains("A dashed line marks"), "{shown}");
    let shown = world.page("/flag?project=default&environment=development&key=steady&range=1h").await.body;
    assert!(shown.contains("<svg class=\"chart\"") && !shown.contains("A dashed line marks"), "{shown}");
}

#[tokio::test]
async fn break_downs_are_those_of_the_api() {
    let world = full().await;
    for (range, back) in [("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY), ("90d", 90 * DAY)] {
        let shown = world.page(&format!("{FLAG}&range={range}")).await.body;
        for (group, title) in [("application", "By application"), ("sdk", "By SDK")] {
            let card = between(&shown, &format!("<h2>{title}</h2>"), "</section>");
            let path =
                format!("/v1/projects/default/environments/development/evaluations?flag=checkout&groupBy={group}");
            let answer = world.get(&format!("{path}&from={}", NOW - back)).await.json();
            let items = answer["items"].as_array().unwrap();
            assert_eq!(card.matches("<th scope=\"row\">").count(), items.len(), "{range} {title}: {card}");
            for item in items {
                let name = item[group].as_str().map_or("not told".to_owned(), |name| format!("<bdi>{name}</bdi>"));
                let row = card.split("<th scope=\"row\">").find(|row| row.contains(&name)).unwrap();
                assert!(
                    row.contains(&format!("<td class=\"num total\">{}</td>", item["count"])),
                    "{range} {title}: {row}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_flag_is_switched_between_the_environments_of_its_project() {
    let world = fleet::full().await;
    let path = "/flag?project=default&environment=production&key=active&range=30d";
    let unseen = world.page(path).await;
    assert_eq!(unseen.status, 200);
    assert!(unseen.body.contains("Never seen in <bdi>production</bdi>"), "{}", unseen.body);
    let switch = between(&unseen.body, "<nav class=\"tabs\" aria-label=\"The flag's environment\">", "</nav>");
    let other = unescaped(between(switch, "<a href=\"", "\""));
    assert!(other.contains("environment=development") && other.contains("range=30d"), "{other}");
    assert!(!switch.contains("shop"), "only its own project: {switch}");
    let seen = world.page(&other).await;
    assert!(seen.status == 200 && seen.body.contains("Who asked, and when last"));
    // The longest times are of one flag's page alone.
    assert!(seen.body.contains("href=\"/?project=default&amp;environment=development\""), "{}", seen.body);
    assert_eq!(world.page("/?range=30d").await.status, 400);
    define(&world, "default", 1, "told-of", 1, "{}").await;
    assert_eq!(world.page("/flag?project=default&environment=production&key=told-of").await.status, 200);
    let nobody = world.page("/flag?project=default&environment=production&key=nobody").await;
    assert!(nobody.status == 404 && nobody.body.contains("upper and lower case differ"), "{}", nobody.body);
}

#[tokio::test]
async fn a_flag_of_an_environment_that_may_not_be_read_is_none() {
    let mut world = fleet::empty();
    fleet::guard(&mut world.access);
    let world = fleet::fill(world).await;
    let path = "/flag?project=default&environment=production&key=active";
    let reader = world.page_with(path, &[("authorization", "read-production")]).await;
    assert_eq!(reader.status, 404, "it is seen in development only");
    assert_eq!(world.page_with(path, &[("authorization", "admin")]).await.status, 200);
}

#[tokio::test]
async fn the_verdict_is_that_of_the_report_and_leads_to_its_evidence() {
    let world = fleet::full().await;
    let answer = world.get(fleet::PATH).await.json();
    for item in answer["items"].as_array().unwrap() {
        let key = item["key"].as_str().unwrap();
        let shown = world.page(&format!("/flag?project=default&environment=development&key={key}")).await.body;
        let card = between(&shown, "<section class=\"card verdict-card\" id=\"verdict\"", "</section>");
        assert!(card.contains(&format!("score <strong>{}</strong>", item["score"])), "{key}: {card}");
        let ready = item["advice"] == "READY_FOR_CODE_REMOVAL";
        assert_eq!(card.contains("Ready for code removal"), ready, "{key}: {card}");
        let evidence = unescaped(between(card, "<a href=\"/stale?", "\""));
        let evidence = world.page(&format!("/stale?{}", evidence.trim_end_matches("#evidence"))).await;
        assert!(evidence.status == 200 && evidence.body.contains("id=\"evidence\""), "{key}");
    }
}

#[tokio::test]
async fn a_refresh_leaves_out_what_takes_all_flags() {
    let world = World::empty();
    for number in 0..600 {
        world.see(&development(), &Sight::of(&format!("flag-{number}"), 0, "true", NOW - MINUTE, 1));
    }
    world.see(&development(), &Sight::of("checkout", 0, "true", NOW - HOUR, 1));
    world.flush().await;
    let calls = async |headers: &[(&str, &str)]| {
        let before = world.store.calls();
        let shown = world.page_with(FLAG, headers).await.body;
        (world.store.calls() - before, shown)
    };
    let (whole, shown) = calls(&[]).await;
    assert!(shown.contains("score <strong>"), "{shown}");
    let (refresh, shown) = calls(&[("x-refresh", "1")]).await;
    assert!(shown.contains("<section id=\"verdict\"></section>") && !shown.contains("score <strong>"), "{shown}");
    assert!(refresh + 3 < whole && refresh <= 4, "{refresh} and {whole} reads");
}
