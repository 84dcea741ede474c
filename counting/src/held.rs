//! The cells that a worker holds in memory.
//!
//! Always true here: a cell's h is the offset of the last record that changed it; a record at or below h is not applied
//! again; a dirty cell (changed since it was last durable, or on its way to the store) is never let go; which clean
//! cells are let go follows from offsets and sizes alone. Nothing here can panic: applying is total.
//!
//! Clean cells are weighed by what they took when they were last encoded, by a flush or by the store they came from: a
//! cell cannot be clean and have changed since, so nothing is counted while records are folded.

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::stored::{CellWrite, StoredCell};
use std::hash::BuildHasher;

use crate::breakage::{Break, Breakage};
use crate::cells::{Cell, CellError, Change};
use crate::state::copy_environment;

#[cfg(test)]
mod tests;

/// A name that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NameRef<'a> {
    None,
    Other,
    Key(&'a [u8]),
}

/// A cell that is looked for, within the worker's generation and partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CellRef<'a> {
    pub(crate) kind: CellKind,
    pub(crate) environment: &'a Environment,
    pub(crate) name: NameRef<'a>,
    pub(crate) window: u32,
}

impl<'a> CellRef<'a> {
    fn of(key: &'a CellKey) -> Self {
        let name = match &key.name {
            CellName::None => NameRef::None,
            CellName::Other => NameRef::Other,
            CellName::Key(name) => NameRef::Key(name),
        };
        Self { kind: key.kind, environment: &key.environment, name, window: key.window }
    }

    /// The whole key; it holds no record's bytes.
    pub(crate) fn to_key(self, generation: u32, partition: u32) -> CellKey {
        let name = match self.name {
            NameRef::None => CellName::None,
            NameRef::Other => CellName::Other,
            NameRef::Key(name) => CellName::Key(Bytes::copy_from_slice(name)),
        };
        let environment = copy_environment(self.environment);
        CellKey { generation, partition, kind: self.kind, environment, name, window: self.window }
    }
}

/// One cell in memory.
#[derive(Debug)]
struct Held {
    key: CellKey,
    cell: Cell,
    h: Option<u64>,
    /// Changed since the last flush began.
    dirty: bool,
    /// In the flush that is under way.
    flushing: bool,
    /// Changed by the commit that is being applied.
    changing: bool,
    /// Offset of the last record that asked for it.
    touched: u64,
    /// What it takes in memory, about, as of its last encoding.
    bytes: usize,
    /// How much of that is in the sum over clean cells: all or nothing.
    counted: usize,
}

impl Held {
    fn is_clean(&self) -> bool {
        !self.dirty && !self.flushing
    }

    /// Keeps the sum over clean cells in step with this one.
    fn recount(&mut self, clean_bytes: &mut usize) {
        let counts = if self.is_clean() { self.bytes } else { 0 };
        *clean_bytes = clean_bytes.saturating_sub(self.counted).saturating_add(counts);
        self.counted = counts;
    }
}

/// What a cell takes in memory, about: row structs and counters of eight bytes take a few times what they take encoded.
fn bytes_in_memory(encoded: usize) -> usize {
    encoded.saturating_mul(4).saturating_add(256)
}

/// Cells in memory.
#[derive(Debug, Default)]
pub struct Cells {
    slots: Vec<Option<Held>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    dirty: usize,
    /// What all clean cells take, about.
    clean_bytes: usize,
    changing: Vec<u32>,
}

impl Cells {
    /// How many cells are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many of them have changed since the last flush began.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.dirty
    }

    /// A cell that is held, and its h.
    #[must_use]
    pub fn get(&self, key: &CellKey) -> Option<(&Cell, Option<u64>)> {
        self.find(&CellRef::of(key)).and_then(|slot| self.held(slot)).map(|held| (&held.cell, held.h))
    }

    /// Takes in a cell as the store has it; `None` = it has none. One that is held already stays as it is.
    /// A cell whose h is at or above `dirty_from` counts as dirty.
    ///
    /// # Errors
    /// [`CellError`] when its bytes are no cell.
    pub fn insert(&mut self, key: CellKey, stored: Option<StoredCell>, dirty_from: u64) -> Result<(), CellError> {
        if self.find(&CellRef::of(&key)).is_some() {
            return Ok(());
        }
        let (cell, h, encoded) = match stored {
            Some(stored) => (Cell::decode(key.kind, &stored.value)?, Some(stored.h), stored.value.len()),
            None => (Cell::empty(key.kind), None, 0),
        };
        let dirty = h.is_some_and(|h| h >= dirty_from);
        self.dirty += usize::from(dirty);
        let hash = self.hasher.hash_one(CellRef::of(&key));
        let touched = h.unwrap_or(0);
        let bytes = bytes_in_memory(encoded);
        let mut held = Held { key, cell, h, dirty, flushing: false, changing: false, touched, bytes, counted: 0 };
        held.recount(&mut self.clean_bytes);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(held);
            let Self { slots, index, hasher, .. } = self;
            index.insert_unique(hash, slot, |slot| hash_of(slots, hasher, *slot));
        }
        Ok(())
    }

    /// Where a cell is held.
    pub(crate) fn find(&self, cell: &CellRef<'_>) -> Option<u32> {
        let hash = self.hasher.hash_one(cell);
        let same = |slot: &u32| self.held(*slot).is_some_and(|held| CellRef::of(&held.key) == *cell);
        self.index.find(hash, same).copied()
    }

    /// Applies a record's changes; with `again`, also to cells that have the record.
    pub(crate) fn commit(&mut self, offset: u64, changes: &[(u32, Change<'_>)], limits: &FoldLimits, again: bool) {
        for (slot, change) in changes {
            let Some(Some(held)) = self.slots.get_mut(*slot as usize) else { continue };
            held.touched = held.touched.max(offset);
            let has_it = held.h.is_some_and(|h| h >= offset);
            if (!has_it || again) && held.cell.apply(change, limits) && !held.changing {
                held.changing = true;
                self.changing.push(*slot);
            }
        }
        for slot in self.changing.drain(..) {
            if let Some(Some(held)) = self.slots.get_mut(slot as usize) {
                held.changing = false;
                held.h = Some(offset);
                self.dirty += usize::from(!held.dirty);
                held.dirty = true;
                held.recount(&mut self.clean_bytes);
            }
        }
    }

    /// Begins a flush: every dirty cell as it stands now. They stay held until [`Self::stored`] or [`Self::refused`].
    #[cfg(test)]
    pub(crate) fn begin_flush(&mut self) -> Vec<CellWrite> {
        self.begin_flush_with(u64::MAX, &Breakage::default())
    }

    /// The same, of a flush that reaches to `position`, breaking a rule.
    pub(crate) fn begin_flush_with(&mut self, position: u64, breakage: &Breakage) -> Vec<CellWrite> {
        let mut writes = Vec::with_capacity(self.dirty);
        for held in self.slots.iter_mut().flatten().filter(|held| held.dirty) {
            let Some(h) = held.h else { continue };
            if h >= position && breakage.is(Break::ReflushBelowCheckpointOnly) {
                continue;
            }
            let cell = StoredCell { h, value: held.cell.encode().into() };
            held.bytes = bytes_in_memory(cell.value.len());
            held.dirty = false;
            held.flushing = true;
            writes.push(CellWrite { key: held.key.clone(), cell });
            if breakage.adds(held.key.kind) {
                held.cell = Cell::empty(held.key.kind);
            }
        }
        self.dirty = 0;
        writes
    }

    /// The store has the cell as it was flushed.
    pub(crate) fn stored(&mut self, key: &CellKey) {
        if let Some((held, clean_bytes)) = self.held_mut(key) {
            held.flushing = false;
            held.recount(clean_bytes);
        }
    }

    /// The store has a higher h: its value and h are adopted together, unless the fold has passed it meanwhile.
    ///
    /// # Errors
    /// [`CellError`] when the store's bytes are no cell.
    pub(crate) fn refused(&mut self, key: &CellKey, theirs: &StoredCell, keep_h: bool) -> Result<(), CellError> {
        let Some((held, clean_bytes)) = self.held_mut(key) else { return Ok(()) };
        held.flushing = false;
        held.recount(clean_bytes);
        if held.h.is_some_and(|h| h >= theirs.h) {
            return Ok(());
        }
        held.cell = Cell::decode(key.kind, &theirs.value)?;
        if !keep_h {
            held.h = Some(theirs.h);
        }
        held.bytes = bytes_in_memory(theirs.value.len());
        let was_dirty = std::mem::replace(&mut held.dirty, false);
        held.recount(clean_bytes);
        self.dirty = self.dirty.saturating_sub(usize::from(was_dirty));
        Ok(())
    }

    /// Lets clean cells go, least recently touched first, until at most `cells_max` cells are held and the clean ones
    /// take about `bytes_max` bytes at most (or none is clean).
    pub(crate) fn evict(&mut self, cells_max: usize, bytes_max: usize) {
        let cells_over = self.len().saturating_sub(cells_max);
        let bytes_over = self.clean_bytes.saturating_sub(bytes_max);
        if cells_over == 0 && bytes_over == 0 {
            return;
        }
        let mut clean: Vec<(u64, u32)> = (0..=u32::MAX)
            .zip(&self.slots)
            .filter_map(|(slot, held)| held.as_ref().map(|held| (slot, held)))
            .filter(|(_, held)| held.is_clean())
            .map(|(slot, held)| (held.touched, slot))
            .collect();
        clean.sort_unstable();
        // A quarter more than asked, so that this walk is rare.
        let more = |over: usize, max: usize| if over == 0 { 0 } else { over.saturating_add(max / 4) };
        let (mut cells, mut bytes) = (more(cells_over, cells_max), more(bytes_over, bytes_max));
        for (_, slot) in clean {
            if cells == 0 && bytes == 0 {
                break;
            }
            cells = cells.saturating_sub(1);
            bytes = bytes.saturating_sub(self.remove(slot));
        }
    }

    /// Lets a clean cell go; answers what it took, about.
    fn remove(&mut self, slot: u32) -> usize {
        let Some(hash) = self.held(slot).map(|held| self.hasher.hash_one(CellRef::of(&held.key))) else { return 0 };
        if let Ok(entry) = self.index.find_entry(hash, |held| *held == slot) {
            entry.remove();
        }
        let Some(gone) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return 0 };
        self.free.push(slot);
        self.clean_bytes = self.clean_bytes.saturating_sub(gone.counted);
        gone.counted
    }

    /// Every cell that is held.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (CellKey, Cell)> {
        self.slots.iter().flatten().map(|held| (held.key.clone(), held.cell.clone()))
    }

    fn held(&self, slot: u32) -> Option<&Held> {
        self.slots.get(slot as usize).and_then(Option::as_ref)
    }

    /// A cell, and the sum over clean ones that must be kept in step with it.
    fn held_mut(&mut self, key: &CellKey) -> Option<(&mut Held, &mut usize)> {
        let slot = self.find(&CellRef::of(key))?;
        let held = self.slots.get_mut(slot as usize).and_then(Option::as_mut)?;
        Some((held, &mut self.clean_bytes))
    }
}

fn hash_of(slots: &[Option<Held>], hasher: &DefaultHashBuilder, slot: u32) -> u64 {
    slots.get(slot as usize).and_then(Option::as_ref).map_or(0, |held| hasher.hash_one(CellRef::of(&held.key)))
}
