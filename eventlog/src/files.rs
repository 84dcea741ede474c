//! The file layer under the log (and, in tests, under the state): one flat directory of files.
//!
//! Always true here: nothing is promised to survive a power cut before [`File::sync_data`] (bytes and length of a file)
//! or [`Files::sync_dir`] (which names exist) has answered Ok. The real layer is [`Directory`]; `forgetful` is a disk
//! that takes these words literally.

mod directory;
mod durable;
#[cfg(any(test, feature = "testing"))]
pub mod forgetful;

use std::{fmt, io, sync::Arc};

pub use directory::Directory;
pub use durable::create_private_durably;

/// One directory.
pub trait Files: Send + Sync + fmt::Debug {
    /// Opens a file that is there, to read and write.
    ///
    /// # Errors
    /// `NotFound`, or whatever the disk says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Makes an empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, or whatever the disk says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name; a file that has that name is replaced.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name; those who have the file open may go on reading it.
    ///
    /// # Errors
    /// `NotFound`, or whatever the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Names of all files, sorted.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// Whatever the disk says; after an error nothing is known about names changed since the last success.
    fn sync_dir(&self) -> io::Result<()>;

    /// Locks the directory against every other process (and every other holder in this one) until dropped.
    ///
    /// # Errors
    /// `WouldBlock` when somebody has it.
    fn lock(&self, name: &str) -> io::Result<Lock>;

    /// Where this is, for messages.
    fn place(&self) -> String;
}

/// Holds a directory until dropped.
pub type Lock = Box<dyn Send + Sync>;

/// One open file.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads as many bytes as there are from `offset`, at most `out.len()`; fewer only at the end of the file.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes, growing the file where needed.
    ///
    /// # Errors
    /// Whatever the disk says; some of the bytes may then have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is not a byte in it.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or grows it by zeros (for which room may or may not be taken).
    ///
    /// # Errors
    /// Whatever the disk says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes room on the disk for `len` bytes and makes the file that long, so that later writes below need none.
    ///
    /// # Errors
    /// `StorageFull` when there is no room.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes bytes and length durable.
    ///
    /// # Errors
    /// Whatever the disk says; after an error nothing is known about what was written since the last success,
    /// and asking again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Reads exactly `out.len()` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; else whatever the disk says.
    fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.read_at(offset, out)? == out.len() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("file ends before byte {}", offset + out.len() as u64),
        ))
    }
}

/// Whether a failed write may succeed once somebody frees space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
