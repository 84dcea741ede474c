//! The gate in a running process: stages by the command, what answers in each, the comparison's exit codes, a flag file
//! that breaks, a kill.

use std::path::Path;

use serde_json::{Value, json};

use crate::command::{run, said};
use crate::server::Server;

const EVALUATIONS: &str = "/v1/projects/default/environments/development/evaluations";

fn start(folder: &Path) -> Server {
    let config = folder.join("flagstream.toml");
    let flags = folder.join("gate.json");
    std::fs::write(&config, format!("[gate]\nflags = \"{}\"\n", flags.display())).expect("write");
    Server::start(&folder.join("data"), &["--config", config.to_str().expect("a path")])
}

/// A payload with 3 evaluations of `checkout` and one purchase.
fn send(server: &Server, id: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis();
    let body = json!([
        { "kind": "summary", "startDate": now, "endDate": now, "features": { "checkout": { "default": false,
            "contextKinds": ["user"], "counters": [{ "variation": 1, "version": 4, "value": true, "count": 3 }] } } },
        { "kind": "custom", "key": "purchase", "creationDate": now, "contextKeys": { "user": "u" }, "metricValue": 2.5 }
    ]);
    let (status, said) = server.bulk(id, &body.to_string());
    assert_eq!(status, 202, "{said}");
}

/// `flagstream gate set`, and its exit code.
fn set(server: &Server, folder: &Path, stage: &str) -> Option<i32> {
    let flags = folder.join("gate.json");
    let output = run(&["gate", "set", stage, "--flags", flags.to_str().expect("a path"), "--server", &server.url]);
    println!("{}", said(&output));
    output.status.code()
}

fn compare(server: &Server) -> (Option<i32>, Value) {
    let output = run(&["compare", "--json", "--server", &server.url]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

/// Which path answers, and how many evaluations it has.
fn answered(server: &Server) -> (Value, Value) {
    let (status, answer) = server.get(EVALUATIONS);
    assert_eq!(status, 200, "{answer}");
    (answer["path"].clone(), answer["items"][0]["count"].clone())
}

#[test]
fn an_environment_goes_across_step_by_step_and_back_and_every_difference_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    send(&server, "1-off");
    server.until("the old path answers", || answered(&server) == (json!("old"), json!(3)));
    assert_eq!(set(&server, folder.path(), "shadow"), Some(0));
    send(&server, "2-shadow");
    send(&server, "2-shadow");
    server.settle();
    assert_eq!(answered(&server), (json!("old"), json!(9)), "the old path counts a repeated payload again");
    assert_eq!(
        set(&server, folder.path(), "live"),
        Some(0),
        "held back until the paths are compared, then let through"
    );
    send(&server, "3-live");
    server.settle();
    assert_eq!(answered(&server), (json!("new"), json!(6)));
    assert_eq!(set(&server, folder.path(), "complete"), Some(0));
    send(&server, "4-complete");
    server.settle();
    let (code, comparison) = compare(&server);
    assert_eq!((code, &comparison["totals"]["unexplained"]), (Some(0), &json!(0)), "{comparison}");
    let row = comparison["items"].as_array().into_iter().flatten().find(|row| row["flag"] == "checkout");
    let row = row.unwrap_or_else(|| panic!("{comparison}"));
    assert_eq!((&row["old"], &row["new"], &row["difference"]), (&json!(12), &json!(9), &json!(3)));
    let cause = |name: &str| {
        let causes = row["causes"].as_array().into_iter().flatten();
        causes.filter(|cause| cause["cause"] == name).map(|cause| cause["low"].clone()).next()
    };
    assert_eq!(
        (cause("duplicate"), cause("old_path_only"), cause("new_path_only")),
        (Some(json!(3)), Some(json!(3)), Some(json!(-3)))
    );
    assert_eq!(set(&server, folder.path(), "off"), Some(0), "back from anywhere");
    assert_eq!(answered(&server).0, json!("old"));
}

#[test]
fn a_flag_file_that_breaks_moves_nothing_over_a_kill_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    assert_eq!(set(&server, folder.path(), "shadow"), Some(0));
    let stage = |server: &Server| server.get("/v1/pipeline/gate").1["items"][0].clone();
    let unknown =
        r#"{"flags":{"flagstream-path":{"state":"ENABLED","variants":{"blue":"blue"},"defaultVariant":"blue"}}}"#;
    for broken in ["{", r#"{"flags":{}}"#, unknown] {
        std::fs::write(folder.path().join("gate.json"), broken).expect("write");
        server.until("the error is told", || stage(&server)["flagError"].is_string());
        assert_eq!(stage(&server)["stage"], "shadow");
    }
    std::fs::remove_file(folder.path().join("gate.json")).expect("remove");
    server.until_logged("gate's flag cannot be read", 2);
    let (_, metrics) = server.send("GET", "/metrics", &[], b"");
    let errors = metrics.lines().find_map(|line| line.strip_prefix("flagstream_gate_flag_errors_total "));
    assert!(errors.is_some_and(|errors| errors.parse::<u64>().is_ok_and(|errors| errors >= 2)), "{errors:?}");
    server.kill();
    let server = start(folder.path());
    assert_eq!(stage(&server)["stage"], "shadow", "kept on disk");
    send(&server, "1-shadow");
    server.settle();
    assert_eq!(compare(&server).0, Some(0));
}

/// A row in the old store that nobody of ours wrote.
#[test]
fn what_nothing_explains_holds_the_environment_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    assert_eq!(set(&server, folder.path(), "shadow"), Some(0));
    send(&server, "1-shadow");
    server.settle();
    assert!(server.stop().success());
    let store = oldpath::store::embedded::EmbeddedStore::open(&folder.path().join("data")).expect("the old counters");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis();
    let add = oldpath::counter::Add {
        environment: schemas::id::Environment::new("default", "development").expect("keys"),
        counter: oldpath::counter::Counter::Evaluations {
            flag: "checkout".into(),
            variation: ingest::gate::OldVariation::Index(1),
        },
        time_ms: i64::try_from(now).expect("a time"),
        number: 7,
        off: false,
        value: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(oldpath::store::OldStore::add(&store, add)).expect("added");
    drop(store);
    let server = start(folder.path());
    let (code, comparison) = compare(&server);
    assert_eq!((code, &comparison["totals"]["unexplained"]), (Some(3), &json!(7)), "{comparison}");
    assert_eq!(set(&server, folder.path(), "live"), Some(3), "no step forward");
    // The gate itself holds back too, whoever changed the file.
    let gate = std::fs::read_to_string(folder.path().join("gate.json")).expect("the flag file");
    std::fs::write(folder.path().join("gate.json"), gate.replace("\"shadow\",\n", "\"live\",\n")).expect("write");
    let state = || server.get("/v1/pipeline/gate").1["items"][0].clone();
    server.until("held back", || state()["heldBack"].as_str().is_some_and(|why| why.contains("7 evaluations")));
    assert_eq!((&state()["stage"], &state()["asked"]), (&json!("shadow"), &json!("live")));
}
