//! Thresholds by environment and flag type, lifetimes, weights.

use crate::stale::{
    Environment, Flag, FlagEnvironment, FlagType, Fleet, Hours, Metadata, Override, ReasonCode, Row, Settings, Status,
    Variation, Verdict, judge,
};

const DAY_MS: i64 = 86_400_000;
const AS_OF_MS: i64 = 20_000 * DAY_MS;

/// Of this type, created 100 days ago, asked for so many days ago in "production" and "eu".
fn fleet(flag_type: Option<FlagType>, days_ago: i64, settings: Settings) -> Fleet {
    let row = Row {
        variation: Some(Variation::Index(1)),
        first_ms: AS_OF_MS - 90 * DAY_MS,
        last_ms: AS_OF_MS - days_ago * DAY_MS,
        ..Row::default()
    };
    let seen = FlagEnvironment { rows: vec![row], ..FlagEnvironment::default() };
    let metadata = Metadata { flag_type, created_at_ms: Some(AS_OF_MS - 100 * DAY_MS), ..Metadata::default() };
    let environments = ["production", "eu"].map(|name| (name.to_owned(), seen.clone()));
    let flag = Flag { key: "f".to_owned(), metadata, environments: environments.into() };
    let environments = ["production", "eu"].map(|name| (name.to_owned(), Environment { critical: true, hours: None }));
    Fleet { as_of_ms: AS_OF_MS, settings, environments: environments.into(), flags: vec![flag], ..Fleet::default() }
}

fn verdict(fleet: &Fleet) -> Verdict {
    judge(fleet).remove(0)
}

fn has(verdict: &Verdict, code: ReasonCode) -> bool {
    verdict.reasons.iter().any(|reason| reason.code == code)
}

fn statuses(verdict: &Verdict) -> Vec<(&str, Status)> {
    verdict.environments.iter().map(|environment| (environment.name.as_str(), environment.status)).collect()
}

#[test]
fn thresholds_hold_for_their_environment_and_type() {
    let eu = Override { environment: Some("eu".to_owned()), inactive_days: Some(20), ..Override::default() };
    let settings = Settings { overrides: vec![eu], ..Settings::default() };
    let told = verdict(&fleet(None, 10, settings.clone()));
    assert_eq!(statuses(&told), [("eu", Status::Launched), ("production", Status::Inactive)]);
    assert_eq!(told.environments[0].thresholds.inactive_days, 20, "the verdict shows what held");

    let release = Override { flag_type: Some(FlagType::Release), inactive_days: Some(5), ..Override::default() };
    let settings = Settings { overrides: vec![settings.overrides[0].clone(), release], ..settings };
    let told = verdict(&fleet(Some(FlagType::Release), 10, settings.clone()));
    assert_eq!(statuses(&told), [("eu", Status::Inactive), ("production", Status::Inactive)], "the last one wins");
    let told = verdict(&fleet(Some(FlagType::Experiment), 10, settings));
    assert_eq!(statuses(&told), [("eu", Status::Launched), ("production", Status::Inactive)], "another type");
}

#[test]
fn a_flag_is_old_enough_when_it_is_for_every_critical_environment() {
    let slow = |days| Override { environment: Some("eu".to_owned()), stale_days: Some(days), ..Override::default() };
    let told = |days| verdict(&fleet(None, 1, Settings { overrides: vec![slow(days)], ..Settings::default() }));
    assert!(told(100).conditions.old_enough, "an age of exactly W");
    assert!(!told(101).conditions.old_enough);
    assert_eq!(told(101).conditions.stale_days, 101);
}

#[test]
fn another_least_coverage_holds_where_it_is_set() {
    let strict = Override { coverage_min_ppm: Some(990_001), ..Override::default() };
    let mut fleet = fleet(None, 1, Settings { overrides: vec![strict], ..Settings::default() });
    fleet.environments.get_mut("eu").unwrap().hours = Some(Hours { expected: 100, reported: 99 });
    assert_eq!(statuses(&verdict(&fleet)), [("eu", Status::Unknown), ("production", Status::Launched)]);
    fleet.settings.overrides[0].coverage_min_ppm = Some(990_000);
    assert_eq!(statuses(&verdict(&fleet)), [("eu", Status::Launched), ("production", Status::Launched)]);
}

#[test]
fn lifetimes_are_those_of_the_settings() {
    let mut settings = Settings::default();
    settings.lifetimes_days.insert(FlagType::KillSwitch, 99);
    assert!(has(&verdict(&fleet(Some(FlagType::KillSwitch), 1, settings.clone())), ReasonCode::PastLifetime));
    settings.lifetimes_days.insert(FlagType::KillSwitch, 100);
    assert!(!has(&verdict(&fleet(Some(FlagType::KillSwitch), 1, settings.clone())), ReasonCode::PastLifetime));
    settings.lifetimes_days.clear();
    assert!(!has(&verdict(&fleet(Some(FlagType::Release), 1, settings)), ReasonCode::PastLifetime));
}

#[test]
fn the_score_is_the_sum_of_the_weights_up_to_100() {
    let scored = |weights: &[(ReasonCode, u32)]| {
        let weights = weights.iter().copied().collect();
        verdict(&fleet(Some(FlagType::Release), 1, Settings { weights, ..Settings::default() })).score
    };
    assert_eq!(scored(&[]), 0);
    assert_eq!(scored(&[(ReasonCode::SingleVariation, 41), (ReasonCode::PastLifetime, 12)]), 53);
    assert_eq!(scored(&[(ReasonCode::SingleVariation, 90), (ReasonCode::PastLifetime, 90)]), 100);
    assert_eq!(scored(&[(ReasonCode::SingleVariation, u32::MAX), (ReasonCode::PastLifetime, u32::MAX)]), 100);
    assert_eq!(scored(&[(ReasonCode::NeverEvaluated, 50)]), 0, "it does not hold");
}

#[test]
fn types_are_known_by_their_letters() {
    for name in ["kill switch", "kill-switch", "killSwitch", "KILL_SWITCH"] {
        assert_eq!(FlagType::of_name(name), Some(FlagType::KillSwitch), "{name}");
    }
    for flag_type in FlagType::ALL {
        assert_eq!(FlagType::of_name(flag_type.as_str()), Some(flag_type));
    }
    assert_eq!(FlagType::of_name("else"), None);
}

#[test]
fn coverage_is_that_of_the_window_of_the_flags_own_type() {
    let mut fleet = fleet(Some(FlagType::Release), 1, Settings::default());
    let low = Hours { expected: 100, reported: 94 };
    fleet.hours_by_type.insert("eu".to_owned(), [(FlagType::Release, low)].into());
    assert_eq!(statuses(&verdict(&fleet)), [("eu", Status::Unknown), ("production", Status::Launched)]);
    assert_eq!(verdict(&fleet).environments[0].hours, Some(low), "what decided is shown");
    fleet.flags[0].metadata.flag_type = Some(FlagType::Permission);
    assert_eq!(statuses(&verdict(&fleet)), [("eu", Status::Launched), ("production", Status::Launched)]);
}
