//! LaunchDarkly's event protocol: schemas 4, 3, 2 and 1, unsummarized payloads, diagnostics, and image requests.
//!
//! Always true here: the shape of the body says what it is (an array: analytics; an object: a diagnostic), since SDKs
//! retry a failed diagnostic on the analytics path, without its headers. An array is decoded by [`payload`], element by
//! element: [`element`] takes the fields, [`rows`] makes rows of them. What a header means is in [`headers`].

mod context;
mod diagnostic;
mod element;
mod headers;
mod image;
mod migration;
mod payload;
mod rows;
mod sights;
mod summary;

use schemas::event::{Credential, Payload};
use schemas::rejection::Rejection;

use crate::inflate::inflate;
use crate::json::{is_deeper, repaired};
use crate::limits::Limits;
use crate::path::{Path, decoded};
use crate::payload_id;
use crate::protocol::{Protocol, Refusal};
use crate::reply::Body;
use crate::request::Request;
use crate::route::{Carries, CredentialPlace, Route, RouteMiss};

/// LaunchDarkly's SDKs.
#[derive(Debug)]
pub(crate) struct LaunchDarkly;

/// What browsers' SDKs send, and what their server-side kin may.
const BROWSER_HEADERS: &str = "Cache-Control, Content-Type, Content-Length, Content-Encoding, Accept-Encoding, Authorization, \
    X-LaunchDarkly-User-Agent, X-LaunchDarkly-Payload-ID, X-LaunchDarkly-Wrapper, X-LaunchDarkly-Event-Schema, \
    X-LaunchDarkly-Tags, X-LaunchDarkly-Instance-Id, X-LaunchDarkly-Unsummarized";

/// How the events of a payload are meant, by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    /// Schema of the events.
    schema: u64,
    /// Each feature event is an evaluation that no summary counts.
    unsummarized: bool,
}

impl Mode {
    fn of(route: &Route<'_>, request: &Request<'_>) -> Self {
        // An image request has no headers of its own; only SDKs of schema 3 make them.
        let schema = if route.carries == Carries::Image { 3 } else { headers::schema(request) };
        Self { schema, unsummarized: schema < 3 || headers::is_unsummarized(request) }
    }
}

impl Protocol for LaunchDarkly {
    fn name(&self) -> &'static str {
        "launchdarkly"
    }

    fn route<'a>(&self, method: &str, path: &Path<'a>) -> Option<Result<Route<'a>, RouteMiss>> {
        let authorization = || CredentialPlace::Authorization;
        let in_path = |id: &'a str| CredentialPlace::Path(decoded(id));
        let (carries, credential_kind, credential_place) = match *path.segments() {
            ["bulk"] => (Carries::Analytics, Credential::Server, authorization()),
            ["diagnostic"] => (Carries::Diagnostic, Credential::Server, authorization()),
            ["mobile"] | ["mobile", "events"] | ["mobile", "events", "bulk"] => {
                (Carries::Analytics, Credential::Mobile, authorization())
            }
            ["mobile", "events", "diagnostic"] => (Carries::Diagnostic, Credential::Mobile, authorization()),
            ["events", "bulk", id] => (Carries::Analytics, Credential::ClientSide, in_path(id)),
            ["events", "diagnostic", id] => (Carries::Diagnostic, Credential::ClientSide, in_path(id)),
            ["a", image] | ["events", "bulk", _, "a", image] if image.ends_with(".gif") => {
                (Carries::Image, Credential::ClientSide, in_path(&image[..image.len() - ".gif".len()]))
            }
            ["bulk" | "diagnostic" | "mobile" | "events" | "a", ..] => {
                return Some(Err(RouteMiss::UnknownUnderPrefix));
            }
            _ => return None,
        };
        // Only a browser asks whether it may.
        let allow = match (credential_kind, carries) {
            (_, Carries::Image) => "GET, OPTIONS",
            (Credential::ClientSide, _) => "POST, OPTIONS",
            (Credential::Server | Credential::Mobile, _) => "POST",
        };
        let carries = match method {
            "OPTIONS" if credential_kind == Credential::ClientSide => Carries::Preflight,
            "GET" if carries == Carries::Image => carries,
            "POST" if carries != Carries::Image => carries,
            _ => return Some(Err(RouteMiss::WrongMethod { allow })),
        };
        Some(Ok(Route { protocol: &Self, carries, credential_kind, credential_place }))
    }

    fn open<'b>(
        &self,
        route: &Route<'_>,
        request: &Request<'b>,
        limits: &Limits,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], Refusal> {
        let in_buffer = match route.carries {
            Carries::Preflight => return Ok(&[]),
            Carries::Image => image::open(request, buffer).map(|()| true)?,
            Carries::Analytics | Carries::Diagnostic => {
                inflate(&request.header_text("content-encoding"), request.body, limits, buffer)?
            }
        };
        let plain = if in_buffer { &buffer[..] } else { request.body };
        if let Some(text) = repaired(plain, limits.inflated_bytes_max) {
            if text.len() > limits.inflated_bytes_max {
                return Err(malformed("body is no UTF-8 in too many places"));
            }
            *buffer = text.into_bytes();
            return Ok(buffer);
        }
        Ok(if in_buffer { buffer } else { request.body })
    }

    fn decode<'a>(
        &self,
        route: &Route<'_>,
        request: &Request<'a>,
        plain: &'a [u8],
        limits: &Limits,
    ) -> Result<Payload<'a>, Refusal> {
        let origin = headers::origin(route.credential_kind, request);
        if route.carries == Carries::Preflight {
            return Ok(Payload { origin, ..Payload::default() });
        }
        let plain = std::str::from_utf8(plain).map_err(|error| malformed(format!("body is no UTF-8: {error}")))?;
        let first = plain.bytes().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        let payload = match first.ok_or_else(|| malformed("body is empty"))? {
            b'{' => diagnostic::decode(plain, limits)?,
            b'[' if route.carries != Carries::Diagnostic => {
                let id = request.header("x-launchdarkly-payload-id").and_then(payload_id::sent);
                Payload { id, ..payload::decode(plain, Mode::of(route, request), limits)? }
            }
            b'[' => return Err(malformed("a diagnostic is one object, not an array")),
            _ => return Err(malformed("body is neither an array of events nor a diagnostic object")),
        };
        Ok(Payload { origin, ..payload })
    }

    fn accepted(&self, route: &Route<'_>) -> (u16, Body) {
        match route.carries {
            Carries::Analytics | Carries::Diagnostic => (202, Body::Empty),
            Carries::Image => (200, Body::Fixed("image/gif", image::GIF)),
            Carries::Preflight => (204, Body::Empty),
        }
    }

    /// Node 9, Go, C++ and Flutter lose the payload and go on; all others stop for ever, or are not known.
    fn survives_413(&self, user_agent: &str) -> bool {
        ["NodeJSClient/9.", "GoClient/", "CPPClient/", "CPPServer/", "Flutter"]
            .iter()
            .any(|sdk| user_agent.starts_with(sdk))
    }

    fn browser_headers(&self) -> &'static str {
        BROWSER_HEADERS
    }
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(Rejection::MalformedPayload, message)
}

/// What is said of a body that `serde_json` refuses. Where one nests deeper than any event may, that is what is wrong
/// with it.
fn not_json(error: &serde_json::Error, plain: &str, limits: &Limits) -> Refusal {
    if is_deeper(plain, limits.depth_max) {
        let message = format!("body nests deeper than {} levels, and is no JSON: {error}", limits.depth_max);
        return Refusal::new(Rejection::TooDeep, message);
    }
    malformed(format!("body is no JSON: {error}"))
}
