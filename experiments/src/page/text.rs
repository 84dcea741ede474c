//! Texts on the page: foreign ones made harmless, numbers and times made readable.
//!
//! Always true here: no character of a foreign text acts; control, direction and invisible characters show as their
//! code, so that two keys that differ look different.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

use crate::asked::Kind;
use crate::hidden::is_hidden;
use crate::interval::{DAY_MS, HOUR_MS, MINUTE_MS};

/// A foreign text for an attribute or a title: hidden characters as `⟨U+202E⟩`.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { out += &format!("⟨U+{:04X}⟩", u32::from(c)) } else { out.push(c) }
    }
    out
}

/// A foreign text as the value of an attribute that scripts read: browsers hand on exactly this, line breaks too. For
/// what nobody is shown.
pub(crate) fn exact(text: &str) -> PreEscaped<String> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\r' => out += "&#13;",
            '\n' => out += "&#10;",
            other => out.push(other),
        }
    }
    PreEscaped(out)
}

/// A foreign text as content, apart from the direction of what stands around it.
pub(crate) fn foreign(text: &str) -> Markup {
    html! {
        bdi {
            @for piece in pieces(text) {
                @match piece {
                    Piece::Plain(plain) => (plain),
                    Piece::Hidden(c) => span.ctl { (format!("U+{:04X}", u32::from(c))) },
                }
            }
        }
    }
}

/// As [`foreign`], cut after `max` characters, with the whole in its title.
pub(crate) fn cut(text: &str, max: usize) -> Markup {
    match text.char_indices().nth(max) {
        None => foreign(text),
        Some((end, _)) => html! { span title=(visible(text)) { (foreign(&text[..end])) "…" } },
    }
}

enum Piece<'a> {
    Plain(&'a str),
    Hidden(char),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
        let (plain, tail) = rest.split_at(at);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        pieces.push(Piece::Hidden(c));
        rest = &tail[c.len_utf8()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number for an axis: `950`, `1.5k`, `20M`.
pub(crate) fn short(number: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(1_000_000_000_000_000, "P"), (1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match UNITS.iter().find(|(unit, _)| number >= *unit) {
        None => number.to_string(),
        Some((unit, name)) => match number % unit * 10 / unit {
            0 => format!("{}{name}", number / unit),
            tenth => format!("{}.{tenth}{name}", number / unit),
        },
    }
}

/// The mark of numbers that are lower bounds.
pub(crate) fn saturated() -> Markup {
    html! { span.tag.bad title="a counter has reached its end; the number is a lower bound" { "at least" } }
}

/// How a flag was asked for, as a mark.
pub(crate) fn kind(kind: Kind) -> Markup {
    let (words, means) = kind.words();
    html! { span.tag title=(means) { (words) } }
}

/// A count and its noun: `1 flag`, `2 flags`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

fn formatted(ms: i64, form: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |time| time.strftime(form).to_string())
}

/// `14:05:09`
pub(crate) fn clock(ms: i64) -> String {
    formatted(ms, "%H:%M:%S")
}

/// `2026-01-31 14:05`
pub(crate) fn minute(ms: i64) -> String {
    formatted(ms, "%Y-%m-%d %H:%M")
}

/// The hour that holds this moment: `2026-01-31 14:00–14:59`
pub(crate) fn hour(ms: i64) -> String {
    formatted(ms, "%Y-%m-%d %H:00–%H:59")
}

/// `2026-01-31`
pub(crate) fn day(ms: i64) -> String {
    formatted(ms, "%Y-%m-%d")
}

/// `14:05`, or `Jan 31` where days are told apart.
pub(crate) fn tick(ms: i64, days: bool) -> String {
    formatted(ms, if days { "%b %-d" } else { "%H:%M" })
}

/// How long ago, with the time itself in its title.
pub(crate) fn ago(ms: i64, now_ms: i64) -> Markup {
    let age = (now_ms - ms).max(0);
    let words = match age {
        age if age < MINUTE_MS + MINUTE_MS / 2 => "just now".to_owned(),
        age if age < 2 * HOUR_MS => format!("{} min ago", age / MINUTE_MS),
        age if age < 2 * DAY_MS => format!("{} h ago", age / HOUR_MS),
        age => format!("{} days ago", age / DAY_MS),
    };
    html! { time datetime=(formatted(ms, "%Y-%m-%dT%H:%M:%SZ")) title=(minute(ms) + " UTC") { (words) } }
}

/// How long ago, of a time that is kept by the hour only.
pub(crate) fn hours_ago(ms: i64, now_ms: i64) -> Markup {
    let words = match (now_ms - now_ms.rem_euclid(HOUR_MS) - ms) / HOUR_MS {
        ..1 => "this hour".to_owned(),
        age @ 1..48 => format!("{age} h ago"),
        age => format!("{} days ago", age / 24),
    };
    html! { time datetime=(formatted(ms, "%Y-%m-%dT%H:00:00Z")) title=(minute(ms) + " UTC, to the hour") { (words) } }
}
