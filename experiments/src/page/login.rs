//! `/login`, `/logout`: a key typed once, kept in a cookie that no script can read.
//!
//! Always true here: the key is checked again at each request, so a key taken away opens nothing from then on; other
//! sites can neither log a reader in nor out; after log-in a reader is led to a page of ours and nowhere else.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::Serve;
use crate::access::set_cookie;
use crate::page::{Page, Script, whole};
use crate::parameters::Parameters;
use crate::refusal::Refusal;

/// Longest address that is led back to, in bytes.
const BACK_BYTES_MAX: usize = 2_000;

#[derive(Deserialize)]
pub(crate) struct Login {
    key: String,
}

/// The log-in form's address, which leads back to the page that was asked for.
pub(crate) fn address(asked: &Uri) -> String {
    match asked.path_and_query().map(PathAndQuery::as_str) {
        None | Some("/") => "/login".to_owned(),
        Some(page) => format!("/login?to={}", utf8_percent_encode(page, NON_ALPHANUMERIC)),
    }
}

/// The page to be led back to: one of ours, as a path, so that no link can lead a reader away.
fn back(uri: &Uri) -> Option<String> {
    let typed = Parameters::read(uri).ok()?.text("to")?;
    let to: Uri = typed.parse().ok().filter(|_| typed.len() <= BACK_BYTES_MAX)?;
    let is_ours =
        to.authority().is_none() && (["/", "/flag", "/stale"].contains(&to.path()) || is_below_flag(to.path()));
    let plain = typed.bytes().all(|byte| byte.is_ascii_graphic());
    (is_ours && plain).then_some(typed)
}

fn is_below_flag(path: &str) -> bool {
    path.starts_with(super::flag::BELOW)
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>, uri: Uri) -> Response {
    if (serve.access)().is_open() { Redirect::to("/").into_response() } else { form(&uri, None).into_response() }
}

pub(crate) async fn enter(
    State(serve): State<Arc<Serve>>,
    uri: Uri,
    headers: HeaderMap,
    login: Result<Form<Login>, FormRejection>,
) -> Result<Response, Refusal> {
    own_page(&headers)?;
    let key = login.map(|Form(login)| login.key.trim().to_owned()).unwrap_or_default();
    if (serve.access)().grant(Some(&key)).is_none() {
        let page =
            form(&uri, Some("This key opens nothing. A read key or an admin key is needed; SDK keys only send."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    Ok(with_cookie(&back(&uri).unwrap_or_else(|| "/".to_owned()), set_cookie(Some(&key), is_https(&headers))))
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

fn form(uri: &Uri, wrong: Option<&str>) -> Page {
    let back = back(uri).and_then(|page| page.parse::<Uri>().ok());
    let action = back.map_or_else(|| "/login".to_owned(), |page| address(&page));
    let body = html! {
        section.card.narrow {
            h1 { "Log in" }
            p.muted { "With a read key of an environment, or an admin key." }
            form.login method="post" action=(action) {
                label for="key" { "Key" }
                input #key type="password" name="key" autocomplete="current-password" required autofocus;
                @if let Some(wrong) = wrong { p.bad role="alert" { (wrong) } }
                button type="submit" { "Log in" }
            }
        }
    };
    whole("Log in", None, Script::Nothing, &body)
}
