//! The order of the list, and where a page of it ends.
//!
//! Always true here: no two flags have the same place, for a place ends with the flag's key; a page's token holds the
//! first page's as-of, so that all pages judge at the same time, and when the list was begun, for as-of lies before
//! that where the pipeline lags.

use serde::{Deserialize, Serialize};

use crate::stale::Verdict;

/// By what the list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Score falling.
    Score,
    Key,
    /// Never requested first, then the longest ago.
    LastRequested,
}

/// Where a flag stands, rising.
type Place = (i64, String);

/// Where a page ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// When the first page was asked for, Unix milliseconds.
    #[serde(rename = "b")]
    pub(super) begun_ms: i64,
    /// The time of all pages' verdicts, Unix milliseconds; none after `begun_ms`.
    #[serde(rename = "a")]
    pub(super) as_of_ms: i64,
    /// The last flag's place.
    #[serde(rename = "p")]
    place: Place,
}

impl Sort {
    pub(super) const WORDS: [(&str, Self); 3] =
        [("score", Self::Score), ("key", Self::Key), ("lastRequested", Self::LastRequested)];

    fn place(self, verdict: &Verdict) -> Place {
        let rank = match self {
            Self::Score => -i64::from(verdict.score),
            Self::Key => 0,
            Self::LastRequested => verdict.last_requested_ms.unwrap_or(i64::MIN),
        };
        (rank, verdict.key.clone())
    }

    /// Sorts, and leaves what is behind the token, at most `limit`; with the token of the last when there are more.
    /// `now_ms`: when this page was asked for.
    pub(super) fn page(
        self,
        mut verdicts: Vec<Verdict>,
        behind: Option<&Token>,
        limit: Option<usize>,
        now_ms: i64,
    ) -> (Vec<Verdict>, Option<Token>) {
        verdicts.sort_by_cached_key(|verdict| self.place(verdict));
        if let Some(token) = behind {
            verdicts.retain(|verdict| self.place(verdict) > token.place);
        }
        let full = limit.filter(|limit| verdicts.len() > *limit);
        verdicts.truncate(full.unwrap_or(usize::MAX));
        let last = verdicts.last().filter(|_| full.is_some());
        let begun_ms = behind.map_or(now_ms, |token| token.begun_ms);
        let next = last.map(|last| Token { begun_ms, as_of_ms: last.as_of_ms, place: self.place(last) });
        (verdicts, next)
    }
}
