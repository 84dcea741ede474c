//! The log: one topic, some partitions, in memory.
//!
//! Always true here: offsets are dense and begin at 0 with the generation record; a record appended stays as it is;
//! only append times may step back. What retention took cannot be read any more, but the oracle still sees it.

use counting::worker::LogRange;
use schemas::generation::Generation;
use schemas::log::{Append, Logged};
use schemas::record::generation_record;

use crate::chance::Chance;
use crate::faults::Fault;

/// An append time steps back by less than this.
const STEP_BACK_MS: usize = 20 * 60_000;

/// One topic.
#[derive(Debug, Clone)]
pub struct Log {
    partitions: Vec<Partition>,
    newest_ms: i64,
}

#[derive(Debug, Clone)]
struct Partition {
    /// Offset of the oldest record held.
    from: u64,
    records: Vec<Logged>,
}

impl Log {
    /// A topic that holds nothing but the generation record of each partition.
    #[must_use]
    pub fn new(generation: &Generation, now_ms: i64) -> Self {
        let first = |partition| {
            let Append { header, body, .. } = generation_record(generation, partition, now_ms);
            Partition { from: 0, records: vec![Logged { offset: 0, append_ms: now_ms, header, body }] }
        };
        Self { partitions: (0..generation.partitions).map(first).collect(), newest_ms: now_ms }
    }

    /// P.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// Appends a record at `now_ms`, or at an earlier time where the broker's clock steps back. Gives its offset.
    pub fn append(&mut self, append: &Append, now_ms: i64, chance: &mut Chance) -> u64 {
        let back = if chance.fault(Fault::AppendTimeBack, 30) { 1 + chance.below(STEP_BACK_MS) } else { 0 };
        let append_ms = now_ms - i64::try_from(back).unwrap_or(0);
        self.newest_ms = self.newest_ms.max(append_ms);
        let records = &mut self.partitions[append.partition as usize].records;
        let offset = records.len() as u64;
        records.push(Logged { offset, append_ms, header: append.header.clone(), body: append.body.clone() });
        offset
    }

    /// The highest append time so far: no partition's log time is above it.
    #[must_use]
    pub fn newest_ms(&self) -> i64 {
        self.newest_ms
    }

    /// What a partition holds.
    #[must_use]
    pub fn range(&self, partition: u32) -> LogRange {
        let Partition { from, records } = &self.partitions[partition as usize];
        LogRange { from: *from, to: records.len() as u64 }
    }

    /// At most `most` records of a partition, beginning with offset `from`.
    ///
    /// # Panics
    /// When retention took that offset: the caller is to ask for the range first.
    #[must_use]
    pub fn read(&self, partition: u32, from: u64, most: usize) -> Vec<Logged> {
        let held = &self.partitions[partition as usize];
        assert!(from >= held.from, "partition {partition} holds nothing below {}, asked for {from}", held.from);
        held.records.iter().skip(place(from)).take(most).cloned().collect()
    }

    /// One record, if the log has it and retention has not taken it.
    #[must_use]
    pub fn held(&self, partition: u32, offset: u64) -> Option<&Logged> {
        let held = &self.partitions[partition as usize];
        if offset < held.from { None } else { held.records.get(place(offset)) }
    }

    /// Every record that a partition ever took, also what retention took since.
    #[must_use]
    pub fn all(&self, partition: u32) -> &[Logged] {
        &self.partitions[partition as usize].records
    }

    /// Lets go what is below this offset; never takes back what was let go.
    pub fn retain(&mut self, partition: u32, below: u64) {
        let held = &mut self.partitions[partition as usize];
        held.from = held.from.max(below.min(held.records.len() as u64));
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use schemas::id::Environment;
    use schemas::record::{Header, RecordKind, numbers_record};
    use schemas::rejection::Rejections;

    use super::*;

    #[test]
    fn a_partition_begins_with_its_generation_and_grows_by_one() {
        let generation = Generation::new(1, "t", 2, counting::FOLD_VERSION);
        let mut log = Log::new(&generation, 1_000);
        let mut chance = Chance::new(1);
        let environment = Environment::new("p", "dev").unwrap();
        let append = numbers_record(&environment, 2, &Rejections::default(), 1_000);
        let other = 1 - append.partition;
        let offsets: Vec<u64> = (0..3).map(|_| log.append(&append, 2_000, &mut chance)).collect();
        assert_eq!(offsets, [1, 2, 3]);
        assert_eq!(
            (log.range(append.partition), log.range(other)),
            (LogRange { from: 0, to: 4 }, LogRange { from: 0, to: 1 })
        );
        let kind = |logged: &Logged| Header::decode(&logged.header).unwrap().kind;
        assert_eq!(kind(&log.all(other)[0]), RecordKind::Generation);
        assert_eq!(log.read(append.partition, 2, 5).iter().map(|logged| logged.offset).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn what_retention_took_is_there_for_the_oracle_alone() {
        let mut log = Log::new(&Generation::new(1, "t", 1, counting::FOLD_VERSION), 0);
        let append = numbers_record(&Environment::new("p", "dev").unwrap(), 1, &Rejections::default(), 0);
        let mut chance = Chance::new(1);
        for _ in 0..3 {
            log.append(&append, 1, &mut chance);
        }
        log.retain(0, 2);
        log.retain(0, 1);
        assert_eq!(log.range(0), LogRange { from: 2, to: 4 });
        assert_eq!(
            (log.held(0, 1).is_some(), log.held(0, 2).is_some(), log.held(0, 4).is_some()),
            (false, true, false)
        );
        assert_eq!(log.all(0).len(), 4);
    }

    #[test]
    fn append_times_step_back_but_not_in_a_calm_world() {
        let mut log = Log::new(&Generation::new(1, "t", 1, counting::FOLD_VERSION), 0);
        let append = numbers_record(&Environment::new("p", "dev").unwrap(), 1, &Rejections::default(), 0);
        let mut chance = Chance::new(1);
        for _ in 0..200 {
            log.append(&append, 5_000_000, &mut chance);
        }
        let back = log.all(0).iter().skip(1).filter(|logged| logged.append_ms < 5_000_000).count();
        assert_eq!(u64::try_from(back).unwrap(), chance.tally.of(Fault::AppendTimeBack));
        assert!(back > 0);
        chance.be_calm();
        for _ in 0..200 {
            log.append(&append, 6_000_000, &mut chance);
        }
        assert!(log.all(0).iter().skip(201).all(|logged| logged.append_ms == 6_000_000));
        assert_eq!(log.newest_ms(), 6_000_000);
    }
}
