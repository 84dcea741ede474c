//! The one thread that writes: it takes all jobs that wait into one transaction, commits it, and answers them all.
//!
//! Always true here: a job is answered only after the commit it was in is on the disk; a job looks before it writes, so
//! that one that fails by itself has written nothing and the others of its group go on; an error of the engine fails
//! the whole group, and an I/O error poisons the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use redb::{Durability, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::Fail;
use super::engine::{Engine, Shared, panic_text};
use super::tables::Name;
use crate::Error;
use crate::breakage::{Break, Breakage};

/// Jobs that may wait for the committer; who comes after waits for a place.
pub(super) const JOBS_WAITING_MAX: usize = 256;
/// Bytes in a group from which on no further job is taken into it.
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Room on the disk that must be left, in bytes, before a group is begun.
const ROOM_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// The tables of a write transaction.
pub(crate) struct Tables<'t> {
    pub(crate) cells: Table<'t, &'static [u8], &'static [u8]>,
    pub(crate) checkpoints: Table<'t, &'static [u8], &'static [u8]>,
    pub(crate) generations: Table<'t, &'static [u8], &'static [u8]>,
    pub(crate) state: Table<'t, &'static [u8], &'static [u8]>,
    pub(crate) positions: Table<'t, &'static [u8], &'static [u8]>,
    pub(crate) breakage: Breakage,
}

/// How much a job is going to write.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weight {
    /// Rows that lie anywhere in their table (cells), each on a page of its own as like as not.
    pub(crate) scattered: usize,
    /// Rows that lie side by side (state: ids in order of offset), which share their pages.
    pub(crate) side_by_side: usize,
    /// Bytes of the keys and values of both.
    pub(crate) bytes: usize,
}

/// Something to be done in a transaction and answered after it.
pub(super) trait Job: Send {
    fn weight(&self) -> Weight;
    /// Does it; an error is one of the engine and ends the transaction.
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    /// Answers the caller, after the commit or because of what kept it from happening.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

struct Typed<T, F> {
    weight: Weight,
    apply: Option<F>,
    outcome: Option<Result<T, Error>>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send,
    F: FnOnce(&mut Tables<'_>) -> Result<T, Fail> + Send,
{
    fn weight(&self) -> Weight {
        self.weight
    }

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        let Some(apply) = self.apply.take() else { return Ok(()) };
        self.outcome = Some(match apply(tables) {
            Ok(value) => Ok(value),
            Err(Fail::Job(error)) => Err(error),
            Err(Fail::Engine(error)) => return Err(*error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let Self { outcome, answer, .. } = *self;
        let never = || Err(Error::Unavailable("the job was not run".to_owned()));
        // Who asked may have gone; what was done stays done.
        let _ = answer.send(committed.and_then(|()| outcome.unwrap_or_else(never)));
    }
}

impl Engine {
    /// Has a job done in the next transaction. `apply` must return [`Fail::Job`] only before its first write.
    pub(crate) async fn submit<T, F>(&self, weight: Weight, apply: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, Fail> + Send + 'static,
    {
        self.shared.check()?;
        let ended = || self.shared.poison("the committer has ended");
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Typed { weight, apply: Some(apply), outcome: None, answer });
        match &self.jobs {
            Some(jobs) => jobs.send(job).await.map_err(|_| ended())?,
            None => return Err(ended()),
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Runs until every sender is gone and all jobs are answered.
pub(super) fn run(shared: &Shared, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut weight = first.weight();
        let mut group = vec![first];
        while weight.bytes < GROUP_BYTES_MAX {
            let Ok(job) = waiting.try_recv() else { break };
            weight.scattered += job.weight().scattered;
            weight.side_by_side += job.weight().side_by_side;
            weight.bytes += job.weight().bytes;
            group.push(job);
        }
        let committed = catch_unwind(AssertUnwindSafe(|| commit(shared, &mut group, weight)))
            .unwrap_or_else(|panic| Err(shared.poison(&panic_text(panic.as_ref()))));
        for job in group {
            job.answer(committed.clone());
        }
    }
}

fn commit(shared: &Shared, group: &mut [Box<dyn Job>], weight: Weight) -> Result<(), Error> {
    shared.check()?;
    look_for_room(shared, weight)?;
    let done = || -> Result<(), redb::Error> {
        let mut transaction = shared.database.begin_write()?;
        let no_sync = shared.breakage.is(Break::NoSync);
        transaction.set_durability(if no_sync { Durability::None } else { Durability::Immediate })?;
        // Else a byte that changes in the newest commit of a killed process would silently bring back the one before.
        transaction.set_two_phase_commit(!no_sync);
        {
            let mut tables = open_tables(&transaction, shared.breakage)?;
            for job in group {
                job.apply(&mut tables)?;
            }
        }
        transaction.commit()?;
        Ok(())
    };
    done().map_err(|error| shared.error(&error))?;
    shared.commits.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn open_tables(transaction: &WriteTransaction, breakage: Breakage) -> Result<Tables<'_>, redb::TableError> {
    Ok(Tables {
        cells: transaction.open_table(Name::Cells.definition())?,
        checkpoints: transaction.open_table(Name::Checkpoints.definition())?,
        generations: transaction.open_table(Name::Generations.definition())?,
        state: transaction.open_table(Name::State.definition())?,
        positions: transaction.open_table(Name::Positions.definition())?,
        breakage,
    })
}

/// Refuses a group for which the disk may be too full, before the engine meets the full disk in the middle of a commit,
/// which would poison it. A scattered row may touch a page of 4 KiB on a few levels of its tree, one of many side by
/// side little more than its own bytes.
fn look_for_room(shared: &Shared, weight: Weight) -> Result<(), Error> {
    let Some(folder) = &shared.folder else { return Ok(()) };
    let Ok(disk) = rustix::fs::statvfs(folder.as_path()) else { return Ok(()) };
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    let pages = 3 * 4096 * weight.scattered + 64 * weight.side_by_side;
    let need = ROOM_BYTES_MIN + (2 * weight.bytes + pages) as u64;
    if left < need {
        return Err(Error::Unavailable(format!(
            "disk of {} has {left} bytes left, the next commit may need {need}; make room",
            shared.name
        )));
    }
    Ok(())
}
