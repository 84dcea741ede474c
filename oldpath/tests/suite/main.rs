//! All tests of the package that are not beside what they test, in one binary.

// Helpers of tests may end a test, as tests may.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "dynamodb")]
mod dynamodb;
mod embedded;
mod killed;
mod outcomes;
mod range;
#[cfg(feature = "sqs")]
mod sqs;
mod trouble;
mod worker;
mod world;
mod writer;
