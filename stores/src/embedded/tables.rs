//! The tables of an embedded file: their keys, and the checksum beside every value.
//!
//! Always true here: every value is `CRC32C (4 bytes, little-endian) ++ bytes`, where the checksum is over the number
//! of the table, the key with its length, and the bytes, so that a value found under another key does not pass; numbers
//! in keys are big-endian, so that they sort.
//!
//! | table | key | bytes |
//! |---|---|---|
//! | `cells` | length of row (2) ++ row ++ sort | h (8) ++ encoded cell |
//! | `checkpoints` | generation (4) ++ partition (4) | position (8), definition version (8), fingerprint (4), log time (8) |
//! | `generations` | number (4) | the encoded row |
//! | `state` | generation (4) ++ partition (4) ++ key | as saved |
//! | `positions` | generation (4) ++ partition (4) | position (8), number of rows (8), sum of the rows' checksums (8) |
//! | `format` | empty | version of this layout (4) |
//!
//! With the length in front, the cells of a row are one run of keys in order of sort, whatever bytes row and sort hold.

use bytes::Bytes;
use redb::{ReadableTable, TableDefinition};
use schemas::cell::{CellAddress, CellKey};

use super::Fail;
use crate::breakage::{Break, Breakage};
use crate::{Checkpoint, Error, StoredCell};

/// Version of this layout.
pub(crate) const FORMAT: u32 = 1;

/// A table of opaque keys and sealed values.
pub(crate) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Which table. The number is part of every checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Name {
    Cells = 1,
    Checkpoints = 2,
    Generations = 3,
    State = 4,
    Positions = 5,
    Format = 6,
}

impl Name {
    pub(crate) const ALL: [Self; 6] =
        [Self::Cells, Self::Checkpoints, Self::Generations, Self::State, Self::Positions, Self::Format];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Checkpoints => "checkpoints",
            Self::Generations => "generations",
            Self::State => "state",
            Self::Positions => "positions",
            Self::Format => "format",
        }
    }

    pub(crate) fn definition(self) -> Definition {
        TableDefinition::new(self.text())
    }

    /// The error that names this table and this key.
    pub(crate) fn damaged(self, key: &[u8], what: impl Into<String>) -> Error {
        Error::Damaged { place: format!("table `{}`, key \"{}\"", self.text(), key.escape_ascii()), what: what.into() }
    }
}

/// Puts the checksum in front of a value.
pub(crate) fn seal(table: Name, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut sealed = vec![0; 4];
    parts.iter().for_each(|part| sealed.extend_from_slice(part));
    let crc = checksum(table, key, &sealed[4..]);
    sealed[..4].copy_from_slice(&crc.to_le_bytes());
    sealed
}

/// Takes the checksum off a value and compares it.
pub(crate) fn unseal<'a>(table: Name, key: &[u8], sealed: &'a [u8], breakage: Breakage) -> Result<&'a [u8], Error> {
    let Some((crc, bytes)) = sealed.split_first_chunk::<4>() else {
        return Err(table.damaged(key, format!("value of {} bytes is too short for its checksum", sealed.len())));
    };
    let (there, is) = (u32::from_le_bytes(*crc), checksum(table, key, bytes));
    if there != is && !breakage.is(Break::NoChecksum) {
        return Err(table.damaged(key, format!("checksum is {is:08x}, should be {there:08x}")));
    }
    Ok(bytes)
}

/// The checksum in front of a sealed value, as it stands; 0 where the value is too short to hold one.
pub(crate) fn crc_of(sealed: &[u8]) -> u64 {
    sealed.split_first_chunk::<4>().map_or(0, |(crc, _)| u64::from(u32::from_le_bytes(*crc)))
}

fn checksum(table: Name, key: &[u8], bytes: &[u8]) -> u32 {
    // Keys are far below 4 GiB, so the cut of the length loses nothing.
    let head = (key.len() as u32).to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[table as u8]), &head);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, key), bytes)
}

/// The value under a key, checked.
pub(crate) fn get(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    name: Name,
    key: &[u8],
    breakage: Breakage,
) -> Result<Option<Bytes>, Fail> {
    let Some(sealed) = table.get(key)? else { return Ok(None) };
    Ok(Some(Bytes::copy_from_slice(unseal(name, key, sealed.value(), breakage)?)))
}

/// The key of a cell in table `cells`.
pub(crate) fn cell_key(row: &[u8], sort: &[u8]) -> Result<Vec<u8>, Error> {
    let Ok(len) = u16::try_from(row.len()) else {
        return Err(Error::Setting(format!("row of a cell has {} bytes; at most 65535 can be stored", row.len())));
    };
    Ok([&len.to_be_bytes()[..], row, sort].concat())
}

/// The cell key that a key in table `cells` stands for.
pub(crate) fn read_cell_key(key: &[u8]) -> Result<(CellKey, CellAddress), Error> {
    let address = key.split_first_chunk::<2>().and_then(|(len, rest)| {
        let (row, sort) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        Some(CellAddress { row: row.to_vec(), sort: sort.to_vec() })
    });
    address
        .and_then(|address| Some((CellKey::from_address(&address.row, &address.sort)?, address)))
        .ok_or_else(|| Name::Cells.damaged(key, "it is no cell key"))
}

/// The cell in an unsealed value.
pub(crate) fn read_cell(key: &[u8], bytes: &Bytes) -> Result<StoredCell, Error> {
    let (h, _) = bytes.split_first_chunk::<8>().ok_or_else(|| Name::Cells.damaged(key, "value has no h"))?;
    Ok(StoredCell { h: u64::from_be_bytes(*h), value: bytes.slice(8..) })
}

/// The key of what there is once a partition; the front of the keys of its state.
pub(crate) fn partition_key(generation: u32, partition: u32) -> [u8; 8] {
    (u64::from(generation) << 32 | u64::from(partition)).to_be_bytes()
}

/// A checkpoint, sealed.
pub(crate) fn seal_checkpoint(key: &[u8], checkpoint: &Checkpoint) -> Vec<u8> {
    let parts: [&[u8]; 4] = [
        &checkpoint.position.to_be_bytes(),
        &checkpoint.definition_version.to_be_bytes(),
        &checkpoint.fingerprint.to_be_bytes(),
        &checkpoint.log_time_ms.to_be_bytes(),
    ];
    seal(Name::Checkpoints, key, &parts)
}

/// The checkpoint in an unsealed value.
pub(crate) fn read_checkpoint(key: &[u8], mut bytes: &[u8]) -> Result<Checkpoint, Error> {
    let read = |bytes: &mut &[u8]| {
        Some(Checkpoint {
            position: u64::from_be_bytes(take(bytes)?),
            definition_version: u64::from_be_bytes(take(bytes)?),
            fingerprint: u32::from_be_bytes(take(bytes)?),
            log_time_ms: i64::from_be_bytes(take(bytes)?),
        })
    };
    read(&mut bytes)
        .filter(|_| bytes.is_empty())
        .ok_or_else(|| Name::Checkpoints.damaged(key, "value has another length than a checkpoint"))
}

/// Takes `N` bytes off the front; `None` when there are fewer.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
