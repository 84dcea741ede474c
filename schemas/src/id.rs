//! Ids are data: bytes with a limit, told apart by length and never by a separator.
//!
//! Always true here: an id holds no NUL, is not empty, is valid Unicode and no longer than its limit. Whoever builds a
//! composite key goes through [`push_part`], which writes the length first, so no two lists of parts give the same
//! bytes.

use std::fmt;

use bytes::Bytes;

/// Longest key of a flag, a custom event, a project, an environment or a context kind, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest key of a context (a subject), in bytes.
pub const CONTEXT_KEY_BYTES_MAX: usize = 1024;
/// Names of applications, their versions and SDKs are cut at this many bytes (at a character's edge).
pub const NAME_BYTES_MAX: usize = 64;
/// Longest payload id that is remembered, in bytes.
pub const PAYLOAD_ID_BYTES_MAX: usize = 128;

/// Why bytes are no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing in it.
    #[error("key is empty")]
    Empty,
    /// Over the limit for its kind.
    #[error("key is longer than {0} bytes")]
    TooLong(usize),
    /// A NUL byte in it.
    #[error("key contains NUL")]
    Nul,
    /// Not valid UTF-8 (a lone surrogate, say).
    #[error("key is not Unicode")]
    NotUnicode,
}

/// Checks that `bytes` may serve as a key of at most `limit` bytes, and gives it back as text.
///
/// # Errors
/// [`KeyError`] tells which of the four rules is broken. Any other character, control characters included, is allowed.
pub fn check_key(bytes: &[u8], limit: usize) -> Result<&str, KeyError> {
    check_bytes(bytes, limit)?;
    std::str::from_utf8(bytes).map_err(|_| KeyError::NotUnicode)
}

/// [`check_key`] of what is known to be Unicode.
///
/// # Errors
/// [`KeyError`] tells which of the other three rules is broken.
pub fn check_key_text(text: &str, limit: usize) -> Result<(), KeyError> {
    check_bytes(text.as_bytes(), limit)
}

fn check_bytes(bytes: &[u8], limit: usize) -> Result<(), KeyError> {
    if bytes.is_empty() {
        return Err(KeyError::Empty);
    }
    if bytes.len() > limit {
        return Err(KeyError::TooLong(limit));
    }
    if bytes.contains(&0) {
        return Err(KeyError::Nul);
    }
    Ok(())
}

/// Cuts a name at [`NAME_BYTES_MAX`] bytes, at the edge of a character.
#[must_use]
pub fn cut_name(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

/// The pair (project, environment). All counting is per environment; the word alone always means this pair.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Environment {
    /// Key of the project.
    pub project: Bytes,
    /// Key of the environment within the project.
    pub key: Bytes,
}

impl Environment {
    /// An environment from two keys.
    ///
    /// # Errors
    /// [`KeyError`] when one of them is not a key.
    pub fn new(project: &str, key: &str) -> Result<Self, KeyError> {
        check_key(project.as_bytes(), KEY_BYTES_MAX)?;
        check_key(key.as_bytes(), KEY_BYTES_MAX)?;
        Ok(Self { project: Bytes::copy_from_slice(project.as_bytes()), key: Bytes::copy_from_slice(key.as_bytes()) })
    }

    /// The project's key as text.
    #[must_use]
    pub fn project_str(&self) -> &str {
        std::str::from_utf8(&self.project).unwrap_or("\u{fffd}")
    }

    /// The environment's key as text.
    #[must_use]
    pub fn key_str(&self) -> &str {
        std::str::from_utf8(&self.key).unwrap_or("\u{fffd}")
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.project_str(), self.key_str())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project_str().escape_debug(), self.key_str().escape_debug())
    }
}

/// Appends one part of a composite key: its length as a big-endian `u16`, then its bytes.
pub fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    let len = u16::try_from(part.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&part[..usize::from(len)]);
}

/// Takes one part off the front of a composite key written by [`push_part`]; `None` when the bytes end early.
pub fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (part, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    *bytes = rest;
    Some(part)
}
