//! What has come to the door: what someone who waits for the first event needs to see.
//!
//! Always true here: plain values, which the binary fills from ingest (services never import each other); texts are
//! foreign and are escaped where they are shown; a key appears by its last four characters only; who may read one
//! environment is shown what came for that one, and nothing of what came for none.

use std::collections::HashMap;

use schemas::id::Environment;
use schemas::rejection::Rejections;

use crate::access::Grant;

/// What ingest has seen since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// The first payload of each environment that was accepted.
    pub first_payloads: HashMap<Environment, FirstPayload>,
    /// What was refused of each environment, by reason.
    pub rejections: HashMap<Environment, Rejections>,
    /// Payloads of removed keys that were answered 202 and discarded, of each environment.
    pub discarded: HashMap<Environment, u64>,
    /// Keys that the key table does not know, newest first; ingest bounds the list.
    pub unknown_keys: Vec<UnknownKey>,
    /// Paths that no SDK sends events to, with how often each was asked for.
    pub wrong_paths: Vec<(String, u64)>,
    /// Requests for flags (`/all`, `/sdk/…`): path and how often. Flagstream takes events only.
    pub flag_delivery: Vec<(String, u64)>,
}

/// What one reader of an environment may see of it.
#[derive(Debug, Default)]
pub(crate) struct AtDoor {
    pub(crate) first_payload: Option<FirstPayload>,
    pub(crate) rejections: Rejections,
    pub(crate) discarded: u64,
    pub(crate) unknown_keys: Vec<UnknownKey>,
    pub(crate) wrong_paths: Vec<(String, u64)>,
    pub(crate) flag_delivery: Vec<(String, u64)>,
}

impl Arrivals {
    /// What a holder of this grant sees at the page of this environment: keys and paths may be anybody's, so that they
    /// are for those alone who may read everything.
    pub(crate) fn at_door(self, environment: &Environment, grant: &Grant) -> AtDoor {
        let first_payload = self.first_payloads.get(environment).cloned();
        let rejections = self.rejections.get(environment).cloned().unwrap_or_default();
        let discarded = self.discarded.get(environment).copied().unwrap_or_default();
        let Self { unknown_keys, wrong_paths, flag_delivery, .. } = self;
        match grant {
            Grant::All => AtDoor { first_payload, rejections, discarded, unknown_keys, wrong_paths, flag_delivery },
            Grant::Some(_) => AtDoor { first_payload, rejections, discarded, ..AtDoor::default() },
        }
    }
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
    /// What kind of key its sender's path takes, as `flagstream keys add --kind` has it; empty or `server` = a server
    /// key.
    pub kind: &'static str,
    /// Its last four characters.
    pub last_four: String,
    /// How often it came.
    pub times: u64,
    /// When it last came, Unix milliseconds.
    pub last_ms: i64,
    /// The SDK that brought it; empty = not told.
    pub sdk: String,
}
