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
            if path.ends_with("/wrong_type") || path.ends_with("/sampled_feature_candidates") {
                continue;
            }
            // What the SDK sampled before it counted is compared with nothing: no truth is on the wire.
            let flag = path.strip_prefix("/flags/").and_then(|rest| rest.split('/').next());
            let sampled = flag.map(|flag| format!("/flags/{flag}/sampled_feature_candidates"));
            if !counted.has_summaries && sampled.is_some_and(|sampled| expected.pointer(&sampled).is_some()) {
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
    let mut tried = 0;
    for run in all_runs() {
        // A diagnostic, or an event that nothing is compared with, changes nothing; a run of such alone is passed over.
        let counted: Vec<usize> =
            (0..run.requests.len()).filter(|place| !faults(&without(&run, *place)).is_empty()).collect();
        if counted.is_empty() {
            continue;
        }
        tried += 1;
        // Twice is not seen of what is a set, as goals are.
        let seen = counted.iter().any(|place| !faults(&with_again(&run, *place)).is_empty());
        assert!(seen, "{}: no request that counts is missed when it counts twice", run.name);
    }
    assert!(tried >= 5, "only {tried} runs have a request that counts");
}

/// The run without a request; of a payload that was retried both are lost.
fn without(run: &Run, place: usize) -> Run {
    let mut lost = run.clone();
    let body = lost.requests.remove(place).body;
    lost.requests.retain(|request| request.body != body || body.is_empty());
    lost
}

/// The run with a request once more, as if it were another.
fn with_again(run: &Run, place: usize) -> Run {
    let mut twice = run.clone();
    let mut again = twice.requests[place].clone();
    again.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-launchdarkly-payload-id"));
    twice.requests.push(again);
    twice
}

/// Others' runs end as they will, and name their flags as they will.
#[test]
fn a_run_that_ends_in_nothing_compared_and_leaves_fields_out_is_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let request = |path: &str, body: &str| {
        format!(
            r#"{{"method":"POST","path":"{path}","headers":{{"authorization":"k"}},"body":{body},"response":{{"status":202}}}}"#
        )
    };
    let counters =
        |flag: &str| format!(r#""{flag}":{{"counters":[{{"variation":0,"version":1,"value":1,"count":2}}]}}"#);
    let features = [counters("a/b"), counters("other")].join(",");
    write(
        "01-x.json",
        &request("/bulk", &format!(r#"[{{"kind":"summary","startDate":1,"endDate":2,"features":{{{features}}}}}]"#)),
    );
    write("02-x.json", &request("/diagnostic", r#"{"kind":"diagnostic","id":{"diagnosticId":"d"},"creationDate":1}"#));
    write("expected.json", r#"{"flags":{"a/b":{"by_variation":{"0":2,"1":0}}}}"#);
    let run = Run::read(folder.path()).unwrap();
    assert_eq!(faults(&run), [""; 0]);
    assert!(faults(&without(&run, 1)).is_empty() && !faults(&without(&run, 0)).is_empty());
    assert!(!faults(&with_again(&run, 0)).is_empty());
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
