//! The drawer: why the rule says what it says of one flag, and what can be done about it.
//!
//! Always true here: each number of the verdict stands in it; it is a part of the page with an address of its own.

use maud::{Markup, html};

use super::list::{forward, last_served, pill};
use super::question::Question;
use super::snooze::Taken;
use super::{Report, inputs, snooze, ticket, words};
use crate::Serve;
use crate::metadata::Said;
use crate::page::{flag as flag_page, text};
use crate::request::Caller;
use crate::stale::{EnvironmentVerdict, Flag, Verdict};
use crate::stale_flags::environments;
use crate::stale_flags::heard::{coverage_words, percent};
use crate::stale_flags::outcome::outcome;

pub(super) struct Drawer<'a> {
    pub(super) serve: &'a Serve,
    pub(super) caller: &'a Caller,
    pub(super) question: &'a Question,
    pub(super) report: &'a Report,
    pub(super) said: &'a Said,
    pub(super) taken: Option<Taken>,
}

impl Drawer<'_> {
    pub(super) fn show(&self, flag: &Flag, verdict: &Verdict) -> Markup {
        let outcome = outcome(verdict);
        let body = html! {
            p.verdict {
                span class={ "mark " (outcome.class) } { (outcome.words) }
                @if verdict.forward_variation.is_some() { " Put " (forward(verdict)) " in its place." }
            }
            (last_served(verdict))
            dl.figures {
                div { dt { "Score" } dd { (verdict.score) span.of { " of 100" } } }
                div { dt { "Confidence" } dd { (verdict.confidence) span.of { " of 100" } } }
                div { dt { "Coverage" } dd { (coverage_words(verdict.coverage_ppm, verdict.coverage_measured)) } }
                div { dt { "Age" } dd { (words::days(verdict.age_ms)) span.of { " days" } } }
            }
            div.actions {
                (snooze::forms(self.caller, self.question, verdict, self.taken.as_ref()))
                section.copy aria-label="Ticket" {
                    button #copy-ticket.quiet type="button" data-copies="ticket" { "Copy as ticket" }
                    a.small href="#ticket" { "see its text" }
                }
            }
            (reasons(verdict))
            (against(verdict))
            (self.score(flag, verdict))
            h3 { "In each environment" }
            @for place in &verdict.environments { (self.place(flag, verdict, place)) }
            (inputs::said(self.said, verdict.as_of_ms))
            (self.ticket(flag, verdict))
        };
        self.drawer(&verdict.key, &body)
    }

    /// A key that nobody knows.
    pub(super) fn unknown(&self, key: &str) -> Markup {
        let body = html! {
            p.verdict { "No flag of this key was ever seen in this project, and nothing was told of it." }
            p { "Keys are as SDKs report them: upper and lower case differ, and so do blanks. If its code runs, the flag stands \
                here once an SDK has reported an evaluation; a flag that no code asks for can be told of by "
                code { "flagstream flags import FILE" } "." }
            p { a href=(self.question.href(|other| {
                *other = Question::of_project(&self.question.project);
                other.filter.part = Some(key.chars().take(key.chars().count().div_ceil(2)).collect());
            })) { "Look for keys like it" } }
        };
        self.drawer(key, &body)
    }

    fn drawer(&self, key: &str, body: &Markup) -> Markup {
        let close = self.question.href(|other| other.flag = None);
        html! {
            aside #evidence.drawer tabindex="-1" aria-labelledby="evidence-title" data-flag=(text::exact(key)) {
                div.drawer-head {
                    h2 #evidence-title.flag-key { (text::foreign(key)) }
                    a.close href=(close) aria-label="Close the evidence" { "×" }
                }
                (body)
            }
        }
    }

    fn score(&self, flag: &Flag, verdict: &Verdict) -> Markup {
        let settings = &self.report.read.fleet.settings;
        let weights = verdict.reasons.iter().map(|reason| {
            let weight = settings.weights.get(&reason.code).copied().unwrap_or(0);
            (reason.code.words(), weight)
        });
        let weights: Vec<_> = weights.collect();
        let sum = weights.iter().fold(0_u32, |sum, (_, weight)| sum.saturating_add(*weight));
        let costs = settings.unknown_costs;
        let no_version = verdict.environments.iter().any(|place| {
            let has_rows = flag.environments.get(&place.name).is_some_and(|seen| !seen.rows.is_empty());
            place.critical && has_rows && place.version_since_ms.is_none()
        });
        let unknown = [
            (flag.metadata.created_at_ms.is_none(), "when it was created is not known", costs.created_at),
            (flag.metadata.code_references.is_none(), "whether code names it is not known", costs.code_references),
            (no_version, "the age of its version is not known", costs.version_since),
        ];
        let coverage = format!("times coverage{}", if verdict.coverage_measured { "" } else { ": no hour expected" });
        html! {
            h3 { "How the numbers are made" }
            table.parts {
                tbody {
                    @for (name, weight) in &weights { tr { th scope="row" { (name) } td.num { "+" (weight) } } }
                    @if sum > 100 { tr { th scope="row" { "at most 100 count" } td.num { "100" } } }
                    tr { th scope="row" { (coverage) } td.num { "× " (percent(verdict.coverage_ppm)) } }
                    tr.sum { th scope="row" { "Score" } td.num { (verdict.score) } }
                    tr { th scope="row" { "Confidence: all that the rule asks for is known" } td.num { "100" } }
                    @for (_, name, cost) in unknown.iter().filter(|(is_unknown, ..)| *is_unknown) {
                        tr { th scope="row" { "but " (name) } td.num { "−" (cost) } }
                    }
                    tr { th scope="row" { (coverage) } td.num { "× " (percent(verdict.coverage_ppm)) } }
                    tr.sum { th scope="row" { "Confidence" } td.num { (verdict.confidence) } }
                }
            }
        }
    }

    fn place(&self, flag: &Flag, verdict: &Verdict, place: &EnvironmentVerdict) -> Markup {
        let known = environments(self.caller, &self.question.project).unwrap_or_default();
        let environment = known.into_iter().find(|environment| environment.key_str() == place.name);
        let seen = flag.environments.get(&place.name);
        let quiet = self.report.read.quiet.get(&place.name).map_or(&[][..], Vec::as_slice);
        html! {
            section.place {
                h4 {
                    @match &environment {
                        Some(environment) => a href=(flag_page::href(environment, &verdict.key, None)) { (text::cut(&place.name, 48)) },
                        None => (text::cut(&place.name, 48)),
                    }
                    " " (pill(place)) " " span.muted { (words::dead(place).markup()) }
                    @if !place.critical { " " span.tag { "does not decide" } }
                }
                (inputs::place(seen, place, quiet, verdict.as_of_ms))
            }
        }
    }

    fn ticket(&self, flag: &Flag, verdict: &Verdict) -> Markup {
        let address =
            format!("{}{}", self.serve.address, super::href(&self.question.project, None, Some(&verdict.key)));
        let text = ticket::ticket(&self.question.project, flag, verdict, &address);
        html! {
            section.ticket {
                h3 { label for="ticket" { "As a ticket" } }
                textarea #ticket readonly rows="8" spellcheck="false" { (text) }
                p.small.muted { "Markdown. Select it all and copy it, where the button above does not." }
            }
        }
    }
}

fn reasons(verdict: &Verdict) -> Markup {
    html! {
        h3 { "Why it may go" }
        @if verdict.reasons.is_empty() { p.muted { "No reason holds: it is in use as it should be." } } @else {
            ul.evidence-list { @for reason in &verdict.reasons {
                li.supporting[!reason.code.is_deciding()] {
                    strong { (reason.code.words()) }
                    @if let Some(since_ms) = reason.since_ms { span.muted { " since " time { (text::day(since_ms)) } } }
                    " " code.code { (reason.code.as_str()) }
                    div { (words::reason(reason).markup()) }
                }
            } }
        }
    }
}

/// What keeps the flag, or would.
fn against(verdict: &Verdict) -> Markup {
    let conditions = &verdict.conditions;
    let snoozed = conditions.snoozed_until_ms.filter(|_| conditions.snoozed);
    let young = (!conditions.old_enough).then(|| {
        format!(
            "It is {} days old; younger than {} days, no flag is called stale.",
            words::days(verdict.age_ms),
            conditions.stale_days
        )
    });
    let kept = conditions.archived || !conditions.temporary || snoozed.is_some() || young.is_some();
    html! {
        h3 { "What keeps it" }
        @if verdict.blockers.is_empty() && !kept { p.muted { "Nothing that is known." } } @else {
            ul.evidence-list {
                @for blocker in &verdict.blockers { li.blocker {
                    strong { (blocker.code.words()) } " " code.code { (blocker.code.as_str()) }
                    div { (words::blocker(blocker).markup()) }
                } }
                @if conditions.archived { li.blocker { strong { "archived already" } } }
                @if !conditions.temporary { li.blocker { strong { "meant to stay" } div { "It was told to be no temporary flag." } } }
                @if let Some(until_ms) = snoozed { li.blocker { strong { "snoozed" } " until " (text::minute(until_ms)) " UTC" } }
                @if let Some(young) = young { li.blocker { strong { "too young" } div { (young) } } }
            }
        }
    }
}
