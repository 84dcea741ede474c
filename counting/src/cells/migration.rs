//! A customer's migration in a UTC hour: operations of one kind (reads, or writes) of a migration flag.
//!
//! Always true here: a sampled operation counts as often as it stands for, and marks the cell; sides are the old and the
//! new of the customer's migration, not Flagstream's own paths. The cell's name is [`operation_name`].

use prost::Message;
use schemas::event::{COUNT_MAX, OldNew};
use schemas::wire::cells as wire;

use super::sketch::{BUCKETS, LatencySketch};
use super::{COUNTER_MAX, CellError, add, largest};

const KIND: &str = "migration";
/// A bound of the encoding, in bytes: every bucket of both sides in use.
pub(super) const BYTES_MAX: usize = {
    use largest::COUNTER;
    // Gaps add up to less than the number of buckets, so few of them take a second byte.
    let gaps = BUCKETS as usize + BUCKETS as usize / 128;
    let sketch = gaps + BUCKETS as usize * COUNTER + 2 * (1 + 3);
    3 * (1 + COUNTER) + 2 + 2 * (1 + 3 + 2 * (1 + COUNTER) + sketch)
};

/// Operations of one kind in an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    operations: u64,
    estimated: bool,
    checked: u64,
    consistent: u64,
    sides: OldNew<MigrationSide>,
}

/// What is counted of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationSide {
    /// Operations in which it was invoked.
    pub invoked: u64,
    /// Operations in which it failed.
    pub failed: u64,
    /// How long it took.
    pub latency: LatencySketch,
}

/// An operation of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationChange {
    /// Whether both sides agreed, where that was checked.
    pub consistent: Option<bool>,
    /// Which sides were invoked.
    pub invoked: OldNew<bool>,
    /// Which sides failed.
    pub failed: OldNew<bool>,
    /// Latency of each side in microseconds, where measured.
    pub latency_us: OldNew<Option<u64>>,
    /// How many operations it stands for; above [`COUNT_MAX`] it is taken as that.
    pub sampling: u64,
}

/// The name of the cells of a migration flag's writes, or of its reads.
#[must_use]
pub fn operation_name(write: bool, flag: &[u8]) -> Vec<u8> {
    [&[if write { b'w' } else { b'r' }], flag].concat()
}

/// Whether a name that [`operation_name`] made is of writes, and the migration flag's key.
#[must_use]
pub fn operation_of(name: &[u8]) -> Option<(bool, &[u8])> {
    match name.split_first()? {
        (b'w', flag) => Some((true, flag)),
        (b'r', flag) => Some((false, flag)),
        _ => None,
    }
}

impl Migration {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::Migration::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let side = |side: Option<wire::MigrationSide>| {
            let side = side.unwrap_or_default();
            let latency = LatencySketch::from_wire(&side.latency_gap, &side.latency_number)
                .map_err(|(field, value)| CellError::Value { kind: KIND, field, value })?;
            Ok(MigrationSide { invoked: side.invoked, failed: side.failed, latency })
        };
        Ok(Self {
            operations: cell.operations,
            estimated: cell.estimated,
            checked: cell.checked,
            consistent: cell.consistent,
            sides: OldNew { old: side(cell.old)?, new: side(cell.new)? },
        })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let side = |side: &MigrationSide| {
            let (latency_gap, latency_number) = side.latency.to_wire();
            let side = wire::MigrationSide { invoked: side.invoked, failed: side.failed, latency_gap, latency_number };
            (side != wire::MigrationSide::default()).then_some(side)
        };
        let cell = wire::Migration {
            operations: self.operations,
            estimated: self.estimated,
            checked: self.checked,
            consistent: self.consistent,
            old: side(&self.sides.old),
            new: side(&self.sides.new),
        };
        cell.encode_to_vec()
    }

    /// How many operations.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Some of them were sampled by the SDK.
    #[must_use]
    pub fn estimated(&self) -> bool {
        self.estimated
    }

    /// In how many of them both sides' results were compared.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// In how many of these they agreed.
    #[must_use]
    pub fn consistent(&self) -> u64 {
        self.consistent
    }

    /// What is counted of each side.
    #[must_use]
    pub fn sides(&self) -> &OldNew<MigrationSide> {
        &self.sides
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`].
    #[must_use]
    pub fn saturated(&self) -> bool {
        let side =
            |side: &MigrationSide| [side.invoked, side.failed].contains(&COUNTER_MAX) || side.latency.saturated();
        let numbers = [self.operations, self.checked, self.consistent];
        numbers.contains(&COUNTER_MAX) || side(&self.sides.old) || side(&self.sides.new)
    }

    /// Adds another cell to this one.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.operations, other.operations);
        self.estimated |= other.estimated;
        add(&mut self.checked, other.checked);
        add(&mut self.consistent, other.consistent);
        self.sides.old.merge(&other.sides.old);
        self.sides.new.merge(&other.sides.new);
    }

    pub(super) fn apply(&mut self, change: &MigrationChange) -> bool {
        let number = change.sampling.min(COUNT_MAX);
        if number == 0 {
            return false;
        }
        let mut changed = add(&mut self.operations, number);
        changed |= number > 1 && !std::mem::replace(&mut self.estimated, true);
        if let Some(consistent) = change.consistent {
            changed |= add(&mut self.checked, number);
            changed |= consistent && add(&mut self.consistent, number);
        }
        let OldNew { old, new } = &mut self.sides;
        changed |= old.apply(change.invoked.old, change.failed.old, change.latency_us.old, number);
        changed |= new.apply(change.invoked.new, change.failed.new, change.latency_us.new, number);
        changed
    }
}

impl MigrationSide {
    fn merge(&mut self, other: &Self) {
        add(&mut self.invoked, other.invoked);
        add(&mut self.failed, other.failed);
        self.latency.merge(&other.latency);
    }

    fn apply(&mut self, invoked: bool, failed: bool, latency_us: Option<u64>, number: u64) -> bool {
        let mut changed = invoked && add(&mut self.invoked, number);
        changed |= failed && add(&mut self.failed, number);
        changed |= latency_us.is_some_and(|latency_us| self.latency.add(latency_us, number));
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every counter stopped, every mark set.
    fn full() -> Migration {
        let mut latency = LatencySketch::default();
        latency.add(5, COUNTER_MAX);
        let side = MigrationSide { invoked: COUNTER_MAX, failed: COUNTER_MAX, latency };
        Migration {
            operations: COUNTER_MAX,
            estimated: true,
            checked: COUNTER_MAX,
            consistent: COUNTER_MAX,
            sides: OldNew { old: side.clone(), new: side },
        }
    }

    #[test]
    fn an_operation_changes_its_cell_as_long_as_anything_of_it_can_change() {
        let both = OldNew { old: true, new: true };
        let latency_us = OldNew { old: Some(5), new: Some(5) };
        let sampled = MigrationChange { consistent: Some(true), invoked: both, failed: both, latency_us, sampling: 2 };
        assert!(!full().apply(&sampled), "all of it has stopped");
        let can_change: [fn(&mut Migration); 10] = [
            |cell| cell.operations = 1,
            |cell| cell.estimated = false,
            |cell| cell.checked = 1,
            |cell| cell.consistent = 1,
            |cell| cell.sides.old.invoked = 1,
            |cell| cell.sides.old.failed = 1,
            |cell| cell.sides.old.latency = LatencySketch::default(),
            |cell| cell.sides.new.invoked = 1,
            |cell| cell.sides.new.failed = 1,
            |cell| cell.sides.new.latency = LatencySketch::default(),
        ];
        for (which, change) in can_change.into_iter().enumerate() {
            let mut cell = full();
            change(&mut cell);
            assert!(cell.apply(&sampled), "thing {which}");
        }
    }
}
