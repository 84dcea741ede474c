//! The page: what it shows agrees with the API, what is foreign is inert, and nothing may come from elsewhere.

mod evidence;
mod flag;
mod snooze;
pub(super) mod stale;

use std::collections::BTreeMap;

use axum::http::Method;
use counting::cells::{BooksChange, SdkChange};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::cell::CellName;
use schemas::record::StoredVariation;
use schemas::rejection::{Rejection, Rejections};

use super::world::{HOUR, MINUTE, NOW, Reply, Sight, World, development, fill, full};
use crate::page::chart::{self, Mark, Series, bars, shares};
use crate::page::flag::counts::per_mille;
use crate::page::text;
use crate::{Access, Arrivals, FirstPayload, UnknownKey};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const FLAG: &str = "/flag?project=default&environment=development&key=checkout";

/// Texts that would act, hide or deceive where they are put in as they are.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</title></svg></style><script src=//evil.example>",
    "safe\u{202e}gnp.exe",
    "zero\u{200b}width\u{2066}\u{feff}",
    "line\r\nSet-Cookie: a=b\u{1b}[2J",
    "&lt;b&gt; &amp; 100% ünï→",
];

#[tokio::test]
async fn every_html_answer_has_the_policy() {
    let open = full().await;
    let guarded = fill(World::guarded()).await;
    let key = [("authorization", "read-development")];
    let replies = [
        open.page("/").await,
        open.page("/?range=7d").await,
        open.page(FLAG).await,
        open.page("/stale").await,
        open.page("/stale?flag=checkout").await,
        open.page("/stale?flag=nobody").await,
        open.page("/stale?sort=age").await,
        open.ask(Method::POST, "/stale/snooze?flag=checkout", &[("accept", "text/html")], "until=x").await,
        World::empty().page("/stale").await,
        World::empty().page("/").await,
        guarded.page("/login").await,
        guarded.ask(Method::POST, "/login", &[], "key=wrong").await,
        open.page("/?project=no&environment=where").await,
        open.page("/?range=forever").await,
        open.page("/flag?key=never-seen").await,
        open.page_with("/", &[("host", "evil.example")]).await,
        guarded.page_with("/?project=no", &key).await,
        open.ask(Method::DELETE, "/", &[("accept", "text/html")], "").await,
    ];
    for reply in replies {
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{}", reply.body);
        assert_eq!(reply.header("content-security-policy"), POLICY);
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "no-store");
        nothing_inline(&reply.body);
    }
}

/// Nothing that the policy would have to allow for.
fn nothing_inline(html: &str) {
    for banned in ["style=\"", "<style", "onclick", "onload", "javascript:\"", "src=\"http", "href=\"http", "url("] {
        assert!(!html.contains(banned), "{banned}");
    }
    let scripts: Vec<&str> =
        html.match_indices("<script").map(|(at, _)| &html[at..(at + 44).min(html.len())]).collect();
    let ours = ["<script src=\"/page.js\" defer></script>", "<script src=\"/evidence.js\" defer></script>"];
    assert!(scripts.iter().all(|script| ours.iter().any(|own| script.starts_with(own))), "{scripts:?}");
}

#[tokio::test]
async fn a_browser_gets_errors_as_pages_and_a_program_as_json() {
    let world = full().await;
    let page = world.page("/flag?key=never-seen").await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("never-seen") && page.body.contains(page.header("x-request-id")));
    for path in ["/flag/", "/flag/checkout", "/flag/a/b?range=7d"] {
        let page = world.page_with(path, &[]).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (404, "text/html; charset=utf-8"), "{path}");
        assert!(page.body.contains("a flag's page is /flag?project="), "{path}: {}", page.body);
        assert_eq!(world.get(path).await.json()["code"], "not_found", "{path}");
    }
    for accept in [&[("accept", "TEXT/HTML")][..], &[("accept", "image/png"), ("accept", "text/html;q=0.9")]] {
        let page = world.get_with("/?range=forever", accept).await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (400, "text/html; charset=utf-8"),
            "{accept:?}"
        );
    }
    let json = world.get("/flag?key=never-seen").await;
    assert_eq!((json.status.as_u16(), json.json()["code"].as_str()), (404, Some("not_found")));
    let api = world.page("/v1/nothing").await;
    assert_eq!(api.json()["code"], "not_found");
}

/// The tags and attribute names of a page, in order: what a browser would build but for the texts.
fn skeleton(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let (mut tag, mut quoted, mut end) = (String::new(), false, rest.len());
        for (place, c) in rest.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    end = place;
                    break;
                }
                _ if !quoted => tag.push(c),
                _ => {}
            }
        }
        tags.push(tag);
        rest = &rest[end.min(rest.len())..];
    }
    tags
}

/// A world whose every foreign text is this one.
async fn named(name: &str) -> World {
    let mut world = World::empty();
    let here = development();
    let value = serde_json::to_string(name).unwrap();
    let sight = Sight {
        served: StoredVariation::Name(name.as_bytes()),
        application: name,
        sdk: (name, name),
        ..Sight::of(name, 0, &value, NOW - MINUTE, 3)
    };
    world.see(&here, &sight);
    world.event(&here, CellName::Key(name.to_owned().into()), NOW, Some(1));
    let texts = name.as_bytes();
    let report = SdkChange {
        application: texts,
        sdk: texts,
        sdk_version: texts,
        hour: 1,
        instance: None,
        diagnostics: 0,
        dropped_events: 0,
    };
    world.report(&here, NOW, report);
    world.flush().await;
    world.arrivals = Arrivals {
        first_payloads: [(here, FirstPayload { time_ms: NOW, sdk: name.to_owned(), flags: 1 })].into(),
        unknown_keys: vec![UnknownKey {
            kind: "server",
            last_four: name.to_owned(),
            times: 1,
            last_ms: NOW,
            sdk: name.to_owned(),
        }],
        wrong_paths: vec![(name.to_owned(), 1)],
        flag_delivery: vec![(name.to_owned(), 1)],
        ..Arrivals::default()
    };
    world
}

#[tokio::test]
async fn foreign_texts_are_inert_and_what_hides_is_shown() {
    let plain = named("plain").await;
    for hostile in HOSTILE {
        let world = named(hostile).await;
        for path in ["/", "/?q=", FLAG] {
            let key = |name: &str| path.replace("checkout", &utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
            let (expected, reply) = (plain.page(&key("plain")).await, world.page(&key(hostile)).await);
            assert_eq!(reply.status, 200, "{path} {hostile:?}");
            nothing_inline(&reply.body);
            let marks = |html: &str| -> Vec<String> {
                // Spans are what shows hidden characters and cut texts.
                skeleton(html).into_iter().filter(|tag| !tag.contains("span")).collect()
            };
            assert_eq!(marks(&reply.body), marks(&expected.body), "{path}: {hostile:?} changes the page's structure");
            let hidden = ['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}', '\u{1b}', '\r'];
            assert!(!reply.body.contains(hidden), "{path}: {hostile:?} hides something");
            assert!(reply.body.contains("href=\"/flag?") || path == FLAG);
        }
        let found = world.page(&format!("/?q={}", utf8_percent_encode(hostile, NON_ALPHANUMERIC))).await;
        nothing_inline(&found.body);
        assert!(skeleton(&found.body).iter().any(|tag| tag.starts_with("a class=")), "{hostile:?} is not found");
    }
    let shown = named(HOSTILE[5]).await.page("/").await.body;
    assert!(shown.contains("<span class=\"ctl\">U+202E</span>"), "{shown}");
}

#[test]
fn two_keys_that_differ_look_different() {
    let keys = [
        "a",
        "a\u{200b}",
        "a\u{200d}",
        "a\u{202e}",
        "a\u{ad}",
        "a\u{fe0f}",
        "a\u{e0041}",
        "a\n",
        "a\u{0}",
        "a\u{3164}",
    ];
    let mut shown: Vec<String> = keys.iter().map(|key| text::foreign(key).into_string()).collect();
    let mut visible: Vec<String> = keys.iter().map(|key| text::visible(key)).collect();
    for list in [&mut shown, &mut visible] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), keys.len(), "{list:?}");
        assert!(list.iter().all(|text| text.chars().all(|c| c.is_ascii() || "⟨⟩".contains(c))), "{list:?}");
    }
}

/// All numbers of a page's text, without the separators of thousands.
fn numbers(reply: &Reply) -> Vec<String> {
    let text = reply.body.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.replace(',', ""));
    text.flat_map(|text| text.split(|c: char| !c.is_ascii_digit()).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn the_page_agrees_with_the_api() {
    let world = full().await;
    for (range, back) in [("15m", 15 * MINUTE), ("1h", HOUR), ("24h", 24 * HOUR), ("7d", 7 * 24 * HOUR)] {
        let answer = world
            .get(&format!("/v1/projects/default/environments/development/evaluations?from={}", NOW - back))
            .await
            .json();
        let page = world.page(&format!("/?range={range}")).await;
        let flag = world.page(&format!("{FLAG}&range={range}")).await;
        let (on_page, on_flag) = (numbers(&page), numbers(&flag));
        let mut total = 0;
        for item in answer["items"].as_array().unwrap() {
            let count = item["count"].as_u64().unwrap();
            total += count;
            assert!(on_page.contains(&count.to_string()), "{range}: {item}");
            assert!(item["flag"] != "checkout" || on_flag.contains(&count.to_string()), "{range}: {item}");
        }
        assert!(on_page.contains(&total.to_string()), "{range}: total {total}");
    }
}

#[tokio::test]
async fn the_page_shows_values_books_sdks_and_events() {
    let world = full().await;
    let page = world.page("/").await.body;
    for shown in [
        "<code class=\"value\"><bdi>true</bdi></code>",
        "<code class=\"value\"><bdi>&quot;fallback&quot;</bdi></code>",
        "<code class=\"value\"><bdi>&quot;#00f&quot;</bdi></code>",
        "20 events",
        "counted + 5 duplicate + 2 late + 1 poison",
        "invalid_key",
        "NodeJSClient",
        "24.989999",
        "all other flags",
        "not in the last 24 hours",
        "up to date, 12:34:56",
    ] {
        assert!(page.contains(shown), "{shown:?} is not on the page");
    }
    let flag = world.page(&format!("{FLAG}&range=7d")).await.body;
    for shown in [
        "PythonClient/9.6.0",
        "<svg class=\"chart\"",
        "true (variation 0): 7",
        "1 h ago",
        "26 h ago",
        "this hour",
        "3 min ago",
        "First seen is kept to the hour.",
        "First seen (to the hour)",
        "Versions",
    ] {
        assert!(flag.contains(shown), "{shown:?} is not on the flag's page: {flag}");
    }
}

#[tokio::test]
async fn a_value_that_was_left_out_is_no_refusal() {
    let mut world = World::empty();
    let mut rejected = Rejections::default();
    rejected.add(Rejection::MetricOutOfRange, 4);
    world.book(&development(), NOW, BooksChange { accepted: 5, counted: 5, rejected, ..BooksChange::default() });
    world.see(&development(), &Sight::of("checkout", 0, "true", NOW - MINUTE, 1));
    world.flush().await;
    let page = world.page("/").await.body;
    assert!(page.contains("Nothing was refused at the door.") && !page.contains("Refused"), "{page}");
    assert!(page.contains("metric_out_of_range</code>): 4 events."), "{page}");
    world.arrivals.rejections = [(development(), rejected)].into();
    let page = world.page("/").await.body;
    assert!(!page.contains("Refused"), "{page}");
    assert_eq!(page.matches("metric_out_of_range</code>): 4 events.").count(), 2, "{page}");
    rejected.add(Rejection::InvalidKey, 1);
    world.arrivals.rejections = [(development(), rejected)].into();
    let page = world.page("/").await.body;
    assert!(page.contains("Refused since this process started") && page.contains("invalid_key"), "{page}");
    assert_eq!(page.matches("metric_out_of_range").count(), 2, "{page}");
}

#[tokio::test]
async fn flags_are_found_by_a_part_of_their_key() {
    let world = full().await;
    let page = world.page("/?q=check").await.body;
    assert!(page.contains(">checkout<") && !page.contains(">colour<"));
    assert!(world.page("/?q=nobody").await.body.contains("No flag's key contains"));
}

#[tokio::test]
async fn many_flags_and_events_cost_a_page_a_bounded_number_of_reads() {
    let calls = async |flags: usize, events: usize| {
        let world = World::empty();
        for number in 0..flags {
            world.see(&development(), &Sight::of(&format!("flag-{number:05}"), 0, "true", NOW - MINUTE, 1));
        }
        for number in 0..events {
            world.event(&development(), CellName::Key(format!("event-{number:05}").into()), NOW, None);
        }
        world.flush().await;
        let before = world.store.calls();
        let page = world.page("/").await;
        (world.store.calls() - before, page.body)
    };
    let (few, _) = calls(200, 100).await;
    let (many, page) = calls(3000, 500).await;
    assert!(many <= few + 5, "{few} reads for a few, {many} for many");
    assert!(page.contains("of 200 flags shown") && page.contains("There are more keys than shown here"));
}

#[tokio::test]
async fn a_page_that_lags_says_so() {
    let world = full().await;
    for partition in 0..super::world::PARTITIONS {
        world.stand(partition, 12, 10).await;
    }
    assert!(world.page("/").await.body.contains("catching up, complete to 12:34:51"));
}

#[tokio::test]
async fn before_the_first_event_the_page_tells_how_to_send_one() {
    let mut world = World::empty();
    let page = world.page("/").await.body;
    for shown in [
        "Waiting for the first event",
        "curl -i http://127.0.0.1:8080/bulk",
        "eventsUri: &#39;http://127.0.0.1:8080&#39;",
        "events_uri=",
        "flagstream-data/keys.toml",
    ] {
        assert!(
            page.contains(shown) || page.contains(&shown.replace("&#39;", "'")),
            "{shown:?} is not on the page: {page}"
        );
    }
    assert!(!page.contains("At the door"));
    let mut rejections = Rejections::default();
    rejections.add(Rejection::BadCompression, 2);
    let first = FirstPayload { time_ms: NOW - MINUTE, sdk: "NodeJSClient/9.13.7".to_owned(), flags: 3 };
    world.arrivals = Arrivals {
        discarded: [(development(), 2)].into(),
        first_payloads: [(development(), first)].into(),
        unknown_keys: vec![UnknownKey {
            kind: "mobile",
            last_four: "beef".to_owned(),
            times: 4,
            last_ms: NOW,
            sdk: String::new(),
        }],
        wrong_paths: vec![("/bulk/bulk".to_owned(), 5)],
        flag_delivery: vec![("/all".to_owned(), 6)],
        rejections: [(development(), rejections)].into(),
    };
    let page = world.page("/").await.body;
    for shown in [
        "NodeJSClient/9.13.7",
        "3 flags",
        "…<bdi>beef</bdi>",
        "4 times",
        "flagstream keys add --environment development --kind mobile --data '/var/lib/flag stream'",
        "then restart the app",
        "/bulk/bulk",
        "/all",
        "bad_compression",
    ] {
        assert!(page.contains(shown), "{shown:?} is not on the page: {page}");
    }
    let other = world.page("/?project=shop%2Feu&environment=prod+%26+%252F").await.body;
    assert!(
        other.contains(
            "flagstream keys add --project shop/eu --environment 'prod &amp; %2F' --kind mobile --data '/var/lib/flag stream'"
        ),
        "{other}"
    );
}

#[tokio::test]
async fn no_environment_at_all_says_what_to_do() {
    let mut world = World::empty();
    world.access = Access::default();
    let page = world.page("/").await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("flagstream keys add --environment"));
}

#[test]
fn charts_hold_whatever_the_counts() {
    let buckets: Vec<i64> = (0..169).map(|place| NOW - NOW % HOUR + place * HOUR).collect();
    let course =
        |counts: &[u64]| -> BTreeMap<i64, u64> { buckets.iter().copied().zip(counts.iter().copied()).collect() };
    let mark = |at_ms: i64| Mark { at_ms, name: "v1".to_owned(), words: "version 1".to_owned() };
    let marks = [i64::MIN, 0, NOW, NOW + 3 * HOUR, i64::MAX].map(mark);
    for counts in [&[][..], &[0], &[1], &[1, 2, 3], &[u64::MAX; 169], &[u64::MAX, 1, 0], &[7; 169]] {
        let course = course(counts);
        let one = || Series { colour: "c0".to_owned(), words: "one".to_owned(), counts: &course };
        let small = chart::course(&buckets, &[("c0".to_owned(), &course), ("c1".to_owned(), &course)]);
        for html in [bars("t", &buckets, &[one(), one(), one()], &marks), small, bars("t", &[], &[one()], &marks)] {
            let html = html.into_string();
            assert!(!html.contains("NaN") && !html.contains("=\"-"), "{html}");
        }
    }
    let whole = shares(&[("c0".to_owned(), u64::MAX), ("c1".to_owned(), 0), ("c2".to_owned(), u64::MAX)]).into_string();
    assert!(whole.contains("width=\"500\""), "{whole}");
    let (some, none) = (BTreeMap::from([(1, 3), (2, 1)]), BTreeMap::from([(2, 1)]));
    let small =
        |buckets: &[i64]| chart::course(buckets, &[("c0".to_owned(), &some), ("c1".to_owned(), &none)]).into_string();
    assert_eq!(small(&[]).matches("<rect").count(), 0);
    // Two variations in the second bucket, one in the first; the highest stack has the whole height.
    assert_eq!(small(&[1, 2]).matches("<rect").count(), 3);
    assert!(
        small(&[1, 2]).contains("class=\"c0\" x=\"0.0\" y=\"2.0\" width=\"60.0\" height=\"26.0\""),
        "{}",
        small(&[1, 2])
    );
}

#[test]
fn numbers_read_well() {
    let long =
        [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (u64::MAX, "18,446,744,073,709,551,615")];
    for (number, expected) in long {
        assert_eq!(text::number(number), expected);
    }
    for (number, expected) in
        [(0, "0"), (950, "950"), (1000, "1k"), (1500, "1.5k"), (20_000_000, "20M"), (u64::MAX, "18446.7P")]
    {
        assert_eq!(text::short(number), expected);
    }
}

#[test]
fn shares_add_up() {
    for (counts, expected) in [
        (&[1, 1, 1][..], &[334, 333, 333][..]),
        (&[2, 1], &[667, 333]),
        (&[1, 6, 0], &[143, 857, 0]),
        (&[u64::MAX, u64::MAX], &[500, 500]),
        (&[1, u64::MAX], &[0, 1000]),
        (&[0, 0], &[0, 0]),
        (&[], &[]),
    ] {
        assert_eq!(per_mille(counts), expected, "{counts:?}");
    }
}
