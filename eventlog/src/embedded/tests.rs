//! Tests of the embedded log: by seed on the forgetful disk, then through its threads.

mod faults;
mod flips;
mod lock;
mod power;
mod rules;
mod threads;

use std::sync::Arc;

use bytes::Bytes;
use schemas::log::{Append, Logged};

use super::Options;
use super::cursor::{Cursor, Source};
use super::writer::Writer;
use crate::Error;
use crate::files::forgetful::{Dice, Disk};

/// Segments of 16 KiB, everything in one thread.
fn small(partitions: u32) -> Options {
    let mut options = Options::new(partitions, 1, Arc::new(|| 1_700_000_000_000)).with_spare_inline();
    (options.segment_bytes, options.reserve_bytes, options.retain_bytes) = (16 << 10, 0, 32 << 10);
    options
}

/// A record that says who it is, of up to 1.5 KB.
fn numbered(dice: &mut Dice, partition: u32, number: u64) -> Append {
    let mut body = number.to_le_bytes().to_vec();
    let more = if dice.below(3) == 0 { dice.below(1_500) } else { dice.below(80) };
    body.extend((0..more).map(|_| dice.below(256) as u8));
    Append { partition, header: Bytes::from(number.to_string()), body: body.into() }
}

fn batch(dice: &mut Dice, partitions: u32, number: &mut u64) -> Vec<Append> {
    let count = 1 + dice.below(6);
    (0..count)
        .map(|_| {
            *number += 1;
            let partition = dice.below(u64::from(partitions)) as u32;
            numbered(dice, partition, *number)
        })
        .collect()
}

fn source(disk: &Disk, writer: &Writer, options: &Options) -> Source {
    Source { files: disk.files(), view: writer.view(), log_id: writer.log_id(), options: options.clone() }
}

/// All records of a partition that the log holds.
fn read_all(source: &Source, partition: u32) -> Result<Vec<Logged>, Error> {
    let mut cursor = Cursor::new(partition, source.view.held(partition).first);
    let mut read = Vec::new();
    loop {
        let records = cursor.read(source)?;
        if records.is_empty() {
            return Ok(read);
        }
        read.extend(records);
    }
}
