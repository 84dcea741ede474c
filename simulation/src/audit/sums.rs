//! What the cells of the audited environment add up to.
//!
//! Always true here: every cell of the environment is read, whatever its window and partition.

use bytes::Bytes;
use counting::cells::{Cell, CellError};
use schemas::cell::CellKey;

/// What the cells say, all together.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Counts of evaluations.
    pub(crate) usage: i128,
    /// Values of custom events, in millionths.
    pub(crate) events: i128,
    /// Values of conversions in the experiment, in millionths.
    pub(crate) experiment: i128,
    /// Units of the experiment.
    pub(crate) units: i128,
    /// Units that saw several variations.
    pub(crate) multiple: i128,
}

impl Sums {
    /// Adds up the cells.
    pub(super) fn of(cells: &[(CellKey, Bytes)]) -> Result<Self, String> {
        let mut sums = Self::default();
        for (key, value) in cells.iter().filter(|(key, _)| key.environment.key == super::KEY) {
            sums.add(key, value).map_err(|error| format!("{key:?}: {error}"))?;
        }
        Ok(sums)
    }

    fn add(&mut self, key: &CellKey, value: &Bytes) -> Result<(), CellError> {
        match Cell::decode(key.kind, value)? {
            Cell::Usage(usage) => self.usage += usage.counts().map(|row| i128::from(row.count)).sum::<i128>(),
            Cell::Events(events) => self.events += events.metric_sum(),
            Cell::StandIn(day) => {
                self.multiple += day.multiple();
                for (_, units, sum, _) in day.rows() {
                    self.units += units;
                    self.experiment += sum;
                }
            }
            Cell::LastSeen(_) | Cell::Books(_) | Cell::Sdks(_) | Cell::Definition(_) => {}
        }
        Ok(())
    }
}
