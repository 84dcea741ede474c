//! The old path's counters in a file, for a single process: read, add, write, as `UpdateItem … ADD` does.
//!
//! Always true here: an answered addition is on the disk; additions that wait together share one transaction and one
//! sync.
//!
//! | table | key | value |
//! |---|---|---|
//! | `counters` | length of row (2) ++ row ++ sort | number, number of stage off, number with a value (8 each), sum (16), last seen (8) |

use std::path::Path;

use futures_util::future::BoxFuture;
use redb::{ReadOnlyTable, ReadableTable, TableDefinition};
use schemas::id::{Environment, push_part};
use tokio::sync::watch;

use super::{HoursOf, OldStore, Page, Place};
use crate::counter::{self, Add, Counted, Kind, Totals};
use crate::file::{Done, File};
use crate::{Error, WriteError};

/// The file's name in the data directory.
pub const FILE: &str = "oldpath.redb";

const COUNTERS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("counters");
const VALUE_BYTES: usize = 48;

/// Counters in a file.
#[derive(Debug)]
pub struct EmbeddedStore {
    file: File,
}

impl EmbeddedStore {
    /// Opens the file in this data directory, or makes it.
    ///
    /// # Errors
    /// [`Error::Damaged`] names the file; [`Error::Setting`] when another process has it, when it cannot be made, or
    /// when its layout is unknown.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let file = File::open(&data.join(FILE), |transaction| Ok(transaction.open_table(COUNTERS).map(drop)?))?;
        Ok(Self { file })
    }

    /// Why nothing is answered any more but [`Error::Poisoned`], once that is so; then the process must end.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.file.poisoned()
    }
}

impl OldStore for EmbeddedStore {
    fn add(&self, add: Add) -> BoxFuture<'_, Result<(), WriteError>> {
        let row = counter::row(&add.environment, add.counter.kind());
        let key = key(&row, &counter::sort(&add.counter, add.hour()));
        let added = add.totals();
        Box::pin(self.file.write(move |transaction| {
            let mut table = transaction.open_table(COUNTERS)?;
            let there = table.get(key.as_slice())?.map(|value| read_value(value.value())).transpose()?;
            table.insert(key.as_slice(), value(&there.unwrap_or_default().and(added)).as_slice())?;
            Ok(())
        }))
    }

    fn keys<'a>(
        &'a self,
        environment: &'a Environment,
        kind: Kind,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let row = key(&counter::row(environment, kind), &[]);
        let mut from = after.map_or_else(|| row.clone(), |after| [row.clone(), counter::key_end(after)].concat());
        Box::pin(self.file.read(move |transaction| {
            let table = transaction.open_table(COUNTERS)?;
            let mut keys = Vec::new();
            while keys.len() < limit.max(1) {
                let Some((key, _)) = first(&table, &from)? else { break };
                let Some(sort) = key.strip_prefix(row.as_slice()) else { break };
                let (counter, _) = read_sort(kind, sort)?;
                from = [row.clone(), counter::key_end(counter.key())].concat();
                keys.push(counter.key().to_owned());
            }
            Ok(keys)
        }))
    }

    fn hours<'a>(
        &'a self,
        asked: HoursOf<'a>,
        from: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, Error>> {
        let row = key(&counter::row(asked.environment, asked.kind), &[]);
        let begin = counter::hour_start(asked.key, asked.hours.start);
        let begin = from.map_or(begin, |place| place.0);
        let end = counter::hour_start(asked.key, asked.hours.end);
        let kind = asked.kind;
        Box::pin(self.file.read(move |transaction| {
            let mut page = Page::default();
            if begin >= end {
                return Ok(page);
            }
            let table = transaction.open_table(COUNTERS)?;
            let (begin, end) = ([&*row, &begin].concat(), [&*row, &end].concat());
            for entry in table.range(begin.as_slice()..end.as_slice())? {
                let (key, value) = entry?;
                let sort = &key.value()[row.len()..];
                if page.counters.len() == limit.max(1) {
                    page.next = Some(Place(sort.to_vec()));
                    break;
                }
                let (counter, hour) = read_sort(kind, sort)?;
                page.counters.push(Counted { counter, hour, totals: read_value(value.value())? });
            }
            Ok(page)
        }))
    }
}

/// The first entry from here on.
fn first(table: &ReadOnlyTable<&'static [u8], &'static [u8]>, from: &[u8]) -> Done<Option<(Vec<u8>, Vec<u8>)>> {
    let Some(entry) = table.range(from..)?.next() else { return Ok(None) };
    let (key, value) = entry?;
    Ok(Some((key.value().to_vec(), value.value().to_vec())))
}

/// With the length in front, a row's counters are one run of keys, whatever bytes row and sort hold.
fn key(row: &[u8], sort: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    push_part(&mut key, row);
    key.extend_from_slice(sort);
    key
}

fn read_sort(kind: Kind, sort: &[u8]) -> Done<(counter::Counter, u32)> {
    let wrong = || redb::Error::Corrupted(format!("\"{}\" is no counter's key", sort.escape_ascii()));
    counter::read_sort(kind, sort).ok_or_else(wrong)
}

fn value(totals: &Totals) -> Vec<u8> {
    let mut value = Vec::with_capacity(VALUE_BYTES);
    value.extend_from_slice(&totals.number.to_be_bytes());
    value.extend_from_slice(&totals.number_off.to_be_bytes());
    value.extend_from_slice(&totals.valued.to_be_bytes());
    value.extend_from_slice(&totals.sum_micros.to_be_bytes());
    value.extend_from_slice(&totals.seen_ms.to_be_bytes());
    value
}

fn read_value(bytes: &[u8]) -> Done<Totals> {
    let read = |mut rest: &[u8]| {
        let totals = Totals {
            number: u64::from_be_bytes(take(&mut rest)?),
            number_off: u64::from_be_bytes(take(&mut rest)?),
            valued: u64::from_be_bytes(take(&mut rest)?),
            sum_micros: i128::from_be_bytes(take(&mut rest)?),
            seen_ms: i64::from_be_bytes(take(&mut rest)?),
        };
        rest.is_empty().then_some(totals)
    };
    read(bytes).ok_or_else(|| redb::Error::Corrupted(format!("value of {} bytes is no counter", bytes.len())))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
