//! The drawer: every number that the rule used, and a ticket of it.

use serde_json::{Value, json};

use super::stale::{between, unescaped};
use crate::tests::metadata::define;
use crate::tests::stale_flags::fleet::{PATH, full};
use crate::tests::world::{DAY, NOW, World};

async fn drawer(world: &World, flag: &str) -> String {
    let reply = world.page(&format!("/stale?flag={flag}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    between(&reply.body, "id=\"evidence\"", "</aside>").to_owned()
}

async fn item(world: &World, flag: &str) -> Value {
    let answer = world.get(PATH).await.json();
    answer["items"].as_array().unwrap().iter().find(|item| item["key"] == flag).unwrap().clone()
}

/// `launched` with all that people can say of it.
async fn said() -> World {
    let world = full().await;
    let body = json!({ "createdAt": NOW - 60 * DAY, "temporary": true, "type": "release", "codeReferences": 3,
        "owner": "team <b>checkout</b>", "runningExperiment": true, "dependents": ["cart|`x`"] });
    define(&world, "default", 1, "launched", 1, Box::leak(body.to_string().into_boxed_str())).await;
    world
}

#[tokio::test]
async fn every_flag_has_its_reasons_blockers_and_numbers_in_words() {
    let world = said().await;
    for flag in
        ["launched", "active", "gone", "quiet-lately", "read-in-bulk", "young", "failing", "defaulted", "old-app"]
    {
        let (shown, item) = (drawer(&world, flag).await, item(&world, flag).await);
        for list in ["reasons", "blockers"] {
            for one in item[list].as_array().unwrap() {
                let code = format!("<code class=\"code\">{}</code><div>", one["code"].as_str().unwrap());
                let words = between(&shown, &code, "</div>");
                assert!(words.len() > 20 && words.ends_with('.'), "{flag}: {words:?}");
            }
        }
        let figures = between(&shown, "<dl class=\"figures\">", "</dl>");
        for (name, field) in [("Score", "score"), ("Confidence", "confidence")] {
            assert!(figures.contains(&format!("<dt>{name}</dt><dd>{}<", item[field])), "{flag}: {figures}");
        }
        for place in item["environments"].as_array().unwrap() {
            let (name, status) = (place["key"].as_str().unwrap(), place["status"].as_str().unwrap());
            let section = shown
                .split("<section class=\"place\">")
                .skip(1)
                .find(|section| section.contains(&format!("<bdi>{name}</bdi>")));
            assert!(section.unwrap().contains(&format!(">{status}</span>")), "{flag} in {name}");
        }
    }
}

/// A server's SDK that reads all flags at once reports nothing: such a flag is in use and was never seen.
#[tokio::test]
async fn a_flag_that_code_names_and_nobody_reported_says_what_that_may_be() {
    let world = full().await;
    let places = r#"{"codeReferences":3,"codePlaces":[{"file":"web/<b>.ts","line":4},{"file":"api/cart.rs"}]}"#;
    define(&world, "default", 1, "unseen", 1, places).await;
    define(&world, "default", 1, "unheard-of", 2, r#"{"codeReferences":0}"#).await;
    let said = "It is referenced in 3 places: <bdi>web/&lt;b&gt;.ts:4</bdi>, <bdi>api/cart.rs</bdi>, …; code there may read it";
    let shown = drawer(&world, "unseen").await;
    assert!(shown.contains(said), "{shown}");
    assert!(
        shown.contains("The first of them</dt><dd><bdi>web/&lt;b&gt;.ts</bdi>:4, <bdi>api/cart.rs</bdi></dd>"),
        "{shown}"
    );
    assert!(!drawer(&world, "unheard-of").await.contains("It is referenced"));
}

#[tokio::test]
async fn the_parts_of_the_numbers_add_up() {
    let world = said().await;
    for (flag, parts, costs) in
        [("launched", &[60, 20][..], &[][..]), ("gone", &[60][..], &[10, 20][..]), ("active", &[], &[10, 20])]
    {
        let (shown, item) = (drawer(&world, flag).await, item(&world, flag).await);
        let numbers = |sign: &str| -> Vec<u64> {
            let begin = format!("<td class=\"num\">{sign}");
            shown.split(&begin).skip(1).map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect()
        };
        assert_eq!((numbers("+"), numbers("−")), (parts.to_vec(), costs.to_vec()), "{flag}");
        assert_eq!(item["score"], numbers("+").iter().sum::<u64>(), "all was heard");
        assert_eq!(item["confidence"], 100 - numbers("−").iter().sum::<u64>());
    }
}

#[tokio::test]
async fn what_the_rule_looked_at_is_shown() {
    let world = said().await;
    let shown = drawer(&world, "launched").await;
    for text in [
        "used on 2 of the last 90 days",
        "it is inactive (after 7 days) and dead (after 30).",
        "Version</dt><dd>3 since 2025-11-26",
        "<dt>variation 1</dt><dd><code class=\"value\"><bdi>&quot;blue&quot;</bdi></code>",
        "settled on variation 1 since 2025-11-26",
        "Heard in 720 of 720 hours (100.0 %; at least 95.0 % are needed).",
        "<bdi>web</bdi> <bdi>9.1</bdi><div class=\"muted small\"><bdi>NodeJSClient/9.13.7</bdi></div>",
        "Places in code</dt><dd>3",
        "<bdi>team &lt;b&gt;checkout&lt;/b&gt;</bdi>",
        "It is a prerequisite of <bdi>cart|`x`</bdi>: these have to go first.",
        "It is 60 days old, and flags of its type are meant to live 40.",
        "href=\"/flag?project=default&amp;environment=production&amp;key=launched\"",
    ] {
        assert!(shown.contains(text), "{text:?}: {shown}");
    }
    assert_eq!(shown.matches("<rect class=\"used\"").count(), 4, "two days of use in each of two environments");
    assert!(drawer(&world, "read-in-bulk").await.contains(">bulk read</span>"));
    assert!(drawer(&world, "failing").await.contains("<span class=\"tag bad\">error</span>"));
    assert!(drawer(&world, "gone").await.contains("flagstream flags import FILE"));
}

#[tokio::test]
async fn a_ticket_says_what_to_do_and_foreign_words_are_no_markup() {
    let world = said().await;
    let ticket = |shown: &str| {
        let area = between(shown, "id=\"ticket\"", "</textarea>");
        unescaped(area.split_once('>').unwrap().1)
    };
    let plain = ticket(&drawer(&full().await, "launched").await);
    let expected = "## Remove the feature flag `launched` (project `default`)\n\n\
                    Ready for code removal: put `\"blue\"` (variation 1) in its place.\n\nWhy:\n\
                    - one variation only (since 2025-11-26): All who asked within 30 days got the same variation in `development`, `production`.\n";
    assert!(plain.starts_with(expected), "{plain}");
    assert!(
        plain.contains("Evidence: <http://127.0.0.1:8080/stale?project=default&flag=launched#evidence>"),
        "{plain}"
    );
    let kept = ticket(&drawer(&world, "launched").await);
    assert!(kept.contains("- It is a prerequisite of cart\\|\\`x\\`: these have to go first."), "{kept}");
    assert!(kept.contains("Owner: `team <b>checkout</b>`.\nIn code: referenced in 3 places.\n"), "{kept}");
    assert!(full().await.page("/stale?flag=launched").await.body.contains("id=\"copy-ticket\""));
}
