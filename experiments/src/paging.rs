//! One page of a list, and the token that leads to the next.
//!
//! Always true here: a token holds the key of the page's last item, never a number of items, so that what appears or
//! goes between two pages neither doubles nor loses another item; it holds the first page's interval too, where there
//! is one, so that all pages tell of the same time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::parameters::Parameters;
use crate::reading::Progress;
use crate::refusal::Refusal;
use crate::request::link;

/// Items of one answer when no `limit` is given.
const ITEMS_USUAL: usize = 100;
/// Items of one answer at most.
pub(crate) const ITEMS_MAX: usize = 1_000;

/// An answer that is a page of a list. `Head` is what stands before the items.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List<Head, Item> {
    as_of: i64,
    complete: bool,
    #[serde(flatten)]
    head: Head,
    items: Vec<Item>,
    total_count: usize,
    #[serde(rename = "_links")]
    links: serde_json::Value,
}

impl<Head, Item> List<Head, Item> {
    /// `total_count` is of all pages; `next` the address of the next one.
    pub(crate) fn new(
        progress: Progress,
        head: Head,
        items: Vec<Item>,
        total_count: usize,
        next: Option<String>,
    ) -> Self {
        let Progress { complete, as_of_ms: as_of } = progress;
        Self { as_of, complete, head, items, total_count, links: link(next.as_deref()) }
    }
}

/// `limit`: how many items are wanted.
pub(crate) fn limit(given: &mut Parameters) -> Result<usize, Refusal> {
    given.number("limit", ITEMS_USUAL, ITEMS_MAX)
}

/// `continuationToken`: behind what the page begins; `None` = at the start.
pub(crate) fn token<T: DeserializeOwned>(given: &mut Parameters) -> Result<Option<T>, Refusal> {
    let Some(text) = given.text("continuationToken") else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(&text).ok();
    match bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        Some(token) => Ok(Some(token)),
        None => Err(Refusal::parameter("continuationToken", &text, "what `_links.next.href` of the page before had")),
    }
}

/// Parameters as a link to the next page repeats them, but for those of these names and the token.
pub(crate) fn repeated(given: &Parameters, but: &[&str]) -> String {
    let wanted = |(name, _): &(&str, &str)| *name != "continuationToken" && !but.contains(name);
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = given.given().filter(wanted).map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The address of the next page: this path, the parameters to be repeated (`name=value&…`), and the token.
pub(crate) fn next<T: Serialize>(path: &str, repeated: &str, token: &T) -> String {
    let token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default());
    format!("{path}?{repeated}&continuationToken={token}")
}
