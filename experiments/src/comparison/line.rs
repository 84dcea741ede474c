//! Comparisons in the background: made one after another for whoever asks, and kept for a while.
//!
//! Always true here: whoever asks never waits; what is answered is of the newest comparison, which tells its age.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use schemas::id::Environment;
use tokio::sync::Notify;

use super::gather::Asked;
use super::{Comparison, PATIENCE, compare};
use crate::Serve;
use crate::interval::{DAY_MS, HOUR_MS, Interval};

/// A comparison counts for so long.
const GOOD_FOR_MS: i64 = 120_000;
/// Between two of them, so that they are no load.
const PAUSE: Duration = Duration::from_millis(500);

/// The newest comparison of each environment, of its last 24 hours. All clones are one; begins empty.
#[derive(Debug, Clone, Default)]
pub struct Comparisons(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Known {
    newest: BTreeMap<Environment, Arc<Comparison>>,
    /// Why the last could not be made.
    failed: BTreeMap<Environment, String>,
    line: Vec<Environment>,
}

impl Comparisons {
    /// Whether nothing keeps an environment from a step forward: its comparison is whole, at most two minutes old, and
    /// leaves nothing unexplained. Where there is none yet one is made, and that is why not, until it is.
    ///
    /// # Errors
    /// Why the step must not be made now.
    pub fn all_is_explained(&self, environment: &Environment, now_ms: i64) -> Result<(), String> {
        let known = self.lock();
        let newest = known.newest.get(environment).filter(|newest| now_ms - newest.as_of_ms <= GOOD_FOR_MS);
        let why = match (newest, known.failed.get(environment)) {
            (Some(newest), _) if newest.totals.unexplained > 0 => {
                format!("{} evaluations or events are unexplained: see {}", newest.totals.unexplained, super::PATH)
            }
            (Some(newest), _) if !newest.complete => "the numbers lag, so nobody can tell yet".to_owned(),
            (Some(_), _) => return Ok(()),
            (None, Some(why)) => format!("no comparison can be made: {why}"),
            (None, None) => "the paths are being compared".to_owned(),
        };
        drop(known);
        self.ask(environment);
        Err(why)
    }

    /// Has one made.
    pub(crate) fn ask(&self, environment: &Environment) {
        let mut known = self.lock();
        if !known.line.contains(environment) {
            known.line.push(environment.clone());
            self.0.asked.notify_one();
        }
    }

    /// The newest of an environment.
    pub(crate) fn newest(&self, project: &str, key: &str) -> Option<Arc<Comparison>> {
        let environment = Environment::new(project, key).ok()?;
        self.lock().newest.get(&environment).cloned()
    }

    /// Why the last of an environment could not be made, where that is so.
    pub(crate) fn failed(&self, environment: &Environment) -> Option<String> {
        self.lock().failed.get(environment).cloned()
    }

    fn next(&self) -> Option<Environment> {
        self.lock().line.first().cloned()
    }

    fn made(&self, environment: Environment, made: Result<Comparison, String>) {
        let mut known = self.lock();
        known.line.retain(|waiting| *waiting != environment);
        match made {
            Ok(comparison) => {
                known.failed.remove(&environment);
                known.newest.insert(environment, Arc::new(comparison));
            }
            Err(why) => {
                known.failed.insert(environment, why);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes what is asked for: forever.
pub(crate) async fn keep_comparing(comparisons: Comparisons, serve: Weak<Serve>) {
    loop {
        let Some(environment) = comparisons.next() else {
            comparisons.0.asked.notified().await;
            continue;
        };
        let Some(serve) = serve.upgrade() else { return };
        let Some(other) = serve.other_path.clone() else { return };
        let now_ms = (serve.clock_ms)();
        let interval = Interval { from_ms: now_ms - now_ms.rem_euclid(HOUR_MS) - DAY_MS, to_ms: now_ms + HOUR_MS };
        let asked = Asked { environment: environment.clone(), hours: interval.hours(), flag: None, patience: PATIENCE };
        let made = compare(&serve, &*other, &asked, interval).await.map_err(|refusal| refusal.message);
        comparisons.made(environment, made);
        drop(serve);
        tokio::time::sleep(PAUSE).await;
    }
}
