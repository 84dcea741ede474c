//! What a worker begins with, and which records the log may let go: two halves of one rule.
//!
//! Always true here: what the log is kept from on is the position of something with which a worker can begin, so that
//! after any loss that DESIGN §3 allows for there is a beginning.

use super::Mode;

/// What a worker begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The state that was saved where the worker is.
    Saved,
    /// The newest snapshot.
    Snapshot,
    /// The empty state at offset 0: the first snapshot of all. Where the log does not reach back to it the worker stops
    /// and says how much is missing.
    Empty,
}

/// What a worker begins with, by positions: of the saved state, of the newest snapshot, and of the oldest record that
/// the log holds. DESIGN §3, *Partition state*: "one that has no state, or state whose position the log no longer
/// holds, loads the newest snapshot whose position the log still holds; the empty state at offset 0 counts as the first
/// snapshot".
///
/// A position is held when the record there is, or would be the next one: `position >= held_from`.
#[must_use]
pub fn source(saved: Option<u64>, snapshot: Option<u64>, held_from: u64) -> Source {
    let is_held = |position: Option<u64>| position.is_some_and(|position| position >= held_from);
    if is_held(saved) {
        Source::Saved
    } else if is_held(snapshot) {
        Source::Snapshot
    } else {
        Source::Empty
    }
}

/// The offset below which the log may let records go. DESIGN §3, *Partition state*: "retention never passes the last
/// snapshot (embedded: the durable state)".
///
/// `saved` is the position of the saved state, `newest_snapshot` that of the newest snapshot known to be whole (0 =
/// there is none but the empty state). Apart, the saved state counts too, for a snapshot may be newer than the state of
/// a disk that is still in use. Together there are no snapshots, and theirs is not looked at.
#[must_use]
pub fn keep_from(mode: Mode, saved: u64, newest_snapshot: u64) -> u64 {
    match mode {
        Mode::Together => saved,
        Mode::Apart => saved.min(newest_snapshot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_begins_with_what_the_log_still_reaches_its_own_first() {
        let cases = [
            ("nothing yet", None, None, 0, Source::Empty),
            ("its own", Some(5), None, 0, Source::Saved),
            ("its own, though a snapshot is newer", Some(5), Some(9), 5, Source::Saved),
            ("its own is let go", Some(5), Some(9), 6, Source::Snapshot),
            ("no disk", None, Some(9), 9, Source::Snapshot),
            ("both are let go", Some(5), Some(9), 10, Source::Empty),
            ("no disk, the whole log", None, None, 0, Source::Empty),
            ("its own at the very end of a log cut there", Some(10), Some(9), 10, Source::Saved),
        ];
        for (what, saved, snapshot, held_from, expected) in cases {
            assert_eq!(source(saved, snapshot, held_from), expected, "{what}");
        }
    }

    #[test]
    fn the_log_is_kept_from_the_state_on_and_where_that_may_be_lost_from_the_snapshot_on() {
        assert_eq!(keep_from(Mode::Together, 7, 0), 7);
        assert_eq!(keep_from(Mode::Apart, 7, 0), 0, "the empty state at offset 0 is the first snapshot");
        assert_eq!(keep_from(Mode::Apart, 7, 5), 5);
        assert_eq!(keep_from(Mode::Apart, 5, 7), 5, "a disk set back still finds its records");
    }

    /// Whatever is let go, a worker that has lost its disk begins with the newest snapshot, and one that has not with
    /// it.
    #[test]
    fn what_is_kept_is_enough_to_begin() {
        for (saved, snapshot) in (0..6).flat_map(|saved| (0..6).map(move |snapshot| (saved, snapshot))) {
            let from = keep_from(Mode::Apart, saved, snapshot);
            assert_eq!(source(Some(saved), Some(snapshot), from), Source::Saved);
            assert_eq!(source(None, Some(snapshot), from), Source::Snapshot);
            let from = keep_from(Mode::Together, saved, snapshot);
            assert_eq!(source(Some(saved), None, from), Source::Saved);
        }
    }
}
