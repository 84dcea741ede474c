//! The old path's counters: what the HTTP service and the worker write, each event by an addition of its own.
//!
//! Always true here: an addition is one atomic step on one counter, and is done twice when it is called twice; whoever
//! calls is told whether it was done, was not done, or may have been; a read sees every answered addition, and is a
//! range of one key's hours or a step from key to key, never a scan.
//!
//! Where to go next: [`embedded`] is for a single process, `dynamodb` (feature) for several; `conformance` (feature
//! `testing`) is what each must pass.

#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod embedded;

use std::ops::Range;

use futures_util::future::BoxFuture;
use schemas::id::Environment;

use crate::counter::{Add, Counted, Kind};
use crate::{Error, WriteError};

/// Rows or keys of a page: what a caller that wants all asks for at a time.
const PAGE: usize = 1_000;

/// A store of the old path's counters.
pub trait OldStore: Send + Sync + std::fmt::Debug {
    /// Adds to a counter, which begins at nothing. One attempt: trying again is the caller's choice.
    fn add(&self, add: Add) -> BoxFuture<'_, Result<(), WriteError>>;

    /// Keys of flags or events that have a counter, at most `limit` (0 is taken as 1), in the store's order, beginning
    /// after a key that need not be there itself.
    fn keys<'a>(
        &'a self,
        environment: &'a Environment,
        kind: Kind,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Counters of one key in these UTC hours (since 1970), hour by hour, at most `limit` (0 is taken as 1), from where
    /// the page before ended.
    fn hours<'a>(&'a self, asked: HoursOf<'a>, from: Option<Place>, limit: usize)
    -> BoxFuture<'a, Result<Page, Error>>;
}

/// Which counters are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoursOf<'a> {
    /// Whose.
    pub environment: &'a Environment,
    /// Of what.
    pub kind: Kind,
    /// Of which flag or event.
    pub key: &'a str,
    /// UTC hours since 1970.
    pub hours: Range<u32>,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub(crate) Vec<u8>);

/// One page of counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The counters.
    pub counters: Vec<Counted>,
    /// Where the next page begins; `None` = that was all.
    pub next: Option<Place>,
}

/// All counters of one key in these hours, at most `limit`.
///
/// # Errors
/// The store's, or [`Error::Setting`] when there are more.
pub async fn of_key(store: &dyn OldStore, asked: &HoursOf<'_>, limit: usize) -> Result<Vec<Counted>, Error> {
    let mut counters = Vec::new();
    let mut from = None;
    loop {
        let page = store.hours(asked.clone(), from.take(), PAGE).await?;
        counters.extend(page.counters);
        if counters.len() > limit {
            let what = format!("the old path has more than {limit} counters of `{}` in these hours", asked.key);
            return Err(Error::Setting(format!("{what}; ask for fewer hours")));
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(counters),
        }
    }
}

/// All counters of a kind of an environment in these hours, key by key, at most `limit`: for each key a step and a
/// range.
///
/// # Errors
/// The store's, or [`Error::Setting`] when there are more.
pub async fn of_environment(
    store: &dyn OldStore,
    environment: &Environment,
    kind: Kind,
    hours: Range<u32>,
    limit: usize,
) -> Result<Vec<Counted>, Error> {
    let mut counters: Vec<Counted> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let keys = store.keys(environment, kind, after.as_deref(), PAGE).await?;
        for key in &keys {
            let asked = HoursOf { environment, kind, key, hours: hours.clone() };
            counters.extend(of_key(store, &asked, limit - counters.len()).await?);
        }
        match keys.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(counters),
        }
    }
}
