//! Snoozing a flag from its evidence, and waking it: the form, and what takes it.
//!
//! Always true here: only an admin's form changes anything, and only one that was sent from our own page; what was
//! taken is told by a cookie, for a link could claim anything.

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::question::Question;
use crate::access::{cookie, cookie_value};
use crate::interval::DAY_MS;
use crate::metadata::answers::{change_snooze, may_end_snooze};
use crate::page::own_form::own_form;
use crate::page::text;
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::stale::Verdict;
use crate::{Serve, metadata};

/// What takes the form.
pub(crate) const PATH: &str = "/stale/snooze";
/// The end that the form offers, and the longest that it takes; days from today.
const OFFERED_DAYS: i64 = 30;
const LONGEST_DAYS: i64 = 365;
/// How long the answer waits for the change to be in force, in looks.
const LOOKS: u32 = 15;
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Cookie of what was taken, and how long it is told.
const TAKEN: &str = "flagstream_taken";
const TAKEN_SECONDS: u32 = 60;

#[derive(Deserialize)]
pub(crate) struct Snooze {
    /// `YYYY-MM-DD`: it sleeps until that day begins, UTC.
    until: Option<String>,
    /// `now`: it is woken.
    end: Option<String>,
}

/// A snooze that was changed just now.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    project: String,
    flag: String,
    /// Unix milliseconds; `None` = it was woken.
    until_ms: Option<i64>,
}

impl Taken {
    /// What was taken of this flag within the last minute.
    pub(super) fn read(headers: &HeaderMap, project: &str, flag: &str) -> Option<Self> {
        let taken: Self = serde_json::from_str(&cookie(headers, TAKEN)?).ok()?;
        (taken.project == project && taken.flag == flag).then_some(taken)
    }

    /// The `Set-Cookie` that tells the next page.
    fn told(&self) -> String {
        let value = cookie_value(&serde_json::json!(self).to_string());
        format!("{TAKEN}={value}; Path=/stale; Max-Age={TAKEN_SECONDS}; HttpOnly; SameSite=Strict")
    }
}

/// The forms for the flag whose evidence is shown.
pub(super) fn forms(caller: &Caller, question: &Question, verdict: &Verdict, taken: Option<&Taken>) -> Markup {
    let conditions = &verdict.conditions;
    let day = |days: i64| text::day(caller.now_ms + days * DAY_MS);
    let action = question.address(PATH);
    let asleep = conditions.snoozed_until_ms.filter(|_| conditions.snoozed);
    html! {
        section.snooze aria-label="Snooze" {
            @if let Some(taken) = taken { (told(taken, verdict)) }
            @if caller.admin().is_err() {
                p.muted.small { "To snooze it, log in with an admin key; a read key changes nothing." }
            } @else {
                form #snooze method="post" action=(action) {
                    label for="until" { "Snooze until" }
                    input #until type="date" name="until" required min=(day(1)) max=(day(LONGEST_DAYS))
                        value=(asleep.map_or_else(|| day(OFFERED_DAYS), text::day)) aria-describedby="snooze-means";
                    button type="submit" { (if asleep.is_some() { "Change" } else { "Snooze" }) }
                }
                @if asleep.is_some() {
                    form #wake method="post" action=(action) {
                        input type="hidden" name="end" value="now";
                        button.quiet type="submit" { "Wake it now" }
                    }
                }
                p #snooze-means.small.muted { "Until that day begins (UTC) it is not called stale, whatever holds." }
            }
        }
    }
}

/// What became of a form that was sent just now.
fn told(taken: &Taken, verdict: &Verdict) -> Markup {
    let in_force = verdict.conditions.snoozed_until_ms == taken.until_ms;
    html! {
        p.told role="status" {
            @match (in_force, taken.until_ms) {
                (true, Some(until_ms)) => { "Snoozed until " (text::day(until_ms)) "." },
                (true, None) => "It is awake again.",
                (false, _) => "Taken. It is in force as soon as it is read back from the log: load this page again in a moment.",
            }
        }
    }
}

pub(crate) async fn take(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    headers: HeaderMap,
    form: Result<Form<Snooze>, FormRejection>,
) -> Result<Response, Refusal> {
    own_form(&headers)?;
    caller.admin()?;
    let question = Question::read(&caller)?;
    let Some(flag) = question.flag.clone() else {
        return Err(invalid("the address of this form names no `flag`".to_owned()));
    };
    let Ok(Form(form)) = form else {
        return Err(invalid("this is not the form of a flag's evidence: it has `until`, or `end`".to_owned()));
    };
    let until = until(&form, caller.now_ms)?;
    let said = change_snooze(&serve, &caller, &question.project, &flag, until).await?;
    in_force(&serve, &question.project, &flag, said.version).await;
    let back = question.href(|_| ()) + "#evidence";
    let taken = Taken { project: question.project, flag, until_ms: until };
    Ok(([(header::SET_COOKIE, taken.told())], Redirect::to(&back)).into_response())
}

/// Waits until what was said is folded, for a moment. It is said already: a store that does not answer now changes
/// nothing.
async fn in_force(serve: &Serve, project: &str, flag: &str, version: u64) {
    for _ in 0..LOOKS {
        let shown = metadata::of_flag(serve, project, flag).await;
        if shown.is_ok_and(|said| said.is_some_and(|said| said.version >= version)) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// When the snooze is to end; `None` = now.
fn until(form: &Snooze, now_ms: i64) -> Result<Option<i64>, Refusal> {
    match (form.end.as_deref(), form.until.as_deref()) {
        (Some("now"), _) => Ok(None),
        (_, typed) => {
            let typed = typed.unwrap_or_default();
            let until_ms = day_ms(typed).filter(|ms| may_end_snooze(*ms, now_ms));
            until_ms.map(Some).ok_or_else(|| {
                let typed: String = typed.chars().take(40).collect();
                let (first, last) = (text::day(now_ms + DAY_MS), text::day(now_ms + LONGEST_DAYS * DAY_MS));
                invalid(format!(
                    "a snooze cannot end on {typed:?}; allowed: a day from {first} to {last}, as YYYY-MM-DD"
                ))
            })
        }
    }
}

/// When a day begins, UTC.
fn day_ms(typed: &str) -> Option<i64> {
    let date: jiff::civil::Date = typed.parse().ok()?;
    let start = date.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(start.timestamp().as_millisecond())
}

fn invalid(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_field", message)
}
