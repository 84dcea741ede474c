//! A flag's verdict as the text of a ticket, in Markdown.
//!
//! Always true here: what is foreign acts on nothing in it ([`markdown`]), and no line of it begins with foreign text.

use super::words;
use crate::markdown::markdown;
use crate::page::text;
use crate::stale::{Advice, Flag, Requester, Variation, Verdict};
use crate::stale_flags::heard::coverage_words;
use crate::stale_flags::markdown::last_served;
use crate::stale_flags::outcome::outcome;

/// The ticket; `address` is where the evidence stands.
pub(super) fn ticket(project: &str, flag: &Flag, verdict: &Verdict, address: &str) -> String {
    let mut lines = vec![head(project, verdict), String::new(), what_to_do(verdict), String::new()];
    if !verdict.reasons.is_empty() {
        lines.push("Why:".to_owned());
        lines.extend(verdict.reasons.iter().map(|reason| {
            let since = reason.since_ms.map(|ms| format!(" (since {})", text::day(ms))).unwrap_or_default();
            format!("- {}{since}: {}", reason.code.words(), words::reason(reason).markdown())
        }));
        lines.push(String::new());
    }
    if !verdict.blockers.is_empty() {
        lines.push("What keeps it:".to_owned());
        lines.extend(verdict.blockers.iter().map(|blocker| format!("- {}", words::blocker(blocker).markdown())));
        lines.push(String::new());
    }
    let served = verdict.last_served();
    if verdict.forward_variation.is_none() && !served.is_empty() {
        lines.push("Served last:".to_owned());
        lines.extend(served.iter().map(|(place, last)| format!("- {} in {}", last_served(last), markdown(place))));
        lines.push(String::new());
    }
    lines.push("| Environment | Status | | Last asked for |".to_owned());
    lines.push("| --- | --- | --- | --- |".to_owned());
    lines.extend(verdict.environments.iter().map(|place| {
        let last = place.last_requested_ms.map_or("never".to_owned(), text::hour);
        let by = place.last_requested_by.as_ref().map(|by| format!(" by {}", requester(by))).unwrap_or_default();
        let dead = words::dead(place).markdown();
        format!("| {} | {} | {dead} | {last}{by} |", markdown(&place.name), place.status.as_str())
    }));
    lines.push(String::new());
    if let Some(owner) = flag.metadata.owner.as_ref().filter(|owner| !owner.is_empty()) {
        lines.push(format!("Owner: {}.", markdown(owner)));
    }
    if let Some(number) = flag.metadata.code_references {
        let places: Vec<String> = flag.metadata.code_places.iter().map(ToString::to_string).collect();
        lines.push(format!("In code: {}.", words::referenced(number, &places).markdown()));
    }
    lines.push(format!(
        "Score {} of 100, confidence {} of 100, coverage {}, as of {} UTC.",
        verdict.score,
        verdict.confidence,
        coverage_words(verdict.coverage_ppm, verdict.coverage_measured),
        text::minute(verdict.as_of_ms)
    ));
    lines.push(format!("Evidence: <{address}>"));
    lines.join("\n")
}

fn head(project: &str, verdict: &Verdict) -> String {
    let what = match verdict.advice {
        Some(Advice::ReadyForCodeRemoval) => "Remove the feature flag",
        Some(Advice::ReadyToArchive) => "Archive the feature flag",
        None if verdict.stale => "Look whether to remove the feature flag",
        None => "About the feature flag",
    };
    format!("## {what} {} (project {})", markdown(&verdict.key), markdown(project))
}

fn what_to_do(verdict: &Verdict) -> String {
    let variation = verdict.forward_variation.as_ref().map(|variation| match variation {
        Variation::Index(index) => format!("variation {index}"),
        Variation::Name(name) => format!("variation {}", markdown(name)),
    });
    match (verdict.advice, variation, &verdict.forward_value) {
        (Some(Advice::ReadyForCodeRemoval), Some(variation), Some(value)) => {
            format!("Ready for code removal: put {} ({variation}) in its place.", markdown(value))
        }
        (Some(Advice::ReadyForCodeRemoval), Some(variation), None) => {
            format!("Ready for code removal: put {variation} in its place; its value was not told.")
        }
        _ => format!("{}.", outcome(verdict).words),
    }
}

fn requester(by: &Requester) -> String {
    let parts = [&by.application, &by.application_version, &by.sdk].into_iter().filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(|part| markdown(part)).collect();
    if parts.is_empty() { "an application that was not told".to_owned() } else { parts.join(" ") }
}
