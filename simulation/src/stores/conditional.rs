//! One item, where the server evaluates a condition.
//!
//! Always true here: looking at what is there and putting is one step; what was there before is kept, for a reader
//! without consistency may still get it.

use super::table::{Put, Row, Rule};

/// An item: what is there, and what was there before it, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Item<V> {
    history: Vec<V>,
}

impl<V> Default for Item<V> {
    fn default() -> Self {
        Self { history: Vec::new() }
    }
}

impl<V: Row> Item<V> {
    /// What is there.
    pub(super) fn newest(&self) -> Option<&V> {
        self.history.last()
    }

    /// How many older answers there are, that of the time before the first write among them.
    pub(super) fn older(&self) -> usize {
        self.history.len()
    }

    /// An older answer, 0 the oldest: nothing was there.
    pub(super) fn at(&self, age: usize) -> Option<&V> {
        self.history.get(age.checked_sub(1)?)
    }

    pub(super) fn put<K>(&mut self, key: &K, new: &V, rule: &Rule<K, V>) -> Put<V> {
        let held = self.newest();
        let before = held.map(Row::order);
        let placed = match (held, rule) {
            (Some(held), Rule::Protocol) if !V::may_put(Some(held), new) => {
                return Put { refused: Some(held.clone()), ..Put::offered(held, new) };
            }
            (Some(held), Rule::Combine(combine)) => combine(key, held, new),
            _ => new.clone(),
        };
        self.history.push(placed.clone());
        Put { news: Some((placed, before)), refused: None }
    }
}
