//! The old path's queue in a file, for a single process.
//!
//! Always true here: an answered send is on the disk, and so is the count of a job's deliveries before it is delivered;
//! a job is out of sight for its visibility time-out by the clock that was passed in; jobs come in the order in which
//! they come into sight; a receipt of a delivery that is not the newest deletes nothing.
//!
//! | table | key | value |
//! |---|---|---|
//! | `jobs` | in sight from (Unix ms), number | deliveries, JSON |
//! | `dead` | number | deliveries, JSON |
//! | `next` | – | number of the next job |

use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ingest::Clock;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::{BATCH_MAX, DELIVERIES_MAX, Delivery, Held, Job, Jobs, Receipt};
use crate::file::{Done, File};
use crate::{Error, WriteError};

/// The file's name in the data directory.
pub const FILE: &str = "oldpath-jobs.redb";

/// In sight from, and number.
type Place = (i64, u64);

const JOBS: TableDefinition<'static, Place, (u32, &'static str)> = TableDefinition::new("jobs");
const DEAD: TableDefinition<'static, u64, (u32, &'static str)> = TableDefinition::new("dead");
const NEXT: TableDefinition<'static, (), u64> = TableDefinition::new("next");

/// A queue in a file.
pub struct EmbeddedJobs {
    file: File,
    clock: Clock,
    visibility: Duration,
    /// Somebody sent.
    sent: Notify,
}

impl std::fmt::Debug for EmbeddedJobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedJobs").field("file", &self.file).finish_non_exhaustive()
    }
}

impl EmbeddedJobs {
    /// Opens the file in this data directory, or makes it. `visibility` is how long a job that was taken stays out of
    /// sight, in whole milliseconds of `clock`.
    ///
    /// # Errors
    /// [`Error::Damaged`] names the file; [`Error::Setting`] when another process has it, when it cannot be made, or
    /// when its layout is unknown.
    pub fn open(data: &Path, visibility: Duration, clock: Clock) -> Result<Self, Error> {
        let file = File::open(&data.join(FILE), |transaction| {
            transaction.open_table(JOBS)?;
            transaction.open_table(DEAD)?;
            transaction.open_table(NEXT)?;
            Ok(())
        })?;
        Ok(Self { file, clock, visibility, sent: Notify::new() })
    }

    /// Why nothing is answered any more but [`Error::Poisoned`], once that is so; then the process must end.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.file.poisoned()
    }

    /// The time at which the first job is in sight, in the past where one is there now.
    async fn first_in_sight(&self) -> Result<Option<i64>, Error> {
        self.file.read(|transaction| Ok(transaction.open_table(JOBS)?.first()?.map(|(place, _)| place.value().0))).await
    }

    /// Takes what is in sight. Jobs that were delivered too often go to the dead letters instead.
    async fn take(&self) -> Result<Vec<Delivery>, Error> {
        let now = (self.clock)();
        let again = now.saturating_add(i64::try_from(self.visibility.as_millis()).unwrap_or(i64::MAX));
        let taken = self.file.write(move |transaction| take(transaction, now, again)).await;
        // Jobs that nobody knows of come into sight again.
        taken.map_err(|error| Error::Unavailable(error.to_string()))
    }

    async fn wait_and_take(&self, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let by = Instant::now() + wait;
        loop {
            // From here on no send is missed.
            let sent = self.sent.notified();
            let first = self.first_in_sight().await?;
            let until = first.map(|first| first.saturating_sub((self.clock)()));
            if until.is_some_and(|until| until <= 0) {
                let taken = self.take().await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
                continue;
            }
            if Instant::now() >= by {
                return Ok(Vec::new());
            }
            let in_sight = until.map(|until| Duration::from_millis(until.unsigned_abs()));
            let in_sight = in_sight.map_or(by, |until| by.min(Instant::now() + until));
            let _ = timeout_at(in_sight, sent).await;
        }
    }
}

impl Jobs for EmbeddedJobs {
    fn send(&self, jobs: Vec<Job>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        let now = (self.clock)();
        Box::pin(async move {
            let (many, jobs) = (jobs.len(), jobs.iter().map(Job::to_json).collect::<Vec<_>>());
            let sent = self.file.write(move |transaction| send(transaction, now, &jobs)).await;
            self.sent.notify_waiters();
            vec![sent; many]
        })
    }

    fn receive(&self, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, Error>> {
        Box::pin(self.wait_and_take(wait))
    }

    fn delete(&self, receipts: Vec<Receipt>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        Box::pin(async move {
            let many = receipts.len();
            let places: Vec<Option<Place>> = receipts.iter().map(read_receipt).collect();
            let deleted = self.file.write(move |transaction| {
                let mut table = transaction.open_table(JOBS)?;
                for place in places.into_iter().flatten() {
                    table.remove(place)?;
                }
                Ok(())
            });
            vec![deleted.await; many]
        })
    }

    fn visibility(&self) -> Duration {
        self.visibility
    }

    fn held(&self) -> BoxFuture<'_, Result<Held, Error>> {
        let now = (self.clock)();
        Box::pin(self.file.read(move |transaction| {
            let jobs = transaction.open_table(JOBS)?;
            let waiting = jobs.range(..=(now, u64::MAX))?.count() as u64;
            let dead = transaction.open_table(DEAD)?.len()?;
            Ok(Held { waiting, taken: jobs.len()? - waiting, dead })
        }))
    }
}

fn send(transaction: &WriteTransaction, now: i64, jobs: &[String]) -> Done<()> {
    let (mut table, mut next) = (transaction.open_table(JOBS)?, transaction.open_table(NEXT)?);
    let mut number = next.get(())?.map_or(0, |next| next.value());
    for json in jobs {
        table.insert((now, number), (0, json.as_str()))?;
        number += 1;
    }
    next.insert((), number)?;
    Ok(())
}

fn take(transaction: &WriteTransaction, now: i64, again: i64) -> Done<Vec<Delivery>> {
    let (mut jobs, mut dead) = (transaction.open_table(JOBS)?, transaction.open_table(DEAD)?);
    let mut taken = Vec::new();
    while taken.len() < BATCH_MAX {
        let Some((place, deliveries, json)) = first(&jobs)?.filter(|(place, ..)| place.0 <= now) else { break };
        jobs.remove(place)?;
        if deliveries >= DELIVERIES_MAX {
            dead.insert(place.1, (deliveries, json.as_str()))?;
            continue;
        }
        let (place, deliveries) = ((again, place.1), deliveries + 1);
        jobs.insert(place, (deliveries, json.as_str()))?;
        taken.push(Delivery { job: Job::from_json(&json), deliveries, receipt: receipt(place) });
    }
    Ok(taken)
}

fn first(jobs: &impl ReadableTable<Place, (u32, &'static str)>) -> Done<Option<(Place, u32, String)>> {
    Ok(jobs.first()?.map(|(place, value)| {
        let (deliveries, json) = value.value();
        (place.value(), deliveries, json.to_owned())
    }))
}

fn receipt((in_sight, number): Place) -> Receipt {
    Receipt(format!("{in_sight}/{number}"))
}

fn read_receipt(receipt: &Receipt) -> Option<Place> {
    let (in_sight, number) = receipt.0.split_once('/')?;
    Some((in_sight.parse().ok()?, number.parse().ok()?))
}
