//! `/livez`, `/readyz` and `/metrics` of a process that answers no questions (`serve` and `up` have their own).
//!
//! Always true here: nothing of any environment is told, so no key is asked for.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use eventlog::EventLog;
use processor::Processor;

use super::metrics::Metrics;

struct Probed {
    log: Arc<dyn EventLog>,
    processor: Option<Arc<Processor>>,
    metrics: Arc<Metrics>,
}

/// The three.
pub fn router(log: Arc<dyn EventLog>, processor: Option<Arc<Processor>>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Arc::new(Probed { log, processor, metrics }))
}

/// It can do its work: the log answers, and all partitions that are its own have begun.
async fn readyz(State(probed): State<Arc<Probed>>) -> Response {
    let begun = probed.processor.as_ref().map_or(Ok(()), |processor| processor.health().ready_with_ours());
    let ready = match begun {
        Ok(()) => probed.log.held().await.map(drop).map_err(|error| error.to_string()),
        error => error,
    };
    match ready {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn metrics_text(State(probed): State<Arc<Probed>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], probed.metrics.text().await).into_response()
}
