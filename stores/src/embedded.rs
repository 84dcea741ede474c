//! The store of a single process: one file of one engine (redb) that holds cells, checkpoints and partition state.
//!
//! Always true here: a flush (cells, checkpoint and state of a partition) is on the disk whole or not at all, and
//! answered after; state never stands above its partition's checkpoint; every value is compared with its checksum when
//! it is read. What is guarded beyond that, and why this engine, is in `docs/decisions/state-engine.md`.
//!
//! Where to go next: `engine` opens and poisons, `committer` groups commits, `tables` has the layout,
//! `flush` the rules of writing, `state_rows` partition state.

use std::path::Path;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellRange};
use tokio::sync::watch;

use crate::breakage::{Break, Breakage};
use crate::{CellWrite, Checkpoint, Error, Flush, Page, SavedState, Store, StoredCell, WriteAnswer};

pub(crate) mod committer;
pub(crate) mod engine;
mod flush;
pub(crate) mod state_rows;
pub(crate) mod tables;

use committer::Weight;
use engine::{Engine, Reader};
use flush::Parts;
pub use flush::{Ahead, Flushed};
use tables::Name;

/// How an embedded file is opened.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) cache_bytes: usize,
    pub(crate) breakage: Breakage,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 8 * 1024 * 1024, breakage: Breakage::default() }
    }
}

impl Options {
    /// The same, with this much memory for the engine's page cache, in bytes; 8 MiB unless told.
    #[must_use]
    pub fn with_cache_bytes(mut self, cache_bytes: usize) -> Self {
        self.cache_bytes = cache_bytes;
        self
    }

    /// The same, breaking a rule.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn breaking(mut self, rule: Break) -> Self {
        self.breakage = Breakage::of(rule);
        self
    }
}

/// Why a piece of work inside a transaction was not done.
#[derive(Debug)]
pub(crate) enum Fail {
    /// Of its own: nothing was written for it, the transaction may go on.
    Job(Error),
    /// The engine's: the transaction ends here.
    Engine(Box<redb::Error>),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Job(error)
    }
}

macro_rules! engine_errors {
    ($($error:ident)*) => {$(
        impl From<redb::$error> for Fail {
            fn from(error: redb::$error) -> Self {
                Self::Engine(Box::new(error.into()))
            }
        }
    )*};
}
engine_errors!(StorageError TableError TransactionError CommitError);

/// Cells, checkpoints and partition state in one file.
#[derive(Debug)]
pub struct Embedded {
    engine: Engine,
}

impl Embedded {
    /// Opens the file at `path`, or creates it; reads it whole to check it (about 4 s a GiB).
    ///
    /// # Errors
    /// [`Error::Damaged`] names the file; [`Error::Setting`] when another process has it, when it cannot be opened, or
    /// when its layout is unknown.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        Ok(Self { engine: Engine::open(path, options)? })
    }

    /// Opens the store on a disk of the caller's making.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[cfg(feature = "testing")]
    pub fn on(backend: impl redb::StorageBackend, options: &Options) -> Result<Self, Error> {
        Ok(Self { engine: Engine::on(backend, options)? })
    }

    /// Why the store answers nothing any more but [`Error::Poisoned`], once that is so; then the process must end.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.engine.poisoned()
    }

    /// Transactions committed since opening; flushes that waited together share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.engine.shared.commits.load(Ordering::Relaxed)
    }

    /// Writes a partition's cells, checkpoint and state, all or nothing; answers when it is on the disk.
    ///
    /// # Errors
    /// [`Error::Setting`] when the state would fall, or stand above the checkpoint; nothing was written then.
    pub async fn commit(&self, flush: Flush) -> Result<Flushed, Error> {
        let breakage = self.engine.shared.breakage;
        let (mut first, mut last) =
            (Parts::of(flush.generation, flush.partition), Parts::of(flush.generation, flush.partition));
        let mut whole = Parts::from(flush);
        if breakage.is(Break::CheckpointApart) {
            first.checkpoint = whole.checkpoint.take();
            self.commit_parts(first).await?;
        }
        if breakage.is(Break::StateApart) {
            last.state = whole.state.take();
        }
        let flushed = self.commit_parts(whole).await?;
        if last.state.is_some() {
            self.commit_parts(last).await?;
        }
        Ok(flushed)
    }

    async fn commit_parts(&self, parts: Parts) -> Result<Flushed, Error> {
        self.engine.submit(parts.weight(), move |tables| parts.apply(tables)).await
    }

    /// A partition's state; `None` where none was saved. Rows are held in memory; see [`Self::visit_state`].
    ///
    /// # Errors
    /// [`Error::Damaged`] when rows are missing, stale or altered.
    pub async fn load_state(&self, generation: u32, partition: u32) -> Result<Option<SavedState>, Error> {
        self.engine.read(move |reader| state_rows::load(reader, generation, partition)).await
    }

    /// Gives a partition's rows to `visit` one by one in order of key, then answers the position at which the state
    /// stands. What was visited is good only when the answer is.
    ///
    /// # Errors
    /// As [`Self::load_state`].
    pub async fn visit_state(
        &self,
        generation: u32,
        partition: u32,
        visit: impl FnMut(&[u8], &[u8]) + Send + 'static,
    ) -> Result<Option<u64>, Error> {
        self.engine.read(move |reader| state_rows::visit(reader, generation, partition, visit)).await
    }

    /// Puts a loaded snapshot in place of a partition's state.
    ///
    /// # Errors
    /// [`Error::Setting`] when it stands above the partition's checkpoint: the cells are not there that it has passed.
    pub async fn replace_state(&self, generation: u32, partition: u32, state: SavedState) -> Result<(), Error> {
        let weight = state_rows::weight_of_whole(&state);
        let apply = move |tables: &mut committer::Tables<'_>| {
            flush::check_state_below(tables, generation, partition, None, state.position)?;
            state_rows::replace(tables, generation, partition, &state)
        };
        self.engine.submit(weight, apply).await
    }
}

fn load(reader: &Reader, keys: &[CellKey]) -> Result<Vec<Option<StoredCell>>, Fail> {
    let cells = reader.table(Name::Cells)?;
    let one = |key: &CellKey| {
        let address = key.address();
        let key = tables::cell_key(&address.row, &address.sort)?;
        let bytes = tables::get(&cells, Name::Cells, &key, reader.breakage)?;
        Ok(bytes.map(|bytes| tables::read_cell(&key, &bytes)).transpose()?)
    };
    keys.iter().map(one).collect()
}

fn page(reader: &Reader, range: &CellRange, limit: usize) -> Result<Page, Fail> {
    let cells = reader.table(Name::Cells)?;
    let first = tables::cell_key(&range.row, &range.from)?;
    let row = tables::cell_key(&range.row, &[])?;
    let mut page = Page::default();
    for entry in cells.range(first.as_slice()..)? {
        let (key, sealed) = entry?;
        let key = key.value();
        let Some(sort) = key.strip_prefix(row.as_slice()) else { break };
        if range.to.as_ref().is_some_and(|to| sort >= to.as_slice()) {
            break;
        }
        if page.cells.len() == limit.max(1) {
            page.next = Some(sort.to_vec());
            break;
        }
        let bytes = Bytes::copy_from_slice(tables::unseal(Name::Cells, key, sealed.value(), reader.breakage)?);
        let (cell_key, _) = tables::read_cell_key(key)?;
        page.cells.push((cell_key, tables::read_cell(key, &bytes)?));
    }
    Ok(page)
}

impl Store for Embedded {
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, Error>> {
        Box::pin(self.engine.read(move |reader| load(reader, &keys)))
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, Error>> {
        let bytes = cells.iter().map(|write| write.cell.value.len()).sum();
        let weight = Weight { scattered: cells.len(), side_by_side: 0, bytes };
        Box::pin(self.engine.submit(weight, move |tables| flush::write_each(tables, &cells)))
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, Error>> {
        Box::pin(self.engine.read(move |reader| page(reader, &range, limit)))
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, Error>> {
        Box::pin(self.engine.read(move |reader| {
            let key = tables::partition_key(generation, partition);
            let bytes = tables::get(&reader.table(Name::Checkpoints)?, Name::Checkpoints, &key, reader.breakage)?;
            Ok(bytes.map(|bytes| tables::read_checkpoint(&key, &bytes)).transpose()?)
        }))
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        let parts = Parts { checkpoint: Some(checkpoint), ..Parts::of(generation, partition) };
        Box::pin(async move { Ok(self.commit_parts(parts).await? == Flushed::Durable) })
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        Box::pin(self.engine.read(move |reader| {
            tables::get(&reader.table(Name::Generations)?, Name::Generations, &number.to_be_bytes(), reader.breakage)
        }))
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, Error>> {
        let weight = Weight { scattered: 1, side_by_side: 0, bytes: row.len() };
        Box::pin(self.engine.submit(weight, move |tables| flush::create_generation(tables, number, row)))
    }
}
