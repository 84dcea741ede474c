//! A block: the records of one partition in one batch, as they lie in a segment file.
//!
//! Always true here: the header's checksum covers the header, and with it the payload's checksum; both are seeded with
//! the log's own random number and the header says in which byte of its file it lies, so that neither a record that
//! contains a block nor a block copied from elsewhere is ever taken for one. Numbers are little-endian, blocks lie at
//! multiples of 8 bytes. The table is in `docs/decisions/embedded-log.md`.

use bytes::{Buf, Bytes};
use schemas::log::{Append, Logged};

/// Length of a block's header, bytes.
pub(super) const HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 4] = b"FSB1";
const LAST_OF_BATCH: u32 = 1;

/// What stands before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Header {
    pub(super) payload_crc: u32,
    /// Whether the batch ends with this block.
    pub(super) is_last: bool,
    /// Number of the batch, from 1, without a gap over all segments.
    pub(super) seq: u64,
    pub(super) first_offset: u64,
    pub(super) append_ms: i64,
    pub(super) partition: u32,
    /// Records; 0 in a marker, which is a batch of its own.
    pub(super) count: u32,
    pub(super) payload_bytes: u32,
    /// The byte of the file at which this header lies, divided by 8.
    pub(super) place: u32,
    /// Number of the oldest segment that must be there.
    pub(super) oldest: u64,
}

impl Header {
    pub(super) fn is_marker(&self) -> bool {
        self.count == 0
    }

    /// Header and payload, bytes.
    pub(super) fn block_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes as usize
    }

    pub(super) fn write(&self, log_id: u64, out: &mut [u8]) {
        out[..4].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[12..16].copy_from_slice(&(if self.is_last { LAST_OF_BATCH } else { 0 }).to_le_bytes());
        out[16..24].copy_from_slice(&self.seq.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_offset.to_le_bytes());
        out[32..40].copy_from_slice(&self.append_ms.to_le_bytes());
        out[40..44].copy_from_slice(&self.partition.to_le_bytes());
        out[44..48].copy_from_slice(&self.count.to_le_bytes());
        out[48..52].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[52..56].copy_from_slice(&self.place.to_le_bytes());
        out[56..64].copy_from_slice(&self.oldest.to_le_bytes());
        let crc = seeded_crc(log_id, &out[8..HEADER_BYTES]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The header that lies at `byte` of a file, `None` when what is there is not one of this log at this place.
    pub(super) fn read(log_id: u64, bytes: &[u8], byte: u64) -> Option<Self> {
        let mut at = bytes.get(..HEADER_BYTES)?;
        if &at[..4] != MAGIC {
            return None;
        }
        at.advance(4);
        if at.get_u32_le() != seeded_crc(log_id, &bytes[8..HEADER_BYTES]) {
            return None;
        }
        let payload_crc = at.get_u32_le();
        let is_last = at.get_u32_le() & LAST_OF_BATCH != 0;
        let header = Self {
            payload_crc,
            is_last,
            seq: at.get_u64_le(),
            first_offset: at.get_u64_le(),
            append_ms: at.get_i64_le(),
            partition: at.get_u32_le(),
            count: at.get_u32_le(),
            payload_bytes: at.get_u32_le(),
            place: at.get_u32_le(),
            oldest: at.get_u64_le(),
        };
        (u64::from(header.place) * 8 == byte).then_some(header)
    }

    pub(super) fn proves(&self, log_id: u64, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes as usize && seeded_crc(log_id, payload) == self.payload_crc
    }

    /// The records of a proved payload from `position` on; `None` when they do not add up to it.
    pub(super) fn records(&self, payload: &Bytes, position: u64, out: &mut impl Extend<Logged>) -> Option<()> {
        let mut at = 0;
        for index in 0..u64::from(self.count) {
            let mut lengths = payload.get(at..at + 8)?;
            let header_end = at + 8 + lengths.get_u32_le() as usize;
            let body_end = header_end + lengths.get_u32_le() as usize;
            if body_end > payload.len() {
                return None;
            }
            let offset = self.first_offset + index;
            if offset >= position {
                let (header, body) = (payload.slice(at + 8..header_end), payload.slice(header_end..body_end));
                out.extend(std::iter::once(Logged { offset, append_ms: self.append_ms, header, body }));
            }
            at = body_end;
        }
        (payload.len() - at < 8).then_some(())
    }
}

fn seeded_crc(log_id: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&log_id.to_le_bytes()), bytes)
}

/// What all blocks of a batch share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) log_id: u64,
    pub(super) seq: u64,
    pub(super) append_ms: i64,
    pub(super) oldest: u64,
    /// Where in its file the batch begins.
    pub(super) byte: u64,
}

/// Bytes that these records take at most.
pub(super) fn bytes_bound(records: &[Append], partitions: u32) -> usize {
    let payload: usize = records.iter().map(record_bytes).sum();
    payload + records.len().min(partitions as usize) * (HEADER_BYTES + 8)
}

/// Bytes that a record takes within its block.
pub(super) fn record_bytes(record: &Append) -> usize {
    8 + record.header.len() + record.body.len()
}

/// Lays a batch out in `out` (emptied first): a block per partition that has records, or a marker when there are none.
/// Moves `ends` (next offset of each partition) and answers the offset of each record.
pub(super) fn encode(records: &[Append], stamp: Stamp, ends: &mut [u64], out: &mut Vec<u8>) -> Vec<u64> {
    out.clear();
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|&index| records[index].partition);
    let mut offsets = vec![0; records.len()];
    let mut blocks = order.chunk_by(|&a, &b| records[a].partition == records[b].partition).peekable();
    if blocks.peek().is_none() {
        encode_block(&[], &[], stamp, true, ends, out);
    }
    while let Some(block) = blocks.next() {
        let partition = records[block[0]].partition as usize;
        for (&index, offset) in block.iter().zip(ends[partition]..) {
            offsets[index] = offset;
        }
        encode_block(records, block, stamp, blocks.peek().is_none(), ends, out);
    }
    offsets
}

fn encode_block(records: &[Append], block: &[usize], stamp: Stamp, is_last: bool, ends: &mut [u64], out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + HEADER_BYTES, 0);
    for &index in block {
        let record = &records[index];
        out.extend_from_slice(&(record.header.len() as u32).to_le_bytes());
        out.extend_from_slice(&(record.body.len() as u32).to_le_bytes());
        out.extend_from_slice(&record.header);
        out.extend_from_slice(&record.body);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let (head, payload) = out[begin..].split_at_mut(HEADER_BYTES);
    let partition = block.first().map_or(0, |&index| records[index].partition);
    let header = Header {
        payload_crc: seeded_crc(stamp.log_id, payload),
        is_last,
        seq: stamp.seq,
        first_offset: ends[partition as usize],
        append_ms: stamp.append_ms,
        partition,
        count: block.len() as u32,
        payload_bytes: payload.len() as u32,
        place: ((stamp.byte + begin as u64) / 8) as u32,
        oldest: stamp.oldest,
    };
    header.write(stamp.log_id, head);
    ends[partition as usize] += block.len() as u64;
}
