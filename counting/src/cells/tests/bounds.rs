//! Where counters stop and rows end, to the number.

use prost::Message;
use schemas::wire::cells as wire;

use super::days::Days;
use super::texts::Texts;
use super::*;

/// Which limits a process accepts follows from these numbers: builds that share a generation must agree on them.
#[test]
fn the_bound_of_each_kind_is_the_same_in_every_build() {
    assert_eq!((COUNTER_MAX, BODY_BYTES_MAX), (281_474_976_710_655, 65_520));
    let small = FoldLimits {
        flags_max: 1,
        usage_pairs_max: 10,
        usage_rows_max: 30,
        last_seen_rows_max: 40,
        sdk_rows_max: 50,
        texts_bytes_max: 1_000,
    };
    for (limits, usage, last_seen, sdks, old_path) in
        [(FoldLimits::default(), 64_898, 49_703, 48_861, 27_842), (small, 7_090, 31_375, 4_723, 2_694)]
    {
        use CellKind::{
            Books, Definition, Events, Experiment, LastSeen, Migration, OldPath, OldPathEvents, Sdks, Usage,
        };
        let bounds = [
            (Usage, usage),
            (LastSeen, last_seen),
            (Sdks, sdks),
            (Events, 42),
            (Books, 166),
            (Definition, 65_536),
            (OldPath, old_path),
            (OldPathEvents, old_path),
            (Migration, 16_482),
            (Experiment, 31_317),
        ];
        assert_eq!(bounds.map(|(kind, _)| (kind, bytes_max(kind, &limits))), bounds);
    }
}

/// Of so many counters one after the other is put to where it stops, and to one before.
fn assert_each_saturates<const N: usize>(saturated: impl Fn([u64; N]) -> bool) {
    for which in 0..N {
        let with = |number: u64| std::array::from_fn(|counter| if counter == which { number } else { 1 });
        assert!(saturated(with(COUNTER_MAX)), "counter {which}");
        assert!(!saturated(with(COUNTER_MAX - 1)), "counter {which}");
    }
}

#[test]
fn a_cell_is_saturated_when_any_of_its_counters_has_stopped() {
    assert_each_saturates(|[first, second, gated, row, reason]| {
        let pair = wire::UsagePair { minutes: 0b11, count: vec![first, second], gated, ..Default::default() };
        let row = wire::UsageRow { count: row, ..Default::default() };
        let (reason, reason_number) = (vec![1], vec![reason]);
        let cell = wire::Usage { pairs: vec![pair], rows: vec![row], reason, reason_number, ..Default::default() };
        Usage::decode(&cell.encode_to_vec()).unwrap().saturated()
    });
    assert_each_saturates(|[count, metric_count, gated]| {
        let cell = wire::Events { count, metric_count, gated, ..Default::default() };
        Events::decode(&cell.encode_to_vec()).unwrap().saturated()
    });
    assert_each_saturates(|[counted, new_only, duplicate, late, applied, lost]| {
        let row = wire::OldPathRow { fate: vec![1, 13], number: vec![applied, lost], ..Default::default() };
        let row = wire::OldPathRow { counted, new_only, duplicate, late, ..row };
        let cell = wire::OldPath { rows: vec![wire::OldPathRow::default(), row], ..Default::default() };
        OldPath::decode(&cell.encode_to_vec()).unwrap().saturated()
    });
    assert_each_saturates(|[operations, checked, consistent, invoked, failed, first, second, other_side]| {
        let (latency_gap, latency_number) = (vec![0, 1_023], vec![first, second]);
        let old = Some(wire::MigrationSide { invoked, failed, latency_gap, latency_number });
        let new = Some(wire::MigrationSide { invoked: other_side, ..Default::default() });
        let cell = wire::Migration { operations, checked, consistent, old, new, ..Default::default() };
        Migration::decode(&cell.encode_to_vec()).unwrap().saturated()
    });
    assert_each_saturates(|[diagnostics, dropped_events]| {
        let row = wire::SdkRow { diagnostics, dropped_events, ..Default::default() };
        let cell = wire::Sdks { rows: vec![row], ..Default::default() };
        Sdks::decode(&cell.encode_to_vec()).unwrap().saturated()
    });
    assert_each_saturates(|[accepted, counted, duplicate, late, poison, clamped, without_id, one, another]| {
        let (reason, reason_number) = (vec![1, 2], vec![one, another]);
        let cell =
            wire::Books { accepted, counted, duplicate, late, poison, clamped, without_id, reason, reason_number };
        Books::decode(&cell.encode_to_vec()).unwrap().saturated()
    });
}

#[test]
fn books_balance_when_the_sum_holds_and_only_then() {
    let balanced = |accepted, counted, duplicate, late, poison| {
        let cell = wire::Books { accepted, counted, duplicate, late, poison, ..Default::default() };
        Books::decode(&cell.encode_to_vec()).unwrap().balanced()
    };
    assert!(balanced(15, 1, 2, 4, 8));
    assert!(!balanced(14, 1, 2, 4, 8) && !balanced(16, 1, 2, 4, 8));
}

/// Nothing but the set of days counts, and of it the newest 400: a set says the same.
#[test]
fn days_are_the_newest_four_hundred_whatever_the_order() {
    for seed in 0..seeds(200) {
        let dice = &mut Dice::new(seed);
        let (mut days, mut all) = (Days::default(), BTreeSet::new());
        let (from, span) = (dice.pick(&[0, 1, 15_000]), dice.pick(&[3, 70, 399, 400, 401, 900]));
        for _ in 0..dice.below(80) {
            let day = from + dice.below(span) as u32;
            let newest = all.last().copied().unwrap_or(0).max(day);
            let new = day + DAYS_MAX > newest && all.insert(day);
            all.retain(|day| day + DAYS_MAX > newest);
            assert_eq!(days.add(day), new, "day {day}, seed {seed}");
            assert!(days.iter().eq(all.iter().copied()), "{days:?} are {all:?}, seed {seed}");
            let (from, bytes) = days.encode();
            assert_eq!(bytes.len(), (newest - from) as usize / 8 + 1, "seed {seed}");
            assert_eq!(Days::decode(from, &bytes), Ok(days), "seed {seed}");
        }
    }
    assert_eq!(Days::default().encode(), (0, Vec::new()));
}

#[test]
fn versions_are_the_highest_sixty_four_each_since_its_first_hour() {
    for seed in 0..seeds(100) {
        let dice = &mut Dice::new(seed);
        let (mut cell, mut all) = (LastSeen::default(), std::collections::BTreeMap::<u64, u32>::new());
        for _ in 0..dice.below(300) {
            let (version, hour) = (dice.below(100) as u64, 500_000 + dice.below(50) as u32);
            let before = cell.clone();
            let changed = cell.apply(&LastSeenChange { version: Some(version), ..sight(hour) }, &FoldLimits::default());
            assert_eq!(changed, cell != before, "version {version} at {hour}, seed {seed}");
            let since = all.entry(version).or_insert(hour);
            *since = hour.min(*since);
            if all.len() > VERSIONS_MAX {
                all.pop_first();
            }
            let versions: Vec<_> = all.iter().map(|(version, since)| (*version, *since)).collect();
            assert_eq!(cell.versions().collect::<Vec<_>>(), versions, "seed {seed}");
        }
    }
}

#[test]
fn values_are_of_the_first_hundred_variations_and_at_most_256_bytes() {
    let limits = FoldLimits { last_seen_rows_max: 1_000, texts_bytes_max: 100_000, ..FoldLimits::default() };
    let mut cell = LastSeen::default();
    let long = |bytes: usize| Bytes::from(vec![b'7'; bytes]);
    let mut told = |index: u32, value: &Bytes, hour: u32| {
        let change = LastSeenChange { variation: StoredVariation::Index(index), value: Some(value), ..sight(hour) };
        cell.apply(&sight_of(index, hour), &limits);
        cell.apply(&change, &limits)
    };
    assert!(!told(0, &long(257), 5) && told(0, &long(256), 5) && !told(0, &long(256), 5));
    assert!(told(0, &long(1), 5), "another value in the same hour");
    assert!(told(0, &long(1), 6) && !told(0, &long(2), 5), "an older one");
    for index in 1..100 {
        assert!(told(index, &long(1), 6), "value {index}");
    }
    assert!(!told(100, &long(1), 6));
    assert!(told(99, &long(2), 6));
    let told: Vec<_> = cell.values().map(|value| (value.variation, value.value.len(), value.hour)).collect();
    let expected = (0..100).map(|index| (StoredVariation::Index(index), if index == 99 { 2 } else { 1 }, 6));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

/// Each flag's own: whether a client-side SDK asked, and of two values the later, in one hour the greater.
#[test]
fn of_two_cells_the_later_value_is_kept_and_both_marks_count() {
    let cell = |value: &'static str, hour: u32, client_side: bool| {
        let (mut cell, value) = (LastSeen::default(), Bytes::from_static(value.as_bytes()));
        let change = LastSeenChange { value: Some(&value), client_side, ..sight(hour) };
        assert!(cell.apply(&change, &FoldLimits::default()));
        cell
    };
    let merged = |mut left: LastSeen, right: LastSeen| {
        left.merge(&right);
        let values: Vec<_> = left.values().map(|value| (value.value.to_vec(), value.hour)).collect();
        (values, left.client_side())
    };
    let told = |value: &str, hour: u32| vec![(value.as_bytes().to_vec(), hour)];
    for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
        let any = left || right;
        assert_eq!(merged(cell("9", 5, left), cell("1", 6, right)), (told("1", 6), any));
        assert_eq!(merged(cell("1", 6, left), cell("9", 5, right)), (told("1", 6), any));
        assert_eq!(merged(cell("1", 6, left), cell("9", 6, right)), (told("9", 6), any));
    }
    let mut seen = cell("1", 6, false);
    let again = |client_side| LastSeenChange { client_side, ..sight(6) };
    let mut apply = |client_side| seen.apply(&again(client_side), &FoldLimits::default());
    assert_eq!([apply(false), apply(true), apply(true), apply(false)], [false, true, false, false]);
    assert!(seen.client_side(), "a mark once set stays");
}

#[test]
fn a_row_that_was_seen_twice_keeps_both_hours_in_every_sum() {
    let of = |hours: &[u32]| {
        let mut cell = LastSeen::default();
        for hour in hours {
            cell.apply(&sight(*hour), &FoldLimits::default());
        }
        cell
    };
    for (left, right) in
        [(&[][..], &[5, 9][..]), (&[5, 9], &[]), (&[7], &[5, 9]), (&[5], &[9]), (&[9], &[5]), (&[5, 9], &[6])]
    {
        let mut sum = of(left);
        sum.merge(&of(right));
        let rows: Vec<_> = sum.rows().map(|row| (row.first, row.last)).collect();
        assert_eq!(rows, [(5, 9)], "{left:?} and {right:?}");
    }
}

fn sight_of(index: u32, hour: u32) -> LastSeenChange<'static> {
    LastSeenChange { variation: StoredVariation::Index(index), ..sight(hour) }
}

/// Each bit is an instance: n of 256 set are estimated as 256 · ln(256 / (256 − n)), up to 252.
#[test]
fn every_instance_has_a_bit_of_its_own() {
    let mut cell = Sdks::default();
    let mut report = |instance: Option<u32>, hour: u32| {
        let (application, sdk, sdk_version) = (&b"a"[..], &b""[..], &b""[..]);
        let (diagnostics, dropped_events) = (0, 0);
        let change = SdkChange { application, sdk, sdk_version, hour, instance, diagnostics, dropped_events };
        let changed = cell.apply(&change, &FoldLimits::default());
        let row = cell.rows().next().unwrap();
        (changed, row.instances, row.hours)
    };
    assert_eq!(report(None, 3), (true, Some(0.0), 0b1000));
    assert_eq!(report(None, 3), (false, Some(0.0), 0b1000));
    for instance in 0..256 {
        let set = f64::from(instance + 1);
        let estimate = (instance < 252).then(|| 256.0 * (256.0 / (256.0 - set)).ln());
        let (changed, found, _) = report(Some(instance), 3);
        assert!(changed, "instance {instance}");
        assert_eq!(found.is_some(), estimate.is_some(), "instance {instance}");
        assert!((found.unwrap_or(0.0) - estimate.unwrap_or(0.0)).abs() < 1e-9, "instance {instance}: {found:?}");
        assert!(!report(Some(instance), 3).0, "instance {instance} again");
    }
    assert_eq!(report(None, 23).2, 1 << 23 | 0b1000);
    assert_eq!(report(None, 24), (false, None, 1 << 23 | 0b1000), "no hour but the last");
}

#[test]
fn sdks_beyond_the_limit_are_one_row_and_an_instance_in_two_cells_is_one() {
    let limits = FoldLimits { sdk_rows_max: 2, ..FoldLimits::default() };
    let mut cell = Sdks::default();
    for (number, sdk) in (0..).zip([&b"a"[..], b"b", b"c", b"d", b"b", b"c"]) {
        let (application, sdk_version, instance) = (&b""[..], &b""[..], Some(number));
        let (hour, diagnostics, dropped_events) = (number, 1, 10);
        let change = SdkChange { application, sdk, sdk_version, hour, instance, diagnostics, dropped_events };
        assert!(cell.apply(&change, &limits));
    }
    let told = |cell: &Sdks| -> Vec<_> {
        let row = |row: SdkRow<'_>| {
            (row.other, row.sdk.to_vec(), row.hours, row.instances, row.diagnostics, row.dropped_events)
        };
        cell.rows().map(row).collect()
    };
    let estimate = |set: f64| Some(256.0 * (256.0_f64 / (256.0 - set)).ln());
    let row = |other, sdk: &[u8], hours, set, times: u64, reports| {
        (other, sdk.to_vec(), hours, estimate(set), times * reports, times * reports * 10)
    };
    let expected = |times| {
        let named = [row(false, b"a", 0b1, 1.0, times, 1), row(false, b"b", 0b1_0010, 2.0, times, 2)];
        [&named[..], &[row(true, b"", 0b10_1100, 3.0, times, 3)]].concat()
    };
    assert_eq!(told(&cell), expected(1));
    let mut twice = cell.clone();
    twice.merge(&cell);
    assert_eq!(told(&twice), expected(2));
}

#[test]
fn events_are_counted_with_their_sampling_with_a_value_and_without() {
    let mut cell = Events::default();
    for (sampling, value) in [(3, Some(7)), (2, None), (1, Some(-1)), (1, Some(0))] {
        assert!(cell.apply(&EventChange { sampling, value, gated: value.is_none() }));
    }
    assert!(!cell.apply(&EventChange { sampling: 0, value: Some(5), gated: false }));
    assert_eq!((cell.count(), cell.metric_count(), cell.metric_sum()), (7, 5, 20));
    let mut twice = Events::decode(&cell.encode()).unwrap();
    twice.merge(&cell);
    assert_eq!((twice.count(), twice.metric_count(), twice.metric_sum()), (14, 10, 40));
    assert_eq!((cell.gated(), twice.gated()), (2, 4));
}

/// A text costs its bytes and four more; one that is there already, or is told twice at once, costs nothing.
#[test]
fn texts_fill_their_budget_to_the_byte() {
    for (budget, admitted) in [(12, false), (13, true)] {
        let mut texts = Texts::new(vec![Bytes::from_static(b"abc")]);
        assert_eq!(texts.admit(&[b"de", b"abc", b"", b"de"], budget), admitted, "{budget} bytes");
        assert_eq!([&b"abc"[..], b"de", b""].map(|text| texts.find(text)), [Some(1), admitted.then_some(2), Some(0)]);
        assert!(texts.admit(&[b"abc", b""], 7), "nothing new needs room");
    }
    assert!(Texts::default().admit(&[], 0));
}

#[test]
fn minutes_stand_in_their_order_and_the_last_takes_what_lies_beyond() {
    let mut cell = Usage::default();
    for (minute, count) in [(59, 1), (0, 2), (30, 4), (31, 8), (0, 16), (59, 32), (75, 64), (58, 128)] {
        let change = UsageChange {
            variation: StoredVariation::Index(0),
            version: Some(4),
            minute,
            count,
            estimated: minute == 30,
            gated: minute == 31,
            application: b"",
            sdk: b"",
            sdk_version: b"",
        };
        assert!(cell.apply(&change, &FoldLimits::default()));
    }
    let counts: Vec<_> = cell.counts().map(|count| (count.minute, count.count)).collect();
    assert_eq!(counts, [(0, 18), (30, 4), (31, 8), (58, 128), (59, 97)]);
    assert_eq!(cell.rows().map(|row| row.count).collect::<Vec<_>>(), [255]);
    assert_eq!(cell.pairs().map(|pair| (pair.count, pair.gated)).collect::<Vec<_>>(), [(255, 8)]);
    assert!(cell.counts().all(|count| count.version == Some(4) && count.estimated), "one of them was estimated");
}

#[test]
fn reasons_are_numbered_in_order_and_unknown_ones_share_a_row() {
    let mut cell = Usage::default();
    for (reason, number) in [(6, 1), (1, 2), (99, 4), (6, 8), (14, 16), (13, 32)] {
        assert!(cell.apply_reason(reason, number), "{number} of {reason}");
    }
    assert!(!cell.apply_reason(6, 0));
    let expected = [(Reason::Off, 2), (Reason::FlagNotFound, 9), (Reason::Other, 52)];
    assert_eq!(cell.reasons().collect::<Vec<_>>(), expected);
    let mut twice = cell.clone();
    twice.merge(&cell);
    assert_eq!(twice.reasons().collect::<Vec<_>>(), expected.map(|(reason, number)| (reason, number * 2)));
}

#[test]
fn a_usage_cell_whose_counters_have_stopped_still_says_when_something_else_changes() {
    let mut cell = Usage::default();
    let mut apply = |estimated| {
        let (variation, version, minute, count) = (StoredVariation::Default, None, 0, u64::MAX);
        let (application, sdk, sdk_version) = (&b""[..], &b""[..], &b""[..]);
        let change =
            UsageChange { variation, version, minute, count, estimated, gated: false, application, sdk, sdk_version };
        cell.apply(&change, &FoldLimits::default())
    };
    assert_eq!([apply(false), apply(false), apply(true), apply(true)], [true, false, true, false]);
}
