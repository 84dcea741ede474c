//! The router: HTTP types in and out, nothing decided.
//!
//! Always true here: every answer has a `Date` by ingest's clock (an SDK ends debugging by it) and is counted, as is a
//! request whose sender went away; an error's body tells the request's id.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use protocols::Reply;

use crate::ingest::Ingest;
use crate::way::walk;

/// A router that takes every request which no other route takes: SDKs' paths are dispatched by the protocols, the rest
/// gets a 404. Merge it with routers that have routes and no fallback.
pub fn service(ingest: Ingest) -> Router {
    Router::new().fallback(take).with_state(ingest)
}

async fn take(State(ingest): State<Ingest>, request: Request) -> Response {
    let open = ingest.0.metrics.begin();
    let (parts, body) = request.into_parts();
    let reply = walk(&ingest.0, &parts, body).await;
    let response = response(&reply, (ingest.0.clock)());
    open.answered(response.status());
    response
}

fn response(reply: &Reply, now_ms: i64) -> Response {
    let is_error = matches!(reply.body, protocols::Body::Error { .. });
    let id = is_error.then(|| request_id(now_ms));
    if let Some(id) = &id {
        tracing::debug!(request_id = id, status = reply.status, "refused a request");
    }
    let body = match reply.body_bytes(id.as_deref()) {
        std::borrow::Cow::Borrowed(bytes) => Body::from(bytes),
        std::borrow::Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in &reply.headers {
        put(headers, HeaderName::from_static(name), value);
    }
    if let Some(content_type) = reply.content_type() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    put(headers, DATE, &http_date(now_ms));
    response
}

/// A value that came from a request's header is a header value again; should one not be, it is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

/// The form knows years up to 9999.
const DATE_MS_MAX: u64 = 253_402_300_799_999;

fn http_date(now_ms: i64) -> String {
    let since_1970 = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0).min(DATE_MS_MAX));
    httpdate::fmt_http_date(UNIX_EPOCH + since_1970)
}

/// An id by which people find a refusal in the log: time and number, unlike any other of this process.
fn request_id(now_ms: i64) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{now_ms:x}-{:x}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
