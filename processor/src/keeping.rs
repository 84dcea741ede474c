//! How cells, checkpoint and state become durable: together in one store, or apart.
//!
//! Always true here: each call is the worker's action as it came, its answer is the worker's input; what a worker
//! begins with was read in an order in which its state is never ahead of the checkpoint, nor either above the log's
//! end.

use std::sync::Arc;
use std::time::Duration;

use counting::worker::{Action, Committed, Input, Mode, Source, Work, source};
use eventlog::{EventLog, Held};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::cell::CellKey;
use schemas::stored::{Checkpoint, SavedState};
use stores::Store;
use stores::embedded::{Ahead, Embedded, Flushed};
use stores::snapshots::Snapshots;
use stores::state::LocalState;

use crate::Error;

/// Where things are kept.
#[derive(Debug, Clone)]
pub enum Keeping {
    /// Cells, checkpoint and state in one transaction; the log is kept from the state's position on.
    Together(Arc<Embedded>),
    /// Cells and checkpoint in a store, state beside the worker, copies of it where another machine finds them; the log
    /// is kept from the newest copy's position on.
    Apart {
        /// Of cells and checkpoints.
        store: Arc<dyn Store>,
        /// Of this process.
        state: Arc<LocalState>,
        /// Of state.
        snapshots: Snapshots,
        /// How often state is copied.
        snapshot_every: SnapshotEvery,
    },
}

/// How often a partition's state is copied to where another machine finds it: when either has passed since the last
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotEvery {
    /// This time; default 10 minutes. A state that has not moved is not copied again.
    pub time: Duration,
    /// So many records saved; default 1,000,000.
    pub records: u64,
}

impl Default for SnapshotEvery {
    fn default() -> Self {
        Self { time: Duration::from_secs(600), records: 1_000_000 }
    }
}

/// What a worker begins with, but for the record before the checkpoint.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The saved state, or the newest snapshot that the log still reaches.
    pub(crate) state: Option<SavedState>,
    pub(crate) held: Held,
    /// Position of the snapshot that the state was restored from; 0 = it was not.
    pub(crate) restored: u64,
}

impl Keeping {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Together(_) => Mode::Together,
            Self::Apart { .. } => Mode::Apart,
        }
    }

    pub(crate) fn last_write_wins(&self) -> bool {
        self.store().last_write_wins()
    }

    pub(crate) fn snapshot_every(&self) -> Option<SnapshotEvery> {
        match self {
            Self::Together(_) => None,
            Self::Apart { snapshot_every, .. } => Some(*snapshot_every),
        }
    }

    /// The store, where other processes have it too.
    pub(crate) fn shared_store(&self) -> Option<Arc<dyn Store>> {
        match self {
            Self::Together(_) => None,
            Self::Apart { store, .. } => Some(Arc::clone(store)),
        }
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Together(store) => &**store,
            Self::Apart { store, .. } => &**store,
        }
    }

    /// What a worker begins with: state, then checkpoint, then what the log holds. Another process may go on meanwhile:
    /// it saves a state, and copies it, after its checkpoint, so a state read before a checkpoint is never ahead of it;
    /// and the log's end, read last, is never below either.
    pub(crate) async fn find(self, generation: u32, partition: u32, log: Arc<dyn EventLog>) -> Result<Found, Error> {
        let mut before = held(&*log, partition).await?;
        loop {
            let (state, restored) = self.state(generation, partition, before).await?;
            let checkpoint = self.store().checkpoint(generation, partition).await?;
            let held = held(&*log, partition).await?;
            // What the log let go meanwhile a newer snapshot has.
            if held.first == before.first || position(state.as_ref()).unwrap_or(0) >= held.first {
                return Ok(Found { checkpoint, state, held, restored });
            }
            before = held;
        }
    }

    /// The saved state or, where the log does not reach back to it, that of the newest snapshot with its position.
    async fn state(
        &self,
        generation: u32,
        partition: u32,
        held: Held,
    ) -> Result<(Option<SavedState>, u64), stores::Error> {
        match self {
            Self::Together(store) => Ok((store.load_state(generation, partition).await?, 0)),
            Self::Apart { state, snapshots, .. } => {
                let saved = state.load(generation, partition).await?;
                if source(position(saved.as_ref()), None, held.first) == Source::Saved {
                    return Ok((saved, 0));
                }
                let found = restore(state, snapshots, generation, partition, held.first).await?;
                let restored = position(found.as_ref()).unwrap_or(0);
                // Where there is neither, the worker stops: by its own state it tells how much is missing.
                Ok((found.or(saved), restored))
            }
        }
    }

    /// Loads cells; the answer is the worker's next input.
    pub(crate) fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'static, Input> {
        let keeping = self.clone();
        async move {
            let loaded = keeping.store().load(keys).await;
            loaded.map_or_else(|error| failed(Work::Load, &error), Input::Loaded)
        }
        .boxed()
    }

    /// Carries out a step of a flush; its answer is the next input.
    pub(crate) fn carry_out(&self, generation: u32, partition: u32, action: Action) -> BoxFuture<'static, Input> {
        let keeping = self.clone();
        let work = async move {
            match (keeping, action) {
                (Self::Together(store), Action::Commit(flush)) => {
                    store.commit(flush).await.map(|flushed| Input::Committed(committed(flushed)))
                }
                (Self::Apart { store, .. }, Action::Write(cells)) => store.write(cells).await.map(Input::Wrote),
                (Self::Apart { store, .. }, Action::WriteCheckpoint(checkpoint)) => {
                    let wrote = store.write_checkpoint(generation, partition, checkpoint).await;
                    wrote.map(Input::CheckpointWrote)
                }
                (Self::Apart { state, .. }, Action::SaveState(changes)) => {
                    state.save(generation, partition, changes).await.map(|()| Input::StateSaved)
                }
                (_, action) => Err(stores::Error::Setting(format!("this keeping has no such action: {action:?}"))),
            }
        };
        work.map(|done| done.unwrap_or_else(|error| failed(Work::Flush, &error))).boxed()
    }

    /// Copies the saved state; answers the position at which the copy stands. Together nothing is copied: the cells
    /// would not be in it.
    pub(crate) async fn snapshot(self, generation: u32, partition: u32) -> Result<Option<u64>, Error> {
        let Self::Apart { state, snapshots, .. } = self else { return Ok(None) };
        let Some(saved) = state.load(generation, partition).await? else { return Ok(None) };
        let position = saved.position;
        snapshots.put(generation, partition, saved).await?;
        Ok(Some(position))
    }
}

fn failed(work: Work, error: &stores::Error) -> Input {
    Input::Failed { work, reason: error.to_string(), retry: error.is_retryable() }
}

fn committed(flushed: Flushed) -> Committed {
    match flushed {
        Flushed::Durable => Committed::Durable,
        Flushed::Refused(Ahead { cells, checkpoint }) => Committed::Refused { cells, checkpoint },
    }
}

/// What the log holds of a partition now.
async fn held(log: &dyn EventLog, partition: u32) -> Result<Held, eventlog::Error> {
    log.held().await?.get(partition as usize).copied().ok_or_else(|| {
        eventlog::Error::Setting(format!("the log has no partition {partition}; open it with the generation's number"))
    })
}

fn position(state: Option<&SavedState>) -> Option<u64> {
    state.map(|state| state.position)
}

/// Restores from the newest snapshot, where the log still holds its position.
async fn restore(
    state: &LocalState,
    snapshots: &Snapshots,
    generation: u32,
    partition: u32,
    held_from: u64,
) -> Result<Option<SavedState>, stores::Error> {
    let newest = snapshots.newest(generation, partition).await?;
    for (name, what) in &newest.passed_over {
        tracing::warn!(partition, name, what, "passed over a damaged snapshot");
    }
    if source(None, position(newest.state.as_ref()), held_from) != Source::Snapshot {
        return Ok(None);
    }
    let Some(found) = newest.state else { return Ok(None) };
    tracing::info!(partition, position = found.position, "begin from a snapshot");
    state.replace(generation, partition, found.clone()).await?;
    Ok(Some(found))
}
