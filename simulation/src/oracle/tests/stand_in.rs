//! The stand-in experiments, worked out by hand: days, second variations, lateness, expiry, definitions.

use schemas::cell::{CellKey, CellKind, CellName};
use schemas::event::ContextKey;

use super::logs::{DAY, HOUR, Logs, NOON, conversion, empty, exposure, small};
use super::rules::{key, oracle, says};

/// Experiment x of flag a for users, event buy, factor 2, from two days before noon to one hour after it.
const START: i64 = NOON - 2 * DAY;
const END: i64 = NOON + HOUR;

fn begun() -> Logs {
    begun_with(&format!("a user buy 2 {START} {END}"))
}

fn begun_with(body: &str) -> Logs {
    let mut logs = Logs::new(small(1, 1_000));
    logs.define(0, 200, 0, body, NOON - 2 * DAY);
    logs
}

/// A payload of its own, received at `now`, with an exposure.
fn exposed(logs: &mut Logs, variation: u32, time_ms: i64, now: i64) {
    let mut payload = empty(&format!("{}", logs.partitions[0].len()));
    exposure(&mut payload, "a", variation, time_ms);
    logs.payload(&payload, now);
}

/// A payload of its own, received at `now`, with an event.
fn bought(logs: &mut Logs, value: Option<i64>, time_ms: i64, now: i64) {
    let mut payload = empty(&format!("{}", logs.partitions[0].len()));
    conversion(&mut payload, "buy", value, time_ms);
    logs.payload(&payload, now);
}

fn day(time_ms: i64) -> CellKey {
    key(CellKind::StandIn, Some("x"), time_ms.div_euclid(DAY))
}

fn days(logs: &Logs) -> usize {
    oracle(logs, 0).keys(u64::MAX).filter(|key| key.kind == CellKind::StandIn).count()
}

#[test]
fn an_earlier_exposure_that_comes_later_moves_what_was_done_to_its_day() {
    let mut logs = begun();
    exposed(&mut logs, 0, NOON, NOON);
    bought(&mut logs, Some(5), NOON + 1, NOON);
    bought(&mut logs, Some(7), NOON - DAY + 1, NOON);
    // What was bought on the day before came before the exposure, and does not count.
    let before = oracle(&logs, 0);
    assert_eq!(says(&before, &day(NOON)), ["n 0 = 1", "square 0 = 100", "sum 0 = 10"]);
    assert_eq!(days(&logs), 1);

    exposed(&mut logs, 0, NOON - DAY, NOON);
    let after = oracle(&logs, 0);
    assert_eq!(says(&after, &day(NOON - DAY)), ["n 0 = 1", "square 0 = 196", "sum 0 = 14"]);
    // 24² less 14², and no unit more than the day before.
    assert_eq!(says(&after, &day(NOON)), ["square 0 = 380", "sum 0 = 10"]);
}

#[test]
fn what_is_done_at_the_moment_of_the_exposure_counts_and_a_millisecond_before_does_not() {
    let mut logs = begun();
    bought(&mut logs, Some(1), NOON - 1, NOON);
    bought(&mut logs, Some(10), NOON, NOON);
    exposed(&mut logs, 0, NOON, NOON);
    assert_eq!(says(&oracle(&logs, 0), &day(NOON)), ["n 0 = 1", "square 0 = 400", "sum 0 = 20"]);
}

#[test]
fn a_second_variation_takes_the_subject_out_from_its_day_on() {
    let mut logs = begun();
    exposed(&mut logs, 0, NOON - DAY, NOON);
    bought(&mut logs, None, NOON - DAY + 1, NOON);
    exposed(&mut logs, 1, NOON, NOON);
    let oracle = oracle(&logs, 0);
    // Without a value it is worth 1, in millionths, times the factor.
    assert_eq!(says(&oracle, &day(NOON - DAY)), ["n 0 = 1", "square 0 = 4000000000000", "sum 0 = 2000000"]);
    assert_eq!(
        says(&oracle, &day(NOON)),
        ["multiple 0 = 1", "n 0 = -1", "square 0 = -4000000000000", "sum 0 = -2000000"]
    );
}

#[test]
fn at_the_horizon_a_row_is_late_and_a_millisecond_after_it_counts() {
    let mut logs = begun();
    let now = NOON + DAY;
    exposed(&mut logs, 0, now - 3 * DAY, now);
    bought(&mut logs, Some(5), now - 3 * DAY, now);
    assert_eq!(says(&oracle(&logs, 0), &day(NOON - 2 * DAY)), ["late 0 = 2"]);
    exposed(&mut logs, 0, now - 3 * DAY + 1, now);
    assert_eq!(says(&oracle(&logs, 0), &day(NOON - 2 * DAY)), ["late 0 = 2", "n 0 = 1"]);
}

#[test]
fn the_horizon_is_that_of_the_log_with_the_record_itself() {
    let mut logs = begun();
    // The record itself takes the log's time past the row that it brings.
    exposed(&mut logs, 0, NOON - DAY, NOON + 2 * DAY);
    assert_eq!(says(&oracle(&logs, 0), &day(NOON - DAY)), ["late 0 = 1"]);
}

#[test]
fn a_subject_that_has_expired_is_as_if_never_seen_and_what_it_contributed_stays() {
    for (now, expected) in [(END + 3 * DAY - 1, true), (END + 3 * DAY, false)] {
        let mut logs = begun();
        exposed(&mut logs, 0, NOON, NOON);
        // The experiment goes on, but what was seen was told to expire three days after the first end.
        logs.define(0, 200, 0, &format!("a user buy 2 {START} {}", END + 9 * DAY), NOON);
        bought(&mut logs, Some(5), now, now);
        let oracle = oracle(&logs, 0);
        assert_eq!(says(&oracle, &day(NOON)), ["n 0 = 1"]);
        let cell = oracle.at(&day(now), oracle.position());
        assert_eq!(cell.is_some(), expected, "at {now}");
        if expected {
            assert_eq!(says(&oracle, &day(now)), ["square 0 = 100", "sum 0 = 10"]);
        }
    }
}

#[test]
fn a_subject_expires_by_the_latest_end_that_it_was_changed_under() {
    let body = |end| format!("a user buy 2 {START} {end}");
    let mut logs = begun_with(&body(END + 9 * DAY));
    exposed(&mut logs, 0, NOON, NOON);
    logs.define(0, 200, 0, &body(END), NOON);
    bought(&mut logs, Some(1), NOON, NOON);
    logs.define(0, 200, 0, &body(END + 9 * DAY), NOON);
    let now = END + 3 * DAY;
    bought(&mut logs, Some(5), now, now);
    // 2 of the first day and 10 of this one: 144 less 4.
    assert_eq!(says(&oracle(&logs, 0), &day(now)), ["square 0 = 140", "sum 0 = 10"]);
}

#[test]
fn a_row_counts_under_the_definition_in_force_when_it_came() {
    let mut logs = begun();
    exposed(&mut logs, 0, NOON, NOON);
    bought(&mut logs, Some(5), NOON, NOON);
    logs.define(0, 200, 0, &format!("a user buy 3 {START} {END}"), NOON);
    bought(&mut logs, Some(5), NOON, NOON);
    assert_eq!(says(&oracle(&logs, 0), &day(NOON)), ["n 0 = 1", "square 0 = 625", "sum 0 = 25"]);
    // A body that is no experiment ends it.
    logs.define(0, 200, 0, "nothing", NOON);
    bought(&mut logs, Some(5), NOON, NOON);
    assert_eq!(says(&oracle(&logs, 0), &day(NOON)), ["n 0 = 1", "square 0 = 625", "sum 0 = 25"]);
}

#[test]
fn only_rows_of_the_flag_the_event_the_time_and_the_kind_take_part() {
    let rows = |body: &str| {
        let mut logs = begun_with(body);
        exposed(&mut logs, 0, NOON, NOON);
        bought(&mut logs, Some(5), NOON, NOON);
        days(&logs)
    };
    assert_eq!(rows(&format!("a user buy 2 {NOON} {}", NOON + 1)), 1);
    assert_eq!(rows(&format!("a user buy 2 {} {END}", NOON + 1)), 0);
    assert_eq!(rows(&format!("a user buy 2 {START} {NOON}")), 0);
    assert_eq!(rows(&format!("b user buy 2 {START} {END}")), 0);
    assert_eq!(rows(&format!("a device buy 2 {START} {END}")), 0);
    assert_eq!(rows(&format!("a user buy 2 {START}")), 0);
    assert_eq!(rows(&format!("a user buy two {START} {END}")), 0);
    assert_eq!(rows(&format!("a  user buy 2 {START} {END}")), 0);
}

#[test]
fn a_row_acts_in_the_partition_of_its_subject_alone_home_or_not() {
    let mut logs = Logs::new(small(3, 1_000));
    for partition in 0..3 {
        let version = u64::from(partition != 0) * 2;
        logs.define(partition, 200, version, &format!("a user buy 2 {START} {END}"), NOON);
        if partition != 0 {
            // An older version that comes later changes nothing.
            logs.define(partition, 200, 1, "nothing", NOON);
        }
    }
    let mut homes = 0;
    for unit in ["u1", "u2", "u3", "u4", "u5", "u6"] {
        let mut payload = empty(unit);
        exposure(&mut payload, "a", 0, NOON);
        payload.context_keys = vec![ContextKey { kind: "user".into(), key: unit.into() }];
        logs.payload(&payload, NOON);
    }
    let mut units = 0;
    for partition in 0..3 {
        let oracle = oracle(&logs, partition);
        let cell = CellKey { partition, name: CellName::Key("x".into()), ..day(NOON) };
        let n = oracle.at(&cell, u64::MAX).map_or(0, |facts| facts.iter().map(|(_, number)| number).sum());
        assert!(n < 6, "all in one partition: other keys are needed");
        units += n;
        homes += oracle.keys(u64::MAX).filter(|key| key.kind == CellKind::Books).count();
    }
    assert_eq!((units, homes), (6, 1));
}
