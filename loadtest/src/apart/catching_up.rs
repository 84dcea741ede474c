//! How soon what waited for the store is counted, when it is well again.
//!
//! Always true here: what is waited for was in the log at the first answer; the load that goes on meanwhile has no part.

use super::house::ADMIN_KEY;
use crate::api::Api;
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const CAUGHT_UP_LIMIT: Duration = Duration::from_secs(180);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What waited, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaughtUp {
    /// Records that were not durable in the store.
    pub(super) waiting: u64,
    pub(super) took: Duration,
}

/// Waits until everything that is in the log now is durable in the store.
///
/// # Errors
/// It is not, within three minutes.
pub(super) async fn catch_up(reads: SocketAddr) -> Result<CaughtUp> {
    let began = Instant::now();
    let mut api = Api::new(reads, Some(ADMIN_KEY.to_owned()));
    let (mut marks, mut waiting) = (None, 0);
    loop {
        // Who reads waits for the store as well, and then there are none.
        if let Some(standings) = api.standings().await? {
            let marks: &mut Vec<u64> = marks.get_or_insert_with(|| {
                waiting = standings.iter().map(|standing| standing.end.saturating_sub(standing.position)).sum();
                standings.iter().map(|standing| standing.end).collect()
            });
            if standings.iter().zip(marks).all(|(standing, mark)| standing.position >= *mark) {
                return Ok(CaughtUp { waiting, took: began.elapsed() });
            }
        }
        let took = began.elapsed();
        ensure!(took < CAUGHT_UP_LIMIT, "{waiting} records waited, and not all are counted after {took:.0?}");
        tokio::time::sleep(ASK_EVERY).await;
    }
}
