//! Items by key, whatever the model, and the writes that are still on their way to them.
//!
//! Always true here: a key has a number from its first write on, and items are walked in order of that number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use schemas::stored::{Checkpoint, StoredCell};
use stores::protocol;

use super::Model;
use super::conditional::Item;
use super::model::Servers;
use super::replicas::{PAIRS, REPLICAS, Replicas};
use crate::chance::Chance;
use crate::faults::Fault;

/// Writes under way that are not forgotten.
const LATE_MAX: usize = 32;
/// How often, in a thousand, a reader without consistency gets something older where there is something older.
const STALE_PERMILLE: usize = 300;

/// What lies under a key: a cell or a checkpoint.
pub(super) trait Row: Clone + PartialEq {
    /// What must never fall: h or the position.
    fn order(&self) -> u64;
    /// What decides between two writes at one time.
    fn bytes(&self) -> impl Ord + '_;
    /// The protocol's condition.
    fn may_put(held: Option<&Self>, new: &Self) -> bool;
}

impl Row for StoredCell {
    fn order(&self) -> u64 {
        self.h
    }
    fn bytes(&self) -> impl Ord + '_ {
        &*self.value
    }
    fn may_put(held: Option<&Self>, new: &Self) -> bool {
        protocol::may_put(held.map(|held| held.h), new.h)
    }
}

impl Row for Checkpoint {
    fn order(&self) -> u64 {
        self.position
    }
    fn bytes(&self) -> impl Ord + '_ {
        (self.definition_version, self.fingerprint, self.log_time_ms)
    }
    fn may_put(held: Option<&Self>, new: &Self) -> bool {
        protocol::may_put_checkpoint(held, new)
    }
}

/// A write as it goes to the servers.
#[derive(Debug, Clone)]
pub(super) struct Sent<V> {
    /// Of no meaning where a condition decides.
    pub(super) timestamp: i64,
    pub(super) value: V,
}

impl<V: Row> Sent<V> {
    /// As the protocol wants to be told of it.
    pub(super) fn told(&self) -> (i64, impl Ord + '_) {
        (self.timestamp, self.value.bytes())
    }
}

/// By which rule a server takes a write.
#[derive(Debug)]
pub(super) enum Rule<K, V> {
    /// The protocol's.
    Protocol,
    /// None.
    Put,
    /// None, and what is there is put together with what comes.
    Combine(fn(&K, &V, &V) -> V),
}

/// What a write did.
#[derive(Debug)]
pub(super) struct Put<V> {
    /// What was taken, or offered with other bytes under the same h; and the order of what was there.
    pub(super) news: Option<(V, Option<u64>)>,
    /// What is there instead.
    pub(super) refused: Option<V>,
}

impl<V: Row> Put<V> {
    /// A write that changed nothing: news only where it should have been the same write as the one before, and is not.
    pub(super) fn offered(held: &V, new: &V) -> Self {
        let differs = held.order() == new.order() && held != new;
        Self { news: differs.then(|| (new.clone(), Some(held.order()))), refused: None }
    }

    /// The same write, at another replica.
    pub(super) fn merge(&mut self, other: Self) {
        match (&mut self.news, other.news) {
            (Some((_, before)), Some((_, other))) => *before = (*before).max(other),
            (news @ None, other) => *news = other,
            _ => {}
        }
    }
}

/// Items of one model.
#[derive(Debug)]
enum Items<V> {
    Conditional(Vec<Item<V>>),
    Replicated(Vec<Replicas<V>>),
}

/// A write on its way: to which item, to which servers.
type Late<V> = (usize, Servers, Sent<V>);

/// Items by key.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    numbers: HashMap<K, usize, BuildHasherDefault<Quick>>,
    keys: Vec<K>,
    items: Items<V>,
    late: Vec<Late<V>>,
}

impl<K: Clone + Eq + Hash, V: Row> Table<K, V> {
    pub(super) fn new(model: Model) -> Self {
        let items = match model {
            Model::Conditional => Items::Conditional(Vec::new()),
            Model::LastWriteWins => Items::Replicated(Vec::new()),
        };
        Self { numbers: HashMap::default(), keys: Vec::new(), items, late: Vec::new() }
    }

    /// The number of a key, given out now if it has none.
    pub(super) fn number(&mut self, key: &K) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.keys.len();
        self.keys.push(key.clone());
        self.numbers.insert(key.clone(), number);
        match &mut self.items {
            Items::Conditional(items) => items.push(Item::default()),
            Items::Replicated(items) => items.push(Replicas::default()),
        }
        number
    }

    pub(super) fn key(&self, number: usize) -> &K {
        &self.keys[number]
    }

    /// What a consistent reader of this view gets.
    pub(super) fn read(&self, key: &K, view: usize) -> Option<&V> {
        self.read_number(*self.numbers.get(key)?, view)
    }

    fn read_number(&self, number: usize, view: usize) -> Option<&V> {
        match &self.items {
            Items::Conditional(items) => items[number].newest(),
            Items::Replicated(items) => items[number].read(view),
        }
    }

    /// All that a consistent reader of this view gets.
    pub(super) fn iter(&self, view: usize) -> impl Iterator<Item = (&K, &V)> {
        let read = move |(number, key)| Some((key, self.read_number(number, view)?));
        self.keys.iter().enumerate().filter_map(read)
    }

    /// What somebody gets who sees all servers.
    pub(super) fn newest(&self, key: &K) -> Option<&V> {
        let number = *self.numbers.get(key)?;
        match &self.items {
            Items::Conditional(items) => items[number].newest(),
            Items::Replicated(items) => items[number].newest(),
        }
    }

    /// What a reader gets; one that does not ask for consistency perhaps something older.
    pub(super) fn load(&self, key: &K, consistent: bool, chance: &mut Chance) -> Option<&V> {
        let number = *self.numbers.get(key)?;
        match &self.items {
            Items::Conditional(items) => {
                let item = &items[number];
                let older = item.older();
                if consistent || older == 0 || !chance.fault(Fault::StaleRead, STALE_PERMILLE) {
                    return item.newest();
                }
                item.at(chance.below(older))
            }
            Items::Replicated(items) if consistent => items[number].read(chance.below(PAIRS.len())),
            Items::Replicated(items) => {
                let item = &items[number];
                let behind = |replica: &usize| item.at(*replica) != item.newest();
                let replicas: Vec<usize> = (0..REPLICAS).filter(behind).collect();
                if replicas.is_empty() || !chance.fault(Fault::StaleRead, STALE_PERMILLE) {
                    return item.newest();
                }
                item.at(chance.pick(&replicas))
            }
        }
    }

    /// A write arrives.
    pub(super) fn put(&mut self, number: usize, servers: Servers, sent: &Sent<V>, rule: &Rule<K, V>) -> Put<V> {
        let key = &self.keys[number];
        match &mut self.items {
            Items::Conditional(_) if servers == 0 => Put { news: None, refused: None },
            Items::Conditional(items) => items[number].put(key, &sent.value, rule),
            Items::Replicated(items) => items[number].put(key, servers, sent, rule),
        }
    }

    /// A write is under way to these servers; where too many are, it is lost.
    pub(super) fn send_later(&mut self, number: usize, servers: Servers, sent: Sent<V>) {
        if self.late.len() < LATE_MAX {
            self.late.push((number, servers, sent));
        }
    }

    /// How many writes are under way.
    pub(super) fn late(&self) -> usize {
        self.late.len()
    }

    /// One of the writes under way, which is it no longer.
    pub(super) fn take_late(&mut self, which: usize) -> Option<Late<V>> {
        (which < self.late.len()).then(|| self.late.swap_remove(which))
    }
}

/// A hash for keys that nobody chose to collide: each word is mixed in by one multiplication.
#[derive(Debug, Default)]
struct Quick(u64);

impl Quick {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        // A multiplication mixes upwards, and a table looks at the lowest bits.
        self.0.rotate_left(26)
    }
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        self.mix(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }
    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }
    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}
