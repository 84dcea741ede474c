//! `GET /v1/pipeline/health` and `/dead-letters`: how far the numbers lag, and what could not be folded. Admin keys
//! only.
//!
//! Always true here: lag is the number of records between the log's end and what is durable in the store; once it is 0,
//! reads include everything answered 2xx before. For how long the oldest of them has waited is not known without
//! reading the log: `lag.seconds` is the least time that it cannot exceed. Idle time counts in it only until somebody
//! asks: each answer and each refresh of a page that finds a partition without lag sets its time anew.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::Serve;
use crate::interval::MINUTE_MS;
use crate::paging::{self, List};
use crate::parameters::Parameters;
use crate::reading::{CaughtUp, Progress, Standing, standings};
use crate::refusal::Refusal;
use crate::request::{Caller, json};

/// Below this age of the dedupe window a re-send may be counted twice.
pub(crate) const DEDUPE_AGE_MS_MIN: u64 = 2 * MINUTE_MS.unsigned_abs();

/// Where a dead letter's record stands: generation, partition, offset.
pub type Place = (u32, u32, u64);

/// A record that could not be folded; its bytes are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Number of its generation.
    pub generation: u32,
    /// Its partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// Whose it is, `project/environment`; `None` = its header cannot be read.
    pub environment: Option<String>,
    /// Why it was passed.
    pub reason: String,
    /// When it was received, Unix milliseconds.
    pub received_ms: i64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl DeadLetter {
    /// Where its record stands; no two dead letters have the same.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.generation, self.partition, self.offset)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    as_of: i64,
    complete: bool,
    lag: Lag,
    partitions: Vec<Partition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// How far the store is behind the log.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Lag {
    pub(crate) records: u64,
    pub(crate) seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partition {
    partition: u32,
    first: u64,
    end: u64,
    position: u64,
    lag: u64,
    log_time: Option<i64>,
    dedupe_age_ms: Option<u64>,
}

pub(crate) async fn health(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Response, Refusal> {
    caller.admin()?;
    Parameters::read(&caller.uri)?.end(&["no parameters"])?;
    let standings = standings(&serve, 0..serve.partitions).await?;
    let partitions: Vec<Partition> = standings
        .iter()
        .map(|standing| Partition {
            partition: standing.partition,
            first: standing.first,
            end: standing.end,
            position: standing.position,
            lag: standing.lag(),
            log_time: Some(standing.log_time_ms).filter(|ms| *ms > 0),
            dedupe_age_ms: (serve.dedupe_age_ms)(standing.partition),
        })
        .collect();
    let progress = progress(&standings, caller.now_ms);
    json(&Health {
        as_of: progress.as_of_ms,
        complete: progress.complete,
        lag: lag(&standings, &serve.caught_up, caller.now_ms),
        warnings: partitions.iter().filter_map(warning).collect(),
        partitions,
    })
}

fn warning(partition: &Partition) -> Option<String> {
    let age_ms = partition.dedupe_age_ms.filter(|age| *age < DEDUPE_AGE_MS_MIN)?;
    let Partition { partition, .. } = partition;
    Some(format!(
        "partition {partition} remembers payload ids for {} s only: a payload sent again later is counted twice; use \
         more partitions",
        age_ms / 1000
    ))
}

/// How far all of these reach.
pub(crate) fn progress(standings: &[Standing], now_ms: i64) -> Progress {
    let all = Progress { complete: true, as_of_ms: now_ms };
    standings.iter().map(|standing| standing.progress(now_ms)).fold(all, Progress::least)
}

/// Records between the log's end and what is durable, and for how long the oldest of them may have waited at most: they
/// came after the checkpoint's record, and after the partition was last seen without lag.
pub(crate) fn lag(standings: &[Standing], caught_up: &CaughtUp, now_ms: i64) -> Lag {
    let behind = standings.iter().filter(|standing| standing.lag() > 0);
    let since = |s: &Standing| Some(s.log_time_ms).filter(|ms| *ms > 0).max(caught_up.last_ms(s.partition));
    let waited_ms = behind.clone().filter_map(since).map(|since_ms| now_ms - since_ms).max().unwrap_or(0);
    // A display value: seconds to the millisecond, far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    Lag { records: behind.map(Standing::lag).sum(), seconds: waited_ms.max(0) as f64 / 1000.0 }
}

/// Nothing stands before the items.
#[derive(Serialize)]
struct Head {}

pub(crate) async fn dead_letters(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut given = Parameters::read(&caller.uri)?;
    let limit = paging::limit(&mut given)?;
    let behind: Option<Place> = paging::token(&mut given)?;
    given.end(&["limit", "continuationToken"])?;
    let standings = standings(&serve, 0..serve.partitions).await?;
    let progress = progress(&standings, caller.now_ms);
    // One more than is shown tells whether there is a next page.
    let (mut items, total_count) = (serve.dead_letters)(limit + 1, behind).await.map_err(|error| {
        tracing::warn!(%error, "dead letters cannot be read");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the dead letters cannot be read now")
    })?;
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more).map(DeadLetter::place);
    let next = last.map(|place| paging::next(caller.uri.path(), &format!("limit={limit}"), &place));
    json(&List::new(progress, Head {}, items, total_count, next))
}
