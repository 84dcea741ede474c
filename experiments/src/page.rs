//! The page: rendered on the server, readable without JavaScript, everything from this binary.
//!
//! Always true here: every foreign text goes through [`text`] (or maud's own escaping, in attributes); nothing inline,
//! neither script nor style, so that the content security policy can forbid both.
//!
//! Where to go next: [`environment`] is the first page, [`flag`] one flag's, [`stale`] which flags can go,
//! [`comparison`] why the old path counts otherwise.

use std::collections::BTreeSet;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use schemas::id::Environment;

use crate::access::Grant;
use crate::reading::Progress;
use crate::refusal::Refusal;
use crate::request::Caller;

pub(crate) mod chart;
pub(crate) mod comparison;
mod door;
pub(crate) mod environment;
pub(crate) mod flag;
pub(crate) mod login;
mod own_form;
mod palette;
pub(crate) mod range;
mod reasons;
mod sentence;
pub(crate) mod stale;
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

pub(crate) async fn evidence_script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("page/evidence.js"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// What a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here<'a> {
    /// An environment's flags.
    Environment(&'a Environment),
    /// One of them.
    Flag(&'a Environment),
    /// Its old and new path compared.
    Comparison(&'a Environment),
    /// A project's stale flags, as seen from an environment or from all.
    Stale { project: &'a str, environment: Option<&'a str> },
}

/// Where the reader is, and who it is.
pub(crate) struct Place<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) here: Here<'a>,
    pub(crate) progress: Option<Progress>,
    pub(crate) now_ms: i64,
}

/// What a page does by itself; all of them do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Nothing,
    /// It is rendered again every other second.
    Refresh,
    /// Evidence opens in place.
    Evidence,
}

/// A page with its head and bar.
pub(crate) fn whole(title: &str, place: Option<&Place<'_>>, script: Script, body: &Markup) -> Page {
    let address = match script {
        Script::Nothing => None,
        Script::Refresh => Some("/page.js"),
        Script::Evidence => Some("/evidence.js"),
    };
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
                @if let Some(address) = address { script src=(address) defer {} }
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
    html! {
        (sections(place))
        (neighbours(place))
        span.space {}
        @if let Some(progress) = place.progress { (state(progress, place.now_ms)) }
        @if !place.caller.access.is_open() {
            form method="post" action="/logout" { button.quiet type="submit" { "Log out" } }
        }
    }
}

/// The pages of the same project.
fn sections(place: &Place<'_>) -> Markup {
    let all = place.caller.access.visible(&place.caller.grant);
    let (flags, project, on_stale) = match place.here {
        Here::Environment(environment) | Here::Flag(environment) | Here::Comparison(environment) => {
            (Some(environment), environment.project_str(), false)
        }
        Here::Stale { project, environment } => {
            let of_project = || all.iter().filter(|other| other.project_str() == project);
            let named = of_project().find(|other| Some(other.key_str()) == environment);
            (named.or_else(|| of_project().next()), project, true)
        }
    };
    let on_paths = matches!(place.here, Here::Comparison(_));
    let current = |is: bool| is.then_some("page");
    html! {
        nav.sections aria-label="Pages" {
            @if let Some(flags) = flags {
                a href=(environment::href(flags, None)) aria-current=[current(!on_stale && !on_paths)] { "Flags" }
            }
            a href=(stale::href(project, None, None)) aria-current=[current(on_stale)] { "Stale flags" }
            @if let Here::Comparison(environment) = place.here {
                a href=(comparison::href(environment)) aria-current="page" { "Old and new path" }
            }
        }
    }
}

/// The same page of other environments, or of other projects; a flag's own page has its environments itself.
fn neighbours(place: &Place<'_>) -> Markup {
    let all = place.caller.access.visible(&place.caller.grant);
    match place.here {
        Here::Flag(_) | Here::Comparison(_) => html! {},
        Here::Environment(here) => html! {
            @if all.len() > 1 {
                nav.environments aria-label="Environments" {
                    @for environment in &all {
                        a href=(environment::href(environment, None)) aria-current=[(environment == here).then_some("page")] {
                            (text::foreign(environment.project_str())) span.slash { "/" }
                            (text::foreign(environment.key_str()))
                        }
                    }
                }
            }
        },
        Here::Stale { project: here, .. } => {
            let projects: BTreeSet<&str> = all.iter().map(Environment::project_str).collect();
            html! {
                @if projects.len() > 1 {
                    nav.environments aria-label="Projects" {
                        @for project in projects {
                            a href=(stale::href(project, None, None)) aria-current=[(project == here).then_some("page")] { (text::foreign(project)) }
                        }
                    }
                }
            }
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
    whole("Not shown", None, Script::Nothing, &body)
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
