//! The one error of this crate, its variants grouped by what the caller does next.

/// Why the log did not do as asked, grouped by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk has no room: nothing was kept, the same append may be tried again later.
    #[error("log cannot take records now: {0}; free disk space, then it goes on by itself")]
    Full(String),
    /// Too much waits to be durable already: nothing was kept, the same append may be tried again at once or later.
    #[error("log is busy: {0}; send more slowly")]
    Busy(String),
    /// Whoever keeps the log does not answer, or cannot serve now: nothing was changed, the same call may succeed
    /// later.
    #[error("log does not answer: {0}; it is asked again until it does")]
    Away(String),
    /// Some or all of the records were kept, or may have been; those that append them again may have them twice.
    #[error("log may have kept a part of these records: {0}; send them again only where duplicates are known")]
    Unknown(String),
    /// The log can no longer promise anything: a sync failed, or it was closed. The process must end.
    #[error("log is poisoned: {0}; restart the process")]
    Poisoned(String),
    /// Bytes in the log are not what was written.
    #[error("log is damaged: {place}: {what}; restore the file from a copy, or begin a new log")]
    Damaged {
        /// File and byte.
        place: String,
        /// What was found.
        what: String,
    },
    /// The position asked for is no longer (or not yet) in the log.
    #[error("partition {partition} holds offsets {first}..{end}, offset {asked} was asked for")]
    OutOfRange {
        /// The partition.
        partition: u32,
        /// What was asked for.
        asked: u64,
        /// First offset still held.
        first: u64,
        /// One past the last offset.
        end: u64,
    },
    /// A setting that this log cannot work with.
    #[error("{0}")]
    Setting(String),
    /// Any other trouble with files.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, to which file.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed later without anyone restarting the process, and this one changed nothing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Busy(_) | Self::Away(_))
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    pub(crate) fn damaged(file: &str, byte: u64, what: impl Into<String>) -> Self {
        Self::Damaged { place: format!("{file} at byte {byte}"), what: what.into() }
    }
}
