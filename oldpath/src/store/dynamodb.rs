//! The old path's counters in DynamoDB, for several processes: `UpdateItem … ADD`, one call for each addition.
//!
//! Always true here: an addition is one call without a condition and without an attempt of the library's own; every
//! read is consistent, of one row in order; an item is `row` and `sort` (its key) and the counter's numbers, nothing
//! else.
//!
//! Where to go next: `setup` makes and checks the table.

mod setup;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::BoxFuture;
use schemas::id::Environment;

pub use self::setup::{plan, policy, set_up};
use super::{HoursOf, OldStore, Page, Place};
use crate::aws::{self, error, write_error};
use crate::counter::{self, Add, Counted, Kind, Totals};
use crate::{Error, WriteError};

const ROW: &str = "row";
const SORT: &str = "sort";

/// Where the table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which server.
    pub place: aws::Place,
    /// What the table's name begins with: `flagstream_`.
    pub prefix: String,
}

impl Options {
    fn table(&self) -> String {
        format!("{}oldpath_counters", self.prefix)
    }
}

/// Counters in DynamoDB; clones share their connections.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: Arc<str>,
}

type Item = HashMap<String, AttributeValue>;

impl DynamoStore {
    /// Connects, and checks that the table is there and fits.
    ///
    /// # Errors
    /// [`Error::Setting`] that says that the table is missing or differs, or that the credentials are refused, and what
    /// to do; [`Error::Unavailable`] when nobody answers.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let client = Client::new(&aws::settings(&options.place).await);
        setup::check(&client, &options.table()).await?;
        Ok(Self { client, table: options.table().into() })
    }

    /// The same without a look at the table, which may be anywhere or nowhere.
    #[cfg(feature = "testing")]
    pub async fn unchecked(options: &Options) -> Self {
        Self { client: Client::new(&aws::settings(&options.place).await), table: options.table().into() }
    }

    async fn update(&self, add: Add) -> Result<(), WriteError> {
        let Totals { number, number_off, valued, sum_micros, seen_ms } = add.totals();
        let row = counter::row(&add.environment, add.counter.kind());
        let sort = counter::sort(&add.counter, add.hour());
        let mut ask = self
            .client
            .update_item()
            .table_name(&*self.table)
            .key(ROW, binary(row))
            .key(SORT, binary(sort))
            .expression_attribute_values(":n", numeral(number))
            .expression_attribute_values(":off", numeral(number_off))
            .expression_attribute_values(":seen", numeral(seen_ms));
        ask = if add.counter.kind() == Kind::Events {
            ask.update_expression("ADD n :n, n_off :off, n_valued :valued, micros :micros SET seen = :seen")
                .expression_attribute_values(":valued", numeral(valued))
                .expression_attribute_values(":micros", numeral(sum_micros))
        } else {
            ask.update_expression("ADD n :n, n_off :off SET seen = :seen")
        };
        ask.send().await.map(drop).map_err(|error| write_error("UpdateItem", &error))
    }

    /// The items of a row between two sort keys, both included, at most `limit` of them.
    async fn query(&self, row: &[u8], from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut behind: Option<Item> = None;
        while items.len() < limit {
            let more = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let ask = between(self.client.query().table_name(&*self.table), row, from, to);
            let ask = ask.consistent_read(true).limit(more).set_exclusive_start_key(behind.take());
            let got = ask.send().await.map_err(|got| error("Query", &got))?;
            items.extend(got.items.unwrap_or_default());
            match got.last_evaluated_key {
                Some(last) if !last.is_empty() => behind = Some(last),
                _ => break,
            }
        }
        Ok(items)
    }

    async fn some_keys(&self, row: &[u8], kind: Kind, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        let mut keys: Vec<String> = Vec::new();
        // A sort key is never empty.
        let mut from = after.map_or_else(|| vec![0], counter::key_end);
        while keys.len() < limit.max(1) {
            let Some(item) = self.query(row, &from, None, 1).await?.pop() else { break };
            let (counter, _) = place(kind, &item)?;
            from = counter::key_end(counter.key());
            keys.push(counter.key().to_owned());
        }
        Ok(keys)
    }

    async fn page(&self, asked: HoursOf<'_>, from: Option<Place>, limit: usize) -> Result<Page, Error> {
        let row = counter::row(asked.environment, asked.kind);
        let begin = from.map_or_else(|| counter::hour_start(asked.key, asked.hours.start), |place| place.0);
        // No counter's key is as short as this, so that the end is not among them.
        let end = counter::hour_start(asked.key, asked.hours.end);
        if begin >= end {
            return Ok(Page::default());
        }
        let limit = limit.max(1);
        let mut page = Page::default();
        for item in self.query(&row, &begin, Some(&end), limit.saturating_add(1)).await? {
            if page.counters.len() == limit {
                page.next = Some(Place(sort(&item)?.to_vec()));
                break;
            }
            let (counter, hour) = place(asked.kind, &item)?;
            page.counters.push(Counted { counter, hour, totals: totals(&item)? });
        }
        Ok(page)
    }
}

impl OldStore for DynamoStore {
    fn add(&self, add: Add) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(self.update(add))
    }

    fn keys<'a>(
        &'a self,
        environment: &'a Environment,
        kind: Kind,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let row = counter::row(environment, kind);
        Box::pin(async move { self.some_keys(&row, kind, after, limit).await })
    }

    fn hours<'a>(
        &'a self,
        asked: HoursOf<'a>,
        from: Option<Place>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, Error>> {
        Box::pin(self.page(asked, from, limit))
    }
}

fn between(ask: QueryFluentBuilder, row: &[u8], from: &[u8], to: Option<&[u8]>) -> QueryFluentBuilder {
    let ask = ask
        .expression_attribute_names("#row", ROW)
        .expression_attribute_names("#sort", SORT)
        .expression_attribute_values(":row", binary(row))
        .expression_attribute_values(":from", binary(from));
    match to {
        None => ask.key_condition_expression("#row = :row AND #sort >= :from"),
        Some(to) => ask
            .key_condition_expression("#row = :row AND #sort BETWEEN :from AND :to")
            .expression_attribute_values(":to", binary(to)),
    }
}

fn binary(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn numeral(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn sort(item: &Item) -> Result<&[u8], Error> {
    match item.get(SORT) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref()),
        other => Err(Error::Damaged { place: "an item".into(), what: format!("its {SORT} is {other:?}") }),
    }
}

fn place(kind: Kind, item: &Item) -> Result<(counter::Counter, u32), Error> {
    let sort = sort(item)?;
    counter::read_sort(kind, sort).ok_or_else(|| Error::Damaged {
        place: format!("item {}", sort.escape_ascii()),
        what: "its key is no counter's".into(),
    })
}

fn totals(item: &Item) -> Result<Totals, Error> {
    Ok(Totals {
        number: told(item, "n")?,
        number_off: told(item, "n_off")?,
        valued: told(item, "n_valued")?,
        sum_micros: told(item, "micros")?,
        seen_ms: told(item, "seen")?,
    })
}

/// A number of an item; one that nothing was ever added to is 0.
fn told<T: std::str::FromStr + Default>(item: &Item, name: &str) -> Result<T, Error> {
    let Some(value) = item.get(name) else { return Ok(T::default()) };
    let read = value.as_n().ok().and_then(|number| number.parse().ok());
    read.ok_or_else(|| Error::Damaged { place: "an item".into(), what: format!("its {name} is {value:?}") })
}
