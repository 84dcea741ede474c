//! Why a store did not do as asked.
//!
//! Always true here: variants are grouped by what the caller does next, not by where the error came from.

/// Why a store did not do as asked, grouped by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was or will be kept of this call, or nobody knows; the same call may be tried again.
    #[error("store is not available: {0}")]
    Unavailable(String),
    /// The store can no longer promise anything; the process must end.
    #[error("store is poisoned: {0}; restart the process")]
    Poisoned(String),
    /// Bytes in the store are not what was written.
    #[error(
        "store is damaged: {place}: {what}; remove the file to have it built again from the log, or restore a copy"
    )]
    Damaged {
        /// Which file or key.
        place: String,
        /// What was found.
        what: String,
    },
    /// A setting or a call that this store cannot work with.
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
