//! Switches that break one rule on purpose, so that tests can show that breaking it is noticed.
//!
//! Always true here: without the feature `testing` nothing can be switched.

#[cfg(any(test, feature = "testing"))]
use std::hash::{DefaultHasher, Hash, Hasher};
#[cfg(any(test, feature = "testing"))]
use std::sync::{Arc, Mutex, atomic::AtomicI64};

use schemas::cell::CellKind;
use schemas::log::Logged;
#[cfg(any(test, feature = "testing"))]
use schemas::wire::record::Definition;

/// The switches, and the list of them all: written once, so that no rule is left out of the tests that walk it.
macro_rules! switches {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A rule of the fold or the worker that can be broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(any(test, feature = "testing")), allow(unreachable_pub, dead_code))]
        pub enum Break {
            $($(#[$doc])+ $name,)+
        }

        #[cfg(any(test, feature = "testing"))]
        impl Break {
            /// Every rule that can be broken.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

switches! {
    /// Remembered ids are not saved.
    DedupeNotInState,
    /// Only copies that were counted renew the memory.
    DedupeAgainstCounted,
    /// Parts of a payload have one id.
    DedupeWithoutPart,
    /// Payloads of two environments have one id, where their own ids are equal.
    IdWithoutEnvironment,
    /// A payload and a diagnostic one have one id, where their own ids are equal.
    IdWithoutKind,
    /// The flags and events seen are not saved.
    NamesNotInState,
    /// Which of the flags seen are client-side is not saved.
    ClientSideNotInState,
    /// A bulk read counts as use.
    BulkAsUse,
    /// A read of exactly the share of flags that makes a bulk read is none.
    BulkShareOffByOne,
    /// A read whose greatest count is exactly as many times the least as it may be is no bulk read.
    BulkSpreadOffByOne,
    /// With exactly as many known flags as a bulk read needs there is none.
    BulkKnownOffByOne,
    /// A sight is a counter like any other.
    SightAsCount,
    /// What the new path alone counted is told as written by both.
    NewOnlyAsBoth,
    /// What the old path writes again with a dropped copy is not numbered.
    DuplicateOfOldPathLeftOut,
    /// What comes too late for the new path alone is not numbered.
    LateOfOldPathLeftOut,
    /// A record of outcomes that comes again is added again.
    OutcomesTwice,
    /// What was counted while a gate chose the path is told as what was counted without.
    GatedNotTold,
    /// A sampled operation of a migration counts as one.
    OperationsUnsampled,
    /// The running log time is not saved.
    LogTimeNotInState,
    /// The checkpoint is written first, then the cells.
    CheckpointBeforeCells,
    /// The state is saved first, then cells and checkpoint.
    StateBeforeCheckpoint,
    /// The state is saved as it is when its turn comes, not as it was at the checkpoint's position.
    StateAsItIs,
    /// A refused write adopts the store's value, but not its h.
    AdoptWithoutH,
    /// A record is applied to a cell that has it already.
    IgnoreH,
    /// A flush takes place in the middle of a record.
    FlushMidRecord,
    /// Reading begins at the checkpoint's position instead of the state's.
    BeginAtCheckpoint,
    /// A poisoned record is not remembered.
    PoisonForgotten,
    /// After each flush the memory of ids gives up its older half.
    DedupeEvicted,
    /// Without a saved state and a checkpoint, reading begins at the log's end.
    StartAtLatest,
    /// Without a saved state, reading begins N records before the checkpoint with the empty state.
    BeginWithoutState,
    /// The record before the checkpoint is not compared with the fingerprint that the checkpoint has of it.
    NoFingerprint,
    /// A checkpoint or a state beyond the log's end is believed.
    BeyondEndUnchecked,
    /// Where the last write wins, a loaded cell counts as dirty only once the checkpoint is going to pass its h.
    ReflushBelowCheckpointOnly,
    /// Where the last write wins, whatever was loaded is taken for durable.
    TrustUnacknowledged,
    /// Of books and custom events a flush writes what came since the last one, for a store that adds.
    AddInsteadOfPut,
    /// The first rows of a cell are those that a hash of this process puts first.
    OtherByHash,
    /// Subjects expire by the clock on the wall.
    ExpireByWallClock,
    /// What is in force is what the configuration has now, not what the log has said.
    DefinitionFromConfiguration,
    /// The version folded last is in force, not the highest.
    DefinitionByArrival,
    /// What a subject told before is worked out under the definition that is in force now.
    OldUnderNewer,
    /// Of a subject's exposures the earliest is kept, and no other variation.
    OnlyEarliestKept,
    /// A row takes part in experiments however late it is.
    NoHorizon,
    /// A row at the very horizon takes part in experiments.
    HorizonOffByOne,
    /// A subject is there still at the very log time at which it expires.
    ExpiryOffByOne,
    /// What a row changes of other days than its own is left out.
    LateOnOwnDay,
    /// The generation in the log is not compared with the process's own.
    LogRowUnchecked,
    /// Reading begins where the log holds nothing any more.
    OverrunUnchecked,
    /// A state that stands above the checkpoint is believed.
    StateAheadUnchecked,
}

#[cfg(any(test, feature = "testing"))]
impl Break {
    /// Those that show only where logs are made again, ids and times meet by chance, definitions arrive out of order,
    /// stores forget or add, or processes differ in their settings: the simulation has that, the tests of this package
    /// have not.
    pub const SIMULATED: &'static [Self] = &[
        Self::IdWithoutEnvironment,
        Self::IdWithoutKind,
        Self::NoFingerprint,
        Self::BeyondEndUnchecked,
        Self::ReflushBelowCheckpointOnly,
        Self::TrustUnacknowledged,
        Self::AddInsteadOfPut,
        Self::BulkShareOffByOne,
        Self::BulkSpreadOffByOne,
        Self::BulkKnownOffByOne,
        Self::DefinitionByArrival,
        Self::HorizonOffByOne,
        Self::ExpiryOffByOne,
        Self::LogRowUnchecked,
        Self::OverrunUnchecked,
        Self::StateAheadUnchecked,
    ];
}

/// Where a record can make the fold panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "testing")), allow(unreachable_pub, dead_code))]
pub enum PanicIn {
    /// Where header and body are read.
    Reading,
    /// Where its id is made.
    Id,
    /// Where its rows are walked: to ask for cells, and again to fold.
    Rows,
    /// Where its rows are walked to ask for cells, and not again.
    Needs,
    /// Where its rows are walked as those of a duplicate.
    Duplicate,
}

/// Which rules are broken, if any, and on which records the fold panics.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug, Clone, Default)]
pub(crate) struct Breakage {
    pub(crate) which: Option<Break>,
    /// A second one, without which the first is noticed before it does any harm.
    pub(crate) also: Option<Break>,
    pub(crate) panics: Vec<(PanicIn, u64)>,
    pub(crate) panics_on: Option<fn(&Logged) -> bool>,
    pub(crate) wall_ms: Arc<AtomicI64>,
    pub(crate) configured: Arc<Mutex<Vec<Definition>>>,
    pub(crate) process_seed: u64,
}

impl Breakage {
    /// Whether cells of this kind are written as differences.
    pub(crate) fn adds(&self, kind: CellKind) -> bool {
        matches!(kind, CellKind::Books | CellKind::Events) && self.is(Break::AddInsteadOfPut)
    }
}

/// No rule is broken in this build.
#[cfg(not(any(test, feature = "testing")))]
#[derive(Debug, Clone, Default)]
pub(crate) struct Breakage {}

#[cfg(any(test, feature = "testing"))]
impl Breakage {
    /// Whether this rule is broken.
    pub(crate) fn is(&self, rule: Break) -> bool {
        self.which == Some(rule) || self.also == Some(rule)
    }

    /// Panics when a test wants it to.
    pub(crate) fn panic_in(&self, place: PanicIn, logged: &Logged) {
        let offset = logged.offset;
        let wanted = self.panics.contains(&(place, offset))
            || place == PanicIn::Rows && self.panics_on.is_some_and(|panics| panics(logged));
        assert!(!wanted, "a test wants the record at offset {offset} to panic");
    }

    /// Adds records on which the fold panics.
    pub(crate) fn panicking(&mut self, place: PanicIn, offsets: &[u64]) {
        self.panics.extend(offsets.iter().map(|offset| (place, *offset)));
    }

    /// Puts a record's changes in an order that this process's seed decides.
    pub(crate) fn in_hash_order<T>(&self, offset: u64, changes: &mut [T]) {
        for last in (1..changes.len()).rev() {
            let mut hasher = DefaultHasher::new();
            (self.process_seed, offset, last).hash(&mut hasher);
            changes.swap(last, (hasher.finish() % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(not(any(test, feature = "testing")))]
#[allow(clippy::unused_self)]
impl Breakage {
    /// Whether this rule is broken: never in this build.
    pub(crate) fn is(&self, _rule: Break) -> bool {
        false
    }

    /// Panics when a test wants it to: never in this build.
    pub(crate) fn panic_in(&self, _place: PanicIn, _logged: &Logged) {}

    /// Puts a record's changes in another order: never in this build.
    pub(crate) fn in_hash_order<T>(&self, _offset: u64, _changes: &mut [T]) {}
}
