//! A store in DynamoDB.
//!
//! Always true here: a cell is put by one `PutItem` under the condition of [`crate::protocol`], never by a batch of
//! writes and never by an addition; every read is consistent, of keys or of one row in order, never a scan; a call that
//! may succeed later ends as [`Error::Unavailable`] and is tried again by whoever made it.
//!
//! Where to go next: `item` is how things lie in the tables, `client` how DynamoDB is reached and what its errors mean,
//! `setup` makes and checks the tables.

mod client;
mod item;
mod options;
mod setup;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemas::cell::{CellAddress, CellKey, CellRange};

use self::client::unavailable;
use self::item::Item;
pub use self::options::Options;
pub use self::setup::{plan, policy, set_up};
use crate::table::Table;
use crate::{CellWrite, Checkpoint, Error, Owner, Page, Store, StoredCell, WriteAnswer, protocol};

/// Items of one `BatchGetItem`: DynamoDB's own limit.
const GET_MAX: usize = 100;

/// A store in DynamoDB; clones share their connections and their counts.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    options: Arc<Options>,
    units: Arc<Units>,
}

/// Capacity units that DynamoDB says it took; each is whole for what is done here, or a half for nothing of it.
#[derive(Debug, Default)]
struct Units {
    written: AtomicU64,
}

impl DynamoStore {
    /// Connects, and checks that the tables are there and fit.
    ///
    /// # Errors
    /// [`Error::Setting`] that says which table is missing or differs, or that the credentials are refused,
    /// and what to do; [`Error::Unavailable`] when nobody answers.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let client = client::connect(&options).await;
        setup::check(&client, &options).await?;
        Ok(Self { client, options: Arc::new(options), units: Arc::default() })
    }

    /// Write capacity units taken so far, by this process.
    #[must_use]
    pub fn write_units(&self) -> u64 {
        self.units.written.load(Ordering::Relaxed)
    }

    fn table(&self, table: Table) -> String {
        self.options.table(table)
    }

    fn count(&self, consumed: Option<&ConsumedCapacity>) {
        // Whole, as a write of up to 1 KiB is one; the wire has it as a float.
        let units = consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0).max(0.0).round() as u64;
        self.units.written.fetch_add(units, Ordering::Relaxed);
    }

    /// Puts an item unless what is there is as far; answers what is there then.
    async fn put(&self, table: Table, item: Item, at: u64) -> Result<Option<Item>, Error> {
        let name = self.table(table);
        let sent = self
            .client
            .put_item()
            .table_name(&name)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(h) OR h < :h")
            .expression_attribute_values(":h", AttributeValue::N(at.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(put) => {
                self.count(put.consumed_capacity());
                Ok(None)
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => match refused.item() {
                    Some(held) => Ok(Some(held.clone())),
                    None => self.get(&name, item::key_of(&item)).await.map(|held| held.or(Some(HashMap::new()))),
                },
                _ => Err(unavailable("PutItem", &name, &error)),
            },
        }
    }

    async fn get(&self, name: &str, key: Item) -> Result<Option<Item>, Error> {
        let got = self.client.get_item().table_name(name).set_key(Some(key)).consistent_read(true).send().await;
        Ok(got.map_err(|error| unavailable("GetItem", name, &error))?.item)
    }

    async fn put_cell(&self, write: CellWrite) -> Result<WriteAnswer, Error> {
        let address = write.key.address();
        let (table, h) = (Table::of(write.key.kind), write.cell.h);
        let item = item::of_cell(&write, &address, self.options.keep_days);
        match self.put(table, item, h).await? {
            None => Ok(WriteAnswer::Stored),
            Some(held) => Ok(protocol::cell_refused(item::cell(&held, &address)?, h)),
        }
    }

    /// The items at these keys of one table, as many as there are.
    async fn get_items(&self, table: Table, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let name = self.table(table);
        let mut asked = Some(keys);
        let mut found = Vec::new();
        while let Some(keys) = asked.take() {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let keys = keys.map_err(|error| Error::Setting(format!("BatchGetItem of {name}: {error}")))?;
            let got = self.client.batch_get_item().request_items(&name, keys).send().await;
            let mut got = got.map_err(|error| unavailable("BatchGetItem", &name, &error))?;
            found.extend(got.responses.take().and_then(|mut tables| tables.remove(&name)).unwrap_or_default());
            let left = got.unprocessed_keys.take().and_then(|mut tables| tables.remove(&name));
            asked = left.map(|left| left.keys).filter(|keys| !keys.is_empty());
        }
        Ok(found)
    }

    async fn load_cells(&self, keys: &[CellKey]) -> Result<Vec<Option<StoredCell>>, Error> {
        let mut wanted: HashMap<Table, HashSet<CellAddress>> = HashMap::new();
        for key in keys {
            wanted.entry(Table::of(key.kind)).or_default().insert(key.address());
        }
        let chunks: Vec<(Table, Vec<Item>)> = wanted
            .into_iter()
            .flat_map(|(table, addresses)| {
                let keys: Vec<Item> = addresses.iter().map(item::key).collect();
                keys.chunks(GET_MAX).map(move |chunk| (table, chunk.to_vec())).collect::<Vec<_>>()
            })
            .collect();
        let found: Vec<Vec<Item>> = stream::iter(chunks)
            .map(|(table, keys)| self.get_items(table, keys))
            .buffer_unordered(self.options.calls_max)
            .try_collect()
            .await?;
        let mut cells: HashMap<CellAddress, StoredCell> = HashMap::new();
        for item in found.into_iter().flatten() {
            let address = item::address(&item)?;
            cells.insert(address.clone(), item::cell(&item, &address)?);
        }
        Ok(keys.iter().map(|key| cells.get(&key.address()).cloned()).collect())
    }

    /// Cells of different keys at once, those of one key one after the other.
    async fn write_cells(&self, cells: Vec<CellWrite>) -> Result<Vec<WriteAnswer>, Error> {
        let mut answers: Vec<Option<WriteAnswer>> = vec![None; cells.len()];
        let mut left: Vec<(usize, CellWrite)> = cells.into_iter().enumerate().collect();
        while !left.is_empty() {
            let mut keys = HashSet::new();
            let (wave, rest): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, write)| keys.insert(write.key.clone()));
            left = rest;
            let put = wave.into_iter().map(|(place, write)| async move { Ok((place, self.put_cell(write).await?)) });
            let put: Vec<(usize, WriteAnswer)> =
                stream::iter(put).buffer_unordered(self.options.calls_max).try_collect().await?;
            for (place, answer) in put {
                answers[place] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    async fn page(&self, range: CellRange, limit: usize) -> Result<Page, Error> {
        let Some(table) = Table::of_row(&range.row) else { return Ok(Page::default()) };
        if range.to.as_ref().is_some_and(|to| *to <= range.from) {
            return Ok(Page::default());
        }
        let name = self.table(table);
        let limit = limit.max(1);
        let mut page = Page::default();
        let mut behind: Option<Item> = None;
        loop {
            let ask = item::query(self.client.query().table_name(&name), &range);
            let more = i32::try_from(limit - page.cells.len() + 1).unwrap_or(i32::MAX);
            let got = ask.consistent_read(true).limit(more).set_exclusive_start_key(behind.take()).send().await;
            let got = got.map_err(|error| unavailable("Query", &name, &error))?;
            for item in got.items() {
                let address = item::address(item)?;
                if range.to.as_ref().is_some_and(|to| address.sort >= *to) {
                    return Ok(page);
                }
                if page.cells.len() == limit {
                    page.next = Some(address.sort);
                    return Ok(page);
                }
                let key = CellKey::from_address(&address.row, &address.sort)
                    .ok_or_else(|| item::damaged(&address, "its key is no cell key"))?;
                page.cells.push((key, item::cell(item, &address)?));
            }
            match got.last_evaluated_key {
                Some(last) if !last.is_empty() => behind = Some(last),
                _ => return Ok(page),
            }
        }
    }
}

impl Store for DynamoStore {
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, Error>> {
        Box::pin(async move { self.load_cells(&keys).await })
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, Error>> {
        Box::pin(self.write_cells(cells))
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, Error>> {
        Box::pin(self.page(range, limit))
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        Box::pin(async move {
            let held = self.get(&self.table(Table::Progress), item::checkpoint_key(generation, partition)).await?;
            held.map(|held| item::checkpoint(&held)).transpose()
        })
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            let item = item::of_checkpoint(generation, partition, &checkpoint);
            match self.put(Table::Progress, item, checkpoint.position).await? {
                None => Ok(true),
                Some(held) => Ok(protocol::checkpoint_refused(&item::checkpoint(&held)?, &checkpoint)),
            }
        })
    }

    fn tell_owner(&self, generation: u32, partition: u32, owner: Owner) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let at = u64::try_from(owner.told_ms).unwrap_or(0);
            // Refused = something newer is there.
            self.put(Table::Progress, item::of_owner(generation, partition, &owner), at).await.map(drop)
        })
    }

    fn owners(&self, generation: u32, partitions: u32) -> BoxFuture<'_, Result<Vec<Option<Owner>>, Error>> {
        Box::pin(async move {
            let keys: Vec<Item> = (0..partitions).map(|partition| item::owner_key(generation, partition)).collect();
            let mut owners = vec![None; keys.len()];
            for chunk in keys.chunks(GET_MAX) {
                for found in self.get_items(Table::Progress, chunk.to_vec()).await? {
                    let key = item::key_of(&found);
                    if let Some(place) = keys.iter().position(|asked| *asked == key) {
                        owners[place] = Some(item::owner(&found)?);
                    }
                }
            }
            Ok(owners)
        })
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            let held = self.get(&self.table(Table::Progress), item::generation_key(number)).await?;
            held.map(|held| item::generation(&held)).transpose()
        })
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>> {
        Box::pin(async move {
            // Under the same condition as all else: with an h of 0 there is never a lower one.
            match self.put(Table::Progress, item::of_generation(number, &row), 0).await? {
                None => Ok(row),
                Some(held) => item::generation(&held),
            }
        })
    }
}
