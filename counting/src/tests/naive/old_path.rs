//! The old path and customers' migrations, said once more.

use schemas::cell::{CellKind, CellName};
use schemas::id::Environment;
use schemas::old_path::{Counted, Gated, OutcomeView};
use schemas::record::{Header, PayloadView, StoredVariation};

use super::{Facts, Naive, add, named, variation_name};
use crate::cells::{LatencySketch, Migration, OldPath};

const HOUR_MS: i64 = 3_600_000;

impl Naive {
    /// Evaluations (with what was served) or custom events of an hour: `what` of the old path is so many more.
    pub(super) fn old_path(
        &mut self,
        environment: &Environment,
        (flag, key): (bool, &[u8]),
        variation: StoredVariation<'_>,
        hour: i64,
        (what, number): (&str, u64),
    ) {
        if number == 0 {
            return;
        }
        let name = self.name(environment, flag, &bytes::Bytes::copy_from_slice(key));
        let kind = if flag { CellKind::OldPath } else { CellKind::OldPathEvents };
        let most = self.generation.fold.usage_pairs_max;
        let mut table = self.table(kind, environment, name, hour);
        let row = table.first("row", format!("{variation:?}"), &[variation_name(variation)], most);
        add(table.facts, format!("{row} {what}"), number);
    }

    /// Rows of a copy that is counted, and rows that are late.
    pub(super) fn gated(&mut self, header: &Header, view: &PayloadView) {
        let counted_as = match header.gated {
            Gated::No => return,
            Gated::Both => "counted",
            Gated::NewOnly => "new only",
        };
        self.old_path_rows(header, view, counted_as);
        if header.gated == Gated::Both {
            self.late_old_path_rows(header, view, "late");
        }
    }

    /// Rows of a copy that is dropped.
    pub(super) fn gated_again(&mut self, header: &Header, view: &PayloadView) {
        if header.gated == Gated::Both {
            self.old_path_rows(header, view, "duplicate");
            self.late_old_path_rows(header, view, "duplicate");
        }
    }

    fn old_path_rows(&mut self, header: &Header, view: &PayloadView, what: &str) {
        for row in view.counts() {
            let hour = row.minute.div_euclid(60);
            self.old_path(&header.environment, (true, row.flag), row.variation, hour, (what, row.count));
        }
        for row in view.conversions().filter(|row| row.kind == 1) {
            let (hour, told) = (row.time_ms.div_euclid(HOUR_MS), (what, row.sampling));
            self.old_path(&header.environment, (false, row.key), StoredVariation::Default, hour, told);
        }
    }

    fn late_old_path_rows(&mut self, header: &Header, view: &PayloadView, what: &str) {
        for row in view.late_counts() {
            let hour = row.minute.div_euclid(60);
            self.old_path(&header.environment, (true, row.flag), row.variation, hour, (what, row.count));
        }
        for row in view.late_events() {
            let (hour, told) = (row.time_ms.div_euclid(HOUR_MS), (what, row.sampling));
            self.old_path(&header.environment, (false, row.key), StoredVariation::Default, hour, told);
        }
    }

    pub(super) fn outcomes(&mut self, header: &Header, view: &OutcomeView) {
        for row in view.rows() {
            let (flag, key, variation) = match row.counted {
                Counted::Flag { key, variation } => (true, key, variation),
                Counted::Event { key } => (false, key, StoredVariation::Default),
            };
            let (hour, met) = (row.time_ms.div_euclid(HOUR_MS), format!("met {:?}", row.fate));
            self.old_path(&header.environment, (flag, key), variation, hour, (&met, row.number));
        }
    }

    pub(super) fn migrations(&mut self, header: &Header, view: &PayloadView) {
        for row in view.migrations() {
            let marked = |mark: u32| row.marks & mark == mark;
            let name = match self.name(&header.environment, true, row.flag) {
                CellName::Key(flag) => CellName::Key([if marked(1) { b"w" } else { b"r" }, &flag[..]].concat().into()),
                other => other,
            };
            let facts = self.facts(CellKind::Migration, &header.environment, name, row.time_ms.div_euclid(HOUR_MS));
            let number = row.sampling;
            add(facts, "operations".into(), number);
            if number > 1 {
                facts.insert("estimated".into(), 1);
            }
            let told = [
                ("checked", 8),
                ("consistent", 8 + 16),
                ("old invoked", 2),
                ("new invoked", 4),
                ("old failed", 32),
                ("new failed", 64),
            ];
            for (what, marks) in told {
                add(facts, what.into(), if marked(marks) { number } else { 0 });
            }
            for (side, latency) in [("old", row.latency_old_us), ("new", row.latency_new_us)] {
                if let Some(latency) = latency {
                    add(facts, format!("{side} about {} µs", about(latency)), number);
                }
            }
        }
    }
}

/// The middle of the step that a latency is in: of 64 µs and more a step is a part of what has 32 to 63 of them.
fn about(latency_us: u64) -> u64 {
    let latency_us = latency_us.min((1 << 36) - 1);
    let mut step = 1;
    while latency_us / step >= 64 {
        step *= 2;
    }
    latency_us / step * step + step / 2
}

pub(super) fn tell_old_path(facts: &mut Facts, cell: &OldPath) {
    for row in cell.rows() {
        let label = named(facts, "row", format!("{:?}", row.variation), row.other);
        let numbers = row.numbers;
        for (what, number) in [
            ("counted", numbers.counted),
            ("new only", numbers.new_only),
            ("duplicate", numbers.duplicate),
            ("late", numbers.late),
        ] {
            add(facts, format!("{label} {what}"), number);
        }
        for fate in schemas::old_path::Fate::ALL {
            add(facts, format!("{label} met {fate:?}"), numbers.of(fate));
        }
    }
}

pub(super) fn tell_migration(facts: &mut Facts, cell: &Migration) {
    add(facts, "operations".into(), cell.operations());
    add(facts, "checked".into(), cell.checked());
    add(facts, "consistent".into(), cell.consistent());
    if cell.estimated() {
        facts.insert("estimated".into(), 1);
    }
    for (name, side) in [("old", &cell.sides().old), ("new", &cell.sides().new)] {
        add(facts, format!("{name} invoked"), side.invoked);
        add(facts, format!("{name} failed"), side.failed);
        LatencySketch::buckets(&side.latency)
            .for_each(|(about_us, number)| add(facts, format!("{name} about {about_us} µs"), number));
    }
}
