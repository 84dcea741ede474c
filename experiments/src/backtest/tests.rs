//! Fleets with known pasts; every number is counted by hand.

use std::collections::BTreeSet;

use super::*;
use crate::stale::{Advice, Flag, FlagEnvironment, Metadata, ReasonCode, Row, Variation};

const NOW: u32 = 20_000;

fn ms(day: u32) -> i64 {
    i64::from(day) * DAY_MS
}

/// Seen on each of these days.
fn row(variation: u32, application: &str, days: &[u32]) -> Row {
    Row {
        variation: Some(Variation::Index(variation)),
        application: application.to_owned(),
        first_ms: ms(*days.first().unwrap()) + 5,
        last_ms: ms(*days.last().unwrap()) + 10,
        ..Row::default()
    }
}

fn moment(day: u32) -> Moment {
    let production = Environment { critical: true, hours: None };
    Moment { day, environments: [("production".to_owned(), production)].into(), ..Moment::default() }
}

/// A flag of rows, each with the days on which it was seen; what usage tells is asked for where it is needed.
fn flag(past: &mut Past, key: &str, rows: &[(Row, &[u32])], asked: (u32, u32)) {
    let used: BTreeSet<u32> = rows.iter().filter(|(row, _)| !row.bulk).flat_map(|(_, days)| *days).copied().collect();
    let mut seen = FlagEnvironment {
        rows: rows.iter().map(|(row, _)| row.clone()).collect(),
        days: used.into_iter().collect(),
        ..FlagEnvironment::default()
    };
    let mut usage = Usage::default();
    for (row, days) in rows {
        let asker = (row.variation.clone(), row.default, row.application.clone(), row.sdk.clone());
        usage.days.entry(asker).or_default().extend(*days);
    }
    let needed = history::needs_usage(&seen, asked.0, asked.1);
    let history = History::of(&mut seen, vec![(1, ms(100))], needed.then_some(&usage));
    let metadata = Metadata { created_at_ms: Some(ms(NOW - 300)), ..Metadata::default() };
    past.fleet.flags.push(Flag {
        key: key.to_owned(),
        metadata,
        environments: [("production".to_owned(), seen)].into(),
    });
    past.histories.push([("production".to_owned(), history)].into());
}

fn empty() -> Past {
    Past { fleet: Fleet { as_of_ms: ms(NOW) + 1000, ..Fleet::default() }, histories: Vec::new() }
}

/// Judged 91, 61 and 1 days ago.
const MOMENTS: [u32; 3] = [NOW - 91, NOW - 61, NOW - 1];
const ASKED: (u32, u32) = (NOW - 91, NOW - 1);

/// One flag of each kind.
fn fleet() -> Past {
    let mut past = empty();
    let every: Vec<u32> = (NOW - 200..=NOW).collect();
    // Quiet for 40 days before the first moment; alive again 70 days ago, within 30 days of the first call; and quiet
    // since.
    let days = [NOW - 150, NOW - 131, NOW - 70];
    flag(&mut past, "woke-soon", &[(row(0, "web", &days), &days)], ASKED);
    // As before, but alive again 61 days after the first moment.
    let days = [NOW - 150, NOW - 131, NOW - 30];
    flag(&mut past, "woke-late", &[(row(0, "web", &days), &days)], ASKED);
    let days = [NOW - 150, NOW - 131];
    flag(&mut past, "dead", &[(row(0, "web", &days), &days)], ASKED);
    // One variation alone until 50 days ago; then another.
    let other: Vec<u32> = (NOW - 50..=NOW).collect();
    let rows = [(row(1, "web", &every), &every[..]), (row(0, "web", &other), &other[..])];
    flag(&mut past, "rolled-back", &rows, ASKED);
    // Two variations all the time.
    let rows = [(row(1, "web", &every), &every[..]), (row(0, "web", &every), &every[..])];
    flag(&mut past, "alive", &rows, ASKED);
    // One variation all the time.
    flag(&mut past, "launched", &[(row(1, "web", &every), &every[..])], ASKED);
    // Another variation long ago and in the end: nothing but its ends is in last seen, only usage tells of the days
    // between.
    let rare = [NOW - 200, NOW - 2];
    let rows = [(row(1, "web", &every), &every[..]), (row(0, "web", &rare), &rare[..])];
    flag(&mut past, "rare", &rows, ASKED);
    past
}

fn at(outcome: &Outcome, day: u32) -> (usize, usize, usize, usize) {
    let told = outcome.days.iter().find(|told| told.day == day).unwrap();
    (told.flags, told.stale, told.revived_within, told.revived_later)
}

fn ran() -> Outcome {
    run(fleet(), MOMENTS.map(moment).into(), 30)
}

#[test]
fn each_day_has_its_stale_flags_and_those_that_came_alive_again() {
    let outcome = ran();
    assert_eq!(outcome.days.iter().map(|told| told.day).collect::<Vec<_>>(), MOMENTS, "from the oldest on");
    // All but `alive`; woke-soon after 21 days; woke-late after 61, rolled-back after 41, rare after 89.
    assert_eq!(at(&outcome, NOW - 91), (7, 6, 1, 3));
    // woke-soon was used 9 days ago, which settles it; so did nothing contradict it. woke-late after 31 days, rare
    // after 59, rolled-back after 11.
    assert_eq!(at(&outcome, NOW - 61), (7, 6, 1, 2));
    // woke-soon and dead are quiet, woke-late is settled 29 days ago, launched; rolled-back and rare served two.
    assert_eq!(at(&outcome, NOW - 1), (7, 4, 0, 0));
}

#[test]
fn reasons_and_advice_are_those_of_the_day() {
    let outcome = ran();
    let (before, after) = (&outcome.days[0], &outcome.days[1]);
    let reasons = |told: &tally::Day, code| told.by_reason.get(&code).copied().unwrap_or(0);
    // Quiet: woke-soon, woke-late, dead. Settled: rolled-back, launched, rare.
    assert_eq!(reasons(before, ReasonCode::NoEvaluations), 3);
    assert_eq!(reasons(before, ReasonCode::SingleVariation), 3);
    assert_eq!(before.by_advice, [(None, 3), (Some(Advice::ReadyForCodeRemoval), 3)].into());
    assert_eq!(reasons(after, ReasonCode::NoEvaluations), 2, "woke-soon was asked for within the 30 days before");
}

#[test]
fn a_flag_is_told_once_with_the_first_call_that_was_contradicted() {
    let outcome = ran();
    let called = |key: &str| outcome.called.iter().find(|called| called.key == key);
    let told = |key: &str| {
        let called = called(key).unwrap();
        (called.days, called.call.day, called.call.revival.as_ref().map(|revival| revival.day))
    };
    assert_eq!(told("woke-soon"), (3, NOW - 91, Some(NOW - 70)));
    assert_eq!(told("woke-late"), (3, NOW - 91, Some(NOW - 30)));
    assert_eq!(told("dead"), (3, NOW - 91, None));
    assert_eq!(told("launched"), (3, NOW - 91, None));
    assert_eq!(told("rolled-back"), (2, NOW - 91, Some(NOW - 50)));
    assert_eq!(told("rare"), (2, NOW - 91, Some(NOW - 2)));
    assert!(called("alive").is_none());
    let revival = called("rolled-back").unwrap().call.revival.clone().unwrap();
    assert_eq!(revival.variation, Some(Variation::Index(0)));
    assert_eq!((outcome.called.len(), outcome.revived), (6, 4));
    // All six were first called 91 days ago; within 30 days of a call woke-soon (21) and rolled-back (11 after its
    // second).
    assert_eq!((outcome.watched, outcome.revived_within), (6, 2));
}

#[test]
fn a_use_on_the_very_day_is_after_its_beginning_and_thirty_days_are_not_within() {
    let day = NOW - 61;
    let told = |days: &[u32]| {
        let mut past = empty();
        flag(&mut past, "quiet", &[(row(0, "web", days), days)], (day, day));
        at(&run(past, vec![moment(day)], 30), day)
    };
    assert_eq!(told(&[NOW - 150, day]), (1, 1, 1, 0));
    assert_eq!(told(&[NOW - 150, day + 29]), (1, 1, 1, 0));
    assert_eq!(told(&[NOW - 150, day + 30]), (1, 1, 0, 1));
    assert_eq!(told(&[NOW - 150, day - 1]), (1, 1, 0, 0), "settled by then, and nothing else was served");
    let every: Vec<u32> = (NOW - 200..=NOW).collect();
    let settled = |other: &[u32]| {
        let mut past = empty();
        let rows = [(row(1, "web", &every), &every[..]), (row(0, "web", other), other)];
        flag(&mut past, "settled", &rows, (day, day));
        at(&run(past, vec![moment(day)], 30), day)
    };
    assert_eq!(settled(&[day]), (1, 1, 1, 0));
    assert_eq!(settled(&[NOW - 200, day]), (1, 1, 1, 0));
    assert_eq!(settled(&[NOW - 200, day - 1, day]).1, 0, "served two within 30 days before");
    assert_eq!(settled(&[NOW - 200, day - 31, day + 30]), (1, 1, 0, 1));
    assert_eq!(settled(&[NOW - 200, day - 30, day + 30]).1, 0);
}

#[test]
fn order_changes_nothing() {
    let told = ran();
    let mut other = fleet();
    other.fleet.flags.reverse();
    other.histories.reverse();
    let mut moments = MOMENTS.map(moment);
    moments.swap(0, 1);
    assert_eq!(run(other, moments.into(), 30), told);
    let alone = run(fleet(), vec![moment(NOW - 61)], 30);
    assert_eq!(alone.days[0], told.days[1], "a day alone says what it says among others");
}

#[test]
fn what_was_not_there_yet_is_not_counted() {
    let mut past = empty();
    let days = [NOW - 40, NOW - 10];
    flag(&mut past, "young", &[(row(0, "web", &days), &days)], ASKED);
    past.fleet.flags[0].metadata.created_at_ms = None;
    let outcome = run(past, MOMENTS.map(moment).into(), 30);
    assert_eq!((at(&outcome, NOW - 91).0, at(&outcome, NOW - 61).0, at(&outcome, NOW - 1)), (0, 0, (1, 1, 0, 0)));
}

#[test]
fn bulk_reads_bring_nothing_alive() {
    let (mut past, days) = (empty(), [NOW - 150, NOW - 5]);
    let bulk = Row { bulk: true, ..row(0, "web", &days) };
    flag(&mut past, "read", &[(bulk, &days)], ASKED);
    let outcome = run(past, MOMENTS.map(moment).into(), 30);
    assert_eq!((at(&outcome, NOW - 91), outcome.revived), ((1, 1, 0, 0), 0));
    assert_eq!(outcome.called[0].call.reasons, [ReasonCode::BulkReadOnly]);
}

#[test]
fn what_came_of_a_verdict_does_not_change_it() {
    let told = ran();
    let mut past = fleet();
    for flag in &mut past.fleet.flags {
        flag.metadata.archived = Some(true);
        flag.metadata.snoozed_until_ms = Some(i64::MAX);
    }
    assert_eq!(run(past, MOMENTS.map(moment).into(), 30), told);
}

#[test]
fn a_version_that_came_later_is_not_known_before() {
    let mut past = empty();
    let every: Vec<u32> = (NOW - 200..=NOW).collect();
    flag(&mut past, "f", &[(row(1, "web", &every), &every[..])], ASKED);
    past.histories[0].get_mut("production").unwrap().versions.push((2, ms(NOW - 70)));
    let outcome = run(past, MOMENTS.map(moment).into(), 30);
    let stale: Vec<usize> = outcome.days.iter().map(|told| told.stale).collect();
    assert_eq!(stale, [1, 0, 1], "nine days after its change it is not settled");
}

#[test]
fn a_version_that_the_cell_let_go_may_have_been_new() {
    let stale = |versions: u32| {
        let mut past = empty();
        let every: Vec<u32> = (NOW - 200..=NOW).collect();
        flag(&mut past, "f", &[(row(1, "web", &every), &every[..])], ASKED);
        let kept = &mut past.histories[0].get_mut("production").unwrap().versions;
        *kept = (0..versions).map(|n| (u64::from(100 + n), ms(NOW - versions + n))).collect();
        run(past, [moment(NOW - 91)].into(), 30).days[0].stale
    };
    assert_eq!((stale(63), stale(64)), (1, 0), "a full list tells nothing of the day before its first");
}

#[test]
fn usage_is_asked_for_only_where_rows_differ_and_go_on() {
    let seen = |rows: Vec<Row>| FlagEnvironment { rows, ..FlagEnvironment::default() };
    let needs = |rows| history::needs_usage(&seen(rows), NOW - 91, NOW - 1);
    let long = [NOW - 200, NOW];
    assert!(needs(vec![row(0, "web", &long), row(1, "web", &long)]));
    assert!(!needs(vec![row(1, "web", &long), row(1, "app", &long)]), "the same was served to all");
    assert!(!needs(vec![row(0, "web", &[NOW - 200, NOW - 92]), row(1, "web", &[NOW - 99, NOW - 92])]), "ended before");
    assert!(!needs(vec![row(0, "web", &[NOW - 1]), row(1, "web", &[NOW - 1])]), "began after");
    assert!(!needs(vec![row(0, "web", &long), Row { bulk: true, ..row(1, "web", &long) }]));
}
