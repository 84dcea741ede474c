//! The mistakes that the simulation must notice: each breaks one rule of the design.
//!
//! Always true here: a mutant is a name and a switch in the part that it breaks; nothing else of the run changes. What the
//! dice show too seldom is shown by a script, a small world without dice.

use counting::Break;
use counting::worker::Settings;

use crate::small::Plot;
use crate::stores::StoreBreak;
use crate::traffic::IngestBreak;

/// What the driver of the workers, which stands for the processor, does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverBreak {
    /// A snapshot is made from what the worker has in memory.
    SnapshotFromMemory,
    /// A snapshot of what is saved is named by what is folded.
    SnapshotNamedAhead,
    /// The log lets go what is saved, whether a snapshot has it or not.
    RetentionPastSnapshot,
    /// The generation's row in the store is not compared with the process's own.
    RowUnchecked,
    /// A dead letter waits until nothing else is to be done.
    LettersLast,
}

impl DriverBreak {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::SnapshotFromMemory,
        Self::SnapshotNamedAhead,
        Self::RetentionPastSnapshot,
        Self::RowUnchecked,
        Self::LettersLast,
    ];
}

/// Where the mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the fold or the worker.
    Worker(Break),
    /// In the store protocol.
    Store(StoreBreak),
    /// Before the log.
    Ingest(IngestBreak),
    /// Around the worker.
    Driver(DriverBreak),
}

/// A deliberate mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutant {
    /// What people call it.
    pub name: &'static str,
    /// Where it is.
    pub places: &'static [Place],
    /// The script that shows it for certain, where the dice seldom do.
    pub script: Option<Plot>,
}

impl Mutant {
    /// The worker's broken rules: two, where another would stop what the one does before it shows.
    pub fn worker(&self) -> impl Iterator<Item = Break> {
        self.places.iter().filter_map(|place| if let Place::Worker(rule) = place { Some(*rule) } else { None })
    }

    /// The settings of a worker that makes this mistake.
    #[must_use]
    pub fn breaking(&self, settings: Settings) -> Settings {
        self.worker().fold(settings, Settings::breaking)
    }

    /// The store's broken rule, if that is it.
    #[must_use]
    pub fn store(&self) -> Option<StoreBreak> {
        self.places.iter().find_map(|place| if let Place::Store(rule) = place { Some(*rule) } else { None })
    }

    /// The broken rule before the log, if that is it.
    #[must_use]
    pub fn ingest(&self) -> Option<IngestBreak> {
        self.places.iter().find_map(|place| if let Place::Ingest(rule) = place { Some(*rule) } else { None })
    }

    /// The driver's broken rule, if that is it.
    #[must_use]
    pub fn driver(&self) -> Option<DriverBreak> {
        self.places.iter().find_map(|place| if let Place::Driver(rule) = place { Some(*rule) } else { None })
    }

    /// The mutant of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|mutant| mutant.name == name)
    }
}

use Place::{Driver, Ingest, Store, Worker};

const fn mutant(name: &'static str, places: &'static [Place]) -> Mutant {
    Mutant { name, places, script: None }
}

/// One that the dice show once in tens of thousands of seeds.
const fn scripted(script: Plot, name: &'static str, places: &'static [Place]) -> Mutant {
    Mutant { name, places, script: Some(script) }
}

/// All of them.
#[rustfmt::skip]
pub const ALL: &[Mutant] = &[
    mutant("checkpoint before flush", &[Worker(Break::CheckpointBeforeCells)]),
    mutant("checkpoint without an h per cell", &[Worker(Break::IgnoreH)]),
    mutant("checkpoint without its condition", &[Store(StoreBreak::CheckpointUnconditional)]),
    mutant("adopt a value without its h", &[Worker(Break::AdoptWithoutH)]),
    mutant("unconditional put", &[Store(StoreBreak::Unconditional)]),
    mutant("ADD instead of put", &[Worker(Break::AddInsteadOfPut), Store(StoreBreak::Add)]),
    mutant("eventually consistent restore", &[Store(StoreBreak::EventuallyConsistentRestore)]),
    mutant("unacknowledged write trusted", &[Worker(Break::TrustUnacknowledged)]),
    mutant("re-flush only before the checkpoint passes h", &[Worker(Break::ReflushBelowCheckpointOnly)]),
    mutant("dedupe set not in the state", &[Worker(Break::DedupeNotInState)]),
    mutant("dedupe against the last counted copy", &[Worker(Break::DedupeAgainstCounted)]),
    mutant("dedupe set evicted under memory pressure", &[Worker(Break::DedupeEvicted)]),
    mutant("dedupe without the part number", &[Worker(Break::DedupeWithoutPart)]),
    mutant("dedupe without the environment", &[Worker(Break::IdWithoutEnvironment)]),
    mutant("dedupe without the kind of id", &[Worker(Break::IdWithoutKind)]),
    mutant("flush in mid-record", &[Worker(Break::FlushMidRecord)]),
    mutant("start at latest", &[Worker(Break::StartAtLatest)]),
    mutant("re-send to another partition", &[Ingest(IngestBreak::ResendToAnotherPartition)]),
    mutant("split after lateness", &[Ingest(IngestBreak::SplitAfterLateness)]),
    mutant("usage and subject part as two records", &[Ingest(IngestBreak::HomeAndSubjectsApart)]),
    mutant("topic made again without a new generation", &[Worker(Break::NoFingerprint)]),
    mutant("checkpoint beyond the log's end believed", &[Worker(Break::BeyondEndUnchecked)]),
    mutant("state durable before the cells", &[Worker(Break::StateBeforeCheckpoint)]),
    mutant("state durable before the cells, and believed", &[Worker(Break::StateBeforeCheckpoint), Worker(Break::StateAheadUnchecked)]),
    mutant("snapshot from memory", &[Driver(DriverBreak::SnapshotFromMemory)]),
    mutant("snapshot from memory, and believed", &[Driver(DriverBreak::SnapshotFromMemory), Worker(Break::StateAheadUnchecked)]),
    mutant("snapshot named by the wrong offset", &[Driver(DriverBreak::SnapshotNamedAhead)]),
    mutant("begin without state N records back", &[Worker(Break::BeginWithoutState)]),
    mutant("retention past the last snapshot", &[Driver(DriverBreak::RetentionPastSnapshot)]),
    mutant("overrun unchecked", &[Worker(Break::OverrunUnchecked)]),
    mutant("state expired by the wall clock", &[Worker(Break::ExpireByWallClock)]),
    mutant("definition from configuration", &[Worker(Break::DefinitionFromConfiguration)]),
    mutant("definition version by order of arrival", &[Worker(Break::DefinitionByArrival)]),
    mutant("old contribution under a newer definition", &[Worker(Break::OldUnderNewer)]),
    mutant("only t0 kept", &[Worker(Break::OnlyEarliestKept)]),
    mutant("no lateness horizon in the fold", &[Worker(Break::NoHorizon)]),
    mutant("lateness horizon off by one", &[Worker(Break::HorizonOffByOne)]),
    scripted(Plot::Expiry, "expiry of a subject off by one", &[Worker(Break::ExpiryOffByOne)]),
    mutant("late difference on its own day only", &[Worker(Break::LateOnOwnDay)]),
    mutant("other row by hash order", &[Worker(Break::OtherByHash)]),
    mutant("everything judged late", &[Ingest(IngestBreak::JudgeAllLate)]),
    mutant("nothing judged late", &[Ingest(IngestBreak::NeverLate)]),
    mutant("home chosen by payload", &[Ingest(IngestBreak::HomePerPayload)]),
    mutant("accepted too high in later parts", &[Ingest(IngestBreak::AcceptedTooHigh)]),
    mutant("versions published in falling order", &[Ingest(IngestBreak::PublishFallingOrder)]),
    mutant("published again without looking", &[Ingest(IngestBreak::PublishAgainWithoutLooking)]),
    mutant("exposure acts for every kind everywhere", &[Ingest(IngestBreak::ActsForEveryKind)]),
    mutant("flag limit outside the state", &[Worker(Break::NamesNotInState)]),
    mutant("bulk read counted as use", &[Worker(Break::BulkAsUse)]),
    mutant("sight counted", &[Worker(Break::SightAsCount)]),
    mutant("client-side flags outside the state", &[Worker(Break::ClientSideNotInState)]),
    mutant("log time outside the state", &[Worker(Break::LogTimeNotInState)]),
    mutant("state saved as it is when its turn comes", &[Worker(Break::StateAsItIs)]),
    mutant("begin at the checkpoint, not the state", &[Worker(Break::BeginAtCheckpoint)]),
    mutant("poison forgotten", &[Worker(Break::PoisonForgotten)]),
    mutant("generation row in the store unchecked", &[Driver(DriverBreak::RowUnchecked)]),
    mutant("generation record in the log unchecked", &[Worker(Break::LogRowUnchecked)]),
    mutant("dead letter after the flush", &[Driver(DriverBreak::LettersLast)]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A switch that no mutant throws would be a rule that nobody guards.
    #[test]
    fn every_switch_is_a_mutant() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), ALL.len(), "two mutants have one name");
        let places: Vec<Place> = ALL.iter().flat_map(|mutant| mutant.places).copied().collect();
        let switches = Break::ALL.iter().map(|rule| Worker(*rule));
        let switches = switches.chain(StoreBreak::ALL.iter().map(|rule| Store(*rule)));
        let switches = switches.chain(IngestBreak::ALL.iter().map(|rule| Ingest(*rule)));
        let switches = switches.chain(DriverBreak::ALL.iter().map(|rule| Driver(*rule)));
        let without: Vec<Place> = switches.filter(|place| !places.contains(place)).collect();
        assert!(without.is_empty(), "no mutant throws {without:?}");
    }
}
