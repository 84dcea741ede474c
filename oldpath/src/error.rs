//! Why something was not done.
//!
//! Always true here: an error of a call with an effect says whether the effect may have happened, for that is what its
//! caller must tell the log; any other is grouped by what the caller does next.

/// Why a call with an effect (an addition to a counter, a job sent) was not answered as done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It surely did not happen: throttled, found wrong, or never sent.
    #[error("refused: {0}")]
    Refused(String),
    /// It happened or it did not: a time-out, a connection that broke, an error of the server after it was sent.
    #[error("nobody knows whether it was done: {0}")]
    Unknown(String),
}

/// Why the old path's store or queue did not do as asked, grouped by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not for now; the same call may be tried again.
    #[error("the old path is not available: {0}")]
    Unavailable(String),
    /// The file can no longer promise anything; the process must end.
    #[error("the old path's file is poisoned: {0}; restart the process")]
    Poisoned(String),
    /// Bytes are not what was written. What the old path holds is nowhere else.
    #[error("the old path's data is damaged: {place}: {what}; restore a copy, or remove it and begin with none")]
    Damaged {
        /// Which file or key.
        place: String,
        /// What was found.
        what: String,
    },
    /// A setting or a call that cannot work.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    /// Whether the same call may succeed later without anyone restarting the process.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
