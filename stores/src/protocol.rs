//! What every back end says to its servers, as pure functions: conditions, what a refusal means, who wins among
//! replies.
//!
//! Always true here: nothing is known of any client library; what a store holds and what is written are values. Back
//! ends, and the simulation's models of them, ask here and never decide themselves.
//!
//! There are two ways to keep a lagging writer from undoing what is ahead of it (DESIGN §3 "Stores"):
//! - a *condition*, evaluated at the server: `attribute_not_exists(h) OR h < :h` ([`may_put`], [`cell_refused`],
//!   [`may_put_checkpoint`], [`checkpoint_refused`]). The server looks and puts in one step, so nothing comes in
//!   between;
//! - the *last write wins*, by a timestamp that is h itself ([`timestamp`]): each replica keeps the pair with the
//!   highest, at a tie the larger bytes ([`supersedes`]); so does a reader with the replies of a quorum ([`newest`]).
//!   Such a store never says which writes it took, which is why a worker treats what it loads at or above its
//!   checkpoint as not yet durable.

use crate::{Checkpoint, StoredCell, WriteAnswer};

/// The condition under which a cell is put: there is none yet, or its h is lower.
#[must_use]
pub fn may_put(held_h: Option<u64>, h: u64) -> bool {
    held_h.is_none_or(|held_h| held_h < h)
}

/// What it means that [`may_put`] refused a cell with this h because of what the store holds: an equal h is the same
/// write, done before; a higher one is another's, and value and h are to be adopted together.
#[must_use]
pub fn cell_refused(held: StoredCell, h: u64) -> WriteAnswer {
    if held.h > h { WriteAnswer::Refused(held) } else { WriteAnswer::Stored }
}

/// The condition under which a checkpoint is put: there is none yet, or its position is lower.
#[must_use]
pub fn may_put_checkpoint(held: Option<&Checkpoint>, ours: &Checkpoint) -> bool {
    held.is_none_or(|held| held.position < ours.position)
}

/// What it means that [`may_put_checkpoint`] refused a checkpoint: `true` = it was there already, which is success;
/// `false` = the store's is higher.
#[must_use]
pub fn checkpoint_refused(held: &Checkpoint, ours: &Checkpoint) -> bool {
    held.position <= ours.position
}

/// The timestamp of a write where the last one wins: a cell's h, a checkpoint's position. It counts as microseconds
/// there and means none; offsets end at 2⁶³ − 1.
#[must_use]
pub fn timestamp(h_or_position: u64) -> i64 {
    i64::try_from(h_or_position).unwrap_or(i64::MAX)
}

/// Whether a write takes the place of another, each told as (timestamp, bytes): it is later, or at the same time
/// larger.
#[must_use]
pub fn supersedes<B: Ord>(new: (i64, B), held: (i64, B)) -> bool {
    new > held
}

/// The reply that a reader takes, of those that came: the one that supersedes all others, each told as in
/// [`supersedes`]. A reader asks a [`quorum`].
pub fn newest<R, B: Ord>(replies: impl IntoIterator<Item = R>, told: impl Fn(&R) -> (i64, B)) -> Option<R> {
    replies.into_iter().reduce(|taken, reply| if supersedes(told(&reply), told(&taken)) { reply } else { taken })
}

/// Replicas that must have answered, of this many: any two quorums have one in common.
#[must_use]
pub fn quorum(replicas: usize) -> usize {
    replicas / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(h: u64, value: &'static str) -> StoredCell {
        StoredCell { h, value: value.into() }
    }

    fn checkpoint(position: u64) -> Checkpoint {
        Checkpoint { position, definition_version: 0, fingerprint: 0, log_time_ms: 0 }
    }

    /// Refused exactly where the store is not behind, and told as ahead exactly where it is ahead.
    #[test]
    fn the_condition_and_what_its_refusal_means() {
        // (h held, h written, put, answer where it is refused)
        let table = [
            (None, 0, true, None),
            (Some(0), 0, false, Some(WriteAnswer::Stored)),
            (Some(4), 5, true, None),
            (Some(5), 5, false, Some(WriteAnswer::Stored)),
            (Some(6), 5, false, Some(WriteAnswer::Refused(cell(6, "held")))),
            (Some(u64::MAX), 0, false, Some(WriteAnswer::Refused(cell(u64::MAX, "held")))),
        ];
        for (held, ours, put, refused) in table {
            assert_eq!(may_put(held, ours), put, "cell: {held:?} held, {ours} written");
            let there = held.map(checkpoint);
            assert_eq!(may_put_checkpoint(there.as_ref(), &checkpoint(ours)), put, "checkpoint: {held:?}, {ours}");
            if let (Some(held), Some(refused)) = (held, refused) {
                assert_eq!(checkpoint_refused(&checkpoint(held), &checkpoint(ours)), refused == WriteAnswer::Stored);
                assert_eq!(cell_refused(cell(held, "held"), ours), refused);
            }
        }
    }

    #[test]
    fn the_later_write_wins_and_at_a_tie_the_larger_bytes() {
        let (old, new): (&[u8], &[u8]) = (b"z", b"a");
        assert!(supersedes((2, new), (1, old)), "later, though its bytes are smaller");
        assert!(!supersedes((1, old), (2, new)));
        assert!(supersedes((1, old), (1, new)) && !supersedes((1, new), (1, old)), "a tie");
        assert!(!supersedes((1, old), (1, old)), "the same write again changes nothing");
        for replies in [vec![(1, old), (2, new)], vec![(2, new), (1, old)]] {
            assert_eq!(newest(replies, |reply| *reply), Some((2, new)), "whichever comes first");
        }
        assert_eq!(newest::<(i64, &[u8]), _>([], |reply| *reply), None);
        assert!(timestamp(u64::MAX) > timestamp((i64::MAX as u64) - 1), "what is too large stays the latest");
    }

    #[test]
    fn any_two_quorums_have_a_replica_in_common() {
        for replicas in 1..10 {
            assert!(2 * quorum(replicas) > replicas && quorum(replicas) <= replicas, "{replicas}");
        }
        assert_eq!([quorum(1), quorum(3)], [1, 2]);
    }
}
