//! Whether a form was sent from one of our own pages.
//!
//! Always true here: a browser that tells neither where the form was sent from nor whose page it stood on is refused,
//! since where no key is needed no cookie guards us.

use axum::http::{HeaderMap, header};

use crate::refusal::Refusal;

/// Refuses what another site's page sent, and what does not tell.
///
/// Browsers tell by `Sec-Fetch-Site` on HTTPS and on this machine, else by `Origin`, whose host must be the one that
/// was asked; no script can set either.
pub(crate) fn own_form(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let from_here = |origin: &str| {
        let named = origin.split_once("://").map_or("", |(_, host)| host);
        !named.is_empty() && named.eq_ignore_ascii_case(host)
    };
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    match (site, headers.contains_key(header::ORIGIN).then(|| text("origin").unwrap_or_default())) {
        (Some(b"same-origin"), _) => Ok(()),
        (None, Some(origin)) if from_here(origin) => Ok(()),
        (None, None) => Err(Refusal::forbidden(
            "this form does not tell which page it was sent from; programs use `PUT /v1/projects/{project}/flags/{flag}/snooze`",
        )),
        _ => Err(Refusal::forbidden("this form was sent from another site's page; nothing was changed")),
    }
}
