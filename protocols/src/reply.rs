//! The reply: what this SDK must be told, decided from what happened and who asks.
//!
//! Always true here: a reply is a function of route, outcome and request headers. An SDK retries once on 400, 408, 429,
//! 5xx and falls silent for ever on any other 4xx, so 401 is for keys that are certainly unknown and 413 for SDKs known
//! to survive it. Answers to browsers carry CORS headers, refusals too, or the page could not read them.

use std::borrow::Cow;

use schemas::event::Credential;
use schemas::rejection::Rejection;

use crate::protocol::Refusal;
use crate::request::header;
use crate::route::{Carries, CredentialPlace, Route, RouteMiss};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is in the log, or there was nothing in it for the log, or its revoked key is in its grace.
    Accepted,
    /// It was refused whole.
    Refused(&'a Refusal),
    /// The key table says that there is no such key (or no key was sent).
    UnknownKey,
    /// It took too long to arrive.
    TooSlow,
    /// There is too much to do.
    Overloaded,
    /// Log or key table cannot be asked.
    Unavailable,
}

/// The body of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes, of this content type.
    Fixed(&'static str, &'static [u8]),
    /// `{code, message, requestId}`.
    Error {
        /// Stable code.
        code: &'static str,
        /// For people.
        message: Cow<'static, str>,
    },
}

/// What to answer. Ingest adds `Date`, and gives its request id to [`Reply::body_bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers but `Date`, content type and length; names in lower case.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Body.
    pub body: Body,
}

impl Reply {
    fn error(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Error { code, message: message.into() } }
    }

    /// The body's content type; `None` when it has no body.
    #[must_use]
    pub fn content_type(&self) -> Option<&'static str> {
        match &self.body {
            Body::Empty => None,
            Body::Fixed(content_type, _) => Some(content_type),
            Body::Error { .. } => Some("application/json"),
        }
    }

    /// The body's bytes; an error's body tells the request id.
    #[must_use]
    pub fn body_bytes(&self, request_id: Option<&str>) -> Cow<'static, [u8]> {
        match &self.body {
            Body::Empty => Cow::Borrowed(&[]),
            Body::Fixed(_, bytes) => Cow::Borrowed(bytes),
            Body::Error { code, message } => {
                let mut text = String::from("{\"code\":");
                push_quoted(&mut text, code);
                text.push_str(",\"message\":");
                push_quoted(&mut text, message);
                if let Some(id) = request_id {
                    text.push_str(",\"requestId\":");
                    push_quoted(&mut text, id);
                }
                text.push('}');
                Cow::Owned(text.into_bytes())
            }
        }
    }
}

/// The reply to a request of a route.
#[must_use]
pub fn answer(route: &Route<'_>, outcome: Outcome<'_>, headers: &[(&str, &[u8])]) -> Reply {
    let mut reply = match outcome {
        Outcome::Accepted => {
            let (status, body) = route.protocol.accepted(route);
            Reply { status, headers: Vec::new(), body }
        }
        Outcome::Refused(refusal) => {
            let survives = || header(headers, "user-agent").is_some_and(|agent| survives_413(route, agent));
            let status = if refusal.reason == Rejection::PayloadTooLarge && survives() { 413 } else { 400 };
            Reply::error(status, refusal.reason.code(), refusal.message.clone())
        }
        Outcome::UnknownKey => {
            let (this, kind) = match route.credential_kind {
                Credential::Server => ("key", "server key"),
                Credential::Mobile => ("key", "mobile key"),
                Credential::ClientSide => ("id", "client-side id"),
            };
            let todo = "admit it with `flagstream keys add`, then restart the app that sent it";
            let message = match (&route.credential_place, header(headers, "authorization").map(<[u8]>::trim_ascii)) {
                (CredentialPlace::Authorization, None | Some(b"")) => {
                    format!("no key was sent: a {kind} goes into the header `Authorization`, as it is")
                }
                (CredentialPlace::Authorization, Some(sent)) if is_bearer(sent) => {
                    format!("`Authorization` begins with `Bearer`; a {kind} goes there as it is, without it")
                }
                _ => format!("no environment has this {this} as a {kind}; {todo}"),
            };
            Reply::error(401, "unknown_key", message)
        }
        Outcome::TooSlow => Reply::error(408, "too_slow", "the request took too long to arrive; try again"),
        Outcome::Overloaded => Reply::error(503, "overloaded", "too much in flight; try again in a second"),
        Outcome::Unavailable => Reply::error(503, "unavailable", "events cannot be stored now; try again in a second"),
    };
    if reply.status == 503 {
        reply.headers.push(("retry-after", Cow::Borrowed("1")));
    }
    if route.carries == Carries::Image {
        reply.headers.push(("cache-control", Cow::Borrowed("no-store")));
    }
    if route.is_for_browsers() {
        push_cors(&mut reply, headers, route.protocol.browser_headers(), route.carries == Carries::Preflight);
    }
    reply
}

fn is_bearer(authorization: &[u8]) -> bool {
    authorization.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "))
}

/// The reply to a request that belongs to no protocol. For [`RouteMiss::Foreign`] it is a plain 404, should nobody else
/// know the path either.
#[must_use]
pub fn answer_miss(miss: RouteMiss, headers: &[(&str, &[u8])]) -> Reply {
    let mut reply = match miss {
        RouteMiss::UnknownUnderPrefix => {
            let message = "no SDK sends events to this path; set the events address to the root of this server";
            Reply::error(400, Rejection::UnknownPath.code(), message)
        }
        RouteMiss::WrongMethod { allow } => {
            let mut reply = Reply::error(405, "method_not_allowed", format!("this path takes {allow}"));
            reply.headers.push(("allow", Cow::Borrowed(allow)));
            reply
        }
        RouteMiss::FlagDelivery => {
            Reply::error(404, "flag_delivery", "Flagstream takes events only; set the events address alone")
        }
        RouteMiss::Foreign => Reply::error(404, "not_found", "there is nothing at this path"),
    };
    if header(headers, "origin").is_some() {
        push_cors(&mut reply, headers, "", false);
    }
    reply
}

fn survives_413(route: &Route<'_>, user_agent: &[u8]) -> bool {
    std::str::from_utf8(user_agent).is_ok_and(|agent| route.protocol.survives_413(agent))
}

/// SDKs in a browser read `Date` (it ends debugging), which a page may not unless it is exposed.
fn push_cors(reply: &mut Reply, headers: &[(&str, &[u8])], allowed: &'static str, preflight: bool) {
    let origin = header(headers, "origin").and_then(|origin| std::str::from_utf8(origin).ok()).unwrap_or("*");
    let mut push = |name, value| reply.headers.push((name, value));
    push("access-control-allow-origin", Cow::Owned(origin.to_owned()));
    push("access-control-allow-credentials", Cow::Borrowed("false"));
    push("access-control-expose-headers", Cow::Borrowed("Date"));
    push("vary", Cow::Borrowed("Origin"));
    if preflight {
        push("access-control-allow-methods", Cow::Borrowed("POST, OPTIONS"));
        push("access-control-allow-headers", Cow::Borrowed(allowed));
        push("access-control-max-age", Cow::Borrowed("300"));
    }
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
