//! What the gate, the old path and customers' migrations did, by flag or event and hour.
//!
//! Always true here: these rows come after all others of a payload that have names, migrations first; a copy that is
//! dropped says what the old path was written with again, whatever else can be said of it.

use std::rc::Rc;

use bytes::Bytes;
use schemas::cell::{CellKind, CellName};
use schemas::old_path::{Counted, Gated, OutcomeView};
use schemas::record::{Header, PayloadView, StoredVariation};

use super::facts::{Fact, label};
use super::payload::{COUNT_MAX, CUSTOM, name_of};
use super::{HOUR_MS, Oracle};

/// A number of a flag's variation (true) or of a custom event, in an hour.
type Row<'a> = (bool, &'a Bytes, StoredVariation<'a>, i64, u64);

/// Rows with which the old path is written where it is written at all.
fn in_time(view: &PayloadView) -> impl Iterator<Item = Row<'_>> {
    let counts = view.counts().map(|row| (true, row.flag, row.variation, row.minute.div_euclid(60), row.count));
    let events = view.conversions().filter(|row| row.kind == CUSTOM);
    counts.chain(events.map(|row| event(row.key, row.time_ms, row.sampling)))
}

fn late(view: &PayloadView) -> impl Iterator<Item = Row<'_>> {
    let counts = view.late_counts().map(|row| (true, row.flag, row.variation, row.minute.div_euclid(60), row.count));
    counts.chain(view.late_events().map(|row| event(row.key, row.time_ms, row.sampling)))
}

fn event(key: &Bytes, time_ms: i64, sampling: u64) -> Row<'_> {
    (false, key, StoredVariation::Default, time_ms.div_euclid(HOUR_MS), sampling.min(COUNT_MAX))
}

impl Oracle {
    /// Of a home part that is counted.
    pub(super) fn gated(&mut self, header: &Header, view: &PayloadView) {
        let counted_as = match header.gated {
            Gated::No => return,
            Gated::Both => "counted by both",
            Gated::NewOnly => "new only",
        };
        for row in in_time(view) {
            self.old_path(header, row, counted_as, 0);
        }
        if header.gated == Gated::Both {
            for row in late(view) {
                self.old_path(header, row, "too late", 0);
            }
        }
    }

    /// Of a copy that is dropped.
    pub(super) fn gated_again(&mut self, header: &Header, view: &PayloadView) {
        if header.home && header.gated == Gated::Both {
            // Flags before events, as they lie in the record.
            let mut rows: Vec<Row<'_>> = in_time(view).chain(late(view)).collect();
            rows.sort_by_key(|row| !row.0);
            for row in rows {
                self.old_path(header, row, "written again", 0);
            }
        }
    }

    /// Of a record of outcomes; false = one of them is in no hour.
    pub(super) fn outcomes(&mut self, header: &Header, view: &OutcomeView) -> bool {
        if !header.home {
            return true;
        }
        if view.rows().any(|row| u32::try_from(row.time_ms.div_euclid(HOUR_MS)).is_err()) {
            return false;
        }
        for row in view.rows() {
            let (flag, key, variation) = match row.counted {
                Counted::Flag { key, variation } => (true, key, variation),
                Counted::Event { key } => (false, key, StoredVariation::Default),
            };
            let (key, hour) = (Bytes::copy_from_slice(key), row.time_ms.div_euclid(HOUR_MS));
            self.old_path(header, (flag, &key, variation, hour, row.number), "met", row.fate as u64);
        }
        true
    }

    fn old_path(&mut self, header: &Header, row: Row<'_>, what: &'static str, place: u64) {
        let (flag, key, variation, hour, number) = row;
        let limits = self.generation.fold;
        if number == 0 || u32::try_from(hour).is_err() {
            return;
        }
        let name = self.name(&header.environment, flag, key);
        let kind = if flag { CellKind::OldPath } else { CellKind::OldPathEvents };
        let cell = self.cell(kind, header, name, hour);
        let row: Rc<str> = cell.row(
            "row",
            &label(Some(variation), None, &[]),
            &[name_of(variation)],
            limits.usage_pairs_max,
            limits.texts_bytes_max,
        );
        cell.add(Fact::row_at(what, &row, place), number.into());
    }

    pub(super) fn migrations(&mut self, header: &Header, view: &PayloadView) {
        for row in view.migrations() {
            let marked = |mark: u32| row.marks & mark == mark;
            let name = match self.name(&header.environment, true, row.flag) {
                CellName::Key(flag) => CellName::Key([if marked(1) { b"w" } else { b"r" }, &flag[..]].concat().into()),
                other => other,
            };
            let number = row.sampling.min(COUNT_MAX);
            let cell = self.cell(CellKind::Migration, header, name, row.time_ms.div_euclid(HOUR_MS));
            cell.add_some(Fact::of("operations"), number);
            if number > 1 {
                cell.put(Fact::of("estimated"), 1);
            }
            for (what, place, marks) in [
                ("checked", 0, 8),
                ("consistent", 0, 8 + 16),
                ("invoked", 0, 2),
                ("invoked", 1, 4),
                ("failed", 0, 32),
                ("failed", 1, 64),
            ] {
                cell.add_some(Fact::at(what, place), if marked(marks) { number } else { 0 });
            }
            for (side, latency) in [("old", row.latency_old_us), ("new", row.latency_new_us)] {
                if let Some(latency) = latency {
                    cell.add_some(Fact::row_at("took", &side.into(), bucket(latency)), number);
                }
            }
        }
    }
}

/// The number of a latency's bucket: each below 64 µs has its own, then 32 equal ones to each doubling, 1,024 in all.
fn bucket(latency_us: u64) -> u64 {
    let (mut bucket, mut from, mut width) = (0, 0, 1);
    while bucket < 1_023 && from + width <= latency_us {
        bucket += 1;
        from += width;
        if bucket >= 64 && bucket % 32 == 0 {
            width *= 2;
        }
    }
    bucket
}
