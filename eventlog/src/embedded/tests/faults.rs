//! Single faults of the disk, one step at a time.

use super::super::recovery::Cut;
use super::super::writer::Writer;
use super::{numbered, read_all, small, source};
use crate::files::forgetful::{Dice, Disk, Fault, seeds};
use crate::{Error, Held};

fn records(numbers: std::ops::Range<u64>) -> Vec<schemas::log::Append> {
    numbers.map(|number| numbered(&mut Dice::new(number), 0, number)).collect()
}

fn held(writer: &Writer) -> Held {
    writer.view().held(0)
}

#[test]
fn a_torn_tail_is_cut_off_and_reported() {
    let mut torn_tails = 0;
    let seeds = seeds(40);
    for seed in 0..seeds {
        let (disk, options) = (Disk::new(), small(1));
        let (mut writer, opened) = Writer::open(disk.files(), options.clone()).unwrap();
        assert!(opened.is_new && opened.cut.is_none());
        writer.commit(&records(0..3)).unwrap();
        let end = writer.view().read().segments[0].end();
        // The power goes in the sync of the second batch; what of it stays is the seed's choice.
        disk.fail(Fault::Power(2));
        assert!(matches!(writer.commit(&records(3..12)), Err(Error::Poisoned(_))));
        disk.power_cut(seed);
        let tail = disk.bytes("000000000001.segment").unwrap()[end as usize..].to_vec();
        let bytes = tail.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);

        let (mut writer, opened) = Writer::open(disk.files(), options.clone()).unwrap();
        assert!(!opened.is_new);
        if opened.held[0].end == 12 {
            assert_eq!(opened.cut, None, "all of it stayed");
            continue;
        }
        let cut = Cut { file: "000000000001.segment".into(), byte: end, bytes };
        assert_eq!((opened.held[0].end, opened.cut), (3, (bytes > 0).then_some(cut)));
        torn_tails += u32::from(bytes > 0);
        assert_eq!(writer.commit(&records(50..51)).unwrap(), [3]);
        disk.power_cut(seed);
        let (writer, opened) = Writer::open(disk.files(), options.clone()).unwrap();
        assert_eq!((opened.cut, opened.held[0].end), (None, 4));
        assert_eq!(read_all(&source(&disk, &writer, &options), 0).unwrap().len(), 4);
    }
    assert!(u64::from(torn_tails) * 8 >= seeds, "{torn_tails}");
}

#[test]
fn no_room_for_the_next_segment_is_a_passing_state() {
    let (disk, mut options) = (Disk::new(), small(1));
    options.reserve_bytes = 4 << 10;
    disk.set_room_bytes(Some(40 << 10));
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    let mut number = 0;
    let full = loop {
        match writer.commit(&records(number..number + 1)) {
            Ok(_) => number += 1,
            Err(full) => break full,
        }
        assert!(number < 10_000);
    };
    assert!(full.is_retryable(), "{full}");
    assert!(!disk.names().contains(&"reserve".to_owned()), "the reserve is given up for others");
    assert!(writer.commit(&records(0..1)).unwrap_err().is_retryable());
    assert_eq!(held(&writer).end, number);

    // A full disk opens, reads, and takes records again when there is room.
    disk.kill();
    let (mut writer, opened) = Writer::open(disk.files(), options.clone()).unwrap();
    assert_eq!(opened.held[0].end, number);
    assert_eq!(read_all(&source(&disk, &writer, &options), 0).unwrap().len() as u64, number);
    assert!(writer.commit(&records(number..number + 20)).unwrap_err().is_retryable());
    disk.set_room_bytes(None);
    assert_eq!(writer.commit(&records(number..number + 1)).unwrap(), [number]);
    assert!(disk.names().contains(&"reserve".to_owned()));
}

#[test]
fn released_segments_make_room_on_a_full_disk() {
    let (disk, mut options) = (Disk::new(), small(1));
    options.retain_bytes = 16 << 10;
    disk.set_room_bytes(Some(40 << 10));
    let (mut writer, _) = Writer::open(disk.files(), options).unwrap();
    let mut number = 0;
    while writer.commit(&records(number..number + 1)).is_ok() {
        number += 1;
    }
    assert_eq!(disk.names(), ["000000000001.segment", "000000000002.segment"]);
    writer.trim(&[number]).unwrap();
    assert_eq!(disk.names(), ["000000000002.segment"]);
    assert_eq!(writer.commit(&records(number..number + 1)).unwrap(), [number]);
}

#[test]
fn a_write_that_fails_half_way_is_cut_back() {
    let (disk, options) = (Disk::new(), small(1));
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    writer.commit(&records(0..2)).unwrap();
    disk.fail(Fault::Write(1));
    let full = writer.commit(&records(2..30)).unwrap_err();
    assert!(full.is_retryable(), "{full}");
    let end = writer.view().read().segments[0].end() as usize;
    assert!(disk.bytes("000000000001.segment").unwrap()[end..].iter().all(|&byte| byte == 0));
    assert_eq!(writer.commit(&records(2..3)).unwrap(), [2]);
    disk.power_cut(1);
    let (_, opened) = Writer::open(disk.files(), options).unwrap();
    assert_eq!((opened.cut, opened.held[0].end), (None, 3));
}

#[test]
fn a_failed_sync_poisons_for_ever_and_what_is_served_after_a_restart_is_durable() {
    let (disk, options) = (Disk::new(), small(1));
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    writer.commit(&records(0..2)).unwrap();
    disk.fail(Fault::FileSync(1));
    assert!(matches!(writer.commit(&records(2..4)), Err(Error::Poisoned(_))));
    for _ in 0..3 {
        assert!(matches!(writer.commit(&records(2..4)), Err(Error::Poisoned(_))));
        assert!(matches!(writer.mark(), Err(Error::Poisoned(_))));
        assert!(matches!(writer.trim(&[9]), Err(Error::Poisoned(_))));
    }
    assert_eq!(held(&writer).end, 2, "readers never see what no sync has proved");

    // The next process finds the batch in the page cache, but the disk has it not: it is written again before it is
    // served.
    disk.kill();
    let (writer, opened) = Writer::open(disk.files(), options.clone()).unwrap();
    assert_eq!(opened.held[0].end, 4);
    drop(writer);
    disk.power_cut(0);
    let (_, opened) = Writer::open(disk.files(), options).unwrap();
    assert_eq!((opened.cut, opened.held[0].end), (None, 4));
}

#[test]
fn what_a_failed_batch_left_on_the_platter_alone_is_overwritten() {
    let (disk, options, file) = (Disk::new(), small(2), "000000000001.segment");
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    writer.commit(&records(0..2)).unwrap();
    let (end, cached) = (writer.view().read().segments[0].end() as usize, disk.bytes(file).unwrap());
    let both = [records(2..9), vec![numbered(&mut Dice::new(9), 1, 9)]].concat();
    writer.commit(&both).unwrap();
    // The cache says that the batch was cut back; the platter has its second half, a valid block among it.
    let mut platter = disk.bytes(file).unwrap();
    platter[end..end + 200].fill(0);
    disk.kill();
    disk.put(file, cached);
    disk.put_on_platter(file, platter);
    let (mut writer, opened) = Writer::open(disk.files(), options.clone()).unwrap();
    assert_eq!((opened.cut, opened.held[0].end), (None, 2));
    writer.commit(&records(20..21)).unwrap();
    disk.power_cut(0);
    let (_, opened) = Writer::open(disk.files(), options).unwrap();
    assert_eq!((opened.cut, opened.held[0].end), (None, 3));
}

#[test]
fn segments_go_only_when_released_by_all_and_over_the_size() {
    let (disk, mut options) = (Disk::new(), small(2));
    options.retain_bytes = 48 << 10;
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    let mut dice = Dice::new(4);
    let segments = |writer: &Writer| writer.view().read().segments.iter().map(|s| s.number).collect::<Vec<_>>();
    let mut number = 0;
    while segments(&writer).len() < 6 {
        writer.commit(&[numbered(&mut dice, number % 2, u64::from(number))]).unwrap();
        number += 1;
    }
    let all = u64::from(number);
    writer.trim(&[all, 0]).unwrap();
    assert_eq!(segments(&writer), [1, 2, 3, 4, 5, 6], "one partition is not released");
    let third = writer.view().read().segments[2].firsts.clone();
    writer.trim(&[all, third[1] - 1]).unwrap();
    assert_eq!(segments(&writer), [2, 3, 4, 5, 6], "one record is missing to release the second");
    assert_eq!(disk.names()[0], "000000000002.segment");
    writer.trim(&[all, all]).unwrap();
    assert_eq!(segments(&writer), [4, 5, 6], "48 KiB are kept");
    let first = writer.view().read().segments[0].firsts.clone();
    assert_eq!(held(&writer).first, first[0]);

    disk.power_cut(0);
    let (writer, opened) = Writer::open(disk.files(), options).unwrap();
    assert_eq!((segments(&writer), opened.held[1].first), (vec![4, 5, 6], first[1]));
}

#[test]
fn a_removal_that_was_cut_short_is_finished() {
    let (disk, options) = (Disk::new(), small(1));
    let (mut writer, _) = Writer::open(disk.files(), options.clone()).unwrap();
    let mut number = 0;
    while writer.view().read().segments.len() < 5 {
        writer.commit(&records(number..number + 1)).unwrap();
        number += 1;
    }
    // The marker is written and synced, the first of three removals and its sync done; then the power goes.
    disk.fail(Fault::Power(5));
    writer.trim(&[number]).unwrap_err();
    disk.power_cut(0);
    assert_eq!(disk.names().len(), 4);
    let (_, opened) = Writer::open(disk.files(), options).unwrap();
    assert_eq!((opened.segments, disk.names()[0].as_str()), (2, "000000000004.segment"));
}
