//! What became of each write and each job, told to the log.
//!
//! Always true here: what is told is sums, so that it may be gathered; a record has one id however often it is
//! appended, and so counts once; what cannot be told in 30 s is given up and counted in a metric: the log's range for
//! it then stays open. What is told of lies behind: its effect has happened, or will not. Exposures are not told:
//! nothing compares them yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventlog::EventLog;
use ingest::Clock;
use prometheus_client::metrics::counter::Counter as Metric;
use prometheus_client::registry::Registry;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::old_path::{Counted, Fate, OUTCOME_ROWS_MAX, OutcomeRow, outcome_record};
use schemas::record::StoredVariation;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::counter::{Counter, hour_of};
use crate::dice::Dice;
use ingest::gate::OldVariation;

/// How long outcomes are gathered before they are appended.
const PACE: Duration = Duration::from_millis(50);
/// How long an append is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest pause between two attempts; the first is a sixteenth of it.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Different rows that may wait to be appended; beyond it they are given up.
const ROWS_WAITING_MAX: usize = 100_000;
/// Records of one append.
const RECORDS_MAX: usize = 64;

/// So many evaluations or events met a fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of what.
    pub counter: Counter,
    /// Their time, Unix milliseconds; of it the hour is told.
    pub time_ms: i64,
    /// What became of them.
    pub fate: Fate,
    /// How many.
    pub number: u64,
}

/// Tells the log; clones tell together.
#[derive(Clone)]
pub struct Outcomes(Arc<Shared>);

struct Shared {
    log: Arc<dyn EventLog>,
    clock: Clock,
    dice: Dice,
    waiting: Mutex<Waiting>,
    /// Nothing waits and nothing is being appended.
    settled: watch::Sender<bool>,
    records: Metric,
    given_up: Metric,
}

/// Counter, UTC hour and fate.
type Row = (Counter, u32, Fate);

#[derive(Default)]
struct Waiting {
    sums: BTreeMap<Environment, BTreeMap<Row, u64>>,
    rows: usize,
    /// A task is at work that will come back for what waits.
    is_appending: bool,
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcomes").field("waiting", &self.0.lock().rows).finish_non_exhaustive()
    }
}

impl Outcomes {
    /// Tells this log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, clock: Clock, dice: Dice) -> Self {
        let (settled, _) = watch::channel(true);
        let (waiting, records, given_up) = (Mutex::default(), Metric::default(), Metric::default());
        Self(Arc::new(Shared { log, clock, dice, waiting, settled, records, given_up }))
    }

    /// Has these told soon, all or none, and does not wait for it. Must be called within a runtime.
    pub fn tell(&self, environment: &Environment, outcomes: Vec<Outcome>) {
        let mut waiting = self.0.lock();
        waiting.add(environment, outcomes, &self.0.given_up);
        if waiting.rows == 0 || waiting.is_appending {
            return;
        }
        waiting.is_appending = true;
        self.0.settled.send_replace(false);
        tokio::spawn(append_what_waits(Arc::clone(&self.0)));
    }

    /// Tells these and answers when the log surely has them, or `false` when it may not have them by then.
    pub async fn told_by(&self, environment: &Environment, outcomes: Vec<Outcome>, by: Instant) -> bool {
        let mut waiting = Waiting::default();
        waiting.add(environment, outcomes, &self.0.given_up);
        let Some(records) = self.0.records(waiting.sums) else { return false };
        self.0.append(records, by).await.is_ok()
    }

    /// Waits until all that was told so far is in the log or given up.
    pub async fn settle(&self) {
        // The sender is ours, so it does not go away.
        let _ = self.0.settled.subscribe().wait_for(|settled| *settled).await;
    }

    /// Rows of outcomes that were given up.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.0.given_up.get()
    }

    /// Puts its counters into a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("outcome_records", "Records of outcomes appended to the log", self.0.records.clone());
        let help = "Rows of outcomes that the log did not take in time; what became of those writes stays open";
        registry.register("outcomes_given_up", help, self.0.given_up.clone());
    }
}

impl Waiting {
    /// All of them or none: a row that is told to be applied, and not that it may be so twice, would be told wrong.
    fn add(&mut self, environment: &Environment, outcomes: Vec<Outcome>, given_up: &Metric) {
        if self.rows + outcomes.len() > ROWS_WAITING_MAX {
            given_up.inc_by(outcomes.len() as u64);
            return;
        }
        for Outcome { counter, time_ms, fate, number } in outcomes {
            if number == 0 || matches!(counter, Counter::Exposures { .. }) {
                continue;
            }
            let rows = self.sums.entry(environment.clone()).or_default();
            let row = (counter, hour_of(time_ms), fate);
            match rows.get_mut(&row) {
                Some(sum) => *sum = sum.saturating_add(number),
                None => {
                    rows.insert(row, number);
                    self.rows += 1;
                }
            }
        }
    }
}

async fn append_what_waits(shared: Arc<Shared>) {
    loop {
        sleep(PACE).await;
        let sums = {
            let mut waiting = shared.lock();
            if waiting.rows == 0 {
                waiting.is_appending = false;
                shared.settled.send_replace(true);
                return;
            }
            waiting.rows = 0;
            std::mem::take(&mut waiting.sums)
        };
        let rows: usize = sums.values().map(BTreeMap::len).sum();
        let by = Instant::now() + PATIENCE;
        let appended = match shared.records(sums) {
            Some(records) => shared.append(records, by).await,
            None => Err("no random bytes to name a record with".to_owned()),
        };
        if let Err(error) = appended {
            shared.given_up.inc_by(rows as u64);
            tracing::warn!(error, rows, "outcomes of the old path were not told to the log; their range stays open");
        }
    }
}

impl Shared {
    /// Appends all, trying again until then. Each attempt has the same ids, so that the log counts one of them.
    async fn append(&self, records: Vec<Append>, by: Instant) -> Result<(), String> {
        for records in records.chunks(RECORDS_MAX) {
            let mut pause = PAUSE_MAX / 16;
            loop {
                let error = match timeout_at(by, self.log.append(records.to_vec())).await {
                    Ok(Ok(_)) => break,
                    Ok(Err(error @ (eventlog::Error::Poisoned(_) | eventlog::Error::Setting(_)))) => {
                        return Err(error.to_string());
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => return Err("log did not answer in time".to_owned()),
                };
                let pausing = self.dice.about(pause);
                if Instant::now() + pausing >= by {
                    return Err(error);
                }
                sleep(pausing).await;
                pause = PAUSE_MAX.min(pause * 2);
            }
            self.records.inc_by(records.len() as u64);
        }
        Ok(())
    }

    /// The records for these sums; `None` = there is nothing to name them with.
    fn records(&self, sums: BTreeMap<Environment, BTreeMap<Row, u64>>) -> Option<Vec<Append>> {
        let at_ms = (self.clock)();
        let mut records = Vec::new();
        for (environment, rows) in &sums {
            let mut left: Vec<(&Row, u64)> = rows.iter().map(|(row, number)| (row, *number)).collect();
            while !left.is_empty() {
                let behind = left.split_off(cut(&left));
                let told: Vec<OutcomeRow<'_>> =
                    left.iter().filter_map(|(row, number)| outcome_row(row, *number)).collect();
                let id = self.dice.id().ok()?;
                records.push(outcome_record(environment, self.log.partitions(), id, at_ms, &told));
                left = behind;
            }
        }
        Some(records)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of these rows, in order, make the next record: all fates of a counter and hour are in one, since they tell
/// of the same writes.
fn cut(rows: &[(&Row, u64)]) -> usize {
    let place = |((counter, hour, _), _): &(&Row, u64)| (counter.clone(), *hour);
    if rows.len() <= OUTCOME_ROWS_MAX {
        return rows.len();
    }
    let begins = |nth: &usize| place(&rows[*nth]) != place(&rows[*nth - 1]);
    (1..=OUTCOME_ROWS_MAX).rev().find(begins).unwrap_or(OUTCOME_ROWS_MAX)
}

/// As the log has it; `None` for what is not told.
fn outcome_row((counter, hour, fate): &Row, number: u64) -> Option<OutcomeRow<'_>> {
    let counted = match counter {
        Counter::Evaluations { flag, variation } => {
            let variation = match variation {
                OldVariation::Default => StoredVariation::Default,
                OldVariation::Index(index) => StoredVariation::Index(*index),
                OldVariation::Name(name) => StoredVariation::Name(name.as_bytes()),
            };
            Counted::Flag { key: flag.as_bytes(), variation }
        }
        Counter::Events { key } => Counted::Event { key: key.as_bytes() },
        Counter::Exposures { .. } => return None,
    };
    Some(OutcomeRow { counted, time_ms: i64::from(*hour) * 3_600_000, fate: *fate, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fates_of_a_counter_are_told_in_one_record() {
        let row = |key: usize, fate| (Counter::Events { key: format!("{key:04}").into() }, 7, fate);
        let one_and_pairs = std::iter::once(row(0, Fate::Applied))
            .chain((1..700).flat_map(|key| [row(key, Fate::Applied), row(key, Fate::Extra)]));
        let rows: Vec<Row> = one_and_pairs.collect();
        let rows: Vec<(&Row, u64)> = rows.iter().map(|row| (row, 1)).collect();
        let first = cut(&rows);
        assert_eq!(first, OUTCOME_ROWS_MAX - 1, "a pair would be cut by one row more");
        assert_ne!(rows[first - 1].0.0, rows[first].0.0);
        assert_eq!(cut(&rows[first..]), rows.len() - first);
    }

    #[test]
    fn what_has_no_room_is_given_up_whole() {
        let environment = Environment::new("p", "e").unwrap();
        let outcome = |key: usize, fate| Outcome {
            counter: Counter::Events { key: key.to_string().into() },
            time_ms: 0,
            fate,
            number: 1,
        };
        let (mut waiting, given_up) = (Waiting::default(), Metric::default());
        waiting.add(&environment, (1..ROWS_WAITING_MAX).map(|key| outcome(key, Fate::Applied)).collect(), &given_up);
        waiting.add(&environment, vec![outcome(1, Fate::Applied), outcome(1, Fate::Extra)], &given_up);
        assert_eq!((waiting.rows, given_up.get()), (ROWS_WAITING_MAX - 1, 2));
        assert_eq!(waiting.sums[&environment].values().sum::<u64>(), ROWS_WAITING_MAX as u64 - 1);
    }
}
