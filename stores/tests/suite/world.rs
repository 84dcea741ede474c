//! What the tests of the embedded store write, and what must then be in it.
//!
//! Always true here: the content of a partition after its n-th flush follows from the seed and n alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::id::Environment;
use stores::embedded::{Embedded, Options};
use stores::{CellWrite, Checkpoint, Error, Flush, StateChanges, Store, StoredCell};

use crate::disk::Dice;

pub(crate) const GENERATION: u32 = 1;

pub(crate) fn key(partition: u32, flag: u64) -> CellKey {
    CellKey {
        generation: GENERATION,
        partition,
        kind: CellKind::Usage,
        environment: Environment::new("project", "environment").unwrap(),
        name: CellName::Key(Bytes::from(format!("flag-{flag}"))),
        window: 7,
    }
}

pub(crate) fn checkpoint(position: u64) -> Checkpoint {
    Checkpoint { position, definition_version: 1, fingerprint: position as u32, log_time_ms: position as i64 }
}

/// A flush that says nothing but its position.
pub(crate) fn bare_flush(partition: u32, position: u64) -> Flush {
    Flush {
        generation: GENERATION,
        partition,
        cells: vec![CellWrite {
            key: key(partition, 0),
            cell: StoredCell { h: position, value: Bytes::from(format!("value at {position}")) },
        }],
        checkpoint: checkpoint(position),
        state: StateChanges {
            put: vec![(Bytes::from(position.to_be_bytes().to_vec()), Bytes::from_static(b"remembered"))],
            remove: Vec::new(),
            position,
        },
    }
}

/// Everything that a partition's flushes have put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) position: u64,
    pub(crate) cells: BTreeMap<u64, StoredCell>,
    pub(crate) rows: BTreeMap<Bytes, Bytes>,
}

/// How many flags a partition's cells are of.
const FLAGS: u64 = 12;

impl Content {
    /// The next flush, and this content with it applied.
    pub(crate) fn flush(&mut self, partition: u32, dice: &mut Dice) -> Flush {
        self.position += 1 + dice.below(3);
        let position = self.position;
        let mut cells = Vec::new();
        for flag in 0..FLAGS {
            if dice.below(2) == 0 {
                let size = if dice.below(8) == 0 { 9_000 } else { 10 + dice.below(300) };
                let value: Bytes = (0..size).map(|_| dice.next() as u8).collect();
                let cell = StoredCell { h: position - 1, value };
                self.cells.insert(flag, cell.clone());
                cells.push(CellWrite { key: key(partition, flag), cell });
            }
        }
        let mut state = StateChanges { position, ..StateChanges::default() };
        for _ in 0..dice.below(4) {
            if let Some((oldest, _)) = self.rows.pop_first() {
                state.remove.push(oldest);
            }
        }
        for n in 0..dice.below(20) {
            let key = Bytes::from([position.to_be_bytes(), n.to_be_bytes()].concat());
            let value = Bytes::from(dice.next().to_be_bytes().to_vec());
            self.rows.insert(key.clone(), value.clone());
            state.put.push((key, value));
        }
        Flush { generation: GENERATION, partition, cells, checkpoint: checkpoint(position), state }
    }

    /// What the store holds of a partition; an error if checkpoint and state stand apart.
    pub(crate) async fn read(store: &Embedded, partition: u32) -> Result<Self, ReadError> {
        let held = store.checkpoint(GENERATION, partition).await?;
        let cells = store.load((0..FLAGS).map(|flag| key(partition, flag)).collect()).await?;
        let state = store.load_state(GENERATION, partition).await?;
        let position = state.as_ref().map(|state| state.position);
        if held.map(|held| held.position) != position {
            return Err(ReadError::Wrong(format!("checkpoint {held:?}, state at {position:?}")));
        }
        Ok(Self {
            position: position.unwrap_or(0),
            cells: (0..).zip(cells).filter_map(|(flag, cell)| Some((flag, cell?))).collect(),
            rows: state.unwrap_or_default().rows.into_iter().collect(),
        })
    }
}

/// Why a partition could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The store says so itself.
    Store(Error),
    /// The store gave something that cannot be.
    Wrong(String),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Options with a cache so small that pages are read from the disk.
pub(crate) fn tiny_cache() -> Options {
    Options::default().with_cache_bytes(0)
}
