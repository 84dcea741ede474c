//! Ingest as its clients and its owner see it: requests in, answers and records out.

mod answers;
mod bad;
mod bench;
mod carried;
#[cfg(feature = "gate")]
mod gate;
mod landing;
mod overload;
mod stopping;
mod swapping;
mod wire;
