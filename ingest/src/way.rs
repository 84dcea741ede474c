//! The way of a payload through ingest, step by step.
//!
//! Always true here: each step either goes on or ends the way with an [`End`]; whatever can be refused cheaply is
//! refused before the body is read; nothing is kept of a payload that is not answered 202, but the numbers of its
//! rejections.
//!
//! Where there is a gate (feature `gate`), it says which paths a payload takes: see `gate/crossing.rs`.
//!
//! Places left for later: a flood from one key is to be refused beside the budget (before the body); raw payloads are
//! to be forwarded to a vendor after the append, from the body, which must then live that long.

use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use protocols::{Carries, Outcome, Refusal, Reply, Request, Route, RouteMiss, answer, answer_miss};
use schemas::event::Credential;
use schemas::rejection::{Rejection, Rejections};
use tokio::time::Instant;

use crate::body::{self, BodyError};
use crate::ingest::Shared;
use crate::keys::{Answer, Owner};
use crate::records::{Records, records};
use crate::standing::Trouble;

/// Where a way ends.
pub(crate) enum End {
    Accepted,
    Refused(Refusal),
    UnknownKey,
    TooSlow,
    Overloaded,
    Unavailable,
}

/// Headers as the protocols take them.
type Headers<'a> = [(&'a str, &'a [u8])];

/// Walks a request from its head to its reply.
pub(crate) async fn walk(shared: &Arc<Shared>, parts: &Parts, body: Body) -> Reply {
    let arrived = Instant::now();
    let headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let route = match protocols::route(method, path) {
        Ok(route) => route,
        Err(miss) => {
            note_miss(shared, &miss, method, path, &headers);
            return answer_miss(miss, &headers);
        }
    };
    let query = parts.uri.query().unwrap_or("");
    let request = Request { method, path, query, headers: &headers, body: &[] };
    let end = walk_route(shared, &route, request, body, arrived).await;
    let outcome = match &end {
        End::Accepted => Outcome::Accepted,
        End::Refused(refusal) => Outcome::Refused(refusal),
        End::UnknownKey => Outcome::UnknownKey,
        End::TooSlow => Outcome::TooSlow,
        End::Overloaded => Outcome::Overloaded,
        End::Unavailable => Outcome::Unavailable,
    };
    answer(&route, outcome, &headers)
}

async fn walk_route(
    shared: &Arc<Shared>,
    route: &Route<'_>,
    request: Request<'_>,
    body: Body,
    arrived: Instant,
) -> End {
    if route.carries == Carries::Preflight {
        return End::Accepted;
    }
    let Some(_inside) = shared.door.enter() else { return End::Unavailable };
    let credential = route.credential(request.headers);
    let whose = credential
        .as_ref()
        .map_or(Answer::Unknown, |credential| shared.keys.find(route.credential_kind, credential, (shared.clock)()));
    if let Some(refusal) = over_header_limits(shared, request.headers) {
        return refuse(shared, &whose, refusal);
    }
    let owner = match &whose {
        Answer::Known(owner) | Answer::Revoked(owner) => owner,
        Answer::CannotAsk => return End::Unavailable,
        Answer::Unknown => {
            let credential = credential.as_deref().unwrap_or_default();
            let agent = agent(request.headers);
            shared.doorstep.unknown_key(route.credential_kind, credential, &agent, (shared.clock)());
            return End::UnknownKey;
        }
    };
    // A revoked key's payload is thrown away, whatever the log says.
    let needs_log = matches!(whose, Answer::Known(_)) && shared.uses_log(owner);
    if needs_log && !shared.standing.lets_in(&owner.environment) {
        return End::Unavailable;
    }
    let Some(mut held) = body::room_for(&body, &shared.budget, &shared.limits) else { return overloaded(shared) };
    let by = arrived + shared.limits.request();
    let wire = match body::read(body, &mut held, &shared.limits, by).await {
        Ok(wire) => wire,
        Err(BodyError::TooSlow) => return End::TooSlow,
        Err(BodyError::Overloaded) => return overloaded(shared),
        Err(BodyError::TooLarge) => return refuse(shared, &whose, too_large(shared)),
    };
    shared.metrics.body_bytes.inc_by(wire.len() as u64);
    if matches!(whose, Answer::Revoked(_)) {
        shared.metrics.discarded.inc();
        shared.doorstep.discarded(&owner.environment);
        return End::Accepted;
    }
    let greets = !owner.greeted.load(std::sync::atomic::Ordering::Relaxed);
    let course = shared.course(owner).await;
    let made = match records(shared, &owner.environment, route, &Request { body: &wire, ..request }, greets, course) {
        Ok(made) => made,
        Err(refusal) => return refuse(shared, &whose, refusal),
    };
    drop(wire);
    // From here on the records are what lies in memory: a small body may have become large ones.
    let record_bytes = made.appends.iter().map(|append| append.header.len() + append.body.len()).sum();
    if !held.resize(record_bytes) {
        shared.carry.add(&owner.environment, &made.carried);
        return overloaded(shared);
    }
    #[cfg(feature = "gate")]
    if let (crate::course::Course::Gated(stage), Some(gate)) = (course, &shared.gate) {
        return crate::gate::cross(shared, gate, owner, made, stage, held).await;
    }
    append(shared, owner, made).await
}

/// Brings the records into the log and waits for its word.
pub(crate) async fn append(shared: &Shared, owner: &Owner, mut made: Records) -> End {
    let size = Size::of(&made);
    let appends = std::mem::take(&mut made.appends);
    if size.records == 0 {
        shared.carry.add(&owner.environment, &made.rejected);
    } else if let Err(trouble) = shared.append(appends, Instant::now() + shared.limits.append()).await {
        return stumble(shared, owner, &made, trouble);
    }
    accept(shared, owner, made, size)
}

/// How much of a payload is in the log.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Size {
    pub(crate) fn of(made: &Records) -> Self {
        let bytes = made.appends.iter().map(|append| (append.header.len() + append.body.len()) as u64).sum();
        Self { records: made.appends.len() as u64, bytes }
    }
}

/// The log did not take the records, or does not say so.
pub(crate) fn stumble(shared: &Shared, owner: &Owner, made: &Records, trouble: Trouble) -> End {
    // Only where nothing was kept may the numbers travel again.
    if matches!(trouble, Trouble::Busy | Trouble::NothingKept) {
        shared.carry.add(&owner.environment, &made.carried);
    }
    if trouble == Trouble::Busy {
        return overloaded(shared);
    }
    shared.metrics.appends_failed.inc();
    End::Unavailable
}

/// A payload is where it has to be; `size` is what the log has of it.
pub(crate) fn accept(shared: &Shared, owner: &Owner, made: Records, size: Size) -> End {
    if size.records > 0 {
        shared.metrics.accepted.inc_by(made.accepted);
        shared.metrics.records.inc_by(size.records);
        shared.metrics.record_bytes.inc_by(size.bytes);
    }
    shared.metrics.add_rejected(&made.rejected);
    shared.doorstep.rejected(&owner.environment, &made.rejected);
    if let (Some((sdk, flags)), true) = (made.greeting, made.accepted > 0) {
        owner.greeted.store(true, std::sync::atomic::Ordering::Relaxed);
        shared.doorstep.first_payload(&owner.environment, sdk, flags, (shared.clock)());
    }
    End::Accepted
}

/// Refuses a payload whole; where its environment is known, the number goes on its way into the books.
fn refuse(shared: &Shared, whose: &Answer, refusal: Refusal) -> End {
    let numbers = one(refusal.reason);
    shared.metrics.add_rejected(&numbers);
    if let Answer::Known(owner) = whose {
        carry(shared, owner, &numbers);
        shared.doorstep.rejected(&owner.environment, &numbers);
    }
    End::Refused(refusal)
}

/// Numbers on their way into the books, where the environment's are kept.
fn carry(shared: &Shared, owner: &Owner, numbers: &Rejections) {
    if shared.uses_log(owner) {
        shared.carry.add(&owner.environment, numbers);
    }
}

pub(crate) fn overloaded(shared: &Shared) -> End {
    shared.metrics.overloaded.inc();
    End::Overloaded
}

fn one(reason: Rejection) -> Rejections {
    let mut numbers = Rejections::default();
    numbers.add(reason, 1);
    numbers
}

fn over_header_limits(shared: &Shared, headers: &Headers<'_>) -> Option<Refusal> {
    let limits = &shared.limits;
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() <= limits.headers_max && bytes <= limits.header_bytes_max {
        return None;
    }
    let message = format!(
        "{} headers of {bytes} bytes are over the limit of {} and {} bytes",
        headers.len(),
        limits.headers_max,
        limits.header_bytes_max
    );
    Some(Refusal::new(Rejection::HeaderTooLarge, message))
}

fn too_large(shared: &Shared) -> Refusal {
    let limit = shared.limits.body_bytes_max;
    Refusal::new(Rejection::PayloadTooLarge, format!("body is over the limit of {limit} bytes; flush more often"))
}

/// Counts and shows a request that belongs to no protocol.
fn note_miss(shared: &Shared, miss: &RouteMiss, method: &str, path: &str, headers: &Headers<'_>) {
    let (now_ms, agent) = ((shared.clock)(), agent(headers));
    match miss {
        RouteMiss::FlagDelivery => {
            shared.metrics.flag_delivery.inc();
            shared.doorstep.flag_delivery(method, path, &agent, now_ms);
        }
        RouteMiss::UnknownUnderPrefix => {
            shared.doorstep.wrong_path(method, path, &agent, now_ms);
            let numbers = one(Rejection::UnknownPath);
            shared.metrics.add_rejected(&numbers);
            if let Some(owner) = sender(shared, headers, now_ms) {
                carry(shared, &owner, &numbers);
                shared.doorstep.rejected(&owner.environment, &numbers);
            }
        }
        RouteMiss::WrongMethod { .. } => shared.doorstep.wrong_path(method, path, &agent, now_ms),
        // An SDK posts; whoever gets a page that is not there is no SDK.
        RouteMiss::Foreign if method == "POST" => shared.doorstep.wrong_path(method, path, &agent, now_ms),
        RouteMiss::Foreign => {}
    }
}

/// Who says to be asking: a browser's SDK has its own header for it.
fn agent<'a>(headers: &Headers<'a>) -> std::borrow::Cow<'a, str> {
    let named = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let found = named("x-launchdarkly-user-agent").or_else(|| named("user-agent"));
    found.map_or("".into(), |(_, value)| String::from_utf8_lossy(value))
}

/// Whose key a request to an unknown path brings along.
fn sender(shared: &Shared, headers: &Headers<'_>, now_ms: i64) -> Option<std::sync::Arc<Owner>> {
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
    let value = value.trim_ascii();
    let key = value.strip_prefix(b"api_key ").unwrap_or(value);
    [Credential::Server, Credential::Mobile].into_iter().find_map(|kind| match shared.keys.find(kind, key, now_ms) {
        Answer::Known(owner) => Some(owner),
        _ => None,
    })
}
