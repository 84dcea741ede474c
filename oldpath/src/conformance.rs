//! What every store of counters and every queue must do, as lists of named cases over a fresh one each.
//!
//! Always true here: a case knows nothing of the back end but its trait; one that fails says what it found. A new back
//! end passes when nothing comes back.

mod jobs;
mod store;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::jobs::Jobs;
use crate::store::OldStore;

/// `Err` says what was found.
type Outcome = Result<(), String>;

/// A case that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the case shows.
    pub case: &'static str,
    /// What was found.
    pub what: String,
}

type Case<T> = (&'static str, fn(T) -> BoxFuture<'static, Outcome>);

macro_rules! cases {
    ($($name:literal => $case:path,)*) => {
        &[$(($name, |world| Box::pin($case(world))),)*]
    };
}

const STORE: &[Case<Arc<dyn OldStore>>] = cases! {
    "additions made at once come to their exact sum" => store::at_once,
    "a counter keeps what was of stage off, values and last seen apart" => store::totals,
    "sums are exact at the limits" => store::limits,
    "environments, kinds, keys, hours and variations never mix" => store::never_mix,
    "hours are half-open, and pages join to the whole whatever their size" => store::pages,
    "steps from key to key find each key once" => store::keys,
};

const JOBS: &[Case<Arc<dyn Bench>>] = cases! {
    "a job comes as it was sent, stays out of sight, and is gone when it is deleted" => jobs::once,
    "a job whose taker died comes again with its count" => jobs::again,
    "a job delivered five times lies among the dead letters" => jobs::dead,
    "takers at once get each job once" => jobs::takers,
    "any text comes back as it was, in batches of ten of the longest" => jobs::texts,
};

/// A queue that can be left and found again, and whose time passes.
pub trait Bench: Send + Sync {
    /// Whoever asks is a process of its own: it comes to the queue as the last one left it.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Jobs>>;

    /// Lets so much time pass.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// Runs every case on a store of its own; gives those that did not pass.
pub async fn of_store<F: Future<Output = Arc<dyn OldStore>>>(make: impl FnMut() -> F) -> Vec<Failure> {
    run(STORE, make).await
}

/// Runs every case on a queue of its own; gives those that did not pass.
pub async fn of_jobs<F: Future<Output = Arc<dyn Bench>>>(make: impl FnMut() -> F) -> Vec<Failure> {
    run(JOBS, make).await
}

async fn run<T, F: Future<Output = T>>(cases: &'static [Case<T>], mut make: impl FnMut() -> F) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (case, run) in cases {
        if let Err(what) = run(make().await).await {
            failures.push(Failure { case, what });
        }
    }
    failures
}

/// Says what was found where something else was expected.
fn same<T: std::fmt::Debug + PartialEq>(of: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{of}: found {found:?}, expected {expected:?}")) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
