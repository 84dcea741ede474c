//! Store in, answers out: the query API and the page.
//!
//! Always true here: nothing is written to the store, and to the log definitions alone ([`metadata`], [`publisher`]);
//! every answer tells how far it reaches (`asOf`, `complete`); whoever brings no key that opens an environment does not
//! learn whether it exists.
//!
//! Where to go next: [`routes`] lists what there is; [`reading`] and [`tally`] turn cells into counts, for the API
//! ([`evaluations`], [`events`], [`books`], [`launchdarkly`], [`pipeline`]) and the page ([`page`]) alike;
//! [`stale_flags`] feeds the rule ([`stale`]) for the report and [`flag_statuses`].

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemas::stored::Owner;

mod access;
mod arrivals;
mod asked;
mod backtest;
mod books;
mod cells;
mod comparison;
mod evaluations;
mod events;
mod flag_statuses;
mod hidden;
mod interval;
mod launchdarkly;
mod markdown;
mod metadata;
mod openapi;
pub mod other_path;
mod other_reads;
mod page;
mod paging;
mod parameters;
mod pipeline;
mod probes;
mod publisher;
mod reading;
mod refusal;
mod request;
mod routes;
pub mod stale;
mod stale_flags;
mod stale_settings;
mod tally;
#[cfg(test)]
mod tests;

pub use access::{Access, EnvironmentAccess, KeyHash, hash_key};
pub use arrivals::{Arrivals, FirstPayload, UnknownKey};
pub use cells::Served;
pub use comparison::line::Comparisons;
pub use hidden::{is_hidden, visible};
pub use metadata::{check_flag_metadata, shorten_code_references, time_ms, would_change};
pub use pipeline::{DeadLetter, Place};
pub use publisher::Publisher;
pub use reading::CaughtUp;
pub use routes::{router, service};
pub use stale_settings::{EnvironmentStale, StaleSettings};

/// Something asked of the binary at each request.
pub type Ask<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Asks for dead letters: at most so many, behind this place (`None` = from the newest on).
pub type AskDeadLetters =
    Arc<dyn Fn(usize, Option<Place>) -> BoxFuture<'static, Result<(Vec<DeadLetter>, usize), String>> + Send + Sync>;

/// Asks who works on each partition, from 0; `None` = nobody has said so, or it cannot be told.
pub type AskOwners = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<Option<Owner>>, String>> + Send + Sync>;

/// Asks for the text of `/metrics`.
pub type AskMetrics = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// What the service reads from, and what the binary tells it.
pub struct Serve {
    /// The store.
    pub store: Arc<dyn stores::Store>,
    /// The log, for its end, and for definitions.
    pub log: Arc<dyn eventlog::EventLog>,
    /// Number of the generation that is shown.
    pub generation: u32,
    /// Its number of partitions.
    pub partitions: u32,
    /// Environments and keys as they are now.
    pub access: Ask<Arc<Access>>,
    /// Unix milliseconds.
    pub clock_ms: Ask<i64>,
    /// What is configured of the stale rule.
    pub stale: StaleSettings,
    /// What has come to the door.
    pub arrivals: Ask<Arrivals>,
    /// Dead letters, newest first ([`DeadLetter::place`] falling): so many at most, of those behind this place, and how
    /// many there are in all.
    pub dead_letters: AskDeadLetters,
    /// When each partition was last seen without lag; begins empty.
    pub caught_up: CaughtUp,
    /// Who may publish a definition now; begins with nothing known.
    pub publisher: Publisher,
    /// Who works on each partition, as they say themselves.
    pub owners: AskOwners,
    /// The text of `/metrics`.
    pub metrics: AskMetrics,
    /// Whether the process can do its work; else why not.
    pub ready: Ask<Result<(), String>>,
    /// Another path that counts the same, where there is one.
    pub other_path: Option<Arc<dyn other_path::OtherPath>>,
    /// What was compared of the two; begins empty.
    pub comparisons: Comparisons,
    /// Where SDKs and people reach this server: `http://127.0.0.1:8080`.
    pub address: String,
    /// The data directory, for the command that admits a key; empty = the command's own default.
    pub data: String,
    /// Where the SDK keys lie, for people: `flagstream-data/keys.toml`; empty = not told.
    pub keys_file: String,
    /// What request ids begin with: something of this process alone.
    pub request_prefix: String,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("store", &self.store)
            .field("log", &self.log)
            .field("generation", &self.generation)
            .field("partitions", &self.partitions)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
