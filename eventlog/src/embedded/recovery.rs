//! Opening a log that is there: every byte of every segment is checked, then what no sync has proved is made durable.
//!
//! Always true here: nothing is changed before all has been checked; the torn tail is zeroed and the last batch written
//! again and synced before anything is served, since the page cache may hold what the disk does not; each step may be
//! cut short by the next power cut and is then done again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::options::{Break, Options};
use super::scan::{Scanned, scan};
use super::segment::{PAGE_BYTES, Segment, SegmentHeader, name, number};
use crate::files::{File, Files};
use crate::{Error, Held};

/// More than a batch can take, bytes.
const BATCH_ROOM_BYTES: u64 = 6 << 20;

/// What was found when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whether there was no log yet.
    pub is_new: bool,
    /// Segments held.
    pub segments: usize,
    /// Bytes checked.
    pub bytes_checked: u64,
    /// What each partition holds.
    pub held: Vec<Held>,
    /// The torn tail that was cut off, if any: bytes that were on their way when the power or the process went.
    pub cut: Option<Cut>,
}

/// A torn tail that was cut off. Nothing in it was ever answered as durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// Where the tail began.
    pub byte: u64,
    /// Its length, bytes.
    pub bytes: u64,
}

/// A log ready to be written on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) log_id: u64,
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) file: Arc<dyn File>,
    pub(super) seq: u64,
    pub(super) ends: Vec<u64>,
    pub(super) oldest: u64,
    /// Whether a marker proves the last batch already.
    pub(super) is_marked: bool,
    pub(super) cut: Option<Cut>,
    pub(super) bytes_checked: u64,
}

/// Opens what is there; `None` when there is no segment.
pub(super) fn recover(files: &dyn Files, options: &Options) -> Result<Option<Recovered>, Error> {
    let names = files.list().map_err(|error| Error::io("listing the log", error))?;
    let numbers: Vec<u64> = names.iter().filter_map(|name| number(name)).collect();
    let (Some(&first), Some(&newest)) = (numbers.first(), numbers.last()) else { return Ok(None) };
    if !options.breaks(Break::NoChain)
        && let Some(missing) = (first..newest).find(|number| !numbers.contains(number))
    {
        return Err(missing_segment(missing, newest));
    }
    let mut checker = Checker::new(files, options, &numbers)?;
    for &number in &numbers {
        checker.check(number, number == newest)?;
    }
    let Checker { log_id, mut segments, scanned, bytes, done, .. } = checker;
    let Some(scanned) = scanned else { return Ok(None) };
    if first > scanned.oldest && !options.breaks(Break::NoChain) {
        return Err(missing_segment(scanned.oldest, newest));
    }
    let file = open(files, &name(newest))?;
    let cut = prove(files, &*file, &name(newest), &bytes, &scanned, options)?;
    while segments.len() > 1 && segments[0].number < scanned.oldest {
        remove(files, &segments[0])?;
        segments.pop_front();
    }
    Ok(Some(Recovered {
        log_id,
        segments,
        file,
        seq: scanned.seq,
        ends: scanned.ends,
        oldest: scanned.oldest,
        is_marked: cut.is_none() && scanned.last.is_none_or(|(_, is_marker)| is_marker),
        cut,
        bytes_checked: done,
    }))
}

/// Removes an oldest segment, durably: were two removals pending at a time, a cut could leave a hole.
pub(super) fn remove(files: &dyn Files, segment: &Segment) -> Result<(), Error> {
    let name = name(segment.number);
    files.remove(&name).map_err(|error| Error::io(format!("removing {name}"), error))?;
    files.sync_dir().map_err(|error| Error::Poisoned(format!("sync of the directory after removing {name}: {error}")))
}

fn missing_segment(missing: u64, newest: u64) -> Error {
    Error::damaged(&name(missing), 0, format!("the segment is missing, but {} is there", name(newest)))
}

fn open(files: &dyn Files, name: &str) -> Result<Arc<dyn File>, Error> {
    files.open(name).map_err(|error| Error::io(format!("opening {name}"), error))
}

/// Zeroes the torn tail and writes the last batch again, durably.
fn prove(
    files: &dyn Files,
    file: &dyn File,
    name: &str,
    bytes: &[u8],
    scanned: &Scanned,
    options: &Options,
) -> Result<Option<Cut>, Error> {
    let &Scanned { end, torn_end, last, .. } = scanned;
    let write = |byte: u64, bytes: &[u8]| {
        file.write_at(byte, bytes).map_err(|error| Error::io(format!("writing {name} at byte {byte}"), error))
    };
    let cut = (torn_end > end).then(|| Cut { file: name.to_owned(), byte: end, bytes: torn_end - end });
    // Zeros also where none are missing: after a failed sync the disk may have parts of a batch where the cache has
    // zeros.
    let room = (bytes.len() as u64 - end).min(BATCH_ROOM_BYTES).max(torn_end - end);
    write(end, &vec![0; room as usize])?;
    if !options.breaks(Break::NoRewrite) {
        // With no batch in the segment it is the header page that nothing behind it proves.
        let (from, until) = last.map_or((0, PAGE_BYTES), |(byte, _)| (byte, end));
        write(from, &bytes[from as usize..until as usize])?;
    }
    if !options.breaks(Break::NoSync) {
        let poisoned = |what: &str, error| Error::Poisoned(format!("sync of {what} while opening: {error}"));
        file.sync_data().map_err(|error| poisoned(name, error))?;
        files.sync_dir().map_err(|error| poisoned("the directory", error))?;
    }
    Ok(cut)
}

/// Goes through the segments from oldest to newest.
struct Checker<'a> {
    files: &'a dyn Files,
    options: &'a Options,
    log_id: u64,
    segments: VecDeque<Arc<Segment>>,
    scanned: Option<Scanned>,
    /// The bytes of the segment checked last.
    bytes: Vec<u8>,
    done: u64,
    all: u64,
}

impl<'a> Checker<'a> {
    fn new(files: &'a dyn Files, options: &'a Options, numbers: &[u64]) -> Result<Self, Error> {
        let mut all = 0;
        if options.progress.is_some() {
            for &number in numbers {
                all += open(files, &name(number))?.len().map_err(|error| Error::io(name(number), error))?;
            }
        }
        Ok(Self {
            files,
            options,
            log_id: 0,
            segments: VecDeque::new(),
            scanned: None,
            bytes: Vec::new(),
            done: 0,
            all,
        })
    }

    fn check(&mut self, number: u64, is_newest: bool) -> Result<(), Error> {
        let file = name(number);
        let source = open(self.files, &file)?;
        let reading = |error| Error::io(format!("reading {file}"), error);
        let len = source.len().map_err(reading)?;
        let mut page = vec![0; PAGE_BYTES.min(len) as usize];
        source.read_exact_at(0, &mut page).map_err(reading)?;
        let header = SegmentHeader::decode(&page).map_err(|what| Error::damaged(&file, 0, what))?;
        self.agree(&file, &header, number, len)?;
        self.bytes.resize(len as usize, 0);
        source.read_exact_at(0, &mut self.bytes).map_err(reading)?;
        let scanned = scan(&file, &header, &self.bytes, is_newest, self.options)?;
        self.segments.push_back(Arc::new(Segment::new(&header, scanned.end)));
        self.log_id = header.log_id;
        self.scanned = Some(scanned);
        self.done += len;
        if let Some(progress) = &self.options.progress {
            progress(self.done, self.all);
        }
        Ok(())
    }

    /// Whether a header is one of this log, for this process, and follows the segment before.
    fn agree(&self, file: &str, header: &SegmentHeader, number: u64, len: u64) -> Result<(), Error> {
        let damaged = |what| Err(Error::damaged(file, 0, what));
        if header.number != number || header.bytes != len {
            let (n, bytes) = (header.number, header.bytes);
            return Err(Error::damaged(
                file,
                len.min(bytes),
                format!("the file has {len} bytes; its header says segment {n} with {bytes} bytes"),
            ));
        }
        let (ours, theirs) = (self.options.generation, header.generation);
        if ours != theirs {
            return Err(Error::Setting(format!(
                "the log in {} has generation {theirs}, this process has generation {ours}; set it back, or begin a \
                 new log in another directory",
                self.files.place()
            )));
        }
        let (ours, theirs) = (self.options.partitions as usize, header.firsts.len());
        if ours != theirs {
            return Err(Error::Setting(format!(
                "the log in {} has {theirs} partitions, this process has partitions = {ours}; set it back, or begin \
                 a new generation",
                self.files.place()
            )));
        }
        let (Some(before), Some(segment)) = (&self.scanned, self.segments.back()) else { return Ok(()) };
        if self.log_id != header.log_id {
            return damaged(format!("a segment of another log: {:016x}, not {:016x}", header.log_id, self.log_id));
        }
        if (before.seq, &before.ends) != (header.previous_seq, &header.firsts) && !self.options.breaks(Break::NoChain) {
            let (last, wanted) = (before.seq, header.previous_seq);
            let what = format!("batches end with {last} here, but {file} says that {wanted} was the last before it");
            return Err(Error::damaged(&name(segment.number), before.end, what));
        }
        Ok(())
    }
}
