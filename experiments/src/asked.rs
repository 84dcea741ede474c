//! How a flag was asked for within a time: by name, or along with all other flags (a bulk read). Counts do not tell
//! these apart, and have nothing of a flag that was seen by full events alone; last-seen rows do.
//!
//! Always true here: rows are kept to the hour and have their ends alone, so a sight within the time is sure, ruled out,
//! or neither; what is said of a flag holds in each of these.

use counting::cells::LastSeenRow;

use crate::interval::{HOUR_MS, Interval, hour_ms};
use crate::tally::{FlagTally, Group};

/// Sights of one kind within a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sights {
    /// There was one.
    pub(crate) sure: bool,
    /// There may have been one.
    pub(crate) possible: bool,
}

/// Sights of a flag, or of one of its groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) by_name: Sights,
    pub(crate) in_bulk: Sights,
}

/// How a flag whose counts are of a time was asked for in it, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Seen, and not counted: by full events alone.
    SeenOnly,
    BulkOnly,
    BulkToo,
}

impl Kind {
    /// For people, and what that means.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SeenOnly => (
                "seen, not counted: full events alone",
                "its SDK keeps it out of summaries; full events are sights and count nothing",
            ),
            Self::BulkOnly => ("bulk reads only", "read along with all other flags: no sign of use"),
            Self::BulkToo => {
                ("bulk reads too", "some of these are reads of all flags at once, which are no sign of use")
            }
        }
    }
}

impl Asked {
    pub(crate) fn of(flag: &FlagTally, interval: Interval, now_ms: i64) -> Self {
        Self::of_rows(flag.seen.rows(), interval, now_ms)
    }

    pub(crate) fn of_group(flag: &FlagTally, group: &Group, interval: Interval, now_ms: i64) -> Self {
        // What is beyond the limit of rows may be of any group.
        let beyond = flag.seen.rows().filter(|row| row.other && !group.other);
        Self::of_rows(flag.rows(group).chain(beyond), interval, now_ms)
    }

    fn of_rows<'a>(rows: impl Iterator<Item = LastSeenRow<'a>>, interval: Interval, now_ms: i64) -> Self {
        let mut asked = Self::default();
        for row in rows {
            let sights = if row.bulk { &mut asked.in_bulk } else { &mut asked.by_name };
            let (first_ms, end_ms) = (hour_ms(row.first), hour_ms(row.last) + HOUR_MS);
            sights.possible |= first_ms < interval.to_ms && end_ms > interval.from_ms;
            sights.sure |= [row.first, row.last].into_iter().any(|hour| is_within(hour, interval, now_ms));
        }
        asked
    }

    /// `counted`: the counts of the same time are above 0.
    pub(crate) fn kind(self, counted: bool) -> Option<Kind> {
        match (counted, self.by_name, self.in_bulk) {
            (false, by_name, _) if by_name.sure => Some(Kind::SeenOnly),
            (true, by_name, in_bulk) if !by_name.possible && in_bulk.possible => Some(Kind::BulkOnly),
            (true, _, in_bulk) if in_bulk.sure => Some(Kind::BulkToo),
            _ => None,
        }
    }
}

/// Whether all of the hour lies in the interval, as far as it is over.
fn is_within(hour: u32, interval: Interval, now_ms: i64) -> bool {
    let start_ms = hour_ms(hour);
    start_ms >= interval.from_ms && (start_ms + HOUR_MS).min(now_ms) <= interval.to_ms && start_ms < interval.to_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_that_lies_half_in_the_time_is_neither_sure_nor_ruled_out() {
        let of = |from_ms, to_ms, now_ms| is_within(10, Interval { from_ms, to_ms }, now_ms);
        let hour = |hour: i64| hour * HOUR_MS;
        assert!(of(hour(10), hour(11), hour(20)));
        assert!(!of(hour(10) + 1, hour(11), hour(20)) && !of(hour(10), hour(11) - 1, hour(20)));
        assert!(of(hour(10), hour(10) + 600_000, hour(10) + 300_000), "the hour under way ends now");
        assert!(!of(hour(8), hour(10), hour(10)));
    }

    #[test]
    fn what_is_known_is_said_and_nothing_else() {
        let sights = |sure, possible| Sights { sure, possible };
        let (no, maybe, yes) = (sights(false, false), sights(false, true), sights(true, true));
        for (counted, by_name, in_bulk, kind) in [
            (false, yes, no, Some(Kind::SeenOnly)),
            (false, maybe, no, None),
            (false, no, yes, None),
            (true, no, yes, Some(Kind::BulkOnly)),
            (true, no, maybe, Some(Kind::BulkOnly)),
            (true, maybe, yes, Some(Kind::BulkToo)),
            (true, yes, maybe, None),
            (true, yes, no, None),
        ] {
            assert_eq!(Asked { by_name, in_bulk }.kind(counted), kind, "{counted} {by_name:?} {in_bulk:?}");
        }
    }
}
