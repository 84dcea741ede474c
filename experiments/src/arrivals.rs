//! What has come to the door: what someone who waits for the first event needs to see.
//!
//! Always true here: plain values, which the binary fills from ingest (services never import each other); texts are
//! foreign and are escaped where they are shown; a key appears by its last four characters only.

use schemas::rejection::Rejections;

/// What ingest has seen since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// The first payload that was accepted.
    pub first_payload: Option<FirstPayload>,
    /// Keys that the key table does not know, newest first; ingest bounds the list.
    pub unknown_keys: Vec<UnknownKey>,
    /// Paths that no SDK sends events to, with how often each was asked for.
    pub wrong_paths: Vec<(String, u64)>,
    /// Requests for flags (`/all`, `/sdk/…`): path and how often. Flagstream takes events only.
    pub flag_delivery: Vec<(String, u64)>,
    /// What was refused, by reason.
    pub rejections: Rejections,
}

/// The first payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstPayload {
    /// When it was received, Unix milliseconds.
    pub time_ms: i64,
    /// The SDK's name and version; empty = not told.
    pub sdk: String,
    /// How many flags it told of.
    pub flags: u64,
}

/// A key that the key table does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownKey {
    /// Its last four characters.
    pub last_four: String,
    /// How often it came.
    pub times: u64,
    /// When it last came, Unix milliseconds.
    pub last_ms: i64,
    /// The SDK that brought it; empty = not told.
    pub sdk: String,
}
