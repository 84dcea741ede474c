//! What an event is, how it lies in the log, and where counts are kept.
//!
//! Always true here: no I/O, no clock, no dice, no async. Everything that two processes must agree on lies in this
//! package: ids ([`id`]), the log record ([`record`], [`log`]), the partitioner ([`partition`]), the split rule
//! ([`split`]), cell keys ([`cell`]), the generation ([`generation`]), experiments ([`experiment`]), what is told of the
//! old path ([`old_path`]), and the wire forms (`proto/`, [`wire`]).

pub mod cell;
pub mod event;
pub mod experiment;
pub mod fixed;
pub mod generation;
pub mod id;
pub mod log;
pub mod old_path;
pub mod partition;
pub mod publish;
pub mod record;
pub mod rejection;
pub mod split;
pub mod stored;
pub mod wire;

#[cfg(test)]
mod tests;
