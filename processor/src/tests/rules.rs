//! Each rule of DESIGN §3 that this processor depends on, broken by its switch: the suites of this folder must notice.
//!
//! | rule of DESIGN §3 | switch | test that notices |
//! |---|---|---|
//! | a 2xx is given after the log's sync | `eventlog::Break::NoSync` | [`an_unsynced_log_is_noticed`] |
//! | … and names of segments are synced, tails known, … | the rest of `eventlog::Break` | `eventlog`: `a_broken_rule_is_noticed` |
//! | retention never passes the durable state | `eventlog::Break::RetainNothing` | [`a_log_that_goes_unreleased_is_noticed`] |
//! | … apart: nor the newest snapshot | – | `moving`: released is compared with the newest snapshot |
//! | embedded: a flush is durable before it counts | `stores::Break::NoSync` | [`an_unsynced_store_is_noticed`] |
//! | embedded: cells and checkpoint in one transaction | `stores::Break::CheckpointApart` | [`a_checkpoint_apart_is_noticed`] |
//! | embedded: and state in it as well | `stores::Break::StateApart` | [`a_state_apart_is_noticed`] |
//! | a lagging zombie is refused | `stores::Break::Unconditional` | `stores`: `unconditional_puts_are_noticed_*` |
//! | values are compared with their checksums | `stores::Break::NoChecksum` | `stores`: `without_checksums_…` |
//! | dedupe from the log itself, saved with the state | `counting::Break::DedupeNotInState` | [`a_forgotten_dedupe_set_is_noticed`], [`broken_rules_of_the_worker_are_noticed`] |
//! | a copy renews the memory, counted or not | `DedupeAgainstCounted` | [`broken_rules_of_the_worker_are_noticed`] |
//! | checkpoint after every cell below it | `CheckpointBeforeCells` | [`broken_rules_of_the_worker_are_noticed`] |
//! | state after the checkpoint | `StateBeforeCheckpoint` | [`broken_rules_of_the_worker_are_noticed`] |
//! | state as it was at the checkpoint's position | `StateAsItIs` | [`broken_rules_of_the_worker_are_noticed`] |
//! | reading begins at the state's position | `BeginAtCheckpoint` | [`broken_rules_of_the_worker_are_noticed`] |
//! | value and h are adopted together | `AdoptWithoutH` | [`broken_rules_of_the_worker_are_noticed`] |
//! | a record is applied only above h | `IgnoreH` | [`broken_rules_of_the_worker_are_noticed`] |
//! | flushes only between records | `FlushMidRecord` | [`broken_rules_of_the_worker_are_noticed`] |
//! | poison is remembered like any other | `PoisonForgotten` | [`broken_rules_of_the_worker_are_noticed`] |
//! | parts are known apart; names and log time in the state | `DedupeWithoutPart`, `NamesNotInState`, `LogTimeNotInState` | `counting`: `every_broken_rule_is_noticed` |
//! | where the last write wins, what is loaded is written again | – | `unacknowledged`: `what_was_loaded_…` |
//! | a dead letter is kept before its checkpoint | – (order in `under_way`) | `poison`: `no_checkpoint_passes_…`, `under_way`: `no_write_begins_before_…` |
//! | stop and say how much is missing | – | `moving`: `another_machine_begins_…`, `trouble`: `a_log_that_leaves_records_out_…` |
//! | the checkpoint's fingerprint is compared | – | `trouble`: `another_log_is_known_…` |

use counting::Break;
use eventlog::files::forgetful::seeds;

use super::power::{self, Broken};

/// The first seed that notices, with a bound on the search.
async fn power_notices(broken: Broken) {
    let seeds = seeds(120);
    for partitions in [1, 4] {
        if let Err((seed, what)) = power::every_seed(seeds, partitions, broken).await {
            println!("{broken:?} is noticed at seed {seed}, {partitions} partitions: {what}");
            return;
        }
    }
    panic!("nobody notices {broken:?}");
}

#[tokio::test]
async fn an_unsynced_log_is_noticed() {
    power_notices(Broken { log: Some(eventlog::embedded::Break::NoSync), ..Broken::default() }).await;
}

#[tokio::test]
async fn a_log_that_goes_unreleased_is_noticed() {
    power_notices(Broken { log: Some(eventlog::embedded::Break::RetainNothing), ..Broken::default() }).await;
}

#[tokio::test]
async fn an_unsynced_store_is_noticed() {
    power_notices(Broken { store: Some(stores::Break::NoSync), ..Broken::default() }).await;
}

#[tokio::test]
async fn a_checkpoint_apart_is_noticed() {
    power_notices(Broken { store: Some(stores::Break::CheckpointApart), ..Broken::default() }).await;
}

#[tokio::test]
async fn a_state_apart_is_noticed() {
    power_notices(Broken { store: Some(stores::Break::StateApart), ..Broken::default() }).await;
}

#[tokio::test]
async fn a_forgotten_dedupe_set_is_noticed() {
    power_notices(Broken { worker: Some(Break::DedupeNotInState), ..Broken::default() }).await;
}

#[tokio::test]
async fn broken_rules_of_the_worker_are_noticed() {
    let rules = [
        Break::DedupeNotInState,
        Break::DedupeAgainstCounted,
        Break::CheckpointBeforeCells,
        Break::StateBeforeCheckpoint,
        Break::StateAsItIs,
        Break::AdoptWithoutH,
        Break::IgnoreH,
        Break::FlushMidRecord,
        Break::BeginAtCheckpoint,
        Break::PoisonForgotten,
    ];
    let (seeds, mut unnoticed) = (seeds(200), Vec::new());
    for rule in rules {
        match super::apart::first_wrong(seeds, Some(rule)).await {
            Some((seed, what)) => println!("{rule:?} is noticed at seed {seed}: {}", what.lines().next().unwrap()),
            None => unnoticed.push(rule),
        }
    }
    assert!(unnoticed.is_empty(), "nobody notices {unnoticed:?}");
}
