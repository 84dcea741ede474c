//! One rule at a time: which definition is in force, what is numbered and where, how long units are kept.

use super::house::{DAY, House, Row, appends};
use crate::cells::{ExperimentCounters, ExperimentNumbers, Slice};

const START: i64 = 19_000 * DAY;
const NOON: i64 = START + DAY / 2;
const LATENESS: i64 = 7 * DAY;
const SUM: &str = r#"{"key": "revenue", "event": "buy", "kind": "sum"}"#;

fn definition(more: &str, metrics: &str) -> String {
    format!(
        r#"{{"flag": "flag", "unitKind": "user", "start": {START}, "metrics": [{metrics}]{more},
        "variations": [{{"variation": 0, "weight": 50}}, {{"variation": 1, "weight": 50}}]}}"#
    )
}

fn ends(end: i64) -> String {
    format!(r#", "end": {end}"#)
}

fn exposure(who: &'static str, time_ms: i64, variation: u32) -> Row {
    Row::Exposure { who, time_ms, variation }
}

fn buy(who: &'static str, time_ms: i64, value: Option<i64>) -> Row {
    Row::Event { who, time_ms, key: "buy", value, sampling: 1 }
}

/// A log with one experiment `x`, and how many payloads it has had.
struct Told {
    house: House,
    partitions: u32,
    sent: u32,
}

impl Told {
    fn of(partitions: u32, definition: &str) -> Self {
        let mut house = House::new(partitions);
        house.define("x", definition, START);
        Self { house, partitions, sent: 0 }
    }

    fn send(&mut self, now: i64, rows: &[Row]) {
        self.sent += 1;
        self.again(now, rows);
    }

    /// The last payload once more.
    fn again(&mut self, now: i64, rows: &[Row]) {
        let id = format!("payload {}", self.sent);
        self.house.send(&appends(&id, "node", rows, self.partitions, now), now);
    }

    fn all(&self) -> ExperimentNumbers {
        self.house.result("x", Slice::All, u32::MAX)
    }

    fn counters(&self) -> ExperimentCounters {
        self.all().counters
    }

    /// Units, and the sum of the first metric, of a variation.
    fn arm(&self, arm: u8) -> (i64, i128) {
        let numbers = self.all();
        let arm = numbers.arms.get(&arm);
        let sum = arm.and_then(|arm| arm.metrics.get(&0)).map_or(0, |sums| sums.sum);
        (arm.map_or(0, |arm| arm.units), sum)
    }
}

#[test]
fn what_lacks_a_unit_and_what_comes_again_is_numbered_once_however_many_partitions_have_it() {
    for partitions in [1, 5] {
        let mut told = Told::of(partitions, &definition("", SUM));
        let rows = [
            exposure("alice", NOON, 0),
            exposure("bob", NOON, 1),
            buy("alice", NOON, Some(5)),
            buy("", NOON, Some(7)),
            exposure("", NOON, 1),
            Row::Event { who: "", time_ms: NOON, key: "visit", value: None, sampling: 1 },
            buy("", START - 1, Some(7)),
        ];
        told.send(NOON, &rows);
        assert_eq!(told.counters(), ExperimentCounters { unit_mismatch: 1, ..Default::default() }, "{partitions}");
        told.again(NOON, &rows);
        let expected = ExperimentCounters { unit_mismatch: 1, duplicate: 5, ..Default::default() };
        assert_eq!(told.counters(), expected, "{partitions}: of the flag and the event, within the experiment's times");
        assert_eq!((told.arm(0), told.arm(1)), ((1, 5), (1, 0)));
        let exposures: Vec<u64> = told.all().arms.values().map(|arm| arm.exposures).collect();
        assert_eq!(exposures, [1, 1], "those that act somewhere, once");
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_numbered() {
    let both = format!(r#"{SUM}, {{"key": "orders", "event": "buy", "kind": "count"}}"#);
    let mut told = Told::of(1, &definition("", &both));
    told.send(NOON, &[exposure("alice", NOON, 0), exposure("alice", NOON, 0), exposure("alice", NOON, 7)]);
    assert_eq!(told.all().arms[&0].exposures, 2);
    told.send(NOON, &[buy("alice", NOON, None), buy("alice", NOON, Some(3))]);
    let expected = ExperimentCounters { unknown_variation: 1, without_value: 1, ..Default::default() };
    assert_eq!(told.counters(), expected);
    let sums = told.all().arms[&0].metrics.clone();
    assert_eq!((sums[&0].sum, sums[&1].sum), (3, 2_000_000), "the count counts what has no value");
}

#[test]
fn what_is_as_old_as_the_horizon_is_late() {
    let now = START + LATENESS + DAY;
    let horizon = now - LATENESS;
    let mut told = Told::of(1, &definition("", SUM));
    told.send(now, &[exposure("alice", horizon, 0), buy("alice", horizon, Some(1))]);
    assert_eq!((told.arm(0), told.counters().late), ((0, 0), 2));
    told.send(now, &[exposure("alice", horizon + 1, 0), buy("alice", horizon + 1, Some(1))]);
    assert_eq!((told.arm(0), told.counters().late), ((1, 1), 2));
    told.send(now, &[exposure("bob", START - 1, 0)]);
    assert_eq!(told.counters().late, 2, "what lies before the start is no matter of the experiment's");
}

#[test]
fn an_event_waits_as_long_as_an_exposure_may_come_before_it() {
    for delay in [0, 3_600_000] {
        let metric = format!(r#"{{"key": "k", "event": "buy", "kind": "sum", "delayMs": {delay}}}"#);
        let mut told = Told::of(1, &definition("", &metric));
        let first = START + DAY;
        // The horizon is just below the latest exposure that the event counts after.
        let now = first - 1 + LATENESS;
        told.send(now, &[buy("alice", first + delay, Some(5))]);
        told.send(now, &[exposure("bob", now, 0)]);
        told.send(now, &[exposure("alice", first, 0)]);
        assert_eq!((told.arm(0), told.counters().late), ((2, 5), 0), "with a delay of {delay} ms");
    }
}

#[test]
fn a_window_goes_past_the_end_and_no_exposure_does() {
    let end = START + DAY;
    let window = r#"{"key": "revenue", "event": "buy", "kind": "sum", "windowMs": 1000}"#;
    let mut told = Told::of(1, &definition(&ends(end), window));
    told.send(end, &[exposure("alice", end - 1, 0), exposure("bob", end, 0)]);
    told.send(end, &[buy("alice", end + 998, Some(1)), buy("alice", end + 999, Some(2))]);
    assert_eq!(told.arm(0), (1, 1));
}

#[test]
fn a_definition_that_may_not_follow_is_passed() {
    let mut told = Told::of(3, &definition("", SUM));
    told.send(NOON, &[exposure("alice", NOON, 0)]);
    for wrong in ["nonsense".to_owned(), definition(r#", "multiple": "first_seen""#, SUM)] {
        told.house.define("x", &wrong, NOON);
        told.send(NOON, &[exposure("alice", NOON, 1)]);
        assert_eq!((told.arm(0), told.all().multiple), ((0, 0), 1), "after {wrong}");
    }
    let held = told.house.partitions.iter().map(|partition| partition.state.definition_version());
    assert!(held.collect::<Vec<_>>().iter().all(|version| *version > 1), "it has passed nevertheless");
    let body = told.house.definition("x");
    assert!(body.contains("revenue") && !body.contains("first_seen"), "readers find the one in force: {body}");
}

#[test]
fn no_unit_crosses_into_another_iteration() {
    let mut told = Told::of(1, &definition("", SUM));
    told.send(NOON, &[exposure("alice", NOON, 0), buy("alice", NOON, Some(5))]);
    told.house.partitions[0].flush(true);
    assert_eq!(told.house.partitions[0].saved_units(), 1);
    told.house.define("x", &definition(r#", "iteration": 2"#, SUM), NOON);
    assert_eq!(told.house.partitions[0].state.units(), 0);
    told.house.partitions[0].flush(true);
    assert_eq!(told.house.partitions[0].saved_units(), 0, "it goes from what is saved too");
    told.send(NOON, &[exposure("alice", NOON, 1)]);
    let days = told.house.days();
    let of = |iteration| days.iter().find(|((_, number, slice, _), _)| (*number, *slice) == (iteration, Slice::All));
    let (first, second) = (of(1).unwrap().1, of(2).unwrap().1);
    assert_eq!((first.arms[&0].units, second.arms[&1].units, second.multiple), (1, 1, 0));
    told.house.define("x", &definition("", SUM), NOON);
    told.send(NOON, &[exposure("bob", NOON, 0)]);
    assert_eq!(told.house.partitions[0].state.units(), 2, "no way leads back to an earlier one");
}

#[test]
fn a_metric_counts_of_units_that_were_exposed_when_it_was_there() {
    let mut told = Told::of(1, &definition("", SUM));
    told.send(NOON, &[exposure("alice", NOON, 0), buy("alice", NOON, Some(5))]);
    let more = format!(r#"{SUM}, {{"key": "orders", "event": "buy", "kind": "count"}}"#);
    told.house.define("x", &definition("", &more), NOON);
    told.send(NOON, &[exposure("bob", NOON, 0), buy("bob", NOON, Some(7)), buy("alice", NOON, Some(9))]);
    let sums = told.all().arms[&0].metrics.clone();
    assert_eq!((sums[&0].n, sums[&0].sum), (2, 21));
    assert_eq!((sums[&1].n, sums[&1].sum), (1, 1_000_000), "alice was exposed before it was added");
    told.send(NOON, &[exposure("alice", NOON - 1, 0)]);
    let sums = told.all().arms[&0].metrics.clone();
    assert_eq!((sums[&1].n, sums[&1].sum), (2, 2_000_000), "her first exposure is one that came after");
}

#[test]
fn units_go_when_nothing_of_them_can_come_any_more() {
    let end = START + 2 * DAY;
    let window = format!(r#"{{"key": "k", "event": "buy", "kind": "sum", "delayMs": {DAY}, "windowMs": {DAY}}}"#);
    let over = end + 2 * DAY + LATENESS;
    for (now, units) in [(over - 1, 1), (over, 0)] {
        let mut told = Told::of(1, &definition(&ends(end), &window));
        told.send(NOON, &[exposure("alice", NOON, 0), buy("alice", NOON + DAY, Some(5))]);
        told.house.partitions[0].flush(true);
        // Another environment's rows move the log's time as well; these are of nobody's experiment.
        told.send(now, &[Row::Event { who: "bob", time_ms: now, key: "other", value: None, sampling: 1 }]);
        assert_eq!(told.house.partitions[0].state.units(), units, "at {now}");
        told.house.partitions[0].flush(true);
        assert_eq!(told.house.partitions[0].saved_units(), units, "at {now}");
        told.house.partitions[0].restart();
        assert_eq!((told.arm(0), told.house.partitions[0].state.units()), ((1, 5), units), "what was counted stays");
    }
}

#[test]
fn a_unit_that_was_never_exposed_goes_when_its_events_cannot_count_any_more() {
    let last = NOON + LATENESS + DAY / 2;
    for (now, units) in [(last - 1, 1), (last, 0)] {
        let mut told = Told::of(1, &definition("", SUM));
        told.send(NOON, &[buy("alice", NOON, Some(5))]);
        told.send(NOON, &[buy("bob", NOON, Some(7)), exposure("carol", NOON, 0)]);
        told.send(NOON, &[exposure("bob", NOON, 0)]);
        told.house.partitions[0].flush(true);
        told.house.partitions[0].restart();
        told.send(now, &[Row::Event { who: "bob", time_ms: now, key: "other", value: None, sampling: 1 }]);
        assert_eq!(told.house.partitions[0].state.units(), 2 + units, "at {now}");
        told.send(now, &[buy("alice", now, Some(3)), exposure("alice", now, 0)]);
        told.house.partitions[0].flush(true);
        assert_eq!(told.house.partitions[0].saved_units(), 3, "she went and came again, at {now}");
        told.house.partitions[0].restart();
        assert_eq!((told.arm(0), told.house.partitions[0].state.units()), ((3, 10), 3), "at {now}");
    }
}

#[test]
fn as_many_events_of_a_unit_wait_as_may_and_the_next_is_left_out() {
    let mut told = Told::of(1, &definition("", SUM));
    // Nobody knows yet whether they count: the first exposure may still come.
    let events: Vec<Row> = (0..1_001).map(|n| buy("alice", NOON + n, Some(1))).collect();
    told.send(NOON, &events);
    assert_eq!((told.arm(0), told.counters().left_out), ((0, 0), 1));
    told.send(NOON, &[exposure("alice", NOON, 0)]);
    assert_eq!(told.arm(0), (1, 1_000));
    told.send(NOON, &events);
    assert_eq!((told.arm(0), told.counters().left_out), ((1, 2_001), 1), "what counts for good need not wait");
}

#[test]
fn where_room_is_made_for_an_event_no_day_is_lost() {
    let window = format!(r#"{{"key": "k", "event": "buy", "kind": "sum", "windowMs": {}}}"#, 30 * DAY);
    let mut told = Told::of(1, &definition("", &window));
    told.send(NOON, &[exposure("alice", START, 0)]);
    // They count as things are; an earlier exposure might still change that.
    told.send(NOON, &(0..1_000).map(|n| buy("alice", START + n, Some(1))).collect::<Vec<_>>());
    let now = NOON + LATENESS + DAY;
    told.send(now, &[buy("alice", now, Some(5))]);
    assert_eq!((told.arm(0), told.counters().left_out), ((1, 1_005), 0));
    let first_day = told.house.result("x", Slice::All, 19_000);
    assert_eq!(first_day.arms[&0].metrics[&0].sum, 1_000);
}

#[test]
fn dimensions_are_those_of_the_first_exposure() {
    let text = r#", "dimensions": [{"attribute": "sdk", "values": ["node", "python"]}]"#;
    let mut house = House::new(1);
    house.define("x", &definition(text, SUM), START);
    for (number, sdk, time_ms) in [(1, "ruby", NOON), (2, "python", NOON - 1), (3, "node", NOON - 1)] {
        house.send(&appends(&number.to_string(), sdk, &[exposure("alice", time_ms, 0)], 1, NOON), NOON);
        let slices = [Slice::Value(0, 0), Slice::Value(0, 1), Slice::Other(0)];
        let units = slices.map(|slice| house.result("x", slice, u32::MAX).arms.get(&0).map_or(0, |arm| arm.units));
        // At equal times it is the lower value.
        assert_eq!(units, [[0, 0, 1], [0, 1, 0], [1, 0, 0]][number - 1], "after {sdk}");
    }
}

#[test]
fn cells_of_a_definition_that_no_exposure_met_are_none() {
    let mut told = Told::of(3, &definition("", SUM));
    told.send(NOON, &[buy("alice", NOON, Some(5))]);
    assert!(told.house.days().is_empty(), "an event that may count later changes no cell");
}
