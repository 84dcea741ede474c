//! What the cells of the audited environment add up to.
//!
//! Always true here: every cell of the environment is read, whatever its window and partition, from its bytes, as the
//! oracle reads them.

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind};

use crate::oracle::tell;

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
    /// Elements that the books call counted or late.
    pub(crate) elements: i128,
    /// Elements that the books call late.
    pub(crate) late: i128,
    /// Elements whose time was impossible, by the books.
    pub(crate) clamped: i128,
    /// What the books call poison or without id: nothing of the audit is either.
    pub(crate) strange: i128,
}

impl Sums {
    /// Adds up the cells.
    pub(super) fn of(cells: &[(CellKey, Bytes)]) -> Result<Self, String> {
        let mut sums = Self::default();
        for (key, value) in cells.iter().filter(|(key, _)| key.environment.key == super::KEY) {
            let told = tell(key.kind, value, &mut |(what, _, _, number)| sums.add(key.kind, what, number));
            told.map_err(|error| format!("{key:?}: {error}"))?;
        }
        Ok(sums)
    }

    /// Takes in a fact of a cell of this kind.
    fn add(&mut self, kind: CellKind, what: &str, number: i128) {
        let sum = match (kind, what) {
            (CellKind::Usage, "minute") => &mut self.usage,
            (CellKind::Events, "sum") => &mut self.events,
            (CellKind::StandIn, "sum") => &mut self.experiment,
            (CellKind::StandIn, "n") => &mut self.units,
            (CellKind::StandIn, "multiple") => &mut self.multiple,
            (CellKind::Books, "counted") => &mut self.elements,
            (CellKind::Books, "late") => {
                self.late += number;
                &mut self.elements
            }
            (CellKind::Books, "clamped") => &mut self.clamped,
            (CellKind::Books, "poison" | "without id") => &mut self.strange,
            _ => return,
        };
        *sum += number;
    }
}
