//! `GET /v1/pipeline/health` and `/dead-letters`: how far the numbers lag, and what could not be folded. Admin keys only.
//!
//! Always true here: lag is the number of records between the log's end and what is durable in the store; once it is 0,
//! reads include everything answered 2xx before.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::Serve;
use crate::interval::MINUTE_MS;
use crate::parameters::Parameters;
use crate::reading::{Progress, Standing, standings};
use crate::refusal::Refusal;
use crate::request::{Caller, json, link};

/// Below this age of the dedupe window a re-send may be counted twice.
pub(crate) const DEDUPE_AGE_MS_MIN: u64 = 2 * MINUTE_MS.unsigned_abs();

/// A record that could not be folded; its bytes are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
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
        lag: lag(&standings, caller.now_ms),
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

/// Records between the log's end and what is durable, and for how long the oldest of them may have waited.
pub(crate) fn lag(standings: &[Standing], now_ms: i64) -> Lag {
    let behind = standings.iter().filter(|standing| standing.lag() > 0);
    let waited_ms = behind.clone().filter(|s| s.log_time_ms > 0).map(|s| now_ms - s.log_time_ms).max().unwrap_or(0);
    // A display value: seconds to the millisecond, far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    Lag { records: behind.map(Standing::lag).sum(), seconds: waited_ms.max(0) as f64 / 1000.0 }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetters {
    as_of: i64,
    complete: bool,
    items: Vec<DeadLetter>,
    total_count: usize,
    #[serde(rename = "_links")]
    links: serde_json::Value,
}

pub(crate) async fn dead_letters(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut given = Parameters::read(&caller.uri)?;
    let limit = given.number("limit", 100, 1_000)?;
    let skip = match given.text("continuationToken") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            Refusal::parameter("continuationToken", &text, "what `_links.next.href` of the page before had")
        })?,
    };
    given.end(&["limit", "continuationToken"])?;
    let standings = standings(&serve, 0..serve.partitions).await?;
    let progress = progress(&standings, caller.now_ms);
    let letters = (serve.dead_letters)().await.map_err(|error| {
        tracing::warn!(%error, "dead letters cannot be read");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the dead letters cannot be read now")
    })?;
    let total_count = letters.len();
    let items: Vec<DeadLetter> = letters.into_iter().skip(skip).take(limit).collect();
    let end = skip.saturating_add(items.len());
    let next = (end < total_count).then(|| format!("{}?limit={limit}&continuationToken={end}", caller.uri.path()));
    json(&DeadLetters {
        as_of: progress.as_of_ms,
        complete: progress.complete,
        items,
        total_count,
        links: link(next.as_deref()),
    })
}
