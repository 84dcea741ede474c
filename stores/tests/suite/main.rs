//! All tests of the package, in one binary.

// Helpers of tests may end a test, as tests may.
#![allow(clippy::unwrap_used)]

mod backends;
#[cfg(feature = "objects")]
mod bucket;
#[cfg(feature = "cassandra")]
mod cassandra;
mod disk;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod file;
mod flips;
mod local_state;
mod memory;
mod power_cut;
mod snapshots;
mod trouble;
mod world;
