//! How long the rule takes for a large fleet; `cargo test --release -p experiments pace -- --nocapture` prints it.

use std::time::{Duration, Instant};

use crate::stale::{Environment, Flag, FlagEnvironment, Fleet, Metadata, Row, Variation, judge};

const DAY_MS: i64 = 86_400_000;
const AS_OF_DAY: u32 = 20_000;

#[test]
fn ten_thousand_flags_in_three_environments_take_well_under_a_second() {
    let fleet = fleet(10_000);
    let begun = Instant::now();
    let verdicts = judge(&fleet);
    let took = begun.elapsed();
    println!("10,000 flags x 3 environments x 8 rows: {} ms", took.as_millis());
    assert_eq!(verdicts.len(), 10_000);
    assert!(verdicts.iter().any(|verdict| verdict.stale) && verdicts.iter().any(|verdict| !verdict.stale));
    let bound = if cfg!(debug_assertions) { Duration::from_secs(20) } else { Duration::from_secs(1) };
    assert!(took < bound, "{took:?}");
}

/// Eight rows a place, of four applications with 20 versions each, and 100 days of use.
fn fleet(flags: u32) -> Fleet {
    let as_of_ms = i64::from(AS_OF_DAY) * DAY_MS;
    let row = |flag: u32, number: u32| Row {
        variation: Some(Variation::Index(if flag.is_multiple_of(3) { 1 } else { number % 2 })),
        application: format!("app-{}", number % 4),
        application_version: format!("{}.0", (flag + number) % 20),
        sdk: "node-server-sdk/9.13.7".to_owned(),
        first_ms: as_of_ms - i64::from(100 - (flag + number) % 20) * DAY_MS,
        last_ms: as_of_ms - i64::from(flag % 50) * DAY_MS,
        ..Row::default()
    };
    let seen = |flag: u32| FlagEnvironment {
        version: Some(1),
        version_since_ms: Some(as_of_ms - 90 * DAY_MS),
        rows: (0..8).map(|number| row(flag, number)).collect(),
        days: (AS_OF_DAY - 100..AS_OF_DAY).collect(),
        values: Vec::new(),
    };
    let names = ["production", "staging", "test"];
    let flag = |number: u32| Flag {
        key: format!("flag-{number}"),
        metadata: Metadata::default(),
        environments: names.map(|name| (name.to_owned(), seen(number))).into(),
    };
    Fleet {
        as_of_ms,
        environments: names.map(|name| (name.to_owned(), Environment { critical: true, hours: None })).into(),
        flags: (0..flags).map(flag).collect(),
        ..Fleet::default()
    }
}
