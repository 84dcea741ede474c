//! The table of flags, a page of it at a time.
//!
//! Always true here: at most [`Question::limit`] rows are rendered, whatever the number of flags; each head is a link
//! that sorts, the sorted one says which way.

use maud::{Markup, html};

use super::question::Question;
use super::{Report, filters, order};
use crate::interval::hour_start;
use crate::page::text;
use crate::request::Caller;
use crate::stale::{EnvironmentVerdict, Requester, Variation, Verdict};
use crate::stale_flags::entry;
use crate::stale_flags::outcome::outcome;

/// Environments whose status is named in a row.
const STATUSES_MAX: usize = 4;
/// Characters of a key, and of a value, in a row.
const KEY_MAX: usize = 96;
const VALUE_MAX: usize = 40;
/// Variations that are told of a flag that nobody asks for.
const LAST_SERVED_MAX: usize = 2;

pub(super) struct Table<'a> {
    pub(super) question: &'a Question,
    pub(super) report: &'a Report,
    pub(super) now_ms: i64,
}

/// Which rows of the sorted list are on the page.
struct Pages {
    page: usize,
    last: usize,
    total: usize,
}

impl Table<'_> {
    pub(super) fn show(&self, caller: &Caller) -> Markup {
        let question = self.question;
        let mut wanted: Vec<&Verdict> =
            self.report.verdicts.iter().filter(|verdict| question.filter.wants(verdict)).collect();
        question.sort.sort(&mut wanted, question.filter.environment.as_deref(), question.falling);
        let last = wanted.len().div_ceil(question.limit).max(1);
        let pages = Pages { page: question.page.min(last), last, total: wanted.len() };
        let rows = wanted.iter().skip((pages.page - 1) * question.limit).take(question.limit);
        html! {
            section.card {
                (filters::form(question))
                @if self.report.verdicts.is_empty() { (self.no_flags(caller)) } @else if wanted.is_empty() { (self.no_rows()) } @else {
                    div.scroll tabindex="0" role="region" aria-label="Stale flags" {
                        table #stale.stale {
                            caption.unseen { "Flags of the project, " (self.sorted()) }
                            thead { tr { @for (_, column) in order::Column::ALL { (self.head(column)) } } }
                            tbody { @for verdict in rows { (self.row(verdict)) } }
                        }
                    }
                }
                (self.foot(&pages))
            }
        }
    }

    fn sorted(&self) -> String {
        let way = if self.question.falling { "falling" } else { "rising" };
        format!("sorted by {}, {way}", self.question.sort.title().to_lowercase())
    }

    fn head(&self, column: order::Column) -> Markup {
        let sorted = column == self.question.sort;
        let falling = if sorted { !self.question.falling } else { column.falls_first() };
        let href = self.question.href(|other| {
            (other.sort, other.falling, other.page) = (column, falling, 1);
            other.flag = None;
        });
        let way = sorted.then_some(if self.question.falling { "descending" } else { "ascending" });
        html! {
            th.num[column.is_number()] scope="col" aria-sort=[way] {
                a.sort href=(href) {
                    (column.title())
                    @if sorted { span.way aria-hidden="true" { @if self.question.falling { " ▼" } @else { " ▲" } } }
                }
            }
        }
    }

    fn row(&self, verdict: &Verdict) -> Markup {
        let outcome = outcome(verdict);
        let environment = self.question.filter.environment.as_deref();
        let open = self.question.flag.as_deref() == Some(&verdict.key);
        let href = self.question.href(|other| other.flag = Some(verdict.key.clone())) + "#evidence";
        html! {
            tr.open[open] data-flag=(text::exact(&verdict.key)) data-stale=(verdict.stale) {
                th scope="row" { a.key href=(href) { (text::cut(&verdict.key, KEY_MAX)) } }
                td { (statuses(verdict, environment)) }
                td.why { (why(verdict)) }
                td.num.total { (verdict.score) }
                td.num { (verdict.confidence) }
                td { (forward(verdict)) (last_served(verdict)) }
                td.by { (self.last(verdict, environment)) }
                td { span class={ "mark " (outcome.class) } { (outcome.words) } }
            }
        }
    }

    fn last(&self, verdict: &Verdict, environment: Option<&str>) -> Markup {
        let by = match environment.and_then(|name| entry::place(verdict, name)) {
            Some(place) => place.last_requested_by.as_ref(),
            None => verdict.last_requested_by.as_ref(),
        };
        html! {
            @match order::last_seen_ms(verdict, environment) {
                Some(ms) => (text::hours_ago(hour_start(ms), self.now_ms)),
                None => span.muted { "never" },
            }
            @if let Some(by) = by {
                span.small { " in " (text::cut(&by.environment, 24)) }
                div.muted.small { (requester(by)) }
            }
        }
    }

    fn foot(&self, pages: &Pages) -> Markup {
        let to = |page: usize| {
            self.question.href(|other| {
                other.page = page;
                other.flag = None;
            })
        };
        let from = (pages.page - 1) * self.question.limit;
        let shown = pages.total.saturating_sub(from).min(self.question.limit);
        html! {
            div.table-foot {
                @if shown > 0 {
                    span.muted { (text::number(from as u64 + 1)) "–" (text::number((from + shown) as u64)) " of " (text::counted(pages.total as u64, "flag")) }
                }
                @if pages.last > 1 {
                    nav.pages aria-label="Pages" {
                        @if pages.page > 1 { a href=(to(1)) { "First" } a rel="prev" href=(to(pages.page - 1)) { "Previous" } }
                        span aria-current="page" { "Page " (pages.page) " of " (text::number(pages.last as u64)) }
                        @if pages.page < pages.last { a rel="next" href=(to(pages.page + 1)) { "Next" } a href=(to(pages.last)) { "Last" } }
                    }
                }
                span.space {}
                a #csv href=(self.question.csv()) download="stale-flags.csv" { "Download these as CSV" }
            }
        }
    }

    fn no_rows(&self) -> Markup {
        html! {
            div.empty {
                h2 { "No flag is like that" }
                p { "There are " (text::counted(self.report.verdicts.len() as u64, "flag")) " in this project, and none passes these filters. "
                    a href=(super::href(&self.question.project, self.question.filter.environment.as_deref(), None)) { "Show all" } }
            }
        }
    }

    /// How flags get here, before there are any.
    fn no_flags(&self, caller: &Caller) -> Markup {
        let all = caller.access.visible(&caller.grant);
        let first = all.iter().find(|environment| environment.project_str() == self.question.project);
        let stale_days = self.report.read.fleet.settings.thresholds.stale_days;
        html! {
            div.empty {
                h2 { "No flag was seen yet" }
                p { "A flag stands here from its first evaluation on, or as soon as something is told of it." }
                ol {
                    li { "Point an SDK's events address here"
                        @if let Some(first) = first { ": " a href=(crate::page::environment::href(first, None)) { "how to" } } "." }
                    li { "Tell what you know of your flags, if you like: " code { "flagstream flags import FILE" } "." }
                    li { "Come back in some days: a flag younger than " (stale_days) " days is never called stale." }
                }
            }
        }
    }
}

/// A flag's status in each environment, or in the one that was chosen.
pub(super) fn statuses(verdict: &Verdict, environment: Option<&str>) -> Markup {
    let wanted = |place: &&EnvironmentVerdict| environment.is_none_or(|name| place.name == name);
    let places: Vec<_> = verdict.environments.iter().filter(wanted).collect();
    let more = places.len().saturating_sub(STATUSES_MAX);
    html! {
        ul.statuses {
            @for place in places.iter().take(STATUSES_MAX) {
                li data-environment=(place.name) { (pill(place)) " " span.muted { (text::cut(&place.name, 24)) } }
            }
            @if more > 0 { li.muted { "and " (more) " more" } }
        }
    }
}

pub(super) fn pill(place: &EnvironmentVerdict) -> Markup {
    html! { span class={ "pill " (place.status.as_str()) } title=(place.status.means()) { (place.status.as_str()) } }
}

pub(super) fn why(verdict: &Verdict) -> Markup {
    html! {
        ul.reasons {
            @for reason in &verdict.reasons {
                li.deciding[reason.code.is_deciding()] title=(reason.code.as_str()) { (reason.code.words()) }
            }
            @for blocker in &verdict.blockers { li.blocker title=(blocker.code.as_str()) { (blocker.code.words()) } }
            @if verdict.reasons.is_empty() && verdict.blockers.is_empty() { li.none { "–" } }
        }
    }
}

/// What to put in the flag's place.
pub(super) fn forward(verdict: &Verdict) -> Markup {
    html! {
        @match &verdict.forward_variation {
            None => span.muted { "–" },
            Some(variation) => (valued(variation, verdict.forward_value.as_deref())),
        }
    }
}

/// A variation with its value, where told.
pub(super) fn valued(variation: &Variation, value: Option<&str>) -> Markup {
    html! {
        @if let Some(value) = value { code.value { (text::cut(value, VALUE_MAX)) } " " }
        @match variation {
            Variation::Index(index) => span.muted title={ "variation " (index) } { "#" (index) },
            Variation::Name(name) => span.muted { (text::cut(name, VALUE_MAX)) },
        }
    }
}

/// Of a flag that nobody asks for where it matters: what was served last, and when.
pub(super) fn last_served(verdict: &Verdict) -> Markup {
    let served = verdict.last_served();
    html! {
        @if verdict.forward_variation.is_none() && !served.is_empty() {
            div.small.last-served {
                "last served "
                @for (place, (_, last)) in served.iter().take(LAST_SERVED_MAX).enumerate() {
                    @if place > 0 { ", " }
                    (valued(&last.variation, last.value.as_deref()))
                    @if last.bulk { " in bulk" }
                    " on " (text::day(last.last_ms))
                }
            }
        }
    }
}

/// Who asked: application, version, SDK.
pub(super) fn requester(by: &Requester) -> Markup {
    html! {
        @if by.application.is_empty() { "application not told" } @else { (text::cut(&by.application, 32)) }
        @if !by.application_version.is_empty() { " " (text::cut(&by.application_version, 24)) }
        @if !by.sdk.is_empty() { span.dotted { (text::cut(&by.sdk, 40)) } }
    }
}
