//! A request as the protocols see it: borrowed from whatever server library received it.
//!
//! Always true here: header names are compared without case; of a header sent twice the first counts.

use std::borrow::Cow;

/// One HTTP request. Nothing is copied: ingest fills the slices from its own types.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST`, `OPTIONS`.
    pub method: &'a str,
    /// The path as sent, percent signs and all.
    pub path: &'a str,
    /// What follows the question mark, as sent; empty = nothing.
    pub query: &'a str,
    /// Header names (in any case) and values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body as it came over the wire, chunks joined.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.headers, name)
    }

    /// The value of a header as text; bytes that are no UTF-8 become U+FFFD. Empty = not sent.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Cow<'a, str> {
        self.header(name).map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.trim_ascii()))
    }

    /// The value of a query parameter, percent signs undone; a plus stays a plus.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_encoding::percent_decode_str(value).into())
    }
}

/// The value of a header, by its name in any case.
pub(crate) fn header<'a>(headers: &[(&str, &'a [u8])], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}
