//! The flag file, watched: what is saved is in force, what cannot be read changes nothing and is told.

use std::time::{Duration, Instant};

use schemas::id::Environment;

use super::super::bench::{NOW_MS, environment, summary};
use super::{Gated, flag};
use crate::gate::{Gate, GateError, Settings, Stage};
use crate::keys::{EnvironmentKeys, KeyTable};
use crate::limits::Limits;

/// Looks until an error of the flag counts.
async fn look_twice(gated: &Gated) {
    gated.round().await;
    gated.round().await;
}

#[tokio::test]
async fn the_first_payload_has_the_stage_of_the_flag() {
    let gated = Gated::new(Stage::Complete).await;
    assert_eq!(gated.gate.state(), [], "nobody asked yet");
    assert_eq!(gated.bench.post(summary(NOW_MS)).await.status, 202);
    assert_eq!((gated.bench.appended().len(), gated.writes().len()), (1, 0));
    let state = gated.state();
    assert_eq!((state.environment, state.stage, state.asked), (environment(), Stage::Complete, Some(Stage::Complete)));
    assert_eq!(state.history.iter().map(|moved| moved.from).collect::<Vec<_>>(), [None]);
}

#[tokio::test]
async fn what_cannot_be_read_holds_the_last_good_stage_and_is_told_once() {
    let unknown = "`blue`, which is no stage";
    let cases = [
        (Some("{".to_owned()), "JSON error"),
        (None, "No such file"),
        (Some(flag("blue")), unknown),
        (Some(flag("red")), "none of its variants"),
        (Some(flag("live").replace("ENABLED", "DISABLED")), "is disabled"),
        (Some(r#"{"flags":{}}"#.into()), "no flag `flagstream-path`"),
    ];
    let gated = Gated::new(Stage::Shadow).await;
    for (number, (text, expected)) in cases.into_iter().enumerate() {
        gated.go(Stage::Shadow).await;
        gated.metric(&format!("flag_errors_total {number}"));
        match text {
            Some(text) => gated.save(&text),
            None => std::fs::remove_file(gated.flag_file()).unwrap(),
        }
        look_twice(&gated).await;
        look_twice(&gated).await;
        let state = gated.state();
        let error = state.flag_error.unwrap_or_default();
        assert!(error.contains(expected) && error.contains("gate.json"), "{error:?}");
        assert_eq!((state.stage, state.asked), (Stage::Shadow, Some(Stage::Shadow)), "{expected}");
        gated.metric(&format!("flag_errors_total {}", number + 1));
        gated.bench.post(summary(NOW_MS)).await;
        assert_eq!((gated.bench.appended().len(), gated.writes().len()), (1, 1), "{expected}");
    }
    gated.go(Stage::Live).await;
    assert_eq!(gated.state().flag_error, None);
}

#[tokio::test]
async fn a_restart_without_a_flag_begins_with_what_was_kept() {
    let gated = Gated::new(Stage::Shadow).await;
    gated.round().await;
    gated.go(Stage::Live).await;
    let history = gated.state().history;
    std::fs::remove_file(gated.flag_file()).unwrap();
    let again = Gated::open(gated.folder, Limits::default(), Settings::OLD_BYTES_MAX).await;
    again.round().await;
    let state = again.state();
    assert_eq!((state.stage, state.asked, state.history), (Stage::Live, Some(Stage::Live), history));
    again.bench.post(summary(NOW_MS)).await;
    again.settle().await;
    assert_eq!((again.bench.appended().len(), again.writes().len()), (1, 1));
}

#[tokio::test]
async fn where_none_was_ever_read_it_is_off_and_moves_walk() {
    let folder = tempfile::tempdir().unwrap();
    let gated = Gated::open(folder, Limits::default(), Settings::OLD_BYTES_MAX).await;
    gated.bench.post(summary(NOW_MS)).await;
    assert_eq!((gated.state().stage, gated.state().asked, gated.bench.appended().len()), (Stage::Off, None, 0));
    gated.save(&flag("complete"));
    gated.round().await;
    let state = gated.state();
    assert_eq!((state.stage, state.asked, state.dwell_left_ms), (Stage::Shadow, Some(Stage::Complete), 2_000));
    gated.go(Stage::Complete).await;
    let path: Vec<_> = gated.state().history.iter().map(|moved| moved.to).collect();
    assert_eq!(path, [Stage::Shadow, Stage::Live, Stage::Complete]);
}

#[tokio::test]
async fn damaged_stages_are_no_start() {
    let gated = Gated::new(Stage::Live).await;
    gated.round().await;
    std::fs::write(gated.folder.path().join("gate-stages.json"), "{").unwrap();
    let data = gated.folder.path().to_owned();
    let settings = Settings { flags: gated.flag_file(), data, old_bytes_max: 1 };
    let error = Gate::open(settings, gated.old, std::sync::Arc::new(|| 0)).await.unwrap_err();
    assert!(matches!(error, GateError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn stages_that_cannot_be_kept_are_in_force_and_kept_when_they_can() {
    let gated = Gated::new(Stage::Shadow).await;
    let kept = gated.folder.path().join("gate-stages.json");
    std::fs::create_dir(&kept).unwrap();
    gated.round().await;
    gated.metric("kept_errors_total 1");
    assert_eq!(gated.state().stage, Stage::Shadow);
    std::fs::remove_dir(&kept).unwrap();
    gated.round().await;
    assert!(std::fs::read_to_string(&kept).unwrap().contains("\"shadow\""));
    gated.metric("kept_errors_total 1");
}

#[tokio::test]
async fn whoever_is_asked_holds_steps_forward_back_until_the_flag_forces_them() {
    let gated = Gated::new(Stage::Shadow).await;
    gated.round().await;
    gated.gate.ask_before_advancing(Box::new(|environment, _, to| Err(format!("{environment} is not ready for {to}"))));
    gated.save(&flag("live"));
    gated.round().await;
    let state = gated.state();
    assert_eq!(
        (state.stage, state.held_back.as_deref()),
        (Stage::Shadow, Some("default/production is not ready for live"))
    );
    gated.save(&flag("live").replace("\"state\"", "\"metadata\":{\"force\":true},\"state\""));
    gated.round().await;
    assert_eq!((gated.state().stage, gated.state().held_back), (Stage::Live, None));
    gated.go(Stage::Shadow).await;
    gated.metric("changes_total{stage=\"shadow\"} 2");
}

/// Rules may name an environment by its targeting key or its parts.
#[tokio::test]
async fn each_environment_has_its_own_stage() {
    let gated = Gated::new(Stage::Off).await;
    let keys = |key: &str| EnvironmentKeys {
        environment: Environment::new("shop", key).unwrap(),
        server_keys: vec![format!("sdk-{key}-0000001")],
        mobile_keys: vec![],
        client_side_ids: vec![],
    };
    gated.bench.ingest.keys().swap(KeyTable::new(&["a", "b"].map(keys)).unwrap(), NOW_MS, 0);
    let rule = r#""targeting":{"if":[{"==":[{"var":"targetingKey"},"shop/a"]},"live",null]},"state""#;
    gated.save(&flag("shadow").replace("\"state\"", rule));
    gated.round().await;
    let stages: Vec<_> = gated.gate.state().into_iter().map(|s| (s.environment.to_string(), s.stage)).collect();
    assert_eq!(stages, [("shop/a".into(), Stage::Live), ("shop/b".into(), Stage::Shadow)]);
}

/// A watcher of the directory would have to keep up with them.
#[tokio::test]
async fn any_number_of_changes_beside_the_file_changes_nothing() {
    let gated = Gated::new(Stage::Shadow).await;
    let driver = tokio::spawn(gated.bench.ingest.clone().drive_gate());
    for n in 0..3_000 {
        std::fs::write(gated.folder.path().join(format!("{}.tmp", n % 7)), "x").unwrap();
        if n % 100 == 0 {
            gated.save(&flag(if n % 200 == 0 { "live" } else { "shadow" }));
            gated.round().await;
        }
    }
    gated.save(&flag("off"));
    while gated.gate.stage(&environment()) != Stage::Off {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gated.bench.ingest.stop().await;
    driver.await.unwrap();
}

/// Prints how long it takes from saving the file until the last payload on the former path; asserts the order alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_save_payloads_soon_take_the_other_path() {
    let gated = Gated::new(Stage::Off).await;
    let driver = tokio::spawn(gated.bench.ingest.clone().drive_gate());
    let (mut saved, mut worst) = (Instant::now(), Duration::ZERO);
    let stages = [Stage::Shadow, Stage::Live, Stage::Complete, Stage::Off];
    for (number, stage) in [Stage::Off].into_iter().chain(stages.into_iter().cycle().take(12)).enumerate() {
        gated.save(&flag(stage.name()));
        saved = if number == 0 { saved } else { Instant::now() };
        let mut last_former = None;
        loop {
            let began = Instant::now();
            assert_eq!(gated.bench.post(summary(NOW_MS)).await.status, 202);
            while gated.gate.old_waiting() > 0 {
                tokio::task::yield_now().await;
            }
            let (log, old) = (!gated.bench.appended().is_empty(), gated.writes());
            let taken = (log, old.first().map(|write| write.payload.stage));
            if taken == (stage.writes_new(), stage.writes_old().then_some(stage)) {
                break;
            }
            last_former = Some(began);
        }
        worst = worst.max(last_former.map_or(Duration::ZERO, |last| last.duration_since(saved)));
        // The next save falls anywhere between two looks.
        tokio::time::sleep(Duration::from_millis(number as u64 * 7 % 150)).await;
    }
    println!("from a save to the last payload on the former path: {worst:?} at most, of 12 saves");
    let path: Vec<_> = gated.state().history.iter().map(|moved| moved.to).collect();
    assert!(path.windows(4).all(|four| stages.iter().all(|stage| four.contains(stage))), "{path:?}");
    gated.bench.ingest.stop().await;
    driver.await.unwrap();
}
