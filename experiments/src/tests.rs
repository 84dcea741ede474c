//! Requests in, exact answers out, over a store in memory with known cells and a clock that stands still.

mod access;
mod answers;
mod asked;
mod bounds;
mod code_references;
mod counts;
mod document;
mod door;
mod metadata;
mod other_path;
mod pages;
mod refusals;
mod stale_flags;
mod vendor;
mod world;
