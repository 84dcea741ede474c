//! What every request goes through: its id and span, who is asking, path segments, and the form of answers and errors.
//!
//! Always true here: each answer carries `X-Request-Id`; each error is `{code, message, requestId}` (or a page, for a
//! browser on one of the page's addresses); an HTML answer carries the content security policy; nothing is cached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use schemas::id::Environment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::Serve;
use crate::access::{Access, Grant, credential};
use crate::page::login;
use crate::refusal::Refusal;

/// Nothing from anywhere but us; `connect-src` is for the page's own refresh.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                                 connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Tells a program that the key it sent was not looked at: without read and admin keys every read is open.
const KEY_NOT_NEEDED: (&str, &str) = ("x-flagstream-key", "not-needed");
/// Addresses whose errors are pages, and all below [`crate::page::flag::BELOW`].
const PAGES: [&str; 7] =
    ["/", "/flag", "/stale", crate::page::stale::snooze::PATH, crate::page::comparison::PATH, "/login", "/logout"];

/// A read may take so long,
const READ_WITHIN: Duration = Duration::from_secs(10);
/// and a back-test, which judges many days, so long.
const BACKTEST_WITHIN: Duration = Duration::from_secs(60);
/// and a comparison, which waits until all is counted, so long.
const COMPARISON_WITHIN: Duration = Duration::from_secs(90);
const BACKTEST: &str = "/stale-flags/backtest";

/// Who asks, and when.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) access: Arc<Access>,
    pub(crate) grant: Grant,
    pub(crate) now_ms: i64,
    pub(crate) uri: Uri,
}

impl Caller {
    /// The environment of this name, if this caller may read it.
    pub(crate) fn find(&self, project: &str, key: &str) -> Result<Environment, Refusal> {
        self.access.find(&self.grant, project, key)
    }

    /// Refuses all but admin keys.
    pub(crate) fn admin(&self) -> Result<(), Refusal> {
        match self.grant {
            Grant::All => Ok(()),
            Grant::Some(_) => Err(Refusal::forbidden("this needs an admin key; read keys open their environment only")),
        }
    }
}

impl FromRequestParts<Arc<Serve>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, serve: &Arc<Serve>) -> Result<Self, Refusal> {
        let access = (serve.access)();
        if access.is_open() {
            check_host(&parts.headers, &parts.uri)?;
        }
        let grant = access.grant(credential(&parts.headers).as_deref()).ok_or_else(Refusal::unauthorized)?;
        Ok(Self { access, grant, now_ms: (serve.clock_ms)(), uri: parts.uri.clone() })
    }
}

/// Where no key is needed, a web site could point a name of its own at this machine and read through the visitor's
/// browser: only loopback's own names and plain addresses are answered.
fn check_host(headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|a| a.as_str()));
    let Some(host) = host else { return Ok(()) };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let local = name == "localhost" || name.ends_with(".localhost") || name.parse::<std::net::IpAddr>().is_ok();
    if local {
        return Ok(());
    }
    Err(Refusal::forbidden("without read keys only localhost is answered; give the environment `read_keys`"))
}

/// Segments of the path, each decoded once (`%2F` is a slash in a key).
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let segments: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        segments
            .map(|Path(segments)| Self(segments))
            .map_err(|_| Refusal::not_found("a segment of this path is not UTF-8, so it names nothing"))
    }
}

/// An answer of 200 with this body.
pub(crate) fn json<T: Serialize>(body: &T) -> Result<Response, Refusal> {
    match serde_json::to_vec(body) {
        Ok(bytes) => Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response()),
        Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())),
    }
}

/// `_links` of a list.
pub(crate) fn link(next: Option<&str>) -> serde_json::Value {
    match next {
        Some(href) => serde_json::json!({ "next": { "href": href, "type": "application/json" } }),
        None => serde_json::json!({}),
    }
}

/// Where request ids come from: a prefix of this process and a number.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: String,
    given: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), given: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{}-{}", self.prefix, self.given.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What every request goes through.
pub(crate) async fn answer(
    State((ids, serve)): State<(Arc<RequestIds>, Arc<Serve>)>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.next();
    let is_key_idle = request.headers().contains_key(header::AUTHORIZATION) && (serve.access)().is_open();
    let path = request.uri().path().to_owned();
    let wants_page =
        (PAGES.contains(&path.as_str()) || path.starts_with(crate::page::flag::BELOW)) && is_browser(request.headers());
    // What a form sent is not sent again after log-in.
    let asked = if request.method() == Method::GET { request.uri().clone() } else { Uri::from_static("/") };
    let span = tracing::info_span!("answer request", method = %request.method(), path, id);
    let limit = time_limit(request.method(), &path);
    let answered = next.run(request).instrument(span.clone());
    let mut response = match limit {
        Some(limit) => timeout(limit, answered).await.unwrap_or_else(|_| too_slow(limit).into_response()),
        None => answered.await,
    };
    if let Some(refusal) = refusal(&mut response, &path) {
        let _entered = span.enter();
        tracing::debug!(code = refusal.code, message = refusal.message, "refused");
        let allow = response.headers_mut().remove(header::ALLOW);
        response = refused(&refusal, &id, wants_page.then_some(&asked));
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    finish(&mut response, &id);
    if is_key_idle {
        let (name, value) = KEY_NOT_NEEDED;
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How long an answer may take: a reader that asks for much costs no more than that. What is written has its own limits.
fn time_limit(method: &Method, path: &str) -> Option<Duration> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let limit = match path {
        crate::comparison::PATH => COMPARISON_WITHIN,
        _ if path.ends_with(BACKTEST) => BACKTEST_WITHIN,
        _ => READ_WITHIN,
    };
    is_read.then_some(limit)
}

fn too_slow(limit: Duration) -> Refusal {
    let message = format!(
        "this was not read within {} s; ask for less (a shorter time, one flag), or try again: the store may be slow",
        limit.as_secs()
    );
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", message)
}

/// Whether the sender reads pages: browsers name HTML among what they accept, programs do not.
fn is_browser(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
    accepted.any(|accepted| accepted.to_ascii_lowercase().contains("text/html"))
}

/// The refusal that a response stands for: ours, or the router's own 404 and 405.
fn refusal(response: &mut Response, path: &str) -> Option<Refusal> {
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        return Some(refusal);
    }
    let bare = !response.headers().contains_key(header::CONTENT_TYPE);
    let path: String = path.chars().take(200).collect();
    match response.status() {
        StatusCode::NOT_FOUND if bare => {
            Some(Refusal::not_found(format!("there is nothing at {path:?}; /openapi.json tells what there is")))
        }
        StatusCode::METHOD_NOT_ALLOWED if bare => {
            let message = format!("{path:?} does not take this method; the Allow header tells which");
            Some(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
        }
        _ => None,
    }
}

/// `page`: what a browser asked for.
fn refused(refusal: &Refusal, id: &str, page: Option<&Uri>) -> Response {
    if let Some(page) = page.filter(|_| refusal.status == StatusCode::UNAUTHORIZED) {
        return Redirect::to(&login::address(page)).into_response();
    }
    if page.is_some() {
        return (refusal.status, crate::page::problem(refusal, id)).into_response();
    }
    let body = serde_json::json!({ "code": refusal.code, "message": refusal.message, "requestId": id });
    let mut response = (refusal.status, Json(body)).into_response();
    let extra = match refusal.status {
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        _ => None,
    };
    if let Some((name, value)) = extra {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn finish(response: &mut Response, id: &str) {
    let html =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if html {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
}
