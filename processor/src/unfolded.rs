//! Records that the worker was given and has not folded yet: how many bytes they hold.
//!
//! Always true here: a batch counts whole until its last record is folded.

use std::collections::VecDeque;

use schemas::log::Logged;

/// Records given to the worker and not folded: offset after the last of a batch, and bytes of the batch.
#[derive(Debug, Default)]
pub(crate) struct Unfolded {
    batches: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Unfolded {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, records: &[Logged]) {
        let Some(last) = records.last() else { return };
        let bytes = records.iter().map(|record| record.header.len() + record.body.len()).sum();
        self.batches.push_back((last.offset.saturating_add(1), bytes));
        self.bytes += bytes;
    }

    pub(crate) fn folded(&mut self, below: u64) {
        while let Some((_, bytes)) = self.batches.front().copied().filter(|(end, _)| *end <= below) {
            self.bytes -= bytes;
            self.batches.pop_front();
        }
    }
}
