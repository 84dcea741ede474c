//! What goes into the log and what comes out of it: a header and a body, both opaque bytes to the log itself.
//!
//! Always true here: a record is appended whole to one partition; its offset there is dense or at least rising, never
//! reused; a header can be read without its body (see [`crate::record`]).

use bytes::Bytes;

/// Largest record (header and body together), in bytes: DESIGN's 900 KiB.
pub const RECORD_BYTES_MAX: usize = 900 * 1024;

/// A record on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The partition it belongs to; chosen by [`crate::partition`], never by the log.
    pub partition: u32,
    /// An encoded [`crate::record::Header`].
    pub header: Bytes,
    /// The encoded body that the header's kind tells.
    pub body: Bytes,
}

/// A record as the log gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Place in its partition, from 0.
    pub offset: u64,
    /// When the log took it, Unix milliseconds. It may step back between records.
    pub append_ms: i64,
    /// As appended.
    pub header: Bytes,
    /// As appended.
    pub body: Bytes,
}

impl Logged {
    /// CRC32C over header and body: what a checkpoint keeps of the record before it.
    #[must_use]
    pub fn fingerprint(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.header), &self.body)
    }
}
