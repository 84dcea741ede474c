//! The spare: the next segment's file, zero-filled and synced before anyone needs it.
//!
//! Always true here: a spare that is handed out is as long as a segment, all zeros, and synced; overwriting it needs no
//! room and no journal commit. Nothing is made any more once [`Spares`] is dropped. When the disk is full the reserve
//! is given up, and made again only after the next spare.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::options::{Break, Options};
use crate::Error;
use crate::files::{File, Files, is_full};

/// Name of the spare's file; whatever bears it when a log is opened is of no use.
pub(super) const SPARE: &str = "spare";
/// Name of the file that is given up when the disk is full.
pub(super) const RESERVE: &str = "reserve";

/// Bytes zeroed between two syncs: large enough to be quick, small enough not to hold up the syncs of batches.
const ZERO_BYTES: usize = 1 << 20;
/// A full disk is asked again only after this time.
const RETRY: Duration = Duration::from_millis(250);

/// Where spares come from.
pub(super) enum Spares {
    /// Made when asked for.
    Inline { files: Arc<dyn Files>, options: Options },
    /// Made ahead by a thread.
    Ahead(Ahead),
}

/// The side of those who take spares from the thread.
pub(super) struct Ahead {
    /// The thread ends when this is dropped.
    ask: Option<Sender<()>>,
    made: Receiver<Result<Arc<dyn File>, Error>>,
    is_asked: bool,
    failed: Option<Instant>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ahead {
    /// Waits for the thread: it must not touch the directory when another process may have it.
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Spares {
    pub(super) fn new(files: &Arc<dyn Files>, options: &Options) -> Result<Self, Error> {
        let (files, options) = (Arc::clone(files), options.clone());
        if options.spare_inline {
            return Ok(Self::Inline { files, options });
        }
        let (ask, asked) = channel();
        let (make, made) = channel();
        let run = move || {
            while asked.recv().is_ok() && make.send(make_spare(&*files, &options)).is_ok() {}
        };
        let thread = std::thread::Builder::new()
            .name("log-spare".into())
            .spawn(run)
            .map_err(|error| Error::io("starting the log's spare thread", error))?;
        Ok(Self::Ahead(Ahead { ask: Some(ask), made, is_asked: false, failed: None, thread: Some(thread) }))
    }

    /// Has the next spare made, if that is done ahead.
    pub(super) fn prepare(&mut self) {
        if let Self::Ahead(ahead) = self {
            ahead.prepare();
        }
    }

    /// Takes the spare, waiting for it if need be.
    ///
    /// # Errors
    /// [`Error::Full`] when there was no room for it, [`Error::Poisoned`] when a sync failed.
    pub(super) fn take(&mut self) -> Result<Arc<dyn File>, Error> {
        match self {
            Self::Inline { files, options } => make_spare(&**files, options),
            Self::Ahead(ahead) => ahead.take(),
        }
    }
}

impl Ahead {
    fn prepare(&mut self) {
        if !self.is_asked {
            self.is_asked = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        }
    }

    fn take(&mut self) -> Result<Arc<dyn File>, Error> {
        if self.failed.is_some_and(|at| at.elapsed() < RETRY) {
            return Err(Error::Full("there was no room for another segment a moment ago".into()));
        }
        self.prepare();
        self.is_asked = false;
        let spare = self.made.recv().unwrap_or_else(|_| Err(Error::Poisoned("the log's spare thread is gone".into())));
        self.failed = matches!(spare, Err(Error::Full(_))).then(Instant::now);
        spare
    }
}

fn make_spare(files: &dyn Files, options: &Options) -> Result<Arc<dyn File>, Error> {
    let spare = make_zeros(files, SPARE, options.segment_bytes, options);
    if matches!(spare, Err(Error::Full(_))) {
        // Others need the last room more: what they finish lets segments go.
        let _ = files.remove(RESERVE);
    } else if spare.is_ok() && options.reserve_bytes > 0 && files.open(RESERVE).is_err() {
        match make_zeros(files, RESERVE, options.reserve_bytes, options) {
            Err(error @ Error::Poisoned(_)) => return Err(error),
            Err(error) => tracing::warn!(%error, "cannot make the log's reserve"),
            Ok(_) => {}
        }
    }
    spare
}

fn make_zeros(files: &dyn Files, name: &str, bytes: u64, options: &Options) -> Result<Arc<dyn File>, Error> {
    let made = try_zeros(files, name, bytes, options);
    if made.is_err() {
        let _ = files.remove(name);
    }
    made
}

fn try_zeros(files: &dyn Files, name: &str, bytes: u64, options: &Options) -> Result<Arc<dyn File>, Error> {
    let trouble = |error: std::io::Error| {
        if is_full(&error) {
            Error::Full(format!("no room for {name} of {bytes} bytes"))
        } else {
            Error::Poisoned(format!("making {name} of {bytes} bytes: {error}"))
        }
    };
    if files.open(name).is_ok() {
        files.remove(name).map_err(trouble)?;
    }
    let file = files.create(name).map_err(trouble)?;
    file.allocate(bytes).map_err(trouble)?;
    let zeros = vec![0; ZERO_BYTES.min(bytes as usize)];
    for byte in (0..bytes).step_by(zeros.len()) {
        file.write_at(byte, &zeros[..zeros.len().min((bytes - byte) as usize)]).map_err(trouble)?;
        if !options.breaks(Break::NoSync) {
            let poisoned = |error| Error::Poisoned(format!("sync of {name}: {error}"));
            file.sync_data().map_err(poisoned)?;
        }
    }
    Ok(file)
}
