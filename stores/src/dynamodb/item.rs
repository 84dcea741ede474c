//! How things lie in the tables: attributes, keys, conditions.
//!
//! Always true here: an item is `row` and `sort` (its key), `h`, `v`, and nothing else but `until`, which every item of
//! the table that expires has; a checkpoint's h is its position, a generation's is 0.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use schemas::cell::{CellAddress, CellRange};

use crate::table::Table;
use crate::{CellWrite, Checkpoint, Error, Owner, StoredCell};

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) const ROW: &str = "row";
pub(super) const SORT: &str = "sort";
/// When an item may be removed, Unix seconds.
pub(super) const UNTIL: &str = "until";
const H: &str = "h";
const VALUE: &str = "v";

fn binary(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn key(address: &CellAddress) -> Item {
    item([(ROW, binary(address.row.clone())), (SORT, binary(address.sort.clone()))])
}

/// The key within a whole item.
pub(super) fn key_of(whole: &Item) -> Item {
    [ROW, SORT].into_iter().filter_map(|name| Some((name.to_owned(), whole.get(name)?.clone()))).collect()
}

pub(super) fn of_cell(write: &CellWrite, address: &CellAddress, keep_days: u32) -> Item {
    const HOUR_S: u64 = 3_600;
    let mut cell = key(address);
    cell.insert(H.into(), number(write.cell.h));
    cell.insert(VALUE.into(), binary(write.cell.value.to_vec()));
    if Table::of(write.key.kind) == Table::Hours {
        let end_s = (u64::from(write.key.window) + 1) * HOUR_S;
        cell.insert(UNTIL.into(), number(end_s + u64::from(keep_days) * 24 * HOUR_S));
    }
    cell
}

pub(super) fn address(item: &Item) -> Result<CellAddress, Error> {
    let part = |name: &str| match item.get(name) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref().to_vec()),
        other => Err(Error::Damaged { place: "an item".into(), what: format!("its {name} is {other:?}") }),
    };
    Ok(CellAddress { row: part(ROW)?, sort: part(SORT)? })
}

pub(super) fn damaged(address: &CellAddress, what: &str) -> Error {
    let place = format!("item {} {}", address.row.escape_ascii(), address.sort.escape_ascii());
    Error::Damaged { place, what: what.to_owned() }
}

/// A number of an item.
fn told<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn h(item: &Item) -> Option<u64> {
    told(item, H)
}

fn value(item: &Item) -> Option<&[u8]> {
    Some(item.get(VALUE)?.as_b().ok()?.as_ref())
}

pub(super) fn cell(item: &Item, address: &CellAddress) -> Result<StoredCell, Error> {
    match (h(item), value(item)) {
        (Some(h), Some(value)) => Ok(StoredCell { h, value: Bytes::copy_from_slice(value) }),
        _ => Err(damaged(address, "it has no h, or no value")),
    }
}

/// The items of a range, in order, and the one at its end if there is one: DynamoDB knows no bound below and another
/// above unless both are included.
pub(super) fn query(ask: QueryFluentBuilder, range: &CellRange) -> QueryFluentBuilder {
    let ask =
        ask.expression_attribute_names("#row", ROW).expression_attribute_values(":row", binary(range.row.clone()));
    // A name that the condition does not use is refused.
    let ask =
        if range.from.is_empty() && range.to.is_none() { ask } else { ask.expression_attribute_names("#sort", SORT) };
    // A sort key is never empty, so a range from the beginning of a row says nothing of it.
    let ask = match range.from.as_slice() {
        [] => ask,
        from => ask.expression_attribute_values(":from", binary(from)),
    };
    match (range.from.is_empty(), range.to.as_deref()) {
        (true, None) => ask.key_condition_expression("#row = :row"),
        (false, None) => ask.key_condition_expression("#row = :row AND #sort >= :from"),
        (true, Some(to)) => {
            ask.key_condition_expression("#row = :row AND #sort < :to").expression_attribute_values(":to", binary(to))
        }
        (false, Some(to)) => ask
            .key_condition_expression("#row = :row AND #sort BETWEEN :from AND :to")
            .expression_attribute_values(":to", binary(to)),
    }
}

const CHECKPOINT: u8 = b'c';
const GENERATION: u8 = b'g';
const OWNER: u8 = b'o';

fn progress_key(kind: u8, generation: u32, partition: u32) -> Item {
    let mut row = vec![kind];
    row.extend_from_slice(&generation.to_be_bytes());
    item([(ROW, binary(row)), (SORT, binary(partition.to_be_bytes()))])
}

pub(super) fn checkpoint_key(generation: u32, partition: u32) -> Item {
    progress_key(CHECKPOINT, generation, partition)
}

pub(super) fn generation_key(number: u32) -> Item {
    progress_key(GENERATION, number, 0)
}

pub(super) fn of_checkpoint(generation: u32, partition: u32, checkpoint: &Checkpoint) -> Item {
    let Checkpoint { position, definition_version, fingerprint, log_time_ms } = *checkpoint;
    let mut item = checkpoint_key(generation, partition);
    item.insert(H.into(), number(position));
    item.insert("definition".into(), number(definition_version));
    item.insert("fingerprint".into(), number(fingerprint.into()));
    item.insert("log_time_ms".into(), AttributeValue::N(log_time_ms.to_string()));
    item
}

pub(super) fn checkpoint(item: &Item) -> Result<Checkpoint, Error> {
    let read = || {
        Some(Checkpoint {
            position: told(item, H)?,
            definition_version: told(item, "definition")?,
            fingerprint: told(item, "fingerprint")?,
            log_time_ms: told(item, "log_time_ms")?,
        })
    };
    read().ok_or_else(|| Error::Damaged { place: "a checkpoint".into(), what: format!("it is {item:?}") })
}

pub(super) fn owner_key(generation: u32, partition: u32) -> Item {
    progress_key(OWNER, generation, partition)
}

/// Its h is the time at which it was said, so that the newest stays.
pub(super) fn of_owner(generation: u32, partition: u32, owner: &Owner) -> Item {
    let Owner { name, since_ms, told_ms, flushed_ms, refused, dedupe_age_ms } = owner;
    let mut item = owner_key(generation, partition);
    item.insert(H.into(), AttributeValue::N(told_ms.to_string()));
    item.insert("name".into(), AttributeValue::S(name.clone()));
    item.insert("since_ms".into(), AttributeValue::N(since_ms.to_string()));
    item.insert("flushed_ms".into(), AttributeValue::N(flushed_ms.to_string()));
    item.insert("refused".into(), number(*refused));
    item.extend(dedupe_age_ms.map(|age| ("dedupe_age_ms".into(), number(age))));
    item
}

pub(super) fn owner(item: &Item) -> Result<Owner, Error> {
    let read = || {
        Some(Owner {
            name: item.get("name")?.as_s().ok()?.clone(),
            since_ms: told(item, "since_ms")?,
            told_ms: told(item, H)?,
            flushed_ms: told(item, "flushed_ms")?,
            refused: told(item, "refused")?,
            dedupe_age_ms: told(item, "dedupe_age_ms"),
        })
    };
    read().ok_or_else(|| Error::Damaged { place: "an owner".into(), what: format!("it is {item:?}") })
}

pub(super) fn of_generation(generation: u32, row: &Bytes) -> Item {
    let mut item = generation_key(generation);
    item.insert(H.into(), number(0));
    item.insert(VALUE.into(), binary(row.to_vec()));
    item
}

pub(super) fn generation(item: &Item) -> Result<Bytes, Error> {
    let row = value(item).map(Bytes::copy_from_slice);
    row.ok_or_else(|| Error::Damaged { place: "a generation row".into(), what: format!("it is {item:?}") })
}
