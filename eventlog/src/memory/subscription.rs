//! A reader of the log in memory.
//!
//! Always true here: it hears of partitions in the order in which the group moved them, before any record; what was
//! revoked gives no more records, unless it was taken behind its back.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{MemoryLog, State, refuse_poisoned};
use crate::{Error, Held, Signal, Subscription};

pub(super) struct Reader {
    log: MemoryLog,
    number: usize,
    wake: watch::Receiver<u64>,
    /// Next offset of each partition that is ours; `None` until begun.
    positions: BTreeMap<u32, Option<u64>>,
    /// The partition read last.
    turn: u32,
    is_idle_told: bool,
}

impl Reader {
    pub(super) fn new(log: MemoryLog, number: usize, wake: watch::Receiver<u64>) -> Self {
        Self { log, number, wake, positions: BTreeMap::new(), turn: u32::MAX, is_idle_told: false }
    }

    async fn next_signal(&mut self) -> Result<Signal, Error> {
        let signal = self.when(Self::look).await?;
        self.is_idle_told = matches!(signal, Signal::Idle);
        Ok(signal)
    }

    /// Waits until there is something to see.
    async fn when(
        &mut self,
        look: impl Fn(&mut Self, &mut State) -> Result<Option<Signal>, Error>,
    ) -> Result<Signal, Error> {
        loop {
            // Marked as seen before the look, so that what comes after the look wakes us.
            self.wake.mark_unchanged();
            let log = self.log.clone();
            if let Some(signal) = look(self, &mut log.state())? {
                return Ok(signal);
            }
            if self.wake.changed().await.is_err() {
                return Err(Error::Poisoned("the log is gone".into()));
            }
        }
    }

    /// What the group moved.
    fn moved(&mut self, state: &mut State) -> Result<Option<Signal>, Error> {
        refuse_poisoned(state)?;
        let Some((partition, is_assigned)) = state.readers[self.number].news.pop_front() else { return Ok(None) };
        if is_assigned {
            self.positions.insert(partition, None);
            return Ok(Some(Signal::Assigned { partition }));
        }
        self.positions.remove(&partition);
        Ok(Some(Signal::Revoked { partition }))
    }

    fn look(&mut self, state: &mut State) -> Result<Option<Signal>, Error> {
        if let Some(moved) = self.moved(state)? {
            return Ok(Some(moved));
        }
        let after = self.positions.range(self.turn.saturating_add(1)..);
        let in_turn: Vec<(u32, u64)> =
            after.chain(self.positions.range(..=self.turn)).filter_map(|(&p, &at)| Some((p, at?))).collect();
        for (partition, position) in in_turn {
            let held = state.partitions[partition as usize].held();
            check_held(partition, position, held)?;
            if position < held.end {
                self.turn = partition;
                let from = (position - held.first) as usize;
                let read = state.read_records;
                let records: Vec<_> =
                    state.partitions[partition as usize].records.iter().skip(from).take(read).cloned().collect();
                self.positions.insert(partition, Some(position + records.len() as u64));
                return Ok(Some(Signal::Batch { partition, records }));
            }
        }
        Ok((!self.is_idle_told).then_some(Signal::Idle))
    }
}

fn check_held(partition: u32, asked: u64, Held { first, end }: Held) -> Result<(), Error> {
    if (first..=end).contains(&asked) { Ok(()) } else { Err(Error::OutOfRange { partition, asked, first, end }) }
}

impl Subscription for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Signal, Error>> {
        self.next_signal().boxed()
    }

    fn next_move(&mut self) -> BoxFuture<'_, Result<Signal, Error>> {
        self.when(Self::moved).boxed()
    }

    fn begin(&mut self, partition: u32, position: u64) -> Result<(), Error> {
        let Some(begun) = self.positions.get_mut(&partition) else {
            return Err(Error::Setting(format!("partition {partition} is not assigned to this reader")));
        };
        check_held(partition, position, self.log.state().partitions[partition as usize].held())?;
        *begun = Some(position);
        self.is_idle_told = false;
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.log.change(|state| {
            state.readers[self.number].is_alive = false;
            for partition in &mut state.partitions {
                if partition.owner == Some(self.number) {
                    partition.owner = None;
                }
            }
        });
    }
}
