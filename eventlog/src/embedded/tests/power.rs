//! Power cuts, kills, failed syncs and failed writes, by seed, against a ledger.

use schemas::log::{Append, Logged};

use super::super::writer::Writer;
use super::super::{Opened, Options};
use super::{batch, read_all, small, source};
use crate::Error;
use crate::files::forgetful::{Dice, Disk, Fault, seeds};

/// What happened over all seeds, so that a test sees that it tests something.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) acknowledged: u64,
    pub(super) tails_cut: u64,
    pub(super) cut_in_recovery: u64,
    pub(super) unknown_kept: u64,
    pub(super) unknown_lost: u64,
    pub(super) poisoned: u64,
    pub(super) full: u64,
    pub(super) segments_dropped: u64,
}

/// What the log must hold, by partition: from offset 0 on, whatever was dropped since.
struct Ledger {
    certain: Vec<Vec<Append>>,
    /// The batch whose answer nobody heard.
    unknown: Vec<Append>,
    released: Vec<u64>,
}

impl Ledger {
    fn acknowledge(&mut self, records: &[Append], offsets: &[u64]) -> Result<(), String> {
        for (record, &offset) in records.iter().zip(offsets) {
            let certain = &mut self.certain[record.partition as usize];
            if certain.len() as u64 != offset {
                return Err(format!("offset {offset} answered, {} expected", certain.len()));
            }
            certain.push(record.clone());
        }
        Ok(())
    }

    /// Compares with what the log holds; a batch nobody heard of must be there whole or not at all.
    fn compare(&mut self, held: &[(u64, Vec<Logged>)], tally: &mut Tally) -> Result<(), String> {
        let unknown = std::mem::take(&mut self.unknown);
        let is_kept = held
            .iter()
            .zip(&self.certain)
            .any(|((first, read), certain)| first + read.len() as u64 > certain.len() as u64);
        if is_kept {
            for record in &unknown {
                self.certain[record.partition as usize].push(record.clone());
            }
        }
        match (unknown.is_empty(), is_kept) {
            (true, _) => {}
            (false, true) => tally.unknown_kept += 1,
            (false, false) => tally.unknown_lost += 1,
        }
        for (partition, ((first, read), certain)) in held.iter().zip(&self.certain).enumerate() {
            if *first > self.released[partition] {
                return Err(format!(
                    "partition {partition} begins at {first}, released is {}",
                    self.released[partition]
                ));
            }
            let wanted = &certain[*first as usize..];
            let is_same =
                |(read, wanted): (&Logged, &Append)| (&read.header, &read.body) == (&wanted.header, &wanted.body);
            if read.len() != wanted.len() || !read.iter().zip(wanted).all(is_same) {
                let (read, wanted) = (read.len(), wanted.len());
                return Err(format!("partition {partition}: {read} records from {first} are not the {wanted} wanted"));
            }
        }
        Ok(())
    }
}

/// Several lives of one log, each ended by a power cut, a kill or a failed sync; the first broken promise in words.
pub(super) fn live(seed: u64, options: &Options, tally: &mut Tally) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let disk = Disk::new();
    let partitions = options.partitions as usize;
    let mut ledger =
        Ledger { certain: vec![Vec::new(); partitions], unknown: Vec::new(), released: vec![0; partitions] };
    let mut number = 0;
    for life in 0..4 {
        let is_last = life == 3;
        if !is_last && dice.below(2) == 0 {
            // Early enough to fall into the opening now and then.
            let span = if dice.below(3) == 0 { 8 } else { 150 };
            disk.fail(Fault::Power(1 + dice.below(span)));
        }
        match Writer::open(disk.files(), options.clone()) {
            Ok((writer, opened)) => {
                check_opened(&disk, &writer, options, &opened, &mut ledger, tally)?;
                one_life(&mut dice, writer, &disk, options, &mut ledger, &mut number, tally)?;
            }
            // The power went while opening; only then may it fail.
            Err(error) if disk.files().list().is_ok() => return Err(format!("life {life} does not begin: {error}")),
            Err(_) => tally.cut_in_recovery += 1,
        }
        let is_off = disk.files().list().is_err();
        if is_off || dice.below(2) == 0 {
            disk.power_cut(dice.below(u64::MAX));
        } else {
            disk.kill();
        }
    }
    Ok(())
}

fn check_opened(
    disk: &Disk,
    writer: &Writer,
    options: &Options,
    opened: &Opened,
    ledger: &mut Ledger,
    tally: &mut Tally,
) -> Result<(), String> {
    if let Some(cut) = &opened.cut {
        tally.tails_cut += 1;
        let file = disk.bytes(&cut.file).ok_or("a cut in no file")?;
        let tail = &file[cut.byte as usize..][..cut.bytes as usize];
        // The marker of this opening may lie there by now.
        if cut.bytes == 0 || tail.iter().skip(64).any(|&byte| byte != 0) {
            return Err(format!("the tail is still there: {cut:?}"));
        }
    }
    let source = source(disk, writer, options);
    let held = (0..options.partitions).map(|partition| {
        let records = read_all(&source, partition).map_err(|error| format!("reading: {error}"))?;
        Ok((source.view.held(partition).first, records))
    });
    let held = held.collect::<Result<Vec<_>, String>>()?;
    ledger.compare(&held, tally)
}

/// Appends, marks, releases, until something goes wrong or enough was done.
fn one_life(
    dice: &mut Dice,
    mut writer: Writer,
    disk: &Disk,
    options: &Options,
    ledger: &mut Ledger,
    number: &mut u64,
    tally: &mut Tally,
) -> Result<(), String> {
    match dice.below(5) {
        0 => disk.fail(Fault::FileSync(1 + dice.below(30))),
        1 => (0..3).for_each(|_| disk.fail(Fault::Write(1 + dice.below(20)))),
        2 => disk.fail(Fault::DirSync(1 + dice.below(3))),
        _ => {}
    }
    for _ in 0..dice.below(40) {
        let records = batch(dice, options.partitions, number);
        match writer.commit(&records) {
            Ok(offsets) => {
                tally.acknowledged += offsets.len() as u64;
                ledger.acknowledge(&records, &offsets)?;
            }
            Err(Error::Full(_)) => {
                tally.full += 1;
                continue;
            }
            Err(_) => {
                tally.poisoned += 1;
                ledger.unknown = records;
                return refused_from_now_on(dice, writer, options, number);
            }
        }
        let marked = match dice.below(12) {
            0 => writer.mark(),
            1 => {
                let before = writer.view().read().segments.len() as u64;
                // All at once or half, as durable state moves.
                for (released, certain) in ledger.released.iter_mut().zip(&ledger.certain) {
                    let end = certain.len() as u64;
                    *released = (*released).max(if dice.below(2) == 0 { end } else { dice.below(end + 1) });
                }
                let trimmed = writer.trim(&ledger.released);
                tally.segments_dropped += before - writer.view().read().segments.len() as u64;
                trimmed
            }
            _ => Ok(()),
        };
        match marked {
            Ok(()) | Err(Error::Full(_)) => {}
            Err(_) => return refused_from_now_on(dice, writer, options, number),
        }
    }
    Ok(())
}

fn refused_from_now_on(dice: &mut Dice, mut writer: Writer, options: &Options, number: &mut u64) -> Result<(), String> {
    for _ in 0..3 {
        match writer.commit(&batch(dice, options.partitions, number)) {
            Err(Error::Poisoned(_) | Error::Io { .. }) => {}
            other => return Err(format!("after a failed sync the log answered {other:?}")),
        }
    }
    Ok(())
}

pub(super) fn lives(seeds: std::ops::Range<u64>, options: &Options) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for seed in seeds {
        live(seed, options, &mut tally)
            .map_err(|what| format!("{what} (partitions {}, seed {seed})", options.partitions))?;
    }
    Ok(tally)
}

fn holds_in_every_seed(partitions: u32) {
    let seeds = seeds(1_200);
    let tally = lives(0..seeds, &small(partitions)).unwrap();
    let all_happened = [
        tally.tails_cut,
        tally.cut_in_recovery,
        tally.unknown_kept,
        tally.unknown_lost,
        tally.poisoned,
        tally.full,
        tally.segments_dropped,
    ];
    // In one seed of sixty at least, each of them.
    let often = all_happened.iter().all(|&times| times * 60 >= seeds);
    assert!(often && tally.acknowledged > 40 * seeds, "{tally:?}");
    println!("{partitions} partitions: {tally:?}");
}

#[test]
fn acknowledged_records_survive_power_cuts_with_1_partition() {
    holds_in_every_seed(1);
}

#[test]
fn acknowledged_records_survive_power_cuts_with_4_partitions() {
    holds_in_every_seed(4);
}
