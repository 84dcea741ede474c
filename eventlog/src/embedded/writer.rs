//! The writer: the one place where the log is changed. It takes batches one at a time and answers when each is durable.
//!
//! Always true here: the next batch is written only after the sync of the one before; after a sync that failed nothing
//! is written any more; readers are shown a batch only after its sync. It knows no thread: the committer drives it,
//! tests do.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use schemas::log::Append;

use super::block::{HEADER_BYTES, Stamp, bytes_bound, encode};
use super::options::{Break, Options};
use super::recovery::{Cut, Opened, recover, remove};
use super::segment::{MARKER_ROOM_BYTES, PAGE_BYTES, Segment, SegmentHeader, View, name};
use super::spare::{SPARE, Spares};
use crate::Error;
use crate::files::{File, Files, is_full};

/// Writes the log.
pub(super) struct Writer {
    files: Arc<dyn Files>,
    options: Options,
    spares: Spares,
    view: Arc<View>,
    log_id: u64,
    active: Arc<Segment>,
    file: Arc<dyn File>,
    byte: u64,
    seq: u64,
    ends: Vec<u64>,
    oldest: u64,
    /// Whether the last batch is a marker (or there is none).
    is_marked: bool,
    poisoned: Option<String>,
    buffer: Vec<u8>,
}

impl Writer {
    /// Opens the log, or begins one.
    pub(super) fn open(files: Arc<dyn Files>, options: Options) -> Result<(Self, Opened), Error> {
        options.check()?;
        let recovered = recover(&*files, &options)?;
        // Of no use and perhaps half done; without it there is room for a new one.
        if files.open(SPARE).is_ok() {
            files.remove(SPARE).map_err(|error| Error::io("removing the spare segment", error))?;
        }
        let mut spares = Spares::new(&files, &options)?;
        let is_new = recovered.is_none();
        let recovered = match recovered {
            Some(recovered) => recovered,
            None => begin(&*files, &options, &mut spares)?,
        };
        spares.prepare();
        let view = Arc::new(View::new(recovered.segments, &recovered.ends));
        let active = view.read().segments.back().map(Arc::clone).ok_or_else(|| Error::Setting("no segment".into()))?;
        let mut writer = Self {
            byte: active.end(),
            files,
            options,
            spares,
            view,
            log_id: recovered.log_id,
            active,
            file: recovered.file,
            seq: recovered.seq,
            ends: recovered.ends,
            oldest: recovered.oldest,
            is_marked: recovered.is_marked,
            poisoned: None,
            buffer: Vec::new(),
        };
        match writer.mark() {
            Err(error) if !error.is_retryable() => return Err(error),
            _ => {}
        }
        let opened = writer.opened(is_new, recovered.cut, recovered.bytes_checked);
        Ok((writer, opened))
    }

    fn opened(&self, is_new: bool, cut: Option<Cut>, bytes_checked: u64) -> Opened {
        let durable = self.view.read();
        Opened { is_new, segments: durable.segments.len(), bytes_checked, held: durable.held.clone(), cut }
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn log_id(&self) -> u64 {
        self.log_id
    }

    /// Number of the segment being written.
    pub(super) fn segment_number(&self) -> u64 {
        self.active.number
    }

    /// Writes these records as one batch and answers their offsets once they are durable.
    ///
    /// # Errors
    /// [`Error::Full`]: nothing of it is in the log. [`Error::Poisoned`]: nothing is known, and never will be.
    pub(super) fn commit(&mut self, records: &[Append]) -> Result<Vec<u64>, Error> {
        self.refuse_poisoned()?;
        let bound = bytes_bound(records, self.options.partitions) as u64;
        debug_assert!(PAGE_BYTES + bound + MARKER_ROOM_BYTES <= self.options.segment_bytes, "batch of {bound} bytes");
        if self.byte + bound + MARKER_ROOM_BYTES > self.active.bytes {
            self.roll()?;
        }
        let offsets = self.write(records)?;
        self.is_marked = false;
        Ok(offsets)
    }

    /// Writes the idle marker, which proves the last batch, unless it is there.
    pub(super) fn mark(&mut self) -> Result<(), Error> {
        self.refuse_poisoned()?;
        if self.is_marked || self.options.breaks(Break::NoIdleMarker) {
            return Ok(());
        }
        self.write_marker().map(drop)
    }

    /// Whether the last batch still wants its marker.
    pub(super) fn wants_mark(&self) -> bool {
        !self.is_marked
    }

    /// Removes oldest segments whose records are all below `released`, while the log is larger than it shall be.
    pub(super) fn trim(&mut self, released: &[u64]) -> Result<(), Error> {
        self.refuse_poisoned()?;
        let gone = self.removable(released);
        let Some(last) = gone.last() else { return Ok(()) };
        self.oldest = last.number + 1;
        // From here on the log itself says that they may be missing; before, a missing one would be damage.
        let marked = self.write_marker();
        if !matches!(marked, Ok(true)) {
            self.oldest = gone[0].number;
            return marked.map(drop);
        }
        {
            let mut durable = self.view.write();
            durable.segments.drain(..gone.len());
            let firsts = durable.segments[0].firsts.clone();
            for (held, first) in durable.held.iter_mut().zip(firsts) {
                held.first = first;
            }
        }
        for segment in gone {
            tracing::info!(segment = segment.number, "drop released segment");
            self.drop_segment(&segment)?;
        }
        Ok(())
    }

    fn removable(&self, released: &[u64]) -> Vec<Arc<Segment>> {
        let durable = self.view.read();
        let mut total: u64 = durable.segments.iter().map(|segment| segment.bytes).sum();
        let mut gone = Vec::new();
        for (segment, next) in durable.segments.iter().zip(durable.segments.iter().skip(1)) {
            let is_released = next.firsts.iter().zip(released).all(|(first, released)| first <= released)
                || self.options.breaks(Break::RetainNothing);
            if total <= self.options.retain_bytes || !is_released {
                break;
            }
            total -= segment.bytes;
            gone.push(Arc::clone(segment));
        }
        gone
    }

    fn drop_segment(&mut self, segment: &Segment) -> Result<(), Error> {
        if self.options.breaks(Break::TrimWithoutSync) {
            return self.files.remove(&name(segment.number)).map_err(|error| Error::io("removing", error));
        }
        match remove(&*self.files, segment) {
            Err(Error::Poisoned(what)) => Err(self.poison(what)),
            other => other,
        }
    }

    /// Goes on in a new segment.
    fn roll(&mut self) -> Result<(), Error> {
        let spare = self.spares.take().map_err(|error| match error {
            Error::Poisoned(what) => self.poison(what),
            other => other,
        })?;
        let header = SegmentHeader {
            log_id: self.log_id,
            generation: self.options.generation,
            number: self.active.number + 1,
            bytes: self.options.segment_bytes,
            previous_seq: self.seq,
            oldest: self.oldest,
            firsts: self.ends.clone(),
        };
        install(&*self.files, &*spare, &header, &self.options).map_err(|error| match error {
            Error::Poisoned(what) => self.poison(what),
            other => other,
        })?;
        self.active = Arc::new(Segment::new(&header, PAGE_BYTES));
        (self.file, self.byte) = (spare, PAGE_BYTES);
        self.view.write().segments.push_back(Arc::clone(&self.active));
        self.spares.prepare();
        Ok(())
    }

    /// Writes a marker; answers false when the segment has no room for one.
    fn write_marker(&mut self) -> Result<bool, Error> {
        if self.byte + HEADER_BYTES as u64 > self.active.bytes {
            return Ok(false);
        }
        self.write(&[])?;
        self.is_marked = true;
        Ok(true)
    }

    fn write(&mut self, records: &[Append]) -> Result<Vec<u64>, Error> {
        let stamp = Stamp {
            log_id: self.log_id,
            seq: self.seq + 1,
            append_ms: (self.options.clock)(),
            oldest: self.oldest,
            byte: self.byte,
        };
        let mut ends = self.ends.clone();
        let offsets = encode(records, stamp, &mut ends, &mut self.buffer);
        if self.options.breaks(Break::AckBeforeSync) {
            self.sync()?;
        }
        if let Err(error) = self.file.write_at(self.byte, &self.buffer) {
            return Err(self.cut_back(&error));
        }
        if !self.options.breaks(Break::AckBeforeSync) {
            self.sync()?;
        }
        self.seq += 1;
        self.byte += self.buffer.len() as u64;
        self.ends = ends;
        self.show();
        Ok(offsets)
    }

    /// Shows readers what is durable now.
    fn show(&self) {
        let mut durable = self.view.write();
        self.active.move_end(self.byte);
        for (held, &end) in durable.held.iter_mut().zip(&self.ends) {
            held.end = end;
        }
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.options.breaks(Break::NoSync) {
            return Ok(());
        }
        match self.file.sync_data() {
            Err(error) if !self.options.breaks(Break::CarryOn) => {
                Err(self.poison(format!("sync of {}: {error}", name(self.active.number))))
            }
            Err(error) => Err(Error::Full(error.to_string())),
            Ok(()) => Ok(()),
        }
    }

    /// Zeroes what a failed write left behind the last good batch, so that the log goes on from there.
    fn cut_back(&mut self, error: &std::io::Error) -> Error {
        let file = name(self.active.number);
        if !is_full(error) {
            return self.poison(format!("writing {file} at byte {}: {error}", self.byte));
        }
        if !self.options.breaks(Break::NoCutBack) {
            self.buffer.fill(0);
            if let Err(error) = self.file.write_at(self.byte, &self.buffer) {
                return self.poison(format!("cutting {file} back to byte {}: {error}", self.byte));
            }
            if let Err(error) = self.sync() {
                return error;
            }
        }
        Error::Full(format!("writing {file} at byte {}: {error}", self.byte))
    }

    fn refuse_poisoned(&self) -> Result<(), Error> {
        self.poisoned.as_ref().map_or(Ok(()), |what| Err(Error::Poisoned(what.clone())))
    }

    fn poison(&mut self, what: String) -> Error {
        self.poisoned = Some(what.clone());
        Error::Poisoned(what)
    }
}

/// Makes a spare the segment of this header: header first, then the name, each durable before the next.
fn install(files: &dyn Files, spare: &dyn File, header: &SegmentHeader, options: &Options) -> Result<(), Error> {
    let name = name(header.number);
    let trouble = |error: std::io::Error| {
        if is_full(&error) {
            Error::Full(format!("no room to begin {name}"))
        } else {
            Error::Poisoned(format!("beginning {name}: {error}"))
        }
    };
    spare.write_at(0, &header.encode()).map_err(trouble)?;
    if !options.breaks(Break::NoSync) {
        spare.sync_data().map_err(|error| Error::Poisoned(format!("sync of {name}: {error}")))?;
    }
    files.rename(SPARE, &name).map_err(trouble)?;
    if !options.breaks(Break::NoSync) && !options.breaks(Break::NoDirSync) {
        files.sync_dir().map_err(|error| Error::Poisoned(format!("sync of the directory for {name}: {error}")))?;
    }
    Ok(())
}

/// Begins a log.
fn begin(files: &dyn Files, options: &Options, spares: &mut Spares) -> Result<super::recovery::Recovered, Error> {
    let header = SegmentHeader {
        // Any number that nobody outside can guess will do; std's hasher keys are random.
        log_id: RandomState::new().build_hasher().finish(),
        generation: options.generation,
        number: 1,
        bytes: options.segment_bytes,
        previous_seq: 0,
        oldest: 1,
        firsts: vec![0; options.partitions as usize],
    };
    let file = spares.take()?;
    install(files, &*file, &header, options)?;
    Ok(super::recovery::Recovered {
        log_id: header.log_id,
        segments: VecDeque::from([Arc::new(Segment::new(&header, PAGE_BYTES))]),
        file,
        seq: 0,
        ends: header.firsts,
        oldest: 1,
        is_marked: true,
        cut: None,
        bytes_checked: 0,
    })
}
