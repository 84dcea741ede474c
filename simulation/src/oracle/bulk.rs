//! Bulk reads: a summary in which a mobile or client-side SDK tells of nearly all the flags that such SDKs ask for.
//!
//! Always true here: what is known is what records so far have asked for, this one included; flags that share a cell
//! are not among it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schemas::cell::CellName;
use schemas::event::Credential;
use schemas::record::{Header, PayloadView};

use super::Oracle;

/// As few flags are always asked for together.
const TOO_FEW: usize = 4;
const PERCENT: usize = 80;

/// What summaries mobile and client-side SDKs have sent, where more than a few flags were known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Bulk reads.
    pub bulk: u64,
    /// Of half of the known flags or more, and yet no bulk reads: of too few flags …
    pub too_few: u64,
    /// … or of enough, but not about equally often.
    pub unequal: u64,
    /// Of fewer than half.
    pub others: u64,
}

impl Oracle {
    /// What was read how, so far.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// The summaries of the home part that are bulk reads; its flags are known from now on.
    pub(super) fn bulk_reads(&mut self, header: &Header, view: &PayloadView) -> BTreeSet<u32> {
        if view.credential() == Credential::Server {
            return BTreeSet::new();
        }
        let mut summaries: BTreeMap<u32, Vec<(Bytes, u128)>> = BTreeMap::new();
        for row in view.counts().filter(|row| row.count != 0) {
            // Places are given out in the order of rows, whatever comes of it.
            let CellName::Key(flag) = self.name(&header.environment, true, row.flag) else { continue };
            let asked = summaries.entry(row.element).or_default();
            match asked.iter_mut().find(|(of, _)| *of == flag) {
                Some((_, count)) => *count += u128::from(row.count),
                None => asked.push((flag, row.count.into())),
            }
        }
        let known = self.client_side.entry(header.environment.clone()).or_default();
        known.extend(summaries.values().flatten().map(|(flag, _)| flag.clone()));
        let known = known.len();
        let mut bulk = BTreeSet::new();
        for (element, asked) in summaries {
            if self.reads.is_bulk(asked, known) {
                bulk.insert(element);
            }
        }
        bulk
    }
}

impl Reads {
    /// Whether a summary with these flags is a bulk read.
    fn is_bulk(&mut self, mut asked: Vec<(Bytes, u128)>, known: usize) -> bool {
        if known <= TOO_FEW {
            return false;
        }
        let percent_of_flags = asked.len() * 100;
        let enough = percent_of_flags >= known * PERCENT;
        asked.sort_by_key(|(_, count)| *count);
        let twice_the_least = asked[0].1 * 2;
        let equal = asked.iter().all(|(_, count)| *count <= twice_the_least);
        let what = match (enough, equal) {
            (true, true) => &mut self.bulk,
            (true, false) => &mut self.unequal,
            (false, _) if percent_of_flags >= known * 50 => &mut self.too_few,
            (false, _) => &mut self.others,
        };
        *what += 1;
        enough && equal
    }
}
