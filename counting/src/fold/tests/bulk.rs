//! Bulk reads: where the rule turns, what it knows, and what becomes of a read in the cell.

use schemas::cell::{CellKey, CellName};

use super::*;
use crate::Break;
use crate::cells::LastSeen;

const MINUTE: i64 = 28_000_000;

/// A partition in which records are sent by one SDK after another.
struct Reads {
    partition: Partition,
    records: u64,
}

impl Reads {
    fn new(flags_max: u32) -> Self {
        let mut partition = begun();
        partition.rules.generation.fold = schemas::generation::FoldLimits { flags_max, ..Default::default() };
        Self { partition, records: 0 }
    }

    /// Of an environment whose mobile SDKs have asked for so many flags, `0`, `1`, …, each in a record of its own.
    fn knowing(flags: usize) -> Self {
        let mut reads = Self::new(100);
        (0..flags).for_each(|flag| reads.send(Credential::Mobile, &[(flag, 1)]));
        reads
    }

    /// A record with these flags and counts, a day after the one before.
    fn send(&mut self, credential: Credential, rows: &[(usize, u64)]) {
        self.records += 1;
        let outcome = self.fold(credential, rows, self.records);
        assert_eq!(outcome, Outcome::Folded);
    }

    fn fold(&mut self, credential: Credential, rows: &[(usize, u64)], id: u64) -> Outcome {
        self.fold_summaries(credential, &[rows], id)
    }

    /// A record with several summaries.
    fn fold_summaries(&mut self, credential: Credential, summaries: &[&[(usize, u64)]], id: u64) -> Outcome {
        let rows = summaries.concat();
        let element = (0_u32..).zip(summaries).flat_map(|(element, rows)| rows.iter().map(move |_| element)).collect();
        let mut texts: Vec<Bytes> = Vec::new();
        let mut flags = Vec::new();
        for (flag, _) in &rows {
            let flag = Bytes::from(flag.to_string());
            let place = texts.iter().position(|text| *text == flag).unwrap_or_else(|| {
                texts.push(flag);
                texts.len() - 1
            });
            flags.push(place as u32 + 1);
        }
        let some = rows.len();
        let counts = wire::Counts {
            flag: flags,
            // Indices that rise, so that a flag twice has two variations.
            variation: (0..some as u64).map(|index| index * 2 + 1).collect(),
            version: vec![0; some],
            value: vec![0; some],
            count: rows.iter().map(|(_, count)| *count).collect(),
            minute: vec![0; some],
            marks: vec![0; some],
            element,
        };
        let body = wire::Payload { texts, counts: Some(counts), credential: credential as u32, ..empty() };
        let received_ms = (MINUTE + self.records as i64 * 1_440) * 60_000;
        let header = wire::Header { payload_id: id.to_string().into(), received_ms, ..header(1) };
        let offset = self.partition.state.position();
        self.partition.fold(logged(offset, &header, &body.encode_to_vec())).unwrap().0
    }

    fn cell(&self, name: CellName) -> LastSeen {
        let environment = Environment::new("p", "dev").unwrap();
        let key = CellKey { generation: 1, partition: 0, kind: CellKind::LastSeen, environment, name, window: 0 };
        let Some((Cell::LastSeen(seen), _)) = self.partition.cells.get(&key) else { panic!("{key:?} is not held") };
        seen.clone()
    }

    /// Whether the last sight of the flag is of a bulk read.
    fn is_bulk(&self, flag: usize) -> bool {
        let seen = self.cell(CellName::Key(flag.to_string().into()));
        seen.rows().max_by_key(|row| row.last).unwrap().bulk
    }
}

/// So many flags, each asked for once.
fn once(flags: usize) -> Vec<(usize, u64)> {
    (0..flags).map(|flag| (flag, 1)).collect()
}

/// Whether a mobile SDK's record with these flags is a bulk read, where so many flags are known before.
fn is_bulk(known: usize, rows: &[(usize, u64)]) -> bool {
    is_bulk_breaking(None, known, rows)
}

/// The same, breaking a rule.
fn is_bulk_breaking(rule: Option<Break>, known: usize, rows: &[(usize, u64)]) -> bool {
    let mut reads = Reads::knowing(known);
    reads.partition.rules.breakage.which = rule;
    reads.send(Credential::Mobile, rows);
    let told: Vec<bool> = rows.iter().map(|(flag, _)| reads.is_bulk(*flag)).collect();
    assert!(told.iter().all(|bulk| *bulk == told[0]), "all rows or none: {told:?}");
    told[0]
}

#[test]
fn four_in_five_of_the_known_flags_are_a_bulk_read_and_one_less_is_none() {
    for (known, least) in [(5, 4), (6, 5), (9, 8), (10, 8), (11, 9), (100, 80)] {
        assert!(is_bulk(known, &once(least)), "{least} of {known}");
        assert!(!is_bulk(known, &once(least - 1)), "{} of {known}", least - 1);
    }
}

#[test]
fn the_greatest_count_is_twice_the_least_and_no_more() {
    let with = |count| [&once(9)[..], &[(9, count)]].concat();
    assert!(is_bulk(10, &with(2)));
    assert!(!is_bulk(10, &with(3)));
    let from = |least, greatest| [(0, least), (1, greatest), (2, least), (3, greatest), (4, least)];
    assert!(is_bulk(5, &from(500, 1_000)));
    assert!(!is_bulk(5, &from(500, 1_001)));
    assert!(!is_bulk(5, &from(1_001, 500)));
}

/// Each switch moves its own limit by one, and no other: what lies beyond it is as it was.
#[test]
fn a_broken_limit_of_a_bulk_read_asks_for_one_more() {
    let twice = |flags: usize| [&once(flags - 1)[..], &[(flags - 1, 2)]].concat();
    let (at_share, at_spread, at_known, beyond) = ((10, once(8)), (10, twice(10)), (5, once(5)), (10, once(10)));
    for (rule, told) in [
        (None, [true, true, true, true]),
        (Some(Break::BulkShareOffByOne), [false, true, true, true]),
        (Some(Break::BulkSpreadOffByOne), [true, false, true, true]),
        (Some(Break::BulkKnownOffByOne), [true, true, false, true]),
    ] {
        let found =
            [&at_share, &at_spread, &at_known, &beyond].map(|(known, rows)| is_bulk_breaking(rule, *known, rows));
        assert_eq!(found, told, "{rule:?}");
    }
}

/// Newer browser SDKs send a summary for each context, several in one payload.
#[test]
fn each_summary_is_judged_by_itself() {
    let told = |summaries: &[&[(usize, u64)]]| {
        let mut reads = Reads::knowing(6);
        assert_eq!(reads.fold_summaries(Credential::Mobile, summaries, 99), Outcome::Folded);
        (0..6)
            .map(|flag| reads.cell(CellName::Key(flag.to_string().into())).rows().any(|row| row.bulk))
            .collect::<Vec<_>>()
    };
    let all = once(6);
    assert_eq!(told(&[&all[..3], &all[3..]]), [false; 6], "two halves are no read of all");
    assert_eq!(told(&[&all, &[(0, 5)]]), [true; 6], "what is asked for beside it does not hide it");
    assert_eq!(told(&[&all, &all]), [true; 6], "twice, for two contexts");
    let mut reads = Reads::knowing(6);
    assert_eq!(reads.fold_summaries(Credential::Mobile, &[&all, &[(0, 5)]], 99), Outcome::Folded);
    let days = |flag: usize| reads.cell(CellName::Key(flag.to_string().into())).days().count();
    assert_eq!((days(0), days(1)), (2, 1), "the one that was asked for by itself was used");
}

#[test]
fn a_flags_count_is_the_sum_of_its_rows() {
    // Of one variation twice as often as the others; of two variations together three times.
    assert!(is_bulk(5, &[(0, 2), (1, 1), (2, 1), (3, 1), (4, 1)]));
    assert!(!is_bulk(5, &[(0, 2), (1, 1), (2, 1), (3, 1), (4, 1), (0, 1)]));
    assert!(is_bulk(5, &[(0, 1), (1, 3), (2, 3), (3, 3), (0, 1), (0, 1)]));
    assert!(!is_bulk(5, &[(0, 1), (0, 1), (0, 1), (0, 1), (1, 4)]), "rows are no flags");
}

#[test]
fn with_four_known_flags_nothing_is_a_bulk_read_and_with_five_it_is() {
    assert!(!is_bulk(4, &once(4)));
    assert!(is_bulk(4, &once(5)), "the record's own are known");
    assert!(!is_bulk(0, &once(4)));
    assert!(is_bulk(0, &once(5)));
    assert!(is_bulk(5, &once(4)));
}

#[test]
fn a_server_reads_nothing_in_bulk_and_what_it_asks_for_is_not_known() {
    let mut reads = Reads::knowing(10);
    reads.send(Credential::Server, &once(10));
    assert!((0..10).all(|flag| !reads.is_bulk(flag)));
    let mut reads = Reads::new(100);
    reads.send(Credential::Server, &once(20));
    reads.send(Credential::ClientSide, &once(5));
    assert!((0..5).all(|flag| reads.is_bulk(flag)), "five of five, not of twenty");
    reads.send(Credential::ClientSide, &[(19, 1)]);
    reads.send(Credential::Mobile, &once(4));
    assert!(!reads.is_bulk(0), "four of six: a flag that only servers asked for has become known");
}

#[test]
fn what_was_all_flags_is_no_bulk_read_once_more_are_known() {
    let mut reads = Reads::new(100);
    let mut told = Vec::new();
    for flag in 5..9 {
        reads.send(Credential::ClientSide, &once(5));
        told.push(reads.is_bulk(0));
        reads.send(Credential::ClientSide, &[(flag, 7)]);
    }
    assert_eq!(told, [true, true, false, false], "five of five, of six, of seven, of eight");
}

#[test]
fn duplicates_and_poison_make_no_flag_known() {
    let mut reads = Reads::new(100);
    reads.send(Credential::Mobile, &once(5));
    assert_eq!(reads.fold(Credential::Mobile, &[(5, 1), (6, 1)], 1), Outcome::Duplicate);
    quiet_wanted_panics();
    let rules = reads.partition.rules.clone();
    reads.partition.rules = rules.clone().panicking_in(PanicIn::Rows, &[reads.partition.state.position()]);
    assert_eq!(reads.fold(Credential::Mobile, &[(7, 1), (8, 1)], 99), Outcome::Poison);
    reads.partition.rules = rules;
    reads.send(Credential::Mobile, &once(5));
    assert!(reads.is_bulk(0), "five of five");
}

#[test]
fn flags_beyond_the_limit_take_no_part() {
    let mut reads = Reads::new(5);
    let rows: Vec<(usize, u64)> = (0..12).map(|flag| (flag, if flag < 5 { 1 } else { 9 })).collect();
    reads.send(Credential::Mobile, &rows);
    assert!((0..5).all(|flag| reads.is_bulk(flag)), "five of five, however many share the other cell");
    assert!(reads.cell(CellName::Other).rows().all(|row| row.bulk), "it is one read");
    reads.send(Credential::Mobile, &rows[3..]);
    assert!(!reads.is_bulk(4), "two of five");
}

#[test]
fn a_bulk_read_is_a_sight_and_no_day_of_use() {
    let mut reads = Reads::knowing(5);
    let before: Vec<u32> = reads.cell(CellName::Key("0".into())).days().collect();
    reads.send(Credential::Mobile, &once(5));
    let seen = reads.cell(CellName::Key("0".into()));
    assert_eq!(seen.days().collect::<Vec<_>>(), before);
    let rows: Vec<(bool, u32)> = seen.rows().map(|row| (row.bulk, row.last)).collect();
    assert_eq!(rows, [(false, seen.first().unwrap()), (true, seen.last().unwrap())], "{rows:?}");
    reads.send(Credential::Mobile, &[(0, 1)]);
    assert_eq!(reads.cell(CellName::Key("0".into())).days().count(), before.len() + 1);
}

/// At every place of a log the state is saved and loaded: what follows is the same, to the byte.
#[test]
fn a_state_that_was_saved_and_loaded_decides_the_same() {
    let log = [once(5), vec![(5, 1)], once(5), vec![(6, 1), (7, 1)], once(6), once(7), once(8)];
    let cells = |reloaded_before: usize| {
        let mut reads = Reads::new(7);
        for (number, rows) in log.iter().enumerate() {
            if number == reloaded_before {
                let changes = reads.partition.state.changes();
                let saved = schemas::stored::SavedState { position: changes.position, rows: changes.put };
                reads.partition.state = State::load(&saved, 8).unwrap();
            }
            reads.send(Credential::Mobile, rows);
        }
        let bulk: Vec<bool> = (0..7).map(|flag| reads.is_bulk(flag)).collect();
        let mut writes = reads.partition.cells.begin_flush();
        writes.sort_by(|a, b| a.key.cmp(&b.key));
        (bulk, writes.into_iter().map(|write| (write.key, write.cell)).collect::<Vec<_>>())
    };
    let straight = cells(usize::MAX);
    assert!(straight.0.iter().all(|bulk| *bulk));
    (0..log.len()).for_each(|number| assert_eq!(cells(number), straight, "loaded before record {number}"));
}

/// What a sight leaves: rows of its usage cell, whether a row of last seen is bulk, days of use, whether mobile SDKs
/// ask for it.
fn sight(breakage: Option<Break>) -> (usize, bool, usize, bool) {
    let mut reads = Reads::knowing(5);
    reads.partition.rules.breakage.which = breakage;
    let flag = CellName::Key("9".into());
    let rows: Vec<(usize, u64)> = once(5).into_iter().chain([(9, 0)]).collect();
    reads.send(Credential::Mobile, &rows);
    assert!(reads.is_bulk(0), "a sight beside it does not keep a summary from being a bulk read");
    let seen = reads.cell(flag.clone());
    let environment = Environment::new("p", "dev").unwrap();
    let window = u32::try_from((MINUTE + reads.records as i64 * 1_440) / 60).unwrap();
    let key = CellKey { generation: 1, partition: 0, kind: CellKind::Usage, environment, name: flag, window };
    let Some((Cell::Usage(usage), _)) = reads.partition.cells.get(&key) else { panic!("{key:?} is not held") };
    (usage.rows().count(), seen.rows().any(|row| row.bulk), seen.days().count(), seen.client_side())
}

#[test]
fn a_sight_is_a_use_that_counts_nothing() {
    assert_eq!(sight(None), (0, false, 1, true));
    assert_eq!(sight(Some(Break::SightAsCount)).0, 1, "the mistake would be noticed");
}
