//! The list as a Markdown table, for issues and chat: in words, as people read it.
//!
//! Always true here: foreign text ends no cell and is no markup ([`markdown`]); our own words, numbers and times have
//! nothing that could be.

use super::entry::{place, status};
use super::fleet::Read;
use super::heard::coverage_words;
use super::outcome::{keeps, outcome};
use crate::interval::hour_start;
use crate::markdown::markdown;
use crate::page::text::{day, minute};
use crate::stale::{CodePlace, EnvironmentVerdict, LastServed, Metadata, Variation, Verdict};

pub(super) const KIND: &str = "text/markdown; charset=utf-8";
const HEADER: [&str; 12] = [
    "Flag",
    "What to do",
    "Why",
    "What keeps it",
    "Put in its place",
    "Last asked for",
    "Status",
    "Score",
    "Confidence",
    "Coverage",
    "Owner",
    "Places in code",
];
/// Variations that are told of a flag that nobody asks for.
const LAST_SERVED_MAX: usize = 2;
/// Places in code that are told.
const PLACES_MAX: usize = 3;

/// The flags of a page, with status, coverage and last request of an environment, or of the project; below, of how
/// many flags they are and as of when.
pub(super) fn write<'a>(
    rows: impl Iterator<Item = (&'a Verdict, Option<&'a Metadata>)>,
    environment: Option<&str>,
    read: &Read,
) -> String {
    let line = |cells: [String; HEADER.len()]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(HEADER.map(str::to_owned)) + &line(HEADER.map(|_| "---".to_owned()));
    let mut number = 0;
    for (verdict, said) in rows {
        text += &line(row(verdict, said, environment));
        number += 1;
    }
    let state = if read.progress.complete { "complete" } else { "incomplete: the numbers lag the log" };
    let flags = read.fleet.flags.len();
    text + &format!("\n{number} of {flags} flags, as of {} UTC, {state}.\n", minute(read.fleet.as_of_ms))
}

fn row(verdict: &Verdict, said: Option<&Metadata>, environment: Option<&str>) -> [String; HEADER.len()] {
    let here = environment.and_then(|name| place(verdict, name));
    let looks_dead = verdict.reasons.iter().any(|reason| reason.code.is_deciding());
    let (ppm, measured) = here
        .map_or((verdict.coverage_ppm, verdict.coverage_measured), |place| (place.coverage_ppm, place.is_measured()));
    let said = said.cloned().unwrap_or_default();
    [
        markdown(&verdict.key),
        outcome(verdict).words,
        or_none(why(verdict)),
        or_none(if looks_dead { keeps(verdict).join("; ") } else { String::new() }),
        or_none(forward(verdict)),
        last_asked(verdict, here),
        status(verdict, environment).as_str().to_owned(),
        verdict.score.to_string(),
        verdict.confidence.to_string(),
        coverage_words(ppm, measured),
        or_none(said.owner.as_deref().map(markdown).unwrap_or_default()),
        said.code_references.map_or("not known".to_owned(), |number| in_code(number, &said.code_places)),
    ]
}

/// Their number, and the first of them.
fn in_code(number: u64, places: &[CodePlace]) -> String {
    let shown: Vec<String> = places.iter().take(PLACES_MAX).map(|place| markdown(&place.to_string())).collect();
    let more = if !shown.is_empty() && (shown.len() as u64) < number { ", …" } else { "" };
    if shown.is_empty() { number.to_string() } else { format!("{number}: {}{more}", shown.join(", ")) }
}

fn or_none(cell: String) -> String {
    if cell.is_empty() { "–".to_owned() } else { cell }
}

fn why(verdict: &Verdict) -> String {
    let reasons = verdict.reasons.iter().map(|reason| match reason.since_ms {
        Some(ms) => format!("{} since {}", reason.code.words(), day(ms)),
        None => reason.code.words().to_owned(),
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// What to put in the flag's place; where there is nothing, what was served last.
fn forward(verdict: &Verdict) -> String {
    if let Some(variation) = &verdict.forward_variation {
        return valued(variation, verdict.forward_value.as_deref());
    }
    let all = verdict.last_served();
    let served = all.iter().take(LAST_SERVED_MAX).map(|(_, last)| last_served(last));
    let told: Vec<String> = served.collect();
    if told.is_empty() { String::new() } else { format!("nothing known; last served {}", told.join(", ")) }
}

/// A variation that was served last, and when.
pub(crate) fn last_served(last: &LastServed) -> String {
    let bulk = if last.bulk { " in bulk" } else { "" };
    format!("{}{bulk} on {}", valued(&last.variation, last.value.as_deref()), day(last.last_ms))
}

fn valued(variation: &Variation, value: Option<&str>) -> String {
    let named = match variation {
        Variation::Index(index) => format!("variation {index}"),
        Variation::Name(name) => format!("variation {}", markdown(name)),
    };
    match value {
        Some(value) => format!("{} ({named})", markdown(value)),
        None => named,
    }
}

fn last_asked(verdict: &Verdict, here: Option<&EnvironmentVerdict>) -> String {
    let (ms, by) = match here {
        Some(place) => (place.last_requested_ms, place.last_requested_by.as_ref()),
        None => (verdict.last_requested_ms, verdict.last_requested_by.as_ref()),
    };
    let Some(ms) = ms else { return "never".to_owned() };
    let by = by.map(|by| {
        let asker = [&by.application, &by.sdk].into_iter().find(|name| !name.is_empty());
        let asker = asker.map(|name| format!(" by {}", markdown(name))).unwrap_or_default();
        format!("{asker} in {}", markdown(&by.environment))
    });
    day(hour_start(ms)) + &by.unwrap_or_default()
}
