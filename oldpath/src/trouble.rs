//! The old path's store in trouble, by the same switch as the new path's: see [`stores::trouble`].
//!
//! Always true here: an addition that is refused was not done, one that is lost may have been.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemas::id::Environment;
use stores::trouble::{Ended, Switch};

use crate::counter::{Add, Kind};
use crate::store::{HoursOf, OldStore, Page, Place};
use crate::{Error, WriteError};

/// A store in trouble whenever its switch says so.
#[derive(Debug)]
pub struct Troubled {
    inner: Arc<dyn OldStore>,
    switch: Switch,
}

impl Troubled {
    /// This store, troubled by this switch.
    #[must_use]
    pub fn new(inner: Arc<dyn OldStore>, switch: Switch) -> Self {
        Self { inner, switch }
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        call: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(self.switch.call(call, |ended| Error::Unavailable(why(ended).to_owned())))
    }
}

fn why(ended: Ended) -> &'static str {
    match ended {
        Ended::Refused => "it is throttled",
        Ended::Lost => "it does not answer",
    }
}

impl OldStore for Troubled {
    fn add(&self, add: Add) -> BoxFuture<'_, Result<(), WriteError>> {
        let call = async move { self.inner.add(add).await };
        Box::pin(self.switch.call(call, |ended| {
            let why = why(ended).to_owned();
            match ended {
                Ended::Refused => WriteError::Refused(why),
                Ended::Lost => WriteError::Unknown(why),
            }
        }))
    }

    fn keys<'a>(
        &'a self,
        environment: &'a Environment,
        kind: Kind,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.read(async move { self.inner.keys(environment, kind, after, limit).await })
    }

    fn hours<'a>(
        &'a self,
        asked: HoursOf<'a>,
        from: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, Error>> {
        self.read(async move { self.inner.hours(asked, from, limit).await })
    }
}
