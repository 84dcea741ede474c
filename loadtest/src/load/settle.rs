//! Settles payloads about which nothing is known: each is sent again, with its id, until it is acknowledged.
//!
//! Always true here: after it has succeeded, every payload that it was given is to be counted exactly once, so that a
//! check has no room left. It relies on the dedupe window, which is far longer than a test.

use super::{Progress, attempt};
use crate::http::Connection;
use crate::ledger::{Ledger, Meaning};
use crate::request::Sendable;
use anyhow::{Result, bail};
use std::net::SocketAddr;
use std::time::Duration;

const ATTEMPTS_MAX: u32 = 60;
const WAIT: Duration = Duration::from_millis(500);

/// Settles them all: how many.
///
/// # Errors
/// A payload is refused, or not acknowledged after 60 attempts.
pub(crate) async fn settle(
    address: SocketAddr,
    ledger: &Ledger,
    progress: &Progress,
    unsettled: Vec<Sendable>,
) -> Result<u64> {
    let count = unsettled.len() as u64;
    let mut connection = Connection::new(address);
    for mut sendable in unsettled {
        settle_one(&mut connection, ledger, progress, &mut sendable).await?;
    }
    Ok(count)
}

async fn settle_one(
    connection: &mut Connection,
    ledger: &Ledger,
    progress: &Progress,
    sendable: &mut Sendable,
) -> Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        let outcome = attempt(ledger, progress, connection, sendable).await?;
        match outcome.meaning() {
            Meaning::Acknowledged => return Ok(()),
            Meaning::Refused if !outcome.is_retryable() => {
                bail!("payload {} was refused when sent again: {outcome:?}", sendable.id)
            }
            _ => tokio::time::sleep(WAIT).await,
        }
    }
    bail!("payload {} was not acknowledged in {ATTEMPTS_MAX} attempts; see the ledger for the answers", sendable.id)
}
