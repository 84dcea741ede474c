//! The order of the list, and where a page of it ends.
//!
//! Always true here: no two flags have the same place, for a place ends with the flag's key; a page's token holds the first
//! page's as-of, so that all pages judge at the same time.

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

/// As-of, and the place of the page's last flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token(pub(super) i64, pub(super) i64, pub(super) String);

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
    pub(super) fn page(
        self,
        mut verdicts: Vec<Verdict>,
        behind: Option<&Token>,
        limit: Option<usize>,
    ) -> (Vec<Verdict>, Option<Token>) {
        verdicts.sort_by_cached_key(|verdict| self.place(verdict));
        if let Some(Token(_, rank, key)) = behind {
            let behind = (*rank, key.clone());
            verdicts.retain(|verdict| self.place(verdict) > behind);
        }
        let full = limit.filter(|limit| verdicts.len() > *limit);
        verdicts.truncate(full.unwrap_or(usize::MAX));
        let last = verdicts.last().filter(|_| full.is_some());
        let next = last.map(|last| {
            let (rank, key) = self.place(last);
            Token(last.as_of_ms, rank, key)
        });
        (verdicts, next)
    }
}
