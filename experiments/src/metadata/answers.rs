//! `PUT`, `PATCH` and `GET` of a flag's metadata, and its snooze.
//!
//! Always true here: only an admin key changes anything, and the API only with a body of JSON: another site's page
//! cannot send that with the visitor's cookie unless this server says so beforehand (it never does), and the cookie is
//! `SameSite=Strict`.

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

use super::{Body, KIND, Said, body, of_flag, of_the_project, read_body};
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
    json(&json!({
        "key": flag, "metadata": said.body, "version": said.version, "seen": is_seen(&serve, &caller, &project, &flag).await?,
        "asOf": progress.map_or(0, |progress| progress.as_of_ms), "complete": progress.is_some_and(|p| p.complete)
    }))
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
    let version = publish(&serve, turn, definition(&project, &flag, &body)?).await?;
    answer(&serve, &caller, &project, &flag, &Said { version, body }).await
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
    let before = newest(&serve, &mut turn, &project, &flag).await?;
    let was = before.clone().unwrap_or_default();
    let body = was.body.with(&fields).map_err(|what| invalid(&what))?;
    let changed = before.is_none() || body != was.body;
    let version = if changed { publish(&serve, turn, definition(&project, &flag, &body)?).await? } else { was.version };
    let seen = is_seen(&serve, &caller, &project, &flag).await?;
    json(&json!({ "key": flag, "metadata": body, "version": version, "seen": seen, "changed": changed }))
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
    answer(&serve, &caller, &project, &flag, &said).await
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
    let mut body = newest(serve, &mut turn, project, flag).await?.unwrap_or_default().body;
    body.snoozed_until = until;
    let version = publish(serve, turn, definition(project, flag, &body)?).await?;
    Ok(Said { version, body })
}

/// Whether a snooze may end then.
pub(crate) fn may_end_snooze(until_ms: i64, now_ms: i64) -> bool {
    until_ms > now_ms && until_ms - now_ms <= body::SNOOZE_MS_MAX
}

async fn answer(serve: &Serve, caller: &Caller, project: &str, flag: &str, said: &Said) -> Result<Response, Refusal> {
    let seen = is_seen(serve, caller, project, flag).await?;
    json(&json!({ "key": flag, "metadata": said.body, "version": said.version, "seen": seen }))
}

/// What was said last, folded or not.
async fn newest(serve: &Serve, turn: &mut Turn, project: &str, flag: &str) -> Result<Option<Said>, Refusal> {
    // The log first: what is folded after this look is in both.
    let tail = turn.not_yet_folded(serve, &of_the_project(project), KIND, flag.as_bytes()).await?;
    match tail {
        Some(definition) => read_body(flag, definition.version, &definition.body).map(Some),
        None => of_flag(serve, project, flag).await,
    }
}

fn definition(project: &str, flag: &str, body: &Body) -> Result<Definition, Refusal> {
    let written = body.to_json();
    let written = written.map_err(|e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e.to_string()))?;
    Ok(Definition {
        project: Bytes::copy_from_slice(project.as_bytes()),
        environment: Bytes::new(),
        kind: KIND.into(),
        key: Bytes::copy_from_slice(flag.as_bytes()),
        version: 0,
        body: written.into(),
    })
}

/// Refuses a project of which the caller may read nothing, and what is no flag key.
fn check(caller: &Caller, project: &str, flag: &str) -> Result<(), Refusal> {
    let visible = caller.access.visible(&caller.grant);
    if !visible.iter().any(|environment| environment.project == project.as_bytes()) {
        return Err(Refusal::not_found(format!(
            "no project `{}` that is configured and open here",
            project.escape_debug()
        )));
    }
    check_key_text(flag, KEY_BYTES_MAX).map_err(|error| invalid(&format!("no flag can have this name: {error}")))
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
    if !is_json(request.headers()) {
        let message = "the body must be JSON: send `Content-Type: application/json`";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
    }
    let bytes = axum::body::to_bytes(request.into_body(), REQUEST_BYTES_MAX).await.map_err(|_| {
        let message = format!("the body is over {REQUEST_BYTES_MAX} bytes, or did not come to its end");
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

fn invalid(what: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_field", what)
}
