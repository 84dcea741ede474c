//! Rot: a byte flipped anywhere, a page lost, a segment missing, short or foreign. Refused with the place, or nothing
//! lost.

use schemas::log::Logged;

use super::super::Options;
use super::super::segment::PAGE_BYTES;
use super::super::writer::Writer;
use super::{batch, numbered, read_all, small, source};
use crate::Error;
use crate::files::forgetful::{Dice, Disk};

/// A log that was closed in good order, and what is in it.
struct Image {
    files: Vec<(String, Vec<u8>)>,
    records: Vec<Vec<Logged>>,
    /// Where the last batch lies in the newest file; behind it there is only the marker.
    last_batch: std::ops::Range<u64>,
}

impl Image {
    fn new(seed: u64, options: &Options) -> Self {
        let (mut dice, mut number, disk) = (Dice::new(seed), 0, Disk::new());
        let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
        let end = |writer: &Writer| writer.view().read().segments.back().unwrap().end();
        // Four segments, the newest half full, so that the last batch lies in it.
        while writer.segment_number() < 4 || end(&writer) < 8_000 {
            writer.commit(&batch(&mut dice, options.partitions, &mut number)).unwrap();
        }
        let begin = end(&writer);
        let last: Vec<_> = (0..options.partitions).map(|p| numbered(&mut dice, p, u64::from(p))).collect();
        writer.commit(&last).unwrap();
        let last_batch = begin..end(&writer);
        writer.mark().unwrap();
        let source = source(&disk, &writer, options);
        let records = (0..options.partitions).map(|p| read_all(&source, p).unwrap()).collect();
        let files: Vec<_> = disk.names().into_iter().map(|name| (name.clone(), disk.bytes(&name).unwrap())).collect();
        assert_eq!(files.len(), 4);
        Self { files, records, last_batch }
    }

    fn disk(&self) -> Disk {
        let disk = Disk::new();
        for (name, bytes) in &self.files {
            disk.put(name, bytes.clone());
        }
        disk
    }

    fn newest(&self) -> &str {
        &self.files.last().expect("files").0
    }

    /// Places all over the log, and more where it hurts.
    fn places(&self, seed: u64) -> Vec<(String, u64)> {
        let mut dice = Dice::new(seed);
        let mut places = Vec::new();
        for (name, bytes) in &self.files {
            places.extend((0..60).map(|_| (name.clone(), dice.below(bytes.len() as u64))));
            // The header page with its first offsets, and the first block's header.
            places.extend((0..12).map(|_| (name.clone(), dice.below(88))));
            places.extend((0..64).step_by(3).map(|byte| (name.clone(), PAGE_BYTES + byte)));
        }
        let behind = self.last_batch.end + 64;
        places.extend((self.last_batch.start..behind).step_by(5).map(|byte| (self.newest().to_owned(), byte)));
        places
    }
}

/// What an open log answers is compared with what was written.
fn judge(disk: &Disk, image: &Image, options: &Options) -> Result<Verdict, String> {
    let (mut writer, opened) = match Writer::open(disk.files(), options.clone()) {
        Ok(opened) => opened,
        Err(Error::Damaged { place, .. }) => return Ok(Verdict::Refused(place)),
        Err(other) => return Err(format!("refused without a place: {other}")),
    };
    let source = source(disk, &writer, options);
    for (partition, wanted) in image.records.iter().enumerate() {
        match read_all(&source, partition as u32) {
            Ok(read) if read == *wanted => {}
            Ok(read) => return Err(format!("partition {partition}: {} of {} records", read.len(), wanted.len())),
            Err(Error::Damaged { place, .. }) => return Ok(Verdict::Refused(place)),
            Err(other) => return Err(format!("reading: {other}")),
        }
    }
    let record = numbered(&mut Dice::new(1), 0, 1);
    writer.commit(&[record]).map_err(|error| format!("cannot go on: {error}"))?;
    Ok(if opened.cut.is_some() { Verdict::NothingLostButCut } else { Verdict::NothingLost })
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Refused(String),
    NothingLost,
    NothingLostButCut,
}

/// Flips a bit in each place, one at a time: how many were refused, and how many did no harm.
pub(super) fn flip_everywhere(options: &Options) -> Result<(u32, u32), String> {
    let image = Image::new(7, options);
    let (mut refused, mut harmless) = (0, 0);
    for (index, (file, byte)) in image.places(8).into_iter().enumerate() {
        let disk = image.disk();
        disk.flip(&file, byte, 1 << (index % 8));
        let at = format!("{file} byte {byte}, partitions {}", options.partitions);
        match judge(&disk, &image, options).map_err(|what| format!("{what} ({at})"))? {
            Verdict::Refused(place) => {
                let (named, from) = place.split_once(" at byte ").ok_or("no byte")?;
                if named != file || from.parse::<u64>().map_err(|error| error.to_string())? > byte {
                    return Err(format!("refused with the place {place}, but the flip was in {at}"));
                }
                refused += 1;
            }
            // The marker, or zeros behind it: no record lay there.
            _ if file == image.newest() && byte >= image.last_batch.end => harmless += 1,
            other => return Err(format!("{other:?}: the flip was not seen ({at})")),
        }
    }
    Ok((refused, harmless))
}

/// Flips while the log is open: the reader must see them, nothing else will.
pub(super) fn flip_while_open(options: &Options) -> Result<u32, String> {
    let image = Image::new(9, options);
    let mut refused = 0;
    for (file, byte) in image.places(10) {
        let disk = image.disk();
        let (writer, _) = Writer::open(disk.files(), options.clone()).map_err(|error| error.to_string())?;
        disk.flip(&file, byte, 0x10);
        let source = source(&disk, &writer, options);
        for (partition, wanted) in image.records.iter().enumerate() {
            match read_all(&source, partition as u32) {
                Ok(read) if read == *wanted => {}
                Err(Error::Damaged { place, .. }) if place.starts_with(&file) => refused += 1,
                other => return Err(format!("{file} byte {byte}: {:?}", other.map(|read| read.len()))),
            }
        }
    }
    Ok(refused)
}

/// Takes a segment away, or its end, or a page, or puts another log's segment there.
pub(super) fn maim(options: &Options) -> Result<(), String> {
    let image = Image::new(11, options);
    let foreign = Image::new(12, options);
    let expect_refused = |disk: &Disk, what: String, file: &str| match judge(disk, &image, options)? {
        Verdict::Refused(place) if place.starts_with(file) => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    };
    for (index, (file, bytes)) in image.files.iter().enumerate() {
        let is_newest = file == image.newest();
        if !is_newest {
            let disk = image.disk();
            disk.take_away(file);
            expect_refused(&disk, format!("{file} is missing"), file)?;
        }
        for missing in [1, 64, 5_000, bytes.len() - 100, bytes.len()] {
            let disk = image.disk();
            disk.put(file, bytes[..bytes.len() - missing].to_vec());
            expect_refused(&disk, format!("{file} is {missing} bytes short"), file)?;
        }
        let disk = image.disk();
        disk.put(file, foreign.files[index].1.clone());
        match judge(&disk, &image, options)? {
            Verdict::Refused(_) => {}
            other => return Err(format!("{file} is of another log: {other:?}")),
        }
        // Not the sector that the marker shares with the end of the last batch: who loses that, loses the proof too.
        let used = if is_newest { image.last_batch.end / 512 * 512 } else { 12_288 };
        let is_zero = |&at: &u64| bytes[at as usize..][..512].iter().all(|&byte| byte == 0);
        for page in (0..used).step_by(512).filter(|at| !is_zero(at)) {
            let (disk, mut bytes) = (image.disk(), bytes.clone());
            bytes[page as usize..][..512].fill(0);
            disk.put(file, bytes);
            expect_refused(&disk, format!("{file} lost the sector at {page}"), file)?;
        }
    }
    Ok(())
}

#[test]
fn a_flipped_byte_is_refused_with_its_place_or_nothing_is_lost() {
    for partitions in [1, 4] {
        let (refused, harmless) = flip_everywhere(&small(partitions)).unwrap();
        assert!(refused >= 200 && harmless >= 12, "{refused} refused, {harmless} harmless");
        assert!(flip_while_open(&small(partitions)).unwrap() >= 100);
    }
}

#[test]
fn missing_short_and_foreign_segments_and_lost_sectors_are_refused() {
    for partitions in [1, 4] {
        maim(&small(partitions)).unwrap();
    }
}

#[test]
fn a_record_that_contains_the_log_is_only_a_record() {
    // Whoever could have a valid block in a torn tail could turn a power cut into a log that does not open.
    let (options, disk) = (small(1), Disk::new());
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    let record = |body: Vec<u8>| schemas::log::Append { partition: 0, header: bytes::Bytes::new(), body: body.into() };
    for n in 0..3 {
        writer.commit(&[record(vec![n; 40])]).unwrap();
    }
    let file = disk.names().pop().unwrap();
    let blocks = disk.bytes(&file).unwrap()[PAGE_BYTES as usize..][..400].to_vec();
    let begin = writer.view().read().segments[0].end();
    writer.commit(&[record(blocks)]).unwrap();
    let end = writer.view().read().segments[0].end();
    disk.kill();
    disk.flip(&file, begin + 80, 1);
    let (_, opened) = Writer::open(disk.files(), options).unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!((cut.file, cut.byte, opened.held[0].end), (file, begin, 3));
    assert!(begin + cut.bytes <= end);
}
