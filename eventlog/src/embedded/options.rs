//! What an embedded log is opened with, and the switches by which tests break its rules.

use std::fmt;
use std::sync::Arc;

use super::block::HEADER_BYTES;
use super::segment::{MARKER_ROOM_BYTES, PAGE_BYTES};
use crate::Error;

/// Gives the append time, Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Told while a log is opened: bytes checked so far, bytes to check in all.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Most partitions a log can have; their first offsets must fit the segment's header page.
pub const PARTITIONS_MAX: u32 = 256;

/// What an embedded log is opened with.
#[derive(Clone)]
pub struct Options {
    /// Number of partitions, 1 to [`PARTITIONS_MAX`]; what the log was made with, once it is made.
    pub partitions: u32,
    /// Number of the generation; what the log was made with, once it is made.
    pub generation: u32,
    /// Gives each batch its append time.
    pub clock: Clock,
    /// Length of a segment file, bytes; default 32 MiB. Segments that are there keep theirs.
    pub segment_bytes: u64,
    /// Released segments are kept while all together are no larger than this, bytes; default 256 MiB.
    pub retain_bytes: u64,
    /// Appends waiting to be durable, bytes; beyond it an append is answered [`Error::Busy`]. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// Largest batch of records a reader gets, bytes (a single larger record comes alone); default 1 MiB.
    pub read_bytes_max: usize,
    /// Largest batch of records a reader gets, records; default 4,096.
    pub read_records_max: usize,
    /// How long after the last append the idle marker is written, milliseconds; default 20.
    pub idle_marker_ms: u64,
    /// Size of the file that is given up when the disk is full, so that others (the state above all) have room to come
    /// to an end and to release segments; bytes, 0 for none; default 4 MiB.
    pub reserve_bytes: u64,
    /// Told while the log is opened.
    pub progress: Option<Progress>,
    /// Which rule a test has broken.
    pub(super) broken: Option<Break>,
    /// Whether spare segments are made in the thread that needs them, so that a seed decides everything.
    pub(super) spare_inline: bool,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(partitions: u32, generation: u32, clock: Clock) -> Self {
        Self {
            partitions,
            generation,
            clock,
            segment_bytes: 32 << 20,
            retain_bytes: 256 << 20,
            queue_bytes_max: 64 << 20,
            read_bytes_max: 1 << 20,
            read_records_max: 4096,
            idle_marker_ms: 20,
            reserve_bytes: 4 << 20,
            progress: None,
            broken: None,
            spare_inline: false,
        }
    }

    /// Breaks a rule of the log, to see that a test notices.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn breaking(mut self, rule: Break) -> Self {
        self.broken = Some(rule);
        self
    }

    /// Makes spare segments in the thread that needs them: slower, and the same for the same seed.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_spare_inline(mut self) -> Self {
        self.spare_inline = true;
        self
    }

    pub(super) fn breaks(&self, rule: Break) -> bool {
        self.broken == Some(rule)
    }

    /// Largest record (header and body together) that a segment can hold, bytes.
    pub(super) fn record_bytes_max(&self) -> usize {
        let overhead = PAGE_BYTES + MARKER_ROOM_BYTES + HEADER_BYTES as u64 + 16;
        schemas::log::RECORD_BYTES_MAX.min(self.segment_bytes.saturating_sub(overhead) as usize)
    }

    /// Where a batch ends that could take more, bytes: enough to make the sync cheap, little enough to fill segments.
    pub(super) fn batch_bytes(&self) -> usize {
        (self.segment_bytes / 8).min(4 << 20) as usize
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            let n = self.partitions;
            return Err(Error::Setting(format!("log cannot have {n} partitions; set 1 to {PARTITIONS_MAX}")));
        }
        let least = 2 * PAGE_BYTES;
        if self.segment_bytes < least || self.segment_bytes > 4 << 30 || !self.segment_bytes.is_multiple_of(PAGE_BYTES)
        {
            let n = self.segment_bytes;
            return Err(Error::Setting(format!(
                "log cannot have segments of {n} bytes; set a multiple of {PAGE_BYTES} from {least} bytes to 4 GiB"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("partitions", &self.partitions)
            .field("generation", &self.generation)
            .field("segment_bytes", &self.segment_bytes)
            .field("retain_bytes", &self.retain_bytes)
            .finish_non_exhaustive()
    }
}

/// A rule of the log that a test can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "testing")), allow(unreachable_pub))]
pub enum Break {
    /// Nothing is ever synced.
    NoSync,
    /// An append is answered after the write; its sync comes with the next.
    AckBeforeSync,
    /// Names of segments are not synced.
    NoDirSync,
    /// No idle marker behind the last batch.
    NoIdleMarker,
    /// Whatever does not read is a torn tail.
    NoTailRule,
    /// Segments go without being released.
    RetainNothing,
    /// Segments that are released go one and all in one sync of the directory.
    TrimWithoutSync,
    /// Checksums of payloads are not looked at.
    NoChecksum,
    /// After a failed sync one carries on.
    CarryOn,
    /// The unproven last batch is served as it is found.
    NoRewrite,
    /// A write that failed half way is left there.
    NoCutBack,
    /// Segments need not follow each other.
    NoChain,
}
