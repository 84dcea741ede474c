//! `flagstream stale`: every form against a real server, and its exit codes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
        (&["--all"], "hello"),
        (&["--csv"], "\"codePlaces\",\"coverageMeasured\"\n"),
        (&["--csv", "--all"], "\n\"hello\",\"\",\"active\",\"false\","),
        (&["--markdown"], "\n0 of 1 flags, as of "),
        (&["--markdown", "--all", "--environment", "development"], "| `hello` | In use | – | – | – |"),
        (&["--json"], "\"stale\":false"),
        (&["--backtest", "--csv"], "\"key\",\"calledOn\","),
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
        (&["--fail-on", "READY"], 2, "possible values: stale, READY_FOR_CODE_REMOVAL"),
        (&["--help"], 0, "- NO_CODE_REFS:           code was looked through, and none names it"),
        (&["--critical", ""], 2, "a value is required for '--critical"),
        (&["--csv", "--json"], 2, "cannot be used with"),
    ] {
        let output = of(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
}

/// A server that gives the answers in turn, and the last to everybody after; and how often it was asked.
fn answering(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut line = String::new();
            while stream.read_line(&mut line).expect("a line") > 2 {
                line.clear();
            }
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let answer = answers[number.min(answers.len() - 1)];
            let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or(("x-none: x", answer));
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n\r\n");
            write!(stream.get_mut(), "{head}{body}").expect("answer");
        }
    });
    (format!("http://{address}"), asked)
}

const COMPLETE: &str =
    r#"{"items": [{"key": "old", "stale": true, "advice": "READY_TO_ARCHIVE", "reasons": []}], "complete": true}"#;
const LAGGING: &str =
    r#"{"items": [{"key": "old", "stale": true, "advice": "READY_TO_ARCHIVE", "reasons": []}], "complete": false}"#;
const CSV: &str = "x-flagstream-complete: true\r\nx-flagstream-found: READY_TO_ARCHIVE,stale\r\n\r\nkey\r\nold\r\n";

#[test]
fn a_match_of_fail_on_ends_with_three_in_every_form_and_the_server_is_asked_once() {
    for (answer, arguments, code) in [
        (&[COMPLETE], &["--fail-on", "stale"][..], 3),
        (&[COMPLETE], &["--fail-on", "READY_FOR_CODE_REMOVAL,READY_TO_ARCHIVE"], 3),
        (&[COMPLETE], &["--json", "--fail-on", "stale"], 3),
        (&[CSV], &["--csv", "--fail-on", "stale"], 3),
        (&[CSV], &["--markdown", "--fail-on", "ready_to_archive"], 3),
        (&[CSV], &["--csv", "--fail-on", "SINGLE_VARIATION"], 0),
        (&[COMPLETE], &["--fail-on", "READY_FOR_CODE_REMOVAL"], 0),
        (&[CSV], &["--csv"], 0),
        (&[LAGGING], &[], 0),
    ] {
        let (server, asked) = answering(answer);
        let output = run(&[&["stale", "--server", &server], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{arguments:?}");
    }
}

#[test]
fn fail_on_waits_for_numbers_that_are_complete_and_says_when_there_are_none() {
    let (server, asked) = answering(&[LAGGING, COMPLETE]);
    let output = run(&["stale", "--server", &server, "--fail-on", "stale"]);
    assert_eq!((output.status.code(), asked.load(Ordering::SeqCst)), (Some(3), 2), "{}", said(&output));
    assert!(said(&output).contains("waiting up to 10 s"), "{}", said(&output));
    let (server, _) = answering(&[LAGGING]);
    let output = run(&["stale", "--server", &server, "--fail-on", "stale"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("still lag the log after 10 s"), "{}", said(&output));
}
