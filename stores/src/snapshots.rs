//! Snapshots: copies of durable state in a place that outlives the machine, for a worker that has no state of its own.
//!
//! Always true here: a snapshot is named by generation, partition, layout and position; it appears under its name only
//! when it is whole and on the disk; a partition's are written by one writer at a time (a process that has lost the
//! partition may still be at it), held off by a file lock that ends with its process; it is compared with its checksum
//! before any of it is used; the newest [`KEPT`] of a partition stay. A folder is the only place so far: another (S3)
//! is a second type beside [`Folder`] with the same three functions over `encode` and `decode`, and only then is it
//! worth a trait.
//!
//! Layout (numbers little-endian): magic (8), generation (4), partition (4), position (8), number of rows (8); per row
//! length of key (4), length of value (4), key, value; CRC32C of all before it (4).

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::{Error, SavedState};

/// How many snapshots of a partition are kept: the newest, and one to fall back on.
pub const KEPT: usize = 2;

const MAGIC: [u8; 8] = *b"flagsnp1";
const ENDING: &str = ".v1.snapshot";

/// What was found when the newest snapshot was looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    /// The newest snapshot that is whole.
    pub state: Option<SavedState>,
    /// Newer ones that are not, newest first: name and what is wrong. Somebody should be told.
    pub passed_over: Vec<(String, String)>,
}

/// Snapshots in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Snapshots in the folder at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Setting`] names the folder.
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(|error| {
            Error::Setting(format!("folder `{}` for snapshots cannot be made: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned() })
    }

    /// Keeps a copy of a partition's durable state; answers when it is on the disk. Older ones beyond [`KEPT`] go.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while another writer keeps a snapshot of this partition: the one before is still
    /// there, and the same call may be tried again.
    pub async fn put(&self, generation: u32, partition: u32, state: SavedState) -> Result<(), Error> {
        let folder = self.clone();
        in_background(move || {
            folder.write(generation, partition, &state).map_err(|error| folder.unavailable("written", &error))
        })
        .await
    }

    /// The newest whole snapshot of a partition, passing over damaged ones.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the folder or a file in it cannot be read; a damaged file is no error.
    pub async fn newest(&self, generation: u32, partition: u32) -> Result<Newest, Error> {
        let folder = self.clone();
        in_background(move || {
            let mut newest = Newest::default();
            let positions = folder.list(generation, partition).map_err(|error| folder.unavailable("listed", &error))?;
            for position in positions {
                let name = name(generation, partition, position);
                let file = File::open(folder.path.join(&name)).map_err(|error| folder.unavailable("opened", &error))?;
                match decode(BufReader::new(file), generation, partition) {
                    Ok(state) if state.position == position => {
                        newest.state = Some(state);
                        break;
                    }
                    Ok(state) => newest.passed_over.push((name, format!("it is of position {}", state.position))),
                    Err(error) if is_damage(&error) => newest.passed_over.push((name, error.to_string())),
                    Err(error) => return Err(folder.unavailable("read", &error)),
                }
            }
            Ok(newest)
        })
        .await
    }

    /// Positions of a partition's snapshots, newest first; whether they are whole is not looked at.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the folder cannot be read.
    pub async fn positions(&self, generation: u32, partition: u32) -> Result<Vec<u64>, Error> {
        let folder = self.clone();
        in_background(move || folder.list(generation, partition).map_err(|error| folder.unavailable("listed", &error)))
            .await
    }

    fn write(&self, generation: u32, partition: u32, state: &SavedState) -> io::Result<()> {
        let prefix = prefix(generation, partition);
        // Two writers would write into one unfinished file, and into each other's snapshot after it got its name.
        let lock = File::create(self.path.join(format!("{prefix}lock")))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another writer is at one; try again when it has ended"),
            TryLockError::Error(error) => error,
        })?;
        let unfinished = self.path.join(format!("{prefix}unfinished"));
        let mut file = BufWriter::new(File::create(&unfinished)?);
        encode(&mut file, generation, partition, state)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&unfinished, self.path.join(name(generation, partition, state.position)))?;
        File::open(&self.path)?.sync_all()?;
        for position in self.list(generation, partition)?.into_iter().skip(KEPT) {
            fs::remove_file(self.path.join(name(generation, partition, position)))?;
        }
        Ok(())
    }

    fn list(&self, generation: u32, partition: u32) -> io::Result<Vec<u64>> {
        let prefix = prefix(generation, partition);
        let mut positions = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let position: Option<u64> =
                name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(ENDING)?.parse().ok());
            positions.extend(position);
        }
        positions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(positions)
    }

    fn unavailable(&self, what: &str, error: &io::Error) -> Error {
        Error::Unavailable(format!("snapshot in folder `{}` cannot be {what}: {error}", self.path.display()))
    }
}

/// Writes a snapshot in the layout at the top of this module.
fn encode(out: &mut impl Write, generation: u32, partition: u32, state: &SavedState) -> io::Result<()> {
    let mut out = Summing { inner: out, crc: 0 };
    out.write_all(&MAGIC)?;
    out.write_all(&generation.to_le_bytes())?;
    out.write_all(&partition.to_le_bytes())?;
    out.write_all(&state.position.to_le_bytes())?;
    out.write_all(&(state.rows.len() as u64).to_le_bytes())?;
    for (key, value) in &state.rows {
        for part in [key, value] {
            let len = u32::try_from(part.len()).map_err(|_| io::Error::other("row is over 4 GiB"))?;
            out.write_all(&len.to_le_bytes())?;
        }
        out.write_all(key)?;
        out.write_all(value)?;
    }
    let crc = out.crc;
    out.inner.write_all(&crc.to_le_bytes())
}

/// Reads a snapshot back; damage is an error of kind `InvalidData` or `UnexpectedEof`.
fn decode(input: impl Read, generation: u32, partition: u32) -> io::Result<SavedState> {
    let mut input = Summing { inner: input, crc: 0 };
    if input.number::<8>()? != MAGIC {
        return Err(damage("it does not begin as a snapshot does"));
    }
    let of = (u32::from_le_bytes(input.number()?), u32::from_le_bytes(input.number()?));
    if of != (generation, partition) {
        return Err(damage(format!("it is of generation {}, partition {}", of.0, of.1)));
    }
    let position = u64::from_le_bytes(input.number()?);
    let count = u64::from_le_bytes(input.number()?);
    let mut rows = Vec::new();
    for _ in 0..count {
        let (key, value) = (u32::from_le_bytes(input.number()?), u32::from_le_bytes(input.number()?));
        let mut row = input.bytes(u64::from(key) + u64::from(value))?;
        rows.push((row.split_to(key as usize), row));
    }
    let is = input.crc;
    let there = u32::from_le_bytes(input.number()?);
    if there != is {
        return Err(damage(format!("its checksum is {is:08x}, should be {there:08x}")));
    }
    if input.inner.read(&mut [0])? != 0 {
        return Err(damage("something follows its end"));
    }
    Ok(SavedState { position, rows })
}

/// A reader or writer that adds up the checksum of what passes.
struct Summing<I> {
    inner: I,
    crc: u32,
}

impl<W: Write> Summing<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Summing<R> {
    fn number<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }

    /// Reads `len` bytes without trusting it: memory is taken as bytes arrive.
    fn bytes(&mut self, len: u64) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(len.min(64 * 1024) as usize);
        if self.inner.by_ref().take(len).read_to_end(&mut bytes)? as u64 != len {
            return Err(damage("it ends within a row"));
        }
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(Bytes::from(bytes))
    }
}

fn damage(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn prefix(generation: u32, partition: u32) -> String {
    format!("g{generation}-p{partition}-")
}

fn name(generation: u32, partition: u32, position: u64) -> String {
    format!("{}{position:020}{ENDING}", prefix(generation, partition))
}

/// Runs file work where waiting for the disk hurts nobody.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = |error| Err(Error::Unavailable(format!("work on a snapshot was cut short: {error}")));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ended)
}
