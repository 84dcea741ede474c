//! Telling the log, when the log is in trouble.

use std::time::Duration;

use eventlog::memory::{Fault, MemoryLog};
use oldpath::outcomes::Outcome;
use schemas::old_path::Fate;
use tokio::time::Instant;

use crate::world::{NOW_MS, environment, evaluations, outcomes, told, told_of};

fn outcome(flag: &str, number: u64) -> Outcome {
    Outcome { counter: evaluations(flag), time_ms: NOW_MS, fate: Fate::Applied, number }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_answer_was_lost_counts_once() {
    let log = MemoryLog::new(2);
    let outcomes = outcomes(&log);
    log.fail_next(Fault::Refused);
    log.fail_next(Fault::AnswerLost);
    outcomes.tell(&environment(), vec![outcome("flag", 3), outcome("flag", 4)]);
    outcomes.settle().await;
    assert_eq!(told(&log).await.1, 2, "the record lies in the log twice");
    assert_eq!(told_of(&log, "flag").await, [(Fate::Applied, 7)]);
    assert_eq!(outcomes.given_up(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_away_for_half_a_minute_is_told_no_more_and_a_metric_knows() {
    let log = MemoryLog::new(2);
    let outcomes = outcomes(&log);
    (0..1_000).for_each(|_| log.fail_next(Fault::Refused));
    let begun = Instant::now();
    outcomes.tell(&environment(), vec![outcome("a", 3), outcome("b", 4)]);
    outcomes.settle().await;
    let took = begun.elapsed();
    assert!(Duration::from_secs(28) < took && took <= Duration::from_secs(31), "{took:?}");
    assert_eq!((outcomes.given_up(), told(&log).await.1), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_told_in_records_of_a_thousand_rows() {
    let log = MemoryLog::new(2);
    let outcomes = outcomes(&log);
    for flag in 0..2_500 {
        outcomes.tell(&environment(), vec![outcome(&format!("flag-{flag}"), 1), outcome("every", 1)]);
    }
    outcomes.settle().await;
    let (numbers, records) = told(&log).await;
    assert_eq!((numbers.len(), records), (2_501, 3));
    assert_eq!(numbers[&("every".to_owned(), Fate::Applied)], 2_500);
}

#[tokio::test(start_paused = true)]
async fn what_must_be_told_first_is_answered_when_the_log_has_it() {
    let log = MemoryLog::new(2);
    let outcomes = outcomes(&log);
    let by = || Instant::now() + Duration::from_secs(5);
    assert!(outcomes.told_by(&environment(), vec![outcome("flag", 1)], by()).await);
    assert_eq!(told(&log).await.1, 1);
    (0..1_000).for_each(|_| log.fail_next(Fault::Refused));
    let begun = Instant::now();
    assert!(!outcomes.told_by(&environment(), vec![outcome("flag", 1)], by()).await);
    assert!(begun.elapsed() <= Duration::from_secs(5));
}
