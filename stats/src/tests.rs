//! The walk over the reference cases, the traps that were measured, and properties.

mod bad;
mod decisions;
mod golden;
mod properties;
mod tails;
mod traps;
