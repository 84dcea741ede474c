//! The one trait of this package, and the list of those who keep it.
//!
//! Always true here: the list is searched in order and the first protocol that owns a path's prefix decides.

use schemas::event::Payload;
use schemas::rejection::Rejection;

use crate::limits::Limits;
use crate::path::Path;
use crate::reply::Body;
use crate::request::Request;
use crate::route::{Route, RouteMiss, delivers_flags};

/// Every protocol there is.
pub const PROTOCOLS: &[&dyn Protocol] = &[&crate::launchdarkly::LaunchDarkly];

/// How one family of SDKs says it.
pub trait Protocol: Sync {
    /// Its name: the folder's under `golden/`.
    fn name(&self) -> &'static str;

    /// Whether a request is its own; `None` = the path does not lie under its prefixes.
    fn route<'a>(&self, method: &str, path: &Path<'a>) -> Option<Result<Route<'a>, RouteMiss>>;

    /// The plain bytes that hold the events: the body, or what `buffer` was filled with.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing plain can be made of them within the limits.
    fn open<'b>(
        &self,
        route: &Route<'_>,
        request: &Request<'b>,
        limits: &Limits,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], Refusal>;

    /// Rows that borrow from the plain bytes (and, for their origin, from the request's headers).
    ///
    /// # Errors
    /// A [`Refusal`] when the payload is refused whole; events refused alone are numbered in the payload.
    fn decode<'a>(
        &self,
        route: &Route<'_>,
        request: &Request<'a>,
        plain: &'a [u8],
        limits: &Limits,
    ) -> Result<Payload<'a>, Refusal>;

    /// Status and body by which its SDKs know that a request of this route was taken.
    fn accepted(&self, route: &Route<'_>) -> (u16, Body);

    /// Whether the SDK that sent this survives a 413; those that do not get a 400 and go on.
    fn survives_413(&self, user_agent: &str) -> bool;

    /// Request headers that a browser's SDK may send, for `Access-Control-Allow-Headers`.
    fn browser_headers(&self) -> &'static str;
}

/// A payload refused whole, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable reason.
    pub reason: Rejection,
    /// What happened, to what, and what to try.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Rejection, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Where a request belongs.
///
/// # Errors
/// A [`RouteMiss`] when it is no request of any protocol.
pub fn route<'a>(method: &str, path: &'a str) -> Result<Route<'a>, RouteMiss> {
    let path = Path::new(path);
    match PROTOCOLS.iter().find_map(|protocol| protocol.route(method, &path)) {
        Some(found) => found,
        None if delivers_flags(&path) => Err(RouteMiss::FlagDelivery),
        None => Err(RouteMiss::Foreign),
    }
}
