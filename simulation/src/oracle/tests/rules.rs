//! Small logs worked out by hand, a rule each.

use bytes::Bytes;
use prost::Message;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::event::{Count, Credential, Payload, PayloadId, Variation};
use schemas::stored::StoredCell;
use schemas::wire::cells as wire;

use super::super::{Fact, Facts, Oracle, Reads, complete};
use super::logs::{self, DAY, HOUR, Logs, NOON, one_count};
use super::{folded, quiet_wanted_panics};

/// A log of one partition that remembers `dedupe_records` records.
fn one_partition(dedupe_records: u64) -> Logs {
    Logs::new(logs::small(1, dedupe_records))
}

/// The oracle after the whole log of a partition; the worker's cells are held against it on the way.
pub(super) fn oracle(logs: &Logs, partition: u32) -> Oracle {
    quiet_wanted_panics();
    let log = &logs.partitions[partition as usize];
    let mut oracle = Oracle::new(&logs.generation, partition);
    log.iter().for_each(|logged| oracle.push(logged));
    let store = folded(&logs.generation, partition, &[log]).remove(0);
    assert!(oracle.keys(u64::MAX).eq(store.keys()));
    for (key, stored) in &store {
        oracle.check(key, stored, oracle.position()).unwrap();
    }
    oracle
}

pub(super) fn key(kind: CellKind, name: Option<&'static str>, window: i64) -> CellKey {
    CellKey {
        generation: 7,
        partition: 0,
        kind,
        environment: logs::environment("dev"),
        name: name.map_or(CellName::None, |name| CellName::Key(name.into())),
        window: u32::try_from(window).unwrap(),
    }
}

fn books() -> CellKey {
    key(CellKind::Books, None, NOON / DAY)
}

/// The facts of a cell after the whole log, as text.
pub(super) fn says(oracle: &Oracle, key: &CellKey) -> Vec<String> {
    let facts = oracle.at(key, oracle.position()).unwrap_or_else(|| panic!("no cell {key:?}"));
    facts.iter().map(|(fact, number)| format!("{fact} = {number}")).collect()
}

fn number(facts: &Facts, what: &'static str) -> i128 {
    facts.get(&Fact::of(what)).unwrap_or(0)
}

fn counted_and_duplicate(logs: &Logs) -> (i128, i128) {
    let oracle = oracle(logs, 0);
    let facts = oracle.at(&books(), oracle.position()).unwrap();
    (number(facts, "counted"), number(facts, "duplicate"))
}

fn index(of: u32) -> Variation<'static> {
    Variation::Index(of)
}

#[test]
fn a_copy_is_known_n_records_later_and_not_one_more() {
    for (between, expected) in [(0, (1, 1)), (3, (4, 1)), (4, (6, 0))] {
        // N = 4: with three records between, the copy is the fourth after the first.
        let mut logs = one_partition(4);
        logs.payload(&one_count("first", "a", index(0)), NOON);
        (0..between).for_each(|n| logs.payload(&one_count(&format!("{n}"), "a", index(0)), NOON));
        logs.payload(&one_count("first", "a", index(0)), NOON);
        assert_eq!(counted_and_duplicate(&logs), expected, "{between} between");
    }
}

#[test]
fn a_copy_renews_the_memory_though_it_is_not_counted() {
    let mut logs = one_partition(2);
    for _ in 0..3 {
        logs.payload(&one_count("first", "a", index(0)), NOON);
        logs.payload(&Payload { id: None, ..logs::empty("") }, NOON);
    }
    assert_eq!(counted_and_duplicate(&logs), (1, 2));
}

#[test]
fn poison_is_booked_once_and_remembered() {
    let mut logs = one_partition(8);
    logs.payload(&one_count("bad!", "a", index(0)), NOON);
    logs.payload(&one_count("bad!", "a", index(0)), NOON);
    let oracle = oracle(&logs, 0);
    assert_eq!(says(&oracle, &books()), ["accepted 0 = 2", "duplicate 0 = 1", "poison 0 = 1"]);
    assert_eq!(oracle.poisoned().iter().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(oracle.keys(u64::MAX).count(), 1);
}

#[test]
fn the_first_rows_stay_and_the_other_row_takes_the_rest() {
    let mut logs = one_partition(8);
    // Two pairs and three rows have a place.
    for (n, variation) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 0)] {
        logs.payload(&one_count(&format!("{n}"), "a", index(variation)), NOON);
    }
    let oracle = oracle(&logs, 0);
    let expected = [
        "asked 0 of #0'''''' = 2",
        "asked 0 of #1'''''' = 1",
        "asked 0 of #2'''''' = 1",
        "asked 0 of (other) = 1",
        "minute 0 of #0 = 2",
        "minute 0 of #1 = 1",
        "minute 0 of (other) = 2",
        "pair 0 of #0 = 0",
        "pair 0 of #1 = 1",
        "pair 0 of (other) = 2",
        "row 0 of #0'''''' = 0",
        "row 0 of #1'''''' = 1",
        "row 0 of #2'''''' = 2",
        "row 0 of (other) = 3",
    ];
    assert_eq!(says(&oracle, &key(CellKind::Usage, Some("a"), NOON / HOUR)), expected);
}

#[test]
fn beyond_the_first_flags_all_share_one_cell() {
    let mut logs = one_partition(8);
    for (n, flag) in ["a", "b", "c", "d", "a", "e"].into_iter().enumerate() {
        logs.payload(&one_count(&format!("{n}"), flag, index(0)), NOON);
    }
    let oracle = oracle(&logs, 0);
    let other = CellKey { name: CellName::Other, ..key(CellKind::Usage, None, NOON / HOUR) };
    let counts = |key: &CellKey| says(&oracle, key).into_iter().find(|fact| fact.starts_with("asked"));
    assert_eq!(counts(&other).unwrap(), "asked 0 of #0'''''' = 2");
    assert_eq!(counts(&key(CellKind::Usage, Some("a"), NOON / HOUR)).unwrap(), "asked 0 of #0'''''' = 2");
    assert_eq!(oracle.keys(u64::MAX).filter(|key| key.kind == CellKind::Usage).count(), 4);
}

#[test]
fn a_row_whose_names_do_not_fit_the_budget_is_of_the_other_row() {
    let mut logs = one_partition(8);
    // 24 bytes: a name of 8 and one of 8, with 4 each, are exactly that; a ninth byte is too much.
    for (n, names) in [("1", ["12345678", "123456789"]), ("2", ["12345678", "87654321"]), ("3", ["x", ""])] {
        let mut payload = one_count(n, "a", index(0));
        payload.origin.application = names[0].into();
        payload.origin.sdk = names[1].into();
        logs.payload(&payload, NOON);
    }
    let oracle = oracle(&logs, 0);
    let expected = [
        "asked 0 of #0'12345678''87654321''' = 1",
        "asked 0 of (other) = 2",
        "minute 0 of #0 = 3",
        "pair 0 of #0 = 0",
        "row 0 of #0'12345678''87654321''' = 1",
        "row 0 of (other) = 0",
        "text 0 of 12345678 = 0",
        "text 0 of 87654321 = 1",
    ];
    assert_eq!(says(&oracle, &key(CellKind::Usage, Some("a"), NOON / HOUR)), expected);
}

#[test]
fn the_newest_value_is_told_and_of_callers_defaults_the_first_of_an_hour() {
    let mut logs = one_partition(100);
    let tell = |logs: &mut Logs, variation: Variation<'static>, value, time_ms| {
        let mut payload = one_count(&format!("{}", logs.partitions[0].len()), "a", variation);
        payload.counts[0].value = Some(value);
        payload.elements[0].time_ms = Some(time_ms);
        logs.payload(&payload, NOON + HOUR);
    };
    tell(&mut logs, index(0), "1", NOON);
    tell(&mut logs, index(0), "2", NOON);
    tell(&mut logs, index(0), "3", NOON - HOUR);
    tell(&mut logs, Variation::Default, "1", NOON);
    tell(&mut logs, Variation::Default, "2", NOON);
    let oracle = oracle(&logs, 0);
    let said = says(&oracle, &key(CellKind::LastSeen, Some("a"), 0));
    let values: Vec<&String> = said.iter().filter(|fact| fact.starts_with("value 0")).collect();
    assert_eq!(values, ["value 0 of #0 = 2 = 1", "value 0 of default = 1 = 1"]);
}

#[test]
fn a_read_of_nearly_all_flags_has_a_row_of_its_own_and_is_no_day_of_use() {
    let mut generation = logs::small(1, 100);
    generation.fold.flags_max = 5;
    let mut logs = Logs::new(generation);
    let tell = |logs: &mut Logs, credential, flags: &[(&'static str, u64)], time_ms| {
        let mut payload = one_count(&logs.partitions[0].len().to_string(), "", index(0));
        payload.origin.credential = credential;
        let row = payload.counts.remove(0);
        let rows = flags.iter().map(|(flag, count)| Count { flag: (*flag).into(), count: *count, ..row.clone() });
        payload.counts.extend(rows);
        payload.elements[0].time_ms = Some(time_ms);
        logs.payload(&payload, NOON);
    };
    let ago = |hours: i64| NOON - HOUR * hours;
    let four = [("a", 2), ("b", 1), ("c", 2), ("d", 1)];
    tell(&mut logs, Credential::Mobile, &four, ago(50));
    // Five are known from here on; what is beyond the limit does not matter.
    tell(&mut logs, Credential::ClientSide, &[("e", 1), ("f", 99)], ago(49));
    tell(&mut logs, Credential::Mobile, &four, ago(48));
    tell(&mut logs, Credential::ClientSide, &[four[0], four[1], four[2], four[3], ("g", 99)], ago(24));
    tell(&mut logs, Credential::Server, &four, ago(23));
    tell(&mut logs, Credential::Mobile, &four[..3], ago(22));
    tell(&mut logs, Credential::Mobile, &[("a", 3), ("b", 1), ("c", 2), ("d", 1)], ago(21));
    let oracle = oracle(&logs, 0);
    let hour = |ago: i64| NOON / HOUR - ago;
    let day = |ago: i64| hour(ago) / 24;
    let expected = [
        "client side 0 = 1".to_owned(),
        format!("day {} = 1", day(50)),
        format!("day {} = 1", day(21)),
        format!("first 0 of #0'''''''' = {}", hour(50)),
        format!("first 0 of #0/2'''''''' = {}", hour(48)),
        format!("last 0 of #0'''''''' = {}", hour(21)),
        format!("last 0 of #0/2'''''''' = {}", hour(24)),
        "row 0 of #0'''''''' = 0".to_owned(),
        "row 0 of #0/2'''''''' = 1".to_owned(),
    ];
    assert_eq!(says(&oracle, &key(CellKind::LastSeen, Some("a"), 0)), expected);
    assert_eq!(oracle.reads(), Reads { bulk: 2, too_few: 1, unequal: 1, others: 1 });
}

#[test]
fn a_definition_has_its_offset_for_a_version_in_partition_0_and_brings_one_elsewhere() {
    let mut logs = Logs::new(logs::small(2, 8));
    logs.define(0, 1, 0, "one", NOON);
    logs.define(0, 1, 0, "two", NOON);
    logs.define(0, 1, 9, "numbered", NOON);
    logs.define(0, 256, 0, "no kind", NOON);
    let first = oracle(&logs, 0);
    let cell = key(CellKind::Definition, Some("\u{1}x"), 0);
    assert_eq!(says(&first, &cell), ["body 0 of two = 1", "version 0 = 3"]);
    assert_eq!(first.poisoned().iter().copied().collect::<Vec<_>>(), [3, 4]);
    assert_eq!((0..=5).map(|n| first.definition_version(n)).collect::<Vec<_>>(), [0, 0, 2, 3, 3, 3]);

    logs.define(1, 1, 3, "two", NOON);
    logs.define(1, 1, 2, "one", NOON);
    logs.define(1, 1, 0, "without", NOON);
    let second = oracle(&logs, 1);
    assert_eq!(second.keys(u64::MAX).count(), 0);
    assert_eq!(second.poisoned().iter().copied().collect::<Vec<_>>(), [3]);
    assert_eq!((0..=4).map(|n| second.definition_version(n)).collect::<Vec<_>>(), [0, 0, 3, 3, 3]);
}

#[test]
fn log_time_is_the_highest_so_far_of_append_and_receipt() {
    let mut logs = one_partition(8);
    let at = |logs: &mut Logs, received, append_ms| {
        let records = logs.records(&logs::environment("dev"), &logs::empty("x"), received, |_| false, 1 << 20);
        for record in records {
            logs.append(record, append_ms);
        }
    };
    at(&mut logs, NOON, NOON + 1);
    at(&mut logs, NOON, NOON - 5);
    at(&mut logs, NOON, NOON + HOUR);
    let oracle = oracle(&logs, 0);
    let times: Vec<i64> = (1..=4).map(|n| oracle.log_time_ms(n) - NOON).collect();
    assert_eq!(times[1..], [1, 1, 300_000]);
}

/// Books as they lie in a store.
fn stored(h: u64, accepted: u64, counted: u64) -> StoredCell {
    let books = wire::Books { accepted, counted, ..wire::Books::default() };
    StoredCell { h, value: Bytes::from(books.encode_to_vec()) }
}

#[test]
fn a_stored_cell_is_right_with_the_h_of_the_last_record_that_changed_it_and_no_other() {
    let mut logs = one_partition(8);
    logs.payload(&one_count("1", "a", index(0)), NOON);
    logs.define(0, 1, 0, "", NOON);
    logs.payload(&one_count("2", "a", index(0)), NOON);
    logs.define(0, 1, 0, "", NOON);
    let oracle = oracle(&logs, 0);
    let check = |cell: &StoredCell, checkpoint| oracle.check(&books(), cell, checkpoint);
    for (h, accepted, checkpoint) in [(1, 1, 0), (1, 1, 3), (3, 2, 0), (3, 2, 4), (3, 2, 5)] {
        check(&stored(h, accepted, accepted), checkpoint).unwrap();
    }
    let wrong = |h, accepted, checkpoint, says: &str| {
        let what = check(&stored(h, accepted, accepted), checkpoint).unwrap_err();
        assert!(what.contains(says), "{what}");
    };
    wrong(2, 1, 0, "the record that changed it last is at 1");
    wrong(4, 2, 0, "the record that changed it last is at 3");
    wrong(1, 1, 4, "accepted 0: found 1, expected 2\n  counted 0: found 1, expected 2");
    wrong(3, 1, 0, "accepted 0: found 1, expected 2");
    wrong(0, 0, 0, "no record up to there");
    wrong(5, 2, 0, "the log has 5 records");
    let what = check(&stored(3, 2, 1), 0).unwrap_err();
    assert!(what.contains("do not balance"), "{what}");
    let what = check(&StoredCell { h: 3, value: Bytes::from_static(b"\xff") }, 0).unwrap_err();
    assert!(what.contains("cannot be read"), "{what}");
}

#[test]
fn an_id_is_known_again_in_its_environment_as_its_kind_and_part_alone() {
    let mut logs = one_partition(8);
    let sent = one_count("same", "a", index(0));
    let diagnostic = Payload { id: Some(PayloadId::Diagnostic(b"same".to_vec())), ..sent.clone() };
    logs.payload(&sent, NOON);
    logs.payload(&diagnostic, NOON);
    let other = logs::environment("prod");
    for append in logs.records(&other, &sent, NOON, |_| false, 100_000) {
        logs.append(append, NOON);
    }
    assert_eq!(counted_and_duplicate(&logs), (2, 0));
    let of_other = CellKey { environment: other, ..books() };
    assert_eq!(number(oracle(&logs, 0).at(&of_other, u64::MAX).unwrap(), "counted"), 1);
    logs.payload(&diagnostic, NOON);
    assert_eq!(counted_and_duplicate(&logs), (2, 1));
}

#[test]
fn a_partition_lacks_what_it_has_neither_itself_nor_a_later_version_of() {
    let oracles = |versions: &[(u32, u64)]| -> Vec<Oracle> {
        let mut logs = Logs::new(logs::small(2, 8));
        // Versions 2 and 3 of one definition in partition 0; of another kind, version 4.
        for (kind, version) in [(200, 0), (200, 0), (1, 0)] {
            logs.define(0, kind, version, "", NOON);
        }
        for (kind, version) in versions {
            logs.define(1, *kind, *version, "", NOON);
        }
        (0..2).map(|partition| oracle(&logs, partition)).collect()
    };
    let all = oracles(&[(200, 2), (200, 3), (1, 4)]);
    assert_eq!(complete(&all, 1, u64::MAX, u64::MAX), Ok(()));
    assert_eq!(complete(&all, 1, 2, 2), Ok(()));
    assert!(complete(&all, 1, 2, 3).unwrap_err().contains("lacks version 3 of"));
    assert_eq!(complete(&all, 0, 0, 4), Ok(()));
    let later = oracles(&[(200, 3), (1, 4)]);
    assert_eq!(complete(&later, 1, u64::MAX, u64::MAX), Ok(()));
    // The other definition's later version says nothing of this one.
    let falling = oracles(&[(1, 4), (200, 3)]);
    assert!(complete(&falling, 1, 2, 4).unwrap_err().contains("lacks version 2 of"));
    let versions: Vec<u64> = all[0].definitions_below(u64::MAX).map(|(version, _)| version).collect();
    assert_eq!(versions, [2, 3, 4]);
}
