//! Rows that are written and read as all others are, at each start, to see whether that is so.
//!
//! A deletion by hand carries the time of a clock, 10¹⁵ and more, where our writes carry offsets: until it is compacted
//! away it hides everything that is written in its place, and nobody says so. And a guardrail may refuse timestamps so
//! far back, or any that are given. The canary notices both, as the user that we are. It speaks for its own rows alone:
//! who deletes a single cell's row hides that cell and not the canary.

use schemas::cell::CellAddress;
use scylla::errors::DbError;

use super::client::{failed, said};
use super::row::{self, Value};
use super::{CassandraStore, FOR_EVER};
use crate::Error;
use crate::table::Table;

/// No other row's key is so short and begins so.
fn address() -> CellAddress {
    CellAddress { row: b"canary".to_vec(), sort: Vec::new() }
}

impl CassandraStore {
    /// Fails where a write of ours is refused or hidden. A user that may only read is not tried.
    pub(super) async fn try_canary(&self) -> Result<(), Error> {
        let now_s = (self.options.now_s)();
        let hour = u32::try_from(now_s / 3_600).unwrap_or(u32::MAX);
        // The newest start's stays, so that one whose time is over does not hide the next.
        let value = Value { h: now_s, rest: b"alive".to_vec() };
        for table in Table::ALL {
            let lives_s = match table {
                Table::Hours => row::lives_s(hour, self.options.keep_days, now_s),
                _ => FOR_EVER,
            };
            let name = self.name(table);
            if let Err(error) = self.put(table, &address(), &value, lives_s).await {
                return match said(&error) {
                    Some((DbError::Unauthorized, _)) => {
                        tracing::info!(table = name, "may only read: whether writes would hold is not tried");
                        Ok(())
                    }
                    Some((DbError::Invalid, words)) => Err(Error::Setting(refused(&name, words))),
                    _ => Err(failed("write", &name, &error)),
                };
            }
            let found = self.get(table, &address()).await?;
            // Another process may start a second later.
            if found.is_none_or(|found| found.h < value.h) {
                return Err(Error::Setting(hidden(&name)));
            }
        }
        Ok(())
    }
}

fn refused(table: &str, words: &str) -> String {
    format!(
        "Cassandra refuses a write to {table} as all of ours are: {words}; timestamps are offsets here, which as times lie in \
         1970, and hours expire after `[store] keep_days`: the guardrails user_timestamps_enabled and \
         minimum_timestamp_fail_threshold in every node's cassandra.yaml must allow that"
    )
}

/// What is said of a row that was written and is not there.
pub(super) fn hidden(what: &str) -> String {
    format!(
        "what is written to {what} is not there afterwards: a deletion by hand, with the time of a clock, hides it (offsets are \
         the timestamps here); counts may be hidden too: fold the log anew with another `[store] keyspace` and \
         `[log] generation`"
    )
}
