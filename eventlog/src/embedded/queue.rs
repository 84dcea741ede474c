//! The queue between those who append and the committer.
//!
//! Always true here: it holds at most the bytes it was given as limit, from the append until its answer; once it is
//! closed, every append, waiting or new, is answered with the reason.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use schemas::log::Append;
use tokio::sync::oneshot;

use crate::Error;

/// An append that waits to be durable.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) records: Vec<Append>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<Vec<u64>, Error>>,
}

/// What the committer does next.
#[derive(Debug)]
pub(super) enum Work {
    /// Writes these.
    Append(VecDeque<Waiting>),
    /// Does what was put off: nothing came until the deadline.
    Due,
    /// Looks whether segments may go.
    Trim,
    /// Ends.
    Close,
}

#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    rung: Condvar,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    released: Vec<u64>,
    is_release_news: bool,
    is_closing: bool,
    closed: Option<String>,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, partitions: u32) -> Self {
        let inner = Inner {
            waiting: VecDeque::new(),
            bytes: 0,
            released: vec![0; partitions as usize],
            is_release_news: false,
            is_closing: false,
            closed: None,
        };
        Self { inner: Mutex::new(inner), rung: Condvar::new(), bytes_max }
    }

    pub(super) fn push(&self, waiting: Waiting) -> Result<(), Error> {
        let mut inner = self.lock();
        if let Some(why) = &inner.closed {
            return Err(Error::Poisoned(why.clone()));
        }
        if inner.is_closing {
            return Err(Error::Poisoned("the log is being closed".into()));
        }
        if inner.bytes + waiting.bytes > self.bytes_max {
            let (bytes, max) = (inner.bytes, self.bytes_max);
            return Err(Error::Busy(format!("{bytes} bytes of at most {max} wait to be durable")));
        }
        inner.bytes += waiting.bytes;
        let was_empty = inner.waiting.is_empty();
        inner.waiting.push_back(waiting);
        if was_empty {
            self.rung.notify_one();
        }
        Ok(())
    }

    /// Gives back room once an append is answered.
    pub(super) fn answered(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_sub(bytes);
    }

    pub(super) fn release(&self, partition: u32, below: u64) {
        let mut inner = self.lock();
        let Some(released) = inner.released.get_mut(partition as usize) else { return };
        if below > *released {
            *released = below;
            inner.is_release_news = true;
            self.rung.notify_one();
        }
    }

    pub(super) fn released(&self) -> Vec<u64> {
        self.lock().released.clone()
    }

    /// Lets what waits be written, then the committer ends.
    pub(super) fn begin_close(&self) {
        self.lock().is_closing = true;
        self.rung.notify_one();
    }

    /// Refuses everything from now on.
    pub(super) fn close(&self, why: &str) {
        let mut inner = self.lock();
        inner.closed = Some(why.to_owned());
        inner.bytes = 0;
        for waiting in std::mem::take(&mut inner.waiting) {
            let _ = waiting.answer.send(Err(Error::Poisoned(why.to_owned())));
        }
    }

    pub(super) fn closed(&self) -> Option<String> {
        self.lock().closed.clone()
    }

    /// Waits for work, until `due` if something is to be done then.
    pub(super) fn next(&self, due: Option<Instant>) -> Work {
        let mut inner = self.lock();
        loop {
            if !inner.waiting.is_empty() {
                return Work::Append(std::mem::take(&mut inner.waiting));
            }
            if std::mem::take(&mut inner.is_release_news) {
                return Work::Trim;
            }
            if inner.is_closing {
                return Work::Close;
            }
            let Some(due) = due else {
                inner = self.rung.wait(inner).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Due;
            }
            inner = self.rung.wait_timeout(inner, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
