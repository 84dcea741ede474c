//! Bulk reads: a mobile or client-side SDK that hands an application all its flags reports each of them as evaluated,
//! whether anybody looks at it or not.
//!
//! Always true here: the rule is of whole numbers; it looks at one summary at a time, as far as it lies in one record,
//! and at the flags that the state knows, this record's included, at nothing that came later. Flags beyond the
//! generation's limit, which share one cell, take no part in it.

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};

use crate::breakage::{Break, Breakage};

/// With fewer known client-side flags nothing is a bulk read: an application with two flags always asks for both, and a
/// live flag must not look dead.
pub(super) const KNOWN_MIN: usize = 5;
/// A bulk read is a summary with at least this share of the known client-side flags …
const SHARE: (usize, usize) = (4, 5);
/// … and the greatest of its counts is at most this many times the least.
const SPREAD_MAX: u128 = 2;

/// What one record of a mobile or client-side SDK asks for.
#[derive(Debug, Default)]
pub(super) struct Asked<'r> {
    /// The flags of all its summaries, in order of first appearance.
    flags: Vec<&'r Bytes>,
    places: HashSet<&'r [u8]>,
    /// In rising order of element.
    summaries: Vec<Summary<'r>>,
}

/// The flags of one summary, each with the sum of its counts.
#[derive(Debug)]
struct Summary<'r> {
    element: u32,
    counts: HashMap<&'r [u8], u128>,
}

impl<'r> Asked<'r> {
    /// A row of a flag: of any variation, an error or a default too. Rows of one element stand together.
    pub(super) fn add(&mut self, element: u32, flag: &'r Bytes, count: u64) {
        if self.places.insert(flag) {
            self.flags.push(flag);
        }
        if self.summaries.last().is_none_or(|last| last.element != element) {
            self.summaries.push(Summary { element, counts: HashMap::new() });
        }
        if let Some(summary) = self.summaries.last_mut() {
            let sum = summary.counts.entry(flag).or_default();
            *sum = sum.saturating_add(count.into());
        }
    }

    /// The flags that are not among the known ones, in order of first appearance.
    pub(super) fn unknown(&self, known: Option<&HashSet<Bytes>>) -> impl Iterator<Item = &'r Bytes> {
        let is_new = move |flag: &&Bytes| known.is_none_or(|known| !known.contains(*flag));
        self.flags.iter().copied().filter(is_new)
    }

    /// The summaries that are bulk reads, where so many client-side flags are known, the record's own included: their
    /// elements, rising.
    pub(super) fn bulk(&self, known: usize, breakage: &Breakage) -> Vec<u32> {
        let bulk = self.summaries.iter().filter(|summary| summary.is_bulk(known, breakage));
        bulk.map(|summary| summary.element).collect()
    }
}

impl Summary<'_> {
    fn is_bulk(&self, known: usize, breakage: &Breakage) -> bool {
        // A broken limit asks for one more.
        let one_more = |rule| usize::from(breakage.is(rule));
        let counts = || self.counts.values().copied();
        let (Some(least), Some(greatest)) = (counts().min(), counts().max()) else { return false };
        let share_min = SHARE.0.saturating_mul(known).saturating_add(one_more(Break::BulkShareOffByOne));
        let nearly_all = SHARE.1.saturating_mul(self.counts.len()) >= share_min;
        let spread = greatest.saturating_add(one_more(Break::BulkSpreadOffByOne) as u128);
        let enough = known >= KNOWN_MIN + one_more(Break::BulkKnownOffByOne);
        enough && nearly_all && spread <= least.saturating_mul(SPREAD_MAX)
    }
}
