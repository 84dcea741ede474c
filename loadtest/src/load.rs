//! Clients that behave like server SDKs, each with its ledger lines.
//!
//! Always true here: a payload is retried once, one second later, with the same id, when the SDK would; a client that
//! gets any other 4xx falls silent, as an SDK does; every wait has a limit; when the load is stopped each client ends
//! what it began.

mod client;
mod settle;

use crate::environments::Target;
use crate::ledger::Ledger;
use crate::request::Sendable;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub(crate) use client::attempt;
pub(crate) use settle::settle;

/// How long an SDK waits for an answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an SDK waits before it sends a payload again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the clients do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) target: Target,
    pub(crate) clients: u64,
    pub(crate) seed: u64,
    /// Makes payload ids differ between runs of one seed.
    pub(crate) run: u64,
    /// Payloads a second of all clients together; none = each sends the next when the last is done.
    pub(crate) rate: Option<f64>,
    /// Payloads of all clients together; none = until stopped.
    pub(crate) payloads: Option<u64>,
    /// Share of bodies that are compressed, 0 to 1.
    pub(crate) gzip_share: f64,
    /// Share of acknowledged payloads after which one is sent again, the same or an earlier one, 0 to 1.
    pub(crate) duplicate_share: f64,
}

/// Numbers that grow while the clients run.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) attempts: AtomicU64,
    /// Attempts answered 2xx.
    pub(crate) acknowledged: AtomicU64,
    /// Attempts after which nothing is known.
    pub(crate) unknown: AtomicU64,
    /// Those of them that were answered, with a 5xx or another status that the SDK retries.
    pub(crate) denied: AtomicU64,
    /// Attempts refused for good.
    pub(crate) refused: AtomicU64,
    /// Attempts that made no connection.
    pub(crate) not_connected: AtomicU64,
    /// Payloads sent again though they had been acknowledged.
    pub(crate) duplicates: AtomicU64,
    /// Clients fallen silent, as an SDK does after a 4xx that it does not retry.
    pub(crate) silenced: AtomicU64,
    /// Elements of the arrays in acknowledged attempts.
    pub(crate) elements: AtomicU64,
    /// Evaluations in acknowledged attempts.
    pub(crate) evaluations: AtomicU64,
    /// Microseconds from when a payload was due to its 2xx.
    latency_us: Mutex<Histogram<u64>>,
}

impl Progress {
    /// All numbers 0.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            attempts: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            not_connected: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            silenced: AtomicU64::new(0),
            elements: AtomicU64::new(0),
            evaluations: AtomicU64::new(0),
            latency_us: Mutex::new(Histogram::new_with_bounds(1, 600_000_000, 3)?),
        }))
    }

    fn took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.latency_us.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us);
    }

    /// Latency at quantiles, in milliseconds.
    pub(crate) fn latency_ms(&self, quantiles: &[f64]) -> Vec<f64> {
        let histogram = self.latency_us.lock().unwrap_or_else(PoisonError::into_inner);
        quantiles.iter().map(|quantile| histogram.value_at_quantile(*quantile) as f64 / 1_000.0).collect()
    }
}

/// Clients at work.
pub(crate) struct Load {
    tasks: JoinSet<Result<Vec<Sendable>>>,
    stop: Arc<AtomicBool>,
}

/// What all clients of a load share.
struct Shared {
    plan: Plan,
    ledger: Arc<Ledger>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    start: Instant,
    /// Payloads begun so far.
    begun: AtomicU64,
}

impl Load {
    /// Starts the clients.
    pub(crate) fn start(plan: Plan, ledger: Arc<Ledger>, progress: Arc<Progress>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = plan.clients;
        let begun = AtomicU64::new(0);
        let shared = Arc::new(Shared { plan, ledger, progress, stop: Arc::clone(&stop), start: Instant::now(), begun });
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            tasks.spawn(client::run(Arc::clone(&shared), number));
        }
        Self { tasks, stop }
    }

    /// Waits until all clients are done by themselves.
    ///
    /// # Errors
    /// The ledger could not be written.
    pub(crate) async fn done(&mut self, unsettled: &mut Vec<Sendable>) -> Result<()> {
        while let Some(client) = self.tasks.join_next().await {
            unsettled.extend(client??);
        }
        Ok(())
    }

    /// Stops the clients and waits until each has ended what it began: the payloads that no 2xx and no refusal has
    /// settled.
    ///
    /// # Errors
    /// The ledger could not be written.
    pub(crate) async fn stop(mut self) -> Result<Vec<Sendable>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut unsettled = Vec::new();
        self.done(&mut unsettled).await?;
        Ok(unsettled)
    }
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
