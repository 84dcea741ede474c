//! A partition that moves after its owner was told: the owner flushes what it has folded, and the group waits for that,
//! though not for ever, as in `processor::partition`.
//!
//! Always true here: an owner that leaves folds no more; all that is folded in what it lets go in time is durable.

use counting::worker::Input;

use super::World;
use crate::faults::Fault;
use crate::note;
use crate::process::Post;

/// An owner that is told to let its partition go.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Whom the group gives the partition to.
    to: usize,
    /// Turns of the owner for which the group waits.
    turns: usize,
}

impl Leaving {
    pub(super) fn new(to: usize, turns: usize) -> Self {
        Self { to, turns }
    }
}

impl World {
    /// Whether this process flushes before it lets a partition go.
    pub(super) fn leaves(&self, post: Post) -> bool {
        let partition = post.partition as usize;
        self.leaving[partition].is_some() && self.owners[partition] == post.node
    }

    /// A step of the last flush; after the last step, or when the group waits no longer, the partition goes.
    pub(super) fn flush_before_it_goes(&mut self, post: Post) -> Result<(), String> {
        let partition = post.partition as usize;
        let Some(leaving) = &mut self.leaving[partition] else { return Ok(()) };
        if leaving.turns == 0 {
            self.chance.tally.add(Fault::LastFlushCutOff);
            note!(self.trace, "group", "waits no longer for node {} to flush partition {partition}", post.node);
            return self.let_go(partition);
        }
        leaving.turns -= 1;
        if self.is_busy_without_loads(post) {
            return self.carry_out(post);
        }
        self.give(post, Input::Tick)?;
        if self.is_busy_without_loads(post) {
            return Ok(());
        }
        let Some(seat) = &self.seats[post.node][partition] else { return Ok(()) };
        let progress = seat.worker.progress();
        if progress.durable < progress.folded {
            return Err(format!("node {} lets partition {partition} go at {progress:?}", post.node));
        }
        self.chance.tally.add(Fault::LastFlush);
        self.let_go(partition)
    }

    /// What only a record that is not folded yet asked for is waited for no longer.
    fn is_busy_without_loads(&mut self, post: Post) -> bool {
        self.seats[post.node][post.partition as usize].as_mut().is_some_and(|seat| {
            seat.forget_loads();
            seat.is_busy()
        })
    }

    /// The partition goes, if its owner was to let it go: whether it is flushed or not, and whether the owner lives.
    pub(super) fn let_go(&mut self, partition: usize) -> Result<(), String> {
        let Some(leaving) = self.leaving[partition].take() else { return Ok(()) };
        let old = std::mem::replace(&mut self.owners[partition], leaving.to);
        note!(self.trace, "group", "partition {partition} goes from {old} to {}", leaving.to);
        self.give(Post { node: old, partition: partition as u32 }, Input::Revoked)?;
        self.seats[old][partition] = None;
        Ok(())
    }
}
