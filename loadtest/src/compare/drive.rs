//! Connections that each keep one request in flight.

use super::bodies::Templates;
use crate::http::Connection;
use crate::load::now_ms;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long the last answers may take once the load is stopped.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// The connections to one server.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
}

struct Lane {
    connection: Connection,
    templates: Templates,
}

/// What a drive brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Driven {
    /// Answered 2xx.
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// From the first request to the last answer.
    pub(super) seconds: f64,
}

impl Lanes {
    /// Connections yet to be made.
    pub(super) fn new(address: SocketAddr, templates: Vec<Templates>) -> Self {
        let lanes = templates.into_iter().map(|templates| Lane { connection: Connection::new(address), templates });
        Self { lanes: lanes.collect() }
    }

    pub(super) fn body_bytes_mean(&self) -> f64 {
        self.mean(|(bytes, _, _)| bytes as f64)
    }

    pub(super) fn elements_mean(&self) -> f64 {
        self.mean(|(_, elements, _)| elements as f64)
    }

    fn mean(&self, number: impl Fn((usize, u64, usize)) -> f64) -> f64 {
        let sizes = || self.lanes.iter().map(|lane| lane.templates.sizes());
        sizes().map(number).sum::<f64>() / sizes().map(|(_, _, count)| count as f64).sum::<f64>()
    }

    /// Makes every connection and sends one request over each, so that none of this is measured.
    pub(super) async fn connect(&mut self) -> Result<()> {
        for lane in &mut self.lanes {
            let request = lane.templates.next(now_ms());
            let status = tokio::time::timeout(DRAIN_LIMIT, lane.connection.exchange(request)).await??;
            ensure!(
                (200..300).contains(&status),
                "the server answered {status} to a body of this class; see its limits"
            );
        }
        Ok(())
    }

    /// Keeps a request in flight on every connection for `length`, and then waits for the last answers.
    pub(super) async fn drive(&mut self, length: Duration) -> Result<Driven> {
        let stop = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let mut busy = JoinSet::new();
        for lane in self.lanes.drain(..) {
            busy.spawn(keep_busy(lane, Arc::clone(&stop)));
        }
        tokio::time::sleep(length).await;
        stop.store(true, Ordering::Relaxed);
        let mut all = Driven::default();
        while !busy.is_empty() {
            let joined = tokio::time::timeout(DRAIN_LIMIT, busy.join_next()).await;
            let joined =
                joined.with_context(|| format!("a request had no answer within {} s", DRAIN_LIMIT.as_secs()))?;
            let Some(joined) = joined else { break };
            let (lane, driven) = joined?;
            all.answered += driven.answered;
            all.failed += driven.failed;
            self.lanes.push(lane);
        }
        all.seconds = start.elapsed().as_secs_f64();
        Ok(all)
    }
}

async fn keep_busy(mut lane: Lane, stop: Arc<AtomicBool>) -> (Lane, Driven) {
    let mut driven = Driven::default();
    while !stop.load(Ordering::Relaxed) {
        match lane.connection.exchange(lane.templates.next(now_ms())).await {
            Ok(200..=299) => driven.answered += 1,
            _ => driven.failed += 1,
        }
    }
    (lane, driven)
}
