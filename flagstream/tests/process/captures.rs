//! Every golden run of a real SDK over HTTP, plain and gzipped, each request that carries a payload id sent twice.
//!
//! Always true here: what a run's `expected` leaves out is not compared. Usage, full events, custom events and the books
//! are; of contexts, aliases, debug events, exposures, migrations and goals no API tells yet: those the walk of
//! `protocols` compares.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use protocols::golden::{Captured, Run, count, runs_in};
use serde_json::Value;

use crate::server::{SDK_KEY, Server};

const ENVIRONMENT: &str = "/v1/projects/default/environments/development";

#[test]
fn captured_runs_over_http_count_as_the_programs_did() {
    let folder = Path::new("../protocols/golden/launchdarkly");
    let runs = runs_in(folder).expect("golden runs");
    assert!(runs.len() >= 5, "only {} runs found", runs.len());
    for run in runs {
        for gzip in [false, true] {
            replay(&run.name, shifted_to_now(run_again(folder, &run.name), gzip), gzip);
        }
    }
}

fn run_again(folder: &Path, name: &str) -> Run {
    Run::read(&folder.join(name)).expect("a golden run")
}

fn shifted_to_now(mut run: Run, gzip: bool) -> Run {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    if let Some(latest) = run.latest_ms() {
        run.shift_ms(i64::try_from(now).expect("a time") - latest);
    }
    if gzip {
        let can = |request: &Captured| request.method == "POST" && !request.body.is_empty();
        run.requests = run.requests.into_iter().map(|r| if can(&r) { r.gzipped() } else { r }).collect();
    }
    run
}

fn replay(name: &str, run: Run, gzip: bool) {
    let data = tempfile::tempdir().expect("a folder");
    admit(data.path(), &run);
    let server = Server::start(data.path(), &[]);
    for request in &run.requests {
        let has_id = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-launchdarkly-payload-id"));
        for _ in 0..if has_id { 2 } else { 1 } {
            let (status, said) = send(&server, request);
            // An SDK with all its addresses set to us asks for flags too, and must be told that there are none.
            let is_refused_well = status == 404 && said.contains("takes events only");
            assert!(status < 300 || is_refused_well, "{name} gzip={gzip} {}: {status} {said}", request.file);
        }
    }
    server.settle();
    compare_flags(name, &run, &items(&server, "evaluations?"), &items(&server, "evaluations?groupBy=reason&"));
    compare_custom(name, &run, &items(&server, "events?"));
    let (_, books) = server.get(&format!("{ENVIRONMENT}/books"));
    let sum: u64 =
        ["counted", "duplicate", "late", "poison"].iter().map(|f| books[f].as_u64().expect("a number")).sum();
    assert_eq!(books["accepted"].as_u64(), Some(sum), "{name}: {books}");
    assert!(server.stop().success());
}

/// Admits whatever credentials the run carries.
fn admit(data: &Path, run: &Run) {
    let mut keys = vec![(SDK_KEY.to_owned(), "server")];
    for request in &run.requests {
        let authorization = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some((_, key)) = authorization {
            let key = key.strip_prefix("api_key ").unwrap_or(key).trim().to_owned();
            keys.push((key, if request.path.contains("/mobile") { "mobile" } else { "server" }));
        } else if let Some(id) = client_side_id(&request.path) {
            keys.push((id.to_owned(), "client-side"));
        }
    }
    keys.sort();
    keys.dedup();
    for (key, kind) in keys {
        crate::command::add_key(data, &key, kind);
    }
}

fn client_side_id(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/events/bulk/").or_else(|| path.strip_prefix("/events/diagnostic/"));
    match rest {
        Some(rest) => rest.split('/').next(),
        None => path.strip_prefix("/a/")?.strip_suffix(".gif"),
    }
}

fn send(server: &Server, request: &Captured) -> (u16, String) {
    let path = match request.query.as_str() {
        "" => request.path.clone(),
        query => format!("{}?{query}", request.path),
    };
    let hop = ["host", "connection", "content-length", "transfer-encoding"];
    let headers: Vec<_> =
        request.headers.iter().filter(|(name, _)| !hop.contains(&name.to_lowercase().as_str())).cloned().collect();
    server.send(&request.method, &path, &headers, &request.wire_body())
}

fn items(server: &Server, what: &str) -> Vec<Value> {
    let (status, answer) = server.get(&format!("{ENVIRONMENT}/{what}limit=1000"));
    assert_eq!((status, &answer["complete"]), (200, &Value::Bool(true)), "{answer}");
    answer["items"].as_array().expect("items").clone()
}

fn compare_flags(name: &str, run: &Run, items: &[Value], reasons: &[Value]) {
    let mut counted: BTreeMap<(String, String), u64> = BTreeMap::new();
    for item in items {
        let variation = match &item["variation"] {
            _ if item["default"] == true => "default".to_owned(),
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        *counted.entry((text(&item["flag"]), variation)).or_default() += item["count"].as_u64().expect("a count");
    }
    let Some(flags) = &run.expected.flags else { return };
    let has_summaries = count(run).expect("a run that decodes").has_summaries;
    for (flag, expected) in flags {
        // The SDK sampled it before it counted: no truth is on the wire.
        if expected.sampled_feature_candidates.is_some() && !has_summaries {
            continue;
        }
        if let Some(expected) = expected.feature_events {
            let full = reasons.iter().filter(|item| text(&item["flag"]) == *flag).map(|item| item["count"].as_u64());
            assert_eq!(full.sum::<Option<u64>>(), Some(expected), "{name}: full events of {flag}");
        }
        let of_flag: BTreeMap<_, _> =
            counted.iter().filter(|((f, _), _)| f == flag).map(|((_, v), n)| (v.clone(), *n)).collect();
        let usage: u64 = of_flag.values().sum();
        if let Some(expected) = expected.usage() {
            assert_eq!(usage, expected, "{name}: {flag}");
        }
        if expected.excluded_from_summaries.is_none()
            && let Some(by_variation) = &expected.by_variation
        {
            let mut wanted = by_variation.clone();
            wanted.retain(|_, number| *number > 0);
            assert_eq!(of_flag, wanted, "{name}: {flag}");
        }
    }
}

fn compare_custom(name: &str, run: &Run, items: &[Value]) {
    let Some(custom) = &run.expected.custom else { return };
    for (key, expected) in custom {
        let item = items.iter().find(|item| text(&item["key"]) == *key).unwrap_or(&Value::Null);
        for (field, expected) in [("count", expected.count), ("metricCount", expected.metric_count)] {
            if let Some(expected) = expected {
                assert_eq!(item[field].as_u64().unwrap_or(0), expected, "{name}: {field} of {key}");
            }
        }
        if let Some(sum) = expected.metric_sum {
            let counted = item["metricSum"].as_f64().expect("a sum");
            assert!((counted - sum).abs() <= 1e-9, "{name}: {key}: {counted} for {sum}");
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
