//! Bad input at the real process: every answer is one that its SDK survives, nothing of it is counted or moves a
//! terminal, and the process goes on counting.

use serde_json::{Value, json};

use crate::command::{SUMMARY, run, said};
use crate::server::{SDK_KEY, Server};

const ENVIRONMENT: &str = "/v1/projects/default/environments/development";
/// A byte over the default limit of a body on the wire.
const TOO_LONG: usize = 5 * 1024 * 1024 + 1;

/// What it is, headers more, body, and the answer's status.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);

fn post(server: &Server, more: &[(&str, &str)], body: &[u8]) -> u16 {
    let mut headers = vec![("content-type", "application/json"), ("x-launchdarkly-event-schema", "4")];
    if !more.iter().any(|(name, _)| *name == "authorization") {
        headers.push(("authorization", SDK_KEY));
    }
    headers.extend(more);
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    server.send("POST", "/bulk", &headers, body).0
}

fn summary_of(flags: &[&str]) -> String {
    let counters = json!([{"variation": 1, "version": 3, "value": true, "count": 2}]);
    let feature = |flag: &&str| ((*flag).to_owned(), json!({"default": false, "counters": counters}));
    let features: serde_json::Map<String, Value> = flags.iter().map(feature).collect();
    json!([{"kind": "summary", "features": features}]).to_string()
}

#[test]
fn bad_input_is_answered_and_the_next_good_payload_is_counted() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let long = vec![b' '; TOO_LONG];
    let deep = "[".repeat(100_000);
    let cases: [Case<'_>; 9] = [
        ("malformed JSON", &[], b"[{\"kind\":", 400),
        ("no JSON", &[], b"\x00\xff\xfe", 400),
        ("bad gzip", &[("content-encoding", "gzip")], b"no gzip", 400),
        ("gzip that breaks off", &[("content-encoding", "gzip")], b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x00", 400),
        ("a wrong key", &[("authorization", "sdk-nobody-0001")], SUMMARY.as_bytes(), 401),
        ("too long, to an SDK that survives 413", &[("user-agent", "NodeJSClient/9.13.7")], &long, 413),
        ("too long, to one that would fall silent", &[("user-agent", "PythonClient/9.12.0")], &long, 400),
        ("an event of no kind", &[], b"[{\"kind\":\"no-such\"}]", 202),
        ("nested too deeply", &[], deep.as_bytes(), 400),
    ];
    for (what, headers, body, status) in cases {
        assert_eq!(post(&server, headers, body), status, "{what}");
    }

    let long_key = "k".repeat(257);
    let hostile =
        ["\u{1b}[2J\u{202e}\u{200b}", "<script>alert(1)</script>", "../../etc/passwd", "a\u{0}b", "", &long_key];
    assert_eq!(post(&server, &[], summary_of(&hostile).as_bytes()), 202);
    assert_eq!(server.bulk("4dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", SUMMARY).0, 202);
    server.settle();

    let (_, answer) = server.get(&format!("{ENVIRONMENT}/evaluations?limit=1000"));
    let mut counted: Vec<(&str, u64)> = Vec::new();
    for item in answer["items"].as_array().expect("items") {
        counted.push((item["flag"].as_str().expect("a flag"), item["count"].as_u64().expect("a count")));
    }
    counted.sort_unstable();
    assert_eq!(counted, [(hostile[0], 2), (hostile[2], 2), (hostile[1], 2), ("hello", 7)]);
    let table = said(&run(&["evaluations", "--server", &server.url]));
    assert!(table.contains("\\u{1b}[2J\\u{202e}\\u{200b}") && !table.contains(['\u{1b}', '\u{202e}']), "{table}");

    let (_, books) = server.get(&format!("{ENVIRONMENT}/books"));
    assert_eq!((&books["accepted"], &books["counted"]), (&json!(2), &json!(2)), "{books}");
    let rejected = json!({
        "bad_compression": 2, "malformed_payload": 2, "payload_too_large": 2, "too_deep": 1, "unknown_kind": 1, "invalid_key": 3,
    });
    assert_eq!(books["rejected"], rejected, "{books}");
    assert!(server.stop().success(), "the process ends as one that is well");
}
