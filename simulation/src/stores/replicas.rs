//! One item on three replicas, where the last write wins.
//!
//! Always true here: a replica keeps the write with the highest timestamp, whatever the order of arrival; a consistent
//! reader hears two replicas and takes the newer answer, and mends nothing.

use stores::protocol;

use super::model::Servers;
use super::table::{Put, Row, Rule, Sent};

/// How many there are.
pub(super) const REPLICAS: usize = 3;

/// The quorums that a reader may hear.
pub(super) const PAIRS: [[usize; 2]; 3] = [[0, 1], [0, 2], [1, 2]];

/// What each replica has.
#[derive(Debug, Clone)]
pub(super) struct Replicas<V> {
    held: [Option<Sent<V>>; REPLICAS],
}

impl<V> Default for Replicas<V> {
    fn default() -> Self {
        Self { held: [None, None, None] }
    }
}

impl<V: Row> Replicas<V> {
    /// What a reader takes that hears this pair.
    pub(super) fn read(&self, pair: usize) -> Option<&V> {
        self.newest_of(PAIRS[pair].into_iter())
    }

    /// What a reader takes that hears all.
    pub(super) fn newest(&self) -> Option<&V> {
        self.newest_of(0..REPLICAS)
    }

    /// What one replica has.
    pub(super) fn at(&self, replica: usize) -> Option<&V> {
        self.held[replica].as_ref().map(|sent| &sent.value)
    }

    fn newest_of(&self, replicas: impl Iterator<Item = usize>) -> Option<&V> {
        let replies = replicas.filter_map(|replica| self.held[replica].as_ref());
        protocol::newest(replies, |sent| sent.told()).map(|sent| &sent.value)
    }

    /// A write arrives at these replicas.
    pub(super) fn put<K>(&mut self, key: &K, servers: Servers, sent: &Sent<V>, rule: &Rule<K, V>) -> Put<V> {
        let mut put = Put { news: None, refused: None };
        for replica in (0..REPLICAS).filter(|replica| servers & (1 << replica) != 0) {
            let held = &mut self.held[replica];
            let before = held.as_ref().map(|held| held.value.order());
            let placed = match (held.as_ref(), rule) {
                (Some(held), Rule::Combine(combine)) => Sent {
                    timestamp: sent.timestamp.max(held.timestamp),
                    value: combine(key, &held.value, &sent.value),
                },
                (Some(held), _) if !protocol::supersedes(sent.told(), held.told()) => {
                    put.merge(Put::offered(&held.value, &sent.value));
                    continue;
                }
                _ => sent.clone(),
            };
            put.merge(Put { news: Some((placed.value.clone(), before)), refused: None });
            *held = Some(placed);
        }
        put
    }
}
