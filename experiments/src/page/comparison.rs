//! `/pipeline/comparison`: what the old path and the new one counted in an environment, and why they differ; and the line
//! on other pages that says which of them is in charge.
//!
//! Always true here: numbers are those of the newest comparison in the background, which a look asks to be made anew; what
//! is unexplained stands out.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::id::Environment;

use crate::Serve;
use crate::cells::Served;
use crate::comparison::causes::Cause;
use crate::comparison::rows::Row;
use crate::comparison::{Comparison, Totals, other};
use crate::interval::hour_ms;
use crate::other_path::{Counts, EnvironmentStage};
use crate::page::{Here, Page, Place, Script, chosen, text, whole};
use crate::parameters::Parameters;
use crate::reading::Progress;
use crate::refusal::Refusal;
use crate::request::Caller;

/// Its address.
pub(crate) const PATH: &str = "/pipeline/comparison";
/// Rows that are shown; the totals are of all.
const ROWS_MAX: usize = 200;
/// A comparison that is older is made anew when somebody looks.
const FRESH_MS: i64 = 3_000;
/// Changes of stage that are shown.
const CHANGES_MAX: usize = 10;
/// Width of the bars' picture, in its own units; nothing lies in the middle.
const WIDTH: i64 = 400;

/// The page's address for an environment.
pub(crate) fn href(environment: &Environment) -> String {
    let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!("{PATH}?project={}&environment={}", part(environment.project_str()), part(environment.key_str()))
}

/// Which path is in charge of an environment, for its other pages; nothing where there is no gate.
pub(crate) fn in_charge(serve: &Serve, environment: &Environment) -> Markup {
    let Some(other) = &serve.other_path else { return html! {} };
    let is_old = other.is_in_charge(environment);
    let stage = stage(&other.stages(), environment).map_or("off", |stage| stage.stage);
    html! {
        p.note data-stage=(stage) {
            @if is_old {
                "Stage " (stage) ": the old path is in charge, and the API answers from it. This page shows what the new path counts. "
            } @else {
                "Stage " (stage) ": the new path is in charge. "
            }
            a href=(href(environment)) { "Compare the paths" }
        }
    }
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Page, Refusal> {
    caller.admin()?;
    let other = other(&serve)?;
    let mut given = Parameters::read(&caller.uri)?;
    let environment = chosen(&caller, given.text("project"), given.text("environment"))?;
    given.end(&["project", "environment"])?;
    let newest = serve.comparisons.newest(environment.project_str(), environment.key_str());
    if newest.as_ref().is_none_or(|newest| caller.now_ms - newest.as_of_ms > FRESH_MS) {
        serve.comparisons.ask(&environment);
    }
    let stages = other.stages();
    let progress = newest.as_ref().map(|newest| Progress { complete: newest.complete, as_of_ms: newest.as_of_ms });
    let place = Place { caller: &caller, here: Here::Comparison(&environment), progress, now_ms: caller.now_ms };
    let body = html! {
        div.head {
            h1 { "Old and new path" span.slash { " of " } (text::foreign(environment.project_str())) span.slash { " / " }
                (text::foreign(environment.key_str())) }
        }
        @match &newest {
            Some(newest) => (numbers(newest)),
            None => section.card {
                p { "The paths are being compared: what the log holds now is counted first. This page renews itself." }
                @if let Some(why) = serve.comparisons.failed(&environment) { p.note { "Not yet: " (text::foreign(&why)) } }
            },
        }
        @if let Some(stage) = stage(&stages, &environment) { (course(stage)) }
        @if let Some(newest) = &newest { (rows(newest)) }
    };
    let title = format!("Old and new path of {}/{}", environment.project_str(), environment.key_str());
    Ok(whole(&title, Some(&place), Script::Refresh, &body))
}

fn stage<'a>(stages: &'a [EnvironmentStage], environment: &Environment) -> Option<&'a EnvironmentStage> {
    let (project, key) = (environment.project_str(), environment.key_str());
    stages.iter().find(|stage| stage.project == project && stage.environment == key)
}

fn numbers(comparison: &Comparison) -> Markup {
    let totals = &comparison.totals;
    let (from, to) = (text::minute(comparison.interval.from_ms), text::minute(comparison.interval.to_ms));
    html! {
        div.tiles {
            (tile("Old path", &text::number(totals.old), "evaluations and events"))
            (tile("New path", &text::number(totals.new), "each counted once"))
            (tile("Difference", &signed(totals.difference), "old − new, by cause below"))
            div.tile data-unexplained=(totals.unexplained) {
                span.tile-name { "Unexplained" } span.tile-value { (text::number(totals.unexplained)) }
                @if totals.unexplained == 0 {
                    span.muted { span.dot.good {} " every difference has its cause" }
                } @else {
                    span.note { span.dot.busy {} " something is broken: no step forward is made" }
                }
            }
        }
        section.card {
            div.card-head { h2 { "Why they differ" } span.muted { (from) " to " (to) } }
            (causes(&totals.causes))
        }
    }
}

fn rows(comparison: &Comparison) -> Markup {
    html! {
        section.card {
            div.card-head { h2 { "By flag, event and hour" } span.muted { (text::counted(comparison.rows.len() as u64, "row")) } }
            (table(&comparison.rows))
        }
    }
}

fn tile(name: &str, value: &str, note: &str) -> Markup {
    html! { div.tile { span.tile-name { (name) } span.tile-value { (value) } span.muted { (note) } } }
}

fn causes(causes: &[Cause]) -> Markup {
    let most = causes.iter().map(|cause| cause.low.unsigned_abs().max(cause.high.unsigned_abs())).max().unwrap_or(0);
    html! {
        @if causes.is_empty() { p.muted { "They do not differ." } } @else {
            table {
                thead { tr { th { "cause" } th.num { "evaluations and events" } th { "" } } }
                tbody {
                    @for cause in causes {
                        tr data-cause=(cause.cause) {
                            td { (words(cause.cause)) }
                            td.num { (size(cause)) }
                            td { (bar(cause, most)) }
                        }
                    }
                }
            }
        }
    }
}

/// From its least to its most, nothing in the middle.
fn bar(cause: &Cause, most: u64) -> Markup {
    let most = i128::from(most.max(1));
    let at = |number: i64| i128::from(WIDTH / 2) + i128::from(number) * i128::from(WIDTH / 2) / most;
    let middle = at(0);
    let (from, to) = (at(cause.low).min(middle), at(cause.high).max(middle));
    let width = (to - from).max(1);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} 14")) width="100%" height="14" preserveAspectRatio="none" role="img" aria-label=(size(cause)) {
            line x1=(middle) x2=(middle) y1="0" y2="14" stroke="currentColor" stroke-opacity="0.35" {}
            rect x=(from) y="2" width=(width) height="10" fill="currentColor" fill-opacity=(if cause.low == cause.high { "0.75" } else { "0.35" }) {}
        }
    }
}

fn table(rows: &[Row]) -> Markup {
    html! {
        table {
            thead { tr {
                th { "flag or event" } th { "variation" } th { "hour" } th.num { "old" } th.num { "new" } th.num { "difference" }
                th { "because" } th.num { "unexplained" }
            } }
            tbody {
                @for row in rows.iter().take(ROWS_MAX) { (one(row)) }
            }
        }
        @if rows.len() > ROWS_MAX { p.muted { "The first " (ROWS_MAX) " are shown; the API has them all." } }
    }
}

fn one(row: &Row) -> Markup {
    let numbers = Totals::of(row);
    html! {
        tr {
            td {
                @if row.place.counts == Counts::Events { span.muted { "event " } }
                @match &row.place.key { Some(key) => (text::cut(key, 64)), None => span.muted { "all beyond the limit" } }
            }
            td { (served(row)) }
            td.num { (text::hour(hour_ms(row.place.hour))) }
            td.num { (text::number(numbers.old)) }
            td.num { (text::number(numbers.new)) }
            td.num { (signed(numbers.difference)) }
            td { (because(&numbers.causes)) }
            td.num { (text::number(numbers.unexplained)) }
        }
    }
}

fn because(causes: &[Cause]) -> String {
    let each: Vec<String> = causes.iter().map(|cause| format!("{} {}", size(cause), words(cause.cause))).collect();
    each.join(", ")
}

fn served(row: &Row) -> Markup {
    html! {
        @match (row.place.counts, &row.served) {
            (Counts::Events, _) => "–",
            (_, None) => span.muted { "all" },
            (_, Some(Served::Index(index))) => (index),
            (_, Some(Served::Name(name))) => (text::cut(name, 32)),
            (_, Some(Served::Default)) => "the caller's default",
        }
    }
}

/// The stage and how it came.
fn course(stage: &EnvironmentStage) -> Markup {
    let changes = stage.history.iter().rev().take(CHANGES_MAX);
    html! {
        section.card data-stage=(stage.stage) {
            div.card-head { h2 { "Stage " (stage.stage) } span.muted { "since " (text::minute(stage.since)) } }
            @if let Some(why) = &stage.held_back { p.note { "Held back: " (text::foreign(why)) } }
            @if let Some(why) = &stage.flag_error { p.note { "The flag cannot be read, so this stage holds: " (text::foreign(why)) } }
            table {
                thead { tr { th { "when" } th { "from" } th { "to" } th { "cause" } } }
                tbody {
                    @for change in changes {
                        tr { td { (text::clock(change.at)) } td { (change.from.unwrap_or("–")) } td { (change.to) } td { (text::foreign(&change.cause)) } }
                    }
                }
            }
        }
    }
}

fn words(cause: &str) -> &'static str {
    match cause {
        "duplicate" => "sent again, counted twice",
        "late" => "late",
        "new_path_only" => "the new path alone (complete)",
        "before_the_gate" => "before the gate",
        "old_path_only" => "the old path alone (off)",
        "write_refused" => "writes refused",
        "write_uncertain" => "writes without an answer",
        "written_twice" => "written again after no answer",
        "job_refused" => "jobs refused",
        "job_waiting" => "jobs waiting",
        "job_lost" => "jobs given up",
        "job_redelivered" => "jobs done again",
        "in_flight" => "in flight",
        _ => "another cause",
    }
}

fn size(cause: &Cause) -> String {
    if cause.low == cause.high {
        return signed(cause.low);
    }
    format!("{} to {}", signed(cause.low), signed(cause.high))
}

fn signed(number: i64) -> String {
    let size = text::number(number.unsigned_abs());
    match number {
        0 => size,
        1.. => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::causes::Judged;
    use crate::comparison::rows::Place;
    use crate::interval::Interval;

    fn comparison(unexplained: u64) -> Comparison {
        let hostile = "a<script>\u{202e}&".to_owned();
        let place = Place { counts: Counts::Evaluations, key: Some(hostile.clone()), hour: 490_000 };
        let causes =
            vec![Cause { cause: "duplicate", low: 20, high: 20 }, Cause { cause: "write_uncertain", low: -9, high: 0 }];
        let judged = Judged { low: 1, high: 2, causes, unexplained };
        let row = Row { place, served: Some(Served::Name(hostile)), old: 1_012, new: 1_000, judged };
        let totals = Totals::of(&row);
        let interval = Interval { from_ms: 0, to_ms: 3_600_000 };
        Comparison { as_of_ms: 0, complete: true, interval, rows: vec![row], totals }
    }

    #[test]
    fn causes_have_words_sizes_and_bars_and_foreign_names_do_nothing() {
        let comparison = comparison(0);
        let page = numbers(&comparison).into_string() + &rows(&comparison).into_string();
        for part in ["+12", "sent again, counted twice", "+20", "−9 to 0", "every difference has its cause", "<svg"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
        assert!(!page.contains("style="), "the content security policy forbids it");
    }

    #[test]
    fn what_is_unexplained_stands_out() {
        let page = numbers(&comparison(7)).into_string();
        assert!(page.contains("data-unexplained=\"7\"") && page.contains("something is broken"), "{page}");
    }
}
