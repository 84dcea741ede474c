//! A folder of snapshots, on a disk or a file system that all processors reach.
//!
//! Always true here: a file has its name only when it is whole and on the disk, and the name is on the disk when `keep`
//! answers; a partition's are written by one writer at a time (a process that has lost the partition may still be at
//! it), held off by a file lock that ends with its process.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;

use super::name::prefix;
use super::{Content, Name, Place, Reader, in_background};
use crate::Error;

#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(|error| {
            Error::Setting(format!("folder `{}` for snapshots cannot be made: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned() })
    }

    fn write(&self, name: Name, content: Content) -> io::Result<()> {
        let prefix = prefix(name.generation, name.partition);
        // Two writers would write into one unfinished file, and into each other's snapshot after it got its name.
        let lock = File::create(self.path.join(format!("{prefix}lock")))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another writer is at one; try again when it has ended"),
            TryLockError::Error(error) => error,
        })?;
        let unfinished = self.path.join(format!("{prefix}unfinished"));
        let mut file = BufWriter::new(File::create(&unfinished)?);
        content(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&unfinished, self.path.join(name.to_string()))?;
        File::open(&self.path)?.sync_all()
    }

    fn names(&self, generation: u32, partition: u32) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let file = entry?.file_name();
            names.extend(file.to_str().and_then(|file| Name::parse(file, generation, partition)));
        }
        Ok(names)
    }

    /// `None` = there is no such file; where the folder is gone as well, nobody knows.
    fn unless_gone<T>(&self, done: io::Result<T>) -> io::Result<Option<T>> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.exists() => Ok(None),
            done => done.map(Some),
        }
    }

    /// Does something to the folder where waiting for the disk hurts nobody.
    fn work<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Error>> {
        let folder = self.clone();
        Box::pin(in_background(move || {
            work(&folder).map_err(|error| {
                Error::Unavailable(format!("snapshot in folder `{}` cannot be {what}: {error}", folder.path.display()))
            })
        }))
    }
}

impl Place for Folder {
    fn list(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        self.work("listed", move |folder| folder.names(generation, partition))
    }

    fn open(&self, name: Name) -> BoxFuture<'_, Result<Option<Reader>, Error>> {
        self.work("opened", move |folder| {
            let file = folder.unless_gone(File::open(folder.path.join(name.to_string())))?;
            Ok(file.map(|file| Box::new(BufReader::new(file)) as Reader))
        })
    }

    fn keep(&self, name: Name, content: Content) -> BoxFuture<'_, Result<(), Error>> {
        self.work("written", move |folder| folder.write(name, content))
    }

    fn remove(&self, name: Name) -> BoxFuture<'_, Result<(), Error>> {
        self.work("removed", move |folder| {
            folder.unless_gone(fs::remove_file(folder.path.join(name.to_string()))).map(drop)
        })
    }
}
