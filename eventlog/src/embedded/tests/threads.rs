//! The log as others use it: through its threads.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use schemas::log::Append;

use super::super::{EmbeddedLog, Options};
use crate::files::forgetful::{Disk, Fault};
use crate::files::{Directory, Files};
use crate::tests::{next, read_until_idle, record};
use crate::{Error, EventLog, Held, Signal};

fn options(partitions: u32) -> Options {
    let mut options = Options::new(partitions, 1, Arc::new(|| 1_000));
    (options.segment_bytes, options.reserve_bytes) = (64 << 10, 0);
    options
}

fn open(disk: &Disk, options: &Options) -> EmbeddedLog {
    EmbeddedLog::open(disk.files(), options.clone()).unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appenders_share_syncs_and_all_is_there_after_reopening() {
    let disk = Disk::new();
    let log = Arc::new(open(&disk, &options(4)));
    let syncs_before = disk.operations();
    let appender = |who: u32| {
        let log = Arc::clone(&log);
        async move {
            for n in 0..50 {
                log.append(vec![record(who % 4, &format!("{who}.{n}"))]).await.unwrap();
            }
        }
    };
    let tasks: Vec<_> = (0..64).map(|who| tokio::spawn(appender(who))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let operations = disk.operations() - syncs_before;
    assert!(operations < 3_200, "{operations} writes and syncs for 3,200 appends");
    log.close().await.unwrap();
    assert!(matches!(log.append(vec![record(0, "late")]).await, Err(Error::Poisoned(_))));
    disk.power_cut(0);

    let log = open(&disk, &options(4));
    for partition in 0..4 {
        // Each task of the processor reads its own partition.
        let mut reader = log.subscribe_to(&[partition]).unwrap();
        let read = read_until_idle(&mut reader, &[0; 4]).await;
        assert_eq!(read.len(), 800);
        for who in (partition..64).step_by(4) {
            let own: Vec<_> = read.iter().filter(|(_, _, body)| body.starts_with(&format!("{who}."))).collect();
            let in_order = (0..50).map(|n| format!("{who}.{n}"));
            assert!(own.iter().map(|(_, _, body)| body.clone()).eq(in_order));
        }
    }
    assert!(matches!(log.subscribe_to(&[4]), Err(Error::Setting(_))));
}

#[tokio::test]
async fn a_failed_sync_is_told_to_all_and_nothing_unproved_is_read() {
    let disk = Disk::new();
    // No other thread may meet the failing sync.
    let log = open(&disk, &options(1).with_spare_inline());
    log.append(vec![record(0, "durable")]).await.unwrap();
    let mut reader = log.subscribe().unwrap();
    assert_eq!(read_until_idle(&mut reader, &[0]).await.len(), 1);
    let mut poisoned = log.poisoned();
    let waiting = tokio::spawn(async move { next(&mut reader).await });
    disk.fail(Fault::FileSync(1));
    // The idle marker may meet the failing sync first; the log is poisoned all the same.
    assert!(matches!(log.append(vec![record(0, "lost")]).await, Err(Error::Poisoned(_))));
    assert!(
        poisoned.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().contains("sync of 000000000001.segment")
    );
    assert!(matches!(waiting.await.unwrap(), Err(Error::Poisoned(_))));
    assert!(matches!(log.append(vec![record(0, "later")]).await, Err(Error::Poisoned(_))));
    assert!(log.subscribe().is_err() && log.held().await.is_err());
    assert!(matches!(log.close().await, Err(Error::Poisoned(_))));
}

#[tokio::test]
async fn nobody_waits_for_a_committer_that_panicked() {
    let mut options = options(1);
    options.clock = Arc::new(|| panic!("a clock that breaks"));
    let log = open(&Disk::new(), &options);
    let mut poisoned = log.poisoned();
    assert!(matches!(log.append(vec![record(0, "first")]).await, Err(Error::Poisoned(_))));
    poisoned.wait_for(Option::is_some).await.unwrap();
    assert!(matches!(log.append(vec![record(0, "second")]).await, Err(Error::Poisoned(_))));
}

#[tokio::test]
async fn the_queue_has_a_limit_and_gives_room_back() {
    let mut options = options(1);
    options.queue_bytes_max = 10_000;
    let log = open(&Disk::new(), &options);
    let large = || Append { partition: 0, header: Bytes::new(), body: vec![1; 6_000].into() };
    let too_many = log.append(vec![large(), large()]).await.unwrap_err();
    assert!(matches!(too_many, Error::Busy(_)) && too_many.is_retryable(), "{too_many}");
    for offset in 0..20 {
        assert_eq!(log.append(vec![large()]).await.unwrap(), [offset]);
    }
}

/// An append larger than a batch: what its first batches kept stays in the log when a later one has no room.
#[tokio::test]
async fn only_of_an_append_that_left_nothing_it_is_said_so() {
    let disk = Disk::new();
    let mut options = options(1).with_spare_inline();
    // No marker may meet the fault.
    options.idle_marker_ms = 3_600_000;
    let log = open(&disk, &options);
    let many =
        |records: usize| vec![Append { partition: 0, header: Bytes::new(), body: vec![1; 1_000].into() }; records];
    disk.fail(Fault::Write(1));
    let nothing_kept = log.append(many(30)).await.unwrap_err();
    assert!(nothing_kept.is_retryable(), "{nothing_kept}");
    assert_eq!(log.held().await.unwrap()[0].end, 0);
    disk.fail(Fault::Write(3));
    let partly_kept = log.append(many(30)).await.unwrap_err();
    assert!(matches!(partly_kept, Error::Unknown(_)) && !partly_kept.is_retryable(), "{partly_kept}");
    let end = log.held().await.unwrap()[0].end;
    assert!((1..30).contains(&end), "{end}");
    assert_eq!(log.append(many(1)).await.unwrap(), [end]);
}

#[tokio::test]
async fn the_idle_marker_comes_by_itself() {
    let disk = Disk::new();
    let log = open(&disk, &options(1));
    log.append(vec![record(0, "the last")]).await.unwrap();
    let file = || disk.bytes("000000000001.segment").unwrap();
    let blocks = || file().chunks(8).filter(|bytes| bytes.starts_with(b"FSB1")).count();
    tokio::time::timeout(Duration::from_secs(20), async {
        while blocks() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("a marker behind the batch");
}

#[tokio::test]
async fn release_reaches_the_files() {
    let disk = Disk::new();
    let mut options = options(1);
    options.retain_bytes = 128 << 10;
    let log = open(&disk, &options);
    for _ in 0..60 {
        log.append(vec![Append { partition: 0, header: Bytes::new(), body: vec![1; 6_000].into() }]).await.unwrap();
    }
    let before = log.segments_bytes();
    assert!(before > 300 << 10, "{before}");
    log.release(0, 60);
    // Closing lets the committer do what was asked of it before.
    log.append(vec![record(0, "after")]).await.unwrap();
    log.close().await.unwrap();
    assert!(log.segments_bytes() <= 128 << 10);
    assert!(disk.used_bytes() <= 128 << 10 | 64 << 10);
}

/// A full disk may have no room for the marker either; nobody releases again, and nobody need append.
#[tokio::test]
async fn a_release_that_found_no_room_is_tried_again() {
    let disk = Disk::new();
    let mut options = options(1).with_spare_inline();
    // No idle marker may meet the fault.
    (options.retain_bytes, options.idle_marker_ms) = (128 << 10, 3_600_000);
    let log = open(&disk, &options);
    for _ in 0..60 {
        log.append(vec![Append { partition: 0, header: Bytes::new(), body: vec![1; 6_000].into() }]).await.unwrap();
    }
    disk.fail(Fault::Write(1));
    log.release(0, 60);
    tokio::time::timeout(Duration::from_secs(20), async {
        while log.segments_bytes() > 128 << 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("segments go");
    // The fault did strike: else the first try would have done.
    assert_eq!(log.append(vec![record(0, "after")]).await.unwrap(), [60]);
}

/// A quiet partition's reader stands in a segment that goes while the busy ones fill others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_outlives_the_segment_it_stands_in() {
    let mut options = options(2);
    options.retain_bytes = 128 << 10;
    let log = open(&Disk::new(), &options);
    log.append(vec![record(0, "quiet"), record(1, "busy")]).await.unwrap();
    let mut quiet = log.subscribe_to(&[0]).unwrap();
    assert!(matches!(next(&mut quiet).await, Ok(Signal::Assigned { partition: 0 })));
    quiet.begin(0, 0).unwrap();
    assert!(matches!(next(&mut quiet).await, Ok(Signal::Batch { records, .. }) if records.len() == 1));
    (0..2).for_each(|partition| log.release(partition, if partition == 0 { 1 } else { 60 }));
    for _ in 0..60 {
        log.append(vec![Append { partition: 1, header: Bytes::new(), body: vec![1; 6_000].into() }]).await.unwrap();
    }
    log.append(vec![record(0, "again")]).await.unwrap();
    assert_eq!(log.held().await.unwrap()[0], Held { first: 1, end: 2 }, "its segment is gone");
    loop {
        match next(&mut quiet).await.unwrap() {
            Signal::Batch { records, .. } => {
                assert_eq!((records.len(), records[0].offset), (1, 1));
                break;
            }
            Signal::Idle => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_process_and_other_settings_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let files = || Arc::new(Directory::open(directory.path()).unwrap()) as Arc<dyn Files>;
    let first = EmbeddedLog::open(files(), options(2)).unwrap().0;
    let refused = EmbeddedLog::open(files(), options(2)).unwrap_err();
    assert!(matches!(&refused, Error::Setting(what) if what.contains("another process")), "{refused}");
    drop(first);
    let words = |refused: Error| match refused {
        Error::Setting(what) => what,
        other => panic!("{other}"),
    };
    let refused = words(EmbeddedLog::open(files(), options(3)).unwrap_err());
    assert!(refused.contains("has 2 partitions") && refused.contains("partitions = 3"), "{refused}");
    let mut other = options(2);
    other.generation = 9;
    let refused = words(EmbeddedLog::open(files(), other).unwrap_err());
    assert!(refused.contains("generation 1") && refused.contains("generation 9"), "{refused}");
    let mut bad = options(2);
    bad.segment_bytes = 5_000;
    assert!(words(EmbeddedLog::open(files(), bad).unwrap_err()).contains("5000"));
    assert!(words(EmbeddedLog::open(files(), options(0)).unwrap_err()).contains("0 partitions"));

    let told = Arc::new(Mutex::new(Vec::new()));
    let mut progress = options(2);
    let tell = Arc::clone(&told);
    progress.progress = Some(Arc::new(move |done, all| tell.lock().unwrap().push((done, all))));
    let (_, opened) = EmbeddedLog::open(files(), progress).unwrap();
    assert_eq!((opened.bytes_checked, opened.held), (64 << 10, vec![Held { first: 0, end: 0 }; 2]));
    assert_eq!(*told.lock().unwrap(), [(64 << 10, 64 << 10)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_have_a_limit_and_carry_the_append_time() {
    let mut options = options(2);
    (options.read_records_max, options.read_bytes_max) = (7, 1 << 10);
    let log = open(&Disk::new(), &options);
    let large = Append { partition: 1, header: Bytes::new(), body: vec![1; 5_000].into() };
    let mut all: Vec<_> = (0..100).map(|n| record(n % 2, &"y".repeat(n as usize))).collect();
    all.push(large);
    log.append(all).await.unwrap();
    let mut reader = log.subscribe().unwrap();
    let (mut ends, mut switches, mut before) = ([0, 0], 0, 9);
    loop {
        match next(&mut reader).await.unwrap() {
            Signal::Assigned { partition } => reader.begin(partition, 0).unwrap(),
            Signal::Idle => break,
            Signal::Revoked { .. } => panic!("revoked"),
            Signal::Batch { partition, records } => {
                let bytes: usize = records.iter().map(|r| r.header.len() + r.body.len()).sum();
                assert!(records.len() <= 7 && (bytes <= 1 << 10 || records.len() == 1));
                for record in records {
                    assert_eq!((record.offset, record.append_ms), (ends[partition as usize], 1_000));
                    ends[partition as usize] += 1;
                }
                switches += u32::from(partition != before);
                before = partition;
            }
        }
    }
    assert_eq!(ends, [50, 51]);
    assert!(switches > 5, "partitions take turns");
}
