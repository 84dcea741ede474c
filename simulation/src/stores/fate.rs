//! What becomes of a write on its way to the servers.
//!
//! Always true here: where a fault is thrown, at least one write of the batch meets it; a write counts as answered only
//! when a quorum of the servers has it and says so; in a calm world every server gets every write at once.

use stores::protocol;

use super::model::{Model, Servers};
use crate::chance::Chance;
use crate::faults::Fault;

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it arrives and is answered.
    Done,
    /// Some of it does not arrive; the one of this index surely not.
    Lost(usize),
    /// It arrives, and the answer is lost.
    Unanswered,
    /// Some of it arrives at one replica only; the one of this index surely.
    Partial(usize),
    /// Some of it misses a replica, and is answered by the others.
    Missed(usize),
    /// Its process dies meanwhile.
    Dying,
}

/// Where one write of a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    /// Servers that get it now.
    pub(super) now: Servers,
    /// Servers that will get it later.
    pub(super) later: Servers,
    /// Whether the client hears of it.
    pub(super) answered: bool,
}

impl Fate {
    /// Throws what becomes of a batch of so many writes.
    pub(super) fn throw(model: Model, writes: usize, chance: &mut Chance) -> Self {
        if chance.is_calm() || writes == 0 {
            return Self::Done;
        }
        let replicated = model == Model::LastWriteWins;
        if chance.fault(Fault::WriteLost, 40) {
            Self::Lost(chance.below(writes))
        } else if chance.fault(Fault::WriteUnanswered, 40) {
            Self::Unanswered
        } else if replicated && chance.fault(Fault::PartialQuorum, 70) {
            Self::Partial(chance.below(writes))
        } else if replicated && chance.fault(Fault::ReplicaMissed, 150) {
            Self::Missed(chance.below(writes))
        } else {
            Self::Done
        }
    }

    /// Where the write of this index goes.
    pub(super) fn course(self, model: Model, index: usize, chance: &mut Chance) -> Course {
        let all = model.servers();
        let one = |chance: &mut Chance| 1 << chance.below(model.copies());
        let mut meets = |surely: usize| surely == index || chance.percent(50);
        let (now, heard) = match self {
            Self::Done => (all, true),
            Self::Unanswered => (all, false),
            Self::Lost(surely) => (if meets(surely) { 0 } else { all }, true),
            Self::Partial(surely) => (if meets(surely) { one(chance) } else { all }, true),
            Self::Missed(surely) => (if meets(surely) { all & !one(chance) } else { all }, true),
            Self::Dying => (all & u8::try_from(chance.below(8)).unwrap_or(0), false),
        };
        // What did not arrive may still be on its way, or be kept by a replica for another.
        let later = if now != all && chance.percent(40) { all & !now } else { 0 };
        let quorum = now.count_ones() as usize >= protocol::quorum(model.copies());
        Course { now, later, answered: heard && quorum }
    }
}
