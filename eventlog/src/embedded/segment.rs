//! A segment: one file of the log, its header page and its name; and the view of all segments that readers share.
//!
//! Always true here: a file that bears a segment's name is as long as its header says, its header was durable before it
//! got the name, and says with which batch the segment before it ended; what lies behind a segment's `end` is not
//! durable and never read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Buf;

use crate::{Error, Held};

/// Length of the header page, bytes; blocks begin behind it.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Room at the end of a segment that only markers may use, bytes.
pub(super) const MARKER_ROOM_BYTES: u64 = 1024;

const MAGIC: &[u8; 8] = b"FLAGSLOG";
const FORMAT: u32 = 1;

/// The first page of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log_id: u64,
    pub(super) generation: u32,
    /// From 1, without a gap.
    pub(super) number: u64,
    /// Length of the file, bytes.
    pub(super) bytes: u64,
    /// Number of the last batch before this segment.
    pub(super) previous_seq: u64,
    /// Number of the oldest segment that must be there.
    pub(super) oldest: u64,
    /// First offset of each partition in this segment or after it.
    pub(super) firsts: Vec<u64>,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES as usize);
        page.extend_from_slice(MAGIC);
        page.extend_from_slice(&FORMAT.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.extend_from_slice(&self.log_id.to_le_bytes());
        page.extend_from_slice(&self.number.to_le_bytes());
        page.extend_from_slice(&self.bytes.to_le_bytes());
        page.extend_from_slice(&self.previous_seq.to_le_bytes());
        page.extend_from_slice(&self.oldest.to_le_bytes());
        page.extend_from_slice(&self.generation.to_le_bytes());
        page.extend_from_slice(&(self.firsts.len() as u32).to_le_bytes());
        for first in &self.firsts {
            page.extend_from_slice(&first.to_le_bytes());
        }
        page.resize(PAGE_BYTES as usize, 0);
        let crc = page_crc(&page);
        page[12..16].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a page; says in words what is wrong with it.
    pub(super) fn decode(page: &[u8]) -> Result<Self, String> {
        if page.len() < PAGE_BYTES as usize {
            return Err(format!("the header page has {} of {PAGE_BYTES} bytes", page.len()));
        }
        let page = &page[..PAGE_BYTES as usize];
        let mut at = &page[8..];
        let (format, crc) = (at.get_u32_le(), at.get_u32_le());
        if &page[..8] != MAGIC || crc != page_crc(page) {
            return Err("the header page's checksum is wrong".into());
        }
        if format != FORMAT {
            return Err(format!("the segment has format {format}, this build reads {FORMAT}"));
        }
        let log_id = at.get_u64_le();
        let number = at.get_u64_le();
        let bytes = at.get_u64_le();
        let previous_seq = at.get_u64_le();
        let oldest = at.get_u64_le();
        let generation = at.get_u32_le();
        let partitions = at.get_u32_le() as usize;
        if partitions * 8 > at.len() {
            return Err(format!("the header page says {partitions} partitions"));
        }
        let firsts = (0..partitions).map(|_| at.get_u64_le()).collect();
        Ok(Self { log_id, generation, number, bytes, previous_seq, oldest, firsts })
    }
}

fn page_crc(page: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &page[16..])
}

/// The name of a segment's file.
pub(super) fn name(number: u64) -> String {
    format!("{number:012}.segment")
}

/// The number in the name of a segment's file.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    let number = digits.parse().ok()?;
    (self::name(number) == name).then_some(number)
}

/// A segment that is there.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) firsts: Vec<u64>,
    end: AtomicU64,
}

impl Segment {
    pub(super) fn new(header: &SegmentHeader, end: u64) -> Self {
        let SegmentHeader { number, bytes, ref firsts, .. } = *header;
        Self { number, bytes, firsts: firsts.clone(), end: AtomicU64::new(end) }
    }

    /// One past the last durable byte.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn move_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }
}

/// What readers see of the log.
#[derive(Debug)]
pub(super) struct View(RwLock<Durable>);

/// The durable log: segments from oldest to newest, and what each partition holds.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) held: Vec<Held>,
}

impl View {
    pub(super) fn new(segments: VecDeque<Arc<Segment>>, ends: &[u64]) -> Self {
        let firsts = &segments[0].firsts;
        let held = firsts.iter().zip(ends).map(|(&first, &end)| Held { first, end }).collect();
        Self(RwLock::new(Durable { segments, held }))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Durable> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Durable> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn held(&self, partition: u32) -> Held {
        self.read().held[partition as usize]
    }

    /// The segment in which a position of a partition lies.
    pub(super) fn holding(&self, partition: u32, position: u64) -> Result<Arc<Segment>, Error> {
        let durable = self.read();
        let Held { first, end } = durable.held[partition as usize];
        if !(first..=end).contains(&position) {
            return Err(Error::OutOfRange { partition, asked: position, first, end });
        }
        let after = durable.segments.partition_point(|segment| segment.firsts[partition as usize] <= position);
        Ok(Arc::clone(&durable.segments[after.saturating_sub(1)]))
    }

    /// The segment behind this one.
    pub(super) fn after(&self, segment: &Segment) -> Option<Arc<Segment>> {
        let durable = self.read();
        let oldest = durable.segments.front()?.number;
        durable.segments.get(usize::try_from((segment.number + 1).checked_sub(oldest)?).ok()?).cloned()
    }
}
