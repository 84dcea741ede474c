//! Reads that follow the stage, and the addresses of the gate and the comparison.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemas::id::Environment;
use serde_json::json;

use super::world::{DAY, HOUR, NOW, Sight, World, development, path_of};
use crate::Served;
use crate::other_path::{Counts, EnvironmentStage, OtherCount, OtherError, OtherHours, OtherPath, StageChange};

/// Another path with known counters.
#[derive(Debug)]
struct Known {
    is_in_charge: bool,
    counts: Result<Vec<OtherCount>, OtherError>,
}

impl OtherPath for Known {
    fn is_in_charge(&self, _: &Environment) -> bool {
        self.is_in_charge
    }

    fn counts<'a>(&'a self, asked: OtherHours<'a>) -> BoxFuture<'a, Result<Vec<OtherCount>, OtherError>> {
        let wanted = |count: &OtherCount| {
            let is_evaluation = asked.counts == Counts::Evaluations;
            is_evaluation && asked.hours.contains(&count.hour) && asked.key.is_none_or(|key| key == count.key)
        };
        let counts = self.counts.clone().map(|all| all.into_iter().filter(wanted).collect());
        Box::pin(std::future::ready(counts))
    }

    fn stages(&self) -> Vec<EnvironmentStage> {
        let cause = "flag says `shadow`".to_owned();
        vec![EnvironmentStage {
            project: "default".to_owned(),
            environment: "development".to_owned(),
            stage: if self.is_in_charge { "shadow" } else { "live" },
            asked: Some("live"),
            since: NOW - HOUR,
            held_back: Some("12 are unexplained".to_owned()),
            flag_error: None,
            history: vec![StageChange { at: NOW - HOUR, from: Some("off"), to: "shadow", cause }],
        }]
    }
}

fn count(key: &str, served: Served, hours_ago: i64, number: u64) -> OtherCount {
    let hour = u32::try_from((NOW - hours_ago * HOUR) / HOUR).unwrap();
    OtherCount { key: key.to_owned(), served, hour, number, number_off: 0, seen_ms: NOW - hours_ago * HOUR - 7 }
}

/// The new path has 5 of `checkout`, the other 7 and more.
async fn world(is_in_charge: bool) -> World {
    let mut world = World::empty();
    world.see(&development(), &Sight::of("checkout", 0, "true", NOW - HOUR, 5));
    world.flush().await;
    let counts = vec![
        count("checkout", Served::Index(0), 1, 4),
        count("checkout", Served::Index(0), 0, 3),
        count("checkout", Served::Name("on".to_owned()), 1, 2),
        count("another", Served::Default, 1, 9),
        count("checkout", Served::Index(0), 30, 100),
    ];
    world.other_path = Some(Arc::new(Known { is_in_charge, counts: Ok(counts) }));
    world
}

async fn evaluations(world: &World, rest: &str) -> serde_json::Value {
    world.get(&format!("{}/evaluations{rest}", path_of(&development()))).await.json()
}

#[tokio::test]
async fn the_path_in_charge_answers_and_says_so() {
    let old = evaluations(&world(true).await, "").await;
    let counts: Vec<_> =
        old["items"].as_array().unwrap().iter().map(|i| (&i["flag"], &i["variation"], &i["count"])).collect();
    let expected = [
        (json!("another"), json!(null), json!(9)),
        (json!("checkout"), json!(0), json!(7)),
        (json!("checkout"), json!("on"), json!(2)),
    ];
    assert_eq!(counts, expected.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>(), "{old}");
    assert_eq!((&old["path"], &old["complete"]), (&json!("old"), &json!(true)));
    assert_eq!(old["items"][1]["lastSeen"], NOW - 7);
    assert_eq!(old["from"].as_i64().unwrap() % HOUR, 0, "by whole hours");
    let new = evaluations(&world(false).await, "").await;
    assert_eq!((&new["path"], &new["items"][0]["count"], &new["totalCount"]), (&json!("new"), &json!(5), &json!(1)));
    assert_eq!(evaluations(&World::empty(), "").await["path"], json!(null), "one path needs no name");
}

#[tokio::test]
async fn a_page_of_the_other_path_leads_to_the_next() {
    let world = world(true).await;
    let first = evaluations(&world, "?limit=2&granularity=hour").await;
    let next = first["_links"]["next"]["href"].as_str().unwrap().to_owned();
    let second = world.get(&next).await.json();
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (2, 1));
    assert_eq!(second["items"][0]["variation"], "on");
    assert_eq!(first["items"][1]["series"].as_array().unwrap().len(), 2, "{first}");
}

#[tokio::test]
async fn what_the_other_path_does_not_keep_is_refused() {
    for (rest, what) in [
        ("?granularity=minute", "granularity"),
        ("?groupBy=version", "groupBy"),
        ("?groupBy=application,sdk", "groupBy"),
        ("?groupBy=reason", "groupBy"),
    ] {
        let answer = evaluations(&world(true).await, rest).await;
        let message = answer["message"].as_str().unwrap_or_else(|| panic!("{rest}: {answer}"));
        assert!(message.contains(what) && message.contains("old path is in charge"), "{message}");
    }
}

#[tokio::test]
async fn the_vendors_shape_is_of_the_path_in_charge_too() {
    let of = async |is_old| {
        let from = NOW - DAY;
        world(is_old)
            .await
            .get(&format!("/api/v2/usage/evaluations/default/development/checkout?from={from}"))
            .await
            .json()
    };
    let (old, new) = (of(true).await, of(false).await);
    assert_eq!((&old["path"], &old["totalEvaluations"]), (&json!("old"), &json!(9)), "{old}");
    assert_eq!((&new["path"], &new["totalEvaluations"]), (&json!("new"), &json!(5)));
}

#[tokio::test]
async fn another_path_that_does_not_answer_is_no_empty_answer() {
    let mut world = world(true).await;
    let counts = Err(OtherError::Unavailable("throttled".to_owned()));
    world.other_path = Some(Arc::new(Known { is_in_charge: true, counts }));
    let answer = world.get(&format!("{}/evaluations", path_of(&development()))).await;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.body);
    assert!(answer.body.contains("throttled"));
}

#[tokio::test]
async fn the_gate_and_the_comparison_are_for_admins() {
    let mut world = World::guarded();
    world.other_path = self::world(true).await.other_path;
    for path in
        ["/v1/pipeline/gate", "/v1/pipeline/comparison?project=default&environment=development", "/pipeline/comparison"]
    {
        let status = async |key| world.get_with(path, &[("authorization", key)]).await.status.as_u16();
        assert_eq!((status("read-development").await, status("admin").await), (403, 200), "{path}");
    }
}

/// Counters that this path knows nothing of are not explained by anything.
#[tokio::test]
async fn a_comparison_tells_of_what_the_log_does_not() {
    let answer = world(true).await.get("/v1/pipeline/comparison?project=default&environment=development").await.json();
    assert_eq!(answer["complete"], true, "{answer}");
    // 5 came before there was a gate; of the 18 of the other path nothing is told.
    assert_eq!(answer["totals"]["unexplained"], 18, "{answer}");
    assert_eq!((&answer["totals"]["old"], &answer["totals"]["new"]), (&json!(18), &json!(5)));
    assert_eq!(answer["items"][0]["flag"], "another", "the worst comes first");
    let gate = world(true).await.get("/v1/pipeline/gate").await.json();
    assert_eq!(gate["items"][0]["heldBack"], "12 are unexplained");
    assert_eq!(gate["items"][0]["unexplained"], json!(null), "none was made in the background");
}

#[tokio::test]
async fn pages_say_whose_numbers_they_show() {
    let page = async |is_old, path: &str| world(is_old).await.get(path).await.body;
    for path in ["/", "/flag?project=default&environment=development&key=checkout"] {
        assert!(page(true, path).await.contains("data-stage=\"shadow\""), "{path}");
        assert!(page(false, path).await.contains("the new path is in charge"), "{path}");
    }
    let page = world(true).await.get("/pipeline/comparison").await.body;
    assert!(page.contains("Held back") && page.contains("being compared"), "{page}");
}
