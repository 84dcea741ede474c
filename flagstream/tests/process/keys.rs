//! `flagstream keys remove`: which key it takes, and what a running server does then.

use std::path::Path;
use std::process::Output;

use crate::command::{add_key, input, run, said};
use crate::server::{SDK_KEY, Server};

fn remove(data: &Path, arguments: &[&str], key: &str) -> Output {
    let data = data.to_str().expect("a path");
    input(&[&["keys", "remove", "--environment", "development", "--data", data], arguments].concat(), key)
}

fn listed(data: &Path) -> String {
    said(&run(&["keys", "list", "--data", data.to_str().expect("a path")]))
}

#[test]
fn a_key_that_is_removed_is_refused_and_the_others_stay() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(&[("FLAGSTREAM_LIMITS__REVOKED_GRACE_SECONDS", "0")], data.path());
    add_key(data.path(), "sdk-leaving-4711", "server");
    let send = |key: &str| {
        let headers = [("authorization".to_owned(), key.to_owned())];
        server.send("POST", "/bulk", &headers, b"[]").0
    };
    server.until("the key is taken", || send("sdk-leaving-4711") == 202);
    let output = remove(data.path(), &["--ending", "4711"], "");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("…4711 removed") && !said(&output).contains("leaving"), "{}", said(&output));
    server.until("the key is refused", || send("sdk-leaving-4711") == 401);
    assert_eq!(send(SDK_KEY), 202);
}

#[test]
fn a_key_that_left_keeps_its_grace_over_restarts_and_one_that_leaves_between_them_gets_one() {
    let data = tempfile::tempdir().expect("a folder");
    let send = |server: &Server, key: &str| {
        let headers = [("authorization".to_owned(), key.to_owned())];
        server.send("POST", "/bulk", &headers, b"[]").0
    };
    let discarded = |server: &Server| {
        let (_, metrics) = server.send("GET", "/metrics", &[], b"");
        metrics.lines().filter(|line| line.contains("discarded") && !line.starts_with('#')).map(str::to_owned).collect()
    };
    add_key(data.path(), "sdk-first-4711", "server");
    add_key(data.path(), "sdk-second-4712", "server");
    drop(Server::start(data.path(), &[]));
    // Between two runs.
    assert!(remove(data.path(), &["--ending", "4711"], "").status.success());
    let server = Server::start(data.path(), &[]);
    assert_eq!((send(&server, "sdk-first-4711"), send(&server, "sdk-second-4712")), (202, 202));
    let before: Vec<String> = discarded(&server);
    assert!(before.iter().any(|line| line.ends_with(" 1")), "the removed key's payload was counted: {before:?}");
    // During one.
    assert!(remove(data.path(), &["--ending", "4712"], "").status.success());
    server.until("both are discarded", || {
        send(&server, "sdk-second-4712");
        discarded(&server).iter().any(|line: &String| line.ends_with(" 2"))
    });
    drop(server);
    let server = Server::start(data.path(), &[]);
    assert_eq!((send(&server, "sdk-first-4711"), send(&server, "sdk-second-4712")), (202, 202));
    assert_eq!((send(&server, "sdk-never"), send(&server, SDK_KEY)), (401, 202));
}

#[test]
fn what_is_removed_is_one_key_by_its_end_or_whole() {
    let data = tempfile::tempdir().expect("a folder");
    for (key, kind) in [("sdk-one-0815", "server"), ("sdk-two-0815", "server"), ("read-three-99", "read")] {
        add_key(data.path(), key, kind);
    }
    for (arguments, key, expected) in [
        (&["--ending", "0815"][..], "", "2 keys of default/development end so"),
        (&["--ending", "815"], "", "at least the 4 characters"),
        (&["--ending", "0000"], "", "has no such key"),
        (&["--kind", "mobile"], "sdk-one-0815", "has no such key"),
        (&["--project", "other", "--ending", "0815"], "", "has no such key"),
        (&[], "0815", "has no such key"),
        (&[], "", "no key on standard input"),
    ] {
        let output = remove(data.path(), arguments, key);
        assert!(!output.status.success() && said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(listed(data.path()).matches("…0815").count(), 2, "a refused removal took a key");
    let output = remove(data.path(), &[], "sdk-one-0815");
    assert!(output.status.success() && said(&output).contains("answered 202 for"), "{}", said(&output));
    assert_eq!(listed(data.path()).matches("…0815").count(), 1);
    let output = remove(data.path(), &["--ending", "e-99"], "");
    assert!(said(&output).contains("No read or admin key is left"), "{}", said(&output));
    assert!(!said(&output).contains("answered 202"), "{}", said(&output));
    let list = listed(data.path());
    assert!(list.contains("…0815") && !list.contains("read"), "{list}");

    let file = data.path().join("config.toml");
    let also = "[[environment]]\nproject = \"default\"\nkey = \"development\"\nserver_keys = [\"sdk-two-0815\"]";
    std::fs::write(&file, also).expect("write");
    let output = remove(data.path(), &["--ending", "0815", "--config", file.to_str().expect("a path")], "");
    assert!(said(&output).contains("still admitted"), "{}", said(&output));
}

#[test]
fn an_environment_that_is_new_and_a_directory_that_is_not_there_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a path");
    let output = run(&["keys", "list", "--data", data]);
    assert!(!output.status.success() && said(&output).contains("there is no data directory"), "{}", said(&output));
    let add = |environment: &str, key: &str| {
        said(&input(&["keys", "add", "--environment", environment, "--data", data], key))
    };
    assert!(add("production", "sdk-first-1").contains("default/production, a new environment."));
    assert!(add("production", "sdk-second-2").contains("default/production.\n"));
    assert!(add("prodution", "sdk-third-3").contains("default/prodution, a new environment."));
}

#[test]
fn a_key_that_is_refused_leaves_no_data_directory_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("flagstream.toml"));
    let environment = "[[environment]]\nproject = \"p\"\nkey = \"e\"\nserver_keys = [\"sdk-of-e-4711\"]\n";
    std::fs::write(&file, environment).expect("write the configuration");
    let (data_path, config) = (data.to_str().expect("a path"), file.to_str().expect("a path"));
    let arguments = ["keys", "add", "--environment", "other", "--data", data_path, "--config", config];
    let output = input(&arguments, "sdk-of-e-4711");
    assert!(!output.status.success() && said(&output).contains("belongs to p/e already"), "{}", said(&output));
    assert!(!data.exists());
}

#[test]
fn an_ending_may_begin_with_a_hyphen() {
    let data = tempfile::tempdir().expect("a folder");
    add_key(data.path(), "sdk-leaving-key", "server");
    let output = remove(data.path(), &["--ending", "-key"], "");
    assert!(output.status.success() && said(&output).contains("…-key removed"), "{}", said(&output));
}
