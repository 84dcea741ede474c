//! The conformance suite: what every log must do, run by each of them.

#[cfg(feature = "kafka")]
mod kafka;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemas::log::{Append, Logged, RECORD_BYTES_MAX};

use crate::embedded::{EmbeddedLog, Options};
use crate::files::{Directory, forgetful::Disk};
use crate::memory::{Fault, MemoryLog};
use crate::{Error, EventLog, Held, Signal, Subscription};

pub(crate) fn record(partition: u32, body: &str) -> Append {
    let header = Bytes::from(format!("header of {body}"));
    Append { partition, header, body: Bytes::copy_from_slice(body.as_bytes()) }
}

pub(crate) fn body(record: &Logged) -> String {
    assert_eq!(record.header, format!("header of {}", String::from_utf8_lossy(&record.body)));
    String::from_utf8_lossy(&record.body).into_owned()
}

/// Fails instead of hanging: no signal of these tests takes seconds.
pub(crate) async fn next(reader: &mut Box<dyn Subscription>) -> Result<Signal, Error> {
    tokio::time::timeout(Duration::from_secs(20), reader.next()).await.expect("a signal within 20 s")
}

/// Begins every partition that is assigned at `positions` and reads until idle: (partition, offset, body) as they come.
pub(crate) async fn read_until_idle(reader: &mut Box<dyn Subscription>, positions: &[u64]) -> Vec<(u32, u64, String)> {
    let mut read = Vec::new();
    loop {
        match next(reader).await.unwrap() {
            Signal::Assigned { partition } => reader.begin(partition, positions[partition as usize]).unwrap(),
            Signal::Batch { partition, records } => {
                assert!(!records.is_empty());
                read.extend(records.iter().map(|record| (partition, record.offset, body(record))));
            }
            Signal::Idle => return read,
            Signal::Revoked { partition } => panic!("partition {partition} revoked"),
        }
    }
}

/// As [`read_until_idle`], over idleness, until enough was read.
#[cfg(feature = "kafka")]
async fn read_until(
    reader: &mut Box<dyn Subscription>,
    positions: &[u64],
    is_enough: impl Fn(&[(u32, u64, String)]) -> bool,
) -> Vec<(u32, u64, String)> {
    let mut read = Vec::new();
    while !is_enough(&read) {
        match next(reader).await.unwrap() {
            Signal::Assigned { partition } => reader.begin(partition, positions[partition as usize]).unwrap(),
            Signal::Batch { partition, records } => {
                read.extend(records.iter().map(|record| (partition, record.offset, body(record))));
            }
            Signal::Idle | Signal::Revoked { .. } => {}
        }
    }
    read
}

fn of(read: &[(u32, u64, String)], partition: u32) -> Vec<(u64, &str)> {
    read.iter().filter(|(p, _, _)| *p == partition).map(|(_, offset, body)| (*offset, body.as_str())).collect()
}

async fn offsets_are_dense_and_in_the_order_given(log: &dyn EventLog) {
    let given = vec![record(1, "a"), record(0, "b"), record(1, "c"), record(1, "")];
    assert_eq!(log.append(given).await.unwrap(), [0, 0, 1, 2]);
    assert_eq!(log.append(vec![record(0, "d"), record(1, "e")]).await.unwrap(), [1, 3]);
    assert_eq!(log.append(Vec::new()).await.unwrap(), [0; 0]);
    assert_eq!(log.held().await.unwrap(), [Held { first: 0, end: 2 }, Held { first: 0, end: 4 }]);
    let read = read_until_idle(&mut log.subscribe().unwrap(), &[0, 0]).await;
    assert_eq!(of(&read, 0), [(0, "b"), (1, "d")]);
    assert_eq!(of(&read, 1), [(0, "a"), (1, "c"), (2, ""), (3, "e")]);
}

async fn a_reader_begins_anywhere_and_again(log: &dyn EventLog) {
    for n in 0..10 {
        log.append(vec![record(n % 2, &n.to_string())]).await.unwrap();
    }
    let mut reader = log.subscribe().unwrap();
    let read = read_until_idle(&mut reader, &[3, 5]).await;
    assert_eq!((of(&read, 0), of(&read, 1)), (vec![(3, "6"), (4, "8")], vec![]));
    reader.begin(1, 4).unwrap();
    let read = read_until_idle(&mut reader, &[]).await;
    assert_eq!((of(&read, 0), of(&read, 1)), (vec![], vec![(4, "9")]));
    let refused = match reader.begin(0, 6) {
        Err(error) => error,
        Ok(()) => next(&mut reader).await.unwrap_err(),
    };
    assert_eq!(refused.to_string(), "partition 0 holds offsets 0..5, offset 6 was asked for");
    assert!(matches!(reader.begin(2, 0), Err(Error::Setting(_))));
}

async fn one_who_reads_a_partition_alone_takes_it_from_nobody(log: &dyn EventLog) {
    log.append(vec![record(0, "a"), record(1, "b")]).await.unwrap();
    let mut shared = log.subscribe().unwrap();
    assert_eq!(read_until_idle(&mut shared, &[0, 0]).await.len(), 2);
    let mut alone = log.read(1).unwrap();
    assert_eq!(of(&read_until_idle(&mut alone, &[0, 0]).await, 1), [(0, "b")]);
    log.append(vec![record(1, "c")]).await.unwrap();
    for reader in [&mut alone, &mut shared] {
        assert_eq!(of(&read_until_idle(reader, &[]).await, 1), [(1, "c")]);
    }
    assert!(matches!(log.read(2), Err(Error::Setting(_))));
}

async fn who_has_no_room_hears_of_moves_alone(log: &dyn EventLog) {
    log.append(vec![record(0, "a"), record(1, "b")]).await.unwrap();
    let mut reader = log.read(1).unwrap();
    let within = Duration::from_secs(20);
    let moved = tokio::time::timeout(within, reader.next_move()).await.expect("a signal within 20 s").unwrap();
    assert!(matches!(moved, Signal::Assigned { partition: 1 }), "{moved:?}");
    reader.begin(1, 0).unwrap();
    // There is a record, and nobody wants it yet.
    let early = tokio::time::timeout(Duration::from_millis(50), reader.next_move()).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(of(&read_until_idle(&mut reader, &[]).await, 1), [(0, "b")]);
}

async fn a_reader_is_woken(log: &dyn EventLog) {
    let mut reader = log.subscribe().unwrap();
    assert_eq!(read_until_idle(&mut reader, &[0, 0]).await, []);
    for n in 0..50 {
        // The reader waits first, then the record comes; each is seen with no clock in between.
        let waiting = tokio::spawn(async move { (next(&mut reader).await, reader) });
        tokio::task::yield_now().await;
        log.append(vec![record(n % 2, &n.to_string())]).await.unwrap();
        let (signal, back) = waiting.await.unwrap();
        reader = back;
        let Signal::Batch { records, .. } = signal.unwrap() else { panic!("no batch") };
        assert_eq!(records.iter().map(body).collect::<Vec<_>>(), [n.to_string()]);
        assert!(matches!(next(&mut reader).await.unwrap(), Signal::Idle));
    }
}

async fn a_dropped_next_loses_nothing(log: &dyn EventLog) {
    for n in 0..40 {
        log.append(vec![record(0, &n.to_string())]).await.unwrap();
    }
    let mut reader = log.subscribe().unwrap();
    let mut read = Vec::new();
    while read.len() < 40 {
        // Polled once and dropped, again and again.
        let polled = tokio::select! { biased; signal = reader.next() => Some(signal.unwrap()), () = async {} => None };
        match polled {
            Some(Signal::Assigned { partition }) => reader.begin(partition, 0).unwrap(),
            Some(Signal::Batch { records, .. }) => read.extend(records.iter().map(body)),
            Some(_) => {}
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(read, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
}

async fn a_dropped_append_does_not_disturb_the_others(log: &dyn EventLog) {
    let first = log.append(vec![record(0, "kept")]);
    drop(log.append(vec![record(0, "dropped")]));
    let last = log.append(vec![record(0, "last")]);
    let (first, last) = (first.await.unwrap()[0], last.await.unwrap()[0]);
    let read = read_until_idle(&mut log.subscribe().unwrap(), &[0, 0]).await;
    let (_, _, at_first) = &read[first as usize];
    let (_, _, at_last) = &read[last as usize];
    assert_eq!((at_first.as_str(), at_last.as_str()), ("kept", "last"));
}

async fn bad_records_are_refused_before_anything_is_kept(log: &dyn EventLog) {
    let large = Append { partition: 0, header: Bytes::new(), body: vec![7; RECORD_BYTES_MAX + 1].into() };
    for bad in [record(2, "no such partition"), large] {
        let refused = log.append(vec![record(0, "beside it"), bad]).await.unwrap_err();
        assert!(matches!(refused, Error::Setting(_)) && !refused.is_retryable(), "{refused}");
    }
    assert_eq!(log.held().await.unwrap(), [Held { first: 0, end: 0 }; 2]);
}

async fn large_appends_come_in_order(log: &dyn EventLog) {
    let many: Vec<_> = (0..3_000).map(|n| record(n % 2, &format!("{n} {}", "x".repeat(40)))).collect();
    let offsets = log.append(many).await.unwrap();
    assert_eq!(offsets, (0..3_000).map(|n| n / 2).collect::<Vec<u64>>());
    let read = read_until_idle(&mut log.subscribe().unwrap(), &[0, 0]).await;
    for partition in 0..2 {
        let read = of(&read, partition);
        assert_eq!(read.len(), 1_500);
        for (offset, (at, body)) in (0..).zip(read) {
            assert_eq!(
                (at, body),
                (offset, format!("{} {}", offset * 2 + u64::from(partition), "x".repeat(40)).as_str())
            );
        }
    }
}

async fn conforms<L: EventLog>(make: impl AsyncFn() -> L) {
    offsets_are_dense_and_in_the_order_given(&make().await).await;
    a_reader_begins_anywhere_and_again(&make().await).await;
    one_who_reads_a_partition_alone_takes_it_from_nobody(&make().await).await;
    who_has_no_room_hears_of_moves_alone(&make().await).await;
    a_reader_is_woken(&make().await).await;
    a_dropped_next_loses_nothing(&make().await).await;
    a_dropped_append_does_not_disturb_the_others(&make().await).await;
    bad_records_are_refused_before_anything_is_kept(&make().await).await;
    large_appends_come_in_order(&make().await).await;
}

#[tokio::test]
async fn memory_conforms() {
    conforms(async || MemoryLog::new(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_conforms() {
    // Small segments, so that everything crosses their borders; once more with the real size, on a real directory.
    conforms(async || {
        let mut options = Options::new(2, 1, Arc::new(|| 5));
        (options.segment_bytes, options.read_bytes_max) = (16 << 10, 4 << 10);
        EmbeddedLog::open(Disk::new().files(), options).unwrap().0
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    conforms(async || {
        let mut options = Options::new(2, 1, Arc::new(|| 5));
        (options.segment_bytes, options.reserve_bytes) = (1 << 20, 4 << 10);
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let files = Directory::open(directory.path().join(format!("new/{number}"))).unwrap();
        EmbeddedLog::open(Arc::new(files), options).unwrap().0
    })
    .await;
}

#[tokio::test]
async fn the_group_moves_partitions_between_readers() {
    let log = MemoryLog::new(2);
    for n in 0..6 {
        log.set_append_ms(100 - i64::from(n));
        log.append(vec![record(n % 2, &n.to_string())]).await.unwrap();
    }
    let (mut first, mut second) = (log.subscribe().unwrap(), log.subscribe().unwrap());
    assert_eq!(read_until_idle(&mut first, &[0, 0]).await.len(), 6);
    assert_eq!(read_until_idle(&mut second, &[]).await, []);

    log.assign(1, 1);
    assert!(matches!(first.next_move().await.unwrap(), Signal::Revoked { partition: 1 }));
    assert!(matches!(first.begin(1, 0), Err(Error::Setting(_))));
    // Redelivery: the new owner begins where its state says, before what the old one had read.
    assert_eq!(of(&read_until_idle(&mut second, &[0, 1]).await, 1), [(1, "3"), (2, "5")]);

    log.assign_behind_back(0, 1);
    log.append(vec![record(0, "6")]).await.unwrap();
    assert_eq!(of(&read_until_idle(&mut first, &[]).await, 0), [(3, "6")]);
    assert_eq!(of(&read_until_idle(&mut second, &[2, 0]).await, 0), [(2, "4"), (3, "6")]);

    drop(second);
    log.rebalance();
    assert_eq!(read_until_idle(&mut first, &[4, 2]).await, [(1, 2, "5".to_owned())]);
}

#[tokio::test]
async fn the_log_in_memory_fails_as_told() {
    let log = MemoryLog::new(1);
    log.fail_next(Fault::Refused);
    log.fail_next(Fault::AnswerLost);
    assert!(log.append(vec![record(0, "refused")]).await.unwrap_err().is_retryable());
    let lost = log.append(vec![record(0, "kept")]).await.unwrap_err();
    assert!(matches!(lost, Error::Unknown(_)) && !lost.is_retryable(), "{lost}");
    assert_eq!(log.append(vec![record(0, "answered")]).await.unwrap(), [1]);
    let mut reader = log.subscribe().unwrap();
    assert!(matches!(next(&mut reader).await.unwrap(), Signal::Assigned { partition: 0 }));
    log.release(0, 1);
    log.drop_released(0);
    assert!(matches!(reader.begin(0, 0), Err(Error::OutOfRange { first: 1, end: 2, .. })));
    assert_eq!(log.held().await.unwrap(), [Held { first: 1, end: 2 }]);
    log.poison("a test");
    assert!(matches!(next(&mut reader).await, Err(Error::Poisoned(_))));
    assert!(matches!(log.append(vec![record(0, "late")]).await, Err(Error::Poisoned(_))));
}
