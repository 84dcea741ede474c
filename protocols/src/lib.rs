//! How each SDK says it: a request becomes events, rejections, and the reply that this SDK must get.
//!
//! Always true here: values in, values out; no I/O, no clock, no dice, no log. A protocol is one row of [`PROTOCOLS`],
//! one file under `src/`, and a folder of examples under `golden/`; nothing else names it.
//!
//! The way of a request, as ingest walks it:
//!
//! 1. [`route()`] says from method and path alone which protocol it is, what it carries, and where the credential lies,
//!    so that a stranger or a flood is answered before its body is read; a [`RouteMiss`] has its own answer
//!    ([`answer_miss`]).
//! 2. [`Route::credential`] finds the key; whose it is, is ingest's matter.
//! 3. [`Protocol::open`] makes plain bytes of the body (gzip) or of the query (image requests), under the [`Limits`].
//! 4. [`Protocol::decode`] makes rows of them that borrow from those bytes: [`schemas::event::Payload`].
//! 5. [`answer`] makes the [`Reply`]; ingest adds `Date` and the request's id.

#[cfg(any(test, feature = "testing"))]
pub mod golden;
mod inflate;
mod json;
mod launchdarkly;
mod limits;
mod path;
mod payload_id;
mod protocol;
mod reply;
mod request;
mod route;
#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use protocol::{PROTOCOLS, Protocol, Refusal, route};
pub use reply::{Body, Outcome, Reply, answer, answer_miss};
pub use request::Request;
pub use route::{Carries, CredentialPlace, Route, RouteMiss};
