//! `/login`, `/logout`: a key typed once, kept in a cookie that no script can read.
//!
//! Always true here: the key is checked again at each request, so a key taken away opens nothing from then on; other
//! sites can neither log a reader in nor out.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;

use crate::Serve;
use crate::access::set_cookie;
use crate::page::{Page, Script, whole};
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Login {
    key: String,
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>) -> Response {
    if (serve.access)().is_open() { Redirect::to("/").into_response() } else { form(None).into_response() }
}

pub(crate) async fn enter(
    State(serve): State<Arc<Serve>>,
    headers: HeaderMap,
    login: Result<Form<Login>, FormRejection>,
) -> Result<Response, Refusal> {
    own_page(&headers)?;
    let key = login.map(|Form(login)| login.key.trim().to_owned()).unwrap_or_default();
    if (serve.access)().grant(Some(&key)).is_none() {
        let page = form(Some("This key opens nothing. A read key or an admin key is needed; SDK keys only send."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    Ok(with_cookie("/", set_cookie(Some(&key), is_https(&headers))))
}

pub(crate) async fn leave(headers: HeaderMap) -> Result<Response, Refusal> {
    own_page(&headers)?;
    Ok(with_cookie("/login", set_cookie(None, is_https(&headers))))
}

fn with_cookie(to: &str, cookie: String) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Whether a proxy in front of us speaks HTTPS to the browser.
fn is_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https")
}

/// Browsers tell where a form was sent from.
fn own_page(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Refusal::forbidden("this form was sent from another site")),
    }
}

fn form(wrong: Option<&str>) -> Page {
    let body = html! {
        section.card.narrow {
            h1 { "Log in" }
            p.muted { "With a read key of an environment, or an admin key." }
            form.login method="post" action="/login" {
                label for="key" { "Key" }
                input #key type="password" name="key" autocomplete="current-password" required autofocus;
                @if let Some(wrong) = wrong { p.bad role="alert" { (wrong) } }
                button type="submit" { "Log in" }
            }
        }
    };
    whole("Log in", None, Script::Nothing, &body)
}
