//! `/openapi.json` against the router and against real answers.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::Value;

use super::metadata::define;
use super::world::{World, development, full, path_of};
use crate::openapi::document;
use crate::routes::ALL;

#[test]
fn the_document_has_every_route_and_nothing_else() {
    let document = document();
    let written: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> =
        ALL.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(written, routed);
}

#[tokio::test]
async fn every_documented_route_answers() {
    let world = World::empty();
    for (method, path) in ALL {
        let named = path.replace("{project}", "default").replace("{environment}", "development");
        let named = named.replace("{flag}", "f").replace("{type}", "received");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let status = world.ask(method.clone(), &named, &[], "").await.status.as_u16();
        // A flag that was never seen has no page and no status.
        let of_flag = path.ends_with("/{flag}") && path.contains("/flag-status");
        // What is put needs a body of JSON.
        let expected: &[u16] = match *path {
            _ if matches!(method, Method::PUT | Method::PATCH) => &[415],
            "/flag" => &[404],
            // A form that no page sent.
            "/stale/snooze" => &[403],
            // There is no other path here.
            "/v1/pipeline/comparison" | "/v1/pipeline/gate" | "/pipeline/comparison" => &[404],
            _ if of_flag => &[404],
            _ => &[200, 303],
        };
        assert!(expected.contains(&status), "{method} {named}: {status}");
    }
}

#[test]
fn whoever_judges_all_flags_may_have_to_wait() {
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let judges =
            path.contains("stale-flags") || path.contains("flag-status") || ["/stale", "/flag"].contains(&&**path);
        let busy = &methods["get"]["responses"]["503"]["headers"]["Retry-After"];
        assert_eq!(!busy.is_null(), judges, "{path}");
    }
}

#[tokio::test]
async fn path_parameters_are_those_of_the_path() {
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let none = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&none);
            let named: Vec<String> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let in_path: Vec<&str> = path.split('/').filter(|segment| segment.starts_with('{')).collect();
            assert_eq!(named, in_path, "{path}");
        }
    }
}

/// Every field of an answer is in its schema, and every required field in the answer.
fn compare(document: &Value, schema: &Value, answer: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => document.pointer(&name[1..]).unwrap_or_else(|| panic!("{name} is not in the document")),
        None => schema,
    };
    match answer {
        Value::Object(fields) => {
            let Some(known) = schema["properties"].as_object() else { return };
            for (name, value) in fields {
                let field = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the document"));
                compare(document, field, value, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at}.{name} is missing");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| compare(document, &schema["items"], item, at)),
        _ => {}
    }
}

#[tokio::test]
async fn answers_have_the_documented_fields() {
    let world = full().await;
    let places =
        r#"{"owner":"web","codeReferences":3,"codePlaces":[{"file":"a.ts","line":4}],"codeScan":{"id":"a","at":1}}"#;
    define(&world, "default", 1, "checkout", 1, places).await;
    define(&world, "default", 3, "code-references", 2, r#"{"id":"a","at":1,"flags":1,"finished":true}"#).await;
    let document = document();
    let here = path_of(&development());
    let asked = [
        ("Evaluations", format!("{here}/evaluations?granularity=hour&limit=1")),
        ("Evaluations", format!("{here}/evaluations?groupBy=variation,application,sdk")),
        ("Evaluations", format!("{here}/evaluations?groupBy=version")),
        ("Evaluations", format!("{here}/evaluations?groupBy=reason")),
        ("Events", format!("{here}/events")),
        ("StaleFlags", "/v1/projects/default/stale-flags?environment=development".to_owned()),
        ("StaleBacktest", "/v1/projects/default/stale-flags/backtest".to_owned()),
        ("FlagStatuses", "/api/v2/flag-statuses/default/development".to_owned()),
        ("FlagStatus", "/api/v2/flag-statuses/default/development/old".to_owned()),
        ("FlagStatusAcross", "/api/v2/flag-status/default/checkout".to_owned()),
        ("Books", format!("{here}/books")),
        ("Health", "/v1/pipeline/health".to_owned()),
        ("DeadLetters", "/v1/pipeline/dead-letters".to_owned()),
        ("Series", "/api/v2/usage/evaluations/default/development/checkout".to_owned()),
        ("Series", "/api/v2/usage/events/received".to_owned()),
        ("FlagMetadata", "/v1/projects/default/flags/checkout".to_owned()),
        ("CodeReferences", "/v1/projects/default/code-references".to_owned()),
        ("Error", "/nothing".to_owned()),
    ];
    for (schema, path) in asked {
        let answer = world.get(&path).await.json();
        compare(&document, &document["components"]["schemas"][schema], &answer, schema);
    }
    let part =
        r#"{"scan":{"id":"a","at":1,"flags":1},"before":0,"flags":{"a":{"codeReferences":1,"codePlaces":["b:1"]}}}"#;
    let taken = world.put_json("/v1/projects/default/code-references", &[], part).await.json();
    compare(&document, &document["components"]["schemas"]["CodeReferencesTaken"], &taken, "CodeReferencesTaken");
}
