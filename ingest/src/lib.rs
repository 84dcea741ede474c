//! HTTP in, log out: limits, keys, answers.
//!
//! Always true here: 202 is said only after the log has all records of the payload; whatever else happens is an answer
//! by which the SDK lives on, and is counted; every choice about an event (its time, its lateness, its place) is made
//! here, before the log, and nothing after it decides again.
//!
//! There is no listener here: [`service()`] is a router for whoever has one. The way of a payload is in `way.rs`, read
//! it first; what it uses lies beside it, a file each: [`limits`], [`keys`], [`judge`], [`doorstep`], [`metrics`].

mod body;
mod budget;
mod carry;
mod course;
mod door;
pub mod doorstep;
#[cfg(feature = "gate")]
pub mod gate;
mod ingest;
pub mod judge;
pub mod keys;
pub mod limits;
pub mod metrics;
mod records;
mod service;
mod standing;
#[cfg(test)]
mod tests;
mod way;

pub use ingest::{Clock, Ingest};
pub use service::service;
