//! The mistakes that the simulation must notice: each breaks one rule of the design.
//!
//! Always true here: a mutant is a name and a switch in the part that it breaks; nothing else of the run changes. What
//! the dice show too seldom is shown by a script, a small world without dice.

use counting::Break;
use counting::worker::Settings;

use crate::noticed::Noticed;
use crate::small::Plot;
use crate::stores::StoreBreak;
use crate::traffic::IngestBreak;

switches! {
    /// What the driver of the workers, which stands for the processor, does wrong.
    DriverBreak {
        /// A snapshot is made from what the worker has in memory.
        SnapshotFromMemory,
        /// A snapshot of what is saved is named by what is folded.
        SnapshotNamedAhead,
        /// The log lets go what is saved, whether a snapshot has it or not.
        RetentionPastSnapshot,
        /// The log lets go what a snapshot has that is begun, whole or not.
        RetentionTrustsBegun,
        /// The generation's row in the store is not compared with the process's own.
        RowUnchecked,
        /// A worker that begins reads the checkpoint before the state.
        CheckpointFirst,
        /// A worker that begins does not ask a second time what the log holds.
        LogAskedOnce,
        /// A dead letter waits until nothing else is to be done.
        LettersLast,
    }
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
    /// What must notice it: the check that is there for it.
    pub expects: Noticed,
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

use Noticed::{Audit, Checkpoint, Definitions, Guard, Home, Judged, Letter, Number, Order, Published};
use Place::{Driver, Ingest, Store, Worker};

const fn mutant(expects: Noticed, name: &'static str, places: &'static [Place]) -> Mutant {
    Mutant { name, places, expects, script: None }
}

/// One that the dice show once in tens of thousands of seeds.
const fn scripted(script: Plot, expects: Noticed, name: &'static str, places: &'static [Place]) -> Mutant {
    Mutant { name, places, expects, script: Some(script) }
}

/// All of them.
#[rustfmt::skip]
pub const ALL: &[Mutant] = &[
    mutant(Number, "checkpoint before flush", &[Worker(Break::CheckpointBeforeCells)]),
    mutant(Number, "checkpoint without an h per cell", &[Worker(Break::IgnoreH)]),
    mutant(Order, "checkpoint without its condition", &[Store(StoreBreak::CheckpointUnconditional)]),
    mutant(Number, "adopt a value without its h", &[Worker(Break::AdoptWithoutH)]),
    mutant(Order, "unconditional put", &[Store(StoreBreak::Unconditional)]),
    mutant(Number, "ADD instead of put", &[Worker(Break::AddInsteadOfPut), Store(StoreBreak::Add)]),
    mutant(Number, "eventually consistent restore", &[Store(StoreBreak::EventuallyConsistentRestore)]),
    mutant(Number, "unacknowledged write trusted", &[Worker(Break::TrustUnacknowledged)]),
    mutant(Number, "re-flush only before the checkpoint passes h", &[Worker(Break::ReflushBelowCheckpointOnly)]),
    mutant(Number, "dedupe set not in the state", &[Worker(Break::DedupeNotInState)]),
    mutant(Number, "dedupe against the last counted copy", &[Worker(Break::DedupeAgainstCounted)]),
    mutant(Number, "dedupe set evicted under memory pressure", &[Worker(Break::DedupeEvicted)]),
    mutant(Number, "dedupe without the part number", &[Worker(Break::DedupeWithoutPart)]),
    mutant(Number, "dedupe without the environment", &[Worker(Break::IdWithoutEnvironment)]),
    mutant(Number, "dedupe without the kind of id", &[Worker(Break::IdWithoutKind)]),
    mutant(Number, "flush in mid-record", &[Worker(Break::FlushMidRecord)]),
    mutant(Number, "start at latest", &[Worker(Break::StartAtLatest)]),
    mutant(Audit, "re-send to another partition", &[Ingest(IngestBreak::ResendToAnotherPartition)]),
    mutant(Audit, "split after lateness", &[Ingest(IngestBreak::SplitAfterLateness)]),
    mutant(Audit, "usage and subject part as two records", &[Ingest(IngestBreak::HomeAndSubjectsApart)]),
    mutant(Number, "topic made again without a new generation", &[Worker(Break::NoFingerprint)]),
    mutant(Number, "checkpoint beyond the log's end believed", &[Worker(Break::BeyondEndUnchecked)]),
    mutant(Guard, "state durable before the cells", &[Worker(Break::StateBeforeCheckpoint)]),
    mutant(Number, "state durable before the cells, and believed",
        &[Worker(Break::StateBeforeCheckpoint), Worker(Break::StateAheadUnchecked)]),
    mutant(Guard, "snapshot from memory", &[Driver(DriverBreak::SnapshotFromMemory)]),
    mutant(Number, "snapshot from memory, and believed",
        &[Driver(DriverBreak::SnapshotFromMemory), Worker(Break::StateAheadUnchecked)]),
    mutant(Number, "snapshot named by the wrong offset", &[Driver(DriverBreak::SnapshotNamedAhead)]),
    mutant(Number, "begin without state N records back", &[Worker(Break::BeginWithoutState)]),
    mutant(Guard, "retention past the last snapshot", &[Driver(DriverBreak::RetentionPastSnapshot)]),
    mutant(Guard, "retention up to a snapshot that is not whole", &[Driver(DriverBreak::RetentionTrustsBegun)]),
    mutant(Guard, "overrun unchecked", &[Worker(Break::OverrunUnchecked)]),
    mutant(Number, "state expired by the wall clock", &[Worker(Break::ExpireByWallClock)]),
    mutant(Number, "definition from configuration", &[Worker(Break::DefinitionFromConfiguration)]),
    mutant(Number, "definition version by order of arrival", &[Worker(Break::DefinitionByArrival)]),
    mutant(Number, "old contribution under a newer definition", &[Worker(Break::OldUnderNewer)]),
    mutant(Number, "only t0 kept", &[Worker(Break::OnlyEarliestKept)]),
    mutant(Number, "no lateness horizon in the fold", &[Worker(Break::NoHorizon)]),
    mutant(Number, "lateness horizon off by one", &[Worker(Break::HorizonOffByOne)]),
    scripted(Plot::Expiry, Number, "expiry of a subject off by one", &[Worker(Break::ExpiryOffByOne)]),
    mutant(Number, "late difference on its own day only", &[Worker(Break::LateOnOwnDay)]),
    mutant(Number, "other row by hash order", &[Worker(Break::OtherByHash)]),
    mutant(Judged, "everything judged late", &[Ingest(IngestBreak::JudgeAllLate)]),
    mutant(Judged, "nothing judged late", &[Ingest(IngestBreak::NeverLate)]),
    mutant(Home, "home chosen by payload", &[Ingest(IngestBreak::HomePerPayload)]),
    mutant(Audit, "accepted too high in later parts", &[Ingest(IngestBreak::AcceptedTooHigh)]),
    mutant(Definitions, "versions published in falling order", &[Ingest(IngestBreak::PublishFallingOrder)]),
    mutant(Published, "published again without looking", &[Ingest(IngestBreak::PublishAgainWithoutLooking)]),
    mutant(Audit, "exposure acts for every kind everywhere", &[Ingest(IngestBreak::ActsForEveryKind)]),
    mutant(Number, "flag limit outside the state", &[Worker(Break::NamesNotInState)]),
    mutant(Number, "bulk read counted as use", &[Worker(Break::BulkAsUse)]),
    mutant(Number, "share of a bulk read off by one", &[Worker(Break::BulkShareOffByOne)]),
    mutant(Number, "spread of a bulk read off by one", &[Worker(Break::BulkSpreadOffByOne)]),
    mutant(Number, "flags of a bulk read off by one", &[Worker(Break::BulkKnownOffByOne)]),
    mutant(Number, "sight counted", &[Worker(Break::SightAsCount)]),
    mutant(Number, "new alone told as both", &[Worker(Break::NewOnlyAsBoth)]),
    mutant(Number, "old path's duplicates left out", &[Worker(Break::DuplicateOfOldPathLeftOut)]),
    mutant(Number, "old path's late rows left out", &[Worker(Break::LateOfOldPathLeftOut)]),
    mutant(Number, "outcomes added twice", &[Worker(Break::OutcomesTwice)]),
    mutant(Number, "gated told as not gated", &[Worker(Break::GatedNotTold)]),
    mutant(Number, "operations of migrations unsampled", &[Worker(Break::OperationsUnsampled)]),
    mutant(Number, "client-side flags outside the state", &[Worker(Break::ClientSideNotInState)]),
    mutant(Checkpoint, "log time outside the state", &[Worker(Break::LogTimeNotInState)]),
    mutant(Guard, "state saved as it is when its turn comes", &[Worker(Break::StateAsItIs)]),
    mutant(Number, "begin at the checkpoint, not the state", &[Worker(Break::BeginAtCheckpoint)]),
    mutant(Number, "poison forgotten", &[Worker(Break::PoisonForgotten)]),
    mutant(Number, "generation row in the store unchecked", &[Driver(DriverBreak::RowUnchecked)]),
    mutant(Guard, "generation record in the log unchecked", &[Worker(Break::LogRowUnchecked)]),
    mutant(Guard, "checkpoint read before the state", &[Driver(DriverBreak::CheckpointFirst)]),
    mutant(Guard, "log asked once at the beginning", &[Driver(DriverBreak::LogAskedOnce)]),
    mutant(Letter, "dead letter after the flush", &[Driver(DriverBreak::LettersLast)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;

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

    /// The table of the page is this list, with what must notice each.
    #[test]
    fn the_page_lists_every_mutant() {
        let page = include_str!("../../docs/exactness.md");
        for mutant in ALL {
            let row = format!("| {} | {} |", mutant.name, mutant.expects.name());
            assert!(page.contains(&row), "docs/exactness.md has no row {row:?}");
        }
        for told in [format!("{} of them", ALL.len()), format!("{} kinds of fault", Fault::ALL.len())] {
            assert!(page.contains(&told), "docs/exactness.md does not say {told:?}");
        }
    }
}
