//! What is no cell: each value that the fold never writes is refused by its name, and what lies just beside it is read.

use prost::Message;
use schemas::wire::cells as wire;

use super::*;

/// Three texts at most are known: numbers 0 (empty), 1 and 2.
fn texts() -> Vec<Bytes> {
    vec![Bytes::from_static(b"shop"), Bytes::from_static(b"node")]
}

/// Reads a cell with something changed; answers the field and value that are refused.
fn refused<M: Message + Clone>(kind: CellKind, good: &M, change: impl Fn(&mut M)) -> Option<(&'static str, u64)> {
    let mut cell = good.clone();
    change(&mut cell);
    match Cell::decode(kind, &cell.encode_to_vec()) {
        Ok(read) => {
            assert_eq!(read.encode(), cell.encode_to_vec(), "{kind:?} is written as it was read");
            None
        }
        Err(CellError::Value { field, value, .. }) => Some((field, value)),
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn a_usage_cell_that_the_fold_never_writes_is_refused() {
    // Texts 2 and 1 as variations are 4 and 2.
    let pair = wire::UsagePair { variation: 4, minutes: 0b101, count: vec![1, 2], ..Default::default() };
    let row = wire::UsageRow { variation: 2, application: 1, sdk: 2, sdk_version: 0, other: false, count: 3 };
    let good =
        wire::Usage { texts: texts(), pairs: vec![pair], rows: vec![row], reason: vec![1], reason_number: vec![5] };
    let refused = |change: fn(&mut wire::Usage)| refused(CellKind::Usage, &good, change);
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|cell| cell.pairs[0].minutes = 1 << 59 | 1), None);
    assert_eq!(refused(|cell| cell.pairs[0].minutes = 1 << 60 | 1), Some(("minutes", 1 << 60 | 1)));
    assert_eq!(refused(|cell| cell.pairs[0].minutes = 0b111), Some(("minutes", 0b111)));
    assert_eq!(refused(|cell| cell.pairs[0].minutes = 0b100), Some(("minutes", 0b100)));
    assert_eq!(refused(|cell| cell.pairs[0].variation = 5), None, "an index, however high");
    assert_eq!(refused(|cell| cell.pairs[0].variation = 6), Some(("variation", 3)));
    assert_eq!(refused(|cell| cell.pairs[0].variation = (1 << 33) - 1), None, "the highest index");
    assert_eq!(refused(|cell| cell.pairs[0].variation = (1 << 33) + 1), Some(("variation", (1 << 33) + 1)));
    assert_eq!(refused(|cell| cell.rows[0].variation = 6), Some(("variation", 3)));
    assert_eq!(refused(|cell| cell.rows[0].application = 3), Some(("application", 3)));
    assert_eq!(refused(|cell| cell.rows[0].sdk = 3), Some(("sdk", 3)));
    assert_eq!(refused(|cell| cell.rows[0].sdk_version = 3), Some(("sdk_version", 3)));
    assert_eq!(refused(|cell| cell.reason_number.clear()), Some(("reason_number", 0)));
    assert_eq!(refused(|cell| cell.reason_number.push(1)), Some(("reason_number", 2)));
}

#[test]
fn a_last_seen_cell_that_the_fold_never_writes_is_refused() {
    let row = wire::LastSeenRow { variation: 2, application: 1, application_version: 2, sdk: 2, ..Default::default() };
    let good = wire::LastSeen {
        texts: texts(),
        rows: vec![row],
        values: vec![wire::LastSeenValue { variation: 4, value: Bytes::from_static(b"1"), hour: 7 }],
        version: vec![3, 5],
        version_since: vec![8, 9],
        days_from: 20,
        days: Bytes::from_static(&[0b1, 0b1]),
        client_side: true,
    };
    let refused = |change: fn(&mut wire::LastSeen)| refused(CellKind::LastSeen, &good, change);
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|cell| cell.rows[0].variation = 6), Some(("variation", 3)));
    assert_eq!(refused(|cell| cell.rows[0].application = 3), Some(("application", 3)));
    assert_eq!(refused(|cell| cell.rows[0].application_version = 3), Some(("application_version", 3)));
    assert_eq!(refused(|cell| cell.rows[0].sdk = 3), Some(("sdk", 3)));
    assert_eq!(refused(|cell| cell.rows[0].sdk_version = 3), Some(("sdk_version", 3)));
    assert_eq!(refused(|cell| cell.values[0].variation = 6), Some(("variation", 3)));
    assert_eq!(refused(|cell| cell.version_since.truncate(1)), Some(("version_since's length", 1)));
    assert_eq!(refused(|cell| cell.version = vec![5, 3]), Some(("version_since's length", 2)));
    assert_eq!(refused(|cell| cell.days = Bytes::from_static(&[0b10])), Some(("days_from", 20)));
    // The last of 400 days and the one after it, 50 bytes on.
    let bits = |last: u8| Bytes::from([&[1; 50][..], &[last]].concat());
    let cell = wire::LastSeen { days: bits(0), ..good.clone() };
    assert!(LastSeen::decode(&cell.encode_to_vec()).is_ok());
    assert_eq!(refused(|cell| cell.days = Bytes::from([&[1; 50][..], &[1]].concat())), Some(("days_from", 20)));
}

#[test]
fn books_sdks_and_events_that_the_fold_never_writes_are_refused() {
    let good = wire::Books { reason: vec![1, 13], reason_number: vec![5, 6], ..Default::default() };
    let books = |change: fn(&mut wire::Books)| refused(CellKind::Books, &good, change);
    assert_eq!(books(|_| {}), None);
    assert_eq!(books(|cell| cell.reason_number.truncate(1)), Some(("reason_number's length", 1)));
    assert_eq!(books(|cell| cell.reason[1] = 14), Some(("reason", 14)));

    let instances = Bytes::from(vec![1; 32]);
    let row = wire::SdkRow { application: 1, sdk: 2, hours: 1, instances, ..Default::default() };
    let good = wire::Sdks { texts: texts(), rows: vec![row] };
    let sdks = |change: fn(&mut wire::Sdks)| refused(CellKind::Sdks, &good, change);
    assert_eq!(sdks(|_| {}), None);
    assert_eq!(sdks(|cell| cell.rows[0].instances.clear()), None);
    assert_eq!(sdks(|cell| cell.rows[0].instances.truncate(31)), Some(("instances' length", 31)));
    assert_eq!(sdks(|cell| cell.rows[0].application = 3), Some(("application", 3)));
    assert_eq!(sdks(|cell| cell.rows[0].sdk = 3), Some(("sdk", 3)));
    assert_eq!(sdks(|cell| cell.rows[0].sdk_version = 3), Some(("sdk_version", 3)));

    let good = wire::Events { count: 2, metric_count: 1, metric_sum: Bytes::from(vec![7; 16]), gated: 1 };
    let events = |change: fn(&mut wire::Events)| refused(CellKind::Events, &good, change);
    assert_eq!(events(|_| {}), None);
    assert_eq!(events(|cell| cell.metric_sum.clear()), None);
    assert_eq!(events(|cell| cell.metric_sum.truncate(15)), Some(("metric_sum's length", 15)));
}

#[test]
fn old_path_and_migration_cells_that_the_fold_never_writes_are_refused() {
    let row = wire::OldPathRow { variation: 4, fate: vec![1, 13], number: vec![5, 6], ..Default::default() };
    let good = wire::OldPath { texts: texts(), rows: vec![row] };
    for kind in [CellKind::OldPath, CellKind::OldPathEvents] {
        let old_path = |change: fn(&mut wire::OldPath)| refused(kind, &good, change);
        assert_eq!(old_path(|_| {}), None);
        assert_eq!(old_path(|cell| cell.rows[0].variation = 6), Some(("variation", 3)));
        assert_eq!(old_path(|cell| cell.rows[0].number.truncate(1)), Some(("number's length", 1)));
        assert_eq!(old_path(|cell| cell.rows[0].fate[0] = 0), Some(("fate", 0)));
        assert_eq!(old_path(|cell| cell.rows[0].fate[1] = 14), Some(("fate", 14)));
        assert_eq!(old_path(|cell| cell.rows[0].fate[1] = 1), Some(("fate", 1)));
    }
    let side = wire::MigrationSide { latency_gap: vec![0, 1_023], latency_number: vec![1, 2], ..Default::default() };
    let good = wire::Migration { operations: 3, old: Some(side), ..Default::default() };
    let migration = |change: fn(&mut wire::MigrationSide)| {
        refused(CellKind::Migration, &good, |cell: &mut wire::Migration| change(cell.old.as_mut().unwrap()))
    };
    assert_eq!(migration(|_| {}), None);
    assert_eq!(migration(|side| side.latency_number.truncate(1)), Some(("latency_number's length", 1)));
    assert_eq!(migration(|side| side.latency_gap[1] = 1_024), Some(("latency_gap", 1_024)));
    assert_eq!(migration(|side| side.latency_gap[1] = u32::MAX), Some(("latency_gap", u64::from(u32::MAX))));
    assert_eq!(migration(|side| side.latency_gap[1] = 0), Some(("latency_gap", 0)));
    assert_eq!(migration(|side| side.latency_number[1] = 0), Some(("latency_number", 0)));
}

#[test]
fn an_experiment_cell_that_the_fold_never_writes_is_refused() {
    let sums = wire::ExperimentSums { metric: 19, n: -1, sum: Bytes::from_static(b"\x00\x80"), ..Default::default() };
    let arm = wire::ExperimentArm { arm: 9, units: -1, metrics: vec![sums.clone()], ..Default::default() };
    let good = wire::Experiment { multiple: -1, arms: vec![arm.clone()], late: 1, ..Default::default() };
    let arms = |change: fn(&mut wire::ExperimentArm)| {
        refused(CellKind::Experiment, &good, |cell: &mut wire::Experiment| change(&mut cell.arms[0]))
    };
    assert_eq!(arms(|_| {}), None);
    assert_eq!(arms(|arm| arm.arm = 10), Some(("arm", 10)));
    assert_eq!(arms(|arm| arm.metrics[0].metric = 20), Some(("metric", 20)));
    assert_eq!(arms(|arm| (arm.units, arm.metrics) = (0, vec![])), Some(("arm without numbers", 9)));
    assert_eq!(arms(|arm| arm.metrics[0] = wire::ExperimentSums::default()), Some(("metric without numbers", 0)));
    let two = wire::Experiment { arms: vec![arm.clone(), arm.clone()], ..good.clone() };
    assert_eq!(refused(CellKind::Experiment, &two, |_| {}), Some(("arm", 9)));
    let two = wire::ExperimentArm { metrics: vec![sums.clone(), sums], ..arm };
    let two = wire::Experiment { arms: vec![two], ..good.clone() };
    assert_eq!(refused(CellKind::Experiment, &two, |_| {}), Some(("metric", 19)));
    let sum = |sum: &'static [u8]| {
        refused(CellKind::Experiment, &good, |cell: &mut wire::Experiment| {
            cell.arms[0].metrics[0].sum = Bytes::from_static(sum);
        })
    };
    for shortest in [&b""[..], b"\x01", b"\xff", b"\x80", b"\x00\x80", b"\xff\x7f", &[0x7f; 16], &[0x80; 16]] {
        assert_eq!(sum(shortest), None, "{shortest:?}");
    }
    for longer in [&b"\x00"[..], b"\x00\x7f", b"\xff\xff", b"\xff\x80", &[0x7f; 17], &[0x7f; 33]] {
        assert_eq!(sum(longer), Some(("sum's length", longer.len() as u64)), "{longer:?}");
    }
}

#[test]
fn an_experiments_name_tells_what_the_cell_is_about() {
    for slice in [Slice::All, Slice::Value(0, 0), Slice::Value(4, 19), Slice::Other(0), Slice::Other(4)] {
        let name = experiment_name(b"checkout", 7, slice);
        assert_eq!(experiment_of(&name), Some((&b"checkout"[..], 7, slice)));
        assert_eq!(experiment_of(&[&name[..], b"x"].concat()), None);
        assert_eq!(experiment_of(&name[..name.len() - 1]), None);
    }
}

#[test]
fn bytes_of_something_else_are_refused_and_say_of_which_kind() {
    for kind in CellKind::ALL.into_iter().filter(|kind| *kind != CellKind::StandIn) {
        let refused = Cell::decode(kind, b"\xff");
        assert!(matches!(refused, Err(CellError::Decode { .. })), "{kind:?}: {refused:?}");
    }
}
