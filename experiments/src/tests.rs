//! Requests in, exact answers out, over a store in memory with known cells and a clock that stands still.

mod access;
mod answers;
mod bounds;
mod counts;
mod document;
mod door;
mod pages;
mod refusals;
mod vendor;
mod world;
