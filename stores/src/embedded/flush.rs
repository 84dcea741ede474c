//! The rules of writing: what is looked at before anything of a flush is put, and then the puts.
//!
//! Always true here: a flush is looked at whole before its first put; a cell is put when the store's h is lower, left
//! as it is when equal, and a higher one refuses the whole flush; a checkpoint never falls; state never falls and never
//! stands above its partition's checkpoint (else a replayed record would find its own effect there already).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::committer::{Tables, Weight};
use super::tables::{self, Name};
use super::{Fail, state_rows};
use crate::breakage::Break;
use crate::{CellWrite, Checkpoint, Error, Flush, StateChanges, StoredCell, WriteAnswer, protocol};

/// What became of a flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flushed {
    /// All of it is on the disk.
    Durable,
    /// Nothing of it was written, for the store is ahead of it.
    Refused(Ahead),
}

/// Where the store is ahead of a refused flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Cells whose h is higher in the store, by their index in the flush: value and h must be adopted together.
    pub cells: Vec<(usize, StoredCell)>,
    /// The store's checkpoint, if it is higher.
    pub checkpoint: Option<Checkpoint>,
}

/// Cells to be put, by key, so that they go into the tree in its order.
type Puts = BTreeMap<Vec<u8>, StoredCell>;

/// What of a partition goes into one transaction: a whole flush, or a part of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    pub(super) generation: u32,
    pub(super) partition: u32,
    pub(super) cells: Vec<CellWrite>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) state: Option<StateChanges>,
}

impl From<Flush> for Parts {
    fn from(flush: Flush) -> Self {
        let Flush { generation, partition, cells, checkpoint, state } = flush;
        Self { generation, partition, cells, checkpoint: Some(checkpoint), state: Some(state) }
    }
}

impl Parts {
    /// Nothing of a partition yet.
    pub(super) fn of(generation: u32, partition: u32) -> Self {
        Self { generation, partition, ..Self::default() }
    }

    pub(super) fn weight(&self) -> Weight {
        let state = self.state.as_ref().map(state_rows::weight_of).unwrap_or_default();
        let cells: usize = self.cells.iter().map(|write| write.cell.value.len()).sum();
        Weight {
            scattered: self.cells.len() + state.scattered + 1,
            side_by_side: state.side_by_side,
            bytes: cells + state.bytes,
        }
    }

    pub(super) fn apply(&self, tables: &mut Tables<'_>) -> Result<Flushed, Fail> {
        let mut ahead = Ahead::default();
        let mut puts = Puts::new();
        for (index, write) in self.cells.iter().enumerate() {
            if let WriteAnswer::Refused(cell) = plan(tables, &mut puts, write)? {
                ahead.cells.push((index, cell));
            }
        }
        let checkpoint_key = tables::partition_key(self.generation, self.partition);
        let there = checkpoint(tables, &checkpoint_key)?;
        if let (Some(there), Some(new)) = (there, self.checkpoint) {
            let conditional = !tables.breakage.is(Break::Unconditional);
            ahead.checkpoint = (!protocol::checkpoint_refused(&there, &new) && conditional).then_some(there);
        }
        if ahead != Ahead::default() {
            return Ok(Flushed::Refused(ahead));
        }
        if let Some(state) = &self.state {
            check_state_below(tables, self.generation, self.partition, self.checkpoint, state.position)?;
            state_rows::check_rises(tables, self.generation, self.partition, state.position)?;
        }
        // Nothing below may fail but by the engine.
        put(tables, puts)?;
        let unless_there = |new: &Checkpoint| {
            protocol::may_put_checkpoint(there.as_ref(), new) || tables.breakage.is(Break::Unconditional)
        };
        if let Some(new) = self.checkpoint.filter(unless_there) {
            let sealed = tables::seal_checkpoint(&checkpoint_key, &new);
            tables.checkpoints.insert(checkpoint_key.as_slice(), sealed.as_slice())?;
        }
        if let Some(state) = &self.state {
            state_rows::save(tables, self.generation, self.partition, state)?;
        }
        Ok(Flushed::Durable)
    }
}

/// Puts each cell on its own condition; a refused one does not keep the others back.
pub(super) fn write_each(tables: &mut Tables<'_>, cells: &[CellWrite]) -> Result<Vec<WriteAnswer>, Fail> {
    let mut puts = Puts::new();
    let answers = cells.iter().map(|write| plan(tables, &mut puts, write)).collect::<Result<_, _>>()?;
    put(tables, puts)?;
    Ok(answers)
}

/// Writes a generation's row unless there is one; gives what is there then.
pub(super) fn create_generation(tables: &mut Tables<'_>, number: u32, row: Bytes) -> Result<Bytes, Fail> {
    let key = number.to_be_bytes();
    let there = tables::get(&tables.generations, Name::Generations, &key, tables.breakage)?;
    if let Some(there) = there.filter(|_| !tables.breakage.is(Break::Unconditional)) {
        return Ok(there);
    }
    let sealed = tables::seal(Name::Generations, &key, &[&row]);
    tables.generations.insert(key.as_slice(), sealed.as_slice())?;
    Ok(row)
}

/// Refuses a state position above the checkpoint, the one that is written with it or else the one that is there.
pub(super) fn check_state_below(
    tables: &Tables<'_>,
    generation: u32,
    partition: u32,
    written_with_it: Option<Checkpoint>,
    position: u64,
) -> Result<(), Fail> {
    let there = checkpoint(tables, &tables::partition_key(generation, partition))?;
    let top = written_with_it.or(there).map_or(0, |checkpoint| checkpoint.position);
    if position > top {
        return Err(Fail::Job(Error::Setting(format!(
            "state of generation {generation}, partition {partition} at position {position} would stand above the \
             checkpoint at {top}, so the cells in between would be lost; write the checkpoint first or together with it"
        ))));
    }
    Ok(())
}

fn checkpoint(tables: &Tables<'_>, key: &[u8]) -> Result<Option<Checkpoint>, Fail> {
    let bytes = tables::get(&tables.checkpoints, Name::Checkpoints, key, tables.breakage)?;
    Ok(bytes.map(|bytes| tables::read_checkpoint(key, &bytes)).transpose()?)
}

/// What the condition says of one cell, seeing what was planned before it.
fn plan(tables: &Tables<'_>, puts: &mut Puts, write: &CellWrite) -> Result<WriteAnswer, Fail> {
    let address = write.key.address();
    let key = tables::cell_key(&address.row, &address.sort)?;
    let there = match puts.get(&key) {
        Some(planned) => Some(planned.clone()),
        None => {
            let bytes = tables::get(&tables.cells, Name::Cells, &key, tables.breakage)?;
            bytes.map(|bytes| tables::read_cell(&key, &bytes)).transpose()?
        }
    };
    let h = write.cell.h;
    match there {
        Some(there) if !protocol::may_put(Some(there.h), h) && !tables.breakage.is(Break::Unconditional) => {
            Ok(protocol::cell_refused(there, h))
        }
        _ => {
            puts.insert(key, write.cell.clone());
            Ok(WriteAnswer::Stored)
        }
    }
}

fn put(tables: &mut Tables<'_>, puts: Puts) -> Result<(), Fail> {
    for (key, cell) in puts {
        let sealed = tables::seal(Name::Cells, &key, &[&cell.h.to_be_bytes(), &cell.value]);
        tables.cells.insert(key.as_slice(), sealed.as_slice())?;
    }
    Ok(())
}
