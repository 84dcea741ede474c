//! The publishing of a definition: which record goes to which partition next.
//!
//! Always true here: no I/O, no clock. A definition goes to partition 0 first and, as far as anybody can know, once:
//! its offset there, plus 1, is its version. With that version it goes to every other partition. Before it, each gets
//! those earlier versions that are not known to be there, in rising order; so whoever has passed version v in a
//! partition has passed every version up to v. To append one to another partition twice does no harm: a fold keeps the
//! highest version that it has seen of each definition.
//!
//! Two may publish at once, and each of them may die at any point: [`Publishing::again`] finishes a half-finished one.

use crate::wire::record::Definition;

/// A definition on its way into all partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    definition: Definition,
    stage: Stage,
    lanes: Vec<Lane>,
    /// The partition whose turn it is: one that fails does not hold up the others.
    turn: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is not in partition 0.
    First,
    /// Nobody knows whether it is in partition 0.
    Unsure,
    /// It is there, but what lies before it is not known.
    AskBefore,
    /// The other partitions get it, and what they lack before it.
    Others,
}

/// What one partition is still to get, the next one last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lane(Vec<Definition>);

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// Append this to that partition; tell [`Publishing::appended`]. The append to partition 0 must be one that the
    /// producer itself never doubles.
    Append {
        /// The partition.
        partition: u32,
        /// With its version, which is 0 in partition 0.
        definition: &'a Definition,
    },
    /// Look whether partition 0 has this definition, after the producer has given up on it for good; tell
    /// [`Publishing::found`].
    Look(&'a Definition),
    /// Look up what partition 0 has below `version` and how far the other partitions are known to be; tell
    /// [`Publishing::before`].
    AskBefore {
        /// The version of what is being published.
        version: u64,
    },
    /// Every partition has it.
    Done {
        /// Its version.
        version: u64,
    },
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The partition has it at this offset.
    At(u64),
    /// The partition does not have it.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl Publishing {
    /// A definition that no partition has.
    #[must_use]
    pub fn new(definition: Definition, partitions: u32) -> Self {
        let lanes = (0..partitions).map(|_| Lane::default()).collect();
        Self { definition: Definition { version: 0, ..definition }, stage: Stage::First, lanes, turn: 0 }
    }

    /// A definition that partition 0 has at `offset`, and some other partition may lack.
    #[must_use]
    pub fn again(definition: Definition, offset: u64, partitions: u32) -> Self {
        let mut publishing = Self::new(definition, partitions);
        publishing.is_at(offset);
        publishing
    }

    /// What is being published; its version is 0 until it is known.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Its version; `None` = not known yet.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        Some(self.definition.version).filter(|version| *version > 0)
    }

    /// What is to be done next.
    #[must_use]
    pub fn next(&self) -> Next<'_> {
        match self.stage {
            Stage::First => Next::Append { partition: 0, definition: &self.definition },
            Stage::Unsure => Next::Look(&self.definition),
            Stage::AskBefore => Next::AskBefore { version: self.definition.version },
            Stage::Others => {
                let lanes = (0_u32..).zip(&self.lanes);
                let (before, after): (Vec<_>, Vec<_>) =
                    lanes.filter(|(_, lane)| !lane.0.is_empty()).partition(|(partition, _)| *partition < self.turn);
                let lane = after.into_iter().chain(before).next();
                match lane.and_then(|(partition, lane)| Some((partition, lane.0.last()?))) {
                    Some((partition, definition)) => Next::Append { partition, definition },
                    None => Next::Done { version: self.definition.version },
                }
            }
        }
    }

    /// The append to `partition` that [`Publishing::next`] asked for ended so.
    pub fn appended(&mut self, partition: u32, appended: Appended) {
        match (self.stage, appended) {
            (Stage::First, Appended::At(offset)) => self.is_at(offset),
            (Stage::First, Appended::Unknown) => self.stage = Stage::Unsure,
            (Stage::Others, appended) => {
                if let (Appended::At(_), Some(lane)) = (appended, self.lanes.get_mut(partition as usize)) {
                    lane.0.pop();
                }
                self.turn = partition + 1;
            }
            (Stage::First | Stage::Unsure | Stage::AskBefore, _) => {}
        }
    }

    /// Partition 0 was looked through and has it at this offset, or does not have it. Where two published the same
    /// bytes, either of the two offsets serves.
    pub fn found(&mut self, offset: Option<u64>) {
        if self.stage == Stage::Unsure {
            match offset {
                Some(offset) => self.is_at(offset),
                None => self.stage = Stage::First,
            }
        }
    }

    /// `definitions` are those that partition 0 has below this one's version, each with its version; `known` has for
    /// each partition the version up to which it is known to have all (a checkpoint tells it; 0 = nothing is known).
    /// Definitions at or below every one of `known` may be left out.
    pub fn before(&mut self, definitions: &[Definition], known: &[u64]) {
        if self.stage != Stage::AskBefore {
            return;
        }
        let mut rising: Vec<&Definition> = definitions.iter().filter(|d| d.version < self.definition.version).collect();
        rising.push(&self.definition);
        rising.sort_by_key(|definition| definition.version);
        for (partition, lane) in self.lanes.iter_mut().enumerate().skip(1) {
            let known = known.get(partition).copied().unwrap_or(0);
            let lacks = rising.iter().rev().filter(|definition| definition.version > known);
            lane.0 = lacks.map(|definition| (*definition).clone()).collect();
        }
        self.stage = Stage::Others;
    }

    fn is_at(&mut self, offset: u64) {
        self.definition.version = offset + 1;
        self.stage = Stage::AskBefore;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn definition(key: &'static str, version: u64) -> Definition {
        let key = Bytes::from_static(key.as_bytes());
        Definition {
            project: Bytes::from_static(b"p"),
            environment: Bytes::new(),
            kind: 1,
            key,
            version,
            body: Bytes::new(),
        }
    }

    /// What it asks for, as text.
    fn asks(publishing: &Publishing) -> String {
        match publishing.next() {
            Next::Append { partition, definition } => {
                let key = String::from_utf8_lossy(&definition.key);
                format!("append {key}@{} to {partition}", definition.version)
            }
            Next::Look(_) => "look".to_owned(),
            Next::AskBefore { version } => format!("ask before {version}"),
            Next::Done { version } => format!("done {version}"),
        }
    }

    /// Answers every append with success until it asks for something else; gives what it asked for.
    fn run(publishing: &mut Publishing) -> Vec<String> {
        let mut asked = vec![asks(publishing)];
        while let Next::Append { partition, .. } = publishing.next() {
            publishing.appended(partition, Appended::At(90));
            asked.push(asks(publishing));
        }
        asked
    }

    #[test]
    fn partition_0_gives_the_version_and_the_others_get_it() {
        let mut publishing = Publishing::new(definition("x", 7), 3);
        assert_eq!(asks(&publishing), "append x@0 to 0");
        publishing.appended(0, Appended::At(4));
        assert_eq!((asks(&publishing), publishing.version()), ("ask before 5".to_owned(), Some(5)));
        publishing.before(&[], &[0, 0, 0]);
        assert_eq!(run(&mut publishing), ["append x@5 to 1", "append x@5 to 2", "done 5"]);
    }

    #[test]
    fn one_partition_alone_is_done_at_once() {
        let mut publishing = Publishing::new(definition("x", 0), 1);
        publishing.appended(0, Appended::At(1));
        publishing.before(&[definition("w", 1)], &[0]);
        assert_eq!(asks(&publishing), "done 2");
    }

    #[test]
    fn partition_0_is_tried_again_only_when_it_surely_lacks_it() {
        let mut publishing = Publishing::new(definition("x", 0), 2);
        publishing.appended(0, Appended::Failed);
        assert_eq!(asks(&publishing), "append x@0 to 0");
        publishing.appended(0, Appended::Unknown);
        assert_eq!((asks(&publishing), publishing.version()), ("look".to_owned(), None));
        publishing.found(None);
        assert_eq!(asks(&publishing), "append x@0 to 0");
        publishing.appended(0, Appended::Unknown);
        publishing.found(Some(8));
        assert_eq!(asks(&publishing), "ask before 9");
    }

    #[test]
    fn earlier_versions_come_first_where_they_are_not_known_to_be() {
        let mut publishing = Publishing::again(definition("x", 0), 8, 4);
        let held = [definition("v", 6), definition("u", 2), definition("x", 3), definition("later", 12)];
        publishing.before(&held, &[0, 0, 3, 9]);
        let asked = run(&mut publishing);
        let of = |partition: u32| -> Vec<&str> {
            let to = format!(" to {partition}");
            asked.iter().filter_map(|ask| ask.strip_suffix(&to)).collect()
        };
        assert_eq!(of(1), ["append u@2", "append x@3", "append v@6", "append x@9"]);
        assert_eq!(of(2), ["append v@6", "append x@9"]);
        assert_eq!((of(3).len(), asked.last().map(String::as_str)), (0, Some("done 9")));
    }

    #[test]
    fn a_later_version_waits_until_the_earlier_is_surely_there() {
        let mut publishing = Publishing::again(definition("x", 0), 8, 3);
        publishing.before(&[definition("v", 6)], &[0, 0, 0]);
        for unsure in [Appended::Unknown, Appended::Failed] {
            assert_eq!(asks(&publishing), "append v@6 to 1");
            publishing.appended(1, unsure);
            assert_eq!(asks(&publishing), "append v@6 to 2", "a partition that fails does not hold up the others");
            publishing.appended(2, unsure);
        }
        assert_eq!(run(&mut publishing).last().map(String::as_str), Some("done 9"));
    }
}
