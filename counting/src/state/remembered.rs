//! The ids of the last N records of a partition: what dedupe looks at.
//!
//! Always true here: every copy of an id, counted or not, renews it; an id is known when a copy lies at most N offsets
//! back. In memory an id takes 16 bytes in the ring and 5 to 11 in the table (28 in all at N = 1,000,000); what is
//! handed out to be saved is each id once, in order of offset.

use std::collections::VecDeque;

use hashbrown::HashTable;
use schemas::record::RecordId;

/// No id: a record that nothing identifies, or an offset without a record.
const NONE: RecordId = RecordId([0; 16]);
/// Largest N: places are kept as the low 32 bits of an offset.
pub(crate) const RECORDS_MAX: u64 = 1 << 31;

/// The remembered ids.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    records: u64,
    /// Offset of the ring's first entry.
    base: u64,
    ring: VecDeque<RecordId>,
    /// Low 32 bits of the offset of each id's newest copy.
    newest: HashTable<u32>,
    /// Offsets below this have been handed out to be saved.
    saved: u64,
    /// Offsets handed out before that have left the window since.
    trimmed: Vec<u64>,
}

/// What changed since the last time.
#[derive(Debug, Default)]
pub(crate) struct RememberedChanges {
    /// Ids to be saved, in order of offset.
    pub(crate) put: Vec<(u64, RecordId)>,
    /// Offsets to be removed.
    pub(crate) remove: Vec<u64>,
}

impl Remembered {
    pub(crate) fn new(records: u64) -> Self {
        Self { records: records.min(RECORDS_MAX), ..Self::default() }
    }

    /// Whether an earlier copy of this id lies within the N records before `offset`.
    pub(crate) fn contains(&self, id: &RecordId, offset: u64) -> bool {
        let Some(newest) = self.find(id) else { return false };
        let place = u64::from(newest.wrapping_sub(low(self.base)));
        let at = self.base.saturating_add(place);
        at < offset && offset - at <= self.records
    }

    /// Remembers the record at `offset`; offsets rise from call to call.
    pub(crate) fn push(&mut self, offset: u64, id: Option<RecordId>) {
        self.reach(offset);
        if self.next() != offset {
            return;
        }
        let id = id.unwrap_or(NONE);
        self.ring.push_back(id);
        if id != NONE {
            self.renew(id, low(offset));
        }
        self.trim();
    }

    /// Everything below `position` is passed.
    pub(crate) fn reach(&mut self, position: u64) {
        if position.saturating_sub(self.next()) > self.records {
            while !self.ring.is_empty() {
                self.pop();
            }
            self.base = position;
        }
        while self.next() < position {
            self.ring.push_back(NONE);
            self.trim();
        }
    }

    /// Hands out what changed since the last call.
    pub(crate) fn changes(&mut self) -> RememberedChanges {
        let from = self.saved.max(self.base);
        let skip = usize::try_from(from - self.base).unwrap_or(usize::MAX);
        let ids = self.ring.iter().skip(skip).zip(from..=u64::MAX).filter(|(id, _)| **id != NONE);
        let put = ids.map(|(id, offset)| (offset, *id)).collect();
        self.saved = self.next();
        RememberedChanges { put, remove: std::mem::take(&mut self.trimmed) }
    }

    /// Forgets the older half of the window, for the broken rule that gives memory back; nothing is said of it to
    /// whoever saves.
    pub(crate) fn forget_older_half(&mut self) {
        let half = self.ring.len() / 2;
        self.newest.retain(|place| place.wrapping_sub(low(self.base)) as usize >= half);
        self.ring.iter_mut().take(half).for_each(|id| *id = NONE);
    }

    /// The ids in the window with their offsets.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn ids(&self) -> impl Iterator<Item = (u64, RecordId)> {
        self.ring.iter().zip(self.base..=u64::MAX).filter(|(id, _)| **id != NONE).map(|(id, offset)| (offset, *id))
    }

    /// What was loaded is saved already.
    pub(crate) fn all_saved(&mut self) {
        self.saved = self.next();
    }

    /// How many ids are known.
    pub(crate) fn len(&self) -> usize {
        self.newest.len()
    }

    /// Memory held, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.ring.capacity() * size_of::<RecordId>() + self.newest.allocation_size()
    }

    /// Offset of the oldest record in the window.
    pub(crate) fn oldest(&self) -> u64 {
        self.base
    }

    /// The offset after the newest record.
    pub(crate) fn next(&self) -> u64 {
        self.base.saturating_add(self.ring.len() as u64)
    }

    fn find(&self, id: &RecordId) -> Option<u32> {
        self.newest.find(hash(id), |place| held(&self.ring, self.base, *place) == id).copied()
    }

    fn renew(&mut self, id: RecordId, place: u32) {
        let Self { ring, base, newest, .. } = self;
        if let Some(known) = newest.find_mut(hash(&id), |known| *held(ring, *base, *known) == id) {
            *known = place;
            return;
        }
        newest.insert_unique(hash(&id), place, |known| hash(held(ring, *base, *known)));
    }

    fn trim(&mut self) {
        while self.ring.len() as u64 > self.records {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(first) = self.ring.front().copied() else { return };
        if first != NONE {
            let Self { ring, base, newest, .. } = self;
            let newest_here = newest.find_entry(hash(&first), |known| *held(ring, *base, *known) == first);
            if let Ok(entry) = newest_here
                && *entry.get() == low(*base)
            {
                entry.remove();
            }
            if self.base < self.saved {
                self.trimmed.push(self.base);
            }
        }
        self.ring.pop_front();
        self.base = self.base.saturating_add(1);
    }
}

fn held(ring: &VecDeque<RecordId>, base: u64, place: u32) -> &RecordId {
    ring.get(place.wrapping_sub(low(base)) as usize).unwrap_or(&NONE)
}

/// Ids are SHA-256: eight of their bytes are a hash.
fn hash(id: &RecordId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[allow(clippy::cast_possible_truncation)]
fn low(offset: u64) -> u32 {
    offset as u32
}
