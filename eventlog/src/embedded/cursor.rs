//! A cursor: reads the records of one partition in order of offset, straight through the segment files.
//!
//! Always true here: it reads only what was durable when it looked; each block's header and each payload of its
//! partition is proved at this read; a hole in the offsets is damage, never passed over. Memory: one chunk or one
//! block.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use schemas::log::Logged;

use super::block::{HEADER_BYTES, Header};
use super::options::{Break, Options};
use super::segment::{PAGE_BYTES, Segment, View, name};
use crate::Error;
use crate::files::{File, Files};

/// A block of another partition is read over up to this length, bytes; a longer one is jumped.
const SKIP_BYTES: u64 = 32 << 10;

/// What a cursor reads from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) files: Arc<dyn Files>,
    pub(super) view: Arc<View>,
    pub(super) log_id: u64,
    pub(super) options: Options,
}

/// Where a reader stands in one partition.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) partition: u32,
    /// The offset that comes next.
    pub(super) position: u64,
    place: Option<Place>,
    /// Records of a block that were more than one batch.
    ready: VecDeque<Logged>,
}

#[derive(Debug)]
struct Place {
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    byte: u64,
}

impl Cursor {
    pub(super) fn new(partition: u32, position: u64) -> Self {
        Self { partition, position, place: None, ready: VecDeque::new() }
    }

    /// The next records, at most a batch; empty when there is nothing more for now.
    pub(super) fn read(&mut self, source: &Source) -> Result<Vec<Logged>, Error> {
        while self.ready.is_empty() {
            if self.position >= source.view.held(self.partition).end || !self.read_chunk(source)? {
                return Ok(Vec::new());
            }
        }
        Ok(self.take_batch(&source.options))
    }

    fn take_batch(&mut self, options: &Options) -> Vec<Logged> {
        let mut bytes = 0;
        let mut count = 0;
        for record in self.ready.iter().take(options.read_records_max.max(1)) {
            bytes += record.header.len() + record.body.len();
            if count > 0 && bytes > options.read_bytes_max {
                break;
            }
            count += 1;
        }
        let batch: Vec<_> = self.ready.drain(..count).collect();
        if let Some(last) = batch.last() {
            self.position = last.offset + 1;
        }
        batch
    }

    /// Reads on; false when the end of what is durable is reached.
    fn read_chunk(&mut self, source: &Source) -> Result<bool, Error> {
        let Some((byte, until)) = self.next_bytes(source)? else { return Ok(false) };
        let first = self.header(source, &self.bytes(byte, HEADER_BYTES as u64)?, byte)?;
        let block_bytes = first.block_bytes() as u64;
        if byte + block_bytes > until {
            return Err(self.damaged(byte, "a block reaches beyond the end"));
        }
        let is_ours = first.partition == self.partition;
        if !is_ours && block_bytes >= SKIP_BYTES {
            self.go_to(byte + block_bytes);
            return Ok(true);
        }
        // A chunk holds at least our block whole, however large.
        let chunk_bytes = (source.options.read_bytes_max as u64).max(if is_ours { block_bytes } else { SKIP_BYTES });
        let chunk = self.bytes(byte, chunk_bytes.min(until - byte))?;
        let mut at = 0;
        while chunk.len().saturating_sub(at) >= HEADER_BYTES && self.ready.len() < source.options.read_records_max {
            let header = self.header(source, &chunk[at..], byte + at as u64)?;
            if header.partition == self.partition && !header.is_marker() {
                if at + header.block_bytes() > chunk.len() {
                    break;
                }
                let payload = chunk.slice(at + HEADER_BYTES..at + header.block_bytes());
                self.take_block(source, &header, &payload, byte + at as u64)?;
            }
            at += header.block_bytes();
        }
        self.go_to(byte + at as u64);
        Ok(true)
    }

    fn go_to(&mut self, byte: u64) {
        if let Some(place) = &mut self.place {
            place.byte = byte;
        }
    }

    /// Proves a block and keeps its records from the next one wanted on.
    fn take_block(&mut self, source: &Source, header: &Header, payload: &Bytes, byte: u64) -> Result<(), Error> {
        let next = self.ready.back().map_or(self.position, |record| record.offset + 1);
        if header.first_offset + u64::from(header.count) <= next {
            return Ok(());
        }
        if header.first_offset > next {
            return Err(
                self.damaged(byte, format!("offset {next} is wanted, the block begins with {}", header.first_offset))
            );
        }
        if !header.proves(source.log_id, payload) && !source.options.breaks(Break::NoChecksum) {
            return Err(self.damaged(byte, format!("the payload's checksum is wrong (batch {})", header.seq)));
        }
        header
            .records(payload, next, &mut self.ready)
            .ok_or_else(|| self.damaged(byte, format!("the records of batch {} do not add up", header.seq)))
    }

    /// Where to read next and until where, going on to the next segment when one is done. A segment that was dropped
    /// meanwhile, with others behind it, is no trouble to who has read it: what comes next is held in another one.
    fn next_bytes(&mut self, source: &Source) -> Result<Option<(u64, u64)>, Error> {
        loop {
            let Some(place) = &self.place else {
                let segment = source.view.holding(self.partition, self.position)?;
                self.place = self.enter(source, segment)?;
                continue;
            };
            // The next segment first: if it is there, this one's end is final.
            let next = source.view.after(&place.segment);
            let end = place.segment.end();
            if place.byte < end {
                return Ok(Some((place.byte, end)));
            }
            if let Some(next) = next {
                self.place = self.enter(source, next)?;
                continue;
            }
            let is_last = source.view.read().segments.back().is_some_and(|last| last.number == place.segment.number);
            if is_last {
                return Ok(None);
            }
            self.place = None;
        }
    }

    /// Opens a segment; `None` when it was dropped meanwhile.
    fn enter(&self, source: &Source, segment: Arc<Segment>) -> Result<Option<Place>, Error> {
        let is_dropped = || source.view.read().segments.front().is_some_and(|oldest| segment.number < oldest.number);
        match source.files.open(&name(segment.number)) {
            Ok(file) => Ok(Some(Place { segment, file, byte: PAGE_BYTES })),
            Err(error) if error.kind() == ErrorKind::NotFound && is_dropped() => Ok(None),
            Err(error) => Err(Error::io(format!("opening {}", name(segment.number)), error)),
        }
    }

    fn bytes(&self, byte: u64, count: u64) -> Result<Bytes, Error> {
        let Some(place) = &self.place else { return Ok(Bytes::new()) };
        let mut chunk = vec![0; count as usize];
        place.file.read_exact_at(byte, &mut chunk).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged(byte, "the file is too short"),
            _ => Error::io(format!("reading {} at byte {byte}", name(place.segment.number)), error),
        })?;
        Ok(Bytes::from(chunk))
    }

    fn header(&self, source: &Source, bytes: &[u8], byte: u64) -> Result<Header, Error> {
        Header::read(source.log_id, bytes, byte).ok_or_else(|| self.damaged(byte, "no block begins here"))
    }

    fn damaged(&self, byte: u64, what: impl Into<String>) -> Error {
        let file = self.place.as_ref().map_or_else(String::new, |place| name(place.segment.number));
        Error::damaged(&file, byte, what)
    }
}
