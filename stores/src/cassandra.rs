//! A store in Cassandra.
//!
//! Always true here: a row is written `USING TIMESTAMP h`, so that of two writes the one with the higher h stays and
//! the order in which they come means nothing; no condition, counter, batch or deletion is ever sent; writes and reads
//! are of a quorum of the copies in one data centre; a read is of one row's key, or of one row in order. A call that
//! may succeed later ends as [`Error::Unavailable`] and is tried again by whoever made it.
//!
//! Nobody is told that a write lost, so a worker treats what it loads at or above its checkpoint as not yet durable
//! ([`Store::last_write_wins`]), and a checkpoint is read back.
//!
//! Where to go next: `row` is how things lie in the tables, `client` how Cassandra is reached and what its errors mean,
//! `schema` what keyspace and tables must be, `setup` makes and checks them, `canary` tries them.

mod canary;
mod client;
mod options;
mod row;
mod schema;
mod setup;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemas::cell::{CellAddress, CellKey, CellRange};
use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;

use self::client::only_in;
pub use self::options::{Access, KEEP_DAYS_MAX, Options};
use self::row::Value;
pub use self::setup::{permissions, plan, set_up};
use crate::table::Table;
use crate::{CellWrite, Checkpoint, Error, Owner, Page, Store, StoredCell, WriteAnswer, protocol};

/// Rows of one page: at 64 KiB a cell, 8 MiB.
const PAGE_ROWS: i32 = 128;

/// The time to live of what stays.
const FOR_EVER: i32 = 0;

/// A store in Cassandra; clones share their connections.
#[derive(Debug, Clone)]
pub struct CassandraStore {
    session: Arc<Session>,
    options: Arc<Options>,
    statements: Arc<[Statements; 3]>,
}

/// What is said of one table.
#[derive(Debug)]
struct Statements {
    put: PreparedStatement,
    get: PreparedStatement,
    from: PreparedStatement,
    between: PreparedStatement,
}

impl Statements {
    async fn prepare(
        session: &Session,
        at: &ExecutionProfileHandle,
        options: &Options,
        table: Table,
    ) -> Result<Self, Error> {
        let name = format!("{}.{}", options.keyspace, table.name());
        let prepare = |statement| client::prepare(session, at, statement);
        let put = format!("UPDATE {name} USING TIMESTAMP ? AND TTL ? SET v = ? WHERE row = ? AND sort = ?");
        let from = format!("SELECT sort, v FROM {name} WHERE row = ? AND sort >= ?");
        Ok(Self {
            put: prepare(put).await?,
            get: prepare(format!("SELECT v FROM {name} WHERE row = ? AND sort = ?")).await?,
            between: prepare(format!("{from} AND sort < ?")).await?,
            from: prepare(from).await?,
        })
    }
}

/// A row that was read: its place, and what is there.
type Row = (CellAddress, Value);

impl CassandraStore {
    /// Connects, checks that keyspace and tables are there and fit, and that what is written can be read.
    ///
    /// # Errors
    /// [`Error::Setting`] that says what is missing or differs, and what to do; [`Error::Unavailable`] when
    /// nobody answers, or too few.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let session = client::connect(&options).await?;
        let datacenter = setup::check(&session, &options).await?;
        let at = only_in(&datacenter);
        let of = |table| Statements::prepare(&session, &at, &options, table);
        let statements = [of(Table::Hours).await?, of(Table::Cells).await?, of(Table::Progress).await?];
        let store = Self { session: Arc::new(session), options: Arc::new(options), statements: Arc::new(statements) };
        store.try_canary().await?;
        Ok(store)
    }

    fn name(&self, table: Table) -> String {
        format!("{}.{}", self.options.keyspace, table.name())
    }

    fn statements(&self, table: Table) -> &Statements {
        match table {
            Table::Hours => &self.statements[0],
            Table::Cells => &self.statements[1],
            Table::Progress => &self.statements[2],
        }
    }

    /// Writes a row, which lives so many seconds, or for ever if 0. Then a quorum has it, or one with a higher h.
    async fn put(&self, table: Table, at: &CellAddress, value: &Value, lives_s: i32) -> Result<(), ExecutionError> {
        let values = (protocol::timestamp(value.h), lives_s, value.encode(), &at.row, &at.sort);
        self.session.execute_unpaged(&self.statements(table).put, values).await.map(drop)
    }

    async fn get(&self, table: Table, at: &CellAddress) -> Result<Option<Value>, Error> {
        let found = self.session.execute_unpaged(&self.statements(table).get, (&at.row, &at.sort)).await;
        let found = found.map_err(|error| client::failed("read", &self.name(table), &error))?;
        let rows: Vec<(Vec<u8>,)> = client::rows(&self.name(table), found)?;
        rows.first().map(|(v,)| Value::decode(at, v)).transpose()
    }

    async fn put_progress(&self, at: &CellAddress, value: &Value) -> Result<(), Error> {
        let put = self.put(Table::Progress, at, value, FOR_EVER).await;
        put.map_err(|error| client::failed("write", &self.name(Table::Progress), &error))
    }

    /// What is there after a write of a row.
    async fn written(&self, at: &CellAddress) -> Result<Value, Error> {
        let found = self.get(Table::Progress, at).await?;
        found.ok_or_else(|| Error::Setting(canary::hidden(&self.name(Table::Progress))))
    }

    async fn put_cell(&self, write: CellWrite) -> Result<(), Error> {
        let table = Table::of(write.key.kind);
        let lives_s = match table {
            Table::Hours => row::lives_s(write.key.window, self.options.keep_days, (self.options.now_s)()),
            _ => FOR_EVER,
        };
        let put = self.put(table, &write.key.address(), &row::of_cell(&write.cell), lives_s).await;
        put.map_err(|error| client::failed("write", &self.name(table), &error))
    }

    /// All at once, two of one key as well: their h tells which stays.
    async fn write_cells(&self, cells: Vec<CellWrite>) -> Result<Vec<WriteAnswer>, Error> {
        let answers = vec![WriteAnswer::Stored; cells.len()];
        let writes = cells.into_iter().map(|write| self.put_cell(write));
        stream::iter(writes).buffer_unordered(self.options.calls_max).try_collect::<()>().await?;
        Ok(answers)
    }

    async fn load_cells(&self, keys: &[CellKey]) -> Result<Vec<Option<StoredCell>>, Error> {
        let wanted: HashSet<(Table, CellAddress)> =
            keys.iter().map(|key| (Table::of(key.kind), key.address())).collect();
        let reads = wanted.into_iter().map(|(table, at)| async move {
            let found = self.get(table, &at).await?;
            Ok((at, found.map(row::cell)))
        });
        let reads = stream::iter(reads).buffer_unordered(self.options.calls_max);
        let found: HashMap<CellAddress, Option<StoredCell>> = reads.try_collect().await?;
        Ok(keys.iter().map(|key| found.get(&key.address()).cloned().flatten()).collect())
    }

    /// The rows of a range in order, at most so many.
    async fn rows(&self, table: Table, range: &CellRange, rows_max: usize) -> Result<Vec<Row>, Error> {
        let (name, of) = (self.name(table), self.statements(table));
        let mut statement = if range.to.is_some() { of.between.clone() } else { of.from.clone() };
        statement.set_page_size(i32::try_from(rows_max).unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS));
        let mut found = Vec::new();
        let mut behind = PagingState::start();
        loop {
            let (page, next) = match &range.to {
                Some(to) => self.session.execute_single_page(&statement, (&range.row, &range.from, to), behind).await,
                None => self.session.execute_single_page(&statement, (&range.row, &range.from), behind).await,
            }
            .map_err(|error| client::failed("read", &name, &error))?;
            for (sort, v) in client::rows::<(Vec<u8>, Vec<u8>)>(&name, page)? {
                let at = CellAddress { row: range.row.clone(), sort };
                let value = Value::decode(&at, &v)?;
                found.push((at, value));
            }
            match next.into_paging_control_flow() {
                ControlFlow::Continue(next) if found.len() < rows_max => behind = next,
                _ => break,
            }
        }
        found.truncate(rows_max);
        Ok(found)
    }

    async fn page(&self, range: CellRange, limit: usize) -> Result<Page, Error> {
        let Some(table) = Table::of_row(&range.row) else { return Ok(Page::default()) };
        if range.to.as_ref().is_some_and(|to| *to <= range.from) {
            return Ok(Page::default());
        }
        let limit = limit.max(1);
        let mut page = Page::default();
        for (at, value) in self.rows(table, &range, limit.saturating_add(1)).await? {
            if page.cells.len() == limit {
                page.next = Some(at.sort);
                break;
            }
            let key = CellKey::from_address(&at.row, &at.sort);
            let key = key.ok_or_else(|| row::damaged(&at, "its key is no cell key"))?;
            page.cells.push((key, row::cell(value)));
        }
        Ok(page)
    }
}

impl Store for CassandraStore {
    fn last_write_wins(&self) -> bool {
        true
    }

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
            let at = row::checkpoint_key(generation, partition);
            let held = self.get(Table::Progress, &at).await?;
            held.map(|held| row::checkpoint(&at, &held)).transpose()
        })
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            let at = row::checkpoint_key(generation, partition);
            self.put_progress(&at, &row::of_checkpoint(&checkpoint)).await?;
            // Nothing else tells a worker that another one has passed it.
            let held = row::checkpoint(&at, &self.written(&at).await?)?;
            if protocol::may_put_checkpoint(Some(&held), &checkpoint) {
                return Err(Error::Setting(canary::hidden(&self.name(Table::Progress))));
            }
            Ok(protocol::checkpoint_refused(&held, &checkpoint))
        })
    }

    fn tell_owner(&self, generation: u32, partition: u32, owner: Owner) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.put_progress(&row::owner_key(generation, partition), &row::of_owner(&owner)).await })
    }

    fn owners(&self, generation: u32, partitions: u32) -> BoxFuture<'_, Result<Vec<Option<Owner>>, Error>> {
        Box::pin(async move {
            let CellAddress { row, sort: from } = row::owner_key(generation, 0);
            let to = Some(row::owner_key(generation, partitions).sort);
            let mut owners = vec![None; partitions as usize];
            for (at, value) in self.rows(Table::Progress, &CellRange { row, from, to }, owners.len()).await? {
                let place = at.sort.as_slice().try_into().map(u32::from_be_bytes).ok();
                if let Some(place) = place.and_then(|place| owners.get_mut(place as usize)) {
                    *place = Some(row::owner(&at, &value)?);
                }
            }
            Ok(owners)
        })
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            let held = self.get(Table::Progress, &row::generation_key(number)).await?;
            Ok(held.map(|held| held.rest.into()))
        })
    }

    /// Two that write at the same time may each read its own; whoever begins the log then decides, by its first record.
    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>> {
        Box::pin(async move {
            if let Some(held) = self.generation(number).await? {
                return Ok(held);
            }
            let at = row::generation_key(number);
            self.put_progress(&at, &row::of_generation(&row)).await?;
            Ok(self.written(&at).await?.rest.into())
        })
    }
}
