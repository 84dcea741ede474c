//! Numbers of payloads refused whole, on their way into the books.
//!
//! Always true here: a payload refused whole makes no record; its numbers wait here for the environment's next record,
//! or for a record of numbers alone. Best effort: what waits when the process dies is lost. Memory is bounded, since
//! only environments that have keys get a row.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::id::Environment;
use schemas::rejection::Rejections;
use tokio::time::Instant;

/// Numbers wait this long for a payload to travel with; with the pace of the task that is well under 10 s.
pub(crate) const WAIT: Duration = Duration::from_secs(4);
/// How often the task looks.
pub(crate) const PACE: Duration = Duration::from_secs(1);

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    waiting: Mutex<HashMap<Environment, Waiting>>,
    /// Whether anything may wait, so that a payload need not ask the map.
    any: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    numbers: Rejections,
    since: Instant,
}

impl Carry {
    /// Adds what was refused.
    pub(crate) fn add(&self, environment: &Environment, numbers: &Rejections) {
        if numbers.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        let fresh = || Waiting { numbers: Rejections::default(), since: Instant::now() };
        waiting.entry(environment.clone()).or_insert_with(fresh).numbers.merge(numbers);
        self.any.store(true, Ordering::Release);
    }

    /// Takes what waits for this environment.
    pub(crate) fn take(&self, environment: &Environment) -> Rejections {
        if !self.any.load(Ordering::Acquire) {
            return Rejections::default();
        }
        let mut waiting = self.lock();
        let numbers = waiting.remove(environment).map(|waiting| waiting.numbers).unwrap_or_default();
        self.any.store(!waiting.is_empty(), Ordering::Release);
        numbers
    }

    /// Takes all that has waited for at least `wait`, in order of environment.
    pub(crate) fn take_waited(&self, wait: Duration) -> Vec<(Environment, Rejections)> {
        let mut waiting = self.lock();
        let mut taken: Vec<_> = waiting
            .extract_if(|_, waiting| waiting.since.elapsed() >= wait)
            .map(|(environment, waiting)| (environment, waiting.numbers))
            .collect();
        self.any.store(!waiting.is_empty(), Ordering::Release);
        taken.sort_by(|a, b| a.0.cmp(&b.0));
        taken
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Environment, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use schemas::rejection::Rejection;

    use super::*;

    fn numbers(number: u64) -> Rejections {
        let mut numbers = Rejections::default();
        numbers.add(Rejection::MalformedPayload, number);
        numbers
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_leave_once_with_a_payload_or_after_their_wait() {
        let [a, b] = ["a", "b"].map(|key| Environment::new("p", key).unwrap());
        let carry = Carry::default();
        carry.add(&a, &numbers(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        carry.add(&a, &numbers(2));
        carry.add(&b, &numbers(5));
        tokio::time::advance(WAIT - Duration::from_secs(1)).await;
        assert_eq!(carry.take_waited(WAIT), [(a.clone(), numbers(3))]);
        assert_eq!(carry.take(&a), Rejections::default());
        assert_eq!(carry.take(&b), numbers(5));
        assert_eq!(carry.take(&b), Rejections::default());
        assert_eq!(carry.take_waited(Duration::ZERO), []);
    }
}
