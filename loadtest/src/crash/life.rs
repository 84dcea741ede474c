//! One life of a server after another, on the same data and port.

use super::phase::Stop;
use crate::api::Api;
use crate::dice::Dice;
use crate::environments::Target;
use crate::http::Connection;
use crate::ledger::{Ledger, Meaning};
use crate::load::{Progress, attempt, now_ms};
use crate::payload::{Maker, payload_id};
use crate::request::Speaker;
use crate::server::{Launch, Server};
use anyhow::{Result, bail, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

const START_LIMIT: Duration = Duration::from_secs(60);
const LAG_LIMIT: Duration = Duration::from_secs(2);
const LOAD_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A server that is started again on the same data and port.
pub(super) struct Lives {
    pub(super) launch: Launch,
    pub(super) address: SocketAddr,
    pub(super) target: Target,
    pub(super) run: u64,
    pub(super) ledger: Arc<Ledger>,
    pub(super) progress: Arc<Progress>,
    /// Starts so far.
    pub(super) started: u64,
}

/// How a start went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) first_2xx_ms: f64,
    /// The lag that the server told when it first answered: records that it folds again, or for the first time.
    pub(super) lag_records: Option<u64>,
}

impl Lives {
    /// Starts it and waits for the first 2xx to a payload.
    pub(super) async fn start(&mut self) -> Result<(Server, Start)> {
        let mut server = Server::spawn(&self.launch)?;
        self.started += 1;
        let began = Instant::now();
        let mut lag = std::pin::pin!(self.first_lag());
        let (mut lag_records, mut lag_told) = (None, false);
        let first_2xx = {
            let mut probe = std::pin::pin!(self.probe(began, &mut server));
            loop {
                tokio::select! {
                    first_2xx = &mut probe => break first_2xx?,
                    lag = &mut lag, if !lag_told => (lag_records, lag_told) = (Some(lag), true),
                }
            }
        };
        if !lag_told {
            lag_records = tokio::time::timeout(LAG_LIMIT, lag).await.ok();
        }
        Ok((server, Start { first_2xx_ms: first_2xx.as_secs_f64() * 1_000.0, lag_records }))
    }

    /// Waits until the clients are at work again: after a crash they all wait for a second, as SDKs do, and a kill then
    /// would hit no one.
    pub(super) async fn wait_for_load(&self, clients: u64) -> Result<()> {
        let began = Instant::now();
        let before = self.progress.acknowledged.load(Ordering::Relaxed);
        while self.progress.acknowledged.load(Ordering::Relaxed) < before + clients {
            ensure!(
                began.elapsed() < LOAD_LIMIT,
                "{clients} clients had fewer payloads than that acknowledged in {} s:{}",
                LOAD_LIMIT.as_secs(),
                self.launch.last_lines()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Starts it and kills it before long.
    pub(super) async fn start_and_kill(&mut self, after: Duration) -> Result<()> {
        let server = Server::spawn(&self.launch)?;
        self.started += 1;
        tokio::time::sleep(after).await;
        block_in_place(|| server.kill())
    }

    /// Stops it: how long that took.
    pub(super) fn stop(&self, mut server: Server, stop: Stop) -> Result<Duration> {
        if let Some(status) = server.ended()? {
            bail!("the server ended by itself, with {status}:{}", self.launch.last_lines());
        }
        let began = Instant::now();
        match stop {
            Stop::Kill => block_in_place(|| server.kill())?,
            Stop::Terminate => {
                server.terminate()?;
                let status = block_in_place(|| server.end(STOP_LIMIT))?;
                ensure!(status.success(), "after SIGTERM the server ended with {status}:{}", self.launch.last_lines());
            }
        }
        Ok(began.elapsed())
    }

    /// Sends a payload of its own, over and over with one id, until it is acknowledged.
    async fn probe(&self, began: Instant, server: &mut Server) -> Result<Duration> {
        let client = u64::from(u32::MAX) - self.started;
        let speaker = Speaker {
            address: self.address,
            target: self.target.clone(),
            sdk: "NodeJSClient/9.13.7",
            application: "application-id/probe application-version/1",
            instance: payload_id(self.run, client, 0),
            chunked: false,
            gzip_share: 0.0,
        };
        let payload = Maker::new(self.run, self.run, client).make(now_ms());
        let mut sendable = speaker.request(payload, &mut Dice::new(self.started))?;
        let mut connection = Connection::new(self.address);
        while began.elapsed() < START_LIMIT {
            let outcome = attempt(&self.ledger, &self.progress, &mut connection, &mut sendable).await?;
            if outcome.meaning() == Meaning::Acknowledged {
                return Ok(began.elapsed());
            }
            ensure!(outcome.is_retryable(), "the server refused a payload for good: {outcome:?}");
            if let Some(status) = server.ended()? {
                bail!("the server ended with {status} when it was started:{}", self.launch.last_lines());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("no payload was acknowledged within {} s of a start:{}", START_LIMIT.as_secs(), self.launch.last_lines())
    }

    /// Asks for the lag until it is told; the caller ends it.
    async fn first_lag(&self) -> u64 {
        let mut api = Api::new(self.address, None);
        loop {
            if let Ok(lag) = api.lag_records().await {
                return lag;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
