//! `GET /api/v2/flag-statuses/…` and `/api/v2/flag-status/…`: LaunchDarkly's own shapes, from the verdicts of
//! [`crate::stale_flags`].
//!
//! Always true here: `name` is one of the vendor's four words, since its generated clients refuse others. Where too
//! little was heard to tell (our `unknown`) it is `active`: a program that acts on `inactive` or `launched` then lets
//! the flag be. The rule's own word stands beside it as `status`, with the environment's `coverage`. `lastRequested`
//! has the vendor's milliseconds, but sights are kept to the hour: it is the beginning of the last one's hour, so it
//! moves when somebody asks and not before. It is left out of flags that were never requested, and `default` where
//! callers told none. Parameters unknown to us are passed over, since the vendor has more of them than we do.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Serve;
use crate::interval::hour_start;
use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json as answer};
use crate::stale::{EnvironmentVerdict, Status as Rule, Verdict};
use crate::stale_flags::entry::place;
use crate::stale_flags::fleet::{self, Read};
use crate::stale_flags::shown::time;
use crate::stale_flags::{environments, judged};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statuses {
    #[serde(rename = "_links")]
    links: Value,
    items: Vec<Status>,
    as_of: i64,
    complete: bool,
}

/// A flag in an environment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(rename = "_links", skip_serializing_if = "Value::is_null")]
    links: Value,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_requested: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    status: &'static str,
    coverage: f64,
    /// False = no hour was expected, so nothing could be missed.
    coverage_measured: bool,
    /// How far it reaches, where it is the whole answer: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<i64>,
    /// Likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Across {
    environments: BTreeMap<String, Status>,
    key: String,
    #[serde(rename = "_links")]
    links: Value,
    as_of: i64,
    complete: bool,
}

/// `GET /api/v2/flag-statuses/{project}/{environment}`
pub(crate) async fn of_environment(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    caller.find(&project, &environment)?;
    let (verdicts, read) = judged(read(&serve, &caller, &project).await?).await?;
    let items = verdicts.iter().filter_map(|verdict| listed(&read, verdict, &project, &environment));
    answer(&Statuses {
        links: json!({ "self": link(&["flag-statuses", &project, &environment]) }),
        items: items.collect(),
        as_of: read.progress.as_of_ms,
        complete: read.progress.complete,
    })
}

/// `GET /api/v2/flag-statuses/{project}/{environment}/{flag}`
pub(crate) async fn of_flag(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment, flag)): Segments<(String, String, String)>,
) -> Result<Response, Refusal> {
    caller.find(&project, &environment)?;
    let (verdicts, read) = judged(read(&serve, &caller, &project).await?).await?;
    let verdict = verdict(verdicts, &flag)?;
    let listed = listed(&read, &verdict, &project, &environment).ok_or_else(|| {
        Refusal::not_found(format!("nothing is known of environment `{}`", environment.escape_debug()))
    })?;
    let (as_of, complete) = (Some(read.progress.as_of_ms), Some(read.progress.complete));
    answer(&Status { as_of, complete, ..listed })
}

/// `GET /api/v2/flag-status/{project}/{flag}`: in every environment, or those of `env`.
pub(crate) async fn across_environments(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, flag)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let wanted = Parameters::read(&caller.uri)?.text("env");
    let wanted: Option<Vec<&str>> = wanted.as_deref().map(|names| names.split(',').collect());
    for name in wanted.iter().flatten() {
        caller.find(&project, name)?;
    }
    let (verdicts, read) = judged(read(&serve, &caller, &project).await?).await?;
    let verdict = verdict(verdicts, &flag)?;
    let is_wanted = |place: &&EnvironmentVerdict| wanted.as_ref().is_none_or(|names| names.contains(&&*place.name));
    let places = verdict.environments.iter().filter(is_wanted);
    answer(&Across {
        environments: places.map(|place| (place.name.clone(), status(&read, &flag, place))).collect(),
        links: json!({ "self": link(&["flag-status", &project, &flag]) }),
        key: flag,
        as_of: read.progress.as_of_ms,
        complete: read.progress.complete,
    })
}

/// All that the caller may read of the project, for a flag's age is that of its first sight anywhere.
async fn read(serve: &Serve, caller: &Caller, project: &str) -> Result<Read, Refusal> {
    fleet::read(serve, project, environments(caller, project)?, caller.now_ms, None).await
}

fn verdict(verdicts: Vec<Verdict>, flag: &str) -> Result<Verdict, Refusal> {
    verdicts.into_iter().find(|verdict| verdict.key == flag).ok_or_else(|| {
        Refusal::not_found(format!("flag `{}` was never seen here, and nothing was told of it", flag.escape_debug()))
    })
}

/// An item of the vendor's list, which names its flag in its own address alone; we say `key` too.
fn listed(read: &Read, verdict: &Verdict, project: &str, environment: &str) -> Option<Status> {
    let place = place(verdict, environment)?;
    let links = json!({
        "parent": link(&["flag-statuses", project, environment]),
        "self": link(&["flag-statuses", project, environment, &verdict.key]),
    });
    Some(Status { links, key: Some(verdict.key.clone()), ..status(read, &verdict.key, place) })
}

fn status(read: &Read, flag: &str, place: &EnvironmentVerdict) -> Status {
    let default = read.defaults.get(&(place.name.clone(), flag.to_owned()));
    Status {
        links: Value::Null,
        name: word(place.status),
        last_requested: place.last_requested_ms.map(hour_start).map(time),
        default: default.and_then(|value| RawValue::from_string(value.clone()).ok()),
        key: None,
        status: place.status.as_str(),
        coverage: f64::from(place.coverage_ppm) / 1_000_000.0,
        coverage_measured: place.is_measured(),
        as_of: None,
        complete: None,
    }
}

/// One of the vendor's words.
fn word(status: Rule) -> &'static str {
    match status {
        Rule::Unknown => Rule::Active.as_str(),
        known => known.as_str(),
    }
}

fn link(segments: &[&str]) -> Value {
    let path: String = segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect();
    json!({ "href": format!("/api/v2{path}"), "type": "application/json" })
}
