//! The times that a reader can choose on the page.
//!
//! Always true here: a range is asked of the store exactly as the API would ask it, so that the two agree.

use maud::{Markup, html};

use crate::interval::{DAY_MS, HOUR_MS, Interval, MINUTE_MS, Step};
use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::tally::Span;

/// A length of time up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Quarter,
    Hour,
    Day,
    Week,
    Month,
    Season,
}

/// The ranges of the first page: those that many flags can be counted over at once.
pub(crate) const SHORT: &[(&str, Range)] =
    &[("15m", Range::Quarter), ("1h", Range::Hour), ("24h", Range::Day), ("7d", Range::Week)];
/// The ranges of one flag's page.
pub(crate) const ALL: &[(&str, Range)] = &[
    ("15m", Range::Quarter),
    ("1h", Range::Hour),
    ("24h", Range::Day),
    ("7d", Range::Week),
    ("30d", Range::Month),
    ("90d", Range::Season),
];

impl Range {
    /// Reads `range`, one of these; a day when it is not given.
    pub(crate) fn read(given: &mut Parameters, of: &[(&str, Self)]) -> Result<Self, Refusal> {
        given.choice("range", Self::Day, of)
    }

    /// The same on the first page, where it has it.
    pub(crate) fn short(self) -> Option<Self> {
        SHORT.iter().map(|(_, range)| *range).find(|range| *range == self)
    }

    pub(crate) fn word(self) -> &'static str {
        ALL.iter().find(|(_, range)| *range == self).map_or("24h", |(word, _)| word)
    }

    /// For people: `the last 24 hours`.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Quarter => "the last 15 minutes",
            Self::Hour => "the last hour",
            Self::Day => "the last 24 hours",
            Self::Week => "the last 7 days",
            Self::Month => "the last 30 days",
            Self::Season => "the last 90 days",
        }
    }

    pub(crate) fn span(self, now_ms: i64) -> Result<Span, Refusal> {
        let (back_ms, step) = match self {
            Self::Quarter => (15 * MINUTE_MS, Step::Minute),
            Self::Hour => (HOUR_MS, Step::Minute),
            Self::Day => (DAY_MS, Step::Hour),
            Self::Week => (7 * DAY_MS, Step::Hour),
            Self::Month => (30 * DAY_MS, Step::Day),
            Self::Season => (90 * DAY_MS, Step::Day),
        };
        Ok(Span { interval: Interval::ask(None, None, now_ms, back_ms, MINUTE_MS)?, step })
    }
}

/// Links to the same page at each range.
pub(crate) fn tabs(of: &[(&str, Range)], chosen: Range, href: impl Fn(Range) -> String) -> Markup {
    html! {
        nav.tabs aria-label="Time" {
            @for (word, range) in of {
                a href=(href(*range)) aria-current=[(*range == chosen).then_some("true")] { (word) }
            }
        }
    }
}

/// The starts of the buckets to draw: up to now, or to the last bucket that has a count.
pub(crate) fn buckets(span: Span, now_ms: i64, last: Option<i64>) -> Vec<i64> {
    let Some(unit) = span.step.unit_ms() else { return Vec::new() };
    let first = span.interval.from_ms - span.interval.from_ms.rem_euclid(unit);
    let end = (now_ms - now_ms.rem_euclid(unit)).max(last.unwrap_or(0));
    let number = usize::try_from((end - first) / unit).unwrap_or(0) + 1;
    (0_i64..).take(number.min(2_000)).map(|place| first + place * unit).collect()
}
