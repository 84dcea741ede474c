//! Flag metadata over the real process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

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
    assert_eq!(found["flags"][0]["places"][1], json!({ "file": "a.js", "line": 2 }), "{found}");
    // At once: the command waits until it is shown.
    let metadata = |flag: &str| server.get(&format!("/v1/projects/default/flags/{flag}")).1["metadata"].clone();
    let scan = metadata("gone")["codeScan"].clone();
    let places = json!([{ "file": "a.js", "line": 1 }, { "file": "a.js", "line": 2 }]);
    let here = json!({ "owner": "web", "codeReferences": 2, "codePlaces": places, "codeScan": scan });
    assert_eq!(metadata("here"), here);
    assert_eq!(metadata("gone"), json!({ "owner": "web", "codeReferences": 0, "codeScan": scan }));
    let output = run(&["flags", "scan", tree, "--upload", "--server", &server.url]);
    for words in [
        "sending 2 flags\n",
        "sent 2 of 2 flags\n",
        "2 flags sent: 0 changed, 2 unchanged",
        "1 flag nowhere:\n  gone\n",
    ] {
        assert!(said(&output).contains(words), "no {words:?} in:\n{}", said(&output));
    }
    assert_eq!(metadata("here"), here, "the first scan that found it so");
    let shown = said(&run(&["flags", "show", "here", "--server", &server.url]));
    for words in [
        "codeReferences  2: a.js:1, a.js:2\n",
        "codeScan  first found so by the scan of 20",
        "said     20",
        "version  ",
    ] {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
}

/// A server that takes requests one after the other and gives these answers; after the last it answers nobody.
fn answering(answers: &'static [&'static str]) -> (String, mpsc::Receiver<Value>) {
    let (taken, bodies) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let mut answers = answers.iter();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            while let Some(body) = request(&mut stream) {
                taken.send(body).expect("the test");
                let Some(answer) = answers.next() else {
                    std::thread::park();
                    return;
                };
                let (status, body) = answer.split_once(' ').expect("a status");
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                );
                stream.get_mut().write_all((head + body).as_bytes()).expect("an answer");
            }
        }
    });
    (format!("http://{address}"), bodies)
}

/// The body of the next request; `None` = there is none.
fn request(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let header = line.trim().to_ascii_lowercase();
        if let Some(told) = header.strip_prefix("content-length:") {
            length = told.trim().parse().expect("a length");
        }
        if header.is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).ok()?;
            return Some(serde_json::from_slice(&body).unwrap_or(Value::Null));
        }
    }
}

/// Begins to upload a scan of 250 flags.
fn upload_of_250(server: &str, tree: &Path) -> std::process::Child {
    let keys = tree.join("keys.txt");
    std::fs::write(&keys, (0..250).map(|flag| format!("flag-{flag:03}\n")).collect::<String>()).expect("write");
    let mut command = flagstream();
    command.args(["flags", "scan", "--upload", "--server", server, "--keys"]).arg(keys).arg(tree);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("run")
}

const TAKEN: &str = r#"200 {"changed":100,"unchanged":0,"version":7,"codeScan":{"finished":false}}"#;

#[test]
fn an_upload_that_fails_says_how_far_it_came_and_what_to_do() {
    let tree = tempfile::tempdir().expect("a folder");
    let (server, bodies) = answering(&[TAKEN, r#"503 {"message":"the log does not answer"}"#]);
    let output = upload_of_250(&server, tree.path()).wait_with_output().expect("wait");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "sending 250 flags\n",
        "\nsent 100 of 250 flags\n",
        "flagstream: sent 100 of 250 flags; the others have",
        "the same command continues: 503: the log does not answer",
    ] {
        assert!(said.contains(words), "no {words:?} in:\n{said}");
    }
    let (first, second) = (bodies.recv().expect("a part"), bodies.recv().expect("a part"));
    assert_eq!((&first["before"], &second["before"], &first["scan"]), (&json!(0), &json!(100), &second["scan"]));
    assert_eq!(
        (&first["scan"]["flags"], first["flags"].as_object().map(serde_json::Map::len)),
        (&json!(250), Some(100))
    );
}

#[test]
fn an_upload_that_is_interrupted_says_how_far_it_came() {
    let tree = tempfile::tempdir().expect("a folder");
    let (server, bodies) = answering(&[TAKEN, TAKEN]);
    let child = upload_of_250(&server, tree.path());
    for _ in 0..3 {
        bodies.recv().expect("a part");
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("interrupted: sent 200 of 250 flags; the others have"), "{}", said(&output));
}

#[test]
fn a_scan_of_many_flags_goes_in_parts_and_again_for_nothing() {
    let (data, tree) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let server = Server::start(data.path(), &[]);
    for (changed, unchanged) in [(250, 0), (0, 250)] {
        let output = upload_of_250(&server.url, tree.path()).wait_with_output().expect("wait");
        assert!(output.status.success(), "{}", said(&output));
        let words = format!(
            "sent 200 of 250 flags\nsent 250 of 250 flags\n250 flags sent: {changed} changed, {unchanged} unchanged"
        );
        assert!(said(&output).contains(&words), "{}", said(&output));
        let (_, last) = server.get("/v1/projects/default/code-references");
        assert_eq!((&last["codeScan"]["finished"], &last["codeScan"]["flags"]), (&json!(true), &json!(250)), "{last}");
    }
}

#[test]
fn an_import_is_tried_before_and_what_was_mistyped_is_removed() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let call =
        |arguments: &[&str], rows: &str| input(&[&["flags"], arguments, &["--server", &server.url]].concat(), rows);
    let tried = |rows: &str| said(&call(&["import", "-", "--dry-run"], rows));
    assert_eq!(server.bulk("7dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", crate::command::SUMMARY).0, 202);
    server.settle();
    let rows = "key,owner\nhello,web\nchekcout,web\n";
    let output = call(&["import", "-"], rows);
    assert!(said(&output).contains("never seen in events: chekcout; mistyped ones"), "{}", said(&output));
    let again = tried("key,owner,createdAt\nhello,web,\nchekcout,shop,2026-01-01\nthird,web,\n");
    let expected =
        "3 flags would be sent: 1 new, 1 changed, 1 unchanged; 2 never evaluated; 0 bad rows would be skipped";
    assert!(again.contains(expected) && again.contains("never seen in events: chekcout, third"), "{again}");
    let (_, third) = server.get("/v1/projects/default/flags/third");
    assert_eq!(third["version"], 0, "nothing was sent");

    let remove = |flag: &str| call(&["remove", flag], "");
    let removed = remove("chekcout");
    assert!(removed.status.success() && said(&removed).contains("so it is forgotten"), "{}", said(&removed));
    assert!(remove("chekcout").status.success(), "twice is once");
    assert!(said(&remove("hello")).contains("it stays in the report"));
    let keys = |list: &Value| {
        list["items"].as_array().expect("a list").iter().map(|item| item["key"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&server.get("/v1/projects/default/stale-flags").1), [json!("hello")]);
    for (arguments, words) in
        [(["remove", "nobody"], "nothing was ever said of flag \"nobody\""), (["show", "chekcout"], "not known")]
    {
        let output = call(&arguments, "");
        assert!(output.status.code() == Some(1) && said(&output).contains(words), "{}", said(&output));
    }
    let hello = said(&call(&["show", "hello"], ""));
    assert!(hello.contains("said     nothing any more, since 20"), "{hello}");
    assert!(tried(rows).contains("2 new"), "{}", tried(rows));
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
