//! What the rule looked at: last-seen rows, days of use, versions, hours heard, and what people said.
//!
//! Always true here: nothing is judged in this file; rows are those of the verdict's own input.

use maud::{Markup, html};
use serde_json::Value;

use super::strip::strip;
use super::words;
use crate::interval::hour_start;
use crate::metadata::Said;
use crate::page::text;
use crate::stale::{EnvironmentVerdict, FlagEnvironment, Row, Variation};
use crate::stale_flags::heard::percent;
use crate::stale_flags::hours::Reporter;

/// Rows of one environment that are shown: those that were last seen last.
const ROWS_MAX: usize = 25;
/// Silent askers that are named.
const ASKERS_MAX: usize = 6;
/// Items of a list that are shown: of places in code, all that are kept.
const ITEMS_MAX: usize = 20;

/// The inputs of one environment.
/// `quiet`: who reported there as a rule and not of late.
pub(super) fn place(
    seen: Option<&FlagEnvironment>,
    place: &EnvironmentVerdict,
    quiet: &[Reporter],
    as_of_ms: i64,
) -> Markup {
    let Some(seen) = seen else {
        return html! { p.muted { "Never seen there." } (hours(place)) };
    };
    let mut rows: Vec<&Row> = seen.rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.last_ms));
    html! {
        (strip(&seen.days, place.thresholds, as_of_ms))
        (facts(seen, place, as_of_ms))
        (cautions(seen, quiet))
        details open[rows.len() <= 5] {
            summary { "Last seen: " (text::counted(rows.len() as u64, "row")) }
            div.scroll tabindex="0" role="region" aria-label="Last seen" { table.rows {
                thead { tr {
                    th scope="col" { "Served" } th scope="col" { "Application and SDK" }
                    th.num scope="col" { "First" } th.num scope="col" { "Last" }
                } }
                tbody { @for row in rows.iter().take(ROWS_MAX) { (one(row, as_of_ms)) } }
            } }
            @if rows.len() > ROWS_MAX { p.small.muted { "The newest " (ROWS_MAX) "; the flag's own page has more." } }
        }
    }
}

/// Why the rows may say less than they seem to.
fn cautions(seen: &FlagEnvironment, quiet: &[Reporter]) -> Markup {
    let asked = |reporter: &&Reporter| seen.rows.iter().any(|row| !row.bulk && reporter.asked(row));
    let quiet: Vec<&Reporter> = quiet.iter().filter(asked).collect();
    html! {
        @if !quiet.is_empty() {
            p.note.small {
                "Not heard of late, though it reported as a rule and asked for this flag: "
                @for (place, reporter) in quiet.iter().take(ASKERS_MAX).enumerate() {
                    @if place > 0 { ", " }
                    (text::cut(reporter.name(), 40))
                }
                @if quiet.len() > ASKERS_MAX { " and " (quiet.len() - ASKERS_MAX) " more" }
                ". It may ask again."
            }
        }
        @if seen.rows.iter().any(Row::is_beyond) {
            p.note.small {
                "More askers than are kept apart: the others stand in one row, and while they ask, the flag is never settled here."
            }
        }
    }
}

fn one(row: &Row, as_of_ms: i64) -> Markup {
    html! {
        tr {
            td {
                @match &row.variation {
                    Some(Variation::Index(index)) => { "#" (index) },
                    Some(Variation::Name(name)) => (text::cut(name, 40)),
                    None if row.default => "default",
                    None => span.muted { "others (beyond the limit)" },
                }
                @if row.error { " " span.tag.bad { "error" } }
                @if row.bulk { " " span.tag title="read along with all other flags: no sign of use" { "bulk read" } }
            }
            td {
                @if row.application.is_empty() { span.muted { "not told" } } @else { (text::cut(&row.application, 40)) }
                @if !row.application_version.is_empty() { " " (text::cut(&row.application_version, 24)) }
                @if !row.sdk.is_empty() { div.muted.small { (text::cut(&row.sdk, 60)) } }
            }
            td.num { (text::day(row.first_ms)) }
            td.num { (text::hours_ago(hour_start(row.last_ms), as_of_ms)) }
        }
    }
}

fn facts(seen: &FlagEnvironment, place: &EnvironmentVerdict, as_of_ms: i64) -> Markup {
    html! {
        dl.pairs.small {
            @if let Some(version) = place.version {
                dt { "Version" } dd { (version) @if let Some(since) = place.version_since_ms { " since " (text::day(since)) } }
            }
            dt { "Served within " (place.thresholds.inactive_days) " days" } dd { (served(&place.served_within_inactive)) }
            dt { "Served within " (place.thresholds.stale_days) " days" } dd { (served(&place.served_within_stale)) }
            @if let Some(bulk_ms) = place.last_bulk_ms { dt { "Last bulk read" } dd { (text::hours_ago(hour_start(bulk_ms), as_of_ms)) } }
            @for value in &seen.values {
                dt { (words::variation(&value.variation).markup()) } dd { code.value { (text::cut(&value.value, 60)) } }
            }
        }
        (hours(place))
    }
}

fn served(variations: &[Variation]) -> Markup {
    html! {
        @if variations.is_empty() { "nothing" }
        @for (place, variation) in variations.iter().take(8).enumerate() {
            @if place > 0 { ", " }
            @match variation { Variation::Index(index) => { "#" (index) }, Variation::Name(name) => (text::cut(name, 40)) }
        }
        @if variations.len() > 8 { " and " (variations.len() - 8) " more" }
    }
}

fn hours(place: &EnvironmentVerdict) -> Markup {
    html! {
        @if !place.is_measured() {
            p.small.muted { "No hour expected: no application is known to report from there regularly, so nothing could be missed." }
        }
        @if let Some(hours) = place.hours.filter(|hours| hours.expected > 0) {
            p.small.muted {
                "Heard in " (text::number(hours.reported)) " of " (text::counted(hours.expected, "hour")) " ("
                (percent(place.coverage_ppm)) "; at least " (percent(place.thresholds.coverage_min_ppm)) " are needed)."
            }
        }
    }
}

/// What people said of the flag.
pub(super) fn said(said: &Said, as_of_ms: i64) -> Markup {
    let fields = said.body.fields();
    html! {
        h3 { "What people said" }
        @if fields.is_empty() {
            p.muted { "Nothing yet. The report makes sense without; it is surer with " code { "flagstream flags import FILE" }
                " (owner, type, created) and " code { "flagstream flags scan DIR" } " (places in code)." }
        } @else {
            dl.pairs.small { @for (name, value) in &fields { dt { (title(name)) } dd { (told(name, value, as_of_ms)) } } }
            @if let Some(at_ms) = said.at_ms { p.small.muted { "Last changed " (text::minute(at_ms)) " UTC." } }
        }
    }
}

fn title(name: &str) -> &str {
    match name {
        "createdAt" => "Created",
        "temporary" => "Temporary",
        "type" => "Type",
        "archived" => "Archived",
        "snoozedUntil" => "Snoozed until",
        "dependents" => "Needed by",
        "prerequisites" => "Needs",
        "runningExperiment" => "Experiment running",
        "codeReferences" => "Places in code",
        "codePlaces" => "The first of them",
        "codeScan" => "Found so by the scan of",
        "owner" => "Owner",
        other => other,
    }
}

/// A place in code.
fn in_code(place: &Value) -> Markup {
    html! {
        (text::cut(place["file"].as_str().unwrap_or_default(), 80))
        @if let Some(line) = place["line"].as_u64() { ":" (line) }
    }
}

fn told(name: &str, value: &Value, as_of_ms: i64) -> Markup {
    html! {
        @match value {
            Value::Bool(true) => "yes",
            Value::Bool(false) => "no",
            Value::Number(number) => {
                @match number.as_i64() {
                    Some(ms) if matches!(name, "createdAt" | "snoozedUntil") => { (text::minute(ms)) @if ms < as_of_ms && name == "snoozedUntil" { " (over)" } },
                    _ => (number.to_string()),
                }
            },
            Value::String(text) => (text::cut(text, 80)),
            Value::Array(items) => {
                @for (place, item) in items.iter().take(ITEMS_MAX).enumerate() {
                    @if place > 0 { ", " }
                    @match item.as_str() { Some(key) => (text::cut(key, 60)), None => (in_code(item)) }
                }
                @if items.len() > ITEMS_MAX { " and " (items.len() - ITEMS_MAX) " more" }
            },
            Value::Object(scan) if name == "codeScan" => (scan["at"].as_i64().map_or(String::new(), text::minute)),
            other => (text::foreign(&other.to_string())),
        }
    }
}
