//! A time of trouble, and whether clients and numbers went through it as they must.
//!
//! Always true here: what a trouble must come to is said before it begins; a trouble that troubled nobody does not
//! hold, since it has shown nothing.

use super::catching_up::CaughtUp;
use super::seen::{Seen, seen};
use crate::report::table;
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::ops::Range;
use std::path::Path;

/// Ingest's p99 may be so many times what it was before the store's trouble, …
const P99_RATIO_MAX: f64 = 3.0;
/// … and whatever it was, up to this: on two cores that others use, chance makes as much; to wait for the store would be
/// seconds.
const P99_FREE_MS: i64 = 500;
/// What waited for the store must be counted so many times as fast as it came, …
const REAL_TIME_MIN: f64 = 3.0;
/// … from here on after its trouble: the longest pause before the next attempt is 5 s, and others use the cores.
const CATCHING_UP_FREE_SECONDS: f64 = 10.0;

/// What clients must meet while a trouble lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(super) enum Clients {
    /// Whatever: the numbers alone must hold
    Anything,
    /// 503 and nothing else: where nothing can be kept, nothing is acknowledged
    Denied,
    /// 2xx and nothing else: it is no trouble of theirs
    Unaware,
}

/// A trouble as it went.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) what: &'static str,
    /// Unix milliseconds; from when it was there whole to when its end began.
    pub(super) lasted: Range<i64>,
    pub(super) clients: Clients,
    /// Where it was the store's.
    pub(super) store: Option<StoreTrouble>,
}

/// How the store was in trouble, and what came after.
#[derive(Clone, Debug)]
pub(super) struct StoreTrouble {
    /// The time before it, by which ingest is measured; Unix milliseconds.
    pub(super) calm: Range<i64>,
    /// It was gone altogether.
    pub(super) is_gone: bool,
    /// Calls that were refused meanwhile, and those that the store answered.
    pub(super) refused: u64,
    pub(super) passed: u64,
    pub(super) caught_up: CaughtUp,
}

/// What was found of a trouble.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    what: &'static str,
    seconds: f64,
    clients: Clients,
    during: Seen,
    store: Option<FoundOfStore>,
    /// What is not as it must be.
    wrong: Vec<String>,
}

/// What was found of a store's trouble.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundOfStore {
    before: Seen,
    /// Ingest's p99 during it, by that of before.
    p99_ratio: f64,
    refused_calls: u64,
    passed_calls: u64,
    /// Records that were not durable at its end.
    waiting: u64,
    caught_up_seconds: f64,
    /// Seconds of load that became durable in a second, at its end.
    times_real_time: f64,
}

/// Looks each trouble up in the ledger.
///
/// # Errors
/// The ledger cannot be read.
pub(super) fn look(ledger: &Path, troubles: &[Trouble]) -> Result<Vec<Found>> {
    let calm = |trouble: &Trouble| trouble.store.as_ref().map_or(0..0, |store| store.calm.clone());
    let intervals = troubles.iter().flat_map(|trouble| [trouble.lasted.clone(), calm(trouble)]);
    let seen = seen(ledger, &intervals.collect::<Vec<_>>())?;
    let seen = seen.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    Ok(troubles.iter().zip(seen).map(|(trouble, (during, before))| judge(trouble, during, before)).collect())
}

fn judge(trouble: &Trouble, during: Seen, before: Seen) -> Found {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, otherwise: String| {
        if !holds {
            wrong.push(otherwise);
        }
    };
    let Seen { attempts, acknowledged, acknowledged_within, denied, other, .. } = during;
    match trouble.clients {
        Clients::Anything => {}
        Clients::Denied => {
            must(denied > 0, "nobody was answered 503: the trouble has shown nothing".to_owned());
            must(acknowledged_within == 0, format!("{acknowledged_within} were answered 2xx"));
            must(other == 0, format!("{other} were answered neither 2xx nor 503, or not at all"));
        }
        Clients::Unaware => {
            must(attempts > 0, "nobody sent anything: the trouble has shown nothing".to_owned());
            must(acknowledged == attempts, format!("{} were not answered 2xx", attempts - acknowledged));
        }
    }
    let seconds = (trouble.lasted.end - trouble.lasted.start) as f64 / 1_000.0;
    let store = trouble.store.as_ref().map(|store| {
        let StoreTrouble { refused, passed, caught_up: CaughtUp { waiting, took }, .. } = *store;
        let nothing = "it has shown nothing";
        if store.is_gone {
            must(passed == 0, format!("{passed} calls reached the store, which was to be gone: {nothing}"));
        } else {
            must(refused > 0, format!("no call of {passed} was refused: {nothing}"));
        }
        must(waiting > 0, format!("no record waited for the store at its end: {nothing}"));
        let p99_ratio = during.p99_ms as f64 / before.p99_ms.max(1) as f64;
        must(
            during.p99_ms <= P99_FREE_MS || p99_ratio <= P99_RATIO_MAX,
            format!("ingest's p99 was {} ms, {p99_ratio:.1} times that of before", during.p99_ms),
        );
        let times_real_time = seconds / took.as_secs_f64();
        let slow = took.as_secs_f64() - CATCHING_UP_FREE_SECONDS;
        must(
            slow * REAL_TIME_MIN <= seconds,
            format!("what waited was counted {times_real_time:.1} times as fast as it came, not {REAL_TIME_MIN}"),
        );
        let caught_up_seconds = took.as_secs_f64();
        FoundOfStore {
            before,
            p99_ratio,
            refused_calls: refused,
            passed_calls: passed,
            waiting,
            caught_up_seconds,
            times_real_time,
        }
    });
    Found { what: trouble.what, seconds, clients: trouble.clients, during, store, wrong }
}

impl Found {
    pub(super) fn holds(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Prints them for people.
pub(super) fn print(found: &[Found]) {
    if found.is_empty() {
        return;
    }
    let mut table = table(["trouble", "s", "sent", "2xx", "503", "other", "p50 ms", "p99 ms"]);
    for Found { what, seconds, during, .. } in found {
        table.add_row([
            (*what).to_owned(),
            format!("{seconds:.1}"),
            during.attempts.to_string(),
            during.acknowledged.to_string(),
            during.denied.to_string(),
            during.other.to_string(),
            during.p50_ms.to_string(),
            during.p99_ms.to_string(),
        ]);
    }
    println!("{table}");
    for (what, store) in found.iter().filter_map(|found| Some((found.what, found.store.as_ref()?))) {
        let FoundOfStore { before, p99_ratio, refused_calls, passed_calls, .. } = store;
        println!(
            "{what}: {refused_calls} calls refused, {passed_calls} answered; p99 before {} ms, ratio {p99_ratio:.2}; {} \
             records waited and were counted within {:.1} s: {:.1} x real time",
            before.p99_ms, store.waiting, store.caught_up_seconds, store.times_real_time
        );
    }
    for found in found {
        found.wrong.iter().for_each(|wrong| println!("{}: {wrong}", found.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What is wrong with so many 2xx, 2xx before the end, 503 and others.
    fn wrong(clients: Clients, [acknowledged, acknowledged_within, denied, other]: [u64; 4]) -> Vec<String> {
        let attempts = acknowledged + denied + other;
        let during = Seen { attempts, acknowledged, acknowledged_within, denied, other, ..Seen::default() };
        judge(&Trouble { what: "it", lasted: 0..1_000, clients, store: None }, during, Seen::default()).wrong
    }

    #[test]
    fn denied_is_503_and_no_2xx_and_somebody_was() {
        assert_eq!(wrong(Clients::Denied, [3, 0, 7, 0]), [""; 0], "3 were sent at its end and answered after it");
        assert_eq!(wrong(Clients::Denied, [1, 1, 7, 0]), ["1 were answered 2xx"]);
        assert_eq!(wrong(Clients::Denied, [0, 0, 7, 2]), ["2 were answered neither 2xx nor 503, or not at all"]);
        assert_eq!(wrong(Clients::Denied, [3, 0, 0, 0]), ["nobody was answered 503: the trouble has shown nothing"]);
    }

    #[test]
    fn unaware_is_2xx_for_everybody() {
        assert_eq!(wrong(Clients::Unaware, [7, 6, 0, 0]), [""; 0]);
        assert_eq!(wrong(Clients::Unaware, [7, 6, 1, 1]), ["2 were not answered 2xx"]);
        assert_eq!(wrong(Clients::Unaware, [0; 4]), ["nobody sent anything: the trouble has shown nothing"]);
        assert_eq!(wrong(Clients::Anything, [0; 4]), [""; 0]);
    }

    /// What is wrong with a store's trouble of 30 s that `change` makes different from a good one.
    fn wrong_of_store(is_gone: bool, change: impl FnOnce(&mut StoreTrouble, &mut Seen)) -> Vec<String> {
        let caught_up = CaughtUp { waiting: 9, took: Duration::from_secs(20) };
        let (refused, passed) = if is_gone { (0, 0) } else { (9, 1) };
        let mut store = StoreTrouble { calm: 0..0, is_gone, refused, passed, caught_up };
        let mut during = Seen { attempts: 1, acknowledged: 1, acknowledged_within: 1, p99_ms: 600, ..Seen::default() };
        change(&mut store, &mut during);
        let trouble = Trouble { what: "it", lasted: 0..30_000, clients: Clients::Unaware, store: Some(store) };
        judge(&trouble, during, Seen { p99_ms: 200, ..Seen::default() }).wrong
    }

    #[test]
    fn a_store_in_trouble_is_none_of_ingests_and_what_waited_is_counted_soon() {
        for is_gone in [false, true] {
            assert_eq!(wrong_of_store(is_gone, |_, _| {}), [""; 0]);
            let nobody = wrong_of_store(is_gone, |store, _| store.caught_up.waiting = 0);
            assert_eq!(nobody, ["no record waited for the store at its end: it has shown nothing"]);
        }
        let well = wrong_of_store(false, |store, _| (store.refused, store.passed) = (0, 10));
        assert_eq!(well, ["no call of 10 was refused: it has shown nothing"]);
        let there = wrong_of_store(true, |store, _| store.passed = 3);
        assert_eq!(there, ["3 calls reached the store, which was to be gone: it has shown nothing"]);
        let slow = wrong_of_store(false, |store, _| store.caught_up.took = Duration::from_secs(21));
        assert_eq!(slow, ["what waited was counted 1.4 times as fast as it came, not 3"]);
        let late = wrong_of_store(false, |_, during| during.p99_ms = 601);
        assert_eq!(late, ["ingest's p99 was 601 ms, 3.0 times that of before"]);
    }
}
