//! The disks beside the workers, and the place of the snapshots.
//!
//! Always true here: changes and their position are saved as one, and the position never falls, as in `stores::state`;
//! a disk remembers what it was, so that it can be set back to a state it once had; of a partition's snapshots the
//! newest [`KEPT`] stay, as in `stores::snapshots`.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use schemas::stored::{SavedState, StateChanges};
use stores::snapshots::KEPT;

use crate::chance::Chance;
use crate::faults::Fault;

/// Saved state of one partition on one disk. What was saved is kept as it came: saving is frequent, loading is not.
#[derive(Debug, Clone, Default)]
struct Disk {
    /// The state from before the saves: a snapshot that took the disk's place; `None` = the disk was empty.
    base: Option<SavedState>,
    /// What was saved since, in order.
    saves: Vec<StateChanges>,
}

impl Disk {
    fn position(&self) -> Option<u64> {
        let saved = self.saves.last().map(|changes| changes.position);
        saved.or_else(|| self.base.as_ref().map(|base| base.position))
    }

    fn load(&self) -> Option<SavedState> {
        let position = self.position()?;
        let base = self.base.iter().flat_map(|base| &base.rows).cloned();
        let mut rows: BTreeMap<Bytes, Bytes> = base.collect();
        for changes in &self.saves {
            changes.remove.iter().for_each(|key| drop(rows.remove(key)));
            rows.extend(changes.put.iter().cloned());
        }
        Some(SavedState { position, rows: rows.into_iter().collect() })
    }
}

/// The disks of all processes.
#[derive(Debug, Default)]
pub struct Disks {
    disks: HashMap<(usize, u32), Disk>,
    /// Some saves fail before anything is on the disk.
    failing: bool,
}

impl Disks {
    /// Empty disks; `failing` = some saves will fail before anything is on them.
    #[must_use]
    pub fn new(failing: bool) -> Self {
        Self { failing, ..Self::default() }
    }

    /// Whether a save fails now, with nothing on the disk: [`Fault::SaveLost`].
    pub fn fails(&self, chance: &mut Chance) -> bool {
        let fails = self.failing && !chance.is_calm() && chance.aside().permille(40);
        if fails {
            chance.tally.add(Fault::SaveLost);
        }
        fails
    }

    /// The saved state of a partition at a process; `None` = there is none.
    #[must_use]
    pub fn load(&self, node: usize, partition: u32) -> Option<SavedState> {
        self.disks.get(&(node, partition))?.load()
    }

    /// The position of the saved state; `None` = there is none.
    #[must_use]
    pub fn position(&self, node: usize, partition: u32) -> Option<u64> {
        self.disks.get(&(node, partition))?.position()
    }

    /// Saves changes; `false` = refused, for the position would fall, and nothing was changed.
    pub fn apply(&mut self, node: usize, partition: u32, changes: &StateChanges) -> bool {
        let disk = self.disks.entry((node, partition)).or_default();
        let rises = disk.position().is_none_or(|position| position <= changes.position);
        if rises {
            disk.saves.push(changes.clone());
        }
        rises
    }

    /// Puts a whole state in place of what there is, at whatever position.
    pub fn replace(&mut self, node: usize, partition: u32, state: SavedState) {
        self.disks.insert((node, partition), Disk { base: Some(state), saves: Vec::new() });
    }

    /// The disk is lost: [`crate::faults::Fault::StateLost`].
    pub fn lose(&mut self, node: usize, partition: u32) {
        self.disks.remove(&(node, partition));
    }

    /// The disk is as it was at some earlier time, [`crate::faults::Fault::StateOld`]; `false` = there is no such time.
    pub fn set_back(&mut self, node: usize, partition: u32, chance: &mut Chance) -> bool {
        let Some(disk) = self.disks.get_mut(&(node, partition)) else { return false };
        // Before the first save an empty disk held nothing: that is a lost one.
        let least = usize::from(disk.base.is_none());
        let Some(earlier) = disk.saves.len().checked_sub(least).filter(|earlier| *earlier > 0) else { return false };
        disk.saves.truncate(least + chance.below(earlier));
        true
    }
}

/// Snapshots by partition, where every process finds them once they are whole.
#[derive(Debug, Default)]
pub struct Objects {
    snapshots: HashMap<(u32, u32), BTreeMap<u64, SavedState>>,
    /// Some take long to write, and some are never whole.
    slow: bool,
    /// Those that nobody finds yet, with generation and partition.
    under_way: Vec<(u32, u32, SavedState)>,
}

impl Objects {
    /// No snapshots; `slow` = some will take long to write, and some will never be whole.
    #[must_use]
    pub fn new(slow: bool) -> Self {
        Self { slow, ..Self::default() }
    }

    /// Writes a snapshot, which is there at once, later, or never.
    pub fn write(&mut self, generation: u32, partition: u32, state: SavedState, chance: &mut Chance) {
        let how = if self.slow && !chance.is_calm() { chance.aside().below(10) } else { usize::MAX };
        match how {
            0..=1 => chance.tally.add(Fault::SnapshotFailed),
            2..=5 => {
                chance.tally.add(Fault::SnapshotLate);
                self.under_way.push((generation, partition, state));
            }
            _ => self.put(generation, partition, state),
        }
    }

    /// One of those under way may be whole now.
    pub fn something_arrives(&mut self, chance: &Chance) {
        let mut aside = chance.aside();
        if !self.under_way.is_empty() && aside.permille(20) {
            let (generation, partition, state) = self.under_way.swap_remove(aside.below(self.under_way.len()));
            self.put(generation, partition, state);
        }
    }

    /// The position of the newest snapshot of a partition that was begun, whole or not; 0 = there is none.
    #[must_use]
    pub fn newest_begun(&self, generation: u32, partition: u32) -> u64 {
        let of_it = self.under_way.iter().filter(|(of, at, _)| (*of, *at) == (generation, partition));
        let whole = self.newest(generation, partition, 0).map(|state| state.position);
        of_it.map(|(_, _, state)| state.position).chain(whole).max().unwrap_or(0)
    }

    /// Keeps a snapshot under the position that it says it has; older ones beyond [`KEPT`] go.
    pub fn put(&mut self, generation: u32, partition: u32, state: SavedState) {
        let kept = self.snapshots.entry((generation, partition)).or_default();
        kept.insert(state.position, state);
        while kept.len() > KEPT {
            kept.pop_first();
        }
    }

    /// The snapshots of a partition are gone, those under way too.
    pub fn lose(&mut self, generation: u32, partition: u32) {
        self.snapshots.remove(&(generation, partition));
        self.under_way.retain(|(of, at, _)| (*of, *at) != (generation, partition));
    }

    /// The newest snapshot of a partition, if the log, which begins at `from`, still holds its position.
    #[must_use]
    pub fn newest(&self, generation: u32, partition: u32, from: u64) -> Option<SavedState> {
        let (position, state) = self.snapshots.get(&(generation, partition))?.last_key_value()?;
        (*position >= from).then(|| state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(position: u64, put: &[(&'static str, &'static str)], remove: &[&'static str]) -> StateChanges {
        StateChanges {
            put: put.iter().map(|(key, value)| (Bytes::from(*key), Bytes::from(*value))).collect(),
            remove: remove.iter().map(|key| Bytes::from(*key)).collect(),
            position,
        }
    }

    fn state(position: u64, rows: &[(&'static str, &'static str)]) -> SavedState {
        let rows = rows.iter().map(|(key, value)| (Bytes::from(*key), Bytes::from(*value))).collect();
        SavedState { position, rows }
    }

    #[test]
    fn what_was_saved_is_loaded_in_order_of_key() {
        let mut disks = Disks::default();
        assert_eq!((disks.load(0, 0), disks.position(0, 0)), (None, None));
        assert!(disks.apply(0, 0, &changes(3, &[("b", "1"), ("a", "1")], &[])));
        assert!(disks.apply(0, 0, &changes(5, &[("c", "2"), ("a", "2")], &["b", "a"])));
        // A key in both lists is there afterwards, as in the store.
        assert_eq!(disks.load(0, 0), Some(state(5, &[("a", "2"), ("c", "2")])));
        assert_eq!(disks.position(0, 0), Some(5));
        assert_eq!((disks.load(1, 0), disks.load(0, 1)), (None, None));
    }

    #[test]
    fn a_position_never_falls_but_by_replacing() {
        let mut disks = Disks::default();
        assert!(disks.apply(0, 0, &changes(5, &[("a", "5")], &[])));
        assert!(!disks.apply(0, 0, &changes(4, &[("a", "4")], &[])));
        assert!(disks.apply(0, 0, &changes(5, &[("b", "5")], &[])));
        assert_eq!(disks.load(0, 0), Some(state(5, &[("a", "5"), ("b", "5")])));
        disks.replace(0, 0, state(2, &[("z", "2")]));
        assert_eq!(disks.load(0, 0), Some(state(2, &[("z", "2")])));
        assert!(disks.apply(0, 0, &changes(3, &[], &["z"])));
        assert_eq!(disks.load(0, 0), Some(state(3, &[])));
    }

    #[test]
    fn a_disk_is_set_back_to_what_it_once_was() {
        let mut chance = Chance::new(1);
        let mut found = [0; 4];
        for _ in 0..100 {
            let mut disks = Disks::default();
            for position in 1..=3 {
                let value = ["", "1", "2", "3"][usize::try_from(position).unwrap()];
                disks.apply(0, 0, &changes(position, &[("a", value)], &[]));
            }
            assert!(disks.set_back(0, 0, &mut chance));
            let back = disks.load(0, 0).unwrap();
            assert_eq!(back.rows[0].1, back.position.to_string());
            found[usize::try_from(back.position).unwrap()] += 1;
        }
        assert!(found[1] > 20 && found[2] > 20 && found[3] == 0, "{found:?}");
    }

    #[test]
    fn a_disk_without_a_past_is_not_set_back() {
        let (mut disks, mut chance) = (Disks::default(), Chance::new(1));
        assert!(!disks.set_back(0, 0, &mut chance));
        disks.apply(0, 0, &changes(1, &[], &[]));
        assert!(!disks.set_back(0, 0, &mut chance), "before its first save it was empty");
        disks.replace(0, 0, state(4, &[]));
        assert!(!disks.set_back(0, 0, &mut chance));
        disks.apply(0, 0, &changes(6, &[], &[]));
        assert!(disks.set_back(0, 0, &mut chance));
        assert_eq!(disks.position(0, 0), Some(4));
        disks.lose(0, 0);
        assert_eq!(disks.load(0, 0), None);
    }

    #[test]
    fn saves_fail_on_failing_disks_while_there_are_faults() {
        let fails = |disks: &Disks, chance: &mut Chance| {
            (0..1_000)
                .filter(|_| {
                    chance.bits();
                    disks.fails(chance)
                })
                .count()
        };
        let mut chance = Chance::new(1);
        let failed = fails(&Disks::new(true), &mut chance);
        assert!((10..100).contains(&failed), "{failed} of 1,000");
        assert_eq!(chance.tally.of(Fault::SaveLost), failed as u64);
        assert_eq!(fails(&Disks::default(), &mut chance), 0);
        chance.be_calm();
        assert_eq!(fails(&Disks::new(true), &mut chance), 0);
    }

    #[test]
    fn the_newest_snapshots_stay() {
        let mut objects = Objects::default();
        assert_eq!(objects.newest(1, 0, 0), None);
        // One that lags is taken, and gone again at once.
        for position in [4, 9, 7, 2] {
            objects.put(1, 0, state(position, &[]));
        }
        let kept: Vec<u64> = objects.snapshots[&(1, 0)].keys().copied().collect();
        assert_eq!(kept, [7, 9]);
        assert_eq!(objects.newest(1, 0, 9).map(|state| state.position), Some(9));
        assert_eq!(objects.newest(1, 0, 10), None, "the log has let go what follows it");
        assert_eq!((objects.newest(2, 0, 0), objects.newest(1, 1, 0)), (None, None));
    }

    /// One that is under way is found by nobody, and goes with the others; in a calm world none is.
    #[test]
    fn a_snapshot_is_found_when_it_is_whole() {
        let (mut objects, mut chance) = (Objects::new(true), Chance::new(1));
        let mut position = 0;
        while chance.tally.of(Fault::SnapshotLate) == 0 {
            position += 1;
            chance.bits();
            objects.write(1, 0, state(position, &[]), &mut chance);
        }
        let found = |objects: &Objects| objects.newest(1, 0, 0).map_or(0, |state| state.position);
        assert!(found(&objects) < position);
        assert_eq!(objects.newest_begun(1, 0), position);
        while found(&objects) < position {
            chance.bits();
            objects.something_arrives(&chance);
        }
        chance.be_calm();
        (1..=20).for_each(|more| objects.write(1, 0, state(position + more, &[]), &mut chance));
        assert_eq!((found(&objects), objects.newest_begun(1, 0)), (position + 20, position + 20));
        objects.lose(1, 0);
        assert_eq!((found(&objects), objects.newest_begun(1, 0)), (0, 0));
    }
}
