//! What stands above the table: numbers that lead to their flags, coverage, environments, and the form of filters.
//!
//! Always true here: a number is that of the rows that its link leads to.

use maud::{Markup, html};

use super::Report;
use super::question::Question;
use crate::page::{chart, text};
use crate::stale::{Advice, EnvironmentVerdict, ReasonCode, Status};
use crate::stale_flags::filter::Filter;
use crate::stale_flags::heard::percent;

/// Links to the same flags in each environment.
pub(super) fn environments(question: &Question, report: &Report) -> Markup {
    let chosen = question.filter.environment.as_deref();
    let to = |name: Option<&str>| {
        question.href(|other| {
            other.filter.environment = name.map(str::to_owned);
            other.page = 1;
        })
    };
    html! {
        nav.tabs aria-label="Environment" {
            a href=(to(None)) aria-current=[chosen.is_none().then_some("true")] { "all environments" }
            @for name in report.read.fleet.environments.keys() {
                a href=(to(Some(name))) aria-current=[(chosen == Some(name)).then_some("true")] { (text::cut(name, 32)) }
            }
        }
    }
}

pub(super) fn tiles(question: &Question, report: &Report) -> Markup {
    let environment = question.filter.environment.clone();
    let of = |filter: Filter| {
        let filter = Filter { environment: environment.clone(), ..filter };
        let count = report.verdicts.iter().filter(|verdict| filter.wants(verdict)).count() as u64;
        let href = question.href(|other| {
            *other = Question { filter: filter.clone(), ..Question::of_project(&question.project) };
        });
        (count, href)
    };
    let all = of(Filter::default());
    let stale = of(Filter { stale: Some(true), ..Filter::default() });
    let ready = of(Filter { advices: vec![Advice::ReadyForCodeRemoval], ..Filter::default() });
    let unknown = of(Filter { statuses: vec![Status::Unknown], ..Filter::default() });
    html! {
        div.tiles {
            (tile("flags", "Flags", &all, "judged"))
            (tile("stale", "Stale", &stale, "can go, or need a look"))
            (tile("ready", "Ready for code removal", &ready, "with the value to put in their place"))
            (tile("unknown", "Unknown", &unknown, "too little was heard to tell"))
        }
    }
}

fn tile(id: &str, name: &str, (count, href): &(u64, String), note: &str) -> Markup {
    html! {
        a.tile data-count=(id) href=(href) {
            span.tile-name { (name) } span.tile-value { (text::number(*count)) } span.muted { (note) }
        }
    }
}

/// How well each environment was heard, and what else a reader should know.
pub(super) fn coverage(report: &Report, notes: &[String]) -> Markup {
    // Flags of some types may have a rule of their own; what is said of all is that of the others.
    let mut flags = report.read.fleet.flags.iter().zip(&report.verdicts);
    let usual = flags.find(|(flag, _)| flag.metadata.flag_type.is_none()).map(|(_, verdict)| verdict);
    let places = usual.or(report.verdicts.first()).map_or(&[][..], |verdict| &verdict.environments);
    html! {
        @if !places.is_empty() || !notes.is_empty() {
            section.card.coverage aria-label="Coverage" {
                @for place in places { (heard(place)) }
                @for note in notes { p.note { (text::foreign(note)) } }
            }
        }
    }
}

fn heard(place: &EnvironmentVerdict) -> Markup {
    let low = place.status == Status::Unknown;
    html! {
        div.heard {
            span { strong { (text::cut(&place.name, 48)) } @if place.critical { " " span.tag title="its verdict decides" { "decides" } } }
            @match place.hours.filter(|hours| hours.expected > 0) {
                Some(hours) => {
                    (meter(hours.reported.min(hours.expected), hours.expected, low))
                    span.muted {
                        span.num.bad[low] { (percent(place.coverage_ppm)) } " heard: " (text::number(hours.reported)) " of "
                        (text::counted(hours.expected, "hour")) " in " (place.thresholds.stale_days) " days"
                        @if low { ", below " (percent(place.thresholds.coverage_min_ppm)) ": nothing is called unused there" }
                    }
                },
                None => span.muted.rest { "no hour expected: no application is known to report from here regularly, so nothing could be missed" },
            }
        }
    }
}

fn meter(reported: u64, expected: u64, low: bool) -> Markup {
    let colour = if low { "low" } else { "heard-part" };
    chart::shares(&[(colour.to_owned(), reported), ("missed".to_owned(), expected - reported)])
}

/// The form of filters.
pub(super) fn form(question: &Question) -> Markup {
    let filter = &question.filter;
    let (status, reason) = (filter.statuses.first().copied(), filter.reasons.first().copied());
    let reset = question.href(|other| {
        *other = Question::of_project(&question.project);
        other.filter.environment.clone_from(&filter.environment);
    });
    html! {
        form.filters method="get" action="/stale" role="search" aria-label="Filter the flags" {
            input type="hidden" name="project" value=(question.project);
            @if let Some(environment) = &filter.environment { input type="hidden" name="environment" value=(environment); }
            input type="hidden" name="sort" value=(question.sort.word());
            input type="hidden" name="order" value=(if question.falling { "falling" } else { "rising" });
            @if question.limit != super::question::LIMIT_USUAL { input type="hidden" name="limit" value=(question.limit); }
            label { span { "Key" } input #q type="search" name="q" value=(filter.part.as_deref().unwrap_or_default()) placeholder="part of a key"; }
            label { span { "Show" } select name="stale" {
                (choice("", "all flags", filter.stale.is_none()))
                (choice("true", "stale only", filter.stale == Some(true)))
                (choice("false", "not stale", filter.stale == Some(false)))
            } }
            label { span { "Status" } select name="status" {
                (choice("", "any", status.is_none()))
                @for one in Status::ALL { (choice(one.as_str(), one.as_str(), status == Some(one))) }
            } }
            label { span { "Reason" } select name="reason" {
                (choice("", "any", reason.is_none()))
                @for one in ReasonCode::ALL { (choice(one.as_str(), one.words(), reason == Some(one))) }
            } }
            label { span { "Advice" } select name="advice" {
                (choice("", "any", filter.advices.is_empty()))
                @for one in Advice::ALL { (choice(one.as_str(), one.words(), filter.advices.first() == Some(&one))) }
            } }
            span.buttons {
                button type="submit" { "Filter" }
                @if question.is_filtered() { a href=(reset) { "Show all" } }
            }
        }
    }
}

fn choice(value: &str, words: &str, chosen: bool) -> Markup {
    html! { option value=(value) selected[chosen] { (words) } }
}
