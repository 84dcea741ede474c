//! What people said about flags: put into the log, read from cells of partition 0.

use std::collections::BTreeSet;

use axum::http::Method;
use counting::cells::{Cell, Change, DefinitionChange};
use eventlog::memory::Fault;
use eventlog::{EventLog as _, Signal};
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::record::{decode_definition, definition_record};
use schemas::wire::record::Definition;
use serde_json::{Value, json};
use stores::{CellWrite, Checkpoint, Store as _, StoredCell};

use super::world::{LOG_TIME, NOW, PARTITIONS, Sight, World, development};
use crate::metadata::{OfProject, of_project, of_the_project};
use crate::stale::{FlagType, Metadata};

/// Puts a definition where the fold of partition 0 does.
pub(super) async fn define(world: &World, project: &str, kind: u8, key: &str, version: u64, body: &'static str) {
    let mut cell = Cell::empty(CellKind::Definition);
    let body = bytes::Bytes::from_static(body.as_bytes());
    cell.apply(&Change::Definition(DefinitionChange { version, body: &body }), &world.limits);
    let name = CellName::Key([&[kind], key.as_bytes()].concat().into());
    let environment = of_the_project(project);
    let key = CellKey { generation: 1, partition: 0, kind: CellKind::Definition, environment, name, window: 0 };
    let cell = StoredCell { h: version, value: cell.encode().into() };
    world.store.write(vec![CellWrite { key, cell }]).await.unwrap();
}

#[tokio::test]
async fn metadata_of_a_project_is_of_its_flags_alone() {
    let world = World::empty();
    let body = r#"{"createdAt":5,"temporary":false,"type":"killSwitch","codeReferences":0,"owner":"web","snoozedUntil":9,
        "runningExperiment":true,"dependents":["cart"],"archived":null}"#;
    define(&world, "default", 1, "checkout", 3, body).await;
    define(&world, "default", 1, "cart", 4, r#"{"prerequisites":["checkout","new"]}"#).await;
    define(&world, "default", 1, "old", 7, r#"{"archived":true,"prerequisites":["checkout"]}"#).await;
    define(&world, "default", 2, "checkout", 5, "an experiment").await;
    define(&world, "other", 1, "elsewhere", 6, "{}").await;
    let found = of_project(&world.serve(), "default").await.unwrap();
    let checkout = Metadata {
        created_at_ms: Some(5),
        temporary: Some(false),
        flag_type: Some(FlagType::KillSwitch),
        archived: None,
        snoozed_until_ms: Some(9),
        dependents: vec!["cart".to_owned()],
        running_experiment: true,
        code_references: Some(0),
        owner: Some("web".to_owned()),
        ..Metadata::default()
    };
    // It holds nothing any more.
    let old = Metadata { archived: Some(true), ..Metadata::default() };
    let expected = [("cart", Metadata::default()), ("checkout", checkout), ("old", old)];
    assert_eq!(found.named, [("new".to_owned(), vec!["cart".to_owned()])].into(), "named, and never described");
    assert_eq!(found.flags.into_iter().collect::<Vec<_>>(), expected.map(|(key, metadata)| (key.to_owned(), metadata)));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_names_its_flag() {
    for (body, why) in [("{", "no JSON"), ("[]", "no JSON object"), (r#"{"colour":1}"#, "no field \"colour\"")] {
        let world = World::empty();
        define(&world, "default", 1, "checkout", 3, body).await;
        let refusal = of_project(&world.serve(), "default").await.unwrap_err();
        assert!(refusal.message.contains("flag \"checkout\" (version 3)"), "{}", refusal.message);
        assert!(refusal.message.contains(why), "{}", refusal.message);
    }
}

const CHECKOUT: &str = "/v1/projects/default/flags/checkout";
const SNOOZE: &str = "/v1/projects/default/flags/checkout/snooze";

async fn put(world: &World, path: &str, body: &'static str) -> (u16, Value) {
    let reply = world.put_json(path, &[], body).await;
    (reply.status.as_u16(), reply.json())
}

/// Every partition's definitions: flag, version, body.
pub(super) async fn logged(world: &World) -> Vec<Vec<(String, u64, Value)>> {
    let mut reader = world.log.subscribe().unwrap();
    let mut found = vec![Vec::new(); PARTITIONS as usize];
    let mut begun = 0;
    loop {
        match reader.next().await.unwrap() {
            Signal::Assigned { partition } => {
                begun += 1;
                reader.begin(partition, 0).unwrap();
            }
            Signal::Batch { partition, records } => {
                for record in records {
                    let definition = decode_definition(&record.body).unwrap();
                    let version = if partition == 0 { record.offset + 1 } else { definition.version };
                    let flag = String::from_utf8(definition.key.to_vec()).unwrap();
                    let body = serde_json::from_slice(&definition.body).unwrap();
                    found[partition as usize].push((flag, version, body));
                }
            }
            Signal::Idle if begun == PARTITIONS => return found,
            Signal::Idle | Signal::Revoked { .. } => {}
        }
    }
}

/// Writes what partition 0 has into its cells, as its fold does, and moves the checkpoints.
pub(super) async fn fold(world: &World) {
    let mut end = 0;
    for (flag, version, body) in logged(world).await.swap_remove(0) {
        let kind = if flag == "code-references" { 3 } else { 1 };
        define(world, "default", kind, &flag, version, body.to_string().leak()).await;
        end = version;
    }
    for partition in 0..PARTITIONS {
        let position = world.log.held().await.unwrap()[partition as usize].end;
        let checkpoint = Checkpoint { position, definition_version: end, fingerprint: 0, log_time_ms: LOG_TIME };
        world.store.write_checkpoint(1, partition, checkpoint).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_put_is_in_every_partition_and_is_shown_when_folded() {
    let world = World::empty();
    let (status, answer) =
        put(&world, CHECKOUT, r#"{"type":"Kill Switch","owner":null,"createdAt":"2001-01-01"}"#).await;
    let said = json!({ "type": "kill-switch", "createdAt": 978_307_200_000_i64 });
    let told =
        json!({ "key": "checkout", "metadata": said, "version": 1, "saidAt": NOW, "withdrawn": false, "seen": false });
    assert_eq!((status, answer), (200, told));
    let kept = json!({ "type": "kill-switch", "createdAt": 978_307_200_000_i64, "saidAt": NOW });
    assert_eq!(logged(&world).await, vec![vec![("checkout".to_owned(), 1, kept)]; 4]);
    let before = world.get(CHECKOUT).await.json();
    assert_eq!((&before["version"], &before["complete"]), (&json!(0), &json!(false)));
    fold(&world).await;
    let after = world.get(CHECKOUT).await.json();
    assert_eq!((&after["version"], &after["metadata"], &after["complete"]), (&json!(1), &said, &json!(true)));
    assert_eq!(after["saidAt"], json!(NOW));
    assert_eq!(
        of_project(&world.serve(), "default").await.unwrap().flags["checkout"].created_at_ms,
        Some(978_307_200_000)
    );
}

#[tokio::test]
async fn the_later_of_two_stands_whole_and_a_snooze_changes_itself_alone() {
    let world = World::empty();
    world.see(&development(), &Sight::of("checkout", 0, "true", NOW, 1));
    world.flush().await;
    assert_eq!(put(&world, CHECKOUT, r#"{"owner":"a","temporary":true}"#).await.1["seen"], json!(true));
    assert_eq!(put(&world, CHECKOUT, r#"{"owner":"b"}"#).await.1["version"], 2);
    // Neither is folded: the snooze must see them in the log all the same.
    let until = NOW + 1;
    let (status, answer) = put(&world, SNOOZE, format!(r#"{{"until":{until}}}"#).leak()).await;
    assert_eq!((status, &answer["metadata"]), (200, &json!({ "owner": "b", "snoozedUntil": until })));
    let (_, answer) = put(&world, SNOOZE, r#"{"until":null}"#).await;
    assert_eq!(answer["metadata"], json!({ "owner": "b" }));
    for partition in logged(&world).await {
        assert_eq!(partition.iter().map(|(_, version, _)| *version).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn a_change_leaves_what_it_does_not_name_and_says_when_nothing_changed() {
    let world = World::empty();
    let headers = [("content-type", "application/json")];
    let change = async |body: &'static str| {
        let answer = world.ask(Method::PATCH, CHECKOUT, &headers, body).await.json();
        (answer["metadata"].clone(), answer["version"].clone(), answer["changed"].clone())
    };
    assert_eq!(put(&world, SNOOZE, format!(r#"{{"until":{}}}"#, NOW + 1).leak()).await.0, 200);
    let both = json!({ "owner": "a", "snoozedUntil": NOW + 1 });
    // Twice as not folded yet, then as folded.
    assert_eq!(change(r#"{"owner":"a"}"#).await, (both.clone(), json!(2), json!(true)));
    assert_eq!(change(r#"{"owner":"a"}"#).await, (both.clone(), json!(2), json!(false)));
    fold(&world).await;
    assert_eq!(change("{}").await, (both, json!(2), json!(false)));
    assert_eq!(logged(&world).await[0].len(), 2);
    assert_eq!(change(r#"{"snoozedUntil":null}"#).await, (json!({ "owner": "a" }), json!(3), json!(true)));
    let refused = world.ask(Method::PATCH, CHECKOUT, &headers, r#"{"createdAt":45658}"#).await;
    assert_eq!(refused.status.as_u16(), 400);
}

#[tokio::test]
async fn what_another_process_said_meanwhile_is_not_lost() {
    let world = World::empty();
    let until = format!(r#"{{"until":{}}}"#, NOW + 1).leak();
    assert_eq!(put(&world, SNOOZE, until).await.0, 200);
    assert_eq!(put(&world, SNOOZE, until).await.1["version"], 2);
    let theirs = Definition {
        project: "default".into(),
        environment: "".into(),
        kind: 1,
        key: "checkout".into(),
        version: 0,
        body: r#"{"owner":"them"}"#.into(),
    };
    world.log.append(vec![definition_record(&theirs, 0, NOW)]).await.unwrap();
    // Known until version 2, then one which this process did not publish, then one of its own that looks at nothing.
    assert_eq!(put(&world, "/v1/projects/default/flags/other", "{}").await.1["version"], 4);
    let (_, answer) = put(&world, SNOOZE, until).await;
    assert_eq!(answer["metadata"], json!({ "owner": "them", "snoozedUntil": NOW + 1 }));
    let (_, answer) = put(&world, SNOOZE, r#"{"until":null}"#).await;
    assert_eq!((&answer["metadata"], &answer["version"]), (&json!({ "owner": "them" }), &json!(6)));
}

#[tokio::test]
async fn after_an_unknown_outcome_partition_0_has_it_once() {
    let world = World::empty();
    world.log.fail_next(Fault::AnswerLost);
    assert_eq!(put(&world, CHECKOUT, "{}").await.1["version"], 1);
    world.log.fail_next(Fault::Refused);
    assert_eq!(put(&world, CHECKOUT, r#"{"owner":"b"}"#).await.1["version"], 2);
    assert_eq!(logged(&world).await[0].len(), 2);
}

#[tokio::test]
async fn what_others_left_half_done_comes_first() {
    for folded in [false, true] {
        let world = World::empty();
        let half = Definition {
            project: "default".into(),
            environment: "".into(),
            kind: 1,
            key: "half".into(),
            version: 0,
            body: "{}".into(),
        };
        world.log.append(vec![definition_record(&half, 0, NOW)]).await.unwrap();
        if folded {
            define(&world, "default", 1, "half", 1, "{}").await;
            let checkpoint = Checkpoint { position: 1, definition_version: 1, fingerprint: 0, log_time_ms: LOG_TIME };
            world.store.write_checkpoint(1, 0, checkpoint).await.unwrap();
        }
        assert_eq!(put(&world, CHECKOUT, "{}").await.1["version"], 2);
        for partition in logged(&world).await {
            let found: Vec<_> = partition.iter().map(|(flag, version, _)| (flag.as_str(), *version)).collect();
            assert_eq!(found, [("half", 1), ("checkout", 2)], "folded: {folded}");
        }
    }
}

#[tokio::test]
async fn a_log_that_is_poisoned_is_told_as_503() {
    let world = World::empty();
    world.log.poison("a test said so");
    let (status, answer) = put(&world, CHECKOUT, "{}").await;
    assert_eq!((status, &answer["code"]), (503, &json!("unavailable")));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_takes_nothing_is_told_as_503_that_may_be_sent_again() {
    let world = World::empty();
    for _ in 0..1000 {
        world.log.fail_next(Fault::Refused);
    }
    let (status, answer) = put(&world, CHECKOUT, "{}").await;
    assert_eq!(status, 503);
    assert!(answer["message"].as_str().unwrap().contains("may be sent again"), "{answer}");
}

#[tokio::test]
async fn code_references_come_as_a_number_or_as_the_places_themselves() {
    let cart = json!([{ "file": "web/cart.ts", "line": 4 }, { "file": "api/cart.rs", "line": 7 }]);
    let other = json!({ "codeReferences": 9, "codePlaces": [cart[0]], "codeScan": { "id": "a", "at": NOW } });
    for (body, expected) in [
        (json!({ "codeReferences": 2 }), json!({ "codeReferences": 2 })),
        (
            json!({ "codeReferences": ["web/cart.ts:4", { "file": "api/cart.rs", "line": 7 }] }),
            json!({ "codeReferences": 2, "codePlaces": cart }),
        ),
        (json!({ "codeReferences": [] }), json!({ "codeReferences": 0 })),
        (other.clone(), other.clone()),
    ] {
        let world = World::empty();
        let (status, answer) = put(&world, CHECKOUT, body.to_string().leak()).await;
        assert_eq!((status, &answer["metadata"]), (200, &expected), "{body}: {answer}");
    }
    // Places and scan are of their number.
    for (change, expected) in [
        (
            json!({ "owner": "web" }),
            json!({ "owner": "web", "codeReferences": 9, "codePlaces": [cart[0]],
            "codeScan": { "id": "a", "at": NOW } }),
        ),
        (json!({ "codeReferences": 8 }), json!({ "codeReferences": 8 })),
        (json!({ "codeReferences": null }), json!({})),
    ] {
        let world = World::empty();
        put(&world, CHECKOUT, other.to_string().leak()).await;
        let headers = [("content-type", "application/json")];
        let answer = world.ask(Method::PATCH, CHECKOUT, &headers, change.to_string().leak()).await.json();
        assert_eq!(answer["metadata"], expected, "{change}");
    }
}

#[tokio::test]
async fn what_is_removed_is_forgotten_unless_it_was_seen() {
    let world = World::empty();
    world.see(&development(), &Sight::of("cart", 0, "true", NOW, 1));
    world.flush().await;
    let remove = async |path: &str| {
        let answer = world.ask(Method::DELETE, path, &[], "").await.json();
        (answer["version"].clone(), answer["changed"].clone(), answer["withdrawn"].clone())
    };
    let cart = "/v1/projects/default/flags/cart";
    assert_eq!(remove(CHECKOUT).await, (json!(0), json!(false), json!(false)), "nothing was said");
    put(&world, CHECKOUT, r#"{"owner":"a","prerequisites":["cart"]}"#).await;
    put(&world, cart, r#"{"owner":"a"}"#).await;
    fold(&world).await;
    let judged = async || {
        let answer = world.get("/v1/projects/default/stale-flags").await.json();
        let keys = answer["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned());
        keys.collect::<BTreeSet<_>>()
    };
    let of = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(judged().await, of(&["cart", "checkout"]));
    assert_eq!(remove(CHECKOUT).await, (json!(3), json!(true), json!(true)));
    assert_eq!(remove(cart).await, (json!(4), json!(true), json!(true)));
    assert_eq!(remove(cart).await, (json!(4), json!(false), json!(true)), "twice is once");
    fold(&world).await;
    assert_eq!(judged().await, of(&["cart"]), "one was seen, and nobody needs it any more");
    assert_eq!(of_project(&world.serve(), "default").await.unwrap(), OfProject::default());
    let shown = world.get(CHECKOUT).await.json();
    assert_eq!((&shown["metadata"], &shown["version"], &shown["withdrawn"]), (&json!({}), &json!(3), &json!(true)));
    // What is said anew, though it is nothing, is said.
    let headers = [("content-type", "application/json")];
    let answer = world.ask(Method::PATCH, CHECKOUT, &headers, "{}").await.json();
    assert_eq!((&answer["changed"], &answer["withdrawn"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn what_cannot_be_put_is_named_with_what_is_allowed() {
    let world = World::empty();
    let cases: [(&str, &'static str, &[&str]); 18] = [
        (CHECKOUT, r#"{"createdAt":45658}"#, &["`createdAt` is 45658", "from 2000-01-01 until now", "day number"]),
        (CHECKOUT, r#"{"createdAt":1700000000}"#, &["`createdAt`", "looks like seconds"]),
        (CHECKOUT, r#"{"createdAt":99999999999999999}"#, &["`createdAt`", "until now"]),
        (CHECKOUT, r#"{"createdAt":"2026-02-30"}"#, &["`createdAt`", "a date"]),
        (CHECKOUT, r#"{"snoozedUntil":99999999999999999}"#, &["`snoozedUntil`", "1 year ahead"]),
        (CHECKOUT, r#"{"Owner":"a"}"#, &["no field \"Owner\"; did you mean `owner`?"]),
        (CHECKOUT, r#"{"colour":null}"#, &["no field \"colour\"", "createdAt", "owner"]),
        (CHECKOUT, r#"{"temporary":"yes"}"#, &["`temporary` is \"yes\"", "true, false or null"]),
        (CHECKOUT, r#"{"type":"toggle"}"#, &["`type` is \"toggle\"", "kill-switch"]),
        (CHECKOUT, r#"{"codeReferences":-1}"#, &["`codeReferences` is -1", "from 0", "a list"]),
        (CHECKOUT, r#"{"codePlaces":["a:1"]}"#, &["`codePlaces`", "no more than `codeReferences` says"]),
        (CHECKOUT, r#"{"codeReferences":1,"codePlaces":[7]}"#, &["`codePlaces`", "\"file\""]),
        (CHECKOUT, r#"{"codeReferences":1,"codeScan":{"id":""}}"#, &["`codeScan`", "1 to 64 bytes"]),
        (CHECKOUT, r#"{"dependents":["a",""]}"#, &["`dependents`", "flag keys"]),
        (CHECKOUT, "[]", &["no JSON object"]),
        (SNOOZE, r#"{"until":1}"#, &["`until` is 1", "in the future", "1 year"]),
        (SNOOZE, r#"{"until":9999999999999}"#, &["`until`", "1 year"]),
        (SNOOZE, r#"{"until":null,"x":1}"#, &["no field \"x\"", "until"]),
    ];
    for (path, body, words) in cases {
        let (status, answer) = put(&world, path, body).await;
        let message = answer["message"].as_str().unwrap();
        assert_eq!(status, 400, "{body}: {message}");
        for word in words {
            assert!(message.contains(word), "{body}: {message}");
        }
    }
    let large = format!(r#"{{"owner":"{}"}}"#, "x".repeat(16 * 1024)).leak();
    assert_eq!(put(&world, CHECKOUT, large).await.0, 413);
    assert_eq!(put(&world, "/v1/projects/nobody/flags/checkout", "{}").await.0, 404);
    assert!(logged(&world).await.iter().all(Vec::is_empty));
}

#[tokio::test]
async fn only_an_admin_key_puts_and_no_form_does() {
    let world = World::guarded();
    for (key, status) in [("admin", 200), ("read-development", 403), ("nobody", 401)] {
        let reply = world.put_json(CHECKOUT, &[("authorization", key)], "{}").await;
        assert_eq!(reply.status.as_u16(), status, "{key}");
        let headers = [("authorization", key), ("content-type", "application/json")];
        assert_eq!(world.ask(Method::PATCH, CHECKOUT, &headers, "{}").await.status.as_u16(), status, "{key}");
        let scan = r#"{"scan":{"id":"a","at":1,"flags":1},"flags":{"a":{"codeReferences":1}}}"#;
        let taken = world.ask(Method::PUT, "/v1/projects/default/code-references", &headers, scan).await;
        assert_eq!(taken.status.as_u16(), status, "{key}");
        let removed = world.ask(Method::DELETE, CHECKOUT, &[("authorization", key)], "").await;
        assert_eq!(removed.status.as_u16(), status, "{key}");
        let reply = world.get_with(CHECKOUT, &[("authorization", key)]).await;
        assert_eq!(reply.status.as_u16(), if status == 403 { 200 } else { status }, "{key}");
    }
    // What a page elsewhere may send without being asked first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let headers = [("authorization", "admin"), ("content-type", kind)];
        assert_eq!(world.ask(Method::PUT, CHECKOUT, &headers, "").await.status.as_u16(), 415, "{kind}");
    }
    let asked = world.ask(Method::OPTIONS, CHECKOUT, &[("origin", "http://elsewhere")], "").await;
    assert!(asked.status.is_client_error() && asked.headers.get("access-control-allow-origin").is_none());
}
