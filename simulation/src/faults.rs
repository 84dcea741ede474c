//! What can go wrong, and how often it did.
//!
//! Always true here: the list is written once, with the name that people read, and how many times in a thousand seeds it
//! must at least have happened (a run with fewer proves less than it says, and fails).

macro_rules! faults {
    ($($name:ident, $least:literal, $text:literal;)+) => {
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
        }
    };
}

faults! {
    RequestLost, 10, "request lost";
    RequestDelayed, 10, "request arrives after its own retry";
    AnswerLost, 10, "answer lost";
    ProducerDuplicate, 10, "producer appends a record twice";
    AppendFailed, 10, "append of a part fails";
    AppendUnknown, 10, "append done, its answer lost";
    PartLeftOut, 10, "one part of several in the log, another not";
    AppendTimeBack, 10, "append time steps back";
    Crash, 10, "crash at an action";
    CrashMidWrite, 10, "crash with a write half applied";
    RebalanceClean, 10, "partition moves after a clean exit";
    RebalanceZombie, 10, "partition moves, the old owner goes on";
    ZombieWakes, 10, "paused process wakes";
    WriteLost, 10, "write lost";
    WriteUnanswered, 10, "write applied but timed out";
    PartialQuorum, 10, "write on fewer replicas than a quorum";
    ReplicaMissed, 10, "write misses one replica";
    StaleRead, 10, "reader sees an older value";
    CellsEvicted, 10, "cells evicted and loaded again";
    LoadFailed, 10, "load of cells fails";
    StateLost, 10, "local state lost";
    StateOld, 10, "local state set back";
    SaveUnanswered, 10, "state saved, its answer lost";
    SnapshotTaken, 10, "snapshot taken";
    SnapshotUsed, 10, "began from a snapshot";
    Retention, 10, "retention at its limit";
    IdleWeeks, 10, "idle for weeks";
    StepPanics, 10, "record on which a step panics";
    DefinitionHalf, 10, "definition in some partitions only";
    DefinitionsAtOnce, 10, "two definitions at once";
    OtherSettings, 10, "node on other settings";
    SecondProcess, 10, "second process at a store for one stops";
    OtherLog, 1, "topic made again and longer than what was counted";
    TopicAgain, 5, "topic made again";
    PartitionsChanged, 5, "partition count changed";
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
