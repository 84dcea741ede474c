//! All that a small world leaves behind: what a reader finds in the store, what a process finds on its disk.
//!
//! Always true here: it is a function of the log alone. Whoever folded it, how often it was written and who died on the
//! way, byte by byte the same is there as after one worker that read all of it at once and wrote once.

use std::collections::BTreeMap;

use counting::worker::{Input, Mode};
use schemas::cell::CellKey;
use schemas::stored::{Checkpoint, SavedState, StoredCell};

use super::{Kind, Plot, Script, give};
use crate::process::{Post, Seat, Site};
use crate::stores::{Model, View};

/// What is left of a world at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// With their h.
    cells: BTreeMap<CellKey, StoredCell>,
    checkpoint: Option<Checkpoint>,
    state: Option<SavedState>,
}

impl Content {
    /// What is left where nothing goes wrong and nobody else is there: one worker reads the whole log as one batch, and
    /// writes all of it as one transaction.
    pub(super) fn undisturbed(plot: Plot) -> Result<Self, String> {
        let kind = Kind { model: Model::Conditional, mode: Mode::Together, plot };
        let mut script = Script::new(kind, None);
        while script.seats[0].as_ref().is_none_or(Seat::is_beginning) {
            script.turn(0, &[])?;
        }
        let Script { mut site, mut seats, mut chance, .. } = script;
        let Some(mut seat) = seats.swap_remove(0) else { return Err("nobody folds".to_owned()) };
        let post = Post { node: 0, partition: 0 };
        let whole = site.log.read(0, seat.next, usize::MAX);
        for input in [Input::Batch(whole), Input::Tick] {
            give(&mut seat, input)?;
            while seat.is_busy() {
                if let Some(answer) = seat.hear(true) {
                    give(&mut seat, answer)?;
                } else if let Some(action) = seat.take(true) {
                    site.carry_out(post, &mut seat, action, &mut chance);
                }
            }
        }
        let mut left = Self::default();
        site.stores.every_view(|view| left = Self::left(&site, view, post));
        Ok(left)
    }

    /// What this reader gets, and what is on this disk.
    pub(super) fn left(site: &Site, view: &View<'_>, post: Post) -> Self {
        let mut cells = BTreeMap::new();
        view.cells(|key, cell| drop(cells.insert(key.clone(), cell.clone())));
        Self { cells, checkpoint: view.checkpoint(1, 0).copied(), state: site.disks.load(post.node, post.partition) }
    }

    /// The first thing that is otherwise than it must be, in words.
    pub(super) fn differs(&self, right: &Self) -> Option<String> {
        for key in self.cells.keys().chain(right.cells.keys()) {
            let (found, expected) = (self.cells.get(key), right.cells.get(key));
            if found != expected {
                return Some(format!("{key:?} ends as {found:?}, not as {expected:?}"));
            }
        }
        if self.checkpoint != right.checkpoint {
            let (found, expected) = (self.checkpoint, right.checkpoint);
            return Some(format!("the checkpoint of partition 0 ends at {found:?}, not at {expected:?}"));
        }
        (self.state != right.state).then(|| told(self.state.as_ref(), right.state.as_ref()))
    }
}

/// A saved state that is otherwise than it must be.
fn told(found: Option<&SavedState>, expected: Option<&SavedState>) -> String {
    let position = |state: Option<&SavedState>| state.map(|state| state.position);
    let rows = |state: Option<&SavedState>| state.map(|state| state.rows.clone()).unwrap_or_default();
    let (odd, missing) = (without(&rows(found), &rows(expected)), without(&rows(expected), &rows(found)));
    let (ends, right) = (position(found), position(expected));
    format!("the saved state ends at {ends:?}, not at {right:?}; it has {odd:?} and lacks {missing:?}")
}

fn without<T: Clone + PartialEq>(rows: &[T], others: &[T]) -> Vec<T> {
    rows.iter().filter(|row| !others.contains(row)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn longer(bytes: &Bytes) -> Bytes {
        [&bytes[..], &[0]].concat().into()
    }

    /// Each cell gone, its bytes or its h otherwise, one too many; likewise checkpoint and rows.
    #[test]
    fn whatever_is_otherwise_at_the_end_is_told() {
        let right = Content::undisturbed(Plot::Experiment).unwrap();
        assert_eq!(right.clone().differs(&right), None);
        let keys: Vec<&CellKey> = right.cells.keys().collect();
        let rows = right.state.as_ref().map_or(0, |state| state.rows.len());
        assert!(keys.len() > 3 && rows > 3, "{keys:?}, {rows} rows");
        let told = |expected: &str, change: &dyn Fn(&mut Content)| {
            let mut left = right.clone();
            change(&mut left);
            let found = left.differs(&right).unwrap_or_default();
            assert!(found.contains(expected), "{expected}: {found:?}");
        };
        let cell =
            |left: &mut Content, key: &CellKey, change: fn(&mut StoredCell)| change(left.cells.get_mut(key).unwrap());
        for key in keys {
            let ends = format!("{key:?} ends as");
            told(&ends, &|left| drop(left.cells.remove(key)));
            told(&ends, &|left| cell(left, key, |cell| cell.value = longer(&cell.value)));
            told(&ends, &|left| cell(left, key, |cell| cell.h += 1));
            let other = CellKey { window: key.window + 1, ..key.clone() };
            told(&format!("{other:?} ends as"), &|left| {
                drop(left.cells.insert(other.clone(), right.cells[key].clone()))
            });
        }
        let checkpoint = "the checkpoint of partition 0 ends at";
        told(checkpoint, &|left| left.checkpoint = None);
        told(checkpoint, &|left| left.checkpoint.as_mut().unwrap().log_time_ms += 1);
        let state = "the saved state ends at";
        told(state, &|left| left.state = None);
        told(state, &|left| left.state.as_mut().unwrap().position -= 1);
        for row in 0..rows {
            told(state, &|left| drop(left.state.as_mut().unwrap().rows.remove(row)));
            told(state, &|left| {
                let (_, value) = &mut left.state.as_mut().unwrap().rows[row];
                *value = longer(value);
            });
        }
    }
}
