//! What a partition's owner says of itself, where other processes find it.
//!
//! Always true here: it is for people and decides nothing; it is said at most every [`TELL_EVERY`], one word at a time,
//! and a word that did not arrive is said again with the next.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

/// How often it is said.
pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// When it is said next, and the word that is on its way.
#[derive(Default)]
pub(crate) struct Telling {
    due: Option<Instant>,
    on_its_way: Option<BoxFuture<'static, Result<(), stores::Error>>>,
}

impl Telling {
    /// Whether it is time for a word.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.on_its_way.is_none() && self.due.is_none_or(|due| due <= now)
    }

    pub(crate) fn say(&mut self, now: Instant, word: BoxFuture<'static, Result<(), stores::Error>>) {
        (self.due, self.on_its_way) = (Some(now + TELL_EVERY), Some(word));
    }

    /// Waits for the end of what is on its way, or else until the next word is due; for ever where none was ever said.
    pub(crate) async fn next(&mut self, partition: u32) {
        let Some(word) = &mut self.on_its_way else {
            return match self.due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            };
        };
        if let Err(error) = word.await {
            tracing::debug!(partition, %error, "cannot tell who has the partition");
        }
        self.on_its_way = None;
    }
}

/// Unix milliseconds by this machine's clock, for people.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
