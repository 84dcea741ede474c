//! One database file: opening, reading, poisoning.
//!
//! Always true here: a file is open in one process only and was checked whole when it was opened; it first appears
//! under its name when it is complete; after an I/O error in the engine nothing is answered any more but
//! [`Error::Poisoned`], for what the page cache holds and what the disk holds may differ from then on.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase};
use tokio::sync::{mpsc, watch};

use super::committer::{self, JOBS_WAITING_MAX, Job};
use super::tables::{self, FORMAT, Name};
use super::{Fail, Options};
use crate::Error;
use crate::breakage::Breakage;

/// An open file with its committer thread. Dropping it finishes the jobs that wait and closes the file.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    committer: Option<JoinHandle<()>>,
}

/// What callers and the committer share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What errors call this file.
    pub(super) name: String,
    /// The folder it lies in, to ask how much room is left; `None` when it is no file of ours.
    pub(super) folder: Option<PathBuf>,
    pub(super) database: Database,
    pub(super) breakage: Breakage,
    /// Transactions committed since opening.
    pub(super) commits: AtomicU64,
    poison: watch::Sender<Option<String>>,
}

impl Engine {
    /// Opens the file, or creates it when there is none.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !path.exists() {
            create(path, &folder, options)?;
        }
        let name = format!("file `{}`", path.display());
        let database = opened(&name, || builder(options, true).open(path))?;
        Self::start(name, Some(folder), database, options)
    }

    /// Opens a database on a disk of the caller's.
    #[cfg(feature = "testing")]
    pub(crate) fn on(backend: impl redb::StorageBackend, options: &Options) -> Result<Self, Error> {
        let name = "file of a test".to_owned();
        let database = opened(&name, || builder(options, true).create_with_backend(backend))?;
        prepare(&name, &database)?;
        Self::start(name, None, database, options)
    }

    fn start(name: String, folder: Option<PathBuf>, database: Database, options: &Options) -> Result<Self, Error> {
        let (poison, _) = watch::channel(None);
        let shared =
            Arc::new(Shared { name, folder, database, breakage: options.breakage, commits: AtomicU64::new(0), poison });
        shared.check_format()?;
        let (jobs, waiting) = mpsc::channel(JOBS_WAITING_MAX);
        let committer = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || committer::run(&shared, waiting)
            })
            .map_err(|error| Error::Unavailable(format!("no thread for the store's committer: {error}")))?;
        Ok(Self { shared, jobs: Some(jobs), committer: Some(committer) })
    }

    /// Why nothing is answered any more, once that is so.
    pub(crate) fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.shared.poison.subscribe()
    }

    /// Reads in one transaction, which sees every answered commit, on a thread where waiting for the disk hurts nobody.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            shared.check()?;
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let transaction = shared.database.begin_read()?;
                read(&Reader { transaction, breakage: shared.breakage })
            }));
            match outcome {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(Fail::Job(error))) => Err(error),
                Ok(Err(Fail::Engine(error))) => Err(shared.error(&error)),
                // A panic of the engine while it reads is how it meets pages that make no sense.
                Err(panic) => Err(Error::Damaged { place: shared.name.clone(), what: panic_text(panic.as_ref()) }),
            }
        });
        done.await.unwrap_or_else(|error| Err(Error::Unavailable(format!("reading was cut short: {error}"))))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(committer) = self.committer.take() {
            // It catches its panics and poisons the store; there is nothing more to learn from joining it.
            let _ = committer.join();
        }
    }
}

/// A read transaction.
pub(crate) struct Reader {
    transaction: ReadTransaction,
    pub(crate) breakage: Breakage,
}

impl Reader {
    pub(crate) fn table(&self, name: Name) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, Fail> {
        Ok(self.transaction.open_table(name.definition())?)
    }
}

impl Shared {
    /// Refuses when poisoned.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &*self.poison.borrow() {
            Some(why) => Err(Error::Poisoned(why.clone())),
            None => Ok(()),
        }
    }

    /// Poisons the store for ever; the first reason stays.
    pub(super) fn poison(&self, why: &str) -> Error {
        self.poison.send_if_modified(|there| {
            let first = there.is_none();
            if first {
                tracing::error!(file = self.name, why, "store is poisoned");
                *there = Some(format!("{}: {why}", self.name));
            }
            first
        });
        self.check().err().unwrap_or_else(|| Error::Poisoned(why.to_owned()))
    }

    /// What an error of the engine on an open file means.
    pub(super) fn error(&self, error: &redb::Error) -> Error {
        match error {
            redb::Error::Corrupted(what) => Error::Damaged { place: self.name.clone(), what: what.clone() },
            redb::Error::TableDoesNotExist(table) => {
                Error::Damaged { place: self.name.clone(), what: format!("table `{table}` is not there") }
            }
            redb::Error::ValueTooLarge(bytes) => Error::Setting(format!("value of {bytes} bytes is too large")),
            other => self.poison(&other.to_string()),
        }
    }

    fn check_format(&self) -> Result<(), Error> {
        let read = || -> Result<_, Fail> {
            let transaction = self.database.begin_read()?;
            let reader = Reader { transaction, breakage: self.breakage };
            tables::get(&reader.table(Name::Format)?, Name::Format, &[], self.breakage)
        };
        match read() {
            Ok(Some(bytes)) if *bytes == FORMAT.to_be_bytes() => Ok(()),
            Ok(found) => Err(Error::Setting(format!(
                "{} has layout {:?}, this build knows {:?}; use the build that wrote it, or remove the file to have it \
                 built again from the log",
                self.name,
                found.as_deref().unwrap_or_default(),
                FORMAT.to_be_bytes()
            ))),
            Err(Fail::Job(error)) => Err(error),
            Err(Fail::Engine(error)) => Err(self.error(&error)),
        }
    }
}

/// Makes a whole file under another name and then gives it its own, so that no half-made file is ever found.
fn create(path: &Path, folder: &Path, options: &Options) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::Setting(format!("file `{}` cannot be created: {error}; check the data folder", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut making = path.as_os_str().to_owned();
    making.push(".new");
    let making = PathBuf::from(making);
    let name = format!("file `{}`", making.display());
    let make = || {
        let database = opened(&name, || builder(options, false).create(&making))?;
        prepare(&name, &database)
    };
    match make() {
        // Left half-made by a process that ended while making it: nothing was ever answered from it.
        Err(Error::Damaged { .. }) => {
            std::fs::remove_file(&making).map_err(failed)?;
            make()?;
        }
        made => made?,
    }
    File::open(&making).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&making, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Creates all tables of an empty database.
fn prepare(name: &str, database: &Database) -> Result<(), Error> {
    let run = || -> Result<(), Fail> {
        let transaction = database.begin_write()?;
        if transaction.list_tables()?.next().is_some() {
            return Ok(());
        }
        for table in Name::ALL {
            transaction.open_table(table.definition())?;
        }
        let row = tables::seal(Name::Format, &[], &[&FORMAT.to_be_bytes()]);
        transaction.open_table(Name::Format.definition())?.insert([].as_slice(), row.as_slice())?;
        Ok(transaction.commit()?)
    };
    run().map_err(|fail| match fail {
        Fail::Job(error) => error,
        Fail::Engine(error) => Error::Unavailable(format!("{name} cannot be prepared: {error}")),
    })
}

fn builder(options: &Options, check: bool) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes).set_check_integrity_on_open(check);
    builder
}

/// Opens, and says what an error in opening means. The engine may panic on a damaged file; that is an error like
/// others.
fn opened(name: &str, open: impl FnOnce() -> Result<Database, redb::DatabaseError>) -> Result<Database, Error> {
    let damaged = |what: String| Error::Damaged { place: name.to_owned(), what };
    let error = match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => return Ok(database),
        Ok(Err(error)) => redb::Error::from(error),
        Err(panic) => return Err(damaged(panic_text(panic.as_ref()))),
    };
    Err(match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Error::Setting(format!(
            "{name} is in use by another process; stop that process, or give this one another data folder"
        )),
        redb::Error::Corrupted(what) => damaged(what),
        redb::Error::UpgradeRequired(version) => {
            Error::Setting(format!("{name} is of engine format {version}, which this build does not read"))
        }
        redb::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => damaged(error.to_string()),
            _ => Error::Setting(format!("{name} cannot be opened: {error}; check the data folder")),
        },
        other => Error::Setting(format!("{name} cannot be opened: {other}")),
    })
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the engine panicked: {}", said.unwrap_or("no text"))
}
