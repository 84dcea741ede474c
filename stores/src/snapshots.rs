//! Snapshots: copies of durable state in a place that outlives the machine, for a worker that has no state of its own.
//!
//! Always true here: a snapshot is named by generation, partition, position and content; it appears under its name only
//! when it is whole and durable; two writers (a process that has lost the partition may still be at it) never damage
//! each other's; it is compared with its checksum and its name before any of it is used; the newest [`KEPT`] of a
//! partition stay; a place that cannot be read is an error that may pass, never a place without snapshots.
//!
//! Where to go next: [`Place`] is what a folder and a bucket (`bucket`, feature `objects`) have in common, `layout` the
//! bytes; `conformance::snapshots` (feature `testing`) is what each place must pass.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{Error, SavedState};

#[cfg(feature = "objects")]
pub mod bucket;
mod folder;
mod layout;
mod name;

pub use name::Name;

/// How many snapshots of a partition are kept: the newest, and one to fall back on.
pub const KEPT: usize = 2;

/// So often the newest is looked for anew, when what was listed has been removed meanwhile.
const LOOKS_MAX: usize = 5;

/// Bytes of a snapshot, read where waiting hurts nobody. Bytes that end are all that there are: a place that cannot be
/// read on is an error of another kind than `UnexpectedEof` and `InvalidData`.
pub type Reader = Box<dyn Read + Send>;

/// Writes the bytes of a snapshot, where waiting hurts nobody.
pub type Content = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// Where snapshots lie. Every error is one that may pass, and leaves what is there as it is.
pub trait Place: Send + Sync + std::fmt::Debug {
    /// The snapshots of a partition, in any order; all that were kept before, but for those removed.
    fn list(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Vec<Name>, Error>>;

    /// The bytes of one; `None` = it is not there any more.
    fn open(&self, name: Name) -> BoxFuture<'_, Result<Option<Reader>, Error>>;

    /// Keeps one, instead of one of this name; answers when it is durable. When `content` fails, nothing has the name
    /// that had it not before.
    fn keep(&self, name: Name, content: Content) -> BoxFuture<'_, Result<(), Error>>;

    /// Removes one; that it is gone already is success.
    fn remove(&self, name: Name) -> BoxFuture<'_, Result<(), Error>>;
}

/// What was found when the newest snapshot was looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    /// The newest snapshot that is whole.
    pub state: Option<SavedState>,
    /// Newer ones that are not, newest first: name and what is wrong. Somebody should be told.
    pub passed_over: Vec<(String, String)>,
}

/// The snapshots in a place.
#[derive(Debug, Clone)]
pub struct Snapshots {
    place: Arc<dyn Place>,
}

impl Snapshots {
    /// Those in this place.
    #[must_use]
    pub fn new(place: Arc<dyn Place>) -> Self {
        Self { place }
    }

    /// Where they are.
    #[must_use]
    pub fn place(&self) -> Arc<dyn Place> {
        Arc::clone(&self.place)
    }

    /// Those in the folder at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Setting`] names the folder.
    pub fn in_folder(path: &Path) -> Result<Self, Error> {
        Ok(Self::new(Arc::new(folder::Folder::open(path)?)))
    }

    /// Keeps a copy of a partition's durable state; answers when it is durable. Older ones beyond [`KEPT`] go; one that
    /// cannot be removed now goes next time.
    ///
    /// # Errors
    /// [`Error::Unavailable`], in a folder also while another writer keeps a snapshot of this partition: the one before
    /// is still there, and the same call may be tried again.
    pub async fn put(&self, generation: u32, partition: u32, state: SavedState) -> Result<(), Error> {
        let state = Arc::new(state);
        let (position, counted) = (state.position, Arc::clone(&state));
        let content = in_background(move || {
            let crc = layout::encode(&mut io::sink(), generation, partition, &counted);
            crc.map_err(|error| Error::Setting(format!("a snapshot at {position} cannot be written: {error}")))
        });
        let name = Name { generation, partition, position, content: Some(content.await?) };
        let write: Content = Box::new(move |out| layout::encode(out, generation, partition, &state).map(drop));
        self.place.keep(name, write).await?;
        if let Err(error) = self.remove_older(generation, partition).await {
            tracing::warn!(partition, %error, "older snapshots stay until the next time");
        }
        Ok(())
    }

    /// Only what is older than [`KEPT`] others goes, so of two who do this at once neither takes a newer one.
    async fn remove_older(&self, generation: u32, partition: u32) -> Result<(), Error> {
        for name in self.list(generation, partition).await?.into_iter().skip(KEPT) {
            self.place.remove(name).await?;
        }
        Ok(())
    }

    /// The newest whole snapshot of a partition, passing over damaged ones.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the place or a snapshot in it cannot be read; a damaged one is no error.
    pub async fn newest(&self, generation: u32, partition: u32) -> Result<Newest, Error> {
        for _ in 0..LOOKS_MAX {
            if let Some(newest) = self.look(generation, partition).await? {
                return Ok(newest);
            }
        }
        Err(Error::Unavailable(format!("snapshots of partition {partition} are removed as they are read; try again")))
    }

    /// `None` = one that was listed is gone: there are newer ones.
    async fn look(&self, generation: u32, partition: u32) -> Result<Option<Newest>, Error> {
        let mut newest = Newest::default();
        for name in self.list(generation, partition).await? {
            let Some(reader) = self.place.open(name).await? else { return Ok(None) };
            match in_background(move || read(name, reader)).await? {
                Ok(state) => {
                    newest.state = Some(state);
                    break;
                }
                Err(damage) => newest.passed_over.push((name.to_string(), damage)),
            }
        }
        Ok(Some(newest))
    }

    /// Positions of a partition's snapshots, newest first; whether they are whole is not looked at.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the place cannot be read.
    pub async fn positions(&self, generation: u32, partition: u32) -> Result<Vec<u64>, Error> {
        Ok(self.list(generation, partition).await?.into_iter().map(|name| name.position).collect())
    }

    /// Newest first.
    async fn list(&self, generation: u32, partition: u32) -> Result<Vec<Name>, Error> {
        let mut names = self.place.list(generation, partition).await?;
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }
}

/// The state in a snapshot; inside, what is wrong with its bytes.
fn read(name: Name, reader: Reader) -> Result<Result<SavedState, String>, Error> {
    match layout::decode(reader, name.generation, name.partition) {
        Ok((state, _)) if state.position != name.position => Ok(Err(format!("it is of position {}", state.position))),
        Ok((_, crc)) if name.content.is_some_and(|content| content != crc) => {
            Ok(Err(format!("its checksum is {crc:08x}")))
        }
        Ok((state, _)) => Ok(Ok(state)),
        Err(error) if layout::is_damage(&error) => Ok(Err(error.to_string())),
        Err(error) => Err(Error::Unavailable(format!("snapshot {name} cannot be read: {error}"))),
    }
}

/// Does work that may wait, where waiting hurts nobody.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = |error| Err(Error::Unavailable(format!("work on a snapshot was cut short: {error}")));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ended)
}
