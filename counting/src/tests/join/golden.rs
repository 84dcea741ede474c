//! `golden/*.json`: what a set of events comes to. Each case goes through the fold in many orders, cut into one or
//! three partitions and into restarts at random, on one day or across midnight; all must give the same bytes, and each
//! field of `expected` must be as it says. A case dropped in is tested with no line of code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemas::event::{
    ContextKey, Conversion, ConversionKind, Element, ElementKind, Evaluation, Payload, PayloadId, Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::log::Append;
use schemas::old_path::Gated;
use schemas::record::{self, Judged, Stamp};
use schemas::rejection::Rejections;
use schemas::split::split;
use serde_json::{Value, json};
use stats::{Alpha, Arm, I256, Moments};

use super::house::{DAY, House, environment};
use crate::cells::{ExperimentNumbers, ExperimentSums, Slice};
use crate::tests::dice::Dice;

const ORDERS: u64 = 200;
const KEY: &str = "case";
/// Where the cases' time 0 lies: on one day, and so that midnight comes between their events.
const BEGINNINGS: [i64; 3] = [19_000 * DAY, 19_000 * DAY - 50_000, 19_000 * DAY - 3_000];
const PARTITIONS: [u32; 2] = [1, 3];

#[test]
fn every_case_comes_to_what_it_says_in_every_order() {
    let mut cases = 0;
    for file in std::fs::read_dir(PathBuf::from("golden")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let family: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let all = family["cases"].as_array().unwrap_or_else(|| panic!("{} has no cases", path.display()));
        // Two at a time: a case has hundreds of thousands of records.
        for pair in all.chunks(2) {
            std::thread::scope(|scope| pair.iter().for_each(|case| drop(scope.spawn(|| check(case)))));
        }
        cases += all.len();
    }
    assert!(cases >= 12, "only {cases} cases were found");
}

fn check(case: &Value) {
    let id = case["id"].as_str().unwrap();
    assert_eq!(case["method"], "join_and_aggregate", "{id} is of another method");
    let average = case["input"]["metric"]["kind"] == "average";
    let events: Vec<&Value> = case["input"]["events"].as_array().unwrap().iter().collect();
    let sent: BTreeMap<(i64, u32), Vec<Vec<Append>>> = BEGINNINGS
        .into_iter()
        .flat_map(|beginning| PARTITIONS.map(|partitions| (beginning, partitions)))
        .map(|at| (at, events.iter().map(|event| appends(event, at)).collect()))
        .collect();
    let mut found: Option<ExperimentNumbers> = None;
    for order in 0..=ORDERS {
        let dice = &mut Dice::new(order);
        let (beginning, partitions) = (dice.pick(&BEGINNINGS), dice.pick(&PARTITIONS));
        let mut places: Vec<usize> = (0..events.len()).collect();
        if order > 0 {
            (1..places.len()).for_each(|place| places.swap(place, dice.below(place + 1)));
        }
        let mut house = House::new(partitions);
        let now = beginning + 6 * DAY;
        house.define(KEY, &definition(&case["input"], beginning), now);
        let trouble = 400 / (places.len() + 1) + 1;
        for place in places {
            house.send(&sent[&(beginning, partitions)][place], now);
            if dice.percent(trouble.min(30)) {
                house.trouble(dice);
            }
        }
        let result = house.result(KEY, Slice::All, u32::MAX);
        let first = found.get_or_insert_with(|| result.clone());
        assert_eq!(result, *first, "{id}: order {order} gives another result");
    }
    compare(id, case, &found.unwrap_or_default(), average);
}

/// The case's experiment as people would define it.
fn definition(input: &Value, beginning: i64) -> String {
    let (experiment, metric) = (&input["experiment"], &input["metric"]);
    let variations = experiment["variations"].as_array().unwrap();
    let weight = 100_000 / variations.len();
    let arm = |variation: &Value| json!({"variation": variation, "weight": weight});
    let time = |name: &str| experiment[name].as_i64().map(|time| beginning + time);
    json!({
        "flag": experiment["flag"],
        "unitKind": experiment["unit_kind"],
        "variations": variations.iter().map(arm).collect::<Vec<_>>(),
        "start": time("start"),
        "end": time("end"),
        "multiple": experiment["multiple"],
        "metrics": [{
            "key": "metric",
            "event": metric["key"],
            "kind": metric["kind"],
            "denominatorEvent": metric["denominator"],
            "windowMs": metric["window"],
            "delayMs": metric["delay"],
            "cap": metric["cap"],
            "missing": metric["missing"],
        }],
    })
    .to_string()
}

/// An event as a payload of its own, with its id.
fn appends(event: &Value, (beginning, partitions): (i64, u32)) -> Vec<Append> {
    let id = event["id"].as_str().unwrap().as_bytes().to_vec();
    let mut payload = Payload { id: Some(PayloadId::Sent(id)), ..Payload::default() };
    let time_ms = beginning + event["ts"].as_i64().unwrap();
    for (kind, key) in event["unit"].as_object().unwrap() {
        payload.context_keys.push(ContextKey { kind: kind.into(), key: key.as_str().unwrap().into() });
    }
    let contexts = 0..payload.context_keys.len() as u32;
    let exposure = event["type"] == "exposure";
    let kind = if exposure { ElementKind::Feature } else { ElementKind::Custom };
    payload.elements.push(Element { kind, time_ms: Some(time_ms) });
    if exposure {
        let variation = match &event["variation"] {
            Value::Number(index) => Variation::Index(index.as_u64().unwrap() as u32),
            Value::String(name) => Variation::Name(name.into()),
            _ => Variation::Default,
        };
        let flag = event["flag"].as_str().unwrap().into();
        let in_experiment = event["in_experiment"] == true;
        let reason = Reason::Fallthrough;
        let exposure = Evaluation { element: 0, flag, variation, version: None, reason, in_experiment, contexts };
        payload.evaluations.push(exposure);
    } else {
        let value = event["value"].as_number().and_then(|value| Micros::parse(&value.to_string()));
        let (key, kind) = (event["key"].as_str().unwrap().into(), ConversionKind::Custom);
        payload.conversions.push(Conversion { element: 0, kind, key, value, sampling: 1, contexts });
    }
    let judged = [Judged { time_ms, clamped: false, late: false }];
    let (environment, carried) = (environment(), Rejections::default());
    let stamp = Stamp { environment: &environment, received_ms: time_ms, carried: &carried, gated: Gated::No };
    record::encode(&payload, &split(&environment, &payload, partitions), &judged, &stamp)
}

/// Every field of `expected`, and none that is not known here.
fn compare(id: &str, case: &Value, found: &ExperimentNumbers, average: bool) {
    let close = |what: &str, found: f64, expected: &Value| {
        let expected = expected.as_f64().unwrap_or_else(|| panic!("{id}: {what} is {expected}"));
        let of = |name: &str| case["tolerance"][name].as_f64().unwrap();
        let allowed = (of("rel") * found.abs().max(expected.abs())).max(of("abs"));
        assert!((found - expected).abs() <= allowed, "{id}: {what} is {found}, should be {expected}");
    };
    let steps = if average { 1e12 } else { 1e6 };
    let arm = |name: &str| {
        let variations = case["input"]["experiment"]["variations"].as_array().unwrap();
        let text = |variation: &Value| variation.as_str().map_or(variation.to_string(), str::to_owned);
        let place = variations.iter().position(|variation| text(variation) == name);
        found.arms.get(&(place.unwrap_or_else(|| panic!("{id}: no variation {name}")) as u8))
    };
    let sums = |name: &str| arm(name).and_then(|arm| arm.metrics.get(&0)).copied().unwrap_or_default();
    for (field, expected) in case["expected"].as_object().unwrap() {
        match field.as_str() {
            "units" => {
                for (name, expected) in expected.as_object().unwrap() {
                    assert_eq!(Some(arm(name).map_or(0, |arm| arm.units)), expected.as_i64(), "{id}: units of {name}");
                }
            }
            "stats" => {
                for (name, expected) in expected.as_object().unwrap() {
                    let sums = sums(name);
                    for (field, expected) in expected.as_object().unwrap() {
                        let found = match field.as_str() {
                            "n" => sums.n as f64,
                            "sum" => sums.sum as f64 / steps,
                            "sum_sq" => sums.square.as_f64() / steps / steps,
                            other => panic!("{id}: nothing is known of stats.{other}"),
                        };
                        close(&format!("{field} of {name}"), found, expected);
                    }
                }
            }
            "multiple" => assert_eq!(Some(found.multiple), expected.as_i64(), "{id}: multiple"),
            "unit_mismatch" => assert_eq!(Some(found.counters.unit_mismatch), expected.as_u64(), "{id}: mismatch"),
            "duplicates" => assert_eq!(Some(found.counters.duplicate), expected.as_u64(), "{id}: duplicates"),
            "late" => assert_eq!(Some(found.counters.late), expected.as_u64(), "{id}: late"),
            "welch" => {
                let moments = |sums: ExperimentSums| moments(&sums, average);
                let [control, treatment] = [moments(sums("0")), moments(sums("1"))];
                let told = stats::welch::welch(&control, &treatment, Alpha::new(0.05).unwrap()).unwrap();
                for (field, expected) in expected.as_object().unwrap() {
                    let found = match field.as_str() {
                        "diff" => told.difference.estimate,
                        "se" => told.se,
                        "df" => told.df,
                        "t" => told.t,
                        "p_two_sided" => told.p.value(),
                        "ci_low" => told.difference.low,
                        "ci_high" => told.difference.high,
                        other => panic!("{id}: nothing is known of welch.{other}"),
                    };
                    close(&format!("welch's {field}"), found, expected);
                }
            }
            other => panic!("{id}: nothing is known of {other}"),
        }
    }
}

fn moments(sums: &ExperimentSums, average: bool) -> Arm {
    let n = u64::try_from(sums.n).unwrap();
    let square = I256::from_be_bytes(sums.square.to_be_bytes());
    let moments = if average {
        Moments::raw(n, sums.sum as f64 / 1e12, square.as_f64() / 1e24)
    } else {
        Moments::exact(n, sums.sum, square)
    };
    Arm::mean(&moments.unwrap()).unwrap()
}
