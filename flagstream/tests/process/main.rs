//! The real process: `flagstream up` started, spoken to over HTTP, stopped and killed.

mod admission;
#[cfg(all(feature = "kafka", feature = "dynamodb", feature = "cassandra"))]
mod apart;
mod captures;
mod command;
#[cfg(feature = "oldpath")]
mod demo;
mod flags;
#[cfg(feature = "oldpath")]
mod gate;
mod hostile;
mod keys;
mod metrics;
mod server;
mod stale;
