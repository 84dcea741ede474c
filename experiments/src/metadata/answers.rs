//! `PUT`, `PATCH`, `DELETE` and `GET` of a flag's metadata, and its snooze.
//!
//! Always true here: only an admin key changes anything, and the API only with a body of JSON or by `DELETE`: another
//! site's page cannot send either with the visitor's cookie unless this server says so beforehand (it never does), and
//! the cookie is `SameSite=Strict`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::id::{KEY_BYTES_MAX, check_key_text};
use schemas::partition::home;
use schemas::wire::record::Definition;
use serde_json::{Map, Value, json};

use super::{Body, KIND, Said, body, of_flag, of_flags, of_the_project, read_body};
use crate::Serve;
use crate::publisher::{Turn, publish};
use crate::reading::standings;
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};

/// Longest body of a request, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// `GET /v1/projects/{project}/flags/{flag}`: what is folded; version 0 = nothing was said.
pub(crate) async fn show(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, flag)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    check(&caller, &project, &flag)?;
    let standings = standings(&serve, 0..1).await?;
    let progress = standings.first().map(|standing| standing.progress(caller.now_ms));
    let said = of_flag(&serve, &project, &flag).await?.unwrap_or_default();
    let mut answer = told(&serve, &caller, &project, &flag, &said).await?;
    answer["asOf"] = progress.map_or(0, |progress| progress.as_of_ms).into();
    answer["complete"] = progress.is_some_and(|progress| progress.complete).into();
    json(&answer)
}

/// `PUT /v1/projects/{project}/flags/{flag}`: replaces all of it.
pub(crate) async fn put(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, flag)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    caller.admin()?;
    check(&caller, &project, &flag)?;
    let fields = fields(request).await?;
    let body = Body::of_request(&fields, caller.now_ms).map_err(|what| invalid(&what))?;
    let turn = serve.publisher.turn().await?;
    let said = say(&serve, turn, &project, &flag, Said::now(body, caller.now_ms)).await?;
    json(&told(&serve, &caller, &project, &flag, &said).await?)
}

/// `PATCH /v1/projects/{project}/flags/{flag}`: changes the fields it names, null ends what was known; where that
/// changes nothing there is no new version, and `changed` says so.
///
/// Two processes: as [`snooze`].
pub(crate) async fn change(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, flag)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    caller.admin()?;
    check(&caller, &project, &flag)?;
    let fields = fields(request).await?;
    Body::of_request(&fields, caller.now_ms).map_err(|what| invalid(&what))?;
    let mut turn = serve.publisher.turn().await?;
    let was = newest(&serve, &mut turn, &project, &flag).await?;
    let body = was.body.with(&fields).map_err(|what| invalid(&what))?;
    let changed = !was.is_something() || body != was.body;
    let said = if changed { say(&serve, turn, &project, &flag, Said::now(body, caller.now_ms)).await? } else { was };
    let mut answer = told(&serve, &caller, &project, &flag, &said).await?;
    answer["changed"] = changed.into();
    json(&answer)
}

/// `DELETE /v1/projects/{project}/flags/{flag}`: withdraws all that was said of it, so that it is forgotten unless it
/// was evaluated; where nothing is said, `changed` is false and nothing happens.
pub(crate) async fn remove(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, flag)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    check(&caller, &project, &flag)?;
    let mut turn = serve.publisher.turn().await?;
    let was = newest(&serve, &mut turn, &project, &flag).await?;
    let changed = was.is_something();
    let said = if changed { say(&serve, turn, &project, &flag, Said::nothing(caller.now_ms)).await? } else { was };
    let mut answer = told(&serve, &caller, &project, &flag, &said).await?;
    answer["changed"] = changed.into();
    json(&answer)
}

/// `PUT /v1/projects/{project}/flags/{flag}/snooze`: changes `snoozedUntil` alone.
///
/// Within a process nothing that another says meanwhile is lost. Two processes may both read before either publishes:
/// then the later in partition 0 is in force, whole, and the other's change is gone.
pub(crate) async fn snooze(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, flag)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    caller.admin()?;
    check(&caller, &project, &flag)?;
    let until = until(&fields(request).await?, caller.now_ms)?;
    let said = change_snooze(&serve, &caller, &project, &flag, until).await?;
    json(&told(&serve, &caller, &project, &flag, &said).await?)
}

/// Snoozes a flag until that time (Unix milliseconds), or wakes it with `None`, whatever else was said of it; for
/// admins.
pub(crate) async fn change_snooze(
    serve: &Arc<Serve>,
    caller: &Caller,
    project: &str,
    flag: &str,
    until: Option<i64>,
) -> Result<Said, Refusal> {
    caller.admin()?;
    check(caller, project, flag)?;
    let mut turn = serve.publisher.turn().await?;
    let mut body = newest(serve, &mut turn, project, flag).await?.body;
    body.snoozed_until = until;
    say(serve, turn, project, flag, Said::now(body, caller.now_ms)).await
}

/// Whether a snooze may end then.
pub(crate) fn may_end_snooze(until_ms: i64, now_ms: i64) -> bool {
    until_ms > now_ms && until_ms - now_ms <= body::SNOOZE_MS_MAX
}

/// What is known of a flag, as it is answered.
async fn told(serve: &Serve, caller: &Caller, project: &str, flag: &str, said: &Said) -> Result<Value, Refusal> {
    let seen = is_seen(serve, caller, project, flag).await?;
    Ok(json!({
        "key": flag, "metadata": said.body, "version": said.version, "saidAt": said.at_ms, "withdrawn": said.withdrawn, "seen": seen
    }))
}

/// Publishes it; gives it with its version.
async fn say(serve: &Arc<Serve>, turn: Turn, project: &str, flag: &str, said: Said) -> Result<Said, Refusal> {
    let version = publish(serve, turn, said.definition(project, flag)?).await?;
    Ok(Said { version, ..said })
}

/// What was said last, folded or not.
async fn newest(serve: &Serve, turn: &mut Turn, project: &str, flag: &str) -> Result<Said, Refusal> {
    Ok(newest_of(serve, turn, project, &[flag]).await?.into_iter().next().unwrap_or_default())
}

/// What was said last of each flag, in their order, folded or not.
pub(super) async fn newest_of(
    serve: &Serve,
    turn: &mut Turn,
    project: &str,
    flags: &[&str],
) -> Result<Vec<Said>, Refusal> {
    // The log first: what is folded after this look is in both.
    let keys: Vec<&[u8]> = flags.iter().map(|flag| flag.as_bytes()).collect();
    let tail = turn.not_yet_folded(serve, &of_the_project(project), KIND, &keys).await?;
    let rest: Vec<&str> = flags.iter().zip(&tail).filter(|(_, tail)| tail.is_none()).map(|(flag, _)| *flag).collect();
    let mut folded = of_flags(serve, project, &rest).await?.into_iter();
    let newest = |(flag, tail): (&&str, Option<Definition>)| match tail {
        Some(definition) => read_body(flag, definition.version, &definition.body),
        None => Ok(folded.next().flatten().unwrap_or_default()),
    };
    flags.iter().zip(tail).map(newest).collect()
}

/// Refuses a project of which the caller may read nothing, and what is no flag key.
fn check(caller: &Caller, project: &str, flag: &str) -> Result<(), Refusal> {
    check_project(caller, project)?;
    check_flag(flag)
}

/// Refuses what is no flag key.
pub(super) fn check_flag(flag: &str) -> Result<(), Refusal> {
    check_key_text(flag, KEY_BYTES_MAX).map_err(|error| invalid(&format!("no flag can have this name: {error}")))
}

/// Refuses a project of which the caller may read nothing.
pub(super) fn check_project(caller: &Caller, project: &str) -> Result<(), Refusal> {
    let visible = caller.access.visible(&caller.grant);
    if !visible.iter().any(|environment| environment.project == project.as_bytes()) {
        return Err(Refusal::not_found(format!(
            "no project `{}` that is configured and open here",
            project.escape_debug()
        )));
    }
    Ok(())
}

/// Whether any environment that the caller may read has seen it.
pub(crate) async fn is_seen(serve: &Serve, caller: &Caller, project: &str, flag: &str) -> Result<bool, Refusal> {
    let visible = caller.access.visible(&caller.grant).into_iter();
    let key = |environment: schemas::id::Environment| CellKey {
        generation: serve.generation,
        partition: home(&environment, serve.partitions),
        kind: CellKind::LastSeen,
        environment,
        name: CellName::Key(Bytes::copy_from_slice(flag.as_bytes())),
        window: 0,
    };
    let keys = visible.filter(|environment| environment.project == project.as_bytes()).map(key).collect();
    Ok(serve.store.load(keys).await?.iter().any(Option::is_some))
}

async fn fields(request: Request) -> Result<Map<String, Value>, Refusal> {
    fields_within(request, REQUEST_BYTES_MAX).await
}

/// The fields of a body of at most so many bytes.
pub(super) async fn fields_within(request: Request, bytes_max: usize) -> Result<Map<String, Value>, Refusal> {
    if !is_json(request.headers()) {
        let message = "the body must be JSON: send `Content-Type: application/json`";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
    }
    let bytes = axum::body::to_bytes(request.into_body(), bytes_max).await.map_err(|_| {
        let message = format!("the body is over {bytes_max} bytes, or did not come to its end");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    })?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(invalid("the body is no JSON object")),
        Err(error) => Err(invalid(&format!("the body is no JSON: {error}"))),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn until(fields: &Map<String, Value>, now_ms: i64) -> Result<Option<i64>, Refusal> {
    const ALLOWED: &str =
        "a time in the future, at most 1 year ahead: a date, RFC 3339 or Unix milliseconds; null ends the snooze";
    if let Some(other) = fields.keys().find(|name| *name != "until") {
        return Err(invalid(&format!(
            "there is no field {:?}; allowed: until",
            other.chars().take(100).collect::<String>()
        )));
    }
    match fields.get("until") {
        Some(Value::Null) => Ok(None),
        given => {
            let given = given.unwrap_or(&Value::Null);
            let time = body::time(given).filter(|ms| may_end_snooze(*ms, now_ms));
            time.map(Some).ok_or_else(|| invalid(&body::wrong("until", given, ALLOWED)))
        }
    }
}

pub(super) fn invalid(what: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_field", what)
}
