//! The page: rendered on the server, readable without JavaScript, everything from this binary.
//!
//! Always true here: every foreign text goes through [`text`] (or maud's own escaping, in attributes); nothing inline,
//! neither script nor style, so that the content security policy can forbid both.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use schemas::id::Environment;

use crate::access::Grant;
use crate::reading::Progress;
use crate::refusal::Refusal;
use crate::request::Caller;

pub(crate) mod chart;
mod door;
pub(crate) mod environment;
pub(crate) mod flag;
pub(crate) mod login;
mod palette;
pub(crate) mod range;
mod reasons;
pub(crate) mod text;

/// A rendered page.
#[derive(Debug)]
pub(crate) struct Page(Markup);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], self.0.into_string()).into_response()
    }
}

pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("page/page.css"))
}

pub(crate) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// Where the reader is: which environment, and which others there are.
pub(crate) struct Place<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) environment: Option<&'a Environment>,
    pub(crate) progress: Option<Progress>,
    pub(crate) now_ms: i64,
}

/// A page with its head and bar; `live` = it refreshes itself.
pub(crate) fn whole(title: &str, place: Option<&Place<'_>>, live: bool, body: &Markup) -> Page {
    Page(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text::visible(title)) " · Flagstream" }
                link rel="stylesheet" href="/page.css";
                link rel="icon" href="data:,";
                @if live { script src="/page.js" defer {} }
            }
            body {
                header.bar {
                    a.brand href="/" { (mark()) span { "Flagstream" } }
                    @if let Some(place) = place { (bar(place)) }
                }
                main #live { (body) }
                footer.foot { "Times are UTC. " a href="/openapi.json" { "API" } }
            }
        }
    })
}

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            path d="M5 3v18" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" {}
            path d="M5 5c4-2.5 7 2.5 14 0v8c-7 2.5-10-2.5-14 0z" fill="currentColor" {}
        }
    }
}

fn bar(place: &Place<'_>) -> Markup {
    let all = place.caller.access.visible(&place.caller.grant);
    html! {
        @if all.len() > 1 {
            nav.environments aria-label="Environments" {
                @for environment in &all {
                    a href=(environment::href(environment, None))
                        aria-current=[(Some(environment) == place.environment).then_some("page")] {
                        (text::foreign(environment.project_str())) span.slash { "/" }
                        (text::foreign(environment.key_str()))
                    }
                }
            }
        }
        span.space {}
        @if let Some(progress) = place.progress { (state(progress, place.now_ms)) }
        @if !place.caller.access.is_open() {
            form method="post" action="/logout" { button.quiet type="submit" { "Log out" } }
        }
    }
}

/// How far the numbers on the page reach.
fn state(progress: Progress, now_ms: i64) -> Markup {
    html! {
        span.state #state data-complete=(progress.complete) {
            @if progress.complete {
                span.dot.good {} "up to date, " (text::clock(now_ms))
            } @else if progress.as_of_ms == 0 {
                span.dot.busy {} "nothing counted yet"
            } @else {
                span.dot.busy {} "catching up, complete to " (text::clock(progress.as_of_ms))
            }
        }
    }
}

/// Why a page cannot be shown.
pub(crate) fn problem(refusal: &Refusal, id: &str) -> Page {
    let body = html! {
        section.card.narrow {
            h1 { (refusal.status.as_u16()) " " (refusal.status.canonical_reason().unwrap_or("")) }
            p { (text::foreign(&refusal.message)) }
            p.muted { "Request " code { (id) } }
            p { a href="/" { "Back to the flags" } }
        }
    };
    whole("Not shown", None, false, &body)
}

/// The environment that a page's address names, or the first one that the caller may read.
pub(crate) fn chosen(
    caller: &Caller,
    project: Option<String>,
    environment: Option<String>,
) -> Result<Environment, Refusal> {
    if project.is_none() && environment.is_none() {
        let first = caller.access.visible(&caller.grant).into_iter().next();
        return first.ok_or_else(|| {
            let what =
                if caller.grant == Grant::All { "no environment is configured" } else { "no environment to show" };
            Refusal::not_found(format!("{what}; add one with `flagstream keys add --environment E`"))
        });
    }
    caller.find(&project.unwrap_or_default(), &environment.unwrap_or_default())
}
