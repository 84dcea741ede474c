//! What a scan of source trees sends: in parts, again, interrupted, overtaken.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Method, Request};
use eventlog::memory::MemoryLog;
use eventlog::{Error, EventLog, Held, Subscription};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use schemas::log::Append;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::metadata::{fold, logged};
use super::world::{NOW, World};
use crate::router;

const PATH: &str = "/v1/projects/default/code-references";

async fn send(world: &World, body: &Value) -> (u16, Value) {
    let reply = world.put_json(PATH, &[], body.to_string().leak()).await;
    (reply.status.as_u16(), reply.json())
}

/// A part of a scan of three flags: `a` stands in two places, the others nowhere.
fn part(scan: &str, before: u64, flags: &[&str]) -> Value {
    let of = |flag: &str| match flag {
        "a" => {
            json!({ "codeReferences": 2, "codePlaces": [{ "file": "a.ts", "line": 1 }, { "file": "b.ts", "line": 2 }] })
        }
        _ => json!({ "codeReferences": 0 }),
    };
    let flags: serde_json::Map<_, _> = flags.iter().map(|flag| ((*flag).to_owned(), of(flag))).collect();
    json!({ "scan": { "id": scan, "at": NOW, "flags": 3 }, "before": before, "flags": flags })
}

fn told(answer: &Value) -> (u64, u64, bool) {
    let number = |name: &str| answer[name].as_u64().unwrap();
    (number("changed"), number("unchanged"), answer["codeScan"]["finished"].as_bool().unwrap())
}

async fn notes(world: &World) -> String {
    world.get("/v1/projects/default/stale-flags").await.json()["notes"].to_string()
}

#[tokio::test]
async fn a_scan_sent_again_changes_nothing_and_keeps_what_else_was_said() {
    let world = World::empty();
    let body = json!({ "owner": "web" }).to_string().leak();
    world.put_json("/v1/projects/default/flags/a", &[], body).await;
    let whole = |scan: &str| part(scan, 0, &["a", "b", "c"]);
    assert_eq!(told(&send(&world, &whole("one")).await.1), (3, 0, true));
    // Not folded, then folded; with the answer lost, then by another run.
    assert_eq!(told(&send(&world, &whole("one")).await.1), (0, 3, true));
    fold(&world).await;
    let before = logged(&world).await[0].len();
    assert_eq!(told(&send(&world, &whole("one")).await.1), (0, 3, true));
    assert_eq!(logged(&world).await[0].len(), before, "nothing is new, and the scan was finished");
    assert_eq!(told(&send(&world, &whole("two")).await.1), (0, 3, true));
    fold(&world).await;
    assert_eq!(logged(&world).await[0].len(), before + 2, "begun and finished");
    let shown = world.get("/v1/projects/default/flags/a").await.json();
    let places = json!([{ "file": "a.ts", "line": 1 }, { "file": "b.ts", "line": 2 }]);
    let expected =
        json!({ "owner": "web", "codeReferences": 2, "codePlaces": places, "codeScan": { "id": "one", "at": NOW } });
    assert_eq!(shown["metadata"], expected);
    let last = world.get(PATH).await.json();
    assert_eq!(last["codeScan"], json!({ "id": "two", "at": NOW, "flags": 3, "finished": true }));
    let answer = world.get("/v1/projects/default/stale-flags").await.json();
    let item = answer["items"].as_array().unwrap().iter().find(|item| item["key"] == "a").unwrap();
    assert_eq!((&item["owner"], &item["codeReferences"], &item["codePlaces"]), (&json!("web"), &json!(2), &places));
    assert_eq!((&item["codeScan"]["id"], &answer["codeScan"]["id"]), (&json!("one"), &json!("two")));
    assert_eq!(item["reasons"][0]["evidence"]["codePlaces"], json!(["a.ts:1", "b.ts:2"]), "{item}");
}

#[tokio::test]
async fn a_scan_that_ends_early_is_told_until_one_is_whole() {
    let world = World::empty();
    assert_eq!(told(&send(&world, &part("one", 0, &["a"])).await.1), (1, 0, false));
    fold(&world).await;
    assert!(notes(&world).await.contains("is not finished"), "{}", notes(&world).await);
    // The same command continues: what came is not sent again to the log.
    assert_eq!(told(&send(&world, &part("two", 0, &["a", "b"])).await.1), (1, 1, false));
    assert_eq!(told(&send(&world, &part("two", 2, &["c"])).await.1), (1, 0, true));
    fold(&world).await;
    assert!(!notes(&world).await.contains("is not finished"));
}

#[tokio::test]
async fn a_scan_that_another_overtook_is_never_finished() {
    let world = World::empty();
    send(&world, &part("one", 0, &["a"])).await;
    send(&world, &part("two", 0, &["a"])).await;
    let (status, answer) = send(&world, &part("one", 1, &["b", "c"])).await;
    assert_eq!((status, &answer["code"]), (409, &json!("overtaken")));
    assert!(answer["message"].as_str().unwrap().contains("scan \"two\" was begun after it"), "{answer}");
    fold(&world).await;
    assert!(notes(&world).await.contains("is not finished"));
    let none = World::empty();
    assert_eq!(send(&none, &part("one", 1, &["b"])).await.0, 409, "the part before never came");
}

/// A log that takes so many appends and then none.
#[derive(Debug)]
struct Stopping {
    log: MemoryLog,
    appends: AtomicUsize,
}

impl EventLog for Stopping {
    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn append(&self, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        let left = self.appends.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { self.log.append(records) } else { Box::pin(ready(Err(Error::Away("a test".to_owned())))) }
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>, Error> {
        self.log.subscribe()
    }

    fn read(&self, partition: u32) -> Result<Box<dyn Subscription>, Error> {
        self.log.read(partition)
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        self.log.held()
    }

    fn release(&self, partition: u32, below: u64) {
        self.log.release(partition, below);
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_log_stops_it_is_told_how_many_are_in_force() {
    let world = World::empty();
    let mut serve = world.serve();
    // Four partitions take that the scan begins, and four the first flag.
    serve.log = Arc::new(Stopping { log: world.log.clone(), appends: AtomicUsize::new(8) });
    let request = Request::put(PATH).header("content-type", "application/json");
    let request = request.body(Body::from(part("one", 0, &["a", "b", "c"]).to_string())).unwrap();
    let reply = router(serve).oneshot(request).await.unwrap();
    assert_eq!(reply.status().as_u16(), 503);
    let said = String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(said.contains("of 3 flags that change with this request 1 did"), "{said}");
    // The log is back: the same request continues.
    assert_eq!(told(&send(&world, &part("one", 0, &["a", "b", "c"])).await.1), (2, 1, true));
}

#[tokio::test]
async fn a_part_that_cannot_be_taken_is_refused_whole() {
    let world = World::empty();
    let with = |change: fn(&mut Value)| {
        let mut body = part("one", 0, &["a", "b"]);
        change(&mut body);
        body
    };
    let cases: [(Value, &str); 9] = [
        (with(|body| body["scan"] = json!(7)), "`scan` is 7"),
        (with(|body| body["scan"]["id"] = json!("")), "1 to 64 bytes"),
        (with(|body| body["scan"]["flags"] = json!(1)), "no more than the scan has"),
        (with(|body| body["before"] = json!(2)), "no more than the scan has"),
        (with(|body| body["before"] = json!(-1)), "`before` is -1"),
        (with(|body| body["flags"] = json!({})), "1 to 500 flags"),
        (with(|body| body["flags"]["b"] = json!({})), "flag \"b\": field `codeReferences` is missing"),
        (with(|body| body["flags"]["b"]["owner"] = json!("x")), "flag \"b\": field `owner` is no part of a scan"),
        (with(|body| body["flags"][""] = json!({ "codeReferences": 1 })), "no flag can have this name"),
    ];
    for (body, words) in cases {
        let (status, answer) = send(&world, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{words}: {answer}");
    }
    let reply = world.ask(Method::PUT, PATH, &[("content-type", "text/plain")], "{}").await;
    assert_eq!(reply.status.as_u16(), 415);
    assert!(logged(&world).await.iter().all(Vec::is_empty));
}
