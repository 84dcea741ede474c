//! The texts of a part, each once.
//!
//! Always true here: texts are numbered from 1 in the order in which they came, 0 is the empty text; they are held in
//! the form in which they stand in the record, so that a text is copied once and nothing is built for it.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::split::{at, index};

/// The field `texts` of `wire::record::Payload` and `wire::record::Outcomes`.
const FIELD: u32 = 8;

/// Texts and their numbers; cleared, it keeps its memory for the next part.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// Numbers less one, by the hash of what they stand for.
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Where in `wire` each text stands.
    places: Vec<Range<usize>>,
    wire: Vec<u8>,
}

impl Texts {
    /// The number of a text.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        self.number_of(text.as_bytes())
    }

    /// The number of a text given as bytes.
    pub(crate) fn number_of(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let Self { numbers, hasher, places, wire } = self;
        let held = |number: &u32| &wire[places[at(*number)].clone()];
        let (is_it, hash) = (|number: &u32| held(number) == text, |number: &u32| hasher.hash_one(held(number)));
        let free = match numbers.entry(hasher.hash_one(text), is_it, hash) {
            Entry::Occupied(number) => return number.get() + 1,
            Entry::Vacant(free) => free,
        };
        free.insert(index(places.len()));
        encode_key(FIELD, WireType::LengthDelimited, wire);
        encode_varint(text.len() as u64, wire);
        places.push(wire.len()..wire.len() + text.len());
        wire.extend_from_slice(text);
        index(places.len())
    }

    /// The texts so far, as they stand in a record.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.places.clear();
        self.wire.clear();
    }
}
