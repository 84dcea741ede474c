//! What a partition has under way beside folding: the load of cells, the step of a flush, a dead letter, a snapshot.
//!
//! Always true here: at most one of each; actions begin in the order in which they came, but a load waits for nobody; a
//! write is not begun before the dead letters in front of it are durable, nor is the state changed while it is copied;
//! nothing of it needs the log, so folding, a stop and a revocation never wait for any of it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use counting::fold;
use counting::worker::{Action, Input};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use crate::Error;

/// A failure that may pass is waited for this long the first time, twice as long each time after,
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// and never longer than this.
const RETRY_LAST: Duration = Duration::from_secs(5);

/// Something that came to its end.
pub(crate) enum Done {
    /// What the worker is told.
    Input(Input),
    /// The dead letter is kept, or cannot be.
    Letter(Result<(), Error>),
    /// The position of the snapshot, if there is one now.
    Snapshot(Result<Option<u64>, Error>),
}

/// An action whose turn it is.
pub(crate) enum Next {
    Begin(u64),
    Letter(fold::DeadLetter),
    Snapshot,
    /// A step of a flush.
    Flush(Action),
    Stop(counting::worker::Stop),
}

/// How often in a row something has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Failures(u32);

impl Failures {
    /// How long to wait after one more.
    pub(crate) fn wait(self) -> Duration {
        RETRY_FIRST.saturating_mul(1 << self.0.min(16)).min(RETRY_LAST)
    }

    pub(crate) fn one_more(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    fn after(&mut self, input: &Input) {
        match input {
            Input::Failed { .. } => self.one_more(),
            _ => *self = Self::default(),
        }
    }
}

type Slot<T> = Option<BoxFuture<'static, T>>;

#[derive(Default)]
pub(crate) struct UnderWay {
    waiting: VecDeque<Action>,
    load: Slot<Input>,
    flush: Slot<Input>,
    letter: Slot<Result<(), Error>>,
    snapshot: Slot<Result<Option<u64>, Error>>,
    load_failures: Failures,
    flush_failures: Failures,
}

impl UnderWay {
    /// An action that waits for its turn.
    pub(crate) fn push(&mut self, action: Action) {
        self.waiting.push_back(action);
    }

    pub(crate) fn load(&mut self, partition: u32, load: BoxFuture<'static, Input>) {
        self.load = Some(patient(partition, self.load_failures.wait(), load));
    }

    pub(crate) fn flush(&mut self, partition: u32, step: BoxFuture<'static, Input>) {
        self.flush = Some(patient(partition, self.flush_failures.wait(), step));
    }

    pub(crate) fn letter(&mut self, letter: BoxFuture<'static, Result<(), Error>>) {
        self.letter = Some(letter);
    }

    pub(crate) fn snapshot(&mut self, snapshot: BoxFuture<'static, Result<Option<u64>, Error>>) {
        self.snapshot = Some(snapshot);
    }

    /// The next action, if its turn has come.
    pub(crate) fn turn(&mut self) -> Option<Next> {
        let begins = match self.waiting.front()? {
            Action::Begin { .. } | Action::Stop(_) | Action::Load(_) => true,
            Action::DeadLetter(_) => self.letter.is_none(),
            Action::Snapshot { .. } => self.snapshot.is_none() && self.flush.is_none(),
            Action::SaveState(_) | Action::Commit(_) => {
                self.flush.is_none() && self.letter.is_none() && self.snapshot.is_none()
            }
            Action::Write(_) | Action::WriteCheckpoint(_) => self.flush.is_none() && self.letter.is_none(),
        };
        if !begins {
            return None;
        }
        Some(match self.waiting.pop_front()? {
            Action::Begin { position } => Next::Begin(position),
            Action::DeadLetter(letter) => Next::Letter(letter),
            Action::Snapshot { .. } => Next::Snapshot,
            Action::Stop(stop) => Next::Stop(stop),
            step => Next::Flush(step),
        })
    }

    /// Actions that wait for their turn; dead letters among them hold their bytes.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing waits and nothing is under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        let Self { waiting, load, flush, letter, snapshot, .. } = self;
        waiting.is_empty() && load.is_none() && flush.is_none() && letter.is_none() && snapshot.is_none()
    }

    /// Nobody waits for the load any more.
    pub(crate) fn forget_load(&mut self) {
        self.load = None;
    }

    /// Forgets everything but the step of a flush that is at the store already: nothing else must be written before its
    /// end is known.
    pub(crate) fn leave(&mut self) -> Slot<Input> {
        let Self { flush, .. } = std::mem::take(self);
        flush
    }

    /// Waits for the next end; for ever when nothing is under way.
    pub(crate) fn next(&mut self) -> impl Future<Output = Done> + Send + '_ {
        poll_fn(|context| {
            if let Some(input) = poll(&mut self.flush, context) {
                self.flush_failures.after(&input);
                return Poll::Ready(Done::Input(input));
            }
            if let Some(input) = poll(&mut self.load, context) {
                self.load_failures.after(&input);
                return Poll::Ready(Done::Input(input));
            }
            if let Some(kept) = poll(&mut self.letter, context) {
                return Poll::Ready(Done::Letter(kept));
            }
            match poll(&mut self.snapshot, context) {
                Some(taken) => Poll::Ready(Done::Snapshot(taken)),
                None => Poll::Pending,
            }
        })
    }
}

fn poll<T>(slot: &mut Slot<T>, context: &mut Context<'_>) -> Option<T> {
    let Poll::Ready(ended) = slot.as_mut()?.poll_unpin(context) else { return None };
    *slot = None;
    Some(ended)
}

/// A failure that may pass is handed back after a while.
fn patient(partition: u32, wait: Duration, work: BoxFuture<'static, Input>) -> BoxFuture<'static, Input> {
    async move {
        let input = work.await;
        if let Input::Failed { work, reason, retry: true } = &input {
            tracing::warn!(partition, ?work, reason, ?wait, "will try again");
            sleep(wait).await;
        }
        input
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use schemas::stored::{Checkpoint, StateChanges};

    fn letter(offset: u64) -> Action {
        let (header, body) = (Bytes::new(), Bytes::new());
        Action::DeadLetter(fold::DeadLetter { offset, reason: String::new(), header, body })
    }

    fn checkpoint() -> Action {
        Action::WriteCheckpoint(Checkpoint { position: 1, definition_version: 0, fingerprint: 0, log_time_ms: 0 })
    }

    fn never<T: Send + 'static>() -> BoxFuture<'static, T> {
        std::future::pending().boxed()
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let mut failures = Failures::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            waits.push(failures.wait().as_millis());
            failures.one_more();
        }
        assert_eq!(waits[..8], [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(waits[39], 5_000);
        failures.after(&Input::StateSaved);
        assert_eq!(failures.wait(), RETRY_FIRST);
    }

    #[tokio::test]
    async fn no_write_begins_before_the_dead_letters_in_front_of_it_are_kept() {
        let mut under_way = UnderWay::default();
        [letter(1), letter(2), checkpoint()].into_iter().for_each(|action| under_way.push(action));
        for offset in 1..=2 {
            assert!(matches!(under_way.turn(), Some(Next::Letter(letter)) if letter.offset == offset));
            under_way.letter(std::future::ready(Ok(())).boxed());
            assert!(under_way.turn().is_none(), "letter {offset} is not kept yet");
            assert!(matches!(under_way.next().await, Done::Letter(Ok(()))));
        }
        assert!(matches!(under_way.turn(), Some(Next::Flush(Action::WriteCheckpoint(_)))));
    }

    #[test]
    fn the_state_is_not_changed_while_it_is_copied() {
        let mut under_way = UnderWay::default();
        under_way.snapshot(never());
        under_way.push(checkpoint());
        under_way.push(Action::SaveState(StateChanges::default()));
        assert!(matches!(under_way.turn(), Some(Next::Flush(Action::WriteCheckpoint(_)))));
        assert!(under_way.turn().is_none());
    }
}
