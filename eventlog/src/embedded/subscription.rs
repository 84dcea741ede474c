//! A reader of the embedded log: a cursor for each of its partitions, in turn; woken by the committer, never polling.
//!
//! Always true here: files are read on tokio's blocking threads; a read that was under way when its future was dropped
//! is picked up by the next call; at the end of what is durable the reader says [`Signal::Idle`] once, then waits.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::log::Logged;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cursor::{Cursor, Source};
use crate::{Error, Held, Signal, Subscription};

/// A reader of some partitions.
pub(super) struct Reader {
    source: Arc<Source>,
    unannounced: VecDeque<u32>,
    owned: Vec<Owned>,
    /// Who is asked first next time, so that one busy partition does not starve the others.
    turn: usize,
    is_idle_told: bool,
    under_way: Option<UnderWay>,
    wake: watch::Receiver<u64>,
    poisoned: watch::Receiver<Option<String>>,
}

struct Owned {
    partition: u32,
    /// `None` until the reader has begun, and while the cursor is away reading.
    cursor: Option<Cursor>,
    /// How often the reader has begun here: a read that was under way before the last time is thrown away.
    begins: u64,
}

struct UnderWay {
    index: usize,
    begins: u64,
    read: JoinHandle<(Cursor, Result<Vec<Logged>, Error>)>,
}

impl Reader {
    pub(super) fn new(
        source: Arc<Source>,
        partitions: &[u32],
        wake: watch::Receiver<u64>,
        poisoned: watch::Receiver<Option<String>>,
    ) -> Self {
        let owned = partitions.iter().map(|&partition| Owned { partition, cursor: None, begins: 0 }).collect();
        let unannounced = partitions.iter().copied().collect();
        Self { source, unannounced, owned, turn: 0, is_idle_told: false, under_way: None, wake, poisoned }
    }

    async fn next_signal(&mut self) -> Result<Signal, Error> {
        loop {
            if let Some(signal) = self.announce()? {
                return Ok(signal);
            }
            if self.under_way.is_none() {
                // Marked as seen before the look, so that what comes after the look wakes us.
                self.wake.mark_unchanged();
                self.under_way = self.start_read();
            }
            if self.under_way.is_some() {
                if let Some(signal) = self.finish_read().await? {
                    self.is_idle_told = false;
                    return Ok(signal);
                }
            } else if !self.is_idle_told {
                self.is_idle_told = true;
                return Ok(Signal::Idle);
            } else {
                self.wait().await?;
            }
        }
    }

    /// What is this reader's from the beginning is told once, and never goes.
    async fn next_moved(&mut self) -> Result<Signal, Error> {
        loop {
            if let Some(signal) = self.announce()? {
                return Ok(signal);
            }
            self.wait().await?;
        }
    }

    fn announce(&mut self) -> Result<Option<Signal>, Error> {
        if let Some(why) = self.poisoned.borrow().clone() {
            return Err(Error::Poisoned(why));
        }
        Ok(self.unannounced.pop_front().map(|partition| Signal::Assigned { partition }))
    }

    /// Sends the next cursor that has something before it off to read.
    fn start_read(&mut self) -> Option<UnderWay> {
        let held: Vec<u64> = self.source.view.read().held.iter().map(|held| held.end).collect();
        let count = self.owned.len();
        let has_more = |owned: &Owned| {
            owned.cursor.as_ref().is_some_and(|cursor| cursor.position < held[cursor.partition as usize])
        };
        let index = (0..count).map(|step| (self.turn + step) % count).find(|&index| has_more(&self.owned[index]))?;
        self.turn = index + 1;
        let owned = &mut self.owned[index];
        let mut cursor = owned.cursor.take()?;
        let source = Arc::clone(&self.source);
        let read = tokio::task::spawn_blocking(move || {
            let records = cursor.read(&source);
            (cursor, records)
        });
        Some(UnderWay { index, begins: owned.begins, read })
    }

    /// Waits for the read that is under way; `None` when it brought nothing, or nothing that is still wanted.
    async fn finish_read(&mut self) -> Result<Option<Signal>, Error> {
        let Some(under_way) = &mut self.under_way else { return Ok(None) };
        let read = (&mut under_way.read).await;
        let (index, begins) = (under_way.index, under_way.begins);
        self.under_way = None;
        let (cursor, records) =
            read.map_err(|error| Error::io("reading the log", std::io::Error::other(error.to_string())))?;
        let owned = &mut self.owned[index];
        if owned.begins != begins {
            return Ok(None);
        }
        let partition = owned.partition;
        owned.cursor = Some(cursor);
        let records = records?;
        Ok((!records.is_empty()).then_some(Signal::Batch { partition, records }))
    }

    /// Waits for a batch to become durable. The committer's end, for whatever reason, ends the wait too.
    async fn wait(&mut self) -> Result<(), Error> {
        if self.wake.changed().await.is_ok() {
            return Ok(());
        }
        let why = self.poisoned.borrow().clone();
        Err(Error::Poisoned(why.unwrap_or_else(|| "the log was closed".into())))
    }
}

impl Subscription for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Signal, Error>> {
        self.next_signal().boxed()
    }

    fn next_move(&mut self) -> BoxFuture<'_, Result<Signal, Error>> {
        self.next_moved().boxed()
    }

    fn begin(&mut self, partition: u32, position: u64) -> Result<(), Error> {
        let Some(owned) = self.owned.iter_mut().find(|owned| owned.partition == partition) else {
            return Err(Error::Setting(format!("partition {partition} is not assigned to this reader")));
        };
        let Held { first, end } = self.source.view.held(partition);
        if !(first..=end).contains(&position) {
            return Err(Error::OutOfRange { partition, asked: position, first, end });
        }
        owned.begins += 1;
        owned.cursor = Some(Cursor::new(partition, position));
        self.is_idle_told = false;
        Ok(())
    }
}
