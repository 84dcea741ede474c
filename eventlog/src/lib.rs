//! The log: records in, records out, durable before it is said so.
//!
//! Always true here: an append is answered only when the record will survive a power cut; a reader sees only such
//! records, in order of offset, each with its checksum proved at that read; offsets of a partition are dense from 0.
//! Position is data: a reader is told where to begin and keeps no position of its own in the log.
//!
//! [`memory`] is for tests; `kafka` is for many processes; [`embedded`] is segment files of our own on top of
//! [`files`], a small layer that a test can replace by a disk which forgets. `docs/decisions/embedded-log.md` has the
//! format and the reasons.

pub mod dump;
pub mod embedded;
mod error;
pub mod files;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
#[cfg(test)]
mod tests;

use futures_util::future::BoxFuture;
use schemas::log::{Append, Logged};

pub use error::Error;

/// What a subscription hands its reader next.
#[derive(Debug)]
pub enum Signal {
    /// This reader now owns the partition and must say where to begin, by [`Subscription::begin`].
    Assigned {
        /// The partition.
        partition: u32,
    },
    /// The partition goes to another reader; what is not flushed by now will be read again there.
    Revoked {
        /// The partition.
        partition: u32,
    },
    /// Records of one partition, in order of offset, at least one.
    Batch {
        /// The partition.
        partition: u32,
        /// The records.
        records: Vec<Logged>,
    },
    /// Nothing new for now: the reader has caught up with all it owns.
    Idle,
}

/// Offsets that a partition holds: `[first, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// First offset still held.
    pub first: u64,
    /// One past the last durable offset.
    pub end: u64,
}

/// A log of several partitions.
pub trait EventLog: Send + Sync + std::fmt::Debug {
    /// Number of partitions; fixed for a generation.
    fn partitions(&self) -> u32;

    /// Appends records and answers when *all* are durable, with their offsets in the order given. After an error that
    /// [`Error::is_retryable`] (or [`Error::Setting`]) none of them is in the log; after any other each may or may not
    /// be.
    fn append(&self, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>>;

    /// Opens a reader. Partitions reach it as [`Signal::Assigned`].
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the log can no longer be used.
    fn subscribe(&self) -> Result<Box<dyn Subscription>, Error>;

    /// Opens a reader of one partition that shares it with nobody and takes it from nobody: whoever else reads it, this
    /// one is [`Signal::Assigned`] it at once and for good.
    ///
    /// # Errors
    /// [`Error::Setting`] for a partition that the log does not have; [`Error::Poisoned`].
    fn read(&self, partition: u32) -> Result<Box<dyn Subscription>, Error>;

    /// What each partition holds, by partition, at some time after the call: whatever was answered as appended before
    /// it is among it.
    ///
    /// Errors: [`Error::Poisoned`] when the log can no longer be used; [`Error::Away`] when it does not answer now.
    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>>;

    /// Allows the log to drop records below `below` of this partition: durable state has passed them.
    /// Nothing above the lowest offset ever allowed is dropped.
    fn release(&self, partition: u32, below: u64);
}

/// A reader of the partitions assigned to it.
pub trait Subscription: Send {
    /// Waits for the next signal. Cancel-safe: a dropped future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Result<Signal, Error>>;

    /// Waits for the next partition that comes or goes, and for no record: for whoever has no room for records now.
    /// Cancel-safe, as [`Self::next`].
    fn next_move(&mut self) -> BoxFuture<'_, Result<Signal, Error>>;

    /// Says from which offset on an assigned partition is to be read.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the log does not hold that position (`end` itself is held). A log that must
    /// ask others for that says it at [`Subscription::next`].
    fn begin(&mut self, partition: u32, position: u64) -> Result<(), Error>;
}
