//! `/livez`, `/readyz`, `/metrics`, `/openapi.json`: for machines that watch, without a key.
//!
//! Always true here: nothing of any environment is told.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Serve;
use crate::openapi;
use crate::refusal::Refusal;
use crate::request::json;

/// The process runs.
pub(crate) async fn livez() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// It can do its work: what the binary says, and the store answers.
pub(crate) async fn readyz(State(serve): State<Arc<Serve>>) -> Result<Response, Refusal> {
    let not_ready = |message: String| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message);
    (serve.ready)().map_err(not_ready)?;
    serve.store.generation(serve.generation).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ready\n").into_response())
}

/// What the binary counts about itself, in Prometheus' words.
pub(crate) async fn metrics(State(serve): State<Arc<Serve>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], (serve.metrics)().await).into_response()
}

/// The document of all this.
pub(crate) async fn document() -> Result<Response, Refusal> {
    json(&openapi::document())
}
