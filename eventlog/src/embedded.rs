//! The embedded log: segment files of our own in one directory, one sequence for all partitions, one committer.
//!
//! Always true here: an append is answered after a sync; readers see only synced records; a flipped byte is refused
//! with its place and never taken for a torn tail; after a sync that failed nothing is promised any more, in this
//! process.
//!
//! Path of a record: [`EmbeddedLog::append`](crate::EventLog::append) → `queue` → `committer` (thread) → `writer` →
//! `block` → file; back: `subscription` → `cursor` → file. Opening: `recovery` → `scan`. The next segment: `spare`.

mod block;
mod committer;
mod cursor;
mod options;
mod queue;
mod recovery;
mod scan;
mod segment;
mod spare;
mod subscription;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use schemas::log::Append;
use tokio::sync::{oneshot, watch};

use self::committer::Committer;
use self::cursor::Source;
use self::queue::{Queue, Waiting};
use self::subscription::Reader;
use self::writer::Writer;
use crate::files::Files;
use crate::{Error, EventLog, Held, Subscription};

#[cfg(any(test, feature = "testing"))]
pub use self::options::Break;
pub use self::options::{Clock, Options, PARTITIONS_MAX, Progress};
pub use self::recovery::{Cut, Opened};

/// Name of the file whose lock keeps other processes out.
const LOCK: &str = "lock";

/// An open log. Dropping it closes it, waiting for the last sync; [`EmbeddedLog::close`] does that without blocking.
#[derive(Debug)]
pub struct EmbeddedLog {
    source: Arc<Source>,
    queue: Arc<Queue>,
    wake: watch::Receiver<u64>,
    poisoned: watch::Receiver<Option<String>>,
    ended: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the log in a directory, or begins one. Checks every byte that is held, so it takes a while and blocks.
    ///
    /// # Errors
    /// [`Error::Setting`] when another process has the directory, or when partitions or generation are not the log's;
    /// [`Error::Damaged`] with the place when anything held is not what was written; [`Error::Full`] when there is no
    /// room to begin; [`Error::Io`] and [`Error::Poisoned`] when the disk refuses.
    pub fn open(files: Arc<dyn Files>, options: Options) -> Result<(Self, Opened), Error> {
        let lock = files.lock(LOCK).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Error::Setting(format!(
                "another process has the log in {} open; stop it, or choose another data directory",
                files.place()
            )),
            _ => Error::io(format!("locking {}", files.place()), error),
        })?;
        let (writer, opened) = Writer::open(Arc::clone(&files), options.clone())?;
        let queue = Arc::new(Queue::new(options.queue_bytes_max, options.partitions));
        let source = Arc::new(Source { files, view: writer.view(), log_id: writer.log_id(), options });
        let (wake_sender, wake) = watch::channel(0);
        let (poisoned_sender, poisoned) = watch::channel(None);
        let (ended_sender, ended) = watch::channel(false);
        let committer = Committer {
            writer,
            queue: Arc::clone(&queue),
            wake: wake_sender,
            poisoned: poisoned_sender,
            trim_at: None,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("log-committer".into())
            .spawn(move || {
                committer.run();
                ended_sender.send_replace(true);
            })
            .map_err(|error| Error::io("starting the log's committer thread", error))?;
        Ok((Self { source, queue, wake, poisoned, ended, thread: Mutex::new(Some(thread)) }, opened))
    }

    /// Opens a reader of these partitions alone, so that each can have a task of its own.
    ///
    /// # Errors
    /// [`Error::Setting`] for a partition that the log does not have; [`Error::Poisoned`].
    pub fn subscribe_to(&self, partitions: &[u32]) -> Result<Box<dyn Subscription>, Error> {
        self.refuse_closed()?;
        for &partition in partitions {
            self.check_partition(partition)?;
        }
        Ok(Box::new(Reader::new(Arc::clone(&self.source), partitions, self.wake.clone(), self.poisoned.clone())))
    }

    /// Becomes `Some(why)` when the log can promise nothing any more; the process must then end.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.poisoned.clone()
    }

    /// Bytes of all segments held.
    #[must_use]
    pub fn segments_bytes(&self) -> u64 {
        self.source.view.read().segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Writes what waits and the last marker, then lets the directory go. Appends from now on are refused.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when that could not be made durable.
    pub async fn close(&self) -> Result<(), Error> {
        self.queue.begin_close();
        let mut ended = self.ended.clone();
        // An error means that the thread is gone, which is as good.
        let _ = ended.wait_for(|ended| *ended).await;
        let why = self.poisoned.borrow().clone();
        why.map_or(Ok(()), |why| Err(Error::Poisoned(why)))
    }

    fn check_partition(&self, partition: u32) -> Result<(), Error> {
        let partitions = self.source.options.partitions;
        if partition < partitions {
            return Ok(());
        }
        Err(Error::Setting(format!("there is no partition {partition}; the log has {partitions}, from 0")))
    }

    fn refuse_closed(&self) -> Result<(), Error> {
        self.queue.closed().map_or(Ok(()), |why| Err(Error::Poisoned(why)))
    }

    fn check(&self, records: &[Append]) -> Result<usize, Error> {
        let max = self.source.options.record_bytes_max();
        let mut bytes = 0;
        for record in records {
            self.check_partition(record.partition)?;
            let size = record.header.len() + record.body.len();
            if size > max {
                return Err(Error::Setting(format!("a record of {size} bytes is over the log's limit of {max}")));
            }
            bytes += size;
        }
        Ok(bytes)
    }

    fn enqueue(&self, records: Vec<Append>) -> Result<oneshot::Receiver<Result<Vec<u64>, Error>>, Error> {
        let bytes = self.check(&records)?;
        let (answer, answered) = oneshot::channel();
        self.queue.push(Waiting { records, bytes, answer })?;
        Ok(answered)
    }
}

impl EventLog for EmbeddedLog {
    fn partitions(&self) -> u32 {
        self.source.options.partitions
    }

    /// The records wait in line from the call on; a future that is dropped withdraws nothing.
    fn append(&self, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        if records.is_empty() {
            return ready(Ok(Vec::new())).boxed();
        }
        match self.enqueue(records) {
            Err(error) => ready(Err(error)).boxed(),
            Ok(answered) => {
                let gone = || Err(Error::Poisoned("the log's committer is gone".into()));
                async move { answered.await.unwrap_or_else(|_| gone()) }.boxed()
            }
        }
    }

    fn subscribe(&self) -> Result<Box<dyn Subscription>, Error> {
        let all: Vec<u32> = (0..self.partitions()).collect();
        self.subscribe_to(&all)
    }

    fn read(&self, partition: u32) -> Result<Box<dyn Subscription>, Error> {
        self.subscribe_to(&[partition])
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        ready(self.refuse_closed().map(|()| self.source.view.read().held.clone())).boxed()
    }

    fn release(&self, partition: u32, below: u64) {
        self.queue.release(partition, below);
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.queue.begin_close();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
