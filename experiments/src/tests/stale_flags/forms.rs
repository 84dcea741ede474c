//! CSV and Markdown, with keys that would act on a spreadsheet, a page or a terminal; and the documented fields.

use schemas::partition::home;

use super::fleet::{PATH, at, empty, from_to, full};
use crate::is_hidden;
use crate::stale::{Advice, ReasonCode};
use crate::tests::world::{PARTITIONS, development};

const HOSTILE: [&str; 8] = [
    "=HYPERLINK(\"http://e\")",
    "@a",
    "-1+1",
    "x;=1+1",
    "a,\"b\"",
    "line\r\nbreak",
    "right\u{202e}left",
    "pipe|<b>[x](y)",
];

async fn hostile(format: &str) -> String {
    let world = empty();
    for key in HOSTILE {
        from_to(&world, &development(), key, [50, 0], at(0));
    }
    world.flush().await;
    let reply = world.get(&format!("{PATH}?format={format}&sort=key")).await;
    assert!(reply.header("content-type").contains(format), "{}", reply.header("content-type"));
    reply.body
}

#[tokio::test]
async fn csv_has_a_line_a_flag_whatever_its_key() {
    let csv = hostile("csv").await;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), HOSTILE.len() + 2, "a header, the flags, and the last line's end: {csv}");
    assert!(lines[0].starts_with("\"key\",\"environment\",\"status\",\"stale\",\"score\","));
    assert!(!csv.replace("\r\n", "").chars().any(is_hidden), "{csv:?}");
    for expected in [
        "\"'=HYPERLINK(\"\"http://e\"\")\",",
        "\"'@a\",",
        "\"'-1+1\",",
        "\"a,\"\"b\"\"\",",
        "\"x;'=1+1\",",
        "\"line\\u{d}\\u{a}break\",",
        "\"right\\u{202e}left\",",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {csv}");
    }
    assert!(csv.contains(",\"launched\",\"true\",\"60\","), "{csv}");
}

#[tokio::test]
async fn markdown_has_a_row_a_flag_whatever_its_key() {
    let markdown = hostile("markdown").await;
    let lines: Vec<&str> = markdown.lines().collect();
    assert_eq!(lines.len(), HOSTILE.len() + 4, "the table, and below how much of the whole it is: {markdown}");
    assert_eq!(lines[HOSTILE.len() + 3], "8 of 8 flags, as of 2026-01-15 12:34 UTC, complete.");
    let (lines, _) = lines.split_at(HOSTILE.len() + 2);
    let cells = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
    assert!(lines.iter().all(|line| cells(line) == cells(lines[0])), "{markdown}");
    assert!(markdown.contains("pipe\\|\\<b\\>\\[x\\]\\(y\\)"), "{markdown}");
    assert!(markdown.contains("| `=HYPERLINK(\"http://e\")` |"), "{markdown}");
    assert!(!markdown.chars().any(|c| c != '\n' && is_hidden(c)));
}

/// Markdown is for people, who have to be told neither codes nor fields.
#[tokio::test]
async fn markdown_is_in_words_and_csv_in_codes() {
    let world = full().await;
    crate::tests::metadata::define(&world, "default", 1, "old-app", 1, r#"{"temporary":false,"dependents":["cart"]}"#)
        .await;
    let written = async |format: &str, query: &str| {
        world.get(&format!("{PATH}?format={format}&critical=development&sort=key&{query}")).await.body
    };
    let markdown = written("markdown", "").await;
    for code in ReasonCode::ALL.map(ReasonCode::as_str).into_iter().chain(Advice::ALL.map(Advice::as_str)) {
        assert!(!markdown.contains(code), "{code}: {markdown}");
    }
    for row in [
        "| `launched` | Ready for code removal | one variation only since 2025-11-26 | – | `\"blue\"` (variation 1) | 2026-01-15 by `web` in \
         `production` | launched | 60 | 70 | 100.0 % | – | not known |",
        "| `old-app` | Kept: meant to stay, other flags depend on it | one variation only since 2025-11-18; old app versions only since",
        "| `gone` | Stale: look at its code | no longer asked for since 2025-12-06 | – | nothing known; last served variation 1 on 2025-12-06 |",
    ] {
        assert!(markdown.contains(row), "{row}: {markdown}");
    }
    assert!(written("csv", "").await.contains("\"SINGLE_VARIATION OLD_APP_VERSIONS_ONLY\",\"DEPENDENTS\""));
    let stale = [written("csv", "stale=true").await, written("markdown", "stale=true").await];
    assert_eq!(stale[0].lines().count(), 5, "{}", stale[0]);
    assert!(stale[1].ends_with("\n4 of 9 flags, as of 2026-01-15 12:34 UTC, complete.\n"), "{}", stale[1]);
}

#[tokio::test]
async fn headers_tell_what_a_pipeline_fails_on() {
    let world = full().await;
    for format in ["csv", "markdown"] {
        let told = async |query: &str| {
            let reply = world.get(&format!("{PATH}?format={format}&critical=development&{query}")).await;
            (reply.header("x-flagstream-found").to_owned(), reply.header("x-flagstream-complete").to_owned())
        };
        let found = "NO_EVALUATIONS,stale".to_owned();
        assert_eq!(told("q=gone").await, (found, "true".to_owned()), "{format}");
        assert_eq!(told("q=failing").await.0, "", "a reason of a flag that is not stale: {format}");
        let all = told("").await.0;
        assert!(all.contains("READY_FOR_CODE_REMOVAL,SINGLE_VARIATION,stale"), "{all}");
    }
    world.stand(home(&development(), PARTITIONS), 20, 10).await;
    let lagging = world.get(&format!("{PATH}?format=csv")).await;
    assert_eq!(lagging.header("x-flagstream-complete"), "false");
}

#[tokio::test]
async fn they_have_all_flags_unless_a_limit_is_given() {
    let world = full().await;
    let all = world.get(&format!("{PATH}?format=csv")).await;
    assert_eq!((all.body.lines().count(), all.header("link")), (10, ""));
    let some = world.get(&format!("{PATH}?format=csv&limit=4")).await;
    assert_eq!(some.body.lines().count(), 5);
    let next = some.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let rest = world.get(next).await;
    assert_eq!(rest.body.lines().nth(1), all.body.lines().nth(5));
}

#[tokio::test]
async fn json_has_keys_as_they_are() {
    let answer: serde_json::Value = serde_json::from_str(&hostile("json").await).unwrap();
    let keys = answer["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap());
    let mut sent = HOSTILE.to_vec();
    sent.sort_unstable();
    assert_eq!(keys.collect::<Vec<_>>(), sent);
}
