//! By what the table of stale flags is sorted.
//!
//! Always true here: at equal places the higher score comes first, then the lower key, whichever way the column goes;
//! so the order is the same each time.

use std::cmp::Ordering;

use crate::stale::{Status, Variation, Verdict};
use crate::stale_flags::entry;
use crate::stale_flags::outcome::outcome;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Flag,
    Status,
    Reasons,
    Score,
    Confidence,
    Value,
    LastSeen,
    Advice,
}

/// A place in the order, rising.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number(i64),
    Text(String),
}

impl Column {
    /// In order of the table, with the word of the address.
    pub(super) const ALL: [(&'static str, Self); 8] = [
        ("flag", Self::Flag),
        ("status", Self::Status),
        ("reasons", Self::Reasons),
        ("score", Self::Score),
        ("confidence", Self::Confidence),
        ("value", Self::Value),
        ("lastSeen", Self::LastSeen),
        ("advice", Self::Advice),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, column)| *column == self).map_or("advice", |(word, _)| word)
    }

    /// What the column's head says.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Flag => "Flag",
            Self::Status => "Status",
            Self::Reasons => "Why",
            Self::Score => "Score",
            Self::Confidence => "Confidence",
            Self::Value => "Put in its place",
            Self::LastSeen => "Last asked for",
            Self::Advice => "What to do",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Score | Self::Confidence)
    }

    /// Whether a reader wants the greatest first.
    pub(super) fn falls_first(self) -> bool {
        matches!(self, Self::Score | Self::Confidence | Self::LastSeen)
    }

    fn rank(self, verdict: &Verdict, environment: Option<&str>) -> Rank {
        match self {
            Self::Flag => Rank::Text(verdict.key.clone()),
            Self::Status => Rank::Number(liveliness(entry::status(verdict, environment))),
            Self::Reasons => {
                let first = verdict.reasons.first().map_or(i64::MAX, |reason| reason.code as i64);
                Rank::Number(first)
            }
            Self::Score => Rank::Number(verdict.score.into()),
            Self::Confidence => Rank::Number(verdict.confidence.into()),
            Self::Value => Rank::Text(match (&verdict.forward_value, &verdict.forward_variation) {
                (Some(value), _) => value.clone(),
                (None, Some(Variation::Index(index))) => index.to_string(),
                (None, Some(Variation::Name(name))) => name.clone(),
                // Behind all values.
                (None, None) => char::MAX.to_string(),
            }),
            Self::LastSeen => Rank::Number(last_seen_ms(verdict, environment).unwrap_or(i64::MIN)),
            Self::Advice => Rank::Number(outcome(verdict).rank),
        }
    }

    /// Sorts.
    pub(super) fn sort(self, verdicts: &mut [&Verdict], environment: Option<&str>, falling: bool) {
        verdicts.sort_by_cached_key(|verdict| {
            let rank = self.rank(verdict, environment);
            let rank = if falling { Directed::Falling(rank) } else { Directed::Rising(rank) };
            (rank, std::cmp::Reverse(verdict.score), verdict.key.clone())
        });
    }
}

/// A rank that goes one way.
#[derive(Debug, PartialEq, Eq)]
enum Directed {
    Rising(Rank),
    Falling(Rank),
}

impl Ord for Directed {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Falling(mine), Self::Falling(theirs)) => theirs.cmp(mine),
            (Self::Rising(mine) | Self::Falling(mine), Self::Rising(theirs) | Self::Falling(theirs)) => {
                mine.cmp(theirs)
            }
        }
    }
}

impl PartialOrd for Directed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// When it was last asked for, there or anywhere.
pub(super) fn last_seen_ms(verdict: &Verdict, environment: Option<&str>) -> Option<i64> {
    match environment.and_then(|name| entry::place(verdict, name)) {
        Some(place) => place.last_requested_ms,
        None => verdict.last_requested_ms,
    }
}

/// From those that nobody asks for to those in use; what is not known stands before them.
fn liveliness(status: Status) -> i64 {
    match status {
        Status::Unknown => 0,
        Status::Inactive => 1,
        Status::Launched => 2,
        Status::New => 3,
        Status::Active => 4,
    }
}
