//! Loads against the stand-in and against a server that is slow.

mod python;

use super::report::{Ended, Report};
use super::{Arguments, send};
use crate::check::{Verdict, check};
use crate::expected::Unanswered;
use crate::stand_in::{self, Fault, StandIn};
use clap::Parser;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    arguments: Arguments,
}

/// What the command line says, with few and small payloads.
fn arguments(address: SocketAddr, ledger: Option<&Path>, words: &str) -> Arguments {
    let small = "--payloads 50 --bytes-max 5000 --refresh-seconds 1 --progress-seconds 0 --late-ms 400";
    let words = format!("send --server http://{address} {small} {words}");
    let ledger = ledger.map(|path| format!("--ledger={}", path.display()));
    Words::parse_from(words.split(' ').map(str::to_owned).chain(ledger)).arguments
}

/// A load against a stand-in, and what the check says then.
async fn load(words: &str, fault: Option<Fault>, interrupted: impl Future<Output = ()>) -> (Report, Verdict) {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(stand_in::Arguments {
        data: folder.path().join("data"),
        listen: ([127, 0, 0, 1], 0).into(),
        sdk_key: "key".into(),
        environments: 3,
        fault,
        every: 40,
    });
    let stand_in = stand_in.await.unwrap();
    let address = stand_in.address().unwrap();
    let server = tokio::spawn(stand_in.serve(std::future::pending()));
    let ledger = folder.path().join("ledger");
    let report = send(&arguments(address, Some(&ledger), words), interrupted).await.unwrap();
    let verdict = check(address, None, &ledger, Unanswered::Unknown, Duration::from_secs(10)).await.unwrap();
    server.abort();
    (report, verdict)
}

const WORDS: &str = "--environments 3 --requests-per-second 200 --arrivals even --seconds 1 --connections 8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_load_sent_is_what_the_server_counted_in_each_environment() {
    let (report, verdict) = load(WORDS, None, std::future::pending()).await;
    assert!(verdict.holds, "{verdict:?}");
    assert_eq!((report.ended, report.schedule.as_ref().unwrap().intended), (Ended::Sent, 200));
    assert_eq!((report.requests, report.acknowledged), (200, 200));
    assert_eq!(verdict.environments, 3);
    assert_eq!(verdict.totals.acknowledged_evaluations, verdict.counted_evaluations);
    let totals = [verdict.totals.acknowledged_evaluations, verdict.totals.acknowledged_elements];
    assert_eq!(totals, [report.evaluations, report.events]);
    // Diagnostics hold no events and are in no ledger.
    assert!((190..=200).contains(&verdict.totals.payloads), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_lost_is_found_with_its_environment() {
    let (_, verdict) = load(WORDS, Some(Fault::Lose), std::future::pending()).await;
    assert!(verdict.differences[0].what.starts_with("load/environment-"), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_answered_503_is_sent_again_with_its_id() {
    let (report, verdict) = load(WORDS, Some(Fault::Deny), std::future::pending()).await;
    assert!(verdict.holds, "{verdict:?}");
    let denied = report.statuses.iter().find(|status| status.answer == "503").unwrap().requests;
    assert!(denied >= 4, "one in forty: {denied}");
    assert_eq!(verdict.totals.attempts, verdict.totals.payloads + denied);
    assert!(verdict.duplicate_elements > 0 && verdict.totals.unknown == 0, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_interrupted_reports_what_it_did() {
    let words = "--environments 3 --events-per-second 1000 --seconds 600 --connections 4";
    let (report, verdict) = load(words, None, tokio::time::sleep(Duration::from_millis(500))).await;
    assert!(verdict.holds, "{verdict:?}");
    assert_eq!(report.ended, Ended::Interrupted);
    assert!(report.acknowledged > 0 && report.seconds < 20.0, "{report:?}");
}

/// Answers 202 to whatever comes, one request at a time on each connection, after a wait.
async fn slow_server(wait: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut bytes = [0; 65_536];
                // A request is far smaller than what the loopback hands over at once.
                while stream.read(&mut bytes).await.unwrap() > 0 {
                    tokio::time::sleep(wait).await;
                    stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    address
}

/// 40 requests in a second over two connections that take 0.1 s each: the last is answered a second late. A closed loop
/// would call it 0.1 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_not_spared_the_requests_that_would_have_met_it() {
    let address = slow_server(Duration::from_millis(100)).await;
    let words = "--sdk-key key --requests-per-second 40 --arrivals even --seconds 1 --connections 2 --chunked 0";
    let report = send(&arguments(address, None, words), std::future::pending()).await.unwrap();
    let latency = report.statuses[0].latency_ms;
    assert!(latency.max >= 900.0, "{latency:?}");
    assert!(report.service_ms.p50 >= 99.0 && report.service_ms.p50 < latency.p50, "{report:?}");
    let schedule = report.schedule.as_ref().unwrap();
    assert!(!schedule.held && schedule.late > 0 && schedule.late_for_connection == schedule.late, "{schedule:?}");
    assert!(!report.is_good());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_without_a_rate_keeps_each_connection_busy() {
    let address = slow_server(Duration::from_millis(20)).await;
    let words = "--sdk-key key --saturate --seconds 0.5 --connections 4 --chunked 0";
    let report = send(&arguments(address, None, words), std::future::pending()).await.unwrap();
    assert!(report.schedule.is_none() && report.is_good());
    // No more than every connection can take, and not so few that one of them was idle.
    assert!((12..=104).contains(&report.requests), "{}", report.requests);
}

/// Time is up before all is sent: what was not begun is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_though_the_server_is_far_too_slow() {
    let address = slow_server(Duration::from_millis(100)).await;
    let words = "--sdk-key key --requests-per-second 200 --seconds 0.5 --drain-seconds 0.2 --connections 1 --chunked 0";
    let report = send(&arguments(address, None, words), std::future::pending()).await.unwrap();
    let schedule = report.schedule.as_ref().unwrap();
    assert!(report.ended == Ended::Behind && schedule.begun < schedule.intended && !schedule.held, "{schedule:?}");
}

/// Time is up while answers are still awaited: all was begun, and the schedule was held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_still_waits_for_answers_at_the_end_has_sent_all() {
    let address = slow_server(Duration::from_millis(700)).await;
    let words = "--sdk-key key --requests-per-second 20 --arrivals even --seconds 0.2 --drain-seconds 0.2 \
                 --connections 8 --chunked 0";
    let report = send(&arguments(address, None, words), std::future::pending()).await.unwrap();
    assert_eq!((report.ended, report.acknowledged), (Ended::Sent, report.schedule.as_ref().unwrap().intended));
}
