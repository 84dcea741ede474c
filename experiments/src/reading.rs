//! Reads of the store for one environment, and how far what they show reaches.
//!
//! Always true here: [`Progress`] is taken before any cell is read, so that what is read reaches at least that far; a
//! range is read page by page and nothing of it is kept but what the caller keeps.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName, CellRange};
use schemas::id::Environment;
use schemas::partition;

use crate::Serve;
use crate::refusal::Refusal;

/// Cells of one page of a range.
const PAGE_CELLS: usize = 1000;
/// Names of one page: their cells may be large.
const PAGE_NAMES: usize = 256;

/// How far the answer reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything that was answered 2xx before the request is in it.
    pub(crate) complete: bool,
    /// Now, when complete; else the later of the log's time at the checkpoint and of the time when nothing was waiting,
    /// as far as this process knows (0 = neither), Unix milliseconds. So an idle week is no week behind.
    pub(crate) as_of_ms: i64,
}

impl Progress {
    /// The least of several.
    pub(crate) fn least(self, other: Self) -> Self {
        Self { complete: self.complete && other.complete, as_of_ms: self.as_of_ms.min(other.as_of_ms) }
    }
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) partition: u32,
    /// First offset that the log still holds.
    pub(crate) first: u64,
    /// One past the log's last durable record.
    pub(crate) end: u64,
    /// All records below this are durable in the store.
    pub(crate) position: u64,
    /// The log's time at `position`; 0 = nothing folded yet.
    pub(crate) log_time_ms: i64,
    /// When nothing of it was waiting, as far as this process knows.
    pub(crate) caught_up_ms: Option<i64>,
}

impl Standing {
    /// Records between the log's end and what is durable in the store.
    pub(crate) fn lag(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    pub(crate) fn progress(&self, now_ms: i64) -> Progress {
        let complete = self.lag() == 0;
        let reaches_ms = self.log_time_ms.max(self.caught_up_ms.unwrap_or(0));
        Progress { complete, as_of_ms: if complete { now_ms } else { reaches_ms } }
    }
}

/// When each partition was last seen with everything durable. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct CaughtUp(Arc<Mutex<BTreeMap<u32, i64>>>);

impl CaughtUp {
    /// Notes that at this time nothing of the partition was waiting.
    fn note(&self, partition: u32, now_ms: i64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = seen.entry(partition).or_insert(now_ms);
        *slot = now_ms.max(*slot);
    }

    /// When nothing of the partition was waiting, as far as this process knows; Unix milliseconds.
    pub(crate) fn last_ms(&self, partition: u32) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).copied()
    }
}

/// Where these partitions stand. The log's ends are taken first.
pub(crate) async fn standings(serve: &Serve, partitions: Range<u32>) -> Result<Vec<Standing>, Refusal> {
    let now_ms = (serve.clock_ms)();
    let held = serve.log.held().await.map_err(|error| {
        tracing::warn!(%error, "log does not tell its end");
        Refusal::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the log does not answer")
    })?;
    let mut standings = Vec::new();
    for partition in partitions {
        let checkpoint = serve.store.checkpoint(serve.generation, partition).await?;
        let held = held.get(partition as usize);
        let standing = Standing {
            partition,
            first: held.map_or(0, |held| held.first),
            end: held.map_or(0, |held| held.end),
            position: checkpoint.map_or(0, |checkpoint| checkpoint.position),
            log_time_ms: checkpoint.map_or(0, |checkpoint| checkpoint.log_time_ms),
            caught_up_ms: serve.caught_up.last_ms(partition),
        };
        // What was appended before the log's end was asked for is durable now.
        if standing.lag() == 0 {
            serve.caught_up.note(partition, now_ms);
        }
        standings.push(standing);
    }
    Ok(standings)
}

/// How often somebody looks whether anything waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Notes when nothing was waiting, though nobody asks: forever.
pub(crate) async fn keep_looking(serve: Weak<Serve>) {
    while let Some(serve) = serve.upgrade() {
        if let Err(refusal) = standings(&serve, 0..serve.partitions).await {
            tracing::debug!(?refusal, "cannot look whether anything waits");
        }
        drop(serve);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What of a kind's names was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looked {
    /// How many, in the interval or not.
    pub(crate) names: usize,
    /// There are no others.
    pub(crate) all: bool,
}

/// Reads one environment's cells.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    serve: &'a Serve,
    environment: Environment,
    partition: u32,
    pub(crate) progress: Progress,
}

impl<'a> Reader<'a> {
    /// Opens an environment and notes how far its partition stands.
    pub(crate) async fn open(serve: &'a Serve, environment: Environment, now_ms: i64) -> Result<Self, Refusal> {
        let partition = partition::home(&environment, serve.partitions);
        let standings = standings(serve, partition..partition + 1).await?;
        let nowhere = Progress { complete: false, as_of_ms: 0 };
        let progress = standings.first().map_or(nowhere, |standing| standing.progress(now_ms));
        Ok(Self { serve, environment, partition, progress })
    }

    /// The partition in which the environment is counted.
    pub(crate) fn partition(&self) -> u32 {
        self.partition
    }

    /// How far its partition stands now.
    pub(crate) async fn standing(&self) -> Result<Standing, Refusal> {
        let standings = standings(self.serve, self.partition..self.partition + 1).await?;
        standings.into_iter().next().ok_or_else(|| Refusal::too_much("there is no such partition"))
    }

    fn key(&self, kind: CellKind, name: &CellName, window: u32) -> CellKey {
        CellKey {
            generation: self.serve.generation,
            partition: self.partition,
            kind,
            environment: self.environment.clone(),
            name: name.clone(),
            window,
        }
    }

    /// Calls `take` with each window of a name in `[from, to)`, in order.
    pub(crate) async fn windows(
        &self,
        kind: CellKind,
        name: &CellName,
        windows: Range<u32>,
        mut take: impl FnMut(u32, Bytes) -> Result<(), Refusal>,
    ) -> Result<usize, Refusal> {
        let first = self.key(kind, name, windows.start);
        self.range(CellRange::windows(&first, windows.end), |key, value| take(key.window, value)).await
    }

    /// Calls `take` with each name of a kind that sorts by name, from `from` on, in order, until it breaks off.
    pub(crate) async fn names(
        &self,
        kind: CellKind,
        from: Option<&CellName>,
        mut take: impl FnMut(CellName, Bytes) -> Result<ControlFlow<()>, Refusal>,
    ) -> Result<(), Refusal> {
        let all = CellRange::names(self.serve.generation, self.partition, kind, &self.environment);
        let mut range = match from {
            Some(name) => all.names_from(name),
            None => all,
        };
        loop {
            let page = self.serve.store.range(range.clone(), PAGE_NAMES).await?;
            for (key, cell) in page.cells {
                if take(key.name, cell.value)?.is_break() {
                    return Ok(());
                }
            }
            match page.next {
                Some(next) => range.from = next,
                None => return Ok(()),
            }
        }
    }

    /// Calls `take` with each name that has windows in `[from, to)` and with these, for a kind whose rows hold all
    /// names. At most `names_max` names are looked at, each two reads, whether it lies in the interval or not.
    pub(crate) async fn names_and_windows(
        &self,
        kind: CellKind,
        windows: Range<u32>,
        names_max: usize,
        mut take: impl FnMut(&CellName, u32, Bytes) -> Result<(), Refusal>,
    ) -> Result<Looked, Refusal> {
        let mut range = CellRange::names(self.serve.generation, self.partition, kind, &self.environment);
        for names in 0..names_max {
            let page = self.serve.store.range(range.clone(), 1).await?;
            let Some((key, _)) = page.cells.into_iter().next() else { return Ok(Looked { names, all: true }) };
            self.windows(kind, &key.name, windows.clone(), |window, value| take(&key.name, window, value)).await?;
            range = range.seek(&self.key(kind, &key.name, u32::MAX));
        }
        let all = self.serve.store.range(range, 1).await?.cells.is_empty();
        Ok(Looked { names: names_max, all })
    }

    /// One cell each of these (name, window) pairs, in order.
    pub(crate) async fn cells(&self, kind: CellKind, pairs: &[(CellName, u32)]) -> Result<Vec<Option<Bytes>>, Refusal> {
        let keys: Vec<CellKey> = pairs.iter().map(|(name, window)| self.key(kind, name, *window)).collect();
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PAGE_CELLS) {
            let cells = self.serve.store.load(keys.to_vec()).await?;
            values.extend(cells.into_iter().map(|cell| cell.map(|cell| cell.value)));
        }
        Ok(values)
    }

    async fn range(
        &self,
        mut range: CellRange,
        mut take: impl FnMut(CellKey, Bytes) -> Result<(), Refusal>,
    ) -> Result<usize, Refusal> {
        let mut number = 0;
        loop {
            let page = self.serve.store.range(range.clone(), PAGE_CELLS).await?;
            number += page.cells.len();
            for (key, cell) in page.cells {
                take(key, cell.value)?;
            }
            match page.next {
                Some(next) => range.from = next,
                None => return Ok(number),
            }
        }
    }
}
