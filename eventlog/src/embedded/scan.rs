//! Reads a whole segment and says what is in it: good batches to the end, a torn tail, or damage.
//!
//! Always true here: a batch is written only after the one before is durable. So whatever is not right and has a valid
//! block of another batch behind it, or a segment behind it, was right once: damage. What is not right at the very end
//! was never answered: a torn tail.

use super::block::{HEADER_BYTES, Header};
use super::options::{Break, Options};
use super::segment::{PAGE_BYTES, SegmentHeader};
use crate::Error;

/// What a segment turned out to hold.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Behind the last good batch.
    pub(super) end: u64,
    /// Number of the last good batch, here or before.
    pub(super) seq: u64,
    /// Where that batch begins and whether it is a marker; `None` when it is not in this segment.
    pub(super) last: Option<(u64, bool)>,
    /// Next offset of each partition.
    pub(super) ends: Vec<u64>,
    /// The oldest segment that must be there.
    pub(super) oldest: u64,
    /// Where the torn tail ends; `end` when there is none.
    pub(super) torn_end: u64,
}

/// Checks every byte of a segment. `bytes` is the whole file; `is_newest` tells whether a torn tail is possible.
pub(super) fn scan(
    file: &str,
    header: &SegmentHeader,
    bytes: &[u8],
    is_newest: bool,
    options: &Options,
) -> Result<Scanned, Error> {
    let mut found = Scanned {
        end: PAGE_BYTES,
        seq: header.previous_seq,
        last: None,
        ends: header.firsts.clone(),
        oldest: header.oldest,
        torn_end: 0,
    };
    let stop = walk(file, header, bytes, &mut found, options)?;
    let rest = &bytes[found.end as usize..];
    found.torn_end = found.end + rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
    if found.torn_end == found.end {
        return Ok(found);
    }
    if options.breaks(Break::NoTailRule) {
        return Ok(found);
    }
    if let Some(later) = later_block(header, bytes, &found) {
        let (bad, seq, later) = (found.seq + 1, later.seq, u64::from(later.place) * 8);
        return Err(Error::damaged(
            file,
            stop,
            format!("batch {bad} is damaged, but batch {seq} follows at byte {later}"),
        ));
    }
    if !is_newest {
        let what = format!("batch {} is damaged, but another segment follows", found.seq + 1);
        return Err(Error::damaged(file, stop, what));
    }
    Ok(found)
}

/// Goes from batch to batch as long as all is right; answers the byte where it no longer was.
fn walk(
    file: &str,
    header: &SegmentHeader,
    bytes: &[u8],
    found: &mut Scanned,
    options: &Options,
) -> Result<u64, Error> {
    let mut byte = found.end;
    let mut batch_ends = found.ends.clone();
    loop {
        let Some(block) = Header::read(header.log_id, &bytes[byte as usize..], byte) else { return Ok(byte) };
        let payload_from = byte as usize + HEADER_BYTES;
        let payload = bytes.get(payload_from..payload_from + block.payload_bytes as usize);
        let is_proved = payload.is_some_and(|payload| block.proves(header.log_id, payload));
        if !is_proved && !options.breaks(Break::NoChecksum) {
            return Ok(byte);
        }
        let Some(next) = batch_ends.get_mut(block.partition as usize) else {
            return Err(Error::damaged(file, byte, format!("a block of partition {}", block.partition)));
        };
        if block.seq != found.seq + 1 || block.first_offset != *next {
            let (seq, first, wanted) = (block.seq, block.first_offset, found.seq + 1);
            let what = format!("batch {seq} from offset {first}, expected batch {wanted} from offset {next}");
            return Err(Error::damaged(file, byte, what));
        }
        *next += u64::from(block.count);
        byte += block.block_bytes() as u64;
        if block.is_last {
            found.last = Some((found.end, block.is_marker()));
            (found.seq, found.end, found.oldest) = (block.seq, byte, block.oldest);
            found.ends.clone_from(&batch_ends);
        }
    }
}

/// A block behind the last good batch that was written after the batch that is missing.
fn later_block(header: &SegmentHeader, bytes: &[u8], found: &Scanned) -> Option<Header> {
    (found.end as usize..bytes.len().saturating_sub(HEADER_BYTES - 1))
        .step_by(8)
        .filter_map(|byte| Header::read(header.log_id, &bytes[byte..], byte as u64))
        .find(|block| block.seq != found.seq + 1)
}
