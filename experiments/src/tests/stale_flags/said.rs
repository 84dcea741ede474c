//! What people said about flags, in the verdicts.

use serde_json::{Value, json};

use super::fleet::{PATH, empty, full};
use crate::tests::metadata::define;
use crate::tests::world::{DAY, NOW, World};

async fn item(world: &World, key: &str) -> Value {
    let answer = world.get(&format!("{PATH}?critical=development&limit=1000")).await.json();
    let items = answer["items"].as_array().unwrap();
    items.iter().find(|item| item["key"] == key).unwrap_or_else(|| panic!("no {key}")).clone()
}

async fn said(key: &str, body: Value) -> Value {
    let world = full().await;
    define(&world, "default", 1, key, 1, Box::leak(body.to_string().into_boxed_str())).await;
    item(&world, key).await
}

fn codes(item: &Value, field: &str) -> Vec<String> {
    item[field].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_flag_that_was_told_of_and_never_seen_is_judged() {
    let old = said("never", json!({ "createdAt": NOW - 40 * DAY, "codeReferences": 0 })).await;
    assert_eq!(codes(&old, "reasons"), ["NEVER_EVALUATED", "NO_CODE_REFS"]);
    assert_eq!((&old["status"], &old["advice"]), (&json!("inactive"), &json!("READY_TO_ARCHIVE")));
    assert_eq!((&old["lastRequested"], &old["ageMs"]), (&json!(null), &json!(40 * DAY)));
    assert!(old["reasons"][0]["evidence"].get("codeReferences").is_none(), "{old}");
    let in_code = said("never", json!({ "createdAt": NOW - 40 * DAY, "codeReferences": 3 })).await;
    assert_eq!(in_code["reasons"][0]["evidence"]["codeReferences"], 3, "{in_code}");
    let young = said("never", json!({ "createdAt": NOW - 2 * DAY })).await;
    assert_eq!((&young["status"], &young["stale"]), (&json!("new"), &json!(false)));
}

#[tokio::test]
async fn owner_and_places_stand_in_every_form() {
    let world = full().await;
    let body = r#"{"owner":"=team","codeReferences":3,"codePlaces":[{"file":"a b.ts","line":4},{"file":"c|d"}]}"#;
    define(&world, "default", 1, "launched", 1, body).await;
    let entry = item(&world, "launched").await;
    assert_eq!((&entry["owner"], &entry["codeReferences"]), (&json!("=team"), &json!(3)));
    assert_eq!(entry["codePlaces"], json!([{ "file": "a b.ts", "line": 4 }, { "file": "c|d" }]));
    assert!(item(&world, "gone").await.get("owner").is_none());
    for (format, end) in
        [("csv", r#","'=team","3","a b.ts:4 c|d","true""#), ("markdown", r"| `=team` | 3: `a b.ts:4`, c\|d, … |")]
    {
        let written = world.get(&format!("{PATH}?format={format}&q=launched")).await.body;
        assert!(written.lines().any(|line| line.ends_with(end)), "{end}: {written}");
    }
}

#[tokio::test]
async fn what_was_said_of_a_flag_keeps_it_or_speaks_against_it() {
    let plain = item(&full().await, "launched").await;
    assert_eq!((&plain["stale"], codes(&plain, "blockers").len()), (&json!(true), 0));
    for (body, condition) in [
        (json!({ "temporary": false }), "temporary"),
        (json!({ "archived": true }), "archived"),
        (json!({ "snoozedUntil": NOW + 1 }), "snoozed"),
        (json!({ "createdAt": NOW - 29 * DAY }), "oldEnough"),
    ] {
        let kept = said("launched", body).await;
        assert_eq!(kept["stale"], false, "{condition}");
        assert_ne!(kept["conditions"][condition], plain["conditions"][condition], "{condition}");
    }
    let awake = said("launched", json!({ "snoozedUntil": NOW })).await;
    assert_eq!((&awake["stale"], &awake["conditions"]["snoozedUntil"]), (&json!(true), &json!(NOW)));
    let release = said("launched", json!({ "type": "release" })).await;
    assert_eq!(codes(&release, "reasons"), ["SINGLE_VARIATION", "PAST_LIFETIME"]);
    let blocked = said("launched", json!({ "dependents": ["cart"], "runningExperiment": true })).await;
    assert_eq!(codes(&blocked, "blockers"), ["DEPENDENTS", "EXPERIMENT_RUNNING"]);
    assert_eq!(blocked["blockers"][0]["evidence"]["dependents"], json!(["cart"]));
}

#[tokio::test]
async fn what_was_said_and_is_not_folded_yet_makes_the_answer_incomplete() {
    let world = full().await;
    assert_eq!(world.get(PATH).await.json()["complete"], true);
    world.stand(crate::metadata::PARTITION, 12, 11).await;
    assert_eq!(world.get(PATH).await.json()["complete"], false);
}

/// What people told of flags does not tell that anybody listens.
#[tokio::test]
async fn where_nothing_was_ever_heard_no_flag_is_dead() {
    let body = json!({ "createdAt": NOW - 400 * DAY, "codeReferences": 0, "type": "release" }).to_string();
    let tell = async |world: &World| {
        define(world, "default", 1, "never", 1, Box::leak(body.clone().into_boxed_str())).await;
        let answer = world.get(&format!("{PATH}?limit=1000&critical=production")).await.json();
        answer["items"].as_array().unwrap().iter().find(|item| item["key"] == "never").unwrap().clone()
    };
    let nobody = tell(&empty()).await;
    assert_eq!((&nobody["stale"], &nobody["status"]), (&json!(false), &json!("unknown")), "{nobody}");
    assert_eq!(codes(&nobody, "blockers"), ["LOW_COVERAGE"]);
    assert_eq!((&nobody["coverage"], &nobody["confidence"]), (&json!(0.0), &json!(0)));
    let others = tell(&full().await).await;
    assert_eq!((&others["stale"], codes(&others, "blockers").len()), (&json!(true), 0), "others are heard: {others}");
}

/// A slip of the pen in somebody else's metadata makes no flag.
#[tokio::test]
async fn a_name_that_only_anothers_metadata_mentions_is_no_flag() {
    let world = full().await;
    define(&world, "default", 1, "launched", 1, r#"{"prerequisites":["nope","gone"]}"#).await;
    define(&world, "default", 1, "cart", 2, r#"{"prerequisites":["nope"]}"#).await;
    let answer = world.get(&format!("{PATH}?limit=1000")).await.json();
    let keys: Vec<&str> =
        answer["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert!(!keys.contains(&"nope") && keys.contains(&"cart") && answer["judged"] == 10, "{keys:?}");
    let note = "prerequisite `nope` was never heard of nor described, so it is not in this list: `cart`, `launched` name it; \
                mend the key there, or describe the flag";
    assert_eq!(answer["notes"], json!([note]));
    for path in ["flag-statuses/default/development/nope", "flag-status/default/nope"] {
        assert_eq!(world.get(&format!("/api/v2/{path}")).await.status, 404, "{path}");
    }
    let list = world.get("/api/v2/flag-statuses/default/development").await.json();
    assert!(list["items"].as_array().unwrap().iter().all(|item| item["key"] != "nope"));
    assert_eq!(world.page("/stale?flag=nope").await.status, 404);
    let seen = item(&world, "gone").await;
    assert_eq!(codes(&seen, "blockers"), ["DEPENDENTS"], "seen, and named by another: a flag that is needed");
    define(&world, "default", 1, "nope", 3, "{}").await;
    assert_eq!(codes(&item(&world, "nope").await, "blockers"), ["DEPENDENTS"], "described by now");
    assert_eq!(world.get(PATH).await.json()["notes"], json!([]));
}
