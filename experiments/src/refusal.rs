//! Why a request was not answered: a status, a stable code, and a message for people.
//!
//! Always true here: a refusal carries no request id; [`crate::request`] puts it in when it writes the body, as JSON
//! for programs and as a page for browsers.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// A query parameter that cannot be honoured: its name, its value and what is allowed.
    pub(crate) fn parameter(name: &str, value: &str, allowed: &str) -> Self {
        let value: String = value.chars().take(100).collect();
        let message = format!("parameter `{}` is {value:?}; allowed: {allowed}", name.escape_debug());
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    }

    /// More than one request may ask for.
    pub(crate) fn too_much(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "too_much", message)
    }

    pub(crate) fn unauthorized() -> Self {
        let message = "a read key is needed: send `Authorization: KEY` or `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// A cell whose bytes cannot be read: nothing is shown rather than a wrong number.
    pub(crate) fn damaged(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "cannot read a cell");
        let message = format!("{error}; was it written by a newer build?");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged_cell", message)
    }
}

impl From<stores::Error> for Refusal {
    fn from(error: stores::Error) -> Self {
        tracing::warn!(%error, "store did not answer");
        if error.is_retryable() {
            Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the store does not answer; try again in a second",
            )
        } else {
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", "the store failed; the server's log says why")
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
