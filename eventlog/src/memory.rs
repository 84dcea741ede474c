//! A log in memory, for tests: with controls for what a real group of readers does to its members.
//!
//! Always true here: the same promises as any log while it lives; partitions move between readers only when a test says
//! so (or when a reader is dropped or the first one comes); append times are the test's.
//!
//! ```
//! # use eventlog::{EventLog, memory::MemoryLog};
//! let log = MemoryLog::new(2);
//! let (first, second) = (log.subscribe().unwrap(), log.subscribe().unwrap());
//! log.assign(1, 1); // the first reader is told Revoked, the second Assigned
//! # drop((first, second));
//! ```

mod subscription;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use schemas::log::{Append, Logged, RECORD_BYTES_MAX};
use tokio::sync::watch;

use self::subscription::Reader;
use crate::{Error, EventLog, Held, Subscription};

/// Records a reader gets at a time, unless told otherwise.
const READ_RECORDS: usize = 4096;

/// What shall become of the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused as if the disk were full; nothing is kept.
    Refused,
    /// Kept, but the answer is an error: the one who appends cannot know.
    AnswerLost,
}

/// A log in memory; clones are the same log.
#[derive(Debug, Clone)]
pub struct MemoryLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    partitions: Vec<Partition>,
    /// By number, in order of subscribing.
    readers: Vec<Member>,
    append_ms: i64,
    read_records: usize,
    faults: VecDeque<Fault>,
    poisoned: Option<String>,
}

#[derive(Debug, Default)]
struct Partition {
    /// Offset of the first record held.
    first: u64,
    records: VecDeque<Logged>,
    owner: Option<usize>,
    released: u64,
}

/// What the group knows of a reader.
#[derive(Debug, Default)]
struct Member {
    is_alive: bool,
    /// Partition and whether it was assigned (else revoked), not yet told.
    news: VecDeque<(u32, bool)>,
}

impl Partition {
    fn held(&self) -> Held {
        Held { first: self.first, end: self.first + self.records.len() as u64 }
    }
}

impl State {
    fn take_from_owner(&mut self, partition: u32) {
        if let Some(owner) = self.partitions[partition as usize].owner.take() {
            self.readers[owner].news.push_back((partition, false));
        }
    }

    fn give(&mut self, partition: u32, reader: usize) {
        self.partitions[partition as usize].owner = Some(reader);
        self.readers[reader].news.push_back((partition, true));
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        let state = State {
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            readers: Vec::new(),
            append_ms: 0,
            read_records: READ_RECORDS,
            faults: VecDeque::new(),
            poisoned: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), wake: watch::channel(0).0 }))
    }

    /// Append time of records from now on, Unix milliseconds; may step back.
    pub fn set_append_ms(&self, append_ms: i64) {
        self.change(|state| state.append_ms = append_ms);
    }

    /// Most records a reader gets at a time, at least 1.
    pub fn set_read_records(&self, records: usize) {
        self.change(|state| state.read_records = records.max(1));
    }

    /// Moves a partition to a reader (numbered from 0 in order of subscribing): the owner is told `Revoked`, the reader
    /// `Assigned`, also when they are the same, which is how a group hands a partition out again.
    pub fn assign(&self, partition: u32, reader: usize) {
        self.change(|state| {
            state.take_from_owner(partition);
            state.give(partition, reader);
        });
    }

    /// As [`MemoryLog::assign`], but the old owner is not told and reads on: a zombie.
    pub fn assign_behind_back(&self, partition: u32, reader: usize) {
        self.change(|state| state.give(partition, reader));
    }

    /// Takes a partition away from its owner; nobody has it then.
    pub fn revoke(&self, partition: u32) {
        self.change(|state| state.take_from_owner(partition));
    }

    /// Spreads all partitions over the living readers by turns, telling only those for whom something changes.
    pub fn rebalance(&self) {
        self.change(|state| {
            let alive: Vec<usize> = (0..state.readers.len()).filter(|&reader| state.readers[reader].is_alive).collect();
            for partition in 0..state.partitions.len() {
                let Some(&reader) = alive.get(partition % alive.len().max(1)) else { return };
                if state.partitions[partition].owner != Some(reader) {
                    state.take_from_owner(partition as u32);
                    state.give(partition as u32, reader);
                }
            }
        });
    }

    /// What shall become of the next appends, one each.
    pub fn fail_next(&self, fault: Fault) {
        self.change(|state| state.faults.push_back(fault));
    }

    /// Poisons the log for ever.
    pub fn poison(&self, why: &str) {
        self.change(|state| state.poisoned = Some(why.to_owned()));
    }

    /// How far a partition was released.
    #[must_use]
    pub fn released(&self, partition: u32) -> u64 {
        self.state().partitions[partition as usize].released
    }

    /// Drops what a partition may drop (see [`EventLog::release`]); the log does so only when told.
    pub fn drop_released(&self, partition: u32) {
        let below = self.released(partition);
        self.drop_below(partition, below);
    }

    /// Drops records whether they were released or not: retention that overran its readers.
    pub fn drop_below(&self, partition: u32, below: u64) {
        self.change(|state| {
            let partition = &mut state.partitions[partition as usize];
            let count = below.saturating_sub(partition.first).min(partition.records.len() as u64);
            partition.records.drain(..count as usize);
            partition.first += count;
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes something and wakes all readers.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.0.wake.send_modify(|changes| *changes += 1);
        changed
    }

    fn append_now(&self, records: Vec<Append>) -> Result<Vec<u64>, Error> {
        self.change(|state| {
            refuse_poisoned(state)?;
            for Append { partition, header, body } in &records {
                refuse_unknown(state, *partition)?;
                let size = header.len() + body.len();
                if size > RECORD_BYTES_MAX {
                    let max = RECORD_BYTES_MAX;
                    return Err(Error::Setting(format!("a record of {size} bytes is over the log's limit of {max}")));
                }
            }
            let fault = if records.is_empty() { None } else { state.faults.pop_front() };
            if fault == Some(Fault::Refused) {
                return Err(Error::Full("a test said so".into()));
            }
            let append_ms = state.append_ms;
            let keep = |Append { partition, header, body }: Append| {
                let partition = &mut state.partitions[partition as usize];
                let offset = partition.held().end;
                partition.records.push_back(Logged { offset, append_ms, header, body });
                offset
            };
            let offsets = records.into_iter().map(keep).collect();
            if fault == Some(Fault::AnswerLost) {
                return Err(Error::Unknown("a test said so, they were kept".into()));
            }
            Ok(offsets)
        })
    }
}

fn refuse_unknown(state: &State, partition: u32) -> Result<(), Error> {
    let count = state.partitions.len();
    if (partition as usize) < count {
        return Ok(());
    }
    Err(Error::Setting(format!("there is no partition {partition}; the log has {count}, from 0")))
}

fn refuse_poisoned(state: &State) -> Result<(), Error> {
    state.poisoned.as_ref().map_or(Ok(()), |why| Err(Error::Poisoned(why.clone())))
}

impl EventLog for MemoryLog {
    fn partitions(&self) -> u32 {
        self.state().partitions.len() as u32
    }

    fn append(&self, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        ready(self.append_now(records)).boxed()
    }

    /// A reader gets the partitions that nobody has; others reach it by [`MemoryLog::assign`].
    fn subscribe(&self) -> Result<Box<dyn Subscription>, Error> {
        let number = self.change(|state| {
            refuse_poisoned(state)?;
            let number = state.readers.len();
            state.readers.push(Member { is_alive: true, news: VecDeque::new() });
            for partition in 0..state.partitions.len() {
                if state.partitions[partition].owner.is_none() {
                    state.give(partition as u32, number);
                }
            }
            Ok(number)
        })?;
        Ok(Box::new(Reader::new(self.clone(), number, self.0.wake.subscribe())))
    }

    fn read(&self, partition: u32) -> Result<Box<dyn Subscription>, Error> {
        let number = self.change(|state| {
            refuse_poisoned(state)?;
            refuse_unknown(state, partition)?;
            // No group knows of it: nothing is ever given to it or taken from it.
            let news = VecDeque::from([(partition, true)]);
            state.readers.push(Member { is_alive: false, news });
            Ok(state.readers.len() - 1)
        })?;
        Ok(Box::new(Reader::new(self.clone(), number, self.0.wake.subscribe())))
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        let state = self.state();
        let held = refuse_poisoned(&state).map(|()| state.partitions.iter().map(Partition::held).collect());
        ready(held).boxed()
    }

    fn release(&self, partition: u32, below: u64) {
        self.change(|state| {
            if let Some(partition) = state.partitions.get_mut(partition as usize) {
                partition.released = partition.released.max(below);
            }
        });
    }
}
