//! A generation: everything that decides what a record means for the numbers, as one immutable row.
//!
//! Always true here: the row in the store and the first record of each partition say the same; a process that disagrees
//! with it refuses to start and names the value; none of these values changes within a generation.

use bytes::Bytes;
use prost::Message;

use crate::partition::HASH_NAME;
use crate::wire::record as wire;

/// What the split rule of this build is called. A change of [`crate::split`] is a new number and so a new generation.
pub const SPLIT_RULE: u32 = 1;

/// Limits of the fold: how many rows a cell or a state may have before the `other` row takes the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldLimits {
    /// Flags of an environment (and, apart from them, custom event keys): 10,000.
    pub flags_max: u32,
    /// (variation, version) pairs of a usage cell, and variations of a cell of the old path: 100.
    pub usage_pairs_max: u32,
    /// (variation, application, SDK) rows of a usage cell: 200.
    pub usage_rows_max: u32,
    /// Rows of a last-seen cell: 200.
    pub last_seen_rows_max: u32,
    /// Rows of an SDKs cell: 500.
    pub sdk_rows_max: u32,
    /// Bytes of texts in one cell, all rows together; a row whose texts would pass it counts in the `other` row.
    pub texts_bytes_max: u32,
}

impl Default for FoldLimits {
    fn default() -> Self {
        Self {
            flags_max: 10_000,
            usage_pairs_max: 100,
            usage_rows_max: 200,
            last_seen_rows_max: 200,
            sdk_rows_max: 500,
            texts_bytes_max: 12 * 1024,
        }
    }
}

/// Limits of clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockLimits {
    /// A time further ahead of the receive time than this becomes the receive time: 5 minutes.
    pub ahead_ms: u64,
    /// An event older than this, at its receipt, is late: 7 days.
    pub lateness_ms: u64,
    /// A time before this is no time and becomes the receive time: the year 2015.
    pub earliest_ms: u64,
}

impl Default for ClockLimits {
    fn default() -> Self {
        Self { ahead_ms: 5 * 60_000, lateness_ms: 7 * 86_400_000, earliest_ms: 1_420_070_400_000 }
    }
}

/// Limits of decoding: which events of a payload become its parts. Two processes that differ in one would cut the same
/// payload, sent again, into other parts under the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Events of a payload: 10,000.
    pub events_max: u64,
    /// Bytes of JSON of an event: 64 KiB.
    pub event_bytes_max: u64,
    /// Nesting of a body: 32.
    pub depth_max: u64,
    /// Count of one counter: 10⁹.
    pub count_max: u64,
    /// Counters of a payload: 100,000.
    pub counters_max: u64,
    /// Kinds in one context: 64.
    pub context_kinds_max: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            events_max: 10_000,
            event_bytes_max: 64 << 10,
            depth_max: 32,
            count_max: crate::event::COUNT_MAX,
            counters_max: 100_000,
            context_kinds_max: 64,
        }
    }
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u32,
    /// Name of the topic or log, without the number.
    pub topic: String,
    /// P.
    pub partitions: u32,
    /// N: a record is a duplicate when an earlier copy lies within this many records of its partition.
    pub dedupe_records: u64,
    /// How times are judged.
    pub clock: ClockLimits,
    /// What of a payload becomes its parts.
    pub decode: DecodeLimits,
    /// How many rows a cell may have.
    pub fold: FoldLimits,
    /// Version of the fold; `counting` says which one it is.
    pub fold_version: u32,
}

/// Default N.
pub const DEDUPE_RECORDS: u64 = 1_000_000;

/// A value on which a process and the generation disagree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "generation {number} was made with {field} = {theirs}, this process has {field} = {ours}; \
     set it back, or begin another generation"
)]
pub struct Mismatch {
    /// The generation.
    pub number: u32,
    /// Which value.
    pub field: &'static str,
    /// As the generation has it.
    pub theirs: String,
    /// As this process has it.
    pub ours: String,
}

/// Bytes that are no generation row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no generation row: {0}")]
pub struct NotAGeneration(String);

impl Generation {
    /// A generation with the defaults of this build.
    #[must_use]
    pub fn new(number: u32, topic: &str, partitions: u32, fold_version: u32) -> Self {
        Self {
            number,
            topic: topic.to_owned(),
            partitions,
            dedupe_records: DEDUPE_RECORDS,
            clock: ClockLimits::default(),
            decode: DecodeLimits::default(),
            fold: FoldLimits::default(),
            fold_version,
        }
    }

    /// The row as bytes; the same values always give the same bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::from(self.to_wire().encode_to_vec())
    }

    fn to_wire(&self) -> wire::Generation {
        wire::Generation {
            number: self.number,
            topic: Bytes::copy_from_slice(self.topic.as_bytes()),
            partitions: self.partitions,
            hash: Bytes::from_static(HASH_NAME.as_bytes()),
            dedupe_records: self.dedupe_records,
            clock_ahead_ms: self.clock.ahead_ms,
            lateness_ms: self.clock.lateness_ms,
            time_min_ms: self.clock.earliest_ms,
            split_rule: SPLIT_RULE,
            fold: self.fold_version,
            flags_max: self.fold.flags_max,
            usage_pairs_max: self.fold.usage_pairs_max,
            usage_rows_max: self.fold.usage_rows_max,
            last_seen_rows_max: self.fold.last_seen_rows_max,
            sdk_rows_max: self.fold.sdk_rows_max,
            texts_bytes_max: self.fold.texts_bytes_max,
            events_max: self.decode.events_max,
            event_bytes_max: self.decode.event_bytes_max,
            depth_max: self.decode.depth_max,
            count_max: self.decode.count_max,
            counters_max: self.decode.counters_max,
            context_kinds_max: self.decode.context_kinds_max,
        }
    }

    /// Compares this process's values with a stored row.
    ///
    /// # Errors
    /// [`Disagreement`]: the bytes are no row, the first value that differs, by name, or values that this
    /// build cannot see.
    pub fn check(&self, row: &[u8]) -> Result<(), Disagreement> {
        let theirs = wire::Generation::decode(row).map_err(|e| NotAGeneration(e.to_string()))?;
        let named = |g: &wire::Generation| {
            [
                ("number", g.number.to_string()),
                ("topic", String::from_utf8_lossy(&g.topic).into_owned()),
                ("partitions", g.partitions.to_string()),
                ("hash", String::from_utf8_lossy(&g.hash).into_owned()),
                ("dedupe_records", g.dedupe_records.to_string()),
                ("clock_ahead_ms", g.clock_ahead_ms.to_string()),
                ("lateness_ms", g.lateness_ms.to_string()),
                ("time_min_ms", g.time_min_ms.to_string()),
                ("split_rule", g.split_rule.to_string()),
                ("fold", g.fold.to_string()),
                ("flags_max", g.flags_max.to_string()),
                ("usage_pairs_max", g.usage_pairs_max.to_string()),
                ("usage_rows_max", g.usage_rows_max.to_string()),
                ("last_seen_rows_max", g.last_seen_rows_max.to_string()),
                ("sdk_rows_max", g.sdk_rows_max.to_string()),
                ("texts_bytes_max", g.texts_bytes_max.to_string()),
                ("events_max", g.events_max.to_string()),
                ("event_bytes_max", g.event_bytes_max.to_string()),
                ("depth_max", g.depth_max.to_string()),
                ("count_max", g.count_max.to_string()),
                ("counters_max", g.counters_max.to_string()),
                ("context_kinds_max", g.context_kinds_max.to_string()),
            ]
        };
        for ((field, theirs), (_, ours)) in named(&theirs).into_iter().zip(named(&self.to_wire())) {
            if theirs != ours {
                return Err(Mismatch { number: self.number, field, theirs, ours }.into());
            }
        }
        // Two rows that agree in all values have the same bytes, unless one has values that this build cannot see.
        if *row == self.encode() { Ok(()) } else { Err(Disagreement::UnknownFields { number: self.number }) }
    }
}

/// Why a process does not fit a generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// A value differs.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The row has more than this build knows of.
    #[error("generation {number} has fields this build does not know; use the build that made it, or a newer one")]
    UnknownFields {
        /// The generation.
        number: u32,
    },
    /// The row cannot be read.
    #[error(transparent)]
    Unreadable(#[from] NotAGeneration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_that_differs_is_named() {
        let base = Generation::new(1, "flagstream.events", 4, 1);
        base.check(&base.encode()).unwrap();
        type Change = fn(&mut Generation);
        let changes: [(&str, Change); 20] = [
            ("number", |g| g.number += 1),
            ("topic", |g| g.topic.push('x')),
            ("partitions", |g| g.partitions += 1),
            ("dedupe_records", |g| g.dedupe_records += 1),
            ("clock_ahead_ms", |g| g.clock.ahead_ms += 1),
            ("lateness_ms", |g| g.clock.lateness_ms += 1),
            ("time_min_ms", |g| g.clock.earliest_ms += 1),
            ("fold", |g| g.fold_version += 1),
            ("flags_max", |g| g.fold.flags_max += 1),
            ("usage_pairs_max", |g| g.fold.usage_pairs_max += 1),
            ("usage_rows_max", |g| g.fold.usage_rows_max += 1),
            ("last_seen_rows_max", |g| g.fold.last_seen_rows_max += 1),
            ("sdk_rows_max", |g| g.fold.sdk_rows_max += 1),
            ("texts_bytes_max", |g| g.fold.texts_bytes_max += 1),
            ("events_max", |g| g.decode.events_max += 1),
            ("event_bytes_max", |g| g.decode.event_bytes_max += 1),
            ("depth_max", |g| g.decode.depth_max += 1),
            ("count_max", |g| g.decode.count_max += 1),
            ("counters_max", |g| g.decode.counters_max += 1),
            ("context_kinds_max", |g| g.decode.context_kinds_max += 1),
        ];
        for (field, change) in changes {
            let mut other = base.clone();
            change(&mut other);
            match base.check(&other.encode()) {
                Err(Disagreement::Mismatch(mismatch)) => assert_eq!(mismatch.field, field),
                answer => panic!("{field}: {answer:?}"),
            }
        }
        assert!(matches!(base.check(b"\xff\xff"), Err(Disagreement::Unreadable(_))));
    }

    #[test]
    fn a_value_that_only_newer_builds_know_is_not_overlooked() {
        let base = Generation::new(1, "flagstream.events", 4, 1);
        // Field 500, the number 1.
        let newer = [&base.encode()[..], &[0xa0, 0x1f, 1]].concat();
        let refused = base.check(&newer).unwrap_err();
        assert_eq!(refused, Disagreement::UnknownFields { number: 1 });
        assert!(refused.to_string().contains("fields this build does not know"), "{refused}");
    }
}
