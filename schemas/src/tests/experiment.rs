//! Definitions of experiments: there and back, each wrong field by its name, and which may follow which.

use proptest::prelude::*;

use crate::experiment::{
    Arm, Attribute, Dimension, Direction, Experiment, ITERATION_MS_MAX, METRICS_MAX, Method, Metric, MetricKind,
    Missing, Multiple, Role, START_MS_MAX, VARIATIONS_MAX, VariationKey, WINDOW_MS_MAX,
};
use crate::fixed::{MICROS_MAX, Micros};
use crate::record::StoredVariation;

/// A definition as people write it; `$field` of it replaced.
fn with(field: &str, value: &str) -> String {
    let mut fields = vec![
        ("flag", r#""checkout""#),
        ("unitKind", r#""user""#),
        ("variations", r#"[{"variation": 0, "weight": 0.5, "control": true}, {"variation": 1, "weight": 0.5}]"#),
        ("start", "1000"),
        ("end", "100000"),
        ("metrics", r#"[{"key": "revenue", "event": "purchase", "kind": "sum"}]"#),
    ];
    fields.retain(|(name, _)| *name != field);
    if !value.is_empty() {
        fields.push((field, value));
    }
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

fn metric(more: &str) -> String {
    with("metrics", &format!(r#"[{{"key": "revenue", "event": "purchase", "kind": "sum"{more}}}]"#))
}

fn arms(weights: &[&str]) -> String {
    let arm = |(index, weight): (usize, &&str)| format!(r#"{{"variation": {index}, "weight": {weight}}}"#);
    with("variations", &format!("[{}]", weights.iter().enumerate().map(arm).collect::<Vec<_>>().join(",")))
}

fn good(text: &str) -> Experiment {
    Experiment::parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// All that is wrong with it, a line each.
fn problems(text: &str) -> String {
    let problems = Experiment::parse(text.as_bytes()).expect_err(text);
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_left_out_has_a_default() {
    let short = good(&with("end", ""));
    assert_eq!((short.iteration, short.multiple, short.alpha), (1, Multiple::Exclude, Micros(50_000)));
    assert_eq!((short.method, short.end_ms), (Method::AsymptoticConfidenceSequence, None));
    assert_eq!(short.end_ms(), 1_000 + ITERATION_MS_MAX, "an open iteration ends by itself");
    let [metric] = &short.metrics[..] else { panic!("{:?}", short.metrics) };
    assert_eq!((metric.window_ms, metric.delay_ms, metric.cap, metric.missing), (None, 0, None, Missing::Zero));
    assert_eq!((metric.direction, metric.role, metric.minimum_effect), (Direction::Increase, Role::Goal, None));
    let average = with("metrics", r#"[{"key": "k", "event": "e", "kind": "average"}]"#);
    assert_eq!(good(&average).metrics[0].missing, Missing::Exclude);
    let first = good(&arms(&["50", "50"]));
    assert!(first.arms[0].control && !first.arms[1].control, "the first is the control where none is named");
}

#[test]
fn a_wrong_field_is_named() {
    for (text, expected) in [
        (with("flag", ""), "`flag` is missing"),
        (with("flag", "7"), "`flag` is 7; give a text of 1 to 256 bytes"),
        (with("flag", r#""""#), "`flag` is \"\"; key is empty; give a text of 1 to 256 bytes"),
        (with("unitKind", "null"), "`unitKind` is missing"),
        (with("start", "-1"), "`start` is -1; give a whole number of Unix milliseconds from 0 to 4102444799999"),
        (with("end", "1000"), "`end` is 1000, not after the start (1000); give a later one, or none"),
        (with("end", "999"), "`end` is 999, not after the start (1000); give a later one, or none"),
        (with("end", "15552001001"), "`end` is 15552001001; an iteration lasts 180 days at most, so to 15552001000"),
        (with("multiple", r#""last""#), "`multiple` is \"last\"; give one of \"exclude\", \"first_seen\""),
        (
            with("method", r#""magic""#),
            "`method` is \"magic\"; give one of \"asymptotic_confidence_sequence\", \"fixed\", \"bayesian\"",
        ),
        (with("alpha", "0"), "`alpha` is 0; give a share above 0 and below 0.5"),
        (with("alpha", "0.5"), "`alpha` is 0.5; give a share above 0 and below 0.5"),
        (with("colour", "1"), "`colour` is no field of a definition"),
        (with("metrics", "{}"), "`metrics` is {}; give a list\n`metrics` has 0; give 1 to 20"),
        (with("metrics", "[7]"), "`metrics[0]` is 7; give a JSON object"),
        (
            arms(&["1"]),
            "`variations` has 1; give 2 to 10\n\
             `variations` has fewer than two with a weight above 0; give two at least",
        ),
        (arms(&["0.5", "0.6"]), "`variations` has weights that add up to 1.1; make it 1, or 100 (percent)"),
        (arms(&["50", "49.8"]), "`variations` has weights that add up to 99.8; make it 1, or 100 (percent)"),
        (arms(&["1", "0"]), "`variations` has fewer than two with a weight above 0; give two at least"),
        (arms(&["-1", "2"]), "`variations[0].weight` is -1; give a share of the units, from 0"),
        (
            with("variations", r#"[{"variation": 0, "weight": 0.5}, {"variation": 0, "weight": 0.5}]"#),
            "`variations` has Index(0) twice; give each once",
        ),
        (
            with(
                "variations",
                r#"[{"variation": 0, "weight": 5, "control": true}, {"variation": 1, "weight": 95, "control": true}]"#,
            ),
            "`variations` has 2 controls; give one",
        ),
        (
            with("variations", r#"[{"variation": 1.5, "weight": 50}, {"variation": 1, "weight": 50, "control": 1}]"#),
            "`variations[0].variation` is 1.5; give an index, or a name as text\n\
             `variations[1].control` is 1; give true or false",
        ),
        (
            metric(r#", "windowMs": 0"#),
            "`metrics[0].windowMs` is 0; give a whole number of milliseconds from 1 to 7776000000",
        ),
        (
            metric(r#", "windowMs": "forever""#),
            "`metrics[0].windowMs` is \"forever\"; give a whole number of milliseconds from 1 to 7776000000",
        ),
        (
            metric(r#", "delayMs": -5"#),
            "`metrics[0].delayMs` is -5; give a whole number of milliseconds from 0 to 7776000000",
        ),
        (metric(r#", "cap": -0.1"#), "`metrics[0].cap` is -0.1; give a number from 0 to 10^12"),
        (metric(r#", "cap": 1e308"#), "`metrics[0].cap` is 1e308; give a number from 0 to 10^12"),
        (metric(r#", "missing": "ignore""#), "`metrics[0].missing` is \"ignore\"; give one of \"zero\", \"exclude\""),
        (metric(r#", "direction": "up""#), "`metrics[0].direction` is \"up\"; give one of \"increase\", \"decrease\""),
        (metric(r#", "role": "main""#), "`metrics[0].role` is \"main\"; give one of \"goal\", \"guardrail\""),
        (
            metric(r#", "minimumEffect": 0"#),
            "`metrics[0].minimumEffect` is 0; give a relative effect above 0, 0.02 for 2 %",
        ),
        (
            metric(r#", "unitKind": "org""#),
            "`metrics[0].unitKind` is \"org\", and the experiment's units are \"user\"; give the same, or none",
        ),
        (
            metric(r#", "denominatorEvent": "visit""#),
            "`metrics[0].denominatorEvent` is for ratios; leave it out of a metric of kind \"sum\"",
        ),
        (
            with("metrics", r#"[{"key": "k", "event": "e", "kind": "ratio"}]"#),
            "`metrics[0].denominatorEvent` is missing; a ratio needs one",
        ),
        (
            with("metrics", r#"[{"key": "k", "event": "e", "kind": "median"}]"#),
            "`metrics[0].kind` is \"median\"; give one of \"once\", \"count\", \"sum\", \"average\", \"ratio\"",
        ),
        (
            with(
                "metrics",
                r#"[{"key": "k", "event": "e", "kind": "sum"}, {"key": "k", "event": "f", "kind": "once"}]"#,
            ),
            "`metrics[1].key` is \"k\", as another's; give each its own",
        ),
        (
            with("dimensions", r#"[{"attribute": "country", "values": ["de"]}]"#),
            "`dimensions[0].attribute` is \"country\"; give one of \"application\", \
             \"applicationVersion\", \"sdk\", \"sdkVersion\"",
        ),
        (
            with("dimensions", r#"[{"attribute": "sdk", "values": []}, {"attribute": "sdk", "values": ["a", "a"]}]"#),
            "`dimensions[0].values` is empty; give those that are to be told apart\n\
             `dimensions[1].values[1]` is \"a\" again; give each once\n\
             `dimensions[1].attribute` is \"sdk\", as another's; give each once",
        ),
        ("[]".to_owned(), "`definition` is []; give a JSON object"),
    ] {
        assert_eq!(problems(&text), expected, "{text}");
    }
    assert!(problems("{").starts_with("`definition` is no JSON object: "));
    assert_eq!(
        Experiment::parse(b"\xff").unwrap_err()[0].to_string(),
        "`definition` is not Unicode; give a JSON object"
    );
}

#[test]
fn each_limit_lets_its_last_value_pass() {
    let many = |count: usize| {
        let metrics: Vec<String> =
            (0..count).map(|n| format!(r#"{{"key": "k{n}", "event": "e", "kind": "once"}}"#)).collect();
        with("metrics", &format!("[{}]", metrics.join(",")))
    };
    assert_eq!(good(&many(METRICS_MAX)).metrics.len(), METRICS_MAX);
    assert_eq!(problems(&many(METRICS_MAX + 1)), "`metrics` has 21; give 1 to 20");
    assert_eq!(good(&arms(&["10"; VARIATIONS_MAX])).arms.len(), VARIATIONS_MAX);
    assert!(problems(&arms(&["9"; VARIATIONS_MAX + 1])).starts_with("`variations` has 11; give 2 to 10"));
    for weights in [["33.3", "33.3", "33.3"], ["0.333", "0.333", "0.333"], ["33333", "33333", "33334"]] {
        assert_eq!(good(&arms(&weights)).arms.len(), 3, "{weights:?}");
    }
    assert_eq!(good(&metric(&format!(r#", "windowMs": {WINDOW_MS_MAX}"#))).metrics[0].window_ms, Some(WINDOW_MS_MAX));
    assert_eq!(good(&with("end", "15552001000")).end_ms(), 1_000 + ITERATION_MS_MAX);
    let values = |count: usize| {
        let values: Vec<String> = (0..count).map(|n| format!("\"{n}\"")).collect();
        with("dimensions", &format!(r#"[{{"attribute": "sdk", "values": [{}]}}]"#, values.join(",")))
    };
    assert_eq!(good(&values(20)).dimensions[0].values.len(), 20);
    assert_eq!(problems(&values(21)), "`dimensions` has 21 values in all; give 20 at most");
}

#[test]
fn numbers_are_read_as_they_are_written() {
    let cap = |text: &str| good(&metric(&format!(r#", "cap": {text}"#))).metrics[0].cap;
    assert_eq!(cap("999999999999.999999"), Some(Micros(MICROS_MAX - 1)), "a double has not so many digits");
    assert_eq!(cap("1e2"), Some(Micros(100_000_000)));
}

#[test]
fn the_log_may_have_fields_that_this_build_does_not_know() {
    let text = with("colour", r#"{"of": ["people"]}"#);
    assert_eq!(Experiment::decode(text.as_bytes()), Ok(good(&with("", ""))));
}

#[test]
fn an_arm_is_found_by_what_the_sdk_tells() {
    let text = r#"[{"variation": "b", "weight": 50}, {"variation": 7, "weight": 50}]"#;
    let experiment = good(&with("variations", text));
    assert_eq!(experiment.arms[0].variation, VariationKey::Index(7), "indices come before names");
    assert!(experiment.arms[1].control, "the one that was listed first");
    assert_eq!(experiment.arm_of(&StoredVariation::Index(7)), Some(0));
    assert_eq!(experiment.arm_of(&StoredVariation::Name(b"b")), Some(1));
    for other in [StoredVariation::Index(0), StoredVariation::Name(b"7"), StoredVariation::Default] {
        assert_eq!(experiment.arm_of(&other), None, "{other:?}");
    }
}

#[test]
fn within_an_iteration_what_counts_keeps_its_meaning() {
    let held = good(&with("", ""));
    let follows = |change: &dyn Fn(&mut Experiment), now| {
        let mut next = held.clone();
        change(&mut next);
        (next.may_follow(&held, now).map_err(|problem| problem.field), next.iteration_after(Some(&held), now))
    };
    let changes = |field: &str| (Err(field.to_owned()), 2);
    assert_eq!(follows(&|_| {}, i64::MAX), (Ok(()), 1));
    assert_eq!(follows(&|next| next.flag = "other".into(), 0), changes("flag"));
    assert_eq!(follows(&|next| next.unit_kind = "org".into(), 0), changes("unitKind"));
    assert_eq!(follows(&|next| next.arms[0].weight.0 += 1, 0), changes("variations"));
    assert_eq!(follows(&|next| next.start_ms += 1, 0), changes("start"));
    assert_eq!(follows(&|next| next.multiple = Multiple::FirstSeen, 0), changes("multiple"));
    let dimension = Dimension { attribute: Attribute::Sdk, values: vec!["node".into()] };
    assert_eq!(follows(&|next| next.dimensions.push(dimension.clone()), 0), changes("dimensions"));
    assert_eq!(follows(&|next| next.metrics[0].cap = Some(Micros(1)), 0), changes("metrics"));
    assert_eq!(follows(&|next| next.metrics.clear(), 0), changes("metrics"));
    let more = |next: &mut Experiment| next.metrics.push(Metric { key: "more".into(), ..held.metrics[0].clone() });
    let told = |next: &mut Experiment| (next.metrics[0].role, next.alpha) = (Role::Guardrail, Micros(1));
    let earlier = |next: &mut Experiment| next.end_ms = Some(2_000);
    for (now, until) in [(99_999, true), (100_000, false)] {
        for change in [&more as &dyn Fn(&mut Experiment), &earlier] {
            assert_eq!(follows(change, now), if until { (Ok(()), 1) } else { changes("end") }, "at {now}");
        }
        assert_eq!(follows(&told, now), (Ok(()), 1), "what is only told may change for ever");
    }
    assert_eq!(follows(&|next| (next.iteration, next.flag) = (2, "other".into()), 0).0, Ok(()));
    let second = Experiment { iteration: 2, ..held.clone() };
    assert_eq!(held.may_follow(&second, 0).unwrap_err().field, "iteration");
    assert_eq!(held.iteration_after(None, 0), 1);
}

fn keys() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \"\\\\\u{1}/é字-]{1,9}"
}

fn metrics() -> impl Strategy<Value = Metric> {
    let kinds = prop::sample::select(MetricKind::ALL);
    let (missing, roles) = (prop::sample::select(Missing::ALL), prop::sample::select(Role::ALL));
    let times = (prop::option::of(1..=WINDOW_MS_MAX), 0..=WINDOW_MS_MAX, prop::option::of(0..i64::MAX));
    let numbers = (prop::option::of(0..=MICROS_MAX), prop::option::of(1_i64..1_000_000_000));
    (keys(), kinds, keys(), times, numbers, missing, roles, prop::sample::select(Direction::ALL)).prop_map(
        |(event, kind, other, (window_ms, delay_ms, since_ms), (cap, effect), missing, role, direction)| Metric {
            key: String::new(),
            event,
            kind,
            denominator_event: (kind == MetricKind::Ratio).then_some(other),
            window_ms,
            delay_ms,
            cap: cap.map(Micros),
            missing,
            direction,
            role,
            minimum_effect: effect.map(Micros),
            since_ms,
        },
    )
}

fn experiments() -> impl Strategy<Value = Experiment> {
    let variations = prop_oneof![any::<u32>().prop_map(VariationKey::Index), keys().prop_map(VariationKey::Name)];
    let variations = prop::collection::btree_set(variations, 2..=VARIATIONS_MAX);
    let times = (0..START_MS_MAX, prop::option::of(1..=ITERATION_MS_MAX));
    let values = prop::collection::btree_set(keys(), 1..=5);
    let dimensions = prop::collection::btree_map(prop::sample::select(Attribute::ALL), values, 0..=4);
    let words = (prop::sample::select(Multiple::ALL), prop::sample::select(Method::ALL));
    let parts = (prop::collection::vec(metrics(), 1..=METRICS_MAX), dimensions, any::<prop::sample::Index>());
    (1..u32::MAX, (keys(), keys()), variations, times, words, parts, 1_i64..500_000).prop_map(
        |(iteration, (flag, unit_kind), variations, (start_ms, lasts), (multiple, method), parts, alpha)| {
            let (mut metrics, dimensions, control) = parts;
            metrics.iter_mut().zip(0..).for_each(|(metric, n)| metric.key = format!("metric {n}"));
            let (number, control) = (variations.len(), control.index(variations.len()));
            let share = 1_000_000 / number as i64;
            let arm = |(place, variation)| Arm { variation, weight: Micros(share), control: place == control };
            let dimension = |(attribute, values): (Attribute, std::collections::BTreeSet<String>)| Dimension {
                attribute,
                values: values.into_iter().collect(),
            };
            Experiment {
                iteration,
                flag,
                unit_kind,
                arms: variations.into_iter().enumerate().map(arm).collect(),
                start_ms,
                end_ms: lasts.map(|lasts| start_ms + lasts),
                multiple,
                metrics,
                dimensions: dimensions.into_iter().map(dimension).collect(),
                alpha: Micros(alpha),
                method,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_definition_comes_back_as_it_was_written(experiment in experiments()) {
        let text = experiment.encode();
        prop_assert_eq!(Experiment::parse(text.as_bytes()), Ok(experiment.clone()), "{}", text);
        prop_assert_eq!(Experiment::decode(text.as_bytes()), Ok(experiment));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>, text in "[\\[\\]{}\",:0-9a-z .eE+-]{0,40}") {
        let _ = Experiment::parse(&bytes);
        let _ = Experiment::parse(text.as_bytes());
        let _ = Experiment::parse(with("variations", &text).as_bytes());
        let _ = Experiment::parse(with("metrics", &text).as_bytes());
    }
}
