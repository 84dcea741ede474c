//! How cells, checkpoint and state become durable: together in one store, or apart.
//!
//! Always true here: each call is the worker's action as it came; its answer is the worker's input.

use std::sync::Arc;

use counting::worker::{Action, Committed, Input, Mode, Work};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::stored::{Checkpoint, SavedState};
use stores::Store;
use stores::embedded::{Ahead, Embedded, Flushed};
use stores::snapshots::Folder;
use stores::state::LocalState;

/// Where things are kept.
#[derive(Debug, Clone)]
pub enum Keeping {
    /// Cells, checkpoint and state in one transaction.
    Together(Arc<Embedded>),
    /// Cells and checkpoint in a store, state beside the worker, copies of it where another machine finds them.
    Apart {
        /// Of cells and checkpoints.
        store: Arc<dyn Store>,
        /// Of this process.
        state: Arc<LocalState>,
        /// Of state.
        snapshots: Arc<Folder>,
    },
}

impl Keeping {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Together(_) => Mode::Together,
            Self::Apart { .. } => Mode::Apart,
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        match self {
            Self::Together(store) => &**store,
            Self::Apart { store, .. } => &**store,
        }
    }

    /// What a worker begins with: the checkpoint, and the saved state or the newest snapshot that the log (held from
    /// `held_from` on) still reaches.
    pub(crate) async fn begin(
        &self,
        generation: u32,
        partition: u32,
        held_from: u64,
    ) -> Result<(Option<Checkpoint>, Option<SavedState>), stores::Error> {
        let checkpoint = self.store().checkpoint(generation, partition).await?;
        let state = match self {
            Self::Together(store) => store.load_state(generation, partition).await?,
            Self::Apart { state, snapshots, .. } => {
                let saved = state.load(generation, partition).await?;
                match saved.filter(|saved| saved.position >= held_from) {
                    Some(saved) => Some(saved),
                    None => restore(state, snapshots, generation, partition, held_from).await?,
                }
            }
        };
        Ok((checkpoint, state))
    }

    /// Carries out an action that makes something durable; its answer is the next input.
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
}

pub(crate) fn failed(work: Work, error: &stores::Error) -> Input {
    Input::Failed { work, reason: error.to_string(), retry: error.is_retryable() }
}

fn committed(flushed: Flushed) -> Committed {
    match flushed {
        Flushed::Durable => Committed::Durable,
        Flushed::Refused(Ahead { cells, checkpoint }) => Committed::Refused { cells, checkpoint },
    }
}

async fn restore(
    state: &LocalState,
    snapshots: &Folder,
    generation: u32,
    partition: u32,
    held_from: u64,
) -> Result<Option<SavedState>, stores::Error> {
    let newest = snapshots.newest(generation, partition).await?;
    for (name, what) in &newest.passed_over {
        tracing::warn!(partition, name, what, "passed over a damaged snapshot");
    }
    let Some(found) = newest.state.filter(|found| found.position >= held_from) else { return Ok(None) };
    tracing::info!(partition, position = found.position, "begin from a snapshot");
    state.replace(generation, partition, found.clone()).await?;
    Ok(Some(found))
}
