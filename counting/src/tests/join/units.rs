//! Units against a naive recomputation: all rows are kept, and what each day says is worked out from the beginning.
//! And what is read again after a loss is, byte by byte, what was there.

use std::collections::{BTreeMap, BTreeSet};

use super::house::{DAY, House, Row, appends};
use crate::cells::{ExperimentNumbers, Slice};
use crate::tests::dice::Dice;
use crate::tests::seeds;

const HOUR: i64 = 3_600_000;
const START: i64 = 19_000 * DAY;
const LATENESS: i64 = 7 * DAY;
const ONE: i128 = 1_000_000;

type Facts = BTreeMap<String, i128>;

/// A metric of every kind: (kind, event, denominator, delay, window, cap, a unit without events counts).
type Metric = (&'static str, &'static str, &'static str, i64, Option<i64>, Option<i128>, bool);

const METRICS: [Metric; 6] = [
    ("once", "buy", "", 0, None, None, true),
    ("count", "buy", "", 0, Some(2 * DAY), None, true),
    ("sum", "buy", "", 5 * HOUR, Some(9 * DAY), Some(12 * ONE), true),
    ("average", "buy", "", 0, None, Some(5 * ONE), false),
    ("ratio", "buy", "visit", HOUR, Some(DAY), None, false),
    ("sum", "visit", "", 0, Some(8 * DAY), None, false),
];

fn definition(multiple: &str, end: i64) -> String {
    let metric = |(place, metric): (usize, &Metric)| {
        let (kind, event, denominator, delay, window, cap, counts) = *metric;
        let mut fields = format!(r#""key": "{place}", "kind": "{kind}", "event": "{event}", "delayMs": {delay}"#);
        if !denominator.is_empty() {
            fields += &format!(r#", "denominatorEvent": "{denominator}""#);
        }
        fields += &window.map_or(String::new(), |window| format!(r#", "windowMs": {window}"#));
        fields += &cap.map_or(String::new(), |cap| format!(r#", "cap": {}"#, cap / ONE));
        fields += if counts { r#", "missing": "zero""# } else { r#", "missing": "exclude""# };
        format!("{{{fields}}}")
    };
    let metrics: Vec<String> = METRICS.iter().enumerate().map(metric).collect();
    format!(
        r#"{{"flag": "flag", "unitKind": "user", "start": {START}, "end": {end}, "multiple": "{multiple}",
        "variations": [{{"variation": 0, "weight": 50}}, {{"variation": 1, "weight": 50}}],
        "dimensions": [{{"attribute": "sdk", "values": ["node", "python"]}}], "metrics": [{}]}}"#,
        metrics.join(",")
    )
}

/// A row that took part, and from which SDK it came.
type Kept = (Row, &'static str);

/// What the rows of one unit say of all before `end`: facts of a day, by units.
fn says(rows: &[Kept], multiple: &str, experiment_end: i64, end: i64) -> BTreeMap<Slice, Facts> {
    let exposures: Vec<(i64, u32, u8)> = rows
        .iter()
        .filter_map(|(row, sdk)| match *row {
            Row::Exposure { time_ms, variation, .. } if time_ms < end => {
                let place = ["node", "python"].iter().position(|value| value == sdk);
                Some((time_ms, variation, place.map_or(255, |place| place as u8)))
            }
            _ => None,
        })
        .collect();
    let Some(&(first, variation, sdk)) = exposures.iter().min() else { return BTreeMap::new() };
    let met: BTreeSet<u32> = exposures.iter().map(|(_, variation, _)| *variation).collect();
    let mut facts = Facts::new();
    if met.len() > 1 {
        facts.insert("multiple".into(), 1);
    }
    if met.len() == 1 || multiple == "first_seen" {
        facts.insert(format!("units of {variation}"), 1);
        for (place, metric) in METRICS.iter().enumerate() {
            if let Some((y, d)) = value(rows, metric, first, experiment_end, end) {
                let of = [("n", 1), ("sum", y), ("square", y * y), ("under", d), ("under²", d * d), ("product", y * d)];
                let named = of.map(|(what, number)| (format!("{what} of {place} in {variation}"), number));
                facts.extend(named.into_iter().filter(|(_, number)| *number != 0));
            }
        }
    }
    let of_sdk = if sdk == 255 { Slice::Other(0) } else { Slice::Value(0, sdk) };
    [(Slice::All, facts.clone()), (of_sdk, facts)].into()
}

fn value(rows: &[Kept], metric: &Metric, first: i64, experiment_end: i64, end: i64) -> Option<(i128, i128)> {
    let (kind, event, denominator, delay, window, cap, counts) = *metric;
    let (mut number, mut sum, mut under) = (0, 0, 0);
    for (row, _) in rows {
        let Row::Event { time_ms, key, value, sampling, .. } = *row else { continue };
        let until = window.map_or(experiment_end, |window| first + delay + window);
        if !(first + delay..until.min(end)).contains(&time_ms) {
            continue;
        }
        let needs_value = !["once", "count"].contains(&kind);
        if (key == event || key == denominator) && (value.is_some() || !needs_value) {
            let (times, value) = (i128::from(sampling), i128::from(value.unwrap_or(0)));
            number += times;
            sum += if key == event { value * times } else { 0 };
            under += if key == denominator { value * times } else { 0 };
        }
    }
    if number == 0 && !counts {
        return None;
    }
    let y = match kind {
        "once" => number.min(1) * ONE,
        "count" => number * ONE,
        // Of whole and half units only: a third would be rounded.
        "average" => (sum * ONE + (number / 2) * sum.signum()).checked_div(number).unwrap_or(0),
        _ => sum,
    };
    let cap = cap.map(|cap| if kind == "average" { cap * ONE } else { cap });
    Some((cap.map_or(y, |cap| y.min(cap)), under))
}

/// The facts of a cell.
fn facts(numbers: &ExperimentNumbers) -> Facts {
    let mut facts: Facts = [("multiple".to_owned(), i128::from(numbers.multiple))].into();
    for (variation, arm) in &numbers.arms {
        facts.insert(format!("units of {variation}"), arm.units.into());
        for (place, sums) in &arm.metrics {
            let wide = [("square", sums.square), ("under²", sums.under_square), ("product", sums.product)];
            let narrow = [("n", i128::from(sums.n)), ("sum", sums.sum), ("under", sums.under)];
            let all = wide.map(|(what, number)| (what, i128::try_from(number).unwrap())).into_iter().chain(narrow);
            facts.extend(all.map(|(what, number)| (format!("{what} of {place} in {variation}"), number)));
        }
    }
    facts.retain(|_, number| *number != 0);
    facts
}

/// A story of some units: payloads of a few rows, each with the log's time at which it comes.
fn story(dice: &mut Dice) -> Vec<(i64, String, &'static str, Vec<Row>)> {
    let (mut now, mut story) = (START + DAY, Vec::new());
    for number in 0..60 {
        now += dice.below(12 * HOUR as usize) as i64;
        let rows = (0..1 + dice.below(3)).map(|_| row(dice, now)).collect();
        story.push((now, format!("payload {number}"), dice.pick(&["node", "python", "ruby"]), rows));
    }
    story
}

fn row(dice: &mut Dice, now: i64) -> Row {
    let who = dice.pick(&["alice", "bob", "carol"]);
    // Often at the same hour, so that times meet; sometimes late, or at the horizon itself.
    let hours = if dice.percent(20) { 8 * 24 + 1 } else { 40 };
    let back = dice.below(hours) as i64 * HOUR;
    let time_ms = if dice.percent(50) { (now - back) / HOUR * HOUR } else { now - back };
    let variation = u32::from(dice.percent(4));
    if dice.percent(40) {
        return Row::Exposure { who, time_ms, variation };
    }
    let value = dice.percent(80).then(|| (dice.below(20) as i64 - 4) * 500_000);
    Row::Event { who, time_ms, key: dice.pick(&["buy", "visit"]), value, sampling: dice.pick(&[1, 1, 1, 3]) }
}

#[test]
fn every_day_says_what_a_naive_recomputation_says() {
    let (mut settled, mut late, mut multiple) = (0, 0, 0);
    for seed in 0..seeds(25) {
        let dice = &mut Dice::new(seed);
        let policy = dice.pick(&["exclude", "first_seen"]);
        let (end, partitions) = (START + dice.pick(&[12, 30]) * DAY, dice.pick(&[1, 3]));
        let mut house = House::new(partitions);
        house.define("x", &definition(policy, end), START);
        let mut kept: BTreeMap<&str, Vec<Kept>> = BTreeMap::new();
        for (now, id, sdk, rows) in story(dice) {
            house.send(&appends(&id, sdk, &rows, partitions, now), now);
            for row in rows {
                let (Row::Exposure { who, time_ms, .. } | Row::Event { who, time_ms, .. }) = row;
                let takes_part = time_ms > now - LATENESS && time_ms >= START;
                late += u32::from(!takes_part);
                let too_late = matches!(row, Row::Exposure { .. }) && time_ms >= end;
                if takes_part && !too_late {
                    kept.entry(who).or_default().push((row, sdk));
                }
            }
            if dice.percent(10) {
                house.trouble(dice);
            }
        }
        let mut expected: BTreeMap<(Slice, u32), Facts> = BTreeMap::new();
        // Windows end nine days after the end at the latest.
        for day in 19_000..19_040_u32 {
            for rows in kept.values() {
                for (until, sign) in [(i64::from(day) + 1, 1), (i64::from(day), -1)] {
                    for (slice, said) in says(rows, policy, end, until * DAY) {
                        let cell = expected.entry((slice, day)).or_default();
                        said.into_iter().for_each(|(what, number)| *cell.entry(what).or_default() += sign * number);
                    }
                }
            }
        }
        expected.values_mut().for_each(|facts| facts.retain(|_, number| *number != 0));
        expected.retain(|_, facts| !facts.is_empty());
        let found = house.days().into_iter().map(|((.., slice, day), numbers)| ((slice, day), facts(&numbers)));
        let found: BTreeMap<_, _> = found.filter(|(_, facts)| !facts.is_empty()).collect();
        for (place, facts) in &expected {
            assert_eq!(found.get(place), Some(facts), "seed {seed}, {policy}, {place:?}");
        }
        assert_eq!(found.len(), expected.len(), "seed {seed}: a cell that nobody expects");
        multiple += expected.values().filter(|facts| facts.contains_key("multiple")).count();
        settled += house.partitions.iter().map(|partition| partition.state.units()).sum::<usize>();
    }
    println!("{settled} units, {late} rows late, {multiple} days on which units were found in several variations");
    assert!(late > 20 && multiple > 20 && settled > 20, "the stories are too tame");
}

#[test]
fn what_is_read_again_after_a_loss_is_what_was_there() {
    for seed in 0..seeds(25) {
        let dice = &mut Dice::new(seed);
        let partitions = dice.pick(&[1, 3]);
        let (mut calm, mut troubled) = (House::new(partitions), House::new(partitions));
        let text = definition("exclude", START + 30 * DAY);
        [&mut calm, &mut troubled].into_iter().for_each(|house| house.define("x", &text, START));
        for (now, id, sdk, rows) in story(dice) {
            let appends = appends(&id, sdk, &rows, partitions, now);
            calm.send(&appends, now);
            troubled.send(&appends, now);
            if dice.percent(30) {
                troubled.trouble(dice);
            }
        }
        for (partition, (calm, troubled)) in calm.bytes().into_iter().zip(troubled.bytes()).enumerate() {
            assert_eq!(calm.0, troubled.0, "seed {seed}: cells of partition {partition}");
            assert_eq!(calm.1, troubled.1, "seed {seed}: state of partition {partition}");
        }
    }
}
