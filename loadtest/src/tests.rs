//! Clients against the stand-in, over HTTP: with each fault, and without.

use crate::check::{Verdict, check};
use crate::environments::Target;
use crate::expected::Unanswered;
use crate::ledger::{Ledger, Line, Run};
use crate::load::{Load, Plan, Progress, now_ms, settle};
use crate::stand_in::{Arguments, Fault, StandIn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The verdicts before and after settling, when a stand-in errs so at every `every` payloads out of about 2,000.
async fn verdicts(fault: Option<Fault>, every: u64, unanswered: Unanswered) -> [Verdict; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let arguments = Arguments {
        data: folder.path().join("data"),
        listen: ([127, 0, 0, 1], 0).into(),
        sdk_key: "key".into(),
        environments: 0,
        fault,
        every,
    };
    let stand_in = StandIn::start(arguments).await.unwrap();
    let address = stand_in.address().unwrap();
    let server = tokio::spawn(stand_in.serve(std::future::pending()));
    let ledger = Arc::new(Ledger::open(&path).unwrap());
    ledger.write(&Line::Run(Run { run: 1, seed: 7, clients: 8, at_ms: now_ms() })).unwrap();
    let plan = Plan {
        address,
        target: Target::default_under("key"),
        clients: 8,
        seed: 7,
        run: 1,
        rate: None,
        payloads: Some(2_000),
        gzip_share: 0.3,
        duplicate_share: 0.05,
    };
    let progress = Progress::new().unwrap();
    let mut load = Load::start(plan, Arc::clone(&ledger), Arc::clone(&progress));
    let mut unsettled = Vec::new();
    load.done(&mut unsettled).await.unwrap();
    assert!(progress.duplicates.load(Ordering::Relaxed) > 20);
    let limit = Duration::from_secs(10);
    let before = check(address, None, &path, unanswered, limit).await.unwrap();
    settle(address, &ledger, &progress, unsettled).await.unwrap();
    let after = check(address, None, &path, unanswered, limit).await.unwrap();
    server.abort();
    [before, after]
}

/// What a fault at every 1,000th payload comes to, as the first difference's name, or `holds`.
async fn with(fault: Option<Fault>, unanswered: Unanswered) -> [String; 2] {
    verdicts(fault, 1_000, unanswered).await.map(|verdict| {
        assert_eq!(verdict.holds, verdict.differences.is_empty());
        assert_eq!(verdict.totals.payloads, 2_000);
        verdict.differences.first().map_or("holds".to_owned(), |first| first.what.clone())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_counts_right_holds_exactly() {
    for unanswered in [Unanswered::Unknown, Unanswered::NotAccepted] {
        let [before, after] = verdicts(None, 1_000, unanswered).await;
        assert!(before.holds && after.holds, "{after:?}");
        assert_eq!((after.totals.acknowledged, after.totals.unknown), (2_000, 0));
        assert_eq!(after.counted_evaluations, after.totals.acknowledged_evaluations);
        assert!(after.duplicate_elements > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_two_thousand_payloads_lost_doubled_or_moved_are_found() {
    for fault in [Fault::Lose, Fault::Double, Fault::Shift] {
        for found in with(Some(fault), Unanswered::Unknown).await {
            assert!(found.starts_with("evaluations of flag"), "{fault:?}: {found}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_do_not_balance_are_found() {
    for found in with(Some(Fault::Misbook), Unanswered::Unknown).await {
        assert!(found.starts_with("books of"), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counted_payload_without_an_answer_holds_only_where_servers_may_die() {
    assert_eq!(with(Some(Fault::Mute), Unanswered::Unknown).await, ["holds", "holds"]);
    for found in with(Some(Fault::Mute), Unanswered::NotAccepted).await {
        assert!(found.starts_with("books, all days: accepted"), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counted_payload_that_was_denied_holds() {
    assert_eq!(with(Some(Fault::Deny), Unanswered::Unknown).await, ["holds", "holds"]);
}

#[tokio::test]
async fn a_refused_client_falls_silent() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = Arguments {
        data: folder.path().join("data"),
        listen: ([127, 0, 0, 1], 0).into(),
        sdk_key: "key".into(),
        environments: 0,
        fault: None,
        every: 1,
    };
    let stand_in = StandIn::start(arguments).await.unwrap();
    let address = stand_in.address().unwrap();
    let server = tokio::spawn(stand_in.serve(std::future::pending()));
    let ledger = Arc::new(Ledger::open(&folder.path().join("ledger")).unwrap());
    let plan = Plan {
        address,
        target: Target::default_under("wrong"),
        clients: 3,
        seed: 1,
        run: 1,
        rate: Some(1_000.0),
        payloads: None,
        gzip_share: 0.0,
        duplicate_share: 0.0,
    };
    let progress = Progress::new().unwrap();
    let mut load = Load::start(plan, ledger, Arc::clone(&progress));
    load.done(&mut Vec::new()).await.unwrap();
    let read = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    assert_eq!((read(&progress.silenced), read(&progress.refused), read(&progress.attempts)), (3, 3, 3));
    server.abort();
}

/// Takes one request after another and answers each with the next of `statuses`: the requests, and when each came.
/// At each, the ledger must already have the line of its send.
async fn recorder(listener: TcpListener, statuses: &[u16], ledger: &std::path::Path) -> Vec<(Instant, String)> {
    let mut taken = Vec::new();
    let (mut stream, _) = listener.accept().await.unwrap();
    for status in statuses {
        let mut request = String::new();
        let body_end = loop {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            if read == 0 {
                return taken;
            }
            request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            if request.ends_with("\r\n0\r\n\r\n") {
                break Instant::now();
            }
        };
        let (mut sends, mut answers) = (0, 0);
        crate::ledger::read(ledger, |line| {
            match line {
                Line::Send(attempt) => sends += i32::from(request.contains(&attempt.payload)),
                Line::Answer(_) => answers += 1,
                Line::Run(_) | Line::Contents(_) => {}
            }
            Ok(())
        })
        .unwrap();
        assert_eq!((sends, answers), (taken.len() as i32 + 1, taken.len()), "before the send, after the answer");
        taken.push((body_end, request));
        stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    }
    taken
}

/// One client, one payload, these answers: how many attempts it made, and whether the payload is settled.
async fn attempts(statuses: &[u16]) -> (Vec<(Instant, String)>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan {
        address: listener.local_addr().unwrap(),
        target: Target::default_under("key"),
        clients: 1,
        seed: 1,
        run: 1,
        rate: None,
        payloads: Some(1),
        gzip_share: 0.0,
        duplicate_share: 0.0,
    };
    let ledger = Arc::new(Ledger::open(&path).unwrap());
    let progress = Progress::new().unwrap();
    let mut load = Load::start(plan, ledger, Arc::clone(&progress));
    let mut unsettled = Vec::new();
    let (taken, done) = tokio::join!(recorder(listener, statuses, &path), load.done(&mut unsettled));
    done.unwrap();
    assert_eq!(progress.attempts.load(Ordering::Relaxed), taken.len() as u64);
    (taken, unsettled.is_empty())
}

#[tokio::test]
async fn a_payload_is_sent_once_more_after_a_second_with_the_same_bytes() {
    for (statuses, settled) in [(&[503, 202][..], true), (&[400, 500], false)] {
        let (taken, is_settled) = attempts(statuses).await;
        assert_eq!(is_settled, settled, "{statuses:?}");
        let [(first_at, first), (second_at, second)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(first, second);
        assert!(second_at.duration_since(*first_at) >= Duration::from_secs(1));
    }
    assert!(attempts(&[202]).await.1);
    assert!(attempts(&[413]).await.1, "refused is settled too: it must not be counted");
}
