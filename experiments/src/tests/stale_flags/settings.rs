//! What is configured of the rule, in the verdicts and beside them.

use serde_json::{Value, json};

use super::fleet::{PATH, at, empty, from_to, full, guard, heard, production};
use crate::stale::{FlagType, Override};
use crate::tests::world::{World, development};
use crate::{EnvironmentStale, StaleSettings};

fn stale_days(days: u32) -> Override {
    Override { stale_days: Some(days), ..Override::default() }
}

async fn answer(world: &World, query: &str) -> Value {
    world.get(&format!("{PATH}?{query}")).await.json()
}

fn place<'a>(answer: &'a Value, key: &str, environment: &str) -> &'a Value {
    let item = answer["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap();
    item["environments"].as_array().unwrap().iter().find(|place| place["key"] == environment).unwrap()
}

#[tokio::test]
async fn thresholds_of_an_environment_hold_there_and_are_shown() {
    let mut world = full().await;
    let of = |critical, overrides| EnvironmentStale { environment: development(), critical, overrides };
    world.stale = StaleSettings { environments: vec![of(true, vec![stale_days(45)])], ..StaleSettings::default() };
    let told = answer(&world, "").await;
    // Last asked for 40 days ago: dead after 30, alive until 45.
    assert_eq!(
        (&place(&told, "gone", "development")["staleDays"], &place(&told, "gone", "development")["dead"]),
        (&json!(45), &json!("settled"))
    );
    assert_eq!(place(&told, "gone", "production")["staleDays"], 30);
    assert_eq!(place(&told, "launched", "development")["hours"], json!({ "expected": 45 * 24, "reported": 45 * 24 }));
    assert_eq!(place(&told, "launched", "production")["hours"]["expected"], 720, "each over its own W");
    assert_eq!(told["rule"]["overrides"], json!([{ "environment": "development", "staleDays": 45 }]));
    assert_eq!((&told["rule"]["staleDays"], &told["rule"]["coverageMin"]), (&json!(30), &json!(0.95)));
    assert_eq!(
        (&told["rule"]["critical"], &told["rule"]["lifetimesDays"]["kill-switch"]),
        (&json!(["development"]), &Value::Null)
    );
}

#[tokio::test]
async fn configured_environments_decide_unless_the_question_names_others() {
    let mut world = full().await;
    let decides =
        |told: &Value| ["development", "production"].map(|name| place(told, "gone", name)["critical"] == true);
    assert_eq!(decides(&answer(&world, "").await), [true, true]);
    let marked = EnvironmentStale { environment: production(), critical: true, overrides: Vec::new() };
    world.stale = StaleSettings { environments: vec![marked], ..StaleSettings::default() };
    assert_eq!(decides(&answer(&world, "").await), [false, true]);
    assert_eq!(decides(&answer(&world, "critical=development").await), [true, false]);
    assert_eq!(decides(&answer(&world, "critical=development,production").await), [true, true]);
}

#[tokio::test]
async fn flags_of_a_type_are_covered_over_their_own_window() {
    let mut world = empty();
    heard(&world, &development(), 32..36);
    from_to(&world, &development(), "f", [50, 0], at(0));
    world.flush().await;
    for partition in 0..crate::tests::world::PARTITIONS {
        world.stand(partition, 10, 10).await;
    }
    let release = Override { flag_type: Some(FlagType::Release), ..stale_days(40) };
    world.stale.everywhere.overrides.push(release);
    assert_eq!(
        place(&answer(&world, "").await, "f", "development")["hours"],
        json!({ "expected": 720, "reported": 720 })
    );
    world.stale.everywhere.overrides[0].flag_type = None;
    assert_eq!(
        place(&answer(&world, "").await, "f", "development")["hours"],
        json!({ "expected": 960, "reported": 864 })
    );
}

#[tokio::test]
async fn settings_of_an_environment_are_shown_to_those_who_may_read_it() {
    let mut world = full().await;
    guard(&mut world.access);
    let of = |environment, days| EnvironmentStale { environment, critical: true, overrides: vec![stale_days(days)] };
    world.stale.environments = vec![of(development(), 45), of(production(), 46)];
    let told = world.get_with(PATH, &[("authorization", "read-production")]).await.json();
    assert_eq!(told["rule"]["overrides"], json!([{ "environment": "production", "staleDays": 46 }]));
    assert_eq!(told["rule"]["critical"], json!(["production"]));
}

#[tokio::test]
async fn an_environment_that_fell_silent_is_unknown_and_decides_nothing() {
    for days_ago in [35, 90] {
        let world = empty();
        from_to(&world, &development(), "f", [120, days_ago], at(0));
        world.flush().await;
        for partition in 0..crate::tests::world::PARTITIONS {
            world.stand(partition, 10, 10).await;
        }
        let told = answer(&world, "").await;
        let flag = &told["items"][0];
        assert_eq!(place(&told, "f", "development")["hours"], json!({ "expected": 720, "reported": 0 }), "{days_ago}");
        assert_eq!((&flag["stale"], &flag["blockers"][0]["code"]), (&json!(false), &json!("LOW_COVERAGE")));
        assert_eq!(place(&told, "f", "production")["coverage"], 1.0, "there nobody ever asked");
    }
}

#[tokio::test]
async fn an_application_that_went_quiet_is_named_in_a_note() {
    let world = empty();
    heard(&world, &development(), 0..10);
    from_to(&world, &development(), "f", [50, 0], at(0));
    world.flush().await;
    let notes = answer(&world, "").await["notes"].to_string();
    assert!(
        notes.contains("in environment `development` 1 application reported as a rule and not of late: `web`;"),
        "{notes}"
    );
    assert!(!answer(&full().await, "").await["notes"].to_string().contains("of late"));
    let page = world.page("/stale?flag=f").await.body;
    assert!(page.contains("asked for this flag: <bdi>web</bdi>. It may ask again."), "{page}");
    assert!(!full().await.page("/stale?flag=launched").await.body.contains("Not heard of late"));
}

#[tokio::test]
async fn a_flag_with_more_askers_than_rows_is_named_in_a_note() {
    let mut world = empty();
    world.limits.last_seen_rows_max = 2;
    for (version, days_ago) in [(&b"1"[..], 50), (b"2", 10), (b"3", 0)] {
        let seen = counting::cells::LastSeenChange { application_version: version, ..at(days_ago) };
        world.sight(&development(), "busy", seen);
    }
    from_to(&world, &development(), "calm", [50, 0], at(0));
    world.flush().await;
    let notes = answer(&world, "").await["notes"].to_string();
    assert!(notes.contains("kept apart saw 1 flag: `busy`; the others are told as one"), "{notes}");
    let page = world.page("/stale?flag=busy").await.body;
    assert!(page.contains("More askers than are kept apart"), "{page}");
    assert!(!world.page("/stale?flag=calm").await.body.contains("More askers than are kept apart"));
}

#[tokio::test]
async fn no_flag_is_stale_for_a_key_that_may_not_read_what_decides() {
    let mut world = empty();
    guard(&mut world.access);
    let mut world = super::fleet::fill(world).await;
    let marked = EnvironmentStale { environment: production(), critical: true, overrides: Vec::new() };
    world.stale = StaleSettings { environments: vec![marked], ..StaleSettings::default() };
    let ask = async |path: String, key: &str| world.get_with(&path, &[("authorization", key)]).await.json();
    let stale = |told: &Value| told["items"].as_array().unwrap().iter().filter(|item| item["stale"] == true).count();
    let told = ask(PATH.to_owned(), "read-development").await;
    assert_eq!(stale(&told), 0);
    assert_eq!(told["items"][0]["blockers"][0]["code"], "LOW_COVERAGE");
    assert_eq!(told["items"][0]["blockers"][0]["evidence"]["hiddenEnvironments"], 1);
    let notes = told["notes"].to_string();
    assert!(notes.contains("not open to this key (1)") && !told.to_string().contains("production"), "{told}");
    assert!(stale(&ask(format!("{PATH}?critical=development"), "read-development").await) > 0, "asked to decide");
    assert!(stale(&ask(PATH.to_owned(), "read-production").await) > 0);
    let past = ask(format!("{PATH}/backtest"), "read-development").await;
    assert_eq!(past["called"], 0, "nor was one");
    assert!(past["notes"].to_string().contains("not open to this key"), "{past}");
    assert!(ask(format!("{PATH}/backtest"), "admin").await["called"] != 0);
}
