//! The door: open until it is told to close, and closed for good when nobody is inside.
//!
//! Always true here: whoever came in is counted until it is dropped; after [`Door::close`] nobody comes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts who is inside; clones are the same door.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inside: AtomicUsize,
    closed: AtomicBool,
    left: Notify,
}

/// A request that came in.
#[derive(Debug)]
pub(crate) struct Inside(Door);

impl Door {
    /// Comes in; `None` = closed.
    pub(crate) fn enter(&self) -> Option<Inside> {
        // Counted first, looked second: with `close` doing it the other way round, one of the two sees the other.
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(self.clone());
        (!self.is_closed()).then_some(inside)
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.left.notify_waiters();
    }

    /// How many are inside now.
    #[cfg(feature = "gate")]
    pub(crate) fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// Waits until the door is closed.
    pub(crate) async fn closed(&self) {
        self.wait(|shared| shared.closed.load(Ordering::SeqCst)).await;
    }

    /// Waits until nobody is inside.
    pub(crate) async fn empty(&self) {
        self.wait(|shared| shared.inside.load(Ordering::SeqCst) == 0).await;
    }

    async fn wait(&self, done: impl Fn(&Shared) -> bool) {
        loop {
            let mut left = std::pin::pin!(self.0.left.notified());
            left.as_mut().enable();
            if done(&self.0) {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let shared = &self.0.0;
        if shared.inside.fetch_sub(1, Ordering::SeqCst) == 1 && shared.closed.load(Ordering::SeqCst) {
            shared.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_closed_door_waits_for_those_inside_and_lets_nobody_in() {
        let door = Door::default();
        let (first, second) = (door.enter().unwrap(), door.enter().unwrap());
        assert!(door.closed().now_or_never().is_none());
        door.close();
        door.closed().await;
        assert!(door.enter().is_none());
        let mut empty = Box::pin(door.empty());
        assert!((&mut empty).now_or_never().is_none());
        drop(first);
        assert!((&mut empty).now_or_never().is_none());
        drop(second);
        empty.await;
    }
}
