//! How far a partition is: told to health and to the log, and in words while it is far behind.
//!
//! Always true here: the log is released only below what is saved, and where state lies apart below what is copied.

use counting::worker::keep_from;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::Partition;
use super::beginning::Phase;
use crate::Error;
use crate::replay::Told;

impl Partition {
    /// Tells how far it is, and releases what the log need not keep.
    pub(super) async fn tell(&mut self) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Folding) {
            return Ok(());
        }
        let progress = self.worker.progress();
        self.unfolded.folded(progress.folded);
        self.given.health.tell(self.number, progress);
        let below = keep_from(self.given.keeping.mode(), progress.saved, self.snapshots.newest());
        if below > self.released {
            self.released = below;
            self.given.log.release(self.number, below);
        }
        let now = Instant::now();
        self.tell_owner(now);
        if self.replay.is_due(now) {
            let end = match self.given.log.held().await {
                Ok(held) => held.get(self.number as usize).map_or(0, |held| held.end),
                // These are words alone: whoever reads the log says that it is away.
                Err(error) if error.is_retryable() => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.tell_replay(now, progress.folded, end);
        }
        Ok(())
    }

    fn tell_owner(&mut self, now: Instant) {
        if !self.telling.is_due(now) {
            return;
        }
        if let Some((store, owner)) = self.given.keeping.shared_store().zip(self.given.health.owner(self.number)) {
            let (generation, partition) = (self.given.settings.generation.number, self.number);
            self.telling.say(now, async move { store.tell_owner(generation, partition, owner).await }.boxed());
        }
    }

    fn tell_replay(&mut self, now: Instant, folded: u64, end: u64) {
        let partition = self.number;
        match self.replay.look(now, folded, end) {
            Some(Told::Behind(left)) => tracing::info!(partition, folded, end, left, "catching up with the log"),
            Some(Told::CaughtUp) => tracing::info!(partition, folded, "caught up with the log"),
            None => {}
        }
    }
}
