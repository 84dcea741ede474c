//! What can go wrong, and how often it did.
//!
//! Always true here: the list is written once, with the name that people read, and how many times in a thousand seeds
//! it must at least have happened, about half of what it does (a run with fewer proves less than it says, and fails).
//! What takes a seed out of the judgement has a most instead: a run with more of it says less than it seems to, and
//! fails.

macro_rules! faults {
    ($($name:ident, $least:literal, $text:literal $(, at most $most:literal)?;)+) => {
        /// Something that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $(#[doc = $text] $name,)+ }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What it is, in words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// How often it must happen in a thousand seeds of the two store models together, at least.
            #[must_use]
            pub fn least(self) -> u64 {
                match self { $(Self::$name => $least,)+ }
            }

            /// How often it may happen in a million seeds of the two store models together; `None` = as often as it
            /// likes.
            #[must_use]
            pub fn most(self) -> Option<u64> {
                match self { $(Self::$name => None $(.or(Some($most)))?,)+ }
            }
        }
    };
}

faults! {
    RequestLost, 710, "request lost";
    RequestDelayed, 310, "request arrives after its own retry";
    AnswerLost, 570, "answer lost";
    ProducerDuplicate, 1700, "producer appends a record twice";
    AppendFailed, 2400, "append of a part fails";
    AppendUnknown, 2200, "append done, its answer lost";
    PartLeftOut, 1500, "one part of several in the log, another not";
    AppendTimeBack, 1200, "append time steps back";
    Crash, 1500, "crash at an action";
    CrashBeginning, 1100, "crash while a worker begins";
    CrashUnheard, 1300, "crash before an answer is heard";
    CrashMidWrite, 60, "crash with a write half applied";
    RebalanceClean, 1600, "partition moves after a clean exit";
    RebalanceZombie, 2400, "partition moves, the old owner goes on";
    LastFlush, 430, "partition moves after its last flush";
    LastFlushCutOff, 45, "partition moves before its last flush is done";
    MovedBeginning, 900, "partition moves while a worker begins";
    WriteWhileBeginning, 780, "another writes while a worker begins";
    WriteUnheard, 7400, "another writes before an answer is heard";
    LookedAgain, 2, "log cut while a worker begins, state looked for again";
    ZombieWakes, 115, "paused process wakes";
    WriteLost, 570, "write lost";
    WriteUnanswered, 540, "write applied but timed out";
    PartialQuorum, 540, "write on fewer replicas than a quorum";
    ReplicaMissed, 1000, "write misses one replica";
    StaleRead, 270, "reader sees an older value";
    CellsEvicted, 12000, "cells evicted and loaded again";
    LoadFailed, 800, "load of cells fails";
    StateLost, 110, "local state lost";
    StateOld, 54, "local state set back";
    SaveLost, 105, "state not saved";
    SaveUnanswered, 310, "state saved, its answer lost";
    SnapshotTaken, 2600, "snapshot taken";
    SnapshotFailed, 200, "snapshot never whole";
    SnapshotLate, 400, "snapshot comes late";
    SnapshotUsed, 730, "began from a snapshot";
    Retention, 750, "retention at its limit";
    IdleWeeks, 480, "idle for weeks";
    StepPanics, 380, "record on which a step panics";
    DefinitionHalf, 360, "definition in some partitions only";
    DefinitionsAtOnce, 920, "two definitions at once";
    OtherSettings, 1800, "node on other settings";
    SecondProcess, 25, "second process at a store for one stops";
    OtherLog, 13, "topic made again and longer than what was counted";
    TopicAgain, 29, "topic made again";
    TopicUntold, 0, "topic made again that nobody can tell from the one before", at most 40;
    Overrun, 42, "snapshots and disks gone, and the log cut";
    PartitionsChanged, 360, "partition count changed";
    BulkRead, 320, "read of all flags at once";
    NearlyBulkRead, 310, "read of many flags that is no bulk read";
}

/// How often each fault happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally([u64; Fault::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Tally {
    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.0.iter_mut().zip(&other.0) {
            *ours += theirs;
        }
    }
}
