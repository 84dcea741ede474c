//! Which table a thing lies in, for stores that keep it in tables of a database.
//!
//! Always true here: cells of hours are together, apart from all else, for they alone expire.

use schemas::cell::CellKind;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// Cells of hours, which expire.
    Hours,
    /// Cells that stay.
    Cells,
    /// Checkpoints, owners and generations.
    Progress,
}

impl Table {
    pub(crate) const ALL: [Self; 3] = [Self::Hours, Self::Cells, Self::Progress];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Cells => "cells",
            Self::Progress => "progress",
        }
    }

    pub(crate) fn of(kind: CellKind) -> Self {
        match kind {
            kind if kind.is_of_an_hour() => Self::Hours,
            _ => Self::Cells,
        }
    }

    /// By the kind that stands in a row's key; `None` where there is none that this build knows.
    pub(crate) fn of_row(row: &[u8]) -> Option<Self> {
        row.get(8).copied().and_then(CellKind::from_number).map(Self::of)
    }
}
