//! Cells of the forms for people: the columns of a row.
//!
//! Always true here: CSV and Markdown have the same columns; foreign text is still raw in them, and told apart from
//! ours.

use jiff::Timestamp;

use super::entry::Entry;
use crate::cells::Served;

/// The columns' names.
pub(super) const HEADER: [&str; 18] = [
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
    "owner",
    "codeReferences",
    "codePlaces",
];

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// A number, a time or a word of ours.
    Own(String),
    Foreign(String),
}

/// The columns of a flag.
pub(super) fn row(entry: &Entry) -> [Cell; HEADER.len()] {
    let codes = |codes: Vec<&'static str>| codes.join(" ");
    let by = entry.last_requested_by.as_ref().map(|by| {
        let parts = [by.application.as_str(), by.sdk.as_str(), by.environment.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    });
    let places: Vec<String> = entry.code_places.iter().map(ToString::to_string).collect();
    [
        Cell::Foreign(entry.key.clone()),
        Cell::Foreign(entry.environment.clone().unwrap_or_default()),
        Cell::Own(entry.status.to_owned()),
        Cell::Own(entry.stale.to_string()),
        Cell::Own(entry.score.to_string()),
        Cell::Own(entry.confidence.to_string()),
        Cell::Own(codes(entry.reasons.iter().map(|reason| reason.code).collect())),
        Cell::Own(codes(entry.blockers.iter().map(|blocker| blocker.code).collect())),
        Cell::Own(entry.advice.unwrap_or_default().to_owned()),
        Cell::Foreign(variation(entry.forward_variation.as_ref())),
        Cell::Foreign(entry.forward_value.as_ref().map(|value| value.get().to_owned()).unwrap_or_default()),
        Cell::Own(entry.last_requested.map(time).unwrap_or_default()),
        Cell::Foreign(by.unwrap_or_default()),
        Cell::Own(entry.coverage.to_string()),
        Cell::Own(time(entry.as_of)),
        Cell::Foreign(entry.owner.clone().unwrap_or_default()),
        Cell::Own(entry.code_references.map(|number| number.to_string()).unwrap_or_default()),
        Cell::Foreign(places.join(" ")),
    ]
}

/// Its index or name; empty = none.
pub(super) fn variation(served: Option<&Served>) -> String {
    match served {
        Some(Served::Index(index)) => index.to_string(),
        Some(Served::Name(name)) => name.clone(),
        Some(Served::Default) | None => String::new(),
    }
}

/// RFC 3339 with milliseconds, also where they are 0: as the vendor writes times, which its clients may count on.
pub(crate) fn time(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms);
    time.map_or_else(|_| ms.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}
