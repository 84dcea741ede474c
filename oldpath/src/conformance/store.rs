//! Cases of counters.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use ingest::gate::OldVariation;
use schemas::id::Environment;

use super::{Outcome, same, text};
use crate::counter::{Add, Counter, Kind, Totals};
use crate::store::{HoursOf, OldStore, of_environment, of_key};

type Store = Arc<dyn OldStore>;

const HOUR_MS: i64 = 3_600_000;
/// In the middle of an hour of 2026.
const NOW_MS: i64 = 495_000 * HOUR_MS + 1_800_000;
const HOUR: u32 = 495_000;

fn environment(key: &str) -> Result<Environment, String> {
    Environment::new("project", key).map_err(text)
}

fn evaluations(flag: &str, variation: OldVariation) -> Counter {
    Counter::Evaluations { flag: flag.into(), variation }
}

fn add(counter: Counter, number: u64) -> Result<Add, String> {
    Ok(Add { environment: environment("a")?, counter, time_ms: NOW_MS, number, off: false, value: None })
}

/// What a key has in all hours.
async fn totals_of(store: &Store, environment: &Environment, kind: Kind, key: &str) -> Result<Vec<Totals>, String> {
    let asked = HoursOf { environment, kind, key, hours: 0..u32::MAX };
    let counters = of_key(&**store, &asked, 1_000).await.map_err(text)?;
    Ok(counters.into_iter().map(|counted| counted.totals).collect())
}

pub(super) async fn at_once(store: Store) -> Outcome {
    let adds: Result<Vec<Add>, String> = (0..120_u64)
        .map(|n| {
            let variation = OldVariation::Index(u32::try_from(n % 3).unwrap_or(0));
            Ok(Add { off: n % 2 == 0, ..add(evaluations("flag", variation), n + 1)? })
        })
        .collect();
    for done in join_all(adds?.into_iter().map(|add| store.add(add))).await {
        done.map_err(text)?;
    }
    let found = totals_of(&store, &environment("a")?, Kind::Evaluations, "flag").await?;
    let numbers: Vec<(u64, u64)> = found.iter().map(|totals| (totals.number, totals.number_off)).collect();
    let sum = |of: u64, also: fn(u64) -> bool| (0..120).filter(|n| n % 3 == of && also(*n)).map(|n| n + 1).sum();
    let expected = [0, 1, 2].map(|of| (sum(of, |_| true), sum(of, |n| n % 2 == 0)));
    same("numbers and those of off", numbers, expected.to_vec())
}

pub(super) async fn totals(store: Store) -> Outcome {
    let event = Counter::Events { key: "checkout".into() };
    let first = add(event, 3)?;
    let adds = [
        Add { value: Some(2_500_000), ..first.clone() },
        Add { off: true, number: 2, time_ms: NOW_MS + 7, ..first.clone() },
        Add { value: Some(-1), number: 1, time_ms: NOW_MS + 5, ..first },
    ];
    for add in adds {
        store.add(add).await.map_err(text)?;
    }
    let found = totals_of(&store, &environment("a")?, Kind::Events, "checkout").await?;
    let expected = Totals { number: 6, number_off: 2, valued: 4, sum_micros: 7_499_999, seen_ms: NOW_MS + 5 };
    same("totals", found, vec![expected])?;
    store.add(add(evaluations("flag", OldVariation::Default), 4)?).await.map_err(text)?;
    let found = totals_of(&store, &environment("a")?, Kind::Evaluations, "flag").await?;
    same("of evaluations", found, vec![Totals { number: 4, seen_ms: NOW_MS, ..Totals::default() }])
}

pub(super) async fn limits(store: Store) -> Outcome {
    let largest =
        Add { value: Some(-schemas::fixed::MICROS_MAX), ..add(Counter::Events { key: "e".into() }, 1_000_000_000)? };
    for _ in 0..3 {
        store.add(largest.clone()).await.map_err(text)?;
    }
    let found = totals_of(&store, &environment("a")?, Kind::Events, "e").await?;
    same("sum", found.first().map(|totals| totals.sum_micros), Some(-3_000_000_000_000_000_000_000_000_000))
}

pub(super) async fn never_mix(store: Store) -> Outcome {
    let names = ["flag", "fla", "g", "flag2", "\u{1}\u{ff}"];
    let variations =
        [OldVariation::Default, OldVariation::Index(0), OldVariation::Index(256), OldVariation::Name("0".into())];
    let mut expected = BTreeSet::new();
    let mut number = 0;
    for own in ["a", "b"] {
        for name in names {
            for hour in [0, 1] {
                let event = Counter::Events { key: name.into() };
                let exposure = Counter::Exposures { flag: name.into(), variation: OldVariation::Default };
                let evaluations = variations.iter().map(|variation| evaluations(name, variation.clone()));
                for counter in evaluations.chain([event, exposure]) {
                    number += 1;
                    let one = add(counter.clone(), number)?;
                    let time_ms = NOW_MS + hour * HOUR_MS;
                    store.add(Add { environment: environment(own)?, time_ms, ..one }).await.map_err(text)?;
                    expected.insert((own, HOUR + hour as u32, counter, number));
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    for own in ["a", "b"] {
        for kind in [Kind::Evaluations, Kind::Events, Kind::Exposures] {
            let counters = of_environment(&*store, &environment(own)?, kind, 0..u32::MAX, 1_000).await.map_err(text)?;
            found.extend(
                counters.into_iter().map(|counted| (own, counted.hour, counted.counter, counted.totals.number)),
            );
        }
    }
    same("counters", found, expected)
}

pub(super) async fn pages(store: Store) -> Outcome {
    const HOURS: u32 = 7;
    for hour in 0..HOURS {
        for index in 0..2 {
            let one = add(evaluations("flag", OldVariation::Index(index)), u64::from(hour * 2 + index + 1))?;
            store.add(Add { time_ms: NOW_MS + i64::from(hour) * HOUR_MS, ..one }).await.map_err(text)?;
        }
        store.add(add(evaluations("flaga", OldVariation::Default), 100)?).await.map_err(text)?;
    }
    let environment = environment("a")?;
    for (from, to) in
        [(0, u32::MAX), (HOUR, HOUR + HOURS), (HOUR + 2, HOUR + 5), (HOUR + 3, HOUR + 3), (HOUR + 4, HOUR + 1)]
    {
        let expected: Vec<u64> = (0..HOURS)
            .filter(|hour| (from..to).contains(&(HOUR + hour)))
            .flat_map(|hour| [1, 2].map(|n| u64::from(hour * 2 + n)))
            .collect();
        for limit in [0, 1, 2, 3, 5, 14, 50] {
            let asked = HoursOf { environment: &environment, kind: Kind::Evaluations, key: "flag", hours: from..to };
            let (mut found, mut next) = (Vec::new(), None);
            loop {
                let page = store.hours(asked.clone(), next.take(), limit).await.map_err(text)?;
                if page.counters.len() > limit.max(1) {
                    return Err(format!("{} counters where {limit} were asked for", page.counters.len()));
                }
                found.extend(page.counters.into_iter().map(|counted| counted.totals.number));
                match page.next {
                    Some(place) => next = Some(place),
                    None => break,
                }
            }
            same(&format!("hours {from}..{to} by {limit}"), found, expected.clone())?;
        }
    }
    let asked = HoursOf { environment: &environment, kind: Kind::Evaluations, key: "flag", hours: 0..u32::MAX };
    let too_many = of_key(&*store, &asked, 13).await;
    same("fourteen where thirteen may be", too_many.is_err(), true)
}

pub(super) async fn keys(store: Store) -> Outcome {
    let names: BTreeSet<String> = (0..23).map(|n| format!("flag-{}", "x".repeat(n))).collect();
    for name in &names {
        for hour in [0, 1, 2] {
            let one = add(evaluations(name, OldVariation::Index(hour)), 1)?;
            store.add(Add { time_ms: NOW_MS + i64::from(hour) * HOUR_MS, ..one }).await.map_err(text)?;
        }
    }
    store.add(add(Counter::Events { key: "event".into() }, 1)?).await.map_err(text)?;
    let environment = environment("a")?;
    for limit in [0, 1, 7, 23, 100] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().cloned();
            let keys = store.keys(&environment, Kind::Evaluations, after.as_deref(), limit).await.map_err(text)?;
            if keys.len() > limit.max(1) {
                return Err(format!("{} keys where {limit} were asked for", keys.len()));
            }
            if keys.is_empty() {
                break;
            }
            found.extend(keys);
        }
        same("how many keys", found.len(), names.len())?;
        same("keys", &found.into_iter().collect::<BTreeSet<_>>(), &names)?;
    }
    Ok(())
}
