//! What lands in the log is what was sent, and nothing lands of what was refused.

use bytes::Bytes;
use schemas::event::{Credential, PayloadId};
use schemas::record::{Header, StoredVariation};

use super::bench::{
    Bench, CLIENT_SIDE_ID, MOBILE_KEY, NOW_MS, SERVER_KEY, Says, chunked, environment, gzipped, post, summary,
};

const DAY_MS: i64 = 86_400_000;

/// The counters in the log, as (flag, variation, count, minute, clamped).
fn counters(bench: &Bench) -> Vec<(String, Option<u32>, u64, i64, bool)> {
    let mut found = Vec::new();
    for record in bench.records() {
        for row in record.view.counts() {
            let index = match row.variation {
                StoredVariation::Index(index) => Some(index),
                _ => None,
            };
            let flag = String::from_utf8(row.flag.to_vec()).unwrap();
            found.push((flag, index, row.count, row.minute, row.clamped));
        }
    }
    found
}

fn expected(time_ms: i64, clamped: bool) -> Vec<(String, Option<u32>, u64, i64, bool)> {
    let row = |index, count| ("checkout".to_owned(), index, count, time_ms / 60_000, clamped);
    vec![row(Some(0), 3), row(None, 2)]
}

#[tokio::test]
async fn a_summary_lands_once_however_it_is_framed() {
    let bench = Bench::new();
    let body = summary(NOW_MS - 90_000);
    let zipped = post(SERVER_KEY).header("content-encoding", "gzip").body(gzipped(body.as_bytes()).into()).unwrap();
    let pieces = body.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    let requests =
        [post(SERVER_KEY).body(body.clone().into()).unwrap(), zipped, post(SERVER_KEY).body(chunked(pieces)).unwrap()];
    for request in requests {
        assert_eq!(bench.send(request).await.status, 202);
        assert_eq!(counters(&bench), expected(NOW_MS - 90_000, false));
    }
    assert_eq!(bench.ingest.in_flight_bytes(), 0);
}

#[tokio::test]
async fn the_header_tells_whose_it_is() {
    let bench = Bench::new();
    bench.post(summary(NOW_MS)).await;
    let records = bench.records();
    let header = &records[0].header;
    assert_eq!(header.environment, environment());
    assert_eq!(header.id, Some(PayloadId::Sent(b"0b1c2d3e-0000-4000-8000-000000000001".to_vec())));
    assert_eq!((header.part, header.home, header.accepted, header.received_ms), (0, true, 1, NOW_MS));
    assert_eq!(records[0].view.credential(), Credential::Server);
    assert_eq!(
        (&records[0].view.sdk()[..], &records[0].view.sdk_version()[..]),
        (&b"NodeJSClient"[..], &b"9.13.7"[..])
    );
}

#[tokio::test]
async fn each_path_takes_its_own_keys() {
    let bench = Bench::new();
    let request = |path: &str, key: &str| {
        let request = http::Request::post(path).header("x-launchdarkly-event-schema", "4");
        let request = if key.is_empty() { request } else { request.header("authorization", key) };
        request.body(summary(NOW_MS).into()).unwrap()
    };
    let (browser, prefixed) = (format!("/events/bulk/{CLIENT_SIDE_ID}"), format!("api_key {MOBILE_KEY}"));
    let cases = [
        ("/bulk", SERVER_KEY, Ok(Credential::Server)),
        ("//bulk/", SERVER_KEY, Ok(Credential::Server)),
        ("/mobile", MOBILE_KEY, Ok(Credential::Mobile)),
        ("/mobile/events/bulk", &prefixed, Ok(Credential::Mobile)),
        (&browser, "", Ok(Credential::ClientSide)),
        ("/bulk", MOBILE_KEY, Err(401)),
        ("/mobile", SERVER_KEY, Err(401)),
        ("/bulk", "", Err(401)),
        ("/events/bulk/client-unknown", "", Err(401)),
    ];
    for (path, key, expected) in cases {
        let answer = bench.send(request(path, key)).await;
        let found = bench.records().first().map(|record| record.view.credential());
        assert_eq!(found.ok_or(answer.status), expected, "{path} {key}");
    }
}

#[tokio::test]
async fn times_are_judged_before_the_log() {
    let bench = Bench::new();
    bench.post(summary(NOW_MS + 3_600_000)).await;
    assert_eq!(counters(&bench), expected(NOW_MS, true));
    bench.post(summary(NOW_MS - 8 * DAY_MS)).await;
    let records = bench.records();
    assert_eq!((records[0].header.accepted, records[0].view.late(), records[0].view.counts().count()), (1, 1, 0));
}

/// A payload that makes records in both partitions.
fn experiment() -> String {
    let subject = |n: usize| {
        format!(
            r#"{{"kind":"feature","creationDate":{},"key":"checkout","value":true,"default":false,"variation":1,"version":7,
            "reason":{{"kind":"FALLTHROUGH","inExperiment":true}},"context":{{"kind":"user","key":"user-{n}"}}}}"#,
            NOW_MS - 1_000
        )
    };
    format!("[{}]", (0..20).map(subject).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn subjects_are_split_over_the_partitions() {
    let bench = Bench::new();
    assert_eq!(bench.post(experiment()).await.status, 202);
    let records = bench.records();
    assert_eq!(records.len(), 2);
    let mut acting = 0;
    for record in &records {
        for row in record.view.exposures() {
            for context in record.view.exposure_contexts(&row).filter(|context| context.key.is_some()) {
                let key = std::str::from_utf8(context.key.unwrap()).unwrap();
                assert_eq!(schemas::partition::subject(&environment(), "user", key, 2), record.partition);
                acting += 1;
            }
        }
    }
    assert_eq!((acting, records.iter().map(|record| record.header.accepted).sum::<u64>()), (20, 20));
}

#[tokio::test]
async fn a_payload_sent_again_makes_the_same_records() {
    let bench = Bench::new();
    bench.post(experiment()).await;
    let first = bench.appended();
    bench.post(experiment()).await;
    assert_eq!(first, bench.appended(), "at the same time, byte by byte");
    // Later, even so late that its events are late: the same ids at the same places.
    for later_ms in [1_000, 5 * DAY_MS, 30 * DAY_MS] {
        bench.set_now(NOW_MS + later_ms);
        bench.post(experiment()).await;
        let again = bench.appended();
        let plain = |append: &schemas::log::Append| {
            let header = Header { received_ms: 0, ..Header::decode(&append.header).unwrap() };
            (append.partition, header.record_id(), header)
        };
        assert_eq!(first.iter().map(plain).collect::<Vec<_>>(), again.iter().map(plain).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn nothing_lands_of_what_is_refused() {
    let bench = Bench::new();
    let long = Bench::with(crate::limits::Limits { body_bytes_max: 100, ..Default::default() });
    let refusals = [
        bench.send(post("sdk-unknown-0001").body(summary(NOW_MS).into()).unwrap()).await,
        bench.post("[{]").await,
        bench.send(post(SERVER_KEY).header("content-encoding", "gzip").body("no gzip".into()).unwrap()).await,
        long.post(summary(NOW_MS)).await,
    ];
    assert_eq!(refusals.each_ref().map(|answer| answer.status), [401, 400, 400, 413]);
    assert_eq!((bench.appended(), long.appended()), (vec![], vec![]));
    assert_eq!((bench.ingest.in_flight_bytes(), long.ingest.in_flight_bytes()), (0, 0));
}

#[tokio::test]
async fn a_payload_without_anything_valid_makes_no_record() {
    let bench = Bench::new();
    assert_eq!(bench.post("[]").await.status, 202);
    assert_eq!(bench.post(r#"[{"kind":"novel"}]"#).await.status, 202);
    assert_eq!(bench.appended(), []);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_is_a_503_and_the_budget_comes_back() {
    let bench = Bench::new();
    for says in [Says::Full, Says::Poisoned] {
        bench.log_says(says);
        let answer = bench.post(summary(NOW_MS)).await;
        assert_eq!((answer.status, answer.code()), (503, "unavailable".into()), "{says:?}");
        assert_eq!((bench.ingest.in_flight_bytes(), bench.appended()), (0, vec![]));
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
    }
    bench.log_says(Says::Done);
    assert_eq!(bench.post(summary(NOW_MS)).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_says_nothing_is_a_503_after_five_seconds() {
    let bench = Bench::new();
    bench.log_says(Says::Nothing);
    let start = tokio::time::Instant::now();
    assert_eq!(bench.post(summary(NOW_MS)).await.status, 503);
    assert_eq!((start.elapsed().as_millis(), bench.ingest.in_flight_bytes()), (5_000, 0));
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_log() {
    let bench = Bench::new();
    bench.log_says(Says::Nothing);
    let mut answer = Box::pin(bench.post(summary(NOW_MS)));
    let early = tokio::time::timeout(std::time::Duration::from_secs(4), &mut answer).await;
    assert!(early.is_err() && bench.ingest.in_flight_bytes() > 0, "answered before the log did");
    bench.log_says(Says::Done);
    assert_eq!(answer.await.status, 202);
    assert_eq!((bench.records().len(), bench.ingest.in_flight_bytes()), (1, 0));
}
