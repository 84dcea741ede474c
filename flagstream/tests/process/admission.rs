//! Keys and environments while the server runs: what a change of their files does, and what it must not do.

use std::path::Path;

use crate::command::add_key;
use crate::server::{SDK_KEY, Server};

const READ_KEY: &str = "read-0123456789";
const BOOKS: &str = "/v1/projects/default/environments/development/books";

fn status(server: &Server, key: &str) -> u16 {
    let headers = [("authorization".to_owned(), key.to_owned())];
    let headers = if key.is_empty() { &[][..] } else { &headers };
    server.send("GET", BOOKS, headers, b"").0
}

fn sends(server: &Server, key: &str) -> u16 {
    server.send("POST", "/bulk", &[("authorization".to_owned(), key.to_owned())], b"[]").0
}

fn write_keys(data: &Path, text: &str) {
    std::fs::write(data.join("keys.toml"), text).expect("write keys.toml");
}

#[test]
fn taking_the_last_read_key_away_does_not_open_a_public_address() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    add_key(data, READ_KEY, "read");
    let server = Server::start_on("0.0.0.0:0", data, &[]);
    assert_eq!((status(&server, ""), status(&server, READ_KEY)), (401, 200));

    let all = std::fs::read_to_string(data.join("keys.toml")).expect("keys.toml");
    write_keys(data, &all.replace(&format!("\"{READ_KEY}\""), ""));
    server.until_logged("the old keys stay", 1);
    assert_eq!((status(&server, ""), status(&server, READ_KEY)), (401, 200));

    write_keys(data, &all.replace(READ_KEY, "read-another"));
    server.until_logged("read the keys again", 1);
    assert_eq!((status(&server, ""), status(&server, READ_KEY), status(&server, "read-another")), (401, 401, 200));
}

#[test]
fn a_lost_emptied_or_broken_keys_file_leaves_the_keys_as_they_are() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let server = Server::start(data, &[]);
    let path = data.join("keys.toml");
    let all = std::fs::read_to_string(&path).expect("keys.toml");
    for (times, broken) in (1..).zip([None, Some(""), Some("[[environment]]\nproject = \"")]) {
        match broken {
            None => std::fs::remove_file(&path).expect("remove keys.toml"),
            Some(text) => write_keys(data, text),
        }
        server.until_logged("the old keys stay", times);
    }
    // A revoked key would be answered 202 as well, and its events thrown away: what counts is the number.
    assert_eq!(server.bulk("4dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", crate::command::SUMMARY).0, 202);
    server.settle();
    assert_eq!(server.get(BOOKS).1["counted"], 1);
    write_keys(data, &all.replace(SDK_KEY, "sdk-test-other"));
    server.until_logged("read the keys again", 1);
    assert_eq!(sends(&server, "sdk-test-other"), 202);
}

#[test]
fn keys_in_the_configuration_file_are_read_again() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let file = data.join("flagstream.toml");
    let write = |admin: &str, server: &str| {
        let environment = "[[environment]]\nproject = \"default\"\nkey = \"production\"";
        let text = format!("admin_keys = [\"{admin}\"]\n{environment}\nserver_keys = [\"{server}\"]\n");
        std::fs::write(&file, text).expect("write the configuration");
    };
    write("admin-first", "sdk-first");
    let server = Server::start(data, &["--config", file.to_str().expect("a path")]);
    assert_eq!((sends(&server, "sdk-first"), sends(&server, "sdk-second")), (202, 401));
    write("admin-second", "sdk-second");
    server.until_logged("other changes need a restart", 1);
    assert_eq!(sends(&server, "sdk-second"), 202);
    assert_eq!((status(&server, "admin-first"), status(&server, "admin-second")), (401, 200));
    std::fs::write(&file, "admin_keys = [").expect("write the configuration");
    server.until_logged("the old keys stay", 1);
    assert_eq!((sends(&server, "sdk-second"), status(&server, ""), status(&server, "admin-second")), (202, 401, 200));
}

#[test]
fn an_empty_admin_key_is_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let output = crate::server::flagstream()
        .args(["up", "--listen", "0.0.0.0:0", "--data", data.path().to_str().expect("a path")])
        .env("FLAGSTREAM_ADMIN_KEYS", "")
        .output()
        .expect("run flagstream");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("FLAGSTREAM_ADMIN_KEYS"), "{said}");
}
