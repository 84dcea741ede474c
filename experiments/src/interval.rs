//! The time that a question is about: `[from, to)`, rounded to what is kept, and the buckets of a series in it.
//!
//! Always true here: `from < to`, both whole minutes (or hours, where only hours are kept); at most [`DAYS_MAX`] days.

use std::ops::Range;

use crate::parameters::TIME_MS_MAX;
use crate::refusal::Refusal;

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// Longest interval of one request, in days.
pub(crate) const DAYS_MAX: i64 = 92;
/// Events may be dated this far ahead of now; the default end takes them in.
const AHEAD_MS: i64 = 5 * MINUTE_MS;

/// `[from_ms, to_ms)` in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

/// How counts are cut along time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not at all.
    Total,
    /// By UTC minute.
    Minute,
    /// By UTC hour.
    Hour,
    /// By UTC day.
    Day,
}

impl Interval {
    /// The interval asked for, rounded outwards to whole `unit_ms`. `from` defaults to `back_ms` ago.
    pub(crate) fn ask(
        from: Option<i64>,
        to: Option<i64>,
        now_ms: i64,
        back_ms: i64,
        unit_ms: i64,
    ) -> Result<Self, Refusal> {
        let from = from.unwrap_or(now_ms - back_ms);
        let to_ms = to.unwrap_or(now_ms + AHEAD_MS);
        if from >= to_ms {
            let allowed = format!("a time before `to`, which is {to_ms}");
            return Err(Refusal::parameter("from", &from.to_string(), &allowed));
        }
        if to_ms - from > DAYS_MAX * DAY_MS + AHEAD_MS {
            let allowed = format!("at most {DAYS_MAX} days before `to`, which is {to_ms}");
            return Err(Refusal::parameter("from", &from.to_string(), &allowed));
        }
        Ok(Self { from_ms: from, to_ms }.rounded(unit_ms))
    }

    /// The interval that a page's token holds, as it is: it was rounded, and so may be longer than may be asked for. A token
    /// that no page can have had is refused.
    pub(crate) fn of_token(from_ms: i64, to_ms: i64) -> Result<Self, Refusal> {
        let longest_ms = DAYS_MAX * DAY_MS + AHEAD_MS + 2 * HOUR_MS;
        let times = 0..=TIME_MS_MAX + HOUR_MS;
        let sound = times.contains(&from_ms) && times.contains(&to_ms) && from_ms < to_ms;
        if sound && to_ms - from_ms <= longest_ms {
            return Ok(Self { from_ms, to_ms });
        }
        let held = format!("one of [{from_ms}, {to_ms})");
        Err(Refusal::parameter("continuationToken", &held, "what `_links.next.href` of the page before had"))
    }

    fn rounded(self, unit_ms: i64) -> Self {
        let up = self.to_ms.rem_euclid(unit_ms);
        Self {
            from_ms: self.from_ms - self.from_ms.rem_euclid(unit_ms),
            to_ms: if up == 0 { self.to_ms } else { self.to_ms + unit_ms - up },
        }
    }

    /// Whether this moment lies in it.
    pub(crate) fn contains(self, ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&ms)
    }

    /// The hours since 1970 that touch it.
    pub(crate) fn hours(self) -> Range<u32> {
        windows(self, HOUR_MS)
    }

    /// The days since 1970 that touch it.
    pub(crate) fn days(self) -> Range<u32> {
        windows(self, DAY_MS)
    }
}

fn windows(interval: Interval, unit_ms: i64) -> Range<u32> {
    let number = |ms: i64| u32::try_from(ms / unit_ms).unwrap_or(0);
    let rounded = interval.rounded(unit_ms);
    number(rounded.from_ms)..number(rounded.to_ms)
}

impl Step {
    /// The words of the API.
    pub(crate) const WORDS: [(&'static str, Self); 4] =
        [("total", Self::Total), ("minute", Self::Minute), ("hour", Self::Hour), ("day", Self::Day)];

    /// Length of a bucket, in milliseconds; `None` = there are none.
    pub(crate) fn unit_ms(self) -> Option<i64> {
        match self {
            Self::Total => None,
            Self::Minute => Some(MINUTE_MS),
            Self::Hour => Some(HOUR_MS),
            Self::Day => Some(DAY_MS),
        }
    }

    /// The start of the bucket that holds this moment.
    pub(crate) fn bucket(self, ms: i64) -> Option<i64> {
        self.unit_ms().map(|unit| ms - ms.rem_euclid(unit))
    }
}

/// The first millisecond of an hour since 1970.
pub(crate) fn hour_ms(hour: u32) -> i64 {
    i64::from(hour) * HOUR_MS
}
