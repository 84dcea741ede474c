//! How things lie in the tables: keys and bytes.
//!
//! Always true here: a row is its key, `row` and `sort`, and one blob `v` that begins with h (8 bytes, big-endian), so
//! that value and h are one and of two with the same timestamp the bytes alone decide.
//!
//! | table | row | sort | h | then |
//! |---|---|---|---|---|
//! | `hours`, `cells` | as `schemas::cell` says | | offset | the encoded cell |
//! | `progress` | `c`, generation (4) | partition (4) | position | definition version (8), fingerprint (4), log time (8) |
//! | `progress` | `o`, generation (4) | partition (4) | time told, Unix ms | since (8), flushed (8), refused (8), age (8), name |
//! | `progress` | `g`, generation (4) | empty | 0 | the encoded row |

use bytes::Bytes;
use schemas::cell::CellAddress;

use crate::{Checkpoint, Error, Owner, StoredCell};

/// What is written under a key, with its h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) h: u64,
    pub(super) rest: Vec<u8>,
}

impl Value {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.h.to_be_bytes(), self.rest.as_slice()].concat()
    }

    pub(super) fn decode(address: &CellAddress, bytes: &[u8]) -> Result<Self, Error> {
        let Some((h, rest)) = bytes.split_first_chunk() else { return Err(damaged(address, "it has no h")) };
        Ok(Self { h: u64::from_be_bytes(*h), rest: rest.to_vec() })
    }
}

pub(super) fn damaged(address: &CellAddress, what: &str) -> Error {
    let place = format!("row {} {}", address.row.escape_ascii(), address.sort.escape_ascii());
    Error::Damaged { place, what: what.to_owned() }
}

pub(super) fn of_cell(cell: &StoredCell) -> Value {
    Value { h: cell.h, rest: cell.value.to_vec() }
}

pub(super) fn cell(value: Value) -> StoredCell {
    StoredCell { h: value.h, value: value.rest.into() }
}

/// Seconds that a cell of this hour still lives: never 0, which would be for ever, and no longer than one of an hour
/// that ends tomorrow.
pub(super) fn lives_s(hour: u32, keep_days: u32, now_s: u64) -> i32 {
    const HOUR_S: u64 = 3_600;
    const DAY_S: u64 = 24 * HOUR_S;
    let keep_s = u64::from(keep_days) * DAY_S;
    let until_s = (u64::from(hour) + 1) * HOUR_S + keep_s;
    let left_s = until_s.saturating_sub(now_s).clamp(1, keep_s + DAY_S);
    i32::try_from(left_s).unwrap_or(i32::MAX)
}

fn progress(kind: u8, generation: u32) -> Vec<u8> {
    let mut row = vec![kind];
    row.extend_from_slice(&generation.to_be_bytes());
    row
}

pub(super) fn checkpoint_key(generation: u32, partition: u32) -> CellAddress {
    CellAddress { row: progress(b'c', generation), sort: partition.to_be_bytes().to_vec() }
}

pub(super) fn owner_key(generation: u32, partition: u32) -> CellAddress {
    CellAddress { row: progress(b'o', generation), sort: partition.to_be_bytes().to_vec() }
}

pub(super) fn generation_key(number: u32) -> CellAddress {
    CellAddress { row: progress(b'g', number), sort: Vec::new() }
}

pub(super) fn of_checkpoint(checkpoint: &Checkpoint) -> Value {
    let Checkpoint { position, definition_version, fingerprint, log_time_ms } = *checkpoint;
    let rest = [&definition_version.to_be_bytes()[..], &fingerprint.to_be_bytes(), &log_time_ms.to_be_bytes()];
    Value { h: position, rest: rest.concat() }
}

pub(super) fn checkpoint(address: &CellAddress, value: &Value) -> Result<Checkpoint, Error> {
    let read = || {
        let (version, rest) = value.rest.split_first_chunk()?;
        let (fingerprint, rest) = rest.split_first_chunk()?;
        Some(Checkpoint {
            position: value.h,
            definition_version: u64::from_be_bytes(*version),
            fingerprint: u32::from_be_bytes(*fingerprint),
            log_time_ms: i64::from_be_bytes(rest.try_into().ok()?),
        })
    };
    read().ok_or_else(|| damaged(address, "it is no checkpoint"))
}

/// An age that nobody knows.
const NO_AGE: u64 = u64::MAX;

/// Its h is the time at which it was said, so that the newest stays.
pub(super) fn of_owner(owner: &Owner) -> Value {
    let Owner { name, since_ms, told_ms, flushed_ms, refused, dedupe_age_ms } = owner;
    let rest = [
        &since_ms.to_be_bytes()[..],
        &flushed_ms.to_be_bytes(),
        &refused.to_be_bytes(),
        &dedupe_age_ms.unwrap_or(NO_AGE).to_be_bytes(),
        name.as_bytes(),
    ];
    Value { h: u64::try_from(*told_ms).unwrap_or(0), rest: rest.concat() }
}

pub(super) fn owner(address: &CellAddress, value: &Value) -> Result<Owner, Error> {
    let read = || {
        let (since, rest) = value.rest.split_first_chunk()?;
        let (flushed, rest) = rest.split_first_chunk()?;
        let (refused, rest) = rest.split_first_chunk()?;
        let (age, name) = rest.split_first_chunk()?;
        Some(Owner {
            name: String::from_utf8(name.to_vec()).ok()?,
            since_ms: i64::from_be_bytes(*since),
            told_ms: i64::try_from(value.h).ok()?,
            flushed_ms: i64::from_be_bytes(*flushed),
            refused: u64::from_be_bytes(*refused),
            dedupe_age_ms: Some(u64::from_be_bytes(*age)).filter(|age| *age != NO_AGE),
        })
    };
    read().ok_or_else(|| damaged(address, "it is no owner"))
}

pub(super) fn of_generation(row: &Bytes) -> Value {
    Value { h: 0, rest: row.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_an_hour_always_has_an_end() {
        const DAY_S: u64 = 86_400;
        let now_s = 20_000 * DAY_S;
        // (hours from now to the window's end, days kept, seconds to live)
        let table = [
            (0_i64, 400, 400 * DAY_S),
            (-24, 400, 399 * DAY_S),
            (1, 400, 400 * DAY_S + 3_600),
            (-400 * 24, 400, 1),
            (-9_000 * 24, 400, 1),
            (24, 1, 2 * DAY_S),
            (i64::from(u32::MAX) / 2, 1, 2 * DAY_S),
        ];
        for (hours, keep_days, left_s) in table {
            let hour = u32::try_from(480_000 + hours - 1).unwrap();
            let found = lives_s(hour, keep_days, now_s);
            assert_eq!(u64::try_from(found).unwrap(), left_s, "{hours} hours, {keep_days} days");
        }
        assert_eq!(lives_s(u32::MAX, u32::MAX, 0), i32::MAX);
    }

    #[test]
    fn what_is_encoded_is_decoded_and_half_of_it_is_an_error() {
        let key = checkpoint_key(1, 2);
        let whole = Checkpoint { position: 9, definition_version: 3, fingerprint: u32::MAX, log_time_ms: -5 };
        let bytes = of_checkpoint(&whole).encode();
        assert_eq!(bytes[..8], 9_u64.to_be_bytes(), "h is first");
        let read = |bytes: &[u8]| Value::decode(&key, bytes).and_then(|value| checkpoint(&key, &value));
        assert_eq!(read(&bytes), Ok(whole));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        let said = Owner { name: "host:1".to_owned(), told_ms: 5, dedupe_age_ms: Some(0), ..Owner::default() };
        let nobody = Owner { told_ms: 1, ..Owner::default() };
        for whole in [said, nobody] {
            let bytes = of_owner(&whole).encode();
            let read = |bytes: &[u8]| Value::decode(&key, bytes).and_then(|value| owner(&key, &value));
            assert_eq!(read(&bytes), Ok(whole));
            (0..40).for_each(|length| assert!(read(&bytes[..length]).is_err(), "{length} bytes"));
        }
    }
}
