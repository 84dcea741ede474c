//! Bulk reads: a mobile or client-side SDK that hands an application all its flags reports each of them as evaluated, whether
//! anybody looks at it or not.
//!
//! Always true here: the rule is of whole numbers; it looks at one record and at the flags that the state knows, at nothing
//! that came later. Flags beyond the generation's limit, which share one cell, take no part in it.

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};

use crate::breakage::{Break, Breakage};

/// With fewer known client-side flags nothing is a bulk read: an application with two flags always asks for both, and a
/// live flag must not look dead.
pub(super) const KNOWN_MIN: usize = 5;
/// A bulk read has at least this share of the known client-side flags …
const SHARE: (usize, usize) = (4, 5);
/// … and the greatest of its counts is at most this many times the least.
const SPREAD_MAX: u128 = 2;

/// The flags that one record of a mobile or client-side SDK asks for, each with the sum of its counts.
#[derive(Debug, Default)]
pub(super) struct Asked<'r> {
    flags: Vec<(&'r Bytes, u128)>,
    places: HashMap<&'r [u8], usize>,
}

impl<'r> Asked<'r> {
    /// A row of a flag: of any variation, an error or a default too.
    pub(super) fn add(&mut self, flag: &'r Bytes, count: u64) {
        let next = self.flags.len();
        let place = *self.places.entry(flag).or_insert(next);
        if place == next {
            self.flags.push((flag, 0));
        }
        if let Some((_, sum)) = self.flags.get_mut(place) {
            *sum = sum.saturating_add(count.into());
        }
    }

    /// The flags that are not among the known ones, in order of first appearance.
    pub(super) fn unknown(&self, known: Option<&HashSet<Bytes>>) -> impl Iterator<Item = &'r Bytes> {
        let is_new = move |flag: &&Bytes| known.is_none_or(|known| !known.contains(*flag));
        self.flags.iter().map(|(flag, _)| *flag).filter(is_new)
    }

    /// Whether the record is a bulk read, where so many client-side flags are known, its own included.
    pub(super) fn is_bulk(&self, known: usize, breakage: &Breakage) -> bool {
        // A broken limit asks for one more.
        let one_more = |rule| usize::from(breakage.is(rule));
        let counts = || self.flags.iter().map(|(_, count)| *count);
        let (Some(least), Some(greatest)) = (counts().min(), counts().max()) else { return false };
        let share_min = SHARE.0.saturating_mul(known).saturating_add(one_more(Break::BulkShareOffByOne));
        let nearly_all = SHARE.1.saturating_mul(self.flags.len()) >= share_min;
        let spread = greatest.saturating_add(one_more(Break::BulkSpreadOffByOne) as u128);
        let enough = known >= KNOWN_MIN + one_more(Break::BulkKnownOffByOne);
        enough && nearly_all && spread <= least.saturating_mul(SPREAD_MAX)
    }
}
