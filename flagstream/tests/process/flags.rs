//! Flag metadata over the real process.

use serde_json::json;

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
