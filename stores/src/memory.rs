//! A store in memory, for tests and the simulation, with the manners of a remote one.
//!
//! Always true here: a cell is put exactly as DynamoDB would under `attribute_not_exists(h) OR h < :h`, where a refusal
//! with an equal h counts as success, or, where the last write wins, as Cassandra would by a timestamp that is h; each
//! cell of a write stands alone; a call can be made to fail before, in the middle of or after taking effect.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemas::cell::{CellAddress, CellKey, CellRange};

use crate::breakage::{Break, Breakage};
use crate::{CellWrite, Checkpoint, Error, Owner, Page, Store, StoredCell, WriteAnswer, protocol};

/// How a call fails; the caller sees [`Error::Unavailable`] each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it takes effect.
    Before,
    /// The first half of the cells (rounded down) takes effect; of any call but a write of cells, nothing.
    Midway,
    /// All of it takes effect, and the answer is lost.
    After,
}

/// A store in memory. The holders of an `Arc` of it are the processes that share it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    held: Mutex<Held>,
    last_write_wins: bool,
    breakage: Breakage,
}

#[derive(Debug, Default)]
struct Held {
    cells: BTreeMap<CellAddress, StoredCell>,
    checkpoints: HashMap<(u32, u32), Checkpoint>,
    owners: HashMap<(u32, u32), Owner>,
    generations: HashMap<u32, Bytes>,
    calls: u64,
    faults: HashMap<u64, Fault>,
    down: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that breaks a rule ([`Break::Unconditional`] is the only one it knows).
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn breaking(rule: Break) -> Self {
        Self { breakage: Breakage::of(rule), ..Self::default() }
    }

    /// The same, but that of two cells the one with the higher h stays, at a tie the larger bytes, and nobody is told.
    #[must_use]
    pub fn where_the_last_write_wins(mut self) -> Self {
        self.last_write_wins = true;
        self
    }

    /// Makes the `nth` call from now on (1 = the next, reads count too) fail.
    pub fn fail_call(&self, nth: u64, fault: Fault) {
        let mut held = self.held();
        let call = held.calls + nth;
        held.faults.insert(call, fault);
    }

    /// Makes every call fail without effect until this is called with `false`.
    pub fn set_down(&self, down: bool) {
        self.held().down = down;
    }

    /// How many calls there were, failed ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.held().calls
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one call: counts it, and lets it fail where a fault was set for it.
    fn call<T: Send + 'static>(
        &self,
        apply: impl FnOnce(&mut Held, Option<Fault>) -> Result<T, Error>,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let mut held = self.held();
        held.calls += 1;
        let number = held.calls;
        let fault = if held.down { Some(Fault::Before) } else { held.faults.remove(&number) };
        let refusal = |when| Err(Error::Unavailable(format!("call {number} was made to fail {when} taking effect")));
        let answer = match fault {
            None => apply(&mut held, None),
            Some(Fault::Before) => refusal("before"),
            Some(Fault::Midway) => apply(&mut held, fault).and(refusal("midway in")),
            Some(Fault::After) => apply(&mut held, fault).and(refusal("after")),
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Held {
    fn put_by_timestamp(&mut self, write: CellWrite, breakage: Breakage) -> WriteAnswer {
        let address = write.key.address();
        let told = |cell: &StoredCell| (protocol::timestamp(cell.h), cell.value.clone());
        let there = self.cells.get(&address);
        if breakage.is(Break::Unconditional)
            || there.is_none_or(|there| protocol::supersedes(told(&write.cell), told(there)))
        {
            self.cells.insert(address, write.cell);
        }
        WriteAnswer::Stored
    }

    fn put(&mut self, write: CellWrite, breakage: Breakage) -> WriteAnswer {
        let address = write.key.address();
        match self.cells.get(&address) {
            Some(there) if !protocol::may_put(Some(there.h), write.cell.h) && !breakage.is(Break::Unconditional) => {
                protocol::cell_refused(there.clone(), write.cell.h)
            }
            _ => {
                self.cells.insert(address, write.cell);
                WriteAnswer::Stored
            }
        }
    }

    fn page(&self, range: &CellRange, limit: usize) -> Result<Page, Error> {
        let from = CellAddress { row: range.row.clone(), sort: range.from.clone() };
        let mut page = Page::default();
        for (address, cell) in self.cells.range((Bound::Included(from), Bound::Unbounded)) {
            if address.row != range.row || range.to.as_ref().is_some_and(|to| address.sort >= *to) {
                break;
            }
            if page.cells.len() == limit.max(1) {
                page.next = Some(address.sort.clone());
                break;
            }
            let key = CellKey::from_address(&address.row, &address.sort).ok_or_else(|| Error::Damaged {
                place: format!("cell {}{}", address.row.escape_ascii(), address.sort.escape_ascii()),
                what: "its key is no cell key".to_owned(),
            })?;
            page.cells.push((key, cell.clone()));
        }
        Ok(page)
    }
}

impl Store for MemoryStore {
    fn last_write_wins(&self) -> bool {
        self.last_write_wins
    }

    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, Error>> {
        self.call(|held, _| Ok(keys.iter().map(|key| held.cells.get(&key.address()).cloned()).collect()))
    }

    fn write(&self, mut cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, Error>> {
        let breakage = self.breakage;
        let put = if self.last_write_wins { Held::put_by_timestamp } else { Held::put };
        self.call(move |held, fault| {
            if fault == Some(Fault::Midway) {
                cells.truncate(cells.len() / 2);
            }
            Ok(cells.into_iter().map(|write| put(held, write, breakage)).collect())
        })
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, Error>> {
        self.call(|held, _| held.page(&range, limit))
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        self.call(|held, _| Ok(held.checkpoints.get(&(generation, partition)).copied()))
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        let breakage = self.breakage;
        self.call(move |held, fault| {
            if fault == Some(Fault::Midway) {
                return Ok(false);
            }
            match held.checkpoints.get(&(generation, partition)) {
                Some(there)
                    if !protocol::may_put_checkpoint(Some(there), &checkpoint)
                        && !breakage.is(Break::Unconditional) =>
                {
                    Ok(protocol::checkpoint_refused(there, &checkpoint))
                }
                _ => {
                    held.checkpoints.insert((generation, partition), checkpoint);
                    Ok(true)
                }
            }
        })
    }

    fn tell_owner(&self, generation: u32, partition: u32, owner: Owner) -> BoxFuture<'_, Result<(), Error>> {
        self.call(move |held, fault| {
            let there = held.owners.get(&(generation, partition));
            if fault != Some(Fault::Midway) && there.is_none_or(|there| there.told_ms < owner.told_ms) {
                held.owners.insert((generation, partition), owner);
            }
            Ok(())
        })
    }

    fn owners(&self, generation: u32, partitions: u32) -> BoxFuture<'_, Result<Vec<Option<Owner>>, Error>> {
        self.call(|held, _| {
            Ok((0..partitions).map(|partition| held.owners.get(&(generation, partition)).cloned()).collect())
        })
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        self.call(|held, _| Ok(held.generations.get(&number).cloned()))
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>> {
        let breakage = self.breakage;
        self.call(move |held, fault| {
            if fault == Some(Fault::Midway) {
                return Ok(row);
            }
            if breakage.is(Break::Unconditional) {
                held.generations.insert(number, row.clone());
            }
            Ok(held.generations.entry(number).or_insert(row).clone())
        })
    }
}
