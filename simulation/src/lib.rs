//! Proof by seed: clock, log, stores, workers and a dice in one process, one thread; and a naive oracle that looks on.
//!
//! Always true here: a seed decides everything that happens; what runs is the product's own worker, partitioner, split
//! rule, judge of times and store protocol, never a copy of them; what it is held against shares nothing with it but
//! the reading of records.

#[macro_use]
mod switches;

pub mod audit;
pub mod chance;
pub mod disks;
pub mod faults;
pub mod fingerprint;
pub mod fleet;
pub mod hunt;
pub mod log;
pub mod mutants;
pub mod noticed;
pub mod oracle;
pub mod process;
pub mod run;
pub mod small;
pub mod stores;
pub mod trace;
pub mod traffic;
pub mod world;

#[cfg(test)]
mod tests;

use schemas::event::PayloadId;
use schemas::log::Logged;
use schemas::record::Header;

/// On which records the fold of every process panics: those whose payload id ends with an exclamation mark.
#[must_use]
pub fn panics(logged: &Logged) -> bool {
    match Header::salvage(&logged.header).and_then(|header| header.id) {
        Some(PayloadId::Sent(id) | PayloadId::Diagnostic(id) | PayloadId::Outcome(id)) => id.ends_with(b"!"),
        None => false,
    }
}
