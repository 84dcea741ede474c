//! What every back end must do, as a list of named cases over a fresh store each.
//!
//! Always true here: a case knows nothing of the back end but [`Store`]; one that fails says what it found. A new back
//! end calls [`run`] with a way to make an empty store, and passes when nothing comes back. What a store *holds* after
//! a write is the same for all; where the last write wins, none is told that it lost.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::id::Environment;

use crate::{CellWrite, Checkpoint, Error, Store, StoredCell, WriteAnswer};

mod keeping;
mod reading;
pub mod snapshots;
mod writing;

/// A case by its name.
pub struct Case {
    /// What the case shows.
    pub name: &'static str,
    run: fn(Arc<dyn Store>) -> BoxFuture<'static, Outcome>,
}

/// A case that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub case: &'static str,
    /// What was found.
    pub what: String,
}

/// `Err` says what was found.
type Outcome = Result<(), String>;

macro_rules! cases {
    ($($name:literal => $case:path,)*) => {
        &[$(Case { name: $name, run: |store| Box::pin($case(store)) },)*]
    };
}

/// Every case.
pub const CASES: &[Case] = cases! {
    "a cell is put by its h: absent, lower, equal, higher" => writing::put_by_h,
    "a refusal gives value and h together" => writing::adopt_together,
    "each cell of a write stands alone" => writing::each_alone,
    "a cell twice in one write is put in order" => writing::twice_in_one_write,
    "a zombie that lags is refused, one that runs ahead with the same bytes is harmless" => writing::zombies,
    "cells of 0 bytes and of 64 KiB come back as they were" => writing::sizes,
    "the highest h there is can be written" => writing::highest_h,
    "load answers in the order asked, with none for the absent" => reading::load_order,
    "a range of windows gives this flag from hour to hour" => reading::windows,
    "a range of names gives all flags of an environment" => reading::names,
    "pages join to the whole range, whatever their size" => reading::pages,
    "environments, generations, partitions, kinds and names never mix" => keeping::never_mix,
    "a checkpoint never falls, and an equal one is success" => keeping::checkpoint_never_falls,
    "checkpoints of generations and partitions are apart" => keeping::checkpoints_apart,
    "a generation's row is written once" => keeping::generation_immutable,
};

/// Cases for stores that several processes share.
pub const SHARED: &[Case] = cases! {
    "what an owner says of itself gives way to what is newer" => keeping::newest_owner,
};

/// Runs every case on a store of its own; gives those that did not pass.
///
/// # Errors
/// Whatever `factory` answers when it cannot make a store.
pub async fn run<F>(factory: impl FnMut() -> F) -> Result<Vec<Failure>, Error>
where
    F: Future<Output = Result<Arc<dyn Store>, Error>>,
{
    run_these(CASES.iter(), factory).await
}

/// As [`run`], for a store that several processes share.
///
/// # Errors
/// Whatever `factory` answers when it cannot make a store.
pub async fn run_shared<F>(factory: impl FnMut() -> F) -> Result<Vec<Failure>, Error>
where
    F: Future<Output = Result<Arc<dyn Store>, Error>>,
{
    run_these(CASES.iter().chain(SHARED), factory).await
}

async fn run_these<F>(cases: impl Iterator<Item = &Case>, mut factory: impl FnMut() -> F) -> Result<Vec<Failure>, Error>
where
    F: Future<Output = Result<Arc<dyn Store>, Error>>,
{
    let mut failures = Vec::new();
    for case in cases {
        let store = factory().await?;
        if let Err(what) = (case.run)(store).await {
            failures.push(Failure { case: case.name, what });
        }
    }
    Ok(failures)
}

/// Compares what was found with what should be.
fn same<T: PartialEq + Debug>(what: &str, found: T, should: T) -> Outcome {
    if found == should { Ok(()) } else { Err(format!("{what}: found {found:?}, should be {should:?}")) }
}

/// Compares the answers to a write of cells: where the last write wins, a refusal is not told.
fn answered(store: &dyn Store, what: &str, found: Vec<WriteAnswer>, should: Vec<WriteAnswer>) -> Outcome {
    let should = if store.last_write_wins() { vec![WriteAnswer::Stored; should.len()] } else { should };
    same(what, found, should)
}

/// Compares what is held of one cell.
async fn holds(store: &dyn Store, what: &str, key: &CellKey, should: StoredCell) -> Outcome {
    same(what, told(store.load(vec![key.clone()]).await)?, vec![Some(should)])
}

/// An answer, or the text of the error instead.
fn told<T>(answer: Result<T, Error>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

fn environment(project: &str, key: &str) -> Environment {
    Environment { project: Bytes::copy_from_slice(project.as_bytes()), key: Bytes::copy_from_slice(key.as_bytes()) }
}

/// A usage cell of environment p/e in generation 1, partition 0.
fn usage(flag: &str, hour: u32) -> CellKey {
    key(CellKind::Usage, CellName::Key(Bytes::copy_from_slice(flag.as_bytes())), hour)
}

fn key(kind: CellKind, name: CellName, window: u32) -> CellKey {
    CellKey { generation: 1, partition: 0, kind, environment: environment("p", "e"), name, window }
}

fn cell(h: u64, value: &str) -> StoredCell {
    StoredCell { h, value: Bytes::copy_from_slice(value.as_bytes()) }
}

fn write(key: &CellKey, cell: StoredCell) -> CellWrite {
    CellWrite { key: key.clone(), cell }
}

fn checkpoint(position: u64) -> Checkpoint {
    Checkpoint { position, definition_version: position / 2, fingerprint: 7, log_time_ms: -1 }
}
