//! Strings as they are written, and names as `serde_json` gives them: checked only when somebody asks for the text.
//!
//! Always true here: a string without escapes is borrowed; one with escapes is copied once.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::Scalar;

/// A JSON string, quotes and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Str<'a>(&'a str);

/// The name of a member, its escapes undone; half a surrogate pair makes it no UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name<'a>(pub(crate) Cow<'a, [u8]>);

/// The string is no Unicode text: it holds half a surrogate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUnicode;

/// What bytes that are no UTF-8 become: half a surrogate pair, spelled so that no half on either side can make it
/// whole.
const BROKEN: &str = "\\ud800\u{fffd}";

impl<'a> Str<'a> {
    /// The text.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, NotUnicode> {
        if self.0.contains('\\') {
            return serde_json::from_str(self.0).map(Cow::Owned).map_err(|_| NotUnicode);
        }
        Ok(Cow::Borrowed(&self.0[1..self.0.len() - 1]))
    }

    /// The text to compare a name with; empty for what is no text (no kind has an empty name).
    pub(crate) fn name(self) -> Cow<'a, str> {
        self.text().unwrap_or_default()
    }
}

impl<'a> Scalar<'a> for Str<'a> {
    fn of(text: &'a str) -> Option<Self> {
        text.starts_with('"').then_some(Self(text))
    }
}

impl<'a> Name<'a> {
    /// Of a JSON string, quotes and all, which has escapes or has none.
    pub(super) fn new(text: &'a str, escaped: bool) -> Self {
        if escaped {
            return serde_json::from_str(text).unwrap_or(Self(Cow::Borrowed(b"")));
        }
        Self(Cow::Borrowed(text.get(1..text.len().saturating_sub(1)).unwrap_or_default().as_bytes()))
    }

    /// The text.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, NotUnicode> {
        match self.0 {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| NotUnicode),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NotUnicode),
        }
    }
}

impl<'a> Deserialize<'a> for Name<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        // As bytes, since that is how `serde_json` lets half a surrogate pair pass.
        from.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl<'a> Visitor<'a> for NameVisitor {
    type Value = Name<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'a [u8]) -> Result<Name<'a>, E> {
        Ok(Name(Cow::Borrowed(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Name<'a>, E> {
        Ok(Name(Cow::Owned(bytes.to_vec())))
    }
}

/// A body that is no UTF-8 as one that is, and is JSON exactly when it would be if nobody looked at the bytes in
/// strings; such strings then hold half a surrogate pair. `None` = nothing to repair. Stops soon after `bytes_max`.
pub(crate) fn repaired(body: &[u8], bytes_max: usize) -> Option<String> {
    if std::str::from_utf8(body).is_ok() {
        return None;
    }
    let mut out = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        if out.len() > bytes_max {
            break;
        }
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            // A backslash before it makes bad syntax, which it must stay.
            let backslashes = out.bytes().rev().take_while(|&byte| byte == b'\\').count();
            out.push_str(if backslashes % 2 == 1 { "\u{fffd}" } else { BROKEN });
        }
    }
    Some(out)
}

/// Whether this is JSON text that [`repaired`] had to repair.
pub(crate) fn is_broken(text: &str) -> bool {
    text.contains(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mending_a_body_stops_soon_after_its_limit() {
        let body = b"a\xff".repeat(1000);
        assert_eq!(repaired(&body, usize::MAX).unwrap().len(), 1000 * (1 + BROKEN.len()));
        assert!((101..120).contains(&repaired(&body, 100).unwrap().len()));
        assert_eq!(repaired("aü".as_bytes(), 0), None);
    }
}
