//! What people said about flags, from cells of partition 0.

use counting::cells::{Cell, Change, DefinitionChange};
use schemas::cell::{CellKey, CellKind, CellName};
use stores::{CellWrite, Store as _, StoredCell};

use super::world::World;
use crate::metadata::{of_project, of_the_project};
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
    };
    let new = Metadata { dependents: vec!["cart".to_owned()], ..Metadata::default() };
    let expected = [("cart", Metadata::default()), ("checkout", checkout), ("new", new)];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected.map(|(key, metadata)| (key.to_owned(), metadata)));
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
