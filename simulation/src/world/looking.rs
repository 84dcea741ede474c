//! The look at the stores: whatever they took is held against the oracle, while the world runs.
//!
//! Always true here: each stored pair of value and h is the oracle's at h, on every replica; neither h nor a checkpoint
//! falls; at each checkpoint every reader finds every cell, folded at least that far.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use schemas::cell::CellKey;
use schemas::generation::Generation;
use schemas::stored::{Checkpoint, StoredCell};

use super::World;
use crate::faults::{Fault, Tally};
use crate::fingerprint::fingerprint;
use crate::log::Log;
use crate::oracle::{Oracle, complete};
use crate::stores::{News, View};

/// By cell, the pairs of h and value that were found right.
type Verified = HashMap<CellKey, Vec<(u64, Bytes)>>;

/// The oracles of one topic, and what was found right before.
#[derive(Debug)]
pub(super) struct Looker {
    pub(super) generation: u32,
    pub(super) oracles: Vec<Oracle>,
    verified: Verified,
    /// Of each record, by partition.
    fingerprints: Vec<Vec<u32>>,
    /// Offsets of dead letters, by partition.
    pub(super) dead_letters: Vec<BTreeSet<u64>>,
    /// The topic as it was, where it was made again under this generation's name: whoever begins must notice.
    pub(super) old: Option<Log>,
    /// A partition whose records below an offset are lost, with every state that was made of them.
    pub(super) cut: Option<(u32, u64)>,
}

impl Looker {
    pub(super) fn new(generation: &Generation) -> Self {
        Self {
            generation: generation.number,
            oracles: (0..generation.partitions).map(|partition| Oracle::new(generation, partition)).collect(),
            verified: HashMap::new(),
            fingerprints: (0..generation.partitions).map(|_| Vec::new()).collect(),
            dead_letters: (0..generation.partitions).map(|_| BTreeSet::new()).collect(),
            old: None,
            cut: None,
        }
    }

    /// Whether nobody can tell the topic from the old one, who looks at the record before a checkpoint at this
    /// position: it is the same one in both, byte by byte.
    pub(super) fn is_like_the_old(&self, log: &Log, partition: u32, position: u64) -> bool {
        let place = position.checked_sub(1).and_then(|before| usize::try_from(before).ok());
        let at = |log: &Log| {
            let logged = log.all(partition).get(place?)?;
            Some((logged.header.clone(), logged.body.clone()))
        };
        self.old.as_ref().is_some_and(|old| at(old).is_some() && at(old) == at(log))
    }

    /// Whether this partition cannot be folded any more.
    pub(super) fn lacks_records(&self, partition: u32) -> bool {
        self.cut.is_some_and(|(cut, _)| cut == partition)
    }

    fn read(&mut self, log: &Log, tally: &mut Tally) {
        for (partition, oracle) in (0..).zip(&mut self.oracles) {
            let before = oracle.reads();
            let from = usize::try_from(oracle.position()).unwrap_or(usize::MAX);
            for logged in log.all(partition).get(from..).unwrap_or_default() {
                oracle.push(logged);
                self.fingerprints[partition as usize].push(fingerprint(logged));
            }
            let reads = oracle.reads();
            (before.bulk..reads.bulk).for_each(|_| tally.add(Fault::BulkRead));
            let nearly = (before.too_few + before.unequal)..(reads.too_few + reads.unequal);
            nearly.for_each(|_| tally.add(Fault::NearlyBulkRead));
        }
    }

    fn news(&mut self, news: &News) -> Result<(), String> {
        match news {
            News::Cell { key, cell, before } if key.generation == self.generation => {
                if before.is_some_and(|before| before > cell.h) {
                    return Err(format!("{key:?}: h fell from {} to {}", before.unwrap_or(0), cell.h));
                }
                self.cell(key, cell)
            }
            News::Checkpoint { generation, partition, checkpoint, before } if *generation == self.generation => {
                let position = checkpoint.position;
                if before.is_some_and(|before| before > position) {
                    return Err(format!("checkpoint of partition {partition} fell from {before:?} to {position}"));
                }
                let expected = self.checkpoint(*partition, position);
                if expected != Some(*checkpoint) {
                    return Err(format!(
                        "checkpoint of partition {partition} is {checkpoint:?}, expected {expected:?}"
                    ));
                }
                complete(&self.oracles, *partition as usize, position, checkpoint.definition_version)
            }
            News::Cell { .. } | News::Checkpoint { .. } => Ok(()),
        }
    }

    /// The checkpoint at a position, as the log says; `None` = the log ends before it.
    pub(super) fn checkpoint(&self, partition: u32, position: u64) -> Option<Checkpoint> {
        let oracle = &self.oracles[partition as usize];
        let before = position.checked_sub(1).and_then(|before| usize::try_from(before).ok());
        let fingerprint =
            before.map_or(Some(0), |before| self.fingerprints[partition as usize].get(before).copied())?;
        Some(Checkpoint {
            position,
            definition_version: oracle.definition_version(position),
            fingerprint,
            log_time_ms: oracle.log_time_ms(position),
        })
    }

    /// Every cell of a partition that this reader gets is folded at least to the highest checkpoint that any reader
    /// gets.
    fn view(&mut self, view: &View<'_>, partition: u32, checkpoint: u64) -> Result<(), String> {
        let Self { oracles, verified, .. } = self;
        let oracle = &oracles[partition as usize];
        for key in oracle.keys(checkpoint) {
            match view.cell(key) {
                Some(cell) => check(oracle, verified, key, cell, checkpoint)?,
                None => return Err(format!("{key:?} is missing under checkpoint {checkpoint}")),
            }
        }
        Ok(())
    }

    /// What was offered or read is the oracle's at its h.
    fn cell(&mut self, key: &CellKey, cell: &StoredCell) -> Result<(), String> {
        let Self { oracles, verified, .. } = self;
        check(&oracles[key.partition as usize], verified, key, cell, 0)
    }
}

/// Holds a stored cell against the oracle, unless the same bytes were found right before and nothing has changed since.
fn check(
    oracle: &Oracle,
    verified: &mut Verified,
    key: &CellKey,
    cell: &StoredCell,
    checkpoint: u64,
) -> Result<(), String> {
    let known = verified.get(key).and_then(|by_h| by_h.iter().find(|(h, _)| *h == cell.h));
    let unchanged = || {
        let (at_h, at_checkpoint) = (oracle.at(key, cell.h + 1), oracle.at(key, checkpoint));
        at_h.map(std::ptr::from_ref) == at_checkpoint.map(std::ptr::from_ref)
    };
    if known.is_some_and(|(_, value)| *value == cell.value) && (checkpoint <= cell.h + 1 || unchanged()) {
        return Ok(());
    }
    oracle.check(key, cell, checkpoint)?;
    if known.is_none() {
        verified.entry(key.clone()).or_default().push((cell.h, cell.value.clone()));
    }
    Ok(())
}

impl World {
    /// Holds what the stores took since the last time against the oracle.
    pub(super) fn look(&mut self) -> Result<(), String> {
        self.looker.read(&self.site.log, &mut self.chance.tally);
        for (partition, letter) in self.site.letters.drain(..) {
            let (offset, logged) = (letter.offset, self.site.log.all(partition));
            let logged = usize::try_from(offset).ok().and_then(|place| logged.get(place));
            if logged.is_none_or(|logged| (&logged.header, &logged.body) != (&letter.header, &letter.body)) {
                return Err(format!(
                    "the dead letter of {offset} in partition {partition} has not that record's bytes"
                ));
            }
            self.looker.dead_letters[partition as usize].insert(offset);
        }
        let news = self.site.stores.news();
        for piece in &news {
            self.looker.news(piece)?;
        }
        for piece in &news {
            if let News::Checkpoint { partition, generation, .. } = piece
                && *generation == self.looker.generation
            {
                self.look_through_every_view(*partition)?;
            }
        }
        Ok(())
    }

    pub(super) fn look_through_every_view(&mut self, partition: u32) -> Result<(), String> {
        let (looker, stores) = (&mut self.looker, &self.site.stores);
        let mut checkpoint = 0;
        stores.every_view(|view| {
            let position = view.checkpoint(looker.generation, partition).map_or(0, |checkpoint| checkpoint.position);
            checkpoint = checkpoint.max(position);
        });
        let mut found = Ok(());
        stores.every_view(|view| {
            if found.is_ok() {
                found = looker.view(view, partition, checkpoint);
            }
        });
        found
    }

    /// A reader that does not ask for consistency sees an older value, but never a wrong one.
    pub(super) fn stale_reader(&mut self) -> Result<(), String> {
        // The store still has the cells of the topic before, and nobody has noticed yet.
        if self.looker.old.is_some() {
            return Ok(());
        }
        let partition = self.chance.below(self.looker.oracles.len());
        let keys: Vec<CellKey> = self.looker.oracles[partition].keys(u64::MAX).cloned().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let key = self.chance.pick(&keys);
        match self.site.stores.read_stale(&key, &mut self.chance) {
            Some(cell) => self.looker.cell(&key, &cell),
            None => Ok(()),
        }
    }

    /// At the end: the checkpoint stands at the log's end.
    pub(super) fn checkpoint_at_end(&self, partition: u32, found: Option<&Checkpoint>) -> Result<(), String> {
        let expected = self.looker.checkpoint(partition, self.looker.oracles[partition as usize].position());
        if found == expected.as_ref() {
            return Ok(());
        }
        Err(format!("the checkpoint of partition {partition} ends at {found:?}, not at {expected:?}"))
    }
}
