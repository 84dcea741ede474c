//! What the cells say, in the words of the answers.
//!
//! Always true here: texts are foreign (any Unicode, control characters included); a variation is what the SDK said it
//! served, never what a flag's definition might say; a cell that cannot be read refuses the request, so that no wrong
//! number is shown.

use std::borrow::Cow;

use counting::cells::{Books, CellError, Events, LastSeen, Sdks, Usage};
use schemas::record::StoredVariation;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// What was served. The order is the order of answers: indices, names, then the caller's own default. In answers a
/// number, a text or null.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Served {
    /// By its index.
    Index(u32),
    /// By its name.
    Name(String),
    /// The caller's own default.
    Default,
}

impl From<StoredVariation<'_>> for Served {
    fn from(stored: StoredVariation<'_>) -> Self {
        match stored {
            StoredVariation::Index(index) => Self::Index(index),
            StoredVariation::Name(name) => Self::Name(text(name).into_owned()),
            StoredVariation::Default => Self::Default,
        }
    }
}

/// Stored bytes as text; what is no Unicode (no fold writes that) shows as U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// An SDK as it is shown, name/version: only for the eye, since either part may hold the separator.
pub(crate) fn sdk_shown(name: &str, version: &str) -> String {
    if version.is_empty() { name.to_owned() } else { format!("{name}/{version}") }
}

fn told<T>(cell: Result<T, CellError>) -> Result<T, Refusal> {
    cell.map_err(|error| Refusal::damaged(&error))
}

/// Reads a usage cell.
pub(crate) fn usage(bytes: &[u8]) -> Result<Usage, Refusal> {
    told(Usage::decode(bytes))
}

/// Reads a last-seen cell.
pub(crate) fn last_seen(bytes: &[u8]) -> Result<LastSeen, Refusal> {
    told(LastSeen::decode(bytes))
}

/// Reads an events cell.
pub(crate) fn events(bytes: &[u8]) -> Result<Events, Refusal> {
    told(Events::decode(bytes))
}

/// Reads a books cell.
pub(crate) fn books(bytes: &[u8]) -> Result<Books, Refusal> {
    told(Books::decode(bytes))
}

/// Reads an SDKs cell.
pub(crate) fn sdks(bytes: &[u8]) -> Result<Sdks, Refusal> {
    told(Sdks::decode(bytes))
}
