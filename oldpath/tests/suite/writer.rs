//! What becomes of each row and job, and what of it the sender and the log are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventlog::memory::MemoryLog;
use futures_util::future::BoxFuture;
use ingest::gate::{OldAnswer, OldPath, OldPayload, Stage};
use oldpath::jobs::{Delivery, Held, Job, Jobs, Receipt};
use oldpath::writer::{Options, Writer};
use oldpath::{Dice, Error, WriteError};
use schemas::old_path::Fate;
use tokio::time::Instant;

use crate::world::{Answer, Scripted, counts, events, exposure, outcomes, told, told_of};

use Answer::{Done, DoneHang, DoneUnknown, Hang, Refused, Unknown};
use OldAnswer::{NotWritten, Written};

/// A queue that takes what is sent as a script says, call by call; each job of a call alike, or, where two answers are
/// given, the first job by the first and the others by the second.
#[derive(Debug, Default)]
struct ScriptedQueue {
    script: Mutex<Vec<(Answer, Answer)>>,
    sent: Mutex<Vec<Vec<Job>>>,
}

impl ScriptedQueue {
    fn new(script: &[Answer]) -> Arc<Self> {
        let script = script.iter().rev().map(|answer| (*answer, *answer)).collect();
        Arc::new(Self { script: Mutex::new(script), ..Self::default() })
    }

    fn calls(&self) -> Vec<usize> {
        self.sent.lock().unwrap().iter().map(Vec::len).collect()
    }
}

impl Jobs for ScriptedQueue {
    fn send(&self, jobs: Vec<Job>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        Box::pin(async move {
            let many = jobs.len();
            self.sent.lock().unwrap().push(jobs);
            let (first, others) = self.script.lock().unwrap().pop().unwrap_or((Done, Done));
            let mut answers = Vec::new();
            for place in 0..many {
                answers.push(if place == 0 { first } else { others }.say().await);
            }
            answers
        })
    }

    fn receive(&self, _: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, Error>> {
        unreachable!("a writer takes no jobs")
    }

    fn delete(&self, _: Vec<Receipt>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        unreachable!("a writer deletes no jobs")
    }

    fn visibility(&self) -> Duration {
        unreachable!("a writer takes no jobs")
    }

    fn held(&self) -> BoxFuture<'_, Result<Held, Error>> {
        unreachable!("a writer counts no jobs")
    }
}

struct House {
    store: Arc<Scripted>,
    jobs: Arc<ScriptedQueue>,
    log: MemoryLog,
    outcomes: oldpath::outcomes::Outcomes,
    writer: Writer,
}

fn house(store: &[Answer], jobs: &[Answer], options: Options) -> House {
    let (store, jobs, log) = (Scripted::new(store), ScriptedQueue::new(jobs), MemoryLog::new(4));
    let outcomes = outcomes(&log);
    let writer = Writer::new(store.clone(), jobs.clone(), outcomes.clone(), Dice::seeded(7), options);
    House { store, jobs, log, outcomes, writer }
}

impl House {
    async fn write(&self, payload: OldPayload) -> OldAnswer {
        let begun = Instant::now();
        let answer = self.writer.write(payload).await;
        assert!(begun.elapsed() <= Options::default().deadline, "{:?}", begun.elapsed());
        self.outcomes.settle().await;
        answer
    }
}

/// A row of 3 that meets these answers: the sender's answer, and numbers by fate.
async fn row(script: &[Answer], answer: OldAnswer, fates: &[(Fate, u64)]) {
    let house = house(script, &[], Options::default());
    assert_eq!(house.write(counts(Stage::Shadow, &[("flag", 3)])).await, answer, "{script:?}");
    assert_eq!(told_of(&house.log, "flag").await, fates, "{script:?}");
    assert_eq!(house.store.calls(), script.len(), "{script:?}");
}

#[tokio::test(start_paused = true)]
async fn each_fate_of_a_row() {
    row(&[Done], Written, &[(Fate::Applied, 3)]).await;
    row(&[Refused, Done], Written, &[(Fate::Applied, 3)]).await;
    row(&[Refused, Refused, Done], Written, &[(Fate::Applied, 3)]).await;
    row(&[Refused, Refused, Refused], NotWritten, &[(Fate::Refused, 3)]).await;
    row(&[Unknown, Done], Written, &[(Fate::Applied, 3), (Fate::Extra, 3)]).await;
    row(&[DoneUnknown, Unknown, Done], Written, &[(Fate::Applied, 3), (Fate::Extra, 6)]).await;
    row(&[Unknown, Refused, Refused], NotWritten, &[(Fate::Uncertain, 3)]).await;
    row(&[Refused, DoneUnknown, Refused], NotWritten, &[(Fate::Uncertain, 3)]).await;
    row(&[Unknown, Unknown, Unknown], NotWritten, &[(Fate::Uncertain, 3), (Fate::Extra, 6)]).await;
    row(&[DoneHang, Done], Written, &[(Fate::Applied, 3), (Fate::Extra, 3)]).await;
}

/// Two attempts that hang leave less than a pause and a call of the 2 s.
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_given_up_within_the_deadline() {
    row(&[Hang, DoneHang, Hang], NotWritten, &[(Fate::Uncertain, 3), (Fate::Extra, 6)]).await;
}

/// A custom event that stands for 2 and meets these answers.
async fn sent(script: &[Answer], answer: OldAnswer, fates: &[(Fate, u64)]) {
    let house = house(&[], script, Options::default());
    assert_eq!(house.write(events(Stage::Live, &["event"])).await, answer, "{script:?}");
    assert_eq!(told_of(&house.log, "event").await, fates, "{script:?}");
    assert_eq!(house.jobs.calls(), vec![1; script.len()], "{script:?}");
}

#[tokio::test(start_paused = true)]
async fn each_fate_of_a_job() {
    sent(&[Done], Written, &[(Fate::Enqueued, 2)]).await;
    sent(&[Refused, Done], Written, &[(Fate::Enqueued, 2)]).await;
    sent(&[Refused, Refused, Refused], NotWritten, &[(Fate::EnqueueRefused, 2)]).await;
    sent(&[Unknown, Done], Written, &[(Fate::Enqueued, 2), (Fate::EnqueueUncertain, 2)]).await;
    sent(&[Refused, Hang, Refused], NotWritten, &[(Fate::EnqueueUncertain, 2)]).await;
    sent(&[Unknown, Unknown, Unknown], NotWritten, &[(Fate::EnqueueUncertain, 6)]).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_are_sent_by_ten_and_only_those_that_were_not_taken_again() {
    let house = house(&[], &[], Options { calls_max: 1, ..Options::default() });
    *house.jobs.script.lock().unwrap() = vec![(Done, Refused)];
    let keys: Vec<String> = (0..23).map(|n| format!("event-{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(house.write(events(Stage::Shadow, &keys)).await, Written);
    let mut calls = house.jobs.calls();
    calls.sort_unstable();
    assert_eq!(calls, [3, 9, 10, 10]);
    let (numbers, _) = told(&house.log).await;
    assert_eq!(numbers.len(), 23);
    assert!(numbers.iter().all(|((_, fate), number)| (*fate, *number) == (Fate::Enqueued, 2)), "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_payload_meet_fates_of_their_own_in_one_record() {
    let script = [Done, Refused, Refused, Refused, Unknown, Done];
    let house = house(&script, &[], Options { calls_max: 1, ..Options::default() });
    let payload = counts(Stage::Live, &[("a", 1), ("b", 10), ("c", 100)]);
    assert_eq!(house.write(payload).await, NotWritten);
    let (numbers, records) = told(&house.log).await;
    let sums: Vec<(Fate, u64)> = numbers.into_iter().map(|((_, fate), number)| (fate, number)).collect();
    assert_eq!(sums, [(Fate::Applied, 1), (Fate::Refused, 10), (Fate::Applied, 100), (Fate::Extra, 100)]);
    assert_eq!(records, 1);
}

#[tokio::test(start_paused = true)]
async fn in_off_the_log_is_told_nothing_and_the_counters_know() {
    let house = house(&[], &[], Options::default());
    let payload = OldPayload { events: events(Stage::Off, &["event"]).events, ..counts(Stage::Off, &[("flag", 3)]) };
    assert_eq!(house.write(payload).await, Written);
    assert_eq!(told(&house.log).await.1, 0);
    let held: Vec<(u64, u64)> =
        house.store.held.lock().unwrap().values().map(|totals| (totals.number, totals.number_off)).collect();
    assert_eq!(held, [(3, 3)]);
    assert!(house.jobs.sent.lock().unwrap()[0][0].off);
}

/// Nothing compares them yet.
#[tokio::test(start_paused = true)]
async fn of_exposures_the_log_is_told_nothing() {
    let house = house(&[], &[Refused, Refused, Refused], Options::default());
    assert_eq!(house.write(exposure(Stage::Shadow, "flag")).await, NotWritten);
    assert_eq!((told(&house.log).await.1, house.jobs.calls()), (0, vec![1; 3]));
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_are_bounded_and_who_finds_no_place_in_time_is_refused() {
    let house = house(&[Hang; 6], &[], Options { calls_max: 2, attempts_max: 1, ..Options::default() });
    let flags: Vec<String> = (0..8).map(|n| format!("flag-{n}")).collect();
    let rows: Vec<(&str, u64)> = flags.iter().map(|flag| (flag.as_str(), 1)).collect();
    let (first, second) = tokio::join!(
        house.writer.write(counts(Stage::Live, &rows[..4])),
        house.writer.write(counts(Stage::Live, &rows[4..]))
    );
    house.outcomes.settle().await;
    assert_eq!((first, second), (NotWritten, NotWritten));
    assert_eq!(house.store.most_under_way(), 2);
    let (numbers, _) = told(&house.log).await;
    let many = |wanted: Fate| numbers.keys().filter(|(_, fate)| *fate == wanted).count();
    // Of 2 s each attempt takes 0.8: two pairs hang for that long, a third for what is left, and then nothing is.
    assert_eq!([Fate::Uncertain, Fate::Applied, Fate::Refused].map(many), [6, 0, 2]);
    assert_eq!(house.store.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_keeps_no_job_from_being_sent() {
    let attempt = Options::default().deadline;
    let house = house(&[Hang], &[], Options { calls_max: 1, attempt, ..Options::default() });
    let payload = OldPayload { events: events(Stage::Live, &["event"]).events, ..counts(Stage::Live, &[("flag", 3)]) };
    assert_eq!(house.write(payload).await, NotWritten);
    assert_eq!(told_of(&house.log, "event").await, [(Fate::Enqueued, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_payload_for_which_the_gate_has_no_room_is_told_as_refused() {
    let house = house(&[], &[], Options::default());
    let payload = OldPayload { events: events(Stage::Live, &["event"]).events, ..counts(Stage::Live, &[("flag", 3)]) };
    house.writer.refuse(payload);
    house.outcomes.settle().await;
    assert_eq!(told_of(&house.log, "flag").await, [(Fate::Refused, 3)]);
    assert_eq!(told_of(&house.log, "event").await, [(Fate::EnqueueRefused, 2)]);
    assert_eq!((house.store.calls(), house.jobs.calls()), (0, Vec::new()));
}
