//! Operations of customers' migrations as changes of cells.
//!
//! Always true here: a migration flag counts under its own name where the flag does; the reads and the writes of one
//! have a cell each, and so have those of all flags beyond the limit together.

use schemas::cell::CellKind;
use schemas::event::OldNew;
use schemas::record::{MigrationRow, PayloadView};

use super::hour_of_ms;
use super::payload::{Gatherer, Refusal, no_hour_at};
use crate::breakage::Break;
use crate::cells::{Change, MigrationChange, operation_name};
use crate::held::{CellRef, NameRef};
use crate::state::NameKind;

// The bits of `Migrations.marks`.
const WRITE: u32 = 1;
const OLD_INVOKED: u32 = 2;
const NEW_INVOKED: u32 = 4;
const CHECKED: u32 = 8;
const CONSISTENT: u32 = 16;
const OLD_FAILED: u32 = 32;
const NEW_FAILED: u32 = 64;

/// The name of an operation's cell, but where its flag has none of its own.
pub(super) fn name_of(row: &MigrationRow<'_>) -> Vec<u8> {
    operation_name(row.marks & WRITE != 0, row.flag)
}

impl<'r> Gatherer<'r, '_> {
    pub(super) fn migrations(&mut self, view: &'r PayloadView) -> Result<(), Refusal> {
        let environment = self.environment;
        for row in view.migrations() {
            let window = hour_of_ms(row.time_ms).ok_or_else(|| no_hour_at("an operation", row.time_ms))?;
            let own = self.name(NameKind::Flag, row.flag) != NameRef::Other;
            let operation = name_of(&row);
            let name = if own { NameRef::Key(&operation) } else { NameRef::Other };
            let slot = self.slot(CellRef { kind: CellKind::Migration, environment, name, window });
            let mut change = change_of(&row);
            if self.rules.breakage.is(Break::OperationsUnsampled) {
                change.sampling = 1;
            }
            self.draft.changes.push((slot, Change::Migration(change)));
        }
        Ok(())
    }
}

fn change_of(row: &MigrationRow<'_>) -> MigrationChange {
    let marked = |mark: u32| row.marks & mark != 0;
    MigrationChange {
        consistent: marked(CHECKED).then(|| marked(CONSISTENT)),
        invoked: OldNew { old: marked(OLD_INVOKED), new: marked(NEW_INVOKED) },
        failed: OldNew { old: marked(OLD_FAILED), new: marked(NEW_FAILED) },
        latency_us: OldNew { old: row.latency_old_us, new: row.latency_new_us },
        sampling: row.sampling,
    }
}
