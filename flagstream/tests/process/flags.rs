//! Flag metadata over the real process.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::command::{input, run, said};
use crate::server::{Server, flagstream};

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
    assert!(
        !output.status.success() && said(&output).contains("-:3: flag \"b\": field `temporary`"),
        "{}",
        said(&output)
    );
    assert!(import(&["--skip-bad", "--dry-run"], bad).status.success());
    assert_eq!((version("a"), version("b")), (0, 0));
    let output = import(&["--skip-bad"], bad);
    let expected = "1 flag sent: 1 changed, 0 unchanged; 1 never evaluated; 1 bad row skipped";
    assert!(said(&output).contains(expected), "{}", said(&output));
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
fn an_import_leaves_what_it_does_not_name_and_ends_when_it_is_shown() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let call =
        |arguments: &[&str], rows: &str| input(&[&["flags"], arguments, &["--server", &server.url]].concat(), rows);
    let import = |rows: &str| -> Value {
        let output = call(&["import", "-", "--json"], rows);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let shown = || -> Value {
        // At once: no waiting until it is folded.
        let output = call(&["show", "a", "--json"], "");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let first = import("key,owner,createdAt\na,web,2026-01-01\nb,web,\n");
    assert_eq!(
        (&first["changed"], &first["unchanged"], &first["shown"]),
        (&json!(2), &json!(0), &json!(true)),
        "{first}"
    );
    assert!(call(&["snooze", "a", "--for", "30d"], "").status.success());
    let snoozed = shown();
    assert!(snoozed["metadata"]["snoozedUntil"].is_u64(), "{snoozed}");
    let again = import("key,owner,createdAt\na,web,2026-01-01\nb,web,\n");
    assert_eq!((&again["changed"], &again["unchanged"], &again["bad"]), (&json!(0), &json!(2), &json!([])), "{again}");
    assert_eq!(shown()["version"], snoozed["version"]);
    import(r#"{"a": {"createdAt": null, "owner": "me"}}"#);
    let until = &snoozed["metadata"]["snoozedUntil"];
    assert_eq!(shown()["metadata"], json!({ "owner": "me", "snoozedUntil": until }));
}

#[test]
fn a_name_that_nobody_knows_is_taken_for_a_mistyped_one() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    for (arguments, code, words) in [
        (&["show", "nobody"][..], 1, "flag \"nobody\" is not known"),
        (&["snooze", "nobody", "--for", "1d"], 1, "--new"),
        (&["show", "nobody"], 1, "flag \"nobody\" is not known"),
        (&["snooze", "nobody"], 2, "<--until <DATE>|--for <TIME>>"),
        (&["snooze", "nobody", "--for", "1d", "--until", "now"], 2, "cannot be used with"),
        (&["snooze", "nobody", "--until", "soon"], 2, "give a date"),
        (&["snooze", "nobody", "--until", "2020-01-01"], 2, "that is over"),
        (&["snooze", "nobody", "--for", "3w"], 2, "like 30d"),
        (&["snooze", "nobody", "--for", "1d", "--new"], 0, "snoozedUntil"),
        (&["show", "nobody"], 0, "snoozedUntil"),
    ] {
        let output = run(&[&["flags"], arguments, &["--server", &server.url]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_scan_ends_well_where_nobody_reads_its_last_words() {
    let tree = tempfile::tempdir().expect("a folder");
    let keys = tree.path().join("keys.txt");
    std::fs::write(&keys, "here\n").expect("write");
    let (reader, errors) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = flagstream();
    command.args(["flags", "scan"]).arg(tree.path()).arg("--keys").arg(&keys);
    let status = command.stdout(Stdio::null()).stderr(errors).status().expect("run");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_scan_keeps_the_numbers_of_references_and_what_was_said_before() {
    let (data, tree) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let server = Server::start(data.path(), &[]);
    for flag in ["here", "gone"] {
        assert_eq!(put(&server, flag, r#"{"owner":"web"}"#).0, 200);
    }
    std::fs::write(tree.path().join("a.js"), "on('here')\non('here')\non('gone2')").expect("write");
    server.settle();
    let tree = tree.path().to_str().expect("a path");
    let output = run(&["flags", "scan", tree, "--upload", "--json", "--server", &server.url]);
    assert!(output.status.success(), "{}", said(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["flags"][1]["places"][1], json!({ "file": "a.js", "line": 2 }), "{found}");
    // At once: the command waits until it is shown.
    for (flag, references) in [("here", 2), ("gone", 0)] {
        let (_, shown) = server.get(&format!("/v1/projects/default/flags/{flag}"));
        assert_eq!(shown["metadata"], json!({ "owner": "web", "codeReferences": references }), "{shown}");
    }
    let output = run(&["flags", "scan", tree, "--upload", "--server", &server.url]);
    assert!(said(&output).contains("2 flags sent: 0 changed, 2 unchanged"), "{}", said(&output));
}

#[test]
fn numbers_that_may_be_too_low_are_not_sent_and_several_trees_count_together() {
    let (data, web, api) = (tempfile::tempdir(), tempfile::tempdir(), tempfile::tempdir());
    let (data, web, api) = (data.expect("a folder"), web.expect("a folder"), api.expect("a folder"));
    let server = Server::start(data.path(), &[]);
    assert_eq!(put(&server, "new-checkout", r#"{"owner":"web"}"#).0, 200);
    std::fs::write(web.path().join("a.js"), "flags.newCheckout").expect("write");
    std::fs::write(web.path().join("bundle.js"), vec![b' '; (4 << 20) + 1]).expect("write");
    std::fs::write(api.path().join("a.py"), "on('new-checkout')").expect("write");
    std::fs::write(api.path().join("logo"), b"\0").expect("write");
    server.settle();
    let references = || server.get("/v1/projects/default/flags/new-checkout").1["metadata"]["codeReferences"].clone();
    let (web, api) = (web.path().to_str().expect("a path"), api.path().to_str().expect("a path"));
    let scan = |arguments: &[&str]| run(&[&["flags", "scan", "--server", &server.url], arguments].concat());

    let output = scan(&[web, api, "--upload"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for words in ["1 file over 4 MiB passed over", "bundle.js", "1 binary, 1 over 4 MiB", "--allow-passed-over"] {
        assert!(said(&output).contains(words), "no {words:?} in:\n{}", said(&output));
    }
    let empty = tempfile::tempdir().expect("a folder");
    let output = scan(&[empty.path().to_str().expect("a path"), "--upload"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(references(), Value::Null);

    let output = scan(&[web, api, "--upload", "--allow-passed-over"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("newCheckout (useFlags)"), "{}", said(&output));
    assert_eq!(references(), 2);
}
