//! The numbers beside a verdict: since when, by whom, which value, how sure.

use crate::stale::{
    Dead, Flag, FlagEnvironment, Fleet, Hours, Metadata, ReasonCode, Row, ValueSeen, Variation, Verdict, judge,
};
use crate::stale::{Environment, Figure};

const DAY_MS: i64 = 86_400_000;
const AS_OF_MS: i64 = 20_000 * DAY_MS;

fn ago(days: i64) -> i64 {
    AS_OF_MS - days * DAY_MS
}

fn row(variation: u32, first_days: i64, last_days: i64) -> Row {
    Row {
        variation: Some(Variation::Index(variation)),
        application: format!("app-{variation}"),
        first_ms: ago(first_days),
        last_ms: ago(last_days),
        ..Row::default()
    }
}

fn seen(rows: Vec<Row>) -> FlagEnvironment {
    FlagEnvironment { version: Some(3), version_since_ms: Some(ago(80)), rows, ..FlagEnvironment::default() }
}

fn fleet(environments: Vec<(&str, FlagEnvironment)>) -> Fleet {
    let environments = environments.into_iter().map(|(name, seen)| (name.to_owned(), seen)).collect();
    let metadata = Metadata { code_references: Some(0), created_at_ms: Some(ago(100)), ..Metadata::default() };
    let flag = Flag { key: "f".to_owned(), metadata, environments };
    Fleet { as_of_ms: AS_OF_MS, flags: vec![flag], ..Fleet::default() }
}

fn verdict(fleet: &Fleet) -> Verdict {
    judge(fleet).remove(0)
}

fn since(verdict: &Verdict, code: ReasonCode) -> Option<i64> {
    verdict.reasons.iter().find(|reason| reason.code == code).and_then(|reason| reason.since_ms)
}

#[test]
fn settled_since_the_last_thing_that_was_otherwise() {
    let told = |rows| verdict(&fleet(vec![("production", seen(rows))]));
    let alone = told(vec![row(1, 90, 1)]);
    assert_eq!(since(&alone, ReasonCode::SingleVariation), Some(ago(80)), "the version");
    assert_eq!(
        alone.environments[0].dead,
        Some(Dead::Settled { variation: Variation::Index(1), since_ms: ago(80) }),
        "the environment tells it too"
    );
    let replaced = told(vec![row(1, 90, 1), row(0, 90, 45)]);
    assert_eq!(since(&replaced, ReasonCode::SingleVariation), Some(ago(45)), "the other variation's last");
    let begun = told(vec![row(1, 60, 1)]);
    assert_eq!(since(&begun, ReasonCode::SingleVariation), Some(ago(60)), "its own first");
}

#[test]
fn the_other_reasons_tell_since_when() {
    let gone = verdict(&fleet(vec![("production", seen(vec![row(1, 90, 50), row(0, 90, 40)]))]));
    assert_eq!(since(&gone, ReasonCode::NoEvaluations), Some(ago(40)));
    let never = verdict(&fleet(vec![("production", seen(vec![]))]));
    assert_eq!(since(&never, ReasonCode::NeverEvaluated), Some(ago(100)));
    let bulk = Row { bulk: true, ..row(0, 70, 1) };
    let read = verdict(&fleet(vec![("production", seen(vec![row(1, 90, 50), bulk.clone()]))]));
    assert_eq!(since(&read, ReasonCode::BulkReadOnly), Some(ago(50)), "the last intentional request");
    let last_bulk = read.reasons[0].evidence.get("lastBulkMs");
    assert_eq!(last_bulk, Some(&Figure::Number(ago(1))));
    let read = verdict(&fleet(vec![("production", seen(vec![bulk]))]));
    assert_eq!(since(&read, ReasonCode::BulkReadOnly), Some(ago(70)), "the first row of all");
    let failing = |from, to| Row { error: true, ..row(1, from, to) };
    let errors = verdict(&fleet(vec![("production", seen(vec![row(1, 90, 35), failing(60, 1)]))]));
    assert_eq!(since(&errors, ReasonCode::ErrorsOnly), Some(ago(35)), "the last that was none");
    let errors = verdict(&fleet(vec![("production", seen(vec![failing(60, 1)]))]));
    assert_eq!(since(&errors, ReasonCode::ErrorsOnly), Some(ago(60)), "the first error");
}

#[test]
fn last_requested_is_the_last_intentional_request_in_any_environment() {
    let mut asked = fleet(vec![
        ("production", seen(vec![row(1, 90, 50), Row { bulk: true, ..row(0, 90, 1) }])),
        ("staging", seen(vec![row(2, 90, 3)])),
    ]);
    asked.environments.insert("production".to_owned(), Environment { critical: true, hours: None });
    let told = verdict(&asked);
    assert_eq!(told.last_requested_ms, Some(ago(3)));
    let by = told.last_requested_by.unwrap();
    assert_eq!((by.environment.as_str(), by.application.as_str()), ("staging", "app-2"));
    assert_eq!(by.variation, Some(Variation::Index(2)));
    let production = &told.environments[0];
    assert_eq!((production.last_requested_ms, production.last_bulk_ms), (Some(ago(50)), Some(ago(1))));
}

#[test]
fn the_forward_value_is_the_variations_newest() {
    let value = |variation, text: &str, days| ValueSeen {
        variation: Variation::Index(variation),
        value: text.to_owned(),
        last_ms: ago(days),
    };
    let mut one = seen(vec![row(1, 90, 1)]);
    one.values = vec![value(1, "\"blue\"", 3), value(0, "\"red\"", 1)];
    let mut two = seen(vec![row(1, 90, 1)]);
    two.values = vec![value(1, "\"green\"", 2)];
    let told = verdict(&fleet(vec![("eu", one), ("production", two)]));
    assert_eq!(told.forward_variation, Some(Variation::Index(1)));
    assert_eq!(told.forward_value.as_deref(), Some("\"green\""));
}

#[test]
fn confidence_is_less_for_all_that_is_not_known() {
    let sure = |change: fn(&mut Flag)| {
        let mut fleet = fleet(vec![("production", seen(vec![row(1, 90, 1)]))]);
        change(&mut fleet.flags[0]);
        verdict(&fleet).confidence
    };
    assert_eq!(sure(|_| {}), 100);
    assert_eq!(sure(|flag| flag.metadata.created_at_ms = None), 90);
    assert_eq!(sure(|flag| flag.metadata.code_references = None), 80);
    assert_eq!(sure(|flag| flag.environments.get_mut("production").unwrap().version_since_ms = None), 80);
}

#[test]
fn the_least_covered_critical_environment_weighs() {
    let heard = |reported| Environment { critical: true, hours: Some(Hours { expected: 720, reported }) };
    let deaf = Environment { critical: false, hours: Some(Hours { expected: 720, reported: 0 }) };
    let mut fleet = fleet(vec![("production", seen(vec![row(1, 90, 1)]))]);
    let environments = [("eu", heard(713)), ("production", heard(719)), ("staging", deaf)];
    fleet.environments = environments.map(|(name, environment)| (name.to_owned(), environment)).into();
    let told = verdict(&fleet);
    assert_eq!(told.coverage_ppm, 990_277, "713 of 720, rounded down");
    assert_eq!((told.score, told.confidence), (79, 99), "80 and 100, times it, rounded down");
    let heard_twice = Environment { critical: true, hours: Some(Hours { expected: 720, reported: 1440 }) };
    fleet.environments.values_mut().for_each(|environment| *environment = heard_twice);
    assert_eq!(verdict(&fleet).coverage_ppm, 1_000_000, "never above the whole");
    let none_expected = Environment { critical: true, hours: Some(Hours { expected: 0, reported: 0 }) };
    fleet.environments.values_mut().for_each(|environment| *environment = none_expected);
    assert_eq!(verdict(&fleet).coverage_ppm, 1_000_000, "none was expected");
}

#[test]
fn times_at_the_ends_of_what_can_be_written_do_no_harm() {
    for ms in [i64::MIN, i64::MAX] {
        let mut far = fleet(vec![("production", seen(vec![Row { first_ms: ms, last_ms: ms, ..row(1, 1, 1) }]))]);
        far.flags[0].metadata.created_at_ms = Some(ms);
        far.flags[0].environments.get_mut("production").unwrap().version_since_ms = Some(ms);
        for as_of_ms in [i64::MIN, 0, i64::MAX] {
            far.as_of_ms = as_of_ms;
            far.settings.thresholds.stale_days = u32::MAX;
            assert_eq!(judge(&far).len(), 1);
        }
    }
}
