//! Causes in numbers, and rows of what was read.

use proptest::prelude::*;
use schemas::old_path::{Fate, Numbers, Way};

use super::causes::{Cause, Judged, New, Old, judge, way};
use super::rows::{Gathered, Place};
use crate::cells::Served;
use crate::other_path::Counts;

fn numbers(counted: u64, fates: &[(Fate, u64)]) -> Numbers {
    let mut numbers = Numbers { counted, ..Numbers::default() };
    fates.iter().for_each(|(fate, number)| *numbers.of_mut(*fate) = *number);
    numbers
}

fn at_rest(way: Way, numbers: Numbers, old: Old, new: New) -> Judged {
    judge(way, &numbers, old, &numbers, new)
}

fn gated(count: u64) -> New {
    New { count, gated: count }
}

fn held(number: u64) -> Old {
    Old { number, off: 0 }
}

fn causes(judged: &Judged) -> Vec<(&'static str, i64, i64)> {
    assert_eq!(judged.unexplained, 0, "{judged:?}");
    judged.causes.iter().map(|Cause { cause, low, high }| (*cause, *low, *high)).collect()
}

#[test]
fn each_cause_of_a_straight_write_is_named_with_its_size() {
    let of = |numbers, old, new| causes(&at_rest(Way::Straight, numbers, old, new));
    let done = |n| (Fate::Applied, n);
    assert_eq!(of(numbers(10, &[done(10)]), held(10), gated(10)), []);
    let twice = Numbers { duplicate: 3, ..numbers(10, &[done(13)]) };
    assert_eq!(of(twice, held(13), gated(10)), [("duplicate", 3, 3)]);
    let late = Numbers { late: 2, ..numbers(10, &[done(12)]) };
    assert_eq!(of(late, held(12), gated(10)), [("late", 2, 2)]);
    let refused = numbers(10, &[done(7), (Fate::Refused, 3)]);
    assert_eq!(of(refused, held(7), gated(10)), [("write_refused", -3, -3)]);
    let uncertain = numbers(10, &[done(7), (Fate::Uncertain, 3)]);
    assert_eq!(of(uncertain, held(8), gated(10)), [("write_uncertain", -3, 0)]);
    let extra = numbers(10, &[done(10), (Fate::Extra, 3)]);
    assert_eq!(of(extra, held(13), gated(10)), [("written_twice", 0, 3)]);
    assert_eq!(of(numbers(10, &[done(7)]), held(9), gated(10)), [("in_flight", -3, 6)]);
    let complete = Numbers { new_only: 5, ..numbers(10, &[done(10)]) };
    assert_eq!(of(complete, held(10), gated(15)), [("new_path_only", -5, -5)]);
    let off = Old { number: 14, off: 4 };
    assert_eq!(of(numbers(10, &[done(10)]), off, gated(10)), [("old_path_only", 4, 4)]);
    let before = New { count: 16, gated: 10 };
    assert_eq!(of(numbers(10, &[done(10)]), held(10), before), [("before_the_gate", -6, -6)]);
}

#[test]
fn each_cause_of_a_job_is_named_with_its_size() {
    let of = |numbers, old| causes(&at_rest(Way::Jobs, numbers, held(old), gated(10)));
    let done = [(Fate::Enqueued, 10), (Fate::Started, 10), (Fate::JobApplied, 10)];
    assert_eq!(of(numbers(10, &done), 10), []);
    let refused = [(Fate::Enqueued, 7), (Fate::EnqueueRefused, 3), (Fate::Started, 7), (Fate::JobApplied, 7)];
    assert_eq!(of(numbers(10, &refused), 7), [("job_refused", -3, -3)]);
    let waiting = [(Fate::Enqueued, 10), (Fate::Started, 7), (Fate::JobApplied, 7)];
    assert_eq!(of(numbers(10, &waiting), 7), [("job_waiting", -3, -3)]);
    let again = [&done[..], &[(Fate::StartedAgain, 2), (Fate::JobAppliedAgain, 2)]].concat();
    assert_eq!(of(numbers(10, &again), 12), [("job_redelivered", 2, 2)]);
    let lost =
        [(Fate::Enqueued, 10), (Fate::Started, 10), (Fate::JobApplied, 9), (Fate::JobRefused, 1), (Fate::JobLost, 1)];
    assert_eq!(of(numbers(10, &lost), 9), [("job_lost", -1, -1)]);
    let killed = [(Fate::Enqueued, 10), (Fate::Started, 10), (Fate::JobApplied, 9)];
    assert_eq!(of(numbers(10, &killed), 10), [("in_flight", -1, 0)]);
}

/// What the log does not have is no cause.
#[test]
fn a_cause_that_is_taken_away_is_unexplained() {
    let whole = Numbers { duplicate: 3, late: 2, ..numbers(10, &[(Fate::Applied, 13), (Fate::Refused, 2)]) };
    let unexplained = |numbers| at_rest(Way::Straight, numbers, held(13), gated(10)).unexplained;
    assert_eq!(unexplained(whole), 0);
    assert_eq!(unexplained(Numbers { duplicate: 0, ..whole }), 3);
    assert_eq!(unexplained(Numbers { late: 0, ..whole }), 2);
    let no_refusal = Numbers { fates: numbers(0, &[(Fate::Applied, 13)]).fates, ..whole };
    assert_eq!(unexplained(no_refusal), 0, "a write of which nothing is told may be under way for ever");
    let no_write = Numbers { fates: numbers(0, &[(Fate::Refused, 2)]).fates, ..whole };
    let held_back = at_rest(Way::Straight, no_write, held(60), gated(10));
    assert!(held_back.unexplained > 0, "{held_back:?}");
    let new_only = Numbers { new_only: 4, ..numbers(10, &[(Fate::Applied, 10)]) };
    assert_eq!(at_rest(Way::Straight, new_only, held(10), gated(14)).unexplained, 0);
    assert_eq!(at_rest(Way::Straight, Numbers { new_only: 0, ..new_only }, held(10), gated(14)).unexplained, 4);
    let off = Old { number: 13, off: 3 };
    let applied = numbers(10, &[(Fate::Applied, 10)]);
    assert_eq!(at_rest(Way::Straight, applied, off, gated(10)).unexplained, 0);
    assert_eq!(at_rest(Way::Straight, applied, Old { off: 0, ..off }, gated(10)).unexplained, 3);
    let again = [(Fate::Enqueued, 10), (Fate::Started, 10), (Fate::JobApplied, 10)];
    assert_eq!(at_rest(Way::Jobs, numbers(10, &again), held(12), gated(10)).unexplained, 2, "a delivery not told of");
    assert_eq!(at_rest(Way::Jobs, numbers(10, &again), held(8), gated(10)).unexplained, 2, "a loss not told of");
}

fn some_numbers() -> impl Strategy<Value = Numbers> {
    (prop::array::uniform4(0_u64..50), prop::collection::vec(0_u64..50, Fate::ALL.len())).prop_map(
        |(intents, fates)| {
            let [counted, new_only, duplicate, late] = intents;
            let mut numbers = Numbers { counted, new_only, duplicate, late, ..Numbers::default() };
            numbers.fates.copy_from_slice(&fates);
            numbers
        },
    )
}

proptest! {
    /// Whatever the numbers: where nothing is unexplained, the causes hold the difference.
    #[test]
    fn the_causes_hold_the_difference(
        before in some_numbers(), more in some_numbers(), old in 0_u64..300, off in 0_u64..20, ungated in 0_u64..9,
        jobs in any::<bool>(),
    ) {
        let mut after = before;
        super::rows::Sum::add(&mut after, &more);
        let gated = after.counted + after.new_only;
        let new = New { count: gated + ungated, gated };
        let old = Old { number: old + off, off };
        let judged = judge(if jobs { Way::Jobs } else { Way::Straight }, &before, old, &after, new);
        if judged.unexplained == 0 {
            let difference = old.number as i64 - new.count as i64;
            let (low, high) = judged.causes.iter().fold((0, 0), |(low, high), c| (low + c.low, high + c.high));
            prop_assert!(low <= difference && difference <= high, "{low} {difference} {high}: {judged:?}");
            prop_assert!(judged.low <= old.number && old.number <= judged.high);
        }
    }
}

fn place(key: Option<&str>, hour: u32) -> Place {
    Place { counts: Counts::Evaluations, key: key.map(str::to_owned), hour }
}

fn index(index: u32) -> Served {
    Served::Index(index)
}

/// A flag in an hour with so many of each variation on both sides.
fn with(gathered: &mut Gathered, key: Option<&str>, variations: impl Iterator<Item = u32>, each: u64) {
    for variation in variations {
        let of = place(key, 7);
        let told = numbers(each, &[(Fate::Applied, each)]);
        gathered.after.entry(of.clone()).or_default().by.insert(index(variation), told);
        gathered.before.entry(of.clone()).or_default().by.insert(index(variation), told);
        gathered.new.entry(of.clone()).or_default().by.insert(index(variation), gated(each));
        gathered.old.entry(of).or_default().by.insert(index(variation), held(each));
    }
}

#[test]
fn a_row_is_a_variation_of_a_flag_in_an_hour() {
    let mut gathered = Gathered::default();
    with(&mut gathered, Some("a"), 0..3, 5);
    let rows = gathered.rows();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| (row.old, row.new, row.judged.unexplained) == (5, 5, 0)), "{rows:?}");
}

/// The new path keeps 100 pairs of variation and version, the log's numbers 100 variations, the old path all: where one
/// of them has more, their rows do not stand for the same.
#[test]
fn what_was_cut_at_a_limit_is_compared_as_a_whole() {
    for cut in ["new", "told"] {
        let mut gathered = Gathered::default();
        with(&mut gathered, Some("a"), 0..101, 5);
        let of = place(Some("a"), 7);
        match cut {
            "new" => {
                let parts = gathered.new.get_mut(&of).unwrap();
                parts.other = parts.by.remove(&index(100));
            }
            _ => {
                let parts = gathered.after.get_mut(&of).unwrap();
                parts.other = parts.by.remove(&index(3));
            }
        }
        let rows = gathered.rows();
        assert_eq!(rows.len(), 1, "{cut}");
        assert_eq!(
            (rows[0].served.clone(), rows[0].old, rows[0].judged.unexplained),
            (None, 505, 0),
            "{cut}: {rows:?}"
        );
    }
}

#[test]
fn flags_beyond_the_limit_are_compared_together() {
    let mut gathered = Gathered::default();
    with(&mut gathered, Some("a"), 0..1, 5);
    with(&mut gathered, None, 0..2, 4);
    gathered.old.remove(&place(None, 7));
    for key in ["x", "y"] {
        gathered.old.entry(place(Some(key), 7)).or_default().by.insert(index(0), held(4));
    }
    // This one was seen in stage off alone.
    gathered.old.entry(place(Some("z"), 7)).or_default().by.insert(index(0), Old { number: 6, off: 6 });
    let rows = gathered.rows();
    let shown: Vec<_> =
        rows.iter().map(|row| (row.place.key.as_deref(), row.old, row.new, row.judged.unexplained)).collect();
    assert_eq!(shown, [(None, 8, 8, 0), (Some("a"), 5, 5, 0), (Some("z"), 6, 0, 0)]);
}

#[test]
fn what_was_not_read_at_one_time_is_noticed() {
    let mut gathered = Gathered::default();
    with(&mut gathered, Some("a"), 0..1, 5);
    assert!(gathered.torn().is_empty());
    gathered.new.get_mut(&place(Some("a"), 7)).unwrap().by.insert(index(0), gated(6));
    assert_eq!(gathered.torn().into_iter().collect::<Vec<_>>(), [place(Some("a"), 7)]);
}

#[test]
fn evaluations_are_written_straight_and_events_by_jobs() {
    assert_eq!((way(Counts::Evaluations), way(Counts::Events)), (Way::Straight, Way::Jobs));
}
