//! The budget of bytes in flight: bodies being read and records being written.
//!
//! Always true here: what is held never passes the limit; what was taken is given back when its holder is dropped,
//! however its request ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counted budget; clones are the same budget.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    held: AtomicUsize,
    bytes_max: usize,
}

/// Bytes taken from a budget.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { held: AtomicUsize::new(0), bytes_max }))
    }

    /// Takes `bytes`; `None` = that many are not left.
    pub(crate) fn take(&self, bytes: usize) -> Option<Held> {
        self.add(bytes).then(|| Held { budget: self.clone(), bytes })
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.0.bytes_max);
        self.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl Held {
    /// Holds `bytes` from now on, more or fewer than before; `false` = that many are not left, and nothing changed.
    #[must_use]
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            if !self.budget.add(bytes - self.bytes) {
                return false;
            }
        } else {
            self.budget.0.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_allowed_and_all_comes_back() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).unwrap();
        assert!(budget.take(41).is_none());
        let second = budget.take(40).unwrap();
        assert!(!first.resize(61));
        assert_eq!((first.bytes(), budget.held()), (60, 100));
        drop(second);
        assert!(first.resize(100));
        assert!(first.resize(10));
        assert_eq!(budget.held(), 10);
        drop(first);
        assert_eq!(budget.held(), 0);
        assert!(budget.take(usize::MAX).is_none());
    }
}
