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

use schemas::stored::Owner;

use crate::Serve;
use crate::interval::MINUTE_MS;
use crate::paging::{self, List};
use crate::parameters::Parameters;
use crate::reading::{CaughtUp, Progress, Standing, standings};
use crate::refusal::Refusal;
use crate::request::{Caller, json};

/// Below this age of the dedupe window a re-send may be counted twice.
pub(crate) const DEDUPE_AGE_MS_MIN: u64 = 2 * MINUTE_MS.unsigned_abs();

/// An owner that says nothing for longer, though it should every 10 s, is told of.
const SILENT_MS_MAX: i64 = 45_000;

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
    owner: Option<Worker>,
}

/// Who works on a partition, as it says itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    name: String,
    /// When it got the partition.
    since: i64,
    /// When it said this.
    told: i64,
    /// When all that it had folded was last durable; null = not since it got the partition.
    flushed: Option<i64>,
    /// Writes that the store refused since then.
    refused_writes: u64,
}

impl From<Owner> for Worker {
    fn from(owner: Owner) -> Self {
        let flushed = Some(owner.flushed_ms).filter(|ms| *ms > 0);
        let (since, told) = (owner.since_ms, owner.told_ms);
        Self { name: owner.name, since, told, flushed, refused_writes: owner.refused }
    }
}

pub(crate) async fn health(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Response, Refusal> {
    caller.admin()?;
    Parameters::read(&caller.uri)?.end(&["no parameters"])?;
    let standings = standings(&serve, 0..serve.partitions).await?;
    let mut owners = (serve.owners)().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "who works on the partitions cannot be read");
        Vec::new()
    });
    owners.resize(standings.len(), None);
    let partitions: Vec<Partition> = standings
        .iter()
        .zip(owners)
        .map(|(standing, owner)| Partition {
            partition: standing.partition,
            first: standing.first,
            end: standing.end,
            position: standing.position,
            lag: standing.lag(),
            log_time: Some(standing.log_time_ms).filter(|ms| *ms > 0),
            dedupe_age_ms: owner.as_ref().and_then(|owner| owner.dedupe_age_ms),
            owner: owner.map(Worker::from),
        })
        .collect();
    let progress = progress(&standings, caller.now_ms);
    json(&Health {
        as_of: progress.as_of_ms,
        complete: progress.complete,
        lag: lag(&standings, &serve.caught_up, caller.now_ms),
        warnings: partitions.iter().flat_map(|partition| warnings(partition, caller.now_ms)).collect(),
        partitions,
    })
}

fn warnings(partition: &Partition, now_ms: i64) -> impl Iterator<Item = String> {
    let Partition { partition, dedupe_age_ms, owner, lag, .. } = partition;
    let short = dedupe_age_ms.filter(|age| *age < DEDUPE_AGE_MS_MIN).map(|age_ms| {
        format!(
            "partition {partition} remembers payload ids for {} s only: a payload sent again later is counted twice; use \
             more partitions",
            age_ms / 1000
        )
    });
    let silent_ms = owner.as_ref().map(|owner| now_ms - owner.told);
    let silent = match (silent_ms, lag) {
        (Some(ms), _) if ms > SILENT_MS_MAX => Some(format!(
            "nobody has said for {} s that it works on partition {partition}; is a processor running?",
            ms / 1000
        )),
        (None, 1..) => Some(format!("nobody works on partition {partition}; is a processor running?")),
        _ => None,
    };
    short.into_iter().chain(silent)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_told_of() {
        let now_ms = 1_000_000;
        let of = |told: Option<i64>, lag: u64| {
            let worker = |told| Worker { name: "host:7".to_owned(), since: 0, told, flushed: None, refused_writes: 0 };
            let owner = told.map(worker);
            let partition = Partition {
                partition: 3,
                first: 0,
                end: 9,
                position: 9,
                lag,
                log_time: None,
                dedupe_age_ms: None,
                owner,
            };
            warnings(&partition, now_ms).collect::<Vec<_>>()
        };
        assert_eq!(of(Some(now_ms - SILENT_MS_MAX), 5), [""; 0]);
        let silent = of(Some(now_ms - SILENT_MS_MAX - 1), 0);
        assert!(silent.len() == 1 && silent[0].contains("for 45 s that it works on partition 3"), "{silent:?}");
        assert_eq!(of(None, 0), [""; 0], "nothing waits for anybody");
        assert_eq!(of(None, 1), ["nobody works on partition 3; is a processor running?"]);
    }
}
