//! Cells of the forms for people: the columns of a row, and foreign text that acts on nothing.
//!
//! Always true here: CSV and Markdown have the same columns, foreign text still raw in them; what does not show in a text, or
//! changes how others show, [`visible`] writes as `\u{…}`, line breaks included, so that a flag is one line.

use jiff::Timestamp;

use super::entry::Entry;
use crate::cells::Served;
use crate::is_hidden;

/// The columns' names.
pub(super) const HEADER: [&str; 15] = [
    "key",
    "environment",
    "status",
    "stale",
    "score",
    "confidence",
    "reasons",
    "blockers",
    "advice",
    "forwardVariation",
    "forwardValue",
    "lastRequested",
    "lastRequestedBy",
    "coverage",
    "asOf",
];

/// The columns of a flag.
pub(super) fn row(entry: &Entry) -> [String; HEADER.len()] {
    let codes = |codes: Vec<&'static str>| codes.join(" ");
    let forward = entry.forward_variation.as_ref().map(|served| match served {
        Served::Index(index) => index.to_string(),
        Served::Name(name) => name.clone(),
        Served::Default => String::new(),
    });
    let by = entry.last_requested_by.as_ref().map(|by| {
        let parts = [by.application.as_str(), by.sdk.as_str(), by.environment.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    });
    [
        entry.key.clone(),
        entry.environment.clone().unwrap_or_default(),
        entry.status.to_owned(),
        entry.stale.to_string(),
        entry.score.to_string(),
        entry.confidence.to_string(),
        codes(entry.reasons.iter().map(|reason| reason.code).collect()),
        codes(entry.blockers.iter().map(|blocker| blocker.code).collect()),
        entry.advice.unwrap_or_default().to_owned(),
        forward.unwrap_or_default(),
        entry.forward_value.as_ref().map(|value| value.get().to_owned()).unwrap_or_default(),
        entry.last_requested.map(time).unwrap_or_default(),
        by.unwrap_or_default(),
        entry.coverage.to_string(),
        time(entry.as_of),
    ]
}

/// RFC 3339.
pub(crate) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// The text with what is hidden made visible.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}
