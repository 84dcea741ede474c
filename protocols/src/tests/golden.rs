//! Every run of every protocol under `golden/`, and proof that the walk can fail.

use std::path::Path;

use crate::PROTOCOLS;
use crate::golden::{Captured, Expected, Run, count, differences, runs_in};

fn all_runs() -> Vec<Run> {
    let golden = Path::new("golden");
    let mut runs = Vec::new();
    for protocol in PROTOCOLS {
        let found = runs_in(&golden.join(protocol.name())).unwrap();
        assert!(!found.is_empty(), "no run of {}", protocol.name());
        runs.extend(found);
    }
    runs
}

/// What is wrong with a run; empty = nothing.
fn faults(run: &Run) -> Vec<String> {
    let found = count(run).map_or_else(|fault| vec![fault], |counted| differences(&run.expected, &counted));
    found.into_iter().map(|fault| format!("{}: {fault}", run.name)).collect()
}

#[test]
fn every_run_counts_what_its_program_did() {
    let faults: Vec<_> = all_runs().iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn compression_resends_and_shifted_times_change_no_number() {
    for mut run in all_runs() {
        let latest = run.latest_ms();
        run.shift_ms(86_400_000);
        assert_eq!(run.latest_ms(), latest.map(|ms| ms + 86_400_000), "{}", run.name);
        let sends = |request: Captured| {
            let has_id = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-launchdarkly-payload-id"));
            std::iter::repeat_n(request.gzipped(), if has_id { 2 } else { 1 })
        };
        run.requests = run.requests.into_iter().flat_map(sends).collect();
        let faults = faults(&run);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

#[test]
fn every_compared_number_is_compared() {
    let mut changed = 0;
    for run in all_runs() {
        let folder = Path::new("golden/launchdarkly").join(&run.name);
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let counted = count(&run).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut paths = Vec::new();
        numbers(&expected, String::new(), &mut paths);
        for path in paths {
            let sampled = path.trim_end_matches(|c| c != '/').to_owned() + "sampled_feature_candidates";
            let parent_sampled = expected.pointer(&sampled).is_some() || path.contains("sampled-flag");
            if path.ends_with("/wrong_type") || parent_sampled {
                continue;
            }
            let mut other = expected.clone();
            let number = other.pointer_mut(&path).unwrap();
            *number = serde_json::json!(number.as_f64().unwrap() as u64 + 1);
            let other: Expected = serde_json::from_value(other).unwrap();
            assert!(!differences(&other, &counted).is_empty(), "{}: {path} is not compared", run.name);
            changed += 1;
        }
    }
    assert!(changed > 300, "{changed}");
}

/// JSON pointers to all numbers.
fn numbers(value: &serde_json::Value, path: String, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Number(_) => out.push(path),
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                numbers(member, format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        _ => {}
    }
}

#[test]
fn a_request_that_is_lost_or_counted_twice_is_seen() {
    for run in all_runs() {
        let last = run.requests.len() - 1;
        let mut lost = run.clone();
        // Of a payload that was retried both must be lost.
        let body = lost.requests.remove(last).body;
        lost.requests.retain(|request| request.body != body || body.is_empty());
        assert!(!faults(&lost).is_empty(), "{}: without its last request", run.name);
        let mut twice = run.clone();
        let mut again = twice.requests[last].clone();
        again.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-launchdarkly-payload-id"));
        twice.requests.push(again);
        assert!(!faults(&twice).is_empty(), "{}: its last request twice", run.name);
    }
}

#[test]
fn what_the_format_does_not_know_fails() {
    let parse = serde_json::from_str::<Expected>;
    assert!(parse(r#"{"flags":{"f":{"total":1}},"notes":["x"],"sdk":"s","protocol":"p"}"#).is_ok());
    for unknown in [
        r#"{"flag":{}}"#,
        r#"{"flags":{"f":{"totals":1}}}"#,
        r#"{"custom":{"c":{"sum":1}}}"#,
        r#"{"migration_ops":{"x":1}}"#,
    ] {
        assert!(parse(unknown).is_err(), "{unknown}");
    }
    let run = |request: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("01-x.json"), request).unwrap();
        std::fs::write(folder.path().join("expected.json"), "{}").unwrap();
        Run::read(folder.path()).map(|run| faults(&run))
    };
    let good = r#"{"method":"POST","path":"/bulk","headers":{"authorization":"k"},"body":[],"response":{"status":202},"new":1}"#;
    assert_eq!(run(good), Ok(Vec::new()));
    assert!(run(&good.replace("POST", "PATCH")).is_err());
    assert!(run(&good.replace("202", "999")).is_err());
    assert!(!run(&good.replace("/bulk", "/nowhere")).unwrap().is_empty());
    assert!(!run(&good.replace("\"body\":[]", "\"body\":7")).unwrap().is_empty());
    assert!(!run(&good.replace("\"body\":[]", "\"body\":[{\"kind\":\"custom\"}]")).unwrap().is_empty());
    let binary = good.replace("\"body\":[]", "\"body_base64\":\"W10=\"");
    assert_eq!(run(&binary), Ok(Vec::new()));
}
