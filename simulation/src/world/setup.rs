//! What kind of world a seed is: its generation, its store, its sizes.
//!
//! Always true here: limits are so small that a handful of records meets them.

use counting::worker::Mode;
use schemas::generation::Generation;

use crate::chance::Chance;
use crate::stores::Model;

const DAY: i64 = 86_400_000;

/// What kind of world a seed is.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The generation that the log begins with.
    pub generation: Generation,
    /// How the store keeps cells.
    pub model: Model,
    /// Whether state lies with the cells or beside the worker.
    pub mode: Mode,
    /// Processes that may fold. Together there should be one, and it must do no harm if there are two.
    pub nodes: usize,
    /// Whether what was sent is held against what was counted, event by event: only where no re-send is out of the
    /// window.
    pub audited: bool,
    /// Whether some SDKs hand out all flags at once, and there are enough of them.
    pub all_flags: bool,
    /// Whether the topic may be made again under the same name.
    pub topic_again: bool,
    /// Whether records may be lost that no state has.
    pub overrun: bool,
    /// Whether some snapshots take long, and some are never whole.
    pub slow_snapshots: bool,
    /// Whether saves may fail before they are on the disk.
    pub failing_disks: bool,
    /// Whether a process that is told to let a partition go flushes it before.
    pub last_flush: bool,
    /// Turns with faults.
    pub turns: usize,
    /// When it begins, Unix milliseconds: near midnight.
    pub start_ms: i64,
    /// As in the worker's settings.
    pub cells_max: usize,
    /// As in the worker's settings.
    pub clean_cells_bytes_max: usize,
    /// As in the worker's settings.
    pub dirty_cells_max: usize,
    /// As in the worker's settings.
    pub waiting_records_max: usize,
}

impl Setup {
    /// The world of these dice under this store model.
    #[must_use]
    pub fn throw(model: Model, chance: &mut Chance) -> Self {
        let mut aside = chance.aside();
        let all_flags = aside.percent(30);
        let partitions = chance.pick(&[1, 2, 2, 3]);
        let mut generation = Generation::new(1, "flagstream.events", partitions, counting::FOLD_VERSION);
        let large_window = chance.percent(50);
        generation.dedupe_records = if large_window { 1_000 } else { 6 + chance.below(7) as u64 };
        generation.clock.lateness_ms = 3 * DAY.unsigned_abs();
        // In the former there is now and then one more than a read of all flags asks for.
        generation.fold.flags_max = if all_flags { aside.pick(&[5, 6, 7, 20]) } else { 3 };
        generation.fold.usage_pairs_max = 2;
        generation.fold.usage_rows_max = 3;
        generation.fold.last_seen_rows_max = 3;
        generation.fold.sdk_rows_max = 2;
        generation.fold.texts_bytes_max = 24;
        // Where times are whole minutes or days, they meet limits, and midnight, exactly.
        let grain_ms = chance.pick(&[1, 1, 1, 60_000, DAY]);
        chance.be_coarse(grain_ms);
        let topic_again = chance.percent(4);
        let together = model == Model::Conditional && chance.percent(25);
        let overrun = !together && !topic_again && aside.percent(3);
        let slow_snapshots = !together && aside.percent(50);
        let failing_disks = !together && aside.percent(50);
        let last_flush = aside.percent(50);
        Self {
            generation,
            model,
            nodes: if together { chance.pick(&[1, 2]) } else { 3 },
            mode: if together { Mode::Together } else { Mode::Apart },
            audited: large_window && !topic_again && !overrun,
            all_flags,
            topic_again,
            overrun,
            slow_snapshots,
            failing_disks,
            last_flush,
            turns: (150 + chance.below(400)) * 7 / 5,
            start_ms: chance.coarse(19_000 * DAY - 2 * 3_600_000),
            cells_max: 1 + chance.below(12),
            clean_cells_bytes_max: 1_000 * chance.below(12),
            dirty_cells_max: 2 + chance.below(30),
            waiting_records_max: 1 + chance.below(12),
        }
    }

    /// Whether the store does not say which writes it took.
    #[must_use]
    pub fn last_write_wins(&self) -> bool {
        self.model == Model::LastWriteWins
    }
}
