//! Partition state beside the worker: the file that it lies in where the store of cells is elsewhere.
//!
//! Always true here: changes and their position are saved as one; a position never falls. Who saves must have the cells
//! and then the checkpoint durable first: with a store elsewhere nothing here can check that.

use std::path::Path;

use tokio::sync::watch;

use crate::embedded::committer::Tables;
use crate::embedded::engine::Engine;
use crate::embedded::{Options, state_rows};
use crate::{Error, SavedState, StateChanges};

/// Partition state in a file of its own, of the same layout and under the same guards as the embedded store.
#[derive(Debug)]
pub struct LocalState {
    engine: Engine,
}

impl LocalState {
    /// Opens the file at `path`, or creates it; reads it whole to check it.
    ///
    /// # Errors
    /// As [`crate::embedded::Embedded::open`].
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        Ok(Self { engine: Engine::open(path, options)? })
    }

    /// Why nothing is answered any more but [`Error::Poisoned`], once that is so; then the process must end.
    #[must_use]
    pub fn poisoned(&self) -> watch::Receiver<Option<String>> {
        self.engine.poisoned()
    }

    /// A partition's state; `None` where none was saved. Rows are held in memory; see [`Self::visit`].
    ///
    /// # Errors
    /// [`Error::Damaged`] when rows are missing, stale or altered.
    pub async fn load(&self, generation: u32, partition: u32) -> Result<Option<SavedState>, Error> {
        self.engine.read(move |reader| state_rows::load(reader, generation, partition)).await
    }

    /// Gives a partition's rows to `visit` one by one in order of key, then answers the position at which the state
    /// stands. What was visited is good only when the answer is.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn visit(
        &self,
        generation: u32,
        partition: u32,
        visit: impl FnMut(&[u8], &[u8]) + Send + 'static,
    ) -> Result<Option<u64>, Error> {
        self.engine.read(move |reader| state_rows::visit(reader, generation, partition, visit)).await
    }

    /// Applies changes together with their position; answers when they are on the disk.
    ///
    /// # Errors
    /// [`Error::Setting`] when the position would fall; nothing was changed then.
    pub async fn save(&self, generation: u32, partition: u32, changes: StateChanges) -> Result<(), Error> {
        let weight = state_rows::weight_of(&changes);
        let apply = move |tables: &mut Tables<'_>| {
            state_rows::check_rises(tables, generation, partition, changes.position)?;
            state_rows::save(tables, generation, partition, &changes)
        };
        self.engine.submit(weight, apply).await
    }

    /// Puts a loaded snapshot in place of a partition's state, at the snapshot's position.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn replace(&self, generation: u32, partition: u32, state: SavedState) -> Result<(), Error> {
        let weight = state_rows::weight_of_whole(&state);
        let apply = move |tables: &mut Tables<'_>| state_rows::replace(tables, generation, partition, &state);
        self.engine.submit(weight, apply).await
    }
}
