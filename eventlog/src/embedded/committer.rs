//! The committer: one thread that takes all waiting appends, has them written with one sync a batch, and wakes all.
//!
//! Always true here: an append is answered after the sync of its last record; [`Error::Full`] is said only of one that
//! has no record in the log (a large one may lie in several batches, of which a later one fails); at the first poisoned
//! answer of the writer all who wait and all who come are refused, and the process is told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::log::Append;
use tokio::sync::{oneshot, watch};

use super::block::{HEADER_BYTES, record_bytes};
use super::queue::{Queue, Waiting, Work};
use super::writer::Writer;
use crate::Error;
use crate::files::Lock;

/// What failed to let segments go is tried again after this time: room comes by others, who ring no bell here.
const TRIM_AGAIN: Duration = Duration::from_millis(250);

/// The thread's side of an open log.
pub(super) struct Committer {
    pub(super) writer: Writer,
    pub(super) queue: Arc<Queue>,
    /// Rung after each batch.
    pub(super) wake: watch::Sender<u64>,
    pub(super) poisoned: watch::Sender<Option<String>>,
    /// When the last trim, which failed, is tried again.
    pub(super) trim_at: Option<Instant>,
    /// Dropped last, after the writer and its thread of spares: only then may another process have the directory.
    pub(super) _lock: Lock,
}

impl Drop for Committer {
    /// Nobody may wait for a thread that is gone, a panic included.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = "the log's committer panicked";
            self.queue.close(why);
            self.poisoned.send_replace(Some(why.to_owned()));
        }
    }
}

/// An append of which some records are in the batch being built.
struct Partly {
    answer: oneshot::Sender<Result<Vec<u64>, Error>>,
    bytes: usize,
    left: usize,
    offsets: Vec<u64>,
}

impl Committer {
    /// Runs until the log is closed or poisoned.
    pub(super) fn run(mut self) {
        let why = match self.serve() {
            Ok(()) => "the log was closed".to_owned(),
            Err(Error::Poisoned(what)) => what,
            Err(other) => other.to_string(),
        };
        self.queue.close(&why);
    }

    fn serve(&mut self) -> Result<(), Error> {
        let idle = Duration::from_millis(self.writer.options().idle_marker_ms);
        let mut mark_at = None;
        loop {
            if is_past(self.trim_at) {
                let done = self.trim();
                self.tell(done)?;
            }
            let due = [mark_at, self.trim_at].into_iter().flatten().min();
            let done = match self.queue.next(due) {
                Work::Append(waiting) => {
                    let done = self.append(waiting);
                    mark_at = self.writer.wants_mark().then(|| Instant::now() + idle);
                    done
                }
                Work::Due if is_past(mark_at) => {
                    mark_at = None;
                    self.writer.mark()
                }
                Work::Due => Ok(()),
                Work::Trim => self.trim(),
                Work::Close => {
                    let done = self.writer.mark();
                    self.tell(done)?;
                    return Ok(());
                }
            };
            self.tell(done)?;
        }
    }

    /// Passes on what ends the thread, logs the rest.
    fn tell(&self, done: Result<(), Error>) -> Result<(), Error> {
        match done {
            Err(Error::Poisoned(what)) => {
                tracing::error!(what, "log is poisoned");
                self.queue.close(&what);
                self.poisoned.send_replace(Some(what.clone()));
                Err(Error::Poisoned(what))
            }
            Err(error) => {
                tracing::warn!(%error, "log cannot do as asked for now");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Lets released segments go; until that succeeds it is tried again.
    fn trim(&mut self) -> Result<(), Error> {
        let done = self.writer.trim(&self.queue.released());
        self.trim_at = done.is_err().then(|| Instant::now() + TRIM_AGAIN);
        done
    }

    fn append(&mut self, waiting: VecDeque<Waiting>) -> Result<(), Error> {
        let batch_bytes = self.writer.options().batch_bytes();
        let mut partly: VecDeque<Partly> = VecDeque::with_capacity(waiting.len());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut failed = Ok(());
        for Waiting { records, bytes: room, answer } in waiting {
            let left = records.len();
            partly.push_back(Partly { answer, bytes: room, left, offsets: Vec::with_capacity(left) });
            for record in records {
                let more = record_bytes(&record) + HEADER_BYTES + 8;
                if failed.is_ok() && !batch.is_empty() && bytes + more > batch_bytes {
                    failed = self.commit(&mut batch, &mut partly);
                    bytes = 0;
                }
                bytes += more;
                batch.push(record);
            }
        }
        if failed.is_ok() {
            failed = self.commit(&mut batch, &mut partly);
        }
        if let Err(error) = &failed {
            for Partly { answer, bytes, offsets, .. } in partly {
                let error = match error {
                    Error::Poisoned(what) => Error::Poisoned(what.clone()),
                    Error::Full(what) if offsets.is_empty() => Error::Full(what.clone()),
                    other => Error::Unknown(format!("{} of them are in the log, then {other}", offsets.len())),
                };
                self.queue.answered(bytes);
                let _ = answer.send(Err(error));
            }
        }
        failed
    }

    /// Writes a batch and answers those whose last record was in it.
    fn commit(&mut self, batch: &mut Vec<Append>, partly: &mut VecDeque<Partly>) -> Result<(), Error> {
        let segments_before = self.writer.segment_number();
        let mut offsets = self.writer.commit(batch)?.into_iter();
        batch.clear();
        self.wake.send_modify(|batches| *batches += 1);
        while let Some(first) = partly.front_mut() {
            let here = first.left.min(offsets.len());
            first.offsets.extend(offsets.by_ref().take(here));
            first.left -= here;
            if first.left > 0 {
                break;
            }
            if let Some(done) = partly.pop_front() {
                self.queue.answered(done.bytes);
                let _ = done.answer.send(Ok(done.offsets));
            }
        }
        if self.writer.segment_number() != segments_before {
            match self.trim() {
                Err(error @ Error::Poisoned(_)) => return Err(error),
                Err(error) => tracing::warn!(%error, "cannot drop released segments"),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

fn is_past(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}
