//! Flag metadata over the real process.

use serde_json::json;

use crate::command::{input, run, said};
use crate::server::Server;

fn put(server: &Server, path: &str, body: &str) -> (u16, String) {
    let kind = ("content-type".to_owned(), "application/json".to_owned());
    server.send("PUT", &format!("/v1/projects/default/flags/{path}"), &[kind], body.as_bytes())
}

#[test]
fn what_is_said_of_a_flag_is_folded_and_survives_kill_and_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    assert_eq!(put(&server, "checkout", r#"{"owner":"a"}"#).0, 200);
    let (status, answer) = put(&server, "checkout", r#"{"owner":"b","type":"release"}"#);
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = put(&server, "checkout/snooze", r#"{"until":null}"#);
    assert_eq!(status, 200, "{answer}");
    server.kill();
    let server = Server::start(data.path(), &[]);
    server.settle();
    let (status, shown) = server.get("/v1/projects/default/flags/checkout");
    assert_eq!((status, &shown["metadata"]), (200, &json!({ "owner": "b", "type": "release" })), "{shown}");
    assert_eq!((&shown["complete"], &shown["seen"]), (&json!(true), &json!(false)), "{shown}");
    // The rule sees it too, though nobody ever asked for the flag.
    let (_, stale) = server.get("/v1/projects/default/stale-flags");
    assert_eq!(stale["items"][0]["key"], "checkout", "{stale}");
    assert!(server.stop().success());
}

#[test]
fn a_file_with_a_bad_row_sends_nothing_and_a_good_one_all() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let import = |arguments: &[&str], rows: &str| {
        input(&[&["flags", "import", "-", "--server", &server.url], arguments].concat(), rows)
    };
    let version = |flag: &str| {
        server.settle();
        server.get(&format!("/v1/projects/default/flags/{flag}")).1["version"].as_u64().expect("a version")
    };
    let bad = "key,owner,temporary\na,web,yes\nb,web,perhaps\n";
    let output = import(&[], bad);
    assert!(!output.status.success() && said(&output).contains("-:3: field `temporary`"), "{}", said(&output));
    assert!(import(&["--skip-bad", "--dry-run"], bad).status.success());
    assert_eq!((version("a"), version("b")), (0, 0));
    let output = import(&["--skip-bad"], bad);
    assert!(said(&output).contains("1 flags sent, of which 1 were never evaluated; 1 bad rows"), "{}", said(&output));
    assert!(version("a") > 0 && version("b") == 0);
    let output = run(&["flags", "snooze", "a", "--for", "30d", "--server", &server.url]);
    assert!(output.status.success(), "{}", said(&output));
    server.settle();
    let shown = said(&run(&["flags", "show", "a", "--server", &server.url]));
    assert!(shown.contains("\"web\"") && shown.contains("snoozedUntil  20"), "{shown}");
    let output = run(&["flags", "snooze", "a", "--for", "800d", "--server", &server.url]);
    assert!(said(&output).contains("at most 1 year"), "{}", said(&output));
}

#[test]
fn a_scan_keeps_the_numbers_of_references_and_what_was_said_before() {
    let (data, tree) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let server = Server::start(data.path(), &[]);
    for flag in ["here", "gone"] {
        assert_eq!(put(&server, flag, r#"{"owner":"web"}"#).0, 200);
    }
    std::fs::write(tree.path().join("a.js"), "on('here')\non('here')\non('gone-2')").expect("write");
    server.settle();
    let tree = tree.path().to_str().expect("a path");
    let output = run(&["flags", "scan", tree, "--upload", "--json", "--server", &server.url]);
    assert!(output.status.success(), "{}", said(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["flags"][1]["places"][1], json!({ "file": "a.js", "line": 2 }), "{found}");
    server.settle();
    for (flag, references) in [("here", 2), ("gone", 0)] {
        let (_, shown) = server.get(&format!("/v1/projects/default/flags/{flag}"));
        assert_eq!(shown["metadata"], json!({ "owner": "web", "codeReferences": references }), "{shown}");
    }
}
