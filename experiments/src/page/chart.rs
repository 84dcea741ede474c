//! Charts as SVG made here: stacked bars over time, with axes and small without, and a bar of shares.
//!
//! Always true here: no style attribute (the content security policy forbids it), colours come by class; heights are
//! worked out in whole numbers (u128), so a chart cannot overflow or be NaN whatever the counts.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::interval::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::page::text;

/// One series of a chart.
pub(crate) struct Series<'a> {
    /// Class that gives the colour.
    pub(crate) colour: String,
    /// What it is, in plain words.
    pub(crate) words: String,
    /// Count by start of the bucket.
    pub(crate) counts: &'a BTreeMap<i64, u64>,
}

/// A moment of the time axis that is marked.
pub(crate) struct Mark {
    pub(crate) at_ms: i64,
    /// In few letters.
    pub(crate) name: String,
    /// In plain words.
    pub(crate) words: String,
}

const WIDTH: u64 = 960;
const HEIGHT: u64 = 290;
const LEFT: u64 = 52;
const RIGHT: u64 = 8;
const TOP: u64 = 22;
const BOTTOM: u64 = 28;
/// Least room of a mark's name, in pixels.
const MARK_WIDTH: u64 = 34;
/// Lengths are worked out in tenths of a pixel.
const TENTHS: u64 = 10;

/// Stacked bars with axes and marks; `marks` rise in time.
pub(crate) fn bars(title: &str, buckets: &[i64], series: &[Series<'_>], marks: &[Mark]) -> Markup {
    let total = |bucket: &i64| {
        series.iter().fold(0_u64, |sum, one| sum.saturating_add(one.counts.get(bucket).copied().unwrap_or(0)))
    };
    let top = nice(buckets.iter().map(total).max().unwrap_or(0));
    let plot = (WIDTH - LEFT - RIGHT) * TENTHS;
    let number = buckets.len().max(1) as u64;
    let x = |place: u64| LEFT * TENTHS + plot * place / number;
    let gap = if number > 80 { 4 } else { 20 };
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(text::visible(title)) {
            (grid(top))
            @for (place, bucket) in (0_u64..).zip(buckets) {
                @if total(bucket) > 0 {
                    g.stack {
                        title { (told(*bucket, series)) }
                        rect.hit x=(tenths(x(place))) y=(TOP) width=(tenths(plot / number)) height=(HEIGHT - TOP - BOTTOM) {}
                        @for (y, height, colour) in stack(*bucket, series, top) {
                            rect class=(colour) x=(tenths(x(place) + gap / 2)) y=(tenths(y))
                                width=(tenths((plot / number).saturating_sub(gap).max(10))) height=(tenths(height)) {}
                        }
                    }
                }
            }
            (time_axis(buckets, x))
            (marked(buckets, marks))
        }
    }
}

/// Lines at the marks, named where their names have room; all of them have their words.
fn marked(buckets: &[i64], marks: &[Mark]) -> Markup {
    let (Some(first), Some(second), Some(last)) = (buckets.first(), buckets.get(1), buckets.last()) else {
        return html! {};
    };
    let length = u64::try_from(last - first + (second - first)).unwrap_or(1).max(1);
    let (room, gap, end) = (MARK_WIDTH * TENTHS, 4 * TENTHS, WIDTH * TENTHS);
    let mut room_from = 0;
    let mut placed = Vec::new();
    for mark in marks.iter().filter(|mark| mark.at_ms >= *first) {
        let since = u64::try_from(mark.at_ms - first).unwrap_or(0).min(length);
        let x = LEFT * TENTHS
            + u64::try_from(u128::from((WIDTH - LEFT - RIGHT) * TENTHS) * u128::from(since) / u128::from(length))
                .unwrap_or(0);
        // Behind the line, or before it where the chart ends.
        let name_from = if x + room < end { x + gap } else { x.saturating_sub(room) };
        let is_named = name_from >= room_from;
        room_from = if is_named { name_from + room } else { room_from };
        placed.push((mark, x, is_named.then_some(name_from)));
    }
    html! {
        @for (mark, x, name_from) in placed {
            g.version {
                title { (text::visible(&mark.words)) }
                line x1=(tenths(x)) x2=(tenths(x)) y1="6" y2=(HEIGHT - BOTTOM) {}
                @if let Some(name_from) = name_from { text x=(tenths(name_from)) y="14" { (text::visible(&mark.name)) } }
            }
        }
    }
}

fn grid(top: u64) -> Markup {
    let steps = if top < 4 { top } else { 4 };
    html! {
        @for step in 0..=steps {
            @let value = u128::from(top) * u128::from(step) / u128::from(steps.max(1));
            @let value = u64::try_from(value).unwrap_or(u64::MAX);
            @let y = tenths((HEIGHT - BOTTOM) * TENTHS - scaled(value, top));
            line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
            text.axis x=(LEFT - 8) y=(y) dy="0.32em" text-anchor="end" { (text::short(value)) }
        }
    }
}

fn time_axis(buckets: &[i64], x: impl Fn(u64) -> u64) -> Markup {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return html! {} };
    let step = tick_step(last - first);
    html! {
        @for (place, bucket) in (0_u64..).zip(buckets) {
            // The outermost labels would be cut off.
            @if bucket % step == 0 && x(place) > (LEFT + 16) * TENTHS && x(place) < (WIDTH - 24) * TENTHS {
                text.axis x=(tenths(x(place))) y=(HEIGHT - 8) text-anchor="middle" {
                    (text::tick(*bucket, bucket % DAY_MS == 0))
                }
            }
        }
    }
}

/// Between labels of the time axis: about six of them.
fn tick_step(length_ms: i64) -> i64 {
    const STEPS: [i64; 10] = [
        2 * MINUTE_MS,
        5 * MINUTE_MS,
        10 * MINUTE_MS,
        30 * MINUTE_MS,
        HOUR_MS,
        4 * HOUR_MS,
        12 * HOUR_MS,
        DAY_MS,
        4 * DAY_MS,
        14 * DAY_MS,
    ];
    STEPS.into_iter().find(|step| length_ms / step <= 8).unwrap_or(14 * DAY_MS)
}

/// The pieces of one bar from below: (y, height, class), in tenths of a pixel.
fn stack<'a>(bucket: i64, series: &'a [Series<'_>], top: u64) -> Vec<(u64, u64, &'a str)> {
    let mut pieces = Vec::new();
    let mut below = 0_u64;
    for one in series {
        let count = one.counts.get(&bucket).copied().unwrap_or(0);
        if count == 0 {
            continue;
        }
        let from = scaled(below, top);
        below = below.saturating_add(count);
        // What is there is seen: at least one pixel.
        let height = (scaled(below, top) - from).max(TENTHS);
        pieces.push(((HEIGHT - BOTTOM) * TENTHS - from - height, height, one.colour.as_str()));
    }
    pieces
}

/// A bar in words, for its tooltip.
fn told(bucket: i64, series: &[Series<'_>]) -> String {
    let mut words = text::minute(bucket);
    for one in series {
        if let Some(count) = one.counts.get(&bucket).filter(|count| **count > 0) {
            words += &format!("\n{}: {}", text::visible(&one.words), text::number(*count));
        }
    }
    words
}

/// `value` of `top` as tenths of a pixel of the plot's height.
fn scaled(value: u64, top: u64) -> u64 {
    let plot = u128::from((HEIGHT - TOP - BOTTOM) * TENTHS);
    u64::try_from(u128::from(value.min(top)) * plot / u128::from(top.max(1))).unwrap_or(0)
}

fn tenths(length: u64) -> String {
    format!("{}.{}", length / TENTHS, length % TENTHS)
}

/// The top of the axis: the least number not below `value` whose quarters read well.
fn nice(value: u64) -> u64 {
    if value <= 4 {
        return value.max(1);
    }
    let units = std::iter::successors(Some(1_u64), |unit| unit.checked_mul(10));
    let quarters = units.flat_map(|unit| {
        [10, 15, 20, 25, 30, 40, 50, 60, 80].into_iter().filter_map(move |tenths| unit.checked_mul(tenths))
    });
    let whole = quarters.filter(|tenths| tenths.is_multiple_of(10)).map(|tenths| tenths / 10);
    whole.filter_map(|quarter| quarter.checked_mul(4)).find(|top| *top >= value).unwrap_or(u64::MAX)
}

/// The course of a flag, its variations stacked, without axes: (class, count by start of the bucket).
pub(crate) fn course(buckets: &[i64], parts: &[(String, &BTreeMap<i64, u64>)]) -> Markup {
    const W: u64 = 120;
    const H: u64 = 28;
    let count = |counts: &BTreeMap<i64, u64>, bucket: &i64| u128::from(counts.get(bucket).copied().unwrap_or(0));
    let total = |bucket: &i64| parts.iter().map(|(_, counts)| count(counts, bucket)).sum::<u128>();
    let top = buckets.iter().map(total).max().unwrap_or(0).max(1);
    let scaled = |value: u128| u64::try_from(value * u128::from((H - 2) * TENTHS) / top).unwrap_or(0);
    let step = W * TENTHS / (buckets.len() as u64).max(1);
    let mut pieces = Vec::new();
    for (place, bucket) in (0_u64..).zip(buckets) {
        let mut below = 0;
        for (colour, counts) in parts.iter().filter(|(_, counts)| count(counts, bucket) > 0) {
            let from = scaled(below);
            below += count(counts, bucket);
            // What is there is seen: at least one pixel.
            let height = (scaled(below) - from).max(TENTHS);
            pieces.push((colour, place * step, (H * TENTHS - from).saturating_sub(height), height));
        }
    }
    html! {
        svg.spark viewBox={ "0 0 " (W) " " (H) } preserveAspectRatio="none" aria-hidden="true" {
            @for (colour, x, y, height) in pieces {
                rect class=(colour) x=(tenths(x)) y=(tenths(y)) width=(tenths(step.max(1))) height=(tenths(height)) {}
            }
        }
    }
}

/// Shares of a whole as one bar: (class, count).
pub(crate) fn shares(parts: &[(String, u64)]) -> Markup {
    let total = parts.iter().map(|(_, count)| u128::from(*count)).sum::<u128>().max(1);
    let mut below = 0_u128;
    let mut pieces = Vec::new();
    for (colour, count) in parts {
        let from = below * 1000 / total;
        below += u128::from(*count);
        pieces.push((colour, from, (below * 1000 / total - from).max(4)));
    }
    html! {
        svg.shares viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            @for (colour, from, width) in pieces { rect class=(colour) x=(from) y="0" width=(width) height="10" {} }
        }
    }
}
