//! Every endpoint's exact answer, kept in `golden/answers/`. To write them again: `FLAGSTREAM_REWRITE=1 cargo test -p
//! experiments`.

use std::path::Path;

use schemas::stored::Owner;

use super::world::{DAY, NOW, full, path_of, slashed};
use crate::DeadLetter;

/// Name of the golden, and what is asked (after the environment's own path, when it does not begin with a slash).
const ASKED: [(&str, &str); 26] = [
    ("evaluations", "evaluations"),
    ("evaluations-one-flag", "evaluations?flag=checkout"),
    ("evaluations-no-such-flag", "evaluations?flag=nobody"),
    ("evaluations-minute", "evaluations?flag=checkout&granularity=minute&from=2026-01-15T11:00:00Z"),
    ("evaluations-hour", "evaluations?flag=checkout&granularity=hour&from=2026-01-14T00:00:00Z"),
    ("evaluations-day", "evaluations?flag=checkout&granularity=day&from=2026-01-01T00:00:00Z"),
    ("evaluations-version", "evaluations?flag=checkout&groupBy=version"),
    ("evaluations-variation-version", "evaluations?flag=checkout&groupBy=variation,version"),
    ("evaluations-application", "evaluations?flag=checkout&groupBy=application&from=2026-01-14T10:20:30Z"),
    ("evaluations-all-by-hour", "evaluations?groupBy=variation,application,sdk&from=2026-01-14T10:20:30Z"),
    ("evaluations-reason", "evaluations?flag=checkout&groupBy=reason&granularity=hour"),
    ("evaluations-page", "evaluations?limit=2"),
    ("events", "events"),
    ("events-page", "events?limit=1&from=2025-12-01T00:00:00Z"),
    ("books", "books"),
    ("books-yesterday", "books?day=2026-01-14"),
    ("books-nothing", "books?day=2020-02-29"),
    ("health", "/v1/pipeline/health"),
    ("dead-letters", "/v1/pipeline/dead-letters?limit=1"),
    ("vendor-evaluations", "/api/v2/usage/evaluations/default/development/checkout?from=2026-01-13T00:00:00Z"),
    (
        "vendor-evaluations-hour",
        "/api/v2/usage/evaluations/default/development/checkout?from=1768464000000&to=1768482000000&granularity=hour",
    ),
    ("vendor-received", "/api/v2/usage/events/received?from=2026-01-13T00:00:00Z"),
    ("vendor-published", "/api/v2/usage/events/published?from=2026-01-13T00:00:00Z"),
    ("unknown-environment", "/v1/projects/default/environments/nowhere/evaluations"),
    ("nothing-there", "/v1/nothing"),
    ("bad-parameter", "evaluations?granularity=week"),
];

#[tokio::test]
async fn every_answer_is_its_golden() {
    let mut world = full().await;
    world.owner = Some(Owner {
        name: "host:7".to_owned(),
        since_ms: NOW - DAY,
        told_ms: NOW - 5_000,
        flushed_ms: NOW - 6_000,
        refused: 2,
        dedupe_age_ms: Some(90_500),
    });
    world.dead = [1, 2]
        .map(|offset| DeadLetter {
            generation: 1,
            partition: 3,
            offset,
            environment: Some("default/development".to_owned()),
            reason: "step panicked: index 7 of 5".to_owned(),
            received_ms: NOW - DAY,
            bytes: 1234,
        })
        .to_vec();
    let folder = Path::new("golden/answers");
    let mut differing = Vec::new();
    for (name, asked) in ASKED {
        let path = if asked.starts_with('/') {
            asked.to_owned()
        } else {
            format!("{}/{asked}", path_of(&super::world::development()))
        };
        let reply = world.get(&path).await;
        let told = format!("GET {path}\n{}\n\n{}\n", reply.status.as_u16(), spread(&reply.body));
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("FLAGSTREAM_REWRITE").is_some() {
            std::fs::write(&file, &told).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        if kept != told {
            differing.push(format!("{name}: expected\n{kept}\ngot\n{told}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, ASKED.len(), "a golden that nobody asks for lies in {}", folder.display());
}

#[tokio::test]
async fn a_slash_in_a_key_is_decoded_once() {
    let world = full().await;
    let reply = world.get(&format!("{}/evaluations", path_of(&slashed()))).await;
    assert_eq!(reply.json()["items"][0]["flag"], "a/b %2F+c");
    let reply = world.get("/api/v2/usage/evaluations/shop%2Feu/prod%20%26%20%252F/a%2Fb%20%252F+c").await;
    assert_eq!(reply.json()["totalEvaluations"], 6);
    // Decoded twice, or with + as a space, it would be another key.
    for other in ["a%2Fb%20%2F+c", "a%2Fb%20%252F%20c"] {
        let reply = world.get(&format!("/api/v2/usage/evaluations/shop%2Feu/prod%20%26%20%252F/{other}")).await;
        assert_eq!(reply.json()["totalEvaluations"], 0, "{other}");
    }
    for path in ["/v1/projects/shop/eu/environments/prod/books", "/v1/projects/%FF/environments/%FE/books"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}

/// JSON with one field a line, numbers and order as they are.
fn spread(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for c in json.chars() {
        let structural = !in_text && "{}[],".contains(c);
        if structural && "}]".contains(c) {
            depth -= 1;
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
        out.push(c);
        if structural && !"}]".contains(c) {
            depth += usize::from(c != ',');
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
        in_text ^= c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
    }
    out
}
