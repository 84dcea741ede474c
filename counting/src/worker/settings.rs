//! What a worker is told before it begins.
//!
//! Always true here: none of it but the generation can change a number.

#[cfg(any(test, feature = "testing"))]
use std::sync::{Arc, Mutex, atomic::AtomicI64};

use schemas::generation::Generation;
#[cfg(any(test, feature = "testing"))]
use schemas::{log::Logged, wire::record::Definition};

use crate::breakage::Breakage;
use crate::cells::{LimitsError, check_limits};
use crate::fold::Rules;
use crate::state::RECORDS_MAX;

/// How cells, checkpoint and state become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In one transaction of one store.
    Together,
    /// Cells in a store, then the checkpoint there, then the state beside the worker.
    Apart,
}

/// What a worker is told before it begins.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The generation.
    pub generation: Generation,
    /// The partition.
    pub partition: u32,
    /// How things become durable.
    pub mode: Mode,
    /// The store keeps the write with the highest h but does not say whether it took one (Cassandra): a cell loaded
    /// with h at or above what is known to be durable counts as dirty until it is written again.
    pub last_write_wins: bool,
    /// Cells held in memory, at most (more while they are dirty or one batch needs them).
    pub cells_max: usize,
    /// Bytes that clean cells held in memory may take, about: a cell encodes to 100 bytes or to 64 KiB.
    pub clean_cells_bytes_max: usize,
    /// Dirty cells that begin a flush before it is due, and hold up folding while one is under way.
    pub dirty_cells_max: usize,
    /// Records waiting to be folded above which no further batch is wanted.
    pub waiting_records_max: usize,
    /// The clock on the wall, Unix milliseconds: for the broken rule that looks at it.
    #[cfg(any(test, feature = "testing"))]
    pub wall_ms: Arc<AtomicI64>,
    /// Definitions as the configuration has them now: for the broken rule that looks there.
    #[cfg(any(test, feature = "testing"))]
    pub configured: Arc<Mutex<Vec<Definition>>>,
    /// What this process hashes with: for the broken rule that goes by the order of a hash.
    #[cfg(any(test, feature = "testing"))]
    pub process_seed: u64,
    pub(crate) breakage: Breakage,
}

/// Settings with which a worker cannot keep its promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A cell could grow too large.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// N is too large.
    #[error("dedupe_records = {0} is more than {RECORDS_MAX}; lower it")]
    Dedupe(u64),
}

impl Settings {
    /// The defaults for a partition of a generation: 20,000 cells held, 5,000 of them dirty and 64 MiB of
    /// them clean, 10,000 records waiting.
    #[must_use]
    pub fn new(generation: Generation, partition: u32, mode: Mode) -> Self {
        Self {
            generation,
            partition,
            mode,
            last_write_wins: false,
            cells_max: 20_000,
            clean_cells_bytes_max: 64 << 20,
            dirty_cells_max: 5_000,
            waiting_records_max: 10_000,
            #[cfg(any(test, feature = "testing"))]
            wall_ms: Arc::default(),
            #[cfg(any(test, feature = "testing"))]
            configured: Arc::default(),
            #[cfg(any(test, feature = "testing"))]
            process_seed: 0,
            breakage: Breakage::default(),
        }
    }

    /// The same, breaking a rule; said twice, breaking both.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn breaking(mut self, rule: crate::Break) -> Self {
        self.breakage.also = self.breakage.which.replace(rule);
        self
    }

    /// The same, with the fold panicking where it walks the rows of the records at these offsets.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn panicking_at(self, offsets: Vec<u64>) -> Self {
        self.panicking_in(crate::PanicIn::Rows, &offsets)
    }

    /// The same, with the fold panicking there on the records at these offsets.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn panicking_in(mut self, place: crate::PanicIn, offsets: &[u64]) -> Self {
        self.breakage.panicking(place, offsets);
        self
    }

    /// The same, with the fold panicking where it walks the rows of the records for which `panics` says so.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn panicking_on(mut self, panics: fn(&Logged) -> bool) -> Self {
        self.breakage.panics_on = Some(panics);
        self
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        check_limits(&self.generation.fold)?;
        if self.generation.dedupe_records > RECORDS_MAX {
            return Err(SettingsError::Dedupe(self.generation.dedupe_records));
        }
        Ok(())
    }

    pub(super) fn rules(&self) -> Rules {
        #[cfg(any(test, feature = "testing"))]
        let breakage = Breakage {
            wall_ms: Arc::clone(&self.wall_ms),
            configured: Arc::clone(&self.configured),
            process_seed: self.process_seed,
            ..self.breakage.clone()
        };
        #[cfg(not(any(test, feature = "testing")))]
        let breakage = self.breakage.clone();
        Rules { generation: self.generation.clone(), partition: self.partition, breakage }
    }
}
