//! Snoozing from the evidence: a form of our own page with an admin's key, and nothing else.

use axum::http::Method;
use serde_json::json;

use super::stale::{between, rows, unescaped};
use crate::tests::metadata::{fold, logged};
use crate::tests::stale_flags::fleet::{at, empty, from_to, guard};
use crate::tests::world::{NOW, Reply, World, development};

const ADDRESS: &str = "/stale/snooze?project=default&sort=score&order=falling&flag=launched";
/// Two weeks ahead of the world's now.
const UNTIL: &str = "until=2026-01-29";
const UNTIL_MS: i64 = 1_769_644_800_000;

async fn world(guarded: bool) -> World {
    let mut world = empty();
    if guarded {
        guard(&mut world.access);
    }
    from_to(&world, &development(), "launched", [50, 0], at(0));
    world.flush().await;
    world
}

/// Sends the form as a browser does from the page itself.
async fn send(world: &World, address: &str, body: &'static str, more: &[(&str, &str)]) -> Reply {
    let headers = [&[("accept", "text/html"), ("sec-fetch-site", "same-origin")], more].concat();
    world.ask(Method::POST, address, &headers, body).await
}

async fn nothing_said(world: &World) -> bool {
    logged(world).await.iter().all(Vec::is_empty)
}

#[tokio::test(start_paused = true)]
async fn a_flag_is_snoozed_and_woken() {
    let world = world(false).await;
    let before = world.page("/stale?flag=launched&sort=score").await.body;
    let form = between(&before, "<form id=\"snooze\"", "</form>");
    let action = unescaped(between(form, "action=\"", "\""));
    assert!(form.contains("min=\"2026-01-16\"") && form.contains("method=\"post\""), "{form}");
    assert!(rows(&before) == ["launched"] && before.contains("data-stale=\"true\""));
    let taken = send(&world, &action, UNTIL, &[]).await;
    assert_eq!(taken.status, 303, "{}", taken.body);
    let back = taken.header("location");
    assert!(back.starts_with("/stale?") && back.ends_with("#evidence") && back.contains("sort=score"), "{back}");
    for partition in logged(&world).await {
        assert_eq!(partition, [("launched".to_owned(), 1, json!({ "snoozedUntil": UNTIL_MS, "saidAt": NOW }))]);
    }
    let address = back.trim_end_matches("#evidence");
    let told = [("cookie", cookie(&taken))];
    assert!(world.page_with(address, &told).await.body.contains("Taken. It is in force as soon as"));
    fold(&world).await;
    let asleep = world.page_with(address, &told).await.body;
    assert!(asleep.contains("Snoozed until 2026-01-29.") && asleep.contains("data-stale=\"false\""), "{asleep}");
    let wake = between(&asleep, "<form id=\"wake\"", "</form>");
    let woken = send(&world, &unescaped(between(wake, "action=\"", "\"")), "end=now", &[]).await;
    assert_eq!(woken.status, 303, "{}", woken.body);
    fold(&world).await;
    let (told, address) = ([("cookie", cookie(&woken))], woken.header("location").trim_end_matches("#evidence"));
    let awake = world.page_with(address, &told).await.body;
    assert!(awake.contains("It is awake again.") && awake.contains("data-stale=\"true\""), "{awake}");
    assert!(!awake.contains("id=\"wake\""));
}

/// What a browser sends back.
fn cookie(reply: &Reply) -> &str {
    let set = reply.header("set-cookie");
    assert!(set.ends_with("; Path=/stale; Max-Age=60; HttpOnly; SameSite=Strict"), "{set}");
    set.split_once(';').unwrap().0
}

#[tokio::test(start_paused = true)]
async fn no_link_makes_the_page_say_that_something_was_taken() {
    let world = world(false).await;
    let link = world.page("/stale?flag=launched&told=0").await;
    assert!(link.status == 400 && !link.body.contains("awake again"), "{}", link.body);
    let taken = send(&world, ADDRESS, UNTIL, &[]).await;
    let told = |flag: &str| format!("/stale?flag={flag}");
    let other = world.page_with(&told("other"), &[("cookie", cookie(&taken))]).await.body;
    assert!(!other.contains("class=\"told\""), "{other}");
    let same = world.page_with(&told("launched"), &[("cookie", cookie(&taken))]).await.body;
    assert!(same.contains("class=\"told\""), "{same}");
    assert!(!world.page(&told("launched")).await.body.contains("class=\"told\""));
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let world = world(false).await;
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("sec-fetch-site", "cross-site")], "another site"),
        (&[("sec-fetch-site", "same-site")], "another site"),
        (&[("sec-fetch-site", "none")], "another site"),
        (&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")], "another site"),
        (&[("origin", "http://evil.example")], "another site"),
        (&[("origin", "http://127.0.0.1:8080.evil.example")], "another site"),
        (&[("origin", "null")], "another site"),
        (&[], "does not tell which page"),
    ];
    for (headers, why) in cases {
        let headers = [&[("accept", "text/html"), ("host", "127.0.0.1:8080")], headers].concat();
        let reply = world.ask(Method::POST, ADDRESS, &headers, UNTIL).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (403, "text/html; charset=utf-8"),
            "{headers:?}"
        );
        assert!(reply.body.contains(why), "{headers:?}: {}", reply.body);
    }
    assert!(nothing_said(&world).await);
    assert_eq!(world.get(ADDRESS).await.status, 405, "a link changes nothing");
}

#[tokio::test(start_paused = true)]
async fn its_own_origin_is_enough_where_browsers_tell_no_more() {
    let world = world(false).await;
    let headers = [("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")];
    assert_eq!(world.ask(Method::POST, ADDRESS, &headers, UNTIL).await.status, 303);
    assert!(!nothing_said(&world).await);
}

#[tokio::test(start_paused = true)]
async fn only_an_admin_snoozes() {
    let world = world(true).await;
    let reader = [("authorization", "read-development")];
    let refused = send(&world, ADDRESS, UNTIL, &reader).await;
    assert!(refused.status == 403 && refused.body.contains("admin key"), "{}", refused.body);
    let stranger = send(&world, ADDRESS, UNTIL, &[]).await;
    assert_eq!((stranger.status.as_u16(), stranger.header("location")), (303, "/login"));
    assert!(nothing_said(&world).await);
    let shown = world.page_with("/stale?flag=launched", &reader).await.body;
    assert!(!shown.contains("id=\"snooze\"") && shown.contains("log in with an admin key"), "{shown}");
    let taken = send(&world, ADDRESS, UNTIL, &[("authorization", "admin")]).await;
    assert!(taken.status == 303 && taken.header("location").starts_with("/stale?"), "{}", taken.body);
    assert!(!nothing_said(&world).await);
}

#[tokio::test]
async fn an_end_that_cannot_be_is_named_with_what_can() {
    let world = world(false).await;
    for body in
        ["until=2026-01-15", "until=2020-01-01", "until=2027-02-01", "until=tomorrow", "until=", "end=later", "x=1"]
    {
        let reply = send(&world, ADDRESS, body, &[]).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.body.contains("a day from 2026-01-16 to 2027-01-15"), "{body}: {}", reply.body);
    }
    let nameless = send(&world, "/stale/snooze?project=default", UNTIL, &[]).await;
    assert!(nameless.status == 400 && nameless.body.contains("names no `flag`"), "{}", nameless.body);
    let elsewhere = send(&world, "/stale/snooze?project=nobody&flag=launched", UNTIL, &[]).await;
    assert_eq!(elsewhere.status, 404);
    assert!(nothing_said(&world).await);
}
