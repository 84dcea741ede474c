//! Partition state as rows of table `state`, and the row of `positions` that says where it stands.
//!
//! Always true here: a state's rows and its position change in one transaction; the position's row knows how many rows
//! there are and the sum of their checksums, so that a missing, stale or foreign row is noticed when they are loaded.

use bytes::{Bytes, BytesMut};
use redb::ReadableTable;

use super::Fail;
use super::committer::{Tables, Weight};
use super::engine::Reader;
use super::tables::{self, Name};
use crate::{Error, SavedState, StateChanges};

/// Loaded rows lie in chunks of this many bytes, so that a million small ones cost no million allocations.
const CHUNK_BYTES: usize = 256 * 1024;

/// The row of `positions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    position: u64,
    rows: u64,
    /// Wrapping sum of the rows' checksums; the order of changes does not matter to it.
    sum: u64,
}

impl Standing {
    fn read(key: &[u8], mut bytes: &[u8]) -> Result<Self, Error> {
        let read = |bytes: &mut &[u8]| {
            Some(Self {
                position: u64::from_be_bytes(tables::take(bytes)?),
                rows: u64::from_be_bytes(tables::take(bytes)?),
                sum: u64::from_be_bytes(tables::take(bytes)?),
            })
        };
        read(&mut bytes).ok_or_else(|| Name::Positions.damaged(key, "value is too short for a position"))
    }

    fn add(&mut self, sealed: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(tables::crc_of(sealed));
    }

    fn take_off(&mut self, sealed: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(tables::crc_of(sealed));
    }

    fn put(self, tables: &mut Tables<'_>, key: [u8; 8]) -> Result<(), Fail> {
        let parts: [&[u8]; 3] = [&self.position.to_be_bytes(), &self.rows.to_be_bytes(), &self.sum.to_be_bytes()];
        tables.positions.insert(key.as_slice(), tables::seal(Name::Positions, &key, &parts).as_slice())?;
        Ok(())
    }
}

/// How much changes are going to write.
pub(crate) fn weight_of(changes: &StateChanges) -> Weight {
    Weight { scattered: 1, side_by_side: changes.put.len() + changes.remove.len(), bytes: bytes_of(&changes.put) }
}

/// How much a whole state is going to write.
pub(crate) fn weight_of_whole(state: &SavedState) -> Weight {
    Weight { scattered: 1, side_by_side: state.rows.len(), bytes: bytes_of(&state.rows) }
}

fn bytes_of(rows: &[(Bytes, Bytes)]) -> usize {
    rows.iter().map(|(key, value)| key.len() + value.len() + 12).sum()
}

/// Refuses a position below the one at which the state stands.
pub(crate) fn check_rises(tables: &Tables<'_>, generation: u32, partition: u32, position: u64) -> Result<(), Fail> {
    let key = tables::partition_key(generation, partition);
    match standing(&tables.positions, key, tables)? {
        Some(there) if there.position > position => Err(Fail::Job(Error::Setting(format!(
            "state of generation {generation}, partition {partition} stands at position {} and cannot fall to \
             {position}; load it again and go on from there",
            there.position
        )))),
        _ => Ok(()),
    }
}

/// Removes, then puts, and moves the position; a key in both lists is there afterwards.
pub(crate) fn save(
    tables: &mut Tables<'_>,
    generation: u32,
    partition: u32,
    changes: &StateChanges,
) -> Result<(), Fail> {
    let prefix = tables::partition_key(generation, partition);
    let mut standing = standing(&tables.positions, prefix, tables)?.unwrap_or_default();
    for key in &changes.remove {
        if let Some(old) = tables.state.remove([&prefix[..], key].concat().as_slice())? {
            standing.take_off(old.value());
        }
    }
    for (key, value) in &changes.put {
        put_row(tables, &mut standing, &prefix, key, value)?;
    }
    standing.position = changes.position;
    standing.put(tables, prefix)
}

/// Puts a whole state in place of what there is, at whatever position.
pub(crate) fn replace(
    tables: &mut Tables<'_>,
    generation: u32,
    partition: u32,
    state: &SavedState,
) -> Result<(), Fail> {
    let prefix = tables::partition_key(generation, partition);
    match end_of(prefix) {
        Some(end) => tables.state.retain_in(prefix.as_slice()..end.as_slice(), |_, _| false)?,
        None => tables.state.retain_in(prefix.as_slice().., |_, _| false)?,
    }
    let mut standing = Standing { position: state.position, ..Standing::default() };
    for (key, value) in &state.rows {
        put_row(tables, &mut standing, &prefix, key, value)?;
    }
    standing.put(tables, prefix)
}

/// Gives the rows to `visit` in order of key, and answers the position; `None` when there is no state.
pub(crate) fn visit(
    reader: &Reader,
    generation: u32,
    partition: u32,
    mut visit: impl FnMut(&[u8], &[u8]),
) -> Result<Option<u64>, Fail> {
    let prefix = tables::partition_key(generation, partition);
    let position = tables::get(&reader.table(Name::Positions)?, Name::Positions, &prefix, reader.breakage)?;
    let told = position.map(|bytes| Standing::read(&prefix, &bytes)).transpose()?;
    let mut found = Standing { position: told.unwrap_or_default().position, ..Standing::default() };
    for entry in reader.table(Name::State)?.range(prefix.as_slice()..)? {
        let (key, sealed) = entry?;
        let Some(row) = key.value().strip_prefix(prefix.as_slice()) else { break };
        visit(row, tables::unseal(Name::State, key.value(), sealed.value(), reader.breakage)?);
        found.add(sealed.value());
    }
    if found != told.unwrap_or_default() {
        let what = format!("rows found and rows told differ: {found:?}, {told:?}");
        return Err(Fail::Job(Name::Positions.damaged(&prefix, what)));
    }
    Ok(told.map(|told| told.position))
}

/// All rows in memory, in order of key.
pub(crate) fn load(reader: &Reader, generation: u32, partition: u32) -> Result<Option<SavedState>, Fail> {
    let mut rows = Vec::new();
    let mut chunk = BytesMut::new();
    let position = visit(reader, generation, partition, |key, value| {
        if chunk.capacity() < key.len() + value.len() {
            chunk = BytesMut::with_capacity(CHUNK_BYTES.max(key.len() + value.len()));
        }
        chunk.extend_from_slice(key);
        let key = chunk.split().freeze();
        chunk.extend_from_slice(value);
        rows.push((key, chunk.split().freeze()));
    })?;
    Ok(position.map(|position| SavedState { position, rows }))
}

fn put_row(
    tables: &mut Tables<'_>,
    standing: &mut Standing,
    prefix: &[u8; 8],
    key: &[u8],
    value: &[u8],
) -> Result<(), Fail> {
    let key = [&prefix[..], key].concat();
    let sealed = tables::seal(Name::State, &key, &[value]);
    if let Some(old) = tables.state.insert(key.as_slice(), sealed.as_slice())? {
        standing.take_off(old.value());
    }
    standing.add(&sealed);
    Ok(())
}

fn standing(
    positions: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: [u8; 8],
    tables: &Tables<'_>,
) -> Result<Option<Standing>, Fail> {
    let bytes = tables::get(positions, Name::Positions, &key, tables.breakage)?;
    Ok(bytes.map(|bytes| Standing::read(&key, &bytes)).transpose()?)
}

/// The first key after all that begin with this prefix; `None` when there is none such.
fn end_of(prefix: [u8; 8]) -> Option<[u8; 8]> {
    u64::from_be_bytes(prefix).checked_add(1).map(u64::to_be_bytes)
}
