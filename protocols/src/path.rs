//! A path as its segments.
//!
//! Always true here: empty segments are dropped, so doubled and trailing slashes mean nothing; segments are as sent,
//! and only [`decoded`] undoes percent signs, after the cutting, so that `%2F` is never taken for a slash.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Most segments that a path of any protocol has, and one more.
const SEGMENTS_MAX: usize = 8;

/// The segments of a path; a longer path has more segments than any route and so meets none.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    segments: [&'a str; SEGMENTS_MAX],
    len: usize,
}

impl<'a> Path<'a> {
    pub(crate) fn new(path: &'a str) -> Self {
        let mut segments = [""; SEGMENTS_MAX];
        let mut len = 0;
        for segment in path.split('/').filter(|segment| !segment.is_empty()).take(SEGMENTS_MAX) {
            segments[len] = segment;
            len += 1;
        }
        Self { segments, len }
    }

    /// The segments.
    pub(crate) fn segments(&self) -> &[&'a str] {
        &self.segments[..self.len]
    }
}

/// A segment with its percent signs undone.
pub(crate) fn decoded(segment: &str) -> Cow<'_, [u8]> {
    percent_decode_str(segment).into()
}
