//! The newest version of something configured.
//!
//! Always true here: the version never falls; a body together with its version fits 64 KiB.

use bytes::Bytes;
use prost::Message;
use schemas::cell::CELL_BYTES_MAX;
use schemas::wire::cells as wire;

use super::CellError;

/// Longest body of a definition, in bytes.
pub const BODY_BYTES_MAX: usize = CELL_BYTES_MAX - 16;

/// A definition as it lies in its cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    version: u64,
    body: Bytes,
}

/// A version of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefinitionChange<'a> {
    /// Its version, from 1.
    pub version: u64,
    /// Its body, at most [`BODY_BYTES_MAX`] bytes.
    pub body: &'a Bytes,
}

impl Definition {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let wrong = |e: prost::DecodeError| CellError::Decode { kind: "definition", what: e.to_string() };
        let cell = wire::Definition::decode(bytes).map_err(wrong)?;
        Ok(Self { version: cell.version, body: cell.body })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Definition { version: self.version, body: self.body.clone() }.encode_to_vec()
    }

    /// Its version: the offset of its record in partition 0, plus 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Its body: JSON.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Keeps the higher version of the two (at equal versions the higher body, which never differs in one generation).
    pub fn merge(&mut self, other: &Self) {
        if (other.version, &other.body) > (self.version, &self.body) {
            self.clone_from(other);
        }
    }

    pub(super) fn apply(&mut self, change: &DefinitionChange<'_>) -> bool {
        let newer = change.version > self.version;
        if newer {
            *self = Self { version: change.version, body: change.body.clone() };
        }
        newer
    }
}
