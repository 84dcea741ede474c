//! The columns of a row of CSV.
//!
//! Always true here: codes are the rule's own, for a spreadsheet filters by them; foreign text is still raw.

use jiff::Timestamp;

use super::entry::Entry;
use crate::cells::Served;

/// The columns' names.
pub(super) const HEADER: [&str; 19] = [
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
    "coverageMeasured",
];

/// The columns of a flag.
pub(super) fn row(entry: &Entry) -> [String; HEADER.len()] {
    let codes = |codes: Vec<&'static str>| codes.join(" ");
    let by = entry.last_requested_by.as_ref().map(|by| {
        let parts = [by.application.as_str(), by.sdk.as_str(), by.environment.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    });
    let places: Vec<String> = entry.code_places.iter().map(ToString::to_string).collect();
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
        variation(entry.forward_variation.as_ref()),
        entry.forward_value.as_ref().map(|value| value.get().to_owned()).unwrap_or_default(),
        entry.last_requested.map(time).unwrap_or_default(),
        by.unwrap_or_default(),
        entry.coverage.to_string(),
        time(entry.as_of),
        entry.owner.clone().unwrap_or_default(),
        entry.code_references.map(|number| number.to_string()).unwrap_or_default(),
        places.join(" "),
        entry.coverage_measured.to_string(),
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
