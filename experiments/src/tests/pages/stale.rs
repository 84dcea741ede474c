//! The table of stale flags: the same flags and numbers as the API, in any order, page by page.

use std::collections::BTreeSet;

use counting::cells::LastSeenChange;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::record::StoredVariation;

use super::{HOSTILE, nothing_inline, skeleton};
use crate::access::hash_key;
use crate::is_hidden;
use crate::tests::stale_flags::fleet::{PATH, at, empty, fill, from_to, full, guard, heard, production};
use crate::tests::world::{DAY, HOUR, NOW, PARTITIONS, World, development};

/// What stands between two texts.
pub(in crate::tests) fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = html.split_once(from).unwrap_or_else(|| panic!("no {from:?}: {html}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} behind {from:?}")).0
}

/// An attribute's value as a browser reads it.
pub(super) fn unescaped(text: &str) -> String {
    let text = text.replace('\r', "").replace("&#13;", "\r").replace("&#10;", "\n");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// The keys of the table's rows.
pub(super) fn rows(html: &str) -> Vec<String> {
    let Some((_, table)) = html.split_once("<table class=\"stale\" id=\"stale\">") else { return Vec::new() };
    let table = table.split("</table>").next().unwrap();
    table
        .split("<tr")
        .filter_map(|row| row.split_once("data-flag=\""))
        .map(|(_, rest)| unescaped(rest.split('"').next().unwrap()))
        .collect()
}

async fn page(world: &World, query: &str) -> String {
    let reply = world.page(&format!("/stale?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    nothing_inline(&reply.body);
    reply.body
}

async fn keys(world: &World, query: &str) -> BTreeSet<String> {
    let answer = world.get(&format!("{PATH}?{query}&limit=1000")).await.json();
    answer["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
}

/// The number of a tile.
fn tile(html: &str, id: &str) -> usize {
    let tile = between(html, &format!("data-count=\"{id}\""), "</a>");
    between(tile, "<span class=\"tile-value\">", "</span>").replace(',', "").parse().unwrap()
}

#[tokio::test]
async fn flags_and_numbers_are_those_of_the_api() {
    let world = full().await;
    for query in [
        "",
        "stale=true",
        "stale=false",
        "status=launched",
        "environment=production",
        "environment=production&status=inactive,launched",
        "reason=SINGLE_VARIATION",
        "advice=READY_FOR_CODE_REMOVAL",
        "q=a",
        "q=nobody",
    ] {
        let shown = page(&world, query).await;
        let expected = keys(&world, query).await;
        assert_eq!(rows(&shown).into_iter().collect::<BTreeSet<_>>(), expected, "{query}");
        // The tiles do not follow the filters, but for the environment.
        let here = if query.contains("environment") { "environment=production&" } else { "" };
        for (id, filter) in [
            ("flags", ""),
            ("stale", "stale=true"),
            ("ready", "advice=READY_FOR_CODE_REMOVAL"),
            ("unknown", "status=unknown"),
        ] {
            assert_eq!(tile(&shown, id), keys(&world, &format!("{here}{filter}")).await.len(), "{query}: {id}");
        }
    }
    let shown = page(&world, "").await;
    for text in [
        "<span class=\"pill launched\" title=\"everybody gets the same\">launched</span>",
        "<li class=\"deciding\" title=\"SINGLE_VARIATION\">one variation only</li>",
        "<code class=\"value\"><bdi>&quot;blue&quot;</bdi></code> <span class=\"muted\" title=\"variation 1\">#1</span>",
        "Ready for code removal",
        "<bdi>web</bdi> <bdi>9.1</bdi><span class=\"dotted\"><bdi>NodeJSClient/9.13.7</bdi></span>",
        "100.0 %</span> heard: 720 of 720 hours in 30 days",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
}

#[tokio::test]
async fn what_was_not_heard_is_told_and_counted() {
    let world = empty();
    from_to(&world, &development(), "somewhere", [50, 40], at(0));
    heard(&world, &development(), 5..9);
    heard(&world, &production(), 0..0);
    world.flush().await;
    let shown = page(&world, "").await;
    assert_eq!((tile(&shown, "unknown"), tile(&shown, "stale")), (1, 0));
    assert!(shown.contains("624 of 720 hours in 30 days, below 95.0 %: nothing is called unused there"), "{shown}");
    assert!(shown.contains("Kept: too little was heard"), "{shown}");
    for (environment, unknown) in [("development", 1), ("production", 0)] {
        let shown = page(&world, &format!("environment={environment}")).await;
        assert_eq!(tile(&shown, "unknown"), unknown, "{environment}");
        let href = unescaped(between(&shown, "data-count=\"unknown\" href=\"", "\""));
        assert_eq!(rows(&world.page(&href).await.body).len(), unknown, "{environment}: {href}");
    }
}

/// Where no application is known to report regularly a share would say that one was heard.
#[tokio::test]
async fn where_no_hour_is_expected_nothing_reads_like_a_measurement() {
    let world = empty();
    from_to(&world, &development(), "one", [50, 0], at(0));
    world.flush().await;
    let shown = page(&world, "flag=one").await;
    assert!(shown.contains("<dt>Coverage</dt><dd>no hour expected</dd>"), "{shown}");
    assert!(between(&shown, "class=\"heard\"", "</div>").contains("no hour expected"), "{shown}");
    assert!(shown.contains("times coverage: no hour expected") && shown.contains("coverage no hour expected, as of"));
    let markdown = world.get(&format!("{PATH}?format=markdown")).await.body;
    assert!(markdown.contains("| no hour expected |"), "{markdown}");
    let answer = world.get(PATH).await.json();
    assert_eq!(
        (&answer["items"][0]["coverage"], &answer["items"][0]["coverageMeasured"]),
        (&1.0.into(), &false.into())
    );
    assert_eq!((&answer["heard"][0]["measured"], &answer["heard"][0]["expected"]), (&false.into(), &0.into()));
    let vendors = world.get("/api/v2/flag-statuses/default/development/one").await.json();
    assert_eq!((&vendors["coverage"], &vendors["coverageMeasured"]), (&1.0.into(), &false.into()));
    heard(&world, &development(), 10..11);
    world.flush().await;
    let shown = page(&world, "flag=one").await;
    assert!(shown.contains("<dt>Coverage</dt><dd>96.6 %</dd>"), "{shown}");
    assert_eq!(world.get(PATH).await.json()["items"][0]["coverageMeasured"], true);
}

/// Nobody asks, so nothing is known to be right in its place: what it did last is told, and when.
#[tokio::test]
async fn a_quiet_flag_says_what_it_served_last() {
    let world = full().await;
    let value = bytes::Bytes::from_static(b"\"red\"");
    let other = LastSeenChange { variation: StoredVariation::Index(0), value: Some(&value), ..at(0) };
    from_to(&world, &development(), "two-faced", [50, 40], other);
    from_to(&world, &development(), "two-faced", [50, 45], at(0));
    from_to(&world, &development(), "two-faced", [50, 39], LastSeenChange { error: true, ..at(0) });
    world.flush().await;
    let shown = page(&world, "flag=two-faced").await;
    let expected = "last served <code class=\"value\"><bdi>&quot;red&quot;</bdi></code> \
                    <span class=\"muted\" title=\"variation 0\">#0</span> on 2025-12-06, \
                    <span class=\"muted\" title=\"variation 1\">#1</span> on 2025-12-01";
    let (table, drawer) = (between(&shown, "id=\"stale\"", "</table>"), between(&shown, "id=\"evidence\"", "</aside>"));
    assert!(table.contains(expected) && drawer.contains(expected), "{shown}");
    assert!(
        drawer.contains("Served last:\n- `&quot;red&quot;` (variation 0) on 2025-12-06 in `development`\n"),
        "{drawer}"
    );
    assert!(
        between(table, "data-flag=\"read-in-bulk\"", "</tr>").contains("#1</span> in bulk on 2026-01-15"),
        "{table}"
    );
    let own = world.page("/flag?project=default&environment=development&key=two-faced").await.body;
    assert!(own.contains(expected), "{own}");
    let answer = world.get(&format!("{PATH}?q=two-faced")).await.json();
    let at_ms = |days_ago| i64::from(at(days_ago).hour) * HOUR;
    let served = |variation: u32, value: serde_json::Value, days_ago| {
        serde_json::json!({ "environment": "development", "variation": variation, "value": value, "lastSeen": at_ms(days_ago),
            "bulk": false })
    };
    let expected = serde_json::json!([served(0, "red".into(), 40), served(1, serde_json::Value::Null, 45)]);
    assert_eq!(answer["items"][0]["lastServed"], expected);
    let markdown = world.get(&format!("{PATH}?q=two-faced&format=markdown")).await.body;
    assert!(
        markdown.contains("last served `\"red\"` (variation 0) on 2025-12-06, variation 1 on 2025-12-01 |"),
        "{markdown}"
    );
    for alive in ["active", "launched", "gone", "defaulted"] {
        let answer = world.get(&format!("{PATH}?q={alive}")).await.json();
        assert_eq!(answer["items"][0]["lastServed"], serde_json::json!([]), "{alive}: asked for somewhere");
    }
}

/// A flag that is asked for in no environment of late is not in use, though it is too early to call it dead.
#[tokio::test]
async fn what_to_do_does_not_contradict_the_status() {
    let world = empty();
    heard(&world, &development(), 0..0);
    for (variation, days) in [(0, [50, 10]), (1, [50, 12])] {
        let like = LastSeenChange { variation: StoredVariation::Index(variation), ..at(0) };
        from_to(&world, &development(), "lately", days, like);
    }
    world.flush().await;
    let row = between(&page(&world, "").await, "data-flag=\"lately\"", "</tr>").to_owned();
    assert!(row.contains(">inactive</span>") && row.contains("Quiet, for less than 30 days"), "{row}");
    assert!(!row.contains("In use"), "{row}");
}

#[tokio::test]
async fn when_a_flag_was_asked_for_is_told_by_the_hour() {
    for (back, words) in [(0, ">this hour<"), (1, ">1 h ago<"), (3, ">3 h ago<"), (72, ">3 days ago<")] {
        let world = empty();
        world.sight(&development(), "one", counting::cells::LastSeenChange { hour: at(0).hour - back, ..at(0) });
        world.flush().await;
        let shown = page(&world, "flag=one").await;
        let (table, drawer) =
            (between(&shown, "id=\"stale\"", "</table>"), between(&shown, "id=\"evidence\"", "</aside>"));
        assert!(table.contains(words) && drawer.contains(words), "{back}: {shown}");
    }
}

/// The page has no parameter that decides and shows no field of an answer.
#[tokio::test]
async fn notes_name_nothing_that_only_programs_have() {
    let mut world = empty();
    let environment = schemas::id::Environment::new("default", "elsewhere").unwrap();
    world.stale.environments.push(crate::EnvironmentStale { environment, critical: true, overrides: vec![] });
    for partition in 0..PARTITIONS {
        world.stand(partition, 12, 11).await;
    }
    let shown = page(&world, "").await;
    let notes: Vec<&str> =
        shown.split("<p class=\"note\">").skip(1).map(|rest| rest.split("</p>").next().unwrap()).collect();
    assert_eq!(notes.len(), 4, "two silent environments, a hidden one, numbers that lag: {notes:?}");
    for word in ["`critical`", "`asOf`"] {
        assert!(notes.iter().all(|note| !note.contains(word)), "{word}: {notes:?}");
        assert!(world.get(PATH).await.json()["notes"].to_string().contains(word), "{word} is the API's");
    }
}

#[tokio::test]
async fn each_column_sorts_both_ways_and_says_so() {
    let world = full().await;
    for column in ["flag", "status", "reasons", "score", "confidence", "value", "lastSeen", "advice"] {
        for (order, way, other) in [("rising", "ascending", "falling"), ("falling", "descending", "rising")] {
            let shown = page(&world, &format!("sort={column}&order={order}")).await;
            assert_eq!(rows(&shown).len(), 9, "{column}");
            assert_eq!(shown.matches("aria-sort=").count(), 1);
            let head = between(&shown, &format!("aria-sort=\"{way}\">"), "</th>");
            let href = unescaped(between(head, "href=\"", "\""));
            assert_ne!(rows(&world.page(&href).await.body), Vec::<String>::new());
            let back = format!("sort={column}&order={other}");
            // The default's address says nothing of it.
            assert!(href.contains(&back) || (column, other) == ("advice", "rising"), "{href}");
        }
    }
    let of = async |query: &str| rows(&page(&world, query).await);
    let mut by_key = of("sort=flag").await;
    assert!(by_key.is_sorted());
    by_key.reverse();
    assert_eq!(of("sort=flag&order=falling").await, by_key);
    let score = |key: &str, answer: &serde_json::Value| {
        let items = answer["items"].as_array().unwrap().iter();
        items.filter(|item| item["key"] == key).map(|item| item["score"].as_i64().unwrap()).next().unwrap()
    };
    let answer = world.get(PATH).await.json();
    let scores: Vec<i64> = of("sort=score").await.iter().map(|key| -score(key, &answer)).collect();
    assert!(scores.is_sorted() && scores[0] < scores[8], "{scores:?}");
    let rising: Vec<i64> = of("sort=score&order=rising").await.iter().map(|key| score(key, &answer)).collect();
    assert!(rising.is_sorted(), "{rising:?}");
    let seen = of("sort=lastSeen&order=rising&environment=development").await;
    assert_eq!(seen[..4], ["read-in-bulk", "young", "gone", "quiet-lately"], "never, then the longest ago");
    let first = of("").await;
    let ready = keys(&world, "advice=READY_FOR_CODE_REMOVAL").await;
    assert!(ready.len() > 1 && first.iter().take(ready.len()).all(|key| ready.contains(key)), "{first:?}");
    assert_eq!(first[0], "old-app", "of those the highest score comes first");
}

#[tokio::test]
async fn pages_hold_a_hundred_and_lose_none() {
    let world = empty();
    for number in 0..250 {
        from_to(&world, &development(), &format!("flag {number:03}"), [50, 0], at(0));
    }
    world.flush().await;
    for (query, limit, total) in [("sort=flag", 100, 250), ("q=flag+1&limit=30", 30, 100), ("stale=true", 100, 250)] {
        let mut path = format!("/stale?{query}");
        let mut all = Vec::new();
        loop {
            let shown = world.page(&path).await.body;
            let here = rows(&shown);
            assert!((1..=limit).contains(&here.len()), "{}", here.len());
            assert!(shown.contains(&format!("–{} of {total} flags", all.len() + here.len())), "{path}");
            all.extend(here);
            let Some((_, rest)) = shown.split_once("rel=\"next\" href=\"") else { break };
            path = unescaped(rest.split('"').next().unwrap());
        }
        let each: BTreeSet<&String> = all.iter().collect();
        assert_eq!((all.len(), each.len()), (total, total), "{query}");
    }
    let beyond = page(&world, "page=99").await;
    assert!(beyond.contains("Page 3 of 3") && rows(&beyond).len() == 50);
    // The list of an open drawer is no longer than one without.
    assert_eq!(rows(&page(&world, "flag=flag+249").await).len(), 100);
}

#[tokio::test]
async fn csv_has_the_flags_of_the_filters_on_all_pages() {
    let world = full().await;
    for query in ["stale=true&limit=2", "status=launched&environment=production", "q=la&sort=score", ""] {
        let shown = page(&world, query).await;
        let href = unescaped(between(between(&shown, "<a id=\"csv\"", ">"), "href=\"", "\""));
        let csv = world.get(&href).await;
        assert!(csv.header("content-type").starts_with("text/csv"), "{href}");
        let listed: BTreeSet<String> =
            csv.body.lines().skip(1).map(|line| between(line, "\"", "\"").to_owned()).collect();
        let api: String = query
            .split('&')
            .filter(|pair| !pair.starts_with("limit") && !pair.starts_with("sort"))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(listed, keys(&world, &api).await, "{query}");
    }
}

#[tokio::test]
async fn hostile_keys_are_inert_and_show_themselves() {
    let shown = async |key: &str, value: &str| {
        let world = empty();
        let value = bytes::Bytes::from(serde_json::to_string(value).unwrap());
        let (application, sdk) = (key.as_bytes(), key.as_bytes());
        let seen = counting::cells::LastSeenChange {
            value: Some(&value),
            application,
            application_version: application,
            sdk,
            sdk_version: sdk,
            ..at(0)
        };
        from_to(&world, &development(), key, [50, 0], seen);
        world.flush().await;
        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
        let found = page(&world, &format!("q={encoded}")).await;
        assert_eq!(rows(&found), [key], "found by its own key");
        (page(&world, "").await, page(&world, &format!("flag={encoded}")).await)
    };
    let tags = |html: &str| -> Vec<String> {
        // Spans are what shows hidden characters and cut texts.
        skeleton(html).into_iter().filter(|tag| !tag.contains("span")).collect()
    };
    let plain = shown("plain", "plain").await;
    for hostile in HOSTILE.into_iter().chain(["=cmd()", "</textarea><script>alert(1)</script>", "line\nbreak"]) {
        let (table, drawer) = shown(hostile, hostile).await;
        assert_eq!(tags(&table), tags(&plain.0), "{hostile:?} changes the table");
        assert_eq!(tags(&drawer), tags(&plain.1), "{hostile:?} changes the drawer");
        for html in [&table, &drawer] {
            let texts: String =
                html.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text).collect();
            assert!(!texts.chars().any(|c| c != '\n' && is_hidden(c)), "{hostile:?} hides something");
        }
        for (hidden, code) in [('\u{202e}', "U+202E"), ('\n', "U+000A"), ('\r', "U+000D"), ('\u{200b}', "U+200B")] {
            let mark = format!("<span class=\"ctl\">{code}</span>");
            assert_eq!(table.contains(&mark), hostile.contains(hidden), "{hostile:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_shown_says_why_as_a_page() {
    let world = full().await;
    let tomorrow = format!("asOf={}", NOW + DAY);
    for (query, status, parts) in [
        ("sort=age", 400, &["`sort`", "lastSeen"][..]),
        ("order=up", 400, &["`order`", "rising, falling"]),
        ("page=0", 400, &["`page`"]),
        ("limit=501", 400, &["`limit`", "500"]),
        ("status=dead", 400, &["`status`", "launched"]),
        ("colour=red", 400, &["`colour`", "project"]),
        (&tomorrow, 400, &["`asOf`", "in the future"]),
        ("asOf=2026-01-01T00:00:00Z", 400, &["`asOf`", "back-test"]),
        ("environment=prod", 404, &["default/prod"]),
        ("project=nobody", 404, &["no project `nobody`"]),
    ] {
        let reply = world.page(&format!("/stale?{query}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (status, "text/html; charset=utf-8"),
            "{query}"
        );
        for part in parts {
            assert!(reply.body.contains(part), "{query}: {part}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn an_empty_page_tells_what_to_do() {
    let none = page(&empty(), "").await;
    for text in ["No flag was seen yet", "flagstream flags import FILE", "never called stale", "point an SDK"] {
        assert!(none.contains(text), "{text}: {none}");
    }
    let filtered = page(&full().await, "q=nobody").await;
    assert!(filtered.contains("No flag is like that") && filtered.contains("There are 9 flags"), "{filtered}");
    let unknown = full().await.page("/stale?flag=nobody").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("No flag of this key was ever seen") && rows(&unknown.body).len() == 9);
}

#[tokio::test]
async fn all_flags_are_read_and_judged_once_a_request() {
    let calls = async |query: &str| {
        let world = empty();
        for number in 0..600 {
            from_to(&world, &development(), &format!("flag {number:03}"), [50, 0], at(0));
        }
        world.flush().await;
        let before = world.store.calls();
        page(&world, query).await;
        world.store.calls() - before
    };
    let plain = calls("").await;
    assert!(plain <= 16, "{plain}: three pages of last-seen cells and one range of each other kind");
    assert_eq!(calls("flag=flag+000").await, plain + 1, "what was said of the one flag");
}

#[tokio::test]
async fn a_read_key_sees_its_environment_alone() {
    let mut world = empty();
    guard(&mut world.access);
    world.access.environments[1].read_keys = vec![hash_key("read-shop")];
    let world = fill(world).await;
    let as_reader = async |path: &str| world.page_with(path, &[("authorization", "read-production")]).await;
    for path in ["/stale", "/stale?flag=launched", "/stale?flag=gone"] {
        let shown = as_reader(path).await;
        assert_eq!(shown.status, 200, "{path}");
        assert!(shown.body.contains("production") && !shown.body.contains("development"), "{path}: {}", shown.body);
        assert_eq!(rows(&shown.body).len(), 2, "{path}");
    }
    assert_eq!(as_reader("/stale?environment=development").await.status, 404);
    assert_eq!(as_reader("/stale?flag=active").await.status, 404);
    let stranger = world.page("/stale").await;
    assert_eq!((stranger.status.as_u16(), stranger.header("location")), (303, "/login?to=%2Fstale"));
}
