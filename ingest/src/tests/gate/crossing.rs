//! Which paths a payload takes in each stage, in which order, and what its sender is told.

use futures_util::FutureExt;
use schemas::old_path::Gated as Mark;
use schemas::record::Header;

use super::super::bench::{NOW_MS, Says, by_code, environment, summary};
use super::Gated;
use crate::gate::{OldAnswer, Stage};
use crate::limits::Limits;

/// The gate's mark on each record appended since the last call.
fn marks(gated: &Gated) -> Vec<Mark> {
    gated.bench.appended().iter().map(|append| Header::decode(&append.header).unwrap().gated).collect()
}

#[tokio::test]
async fn each_stage_writes_its_paths_the_log_first() {
    for stage in Stage::ALL {
        let gated = Gated::new(stage).await;
        let answer = gated.bench.post(summary(NOW_MS)).await;
        gated.settle().await;
        let written: Vec<_> = gated.writes().into_iter().map(|w| (w.payload.stage, w.records_before)).collect();
        let (marks_expected, written_expected) = match stage {
            Stage::Off => (vec![], vec![(stage, 0)]),
            Stage::Shadow | Stage::Live => (vec![Mark::Both], vec![(stage, 1)]),
            Stage::Complete => (vec![Mark::NewOnly], vec![]),
        };
        assert_eq!((answer.status, marks(&gated), written), (202, marks_expected, written_expected), "{stage}");
        let accepted = u64::from(stage.writes_new());
        assert_eq!(gated.bench.ingest.metrics().accepted.get(), accepted, "{stage}: elements in the log");
        gated.metric(&format!("payloads_total{{stage=\"{stage}\"}} 1"));
        gated.metric("old_waiting 0");
        assert_eq!((gated.refused().len(), gated.bench.ingest.in_flight_bytes()), (0, 0));
    }
}

#[tokio::test]
async fn the_old_path_waits_for_the_logs_word() {
    for stage in [Stage::Shadow, Stage::Live] {
        let gated = Gated::new(stage).await;
        gated.bench.log_says(Says::Nothing);
        let mut answer = Box::pin(gated.bench.post(summary(NOW_MS)));
        assert!((&mut answer).now_or_never().is_none());
        gated.settle().await;
        assert_eq!(gated.writes().len(), 0, "{stage}: written before the log had it");
        gated.bench.log_says(Says::Done);
        assert_eq!(answer.await.status, 202);
        gated.settle().await;
        assert_eq!(gated.writes().iter().map(|write| write.records_before).collect::<Vec<_>>(), [1], "{stage}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_append_fails_the_old_path_is_not_touched() {
    for stage in [Stage::Shadow, Stage::Live] {
        for says in [Says::Full, Says::Busy, Says::Unknown, Says::Poisoned, Says::Nothing] {
            let gated = Gated::new(stage).await;
            gated.bench.log_says(says);
            let answer = gated.bench.post(summary(NOW_MS)).await;
            gated.settle().await;
            let touched = (gated.writes().len(), gated.refused().len());
            assert_eq!((answer.status, touched), (503, (0, 0)), "{stage}, {says:?}");
            assert_eq!((gated.gate.old_waiting(), gated.bench.ingest.in_flight_bytes()), (0, 0), "{stage}, {says:?}");
        }
    }
}

#[tokio::test]
async fn what_the_old_path_did_not_write_is_a_503_where_it_is_waited_for() {
    for (stage, status, records) in
        [(Stage::Off, 503, 0), (Stage::Shadow, 503, 1), (Stage::Live, 202, 1), (Stage::Complete, 202, 1)]
    {
        let gated = Gated::new(stage).await;
        gated.old_says(Some(OldAnswer::NotWritten));
        let answer = gated.bench.post(summary(NOW_MS)).await;
        assert_eq!((answer.status, gated.bench.appended().len()), (status, records), "{stage}");
        gated.metric(&format!("old_unwritten_total {}", u8::from(status == 503)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_path_that_says_nothing_is_waited_for_five_seconds_and_only_where_it_counts() {
    for (stage, status, waited_ms) in
        [(Stage::Off, 503, 5_000), (Stage::Shadow, 503, 5_000), (Stage::Live, 202, 0), (Stage::Complete, 202, 0)]
    {
        let gated = Gated::new(stage).await;
        gated.old_says(None);
        let start = tokio::time::Instant::now();
        let answer = gated.bench.post(summary(NOW_MS)).await;
        assert_eq!((answer.status, start.elapsed().as_millis()), (status, waited_ms), "{stage}");
        gated.settle().await;
        let under_way = usize::from(stage.writes_old());
        assert_eq!(gated.gate.old_waiting(), under_way, "{stage}: the write goes on");
        gated.old_says(Some(OldAnswer::Written));
        gated.settle().await;
        assert_eq!(gated.gate.old_waiting(), 0);
    }
}

#[tokio::test]
async fn in_off_the_log_is_not_asked_and_gets_nothing() {
    let gated = Gated::new(Stage::Off).await;
    gated.bench.log_says(Says::Poisoned);
    for body in ["nonsense", r#"[{"kind":"novel"}]"#, "[]", &summary(NOW_MS), &summary(NOW_MS)] {
        assert_eq!(gated.bench.post(body.to_owned()).await.status, if body == "nonsense" { 400 } else { 202 });
    }
    assert_eq!(gated.writes().len(), 2, "a payload without rows is not written");
    gated.bench.log_says(Says::Done);
    assert_eq!(gated.bench.books().await, (0, Default::default(), 0));
}

#[tokio::test]
async fn out_of_off_the_books_are_kept_again() {
    let gated = Gated::new(Stage::Complete).await;
    gated.bench.post("nonsense").await;
    gated.bench.post(r#"[{"kind":"novel"}]"#).await;
    let (_, rejected, _) = gated.bench.books().await;
    assert_eq!(rejected.into_iter().collect::<Vec<_>>(), [("malformed_payload".into(), 1), ("unknown_kind".into(), 1)]);
}

/// The stage of a payload is read when it is there whole, and never again.
#[tokio::test]
async fn a_payload_keeps_its_stage() {
    for (before, after) in [(Stage::Shadow, Stage::Off), (Stage::Shadow, Stage::Live), (Stage::Live, Stage::Complete)] {
        let gated = Gated::new(before).await;
        gated.bench.log_says(Says::Nothing);
        let mut answer = Box::pin(gated.bench.post(summary(NOW_MS)));
        while gated.bench.ingest.0.gate.as_ref().unwrap().old_waiting() == 0 {
            assert!((&mut answer).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        gated.go(after).await;
        gated.old_says(None);
        gated.bench.log_says(Says::Done);
        if before.waits_for_old() {
            gated.settle().await;
            assert!((&mut answer).now_or_never().is_none(), "{before} → {after}: did not wait");
        }
        let says = before.waits_for_old().then_some(OldAnswer::Written);
        gated.old_says(says);
        let status = answer.await.status;
        gated.old_says(Some(OldAnswer::Written));
        gated.settle().await;
        let stages: Vec<_> = gated.writes().into_iter().map(|write| write.payload.stage).collect();
        assert_eq!((status, marks(&gated), stages), (202, vec![Mark::Both], vec![before]), "{before} → {after}");
    }
}

#[tokio::test]
async fn a_body_that_came_slowly_has_the_stage_of_its_end() {
    let gated = Gated::new(Stage::Shadow).await;
    let (send, pieces) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::convert::Infallible>>(1);
    let body = futures_util::stream::unfold(pieces, |mut from| async { Some((from.recv().await?, from)) });
    let mut answer = Box::pin(gated.bench.post(axum::body::Body::from_stream(body)));
    assert!((&mut answer).now_or_never().is_none());
    gated.go(Stage::Off).await;
    send.try_send(Ok(summary(NOW_MS).into())).unwrap();
    drop(send);
    assert_eq!((answer.await.status, gated.bench.appended().len(), gated.writes().len()), (202, 0, 1));
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_no_record_without_its_write() {
    for stage in [Stage::Off, Stage::Shadow, Stage::Live] {
        let gated = Gated::new(stage).await;
        gated.bench.log_says(Says::Nothing);
        gated.old_says(None);
        let mut answer = Box::pin(gated.bench.post(summary(NOW_MS)));
        for _ in 0..10 {
            assert!((&mut answer).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(answer);
        gated.bench.log_says(Says::Done);
        gated.settle().await;
        assert_eq!(gated.writes().len(), 1, "{stage}");
        assert_eq!(gated.bench.appended().len(), usize::from(stage.writes_new()), "{stage}");
        assert_eq!(gated.gate.old_waiting(), 1, "{stage}");
        gated.old_says(Some(OldAnswer::Written));
        gated.settle().await;
        assert_eq!((gated.gate.old_waiting(), gated.bench.ingest.in_flight_bytes()), (0, 0), "{stage}");
    }
}

#[tokio::test]
async fn beyond_the_room_the_old_path_is_told_or_the_sender_waits() {
    for stage in [Stage::Off, Stage::Shadow, Stage::Live] {
        let gated = Gated::with(stage, Limits::default(), 400).await;
        gated.old_says(None);
        let mut first = Box::pin(gated.bench.post(summary(NOW_MS)));
        for _ in 0..10 {
            let _ = (stage != Stage::Live).then(|| assert!((&mut first).now_or_never().is_none()));
            tokio::task::yield_now().await;
        }
        if stage == Stage::Live {
            assert_eq!(first.as_mut().await.status, 202);
            gated.settle().await;
        }
        assert_eq!((gated.gate.old_waiting(), gated.bench.appended().len()), (1, usize::from(stage.writes_new())));
        gated.bench.post("nonsense").await;
        let second = gated.bench.post(summary(NOW_MS)).await;
        gated.settle().await;
        let refused = gated.refused();
        if stage == Stage::Live {
            assert_eq!((second.status, refused.len(), gated.bench.appended().len()), (202, 1, 1));
            assert_eq!((&refused[0].environment, refused[0].counts.len()), (&environment(), 2));
            gated.metric("old_refused_total 1");
        } else {
            let told = (second.status, second.code(), second.header("retry-after").to_owned());
            assert_eq!(told, (503, "overloaded".into(), "1".into()), "{stage}");
            assert_eq!((refused.len(), gated.bench.appended().len()), (0, 0), "{stage}: nothing is written anywhere");
        }
        assert_eq!(gated.writes().len(), 1, "{stage}");
    }
}

#[tokio::test]
async fn numbers_that_found_no_room_travel_again() {
    let gated = Gated::with(Stage::Shadow, Limits::default(), 1).await;
    gated.bench.post("nonsense").await;
    assert_eq!(gated.bench.post(summary(NOW_MS)).await.status, 503);
    gated.go(Stage::Complete).await;
    assert_eq!(gated.bench.post(summary(NOW_MS)).await.status, 202);
    let header = Header::decode(&gated.bench.appended()[0].header).unwrap();
    assert_eq!(by_code(&header.carried).into_iter().collect::<Vec<_>>(), [("malformed_payload".to_owned(), 1)]);
}

#[tokio::test]
async fn a_stop_waits_for_old_writes() {
    let gated = Gated::new(Stage::Live).await;
    gated.old_says(None);
    assert_eq!(gated.bench.post(summary(NOW_MS)).await.status, 202);
    gated.settle().await;
    let mut stop = Box::pin(gated.bench.ingest.stop());
    assert!((&mut stop).now_or_never().is_none(), "stopped before the old write ended");
    gated.old_says(Some(OldAnswer::Written));
    stop.await;
    assert_eq!(gated.gate.old_waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_no_longer_than_five_seconds() {
    let gated = Gated::new(Stage::Live).await;
    gated.old_says(None);
    gated.bench.post(summary(NOW_MS)).await;
    gated.settle().await;
    let start = tokio::time::Instant::now();
    gated.bench.ingest.stop().await;
    assert_eq!((start.elapsed().as_secs(), gated.gate.old_waiting()), (5, 1));
}
