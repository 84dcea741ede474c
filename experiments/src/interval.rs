//! The time that a question is about: `[from, to)`, rounded to what is kept, and the buckets of a series in it.
//!
//! Always true here: `from < to`, both whole minutes (or hours, where only hours are kept); at most [`DAYS_MAX`] days.

use std::ops::Range;

use jiff::Timestamp;

use crate::parameters::{Asked, TIME_MS_MAX};
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
    /// The interval asked for, rounded outwards to whole `unit_ms`. `from` defaults to `back_ms` ago. One that lies
    /// wholly ahead of what events may be dated begins with the next whole unit: what has been counted in a unit that
    /// has begun is not of it.
    pub(crate) fn ask(
        from: Option<Asked>,
        to: Option<Asked>,
        now_ms: i64,
        back_ms: i64,
        unit_ms: i64,
    ) -> Result<Self, Refusal> {
        let from_ms = from.as_ref().map_or(now_ms - back_ms, |from| from.ms);
        let to_ms = to.as_ref().map_or(now_ms + AHEAD_MS, |to| to.ms);
        let refused = |allowed: String| {
            let typed = from.as_ref().map_or_else(|| readable(from_ms), |from| from.typed.clone());
            let is_plain = typed == readable(from_ms);
            let in_words = if is_plain { String::new() } else { format!(" (`from` is {})", readable(from_ms)) };
            let to_typed = to.as_ref().map_or("the default", |to| &to.typed);
            let allowed = format!("{allowed} `to`, which is {} ({to_typed}){in_words}", readable(to_ms));
            Err(Refusal::parameter("from", &typed, &allowed))
        };
        if from_ms >= to_ms {
            return refused("a time before".to_owned());
        }
        if to_ms - from_ms > DAYS_MAX * DAY_MS + AHEAD_MS {
            return refused(format!("at most {DAYS_MAX} days before"));
        }
        let mut interval = Self { from_ms, to_ms }.rounded(unit_ms);
        if from_ms > now_ms + AHEAD_MS && interval.from_ms < from_ms {
            interval.from_ms += unit_ms;
            interval.to_ms = interval.to_ms.max(interval.from_ms + unit_ms);
        }
        Ok(interval)
    }

    /// The interval that a page's token holds, as it is: it was rounded, and so may be longer than may be asked for. A
    /// token that no page can have had is refused.
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

    /// Outwards, to whole `unit_ms`.
    pub(crate) fn rounded(self, unit_ms: i64) -> Self {
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

/// For people: `2026-01-31T12:00:00Z`.
fn readable(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
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

/// The first millisecond of the hour that holds this moment.
pub(crate) fn hour_start(ms: i64) -> i64 {
    ms - ms.rem_euclid(HOUR_MS)
}

/// The first millisecond of an hour since 1970.
pub(crate) fn hour_ms(hour: u32) -> i64 {
    i64::from(hour) * HOUR_MS
}
