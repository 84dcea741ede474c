//! `flagstream stale`: every form against a real server, and its exit codes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::command::{SUMMARY, run, said};
use crate::server::Server;

#[test]
fn every_form_of_the_report_is_printed() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.bulk("6dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", SUMMARY).0, 202);
    server.settle();
    let of = |arguments: &[&str]| run(&[&["stale", "--server", &server.url], arguments].concat());
    for (arguments, part) in [
        (&[][..], "no flag of project default is stale\n1 other flag is not stale; --all shows them"),
        (&["--all"], "but too young"),
        (&["--csv"], "\nhello,,active,false,"),
        (&["--markdown", "--environment", "development"], "| hello | development | active | false |"),
        (&["--json"], "\"stale\":false"),
        (&["--fail-on", "stale,READY_TO_ARCHIVE"], "no flag of project default is stale"),
    ] {
        let output = of(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        assert!(said(&output).replace('\r', "").contains(part), "{arguments:?}: {}", said(&output));
    }
    for (arguments, code, part) in [
        (&["--environment", "nowhere"][..], 1, "no environment `default/nowhere`; configured: default/development"),
        (&["--project", "nowhere"], 1, "no project `nowhere`"),
        (&["--csv", "--critical", "nowhere"], 1, "no environment `default/nowhere`"),
        (&["--fail-on", "READY"], 1, "allowed: stale, READY_FOR_CODE_REMOVAL"),
        (&["--csv", "--json"], 2, "cannot be used with"),
    ] {
        let output = of(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
}

/// A server that gives this answer to everybody.
fn answering(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut line = String::new();
            while stream.read_line(&mut line).expect("a line") > 2 {
                line.clear();
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            write!(stream.get_mut(), "{head}{body}").expect("answer");
        }
    });
    format!("http://{address}")
}

#[test]
fn a_match_of_fail_on_ends_with_three_in_every_form() {
    let server = answering(
        r#"{"items": [{"key": "old", "stale": true, "advice": "READY_TO_ARCHIVE", "reasons": []}], "complete": true}"#,
    );
    for (arguments, code) in [
        (&["--fail-on", "stale"][..], 3),
        (&["--fail-on", "READY_FOR_CODE_REMOVAL,READY_TO_ARCHIVE"], 3),
        (&["--json", "--fail-on", "stale"], 3),
        (&["--csv", "--fail-on", "stale"], 3),
        (&["--fail-on", "READY_FOR_CODE_REMOVAL"], 0),
        (&["--csv"], 0),
        (&[], 0),
    ] {
        let output = run(&[&["stale", "--server", &server], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    }
}
