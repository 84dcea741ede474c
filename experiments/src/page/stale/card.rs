//! What the stale rule says of one flag, as a card of the flag's own page.
//!
//! Always true here: it is the verdict of the stale page, and leads to its evidence; that it cannot be told takes
//! nothing else from the page.

use maud::{Markup, html};
use schemas::id::Environment;

use super::list::{forward, last_served, pill, why};
use super::{Report, href, words};
use crate::Serve;
use crate::page::text;
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::stale_flags::entry;
use crate::stale_flags::outcome::outcome;

pub(crate) async fn card(serve: &Serve, caller: &Caller, environment: &Environment, key: &str) -> Markup {
    let told = match Report::of(serve, caller, environment.project_str()).await {
        Ok(report) => verdict(&report, environment, key),
        Err(refusal) => cannot_tell(&refusal),
    };
    html! { section #verdict.card.verdict-card aria-label="What the stale rule says" { (told) } }
}

fn verdict(report: &Report, environment: &Environment, key: &str) -> Markup {
    let Some((_, verdict)) = report.flag(key) else {
        return html! { p.muted { "The stale rule knows nothing of this flag yet." } };
    };
    let outcome = outcome(verdict);
    let here = entry::place(verdict, environment.key_str());
    html! {
        @if let Some(place) = here { (pill(place)) " " @if place.dead.is_some() { span.muted { (words::dead(place).markup()) } } }
        span class={ "mark " (outcome.class) } { (outcome.words) }
        @if verdict.forward_variation.is_some() { span { "put " (forward(verdict)) " in its place" } }
        (last_served(verdict))
        @if !verdict.reasons.is_empty() || !verdict.blockers.is_empty() { (why(verdict)) }
        span.space {}
        span.together {
            span.muted { "score " strong { (verdict.score) } } " "
            a href=(href(environment.project_str(), None, Some(key))) { "Evidence" }
        }
    }
}

fn cannot_tell(refusal: &Refusal) -> Markup {
    html! { p.muted { "The stale rule cannot be asked: " (text::foreign(&refusal.message)) } }
}
