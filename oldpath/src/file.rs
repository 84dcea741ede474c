//! One database file (redb) and the one thread that writes it.
//!
//! Always true here: work is answered only after the commit it was in is on the disk; all work that waits goes into one
//! transaction and one sync; a file first appears under its name when it is complete; work whose transaction was not
//! committed surely did nothing, of one whose commit failed nobody knows; after an error of the engine nothing is
//! answered any more but [`Error::Poisoned`], for what the page cache holds and what the disk holds may differ.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Error, WriteError};

/// Work that may wait; who comes after waits for a place.
const WAITING_MAX: usize = 256;
/// Work in one transaction.
const GROUP_MAX: usize = 256;
/// Room on the disk, in bytes, that must be left before a transaction, beside [`WORK_BYTES`] for each piece of work.
const ROOM_BYTES_MIN: u64 = 8 << 20;
/// What a piece of work may take: a page of 4 KiB on a few levels of a tree or two.
const WORK_BYTES: u64 = 32 << 10;
/// Memory for the engine's page cache.
const CACHE_BYTES: usize = 8 << 20;

/// Version of the layout of both files of this crate.
const FORMAT: u32 = 1;
const FORMATS: TableDefinition<'static, &'static str, u32> = TableDefinition::new("format");

/// What work inside a transaction comes to; an error is one of the engine and ends the transaction.
pub(crate) type Done<T> = Result<T, redb::Error>;

/// An open file. Dropping it finishes the work that waits and closes the file.
#[derive(Debug)]
pub(crate) struct File {
    shared: Arc<Shared>,
    work: Option<mpsc::Sender<Box<dyn Work>>>,
    committer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    folder: PathBuf,
    database: Database,
    poison: watch::Sender<Option<String>>,
}

/// Something to be done in a transaction and answered after it.
trait Work: Send {
    fn apply(&mut self, transaction: &WriteTransaction) -> Done<()>;
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
}

struct Typed<T, F> {
    apply: Option<F>,
    outcome: Option<T>,
    answer: oneshot::Sender<Result<T, WriteError>>,
}

impl<T: Send, F: FnOnce(&WriteTransaction) -> Done<T> + Send> Work for Typed<T, F> {
    fn apply(&mut self, transaction: &WriteTransaction) -> Done<()> {
        if let Some(apply) = self.apply.take() {
            self.outcome = Some(apply(transaction)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), WriteError>) {
        let Self { outcome, answer, .. } = *self;
        let never = || WriteError::Refused("it was not run".to_owned());
        // Who asked may have gone; what was done stays done.
        let _ = answer.send(committed.and_then(|()| outcome.ok_or_else(never)));
    }
}

impl File {
    /// Opens the file, or makes it with these tables; reads it whole to check it.
    pub(crate) fn open(path: &Path, tables: impl FnOnce(&WriteTransaction) -> Done<()>) -> Result<Self, Error> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !path.exists() {
            create(path, &folder, tables)?;
        }
        let database = opened(path, || builder().open(path))?;
        check_format(path, &database)?;
        let shared = Arc::new(Shared { path: path.to_owned(), folder, database, poison: watch::channel(None).0 });
        let (work, waiting) = mpsc::channel(WAITING_MAX);
        let committer = std::thread::Builder::new()
            .name("oldpath-committer".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || run(&shared, waiting)
            })
            .map_err(|error| Error::Unavailable(format!("no thread for the committer: {error}")))?;
        Ok(Self { shared, work: Some(work), committer: Some(committer) })
    }

    /// Why nothing is answered any more, once that is so.
    pub(crate) fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.shared.poison.subscribe()
    }

    /// Has work done in the next transaction.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        apply: impl FnOnce(&WriteTransaction) -> Done<T> + Send + 'static,
    ) -> Result<T, WriteError> {
        self.shared.check().map_err(|error| WriteError::Refused(error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        let work = Box::new(Typed { apply: Some(apply), outcome: None, answer });
        let ended = "the committer has ended";
        match &self.work {
            Some(waiting) => waiting.send(work).await.map_err(|_| WriteError::Refused(ended.to_owned()))?,
            None => return Err(WriteError::Refused(ended.to_owned())),
        }
        answered.await.unwrap_or_else(|_| Err(WriteError::Unknown(ended.to_owned())))
    }

    /// Reads in one transaction, which sees every answered write, on a thread where waiting for the disk hurts nobody.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Done<T> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            shared.check()?;
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&shared.database.begin_read()?)));
            match outcome {
                Ok(read) => read.map_err(|error| shared.error(&error)),
                // How the engine meets pages that make no sense.
                Err(panic) => Err(damaged(&shared.path, panic_text(panic.as_ref()))),
            }
        });
        done.await.unwrap_or_else(|error| Err(Error::Unavailable(format!("reading was cut short: {error}"))))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.work = None;
        if let Some(committer) = self.committer.take() {
            // It catches its panics and poisons the file; there is nothing more to learn from joining it.
            let _ = committer.join();
        }
    }
}

impl Shared {
    fn check(&self) -> Result<(), Error> {
        match &*self.poison.borrow() {
            Some(why) => Err(Error::Poisoned(why.clone())),
            None => Ok(()),
        }
    }

    /// Poisons the file for ever; the first reason stays.
    fn poison(&self, why: &str) -> Error {
        let why = format!("file `{}`: {why}", self.path.display());
        self.poison.send_if_modified(|there| {
            let first = there.is_none();
            if first {
                tracing::error!(why, "the old path's file is poisoned");
                *there = Some(why.clone());
            }
            first
        });
        Error::Poisoned(why)
    }

    fn error(&self, error: &redb::Error) -> Error {
        match error {
            redb::Error::Corrupted(what) => damaged(&self.path, what.as_str()),
            redb::Error::TableDoesNotExist(table) => damaged(&self.path, format!("table `{table}` is not there")),
            other => self.poison(&other.to_string()),
        }
    }

    fn look_for_room(&self, group: usize) -> Result<(), String> {
        let Ok(disk) = rustix::fs::statvfs(self.folder.as_path()) else { return Ok(()) };
        let left = disk.f_bavail.saturating_mul(disk.f_frsize);
        let need = ROOM_BYTES_MIN + WORK_BYTES * group as u64;
        if left < need {
            return Err(format!("disk of {} has {left} bytes left; {need} must be", self.path.display()));
        }
        Ok(())
    }
}

/// Runs until every sender is gone and all work is answered.
fn run(shared: &Shared, mut waiting: mpsc::Receiver<Box<dyn Work>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(work) = waiting.try_recv() else { break };
            group.push(work);
        }
        let committed = catch_unwind(AssertUnwindSafe(|| commit(shared, &mut group))).unwrap_or_else(|panic| {
            // It may have been in the middle of the commit.
            Err(WriteError::Unknown(shared.poison(&panic_text(panic.as_ref())).to_string()))
        });
        for work in group {
            work.answer(committed.clone());
        }
    }
}

fn commit(shared: &Shared, group: &mut [Box<dyn Work>]) -> Result<(), WriteError> {
    shared.check().map_err(|error| WriteError::Refused(error.to_string()))?;
    shared.look_for_room(group.len()).map_err(WriteError::Refused)?;
    let mut written = || -> Done<WriteTransaction> {
        let mut transaction = shared.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // Else a byte that changes in the newest commit of a killed process would silently bring back the one before.
        transaction.set_two_phase_commit(true);
        for work in group.iter_mut() {
            work.apply(&transaction)?;
        }
        Ok(transaction)
    };
    let transaction = written().map_err(|error| WriteError::Refused(shared.error(&error).to_string()))?;
    transaction.commit().map_err(|error| WriteError::Unknown(shared.error(&error.into()).to_string()))
}

/// Makes a whole file under another name and then gives it its own, so that no half-made file is ever found.
fn create(path: &Path, folder: &Path, tables: impl FnOnce(&WriteTransaction) -> Done<()>) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::Setting(format!("file `{}` cannot be created: {error}; check the data folder", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let making = path.with_added_extension("new");
    match std::fs::remove_file(&making) {
        // Left half-made by a process that ended while making it: nothing was ever answered from it.
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let database = opened(&making, || builder().create(&making))?;
    let made = || -> Done<()> {
        let transaction = database.begin_write()?;
        tables(&transaction)?;
        transaction.open_table(FORMATS)?.insert("", FORMAT)?;
        Ok(transaction.commit()?)
    };
    made().map_err(|error| Error::Setting(format!("file `{}` cannot be made: {error}", making.display())))?;
    drop(database);
    std::fs::File::open(&making).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&making, path).map_err(failed)?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Opens, and says what an error in opening means. The engine may panic on a damaged file.
fn opened(path: &Path, open: impl FnOnce() -> Result<Database, redb::DatabaseError>) -> Result<Database, Error> {
    let name = path.display();
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(redb::DatabaseError::DatabaseAlreadyOpen)) => Err(Error::Setting(format!(
            "file `{name}` is in use by another process; stop that process, or give this one another data folder"
        ))),
        Ok(Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(what)))) => Err(damaged(path, what)),
        Ok(Err(error)) => Err(Error::Setting(format!("file `{name}` cannot be opened: {error}"))),
        Err(panic) => Err(damaged(path, panic_text(panic.as_ref()))),
    }
}

fn check_format(path: &Path, database: &Database) -> Result<(), Error> {
    let read = || -> Done<Option<u32>> {
        Ok(database.begin_read()?.open_table(FORMATS)?.get("")?.map(|format| format.value()))
    };
    match read() {
        Ok(Some(FORMAT)) => Ok(()),
        Ok(found) => Err(Error::Setting(format!(
            "file `{}` has layout {found:?}, this build knows {FORMAT}; use the build that wrote it",
            path.display()
        ))),
        Err(error) => Err(damaged(path, error.to_string())),
    }
}

fn damaged(path: &Path, what: impl Into<String>) -> Error {
    Error::Damaged { place: format!("file `{}`", path.display()), what: what.into() }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
