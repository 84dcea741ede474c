//! The limits at the door: all of them, with their defaults, in one place.
//!
//! Always true here: these bound what one request, and all requests together, may make this process do; limits on which
//! the numbers depend (lateness, rows of a cell) are of the generation instead, and lengths of keys of [`schemas::id`].
//! Those that decide which events of a payload become records are both: written here, fixed by
//! [`Limits::of_generation`].

use std::time::Duration;

use schemas::generation::DecodeLimits;
use serde::{Deserialize, Serialize};

/// Limits of ingest; each is inclusive, its unit in its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest body on the wire, in bytes: 5 MiB.
    pub body_bytes_max: usize,
    /// Largest body inflated, in bytes: 10 MiB.
    pub inflated_bytes_max: usize,
    /// Largest ratio of inflated to sent bytes, past the first `ratio_free_bytes` inflated: 100.
    pub ratio_max: usize,
    /// Inflated bytes for which no ratio is asked: 1 MiB.
    pub ratio_free_bytes: usize,
    /// Most events of a payload; those beyond are refused: 10,000.
    pub events_max: usize,
    /// Largest event, in bytes of JSON: 64 KiB.
    pub event_bytes_max: usize,
    /// Deepest nesting of an event: 32.
    pub depth_max: usize,
    /// Largest count of one counter: 10⁹.
    pub count_max: u64,
    /// Most counters of a payload: 100,000.
    pub counters_max: usize,
    /// Most kinds in one context: 64.
    pub context_kinds_max: usize,
    /// All headers of a request together, names and values, in bytes: 16 KiB.
    pub header_bytes_max: usize,
    /// Most headers of a request: 64.
    pub headers_max: usize,
    /// A request's head must arrive within this time (the listener keeps it): 10 s.
    pub header_read_seconds: u64,
    /// A body may pause for this long: 10 s.
    pub body_idle_seconds: u64,
    /// A request must have arrived whole within this time: 30 s.
    pub request_seconds: u64,
    /// The log's acknowledgement is awaited for this long: 5 s.
    pub append_seconds: u64,
    /// Connections at once (the listener keeps it): 10,000.
    pub connections_max: usize,
    /// Bodies and records in flight, in bytes: 128 MiB.
    pub in_flight_bytes_max: usize,
    /// A key taken out of the configuration answers 202-and-discard for this long: a day.
    pub revoked_grace_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let decoding = protocols::Limits::default();
        Self {
            body_bytes_max: decoding.body_bytes_max,
            inflated_bytes_max: decoding.inflated_bytes_max,
            ratio_max: decoding.ratio_max,
            ratio_free_bytes: decoding.ratio_free_bytes,
            events_max: decoding.events_max,
            event_bytes_max: decoding.event_bytes_max,
            depth_max: decoding.depth_max,
            count_max: decoding.count_max,
            counters_max: decoding.counters_max,
            context_kinds_max: decoding.context_kinds_max,
            header_bytes_max: 16 << 10,
            headers_max: 64,
            header_read_seconds: 10,
            body_idle_seconds: 10,
            request_seconds: 30,
            append_seconds: 5,
            connections_max: 10_000,
            in_flight_bytes_max: 128 << 20,
            revoked_grace_seconds: 24 * 3600,
        }
    }
}

/// A limit that this build cannot keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limits.{name} = {value} must lie between {least} and {most}")]
pub struct LimitError {
    /// Which limit.
    pub name: &'static str,
    /// What was written.
    pub value: u64,
    /// The least that can be kept.
    pub least: u64,
    /// The most that can be kept.
    pub most: u64,
}

impl Limits {
    /// Checks that each limit can be kept: none is 0, none is beyond what a record or a row number can hold.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), LimitError> {
        const GIB: usize = 1 << 30;
        let hours = 24 * 3600;
        let sizes = [
            ("body_bytes_max", self.body_bytes_max, GIB),
            ("inflated_bytes_max", self.inflated_bytes_max, GIB),
            ("ratio_max", self.ratio_max, GIB),
            ("ratio_free_bytes", self.ratio_free_bytes, GIB),
            ("events_max", self.events_max, 10_000_000),
            // An event's row must fit one record, with each of its contexts.
            ("event_bytes_max", self.event_bytes_max, 512 << 10),
            ("depth_max", self.depth_max, 512),
            ("counters_max", self.counters_max, 10_000_000),
            ("context_kinds_max", self.context_kinds_max, 1_000),
            ("header_bytes_max", self.header_bytes_max, 64 << 10),
            ("headers_max", self.headers_max, 256),
            ("connections_max", self.connections_max, 1_000_000),
        ];
        for (name, value, most) in sizes {
            within(name, value as u64, 1, most as u64)?;
        }
        within("count_max", self.count_max, 1, schemas::event::COUNT_MAX)?;
        within("header_read_seconds", self.header_read_seconds, 1, hours)?;
        within("body_idle_seconds", self.body_idle_seconds, 1, hours)?;
        within("request_seconds", self.request_seconds, 1, hours)?;
        within("append_seconds", self.append_seconds, 1, hours)?;
        within("revoked_grace_seconds", self.revoked_grace_seconds, 0, 366 * hours)?;
        // Else the largest body could never come in.
        let least = self.body_bytes_max.max(crate::body::HELD_BYTES_MIN);
        within("in_flight_bytes_max", self.in_flight_bytes_max as u64, least as u64, u64::MAX)
    }

    /// Those that decoding keeps.
    #[must_use]
    pub fn decoding(&self) -> protocols::Limits {
        protocols::Limits {
            body_bytes_max: self.body_bytes_max,
            inflated_bytes_max: self.inflated_bytes_max,
            ratio_max: self.ratio_max,
            ratio_free_bytes: self.ratio_free_bytes,
            events_max: self.events_max,
            event_bytes_max: self.event_bytes_max,
            depth_max: self.depth_max,
            count_max: self.count_max,
            counters_max: self.counters_max,
            context_kinds_max: self.context_kinds_max,
        }
    }

    /// Those on which the parts of a payload depend: every process of a generation must have the same.
    #[must_use]
    pub fn of_generation(&self) -> DecodeLimits {
        DecodeLimits {
            events_max: self.events_max as u64,
            event_bytes_max: self.event_bytes_max as u64,
            depth_max: self.depth_max as u64,
            count_max: self.count_max,
            counters_max: self.counters_max as u64,
            context_kinds_max: self.context_kinds_max as u64,
        }
    }

    /// How long a body may pause.
    pub(crate) fn body_idle(&self) -> Duration {
        Duration::from_secs(self.body_idle_seconds)
    }

    /// How long a request may take to arrive.
    pub(crate) fn request(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// How long the log may take.
    pub(crate) fn append(&self) -> Duration {
        Duration::from_secs(self.append_seconds)
    }
}

fn within(name: &'static str, value: u64, least: u64, most: u64) -> Result<(), LimitError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(LimitError { name, value, least, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_designs_and_can_be_kept() {
        let limits = Limits::default();
        limits.check().unwrap();
        assert_eq!(limits.decoding(), protocols::Limits::default());
        let mebibytes = [limits.body_bytes_max, limits.inflated_bytes_max, limits.in_flight_bytes_max].map(|b| b >> 20);
        assert_eq!(mebibytes, [5, 10, 128]);
        assert_eq!((limits.events_max, limits.event_bytes_max, limits.depth_max), (10_000, 65_536, 32));
        assert_eq!((limits.header_bytes_max, limits.headers_max, limits.connections_max), (16_384, 64, 10_000));
        assert_eq!((limits.header_read_seconds, limits.body_idle_seconds, limits.request_seconds), (10, 10, 30));
        assert_eq!((limits.append_seconds, limits.count_max), (5, 1_000_000_000));
    }

    #[test]
    fn what_decides_the_parts_is_the_generations() {
        assert_eq!(Limits::default().of_generation(), DecodeLimits::default());
        type Change = fn(&mut Limits);
        let changes: [Change; 6] = [
            |l| l.events_max += 1,
            |l| l.event_bytes_max += 1,
            |l| l.depth_max += 1,
            |l| l.count_max -= 1,
            |l| l.counters_max += 1,
            |l| l.context_kinds_max += 1,
        ];
        let changed = changes.map(|change| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.of_generation()
        });
        for (number, limits) in changed.iter().enumerate() {
            assert!(*limits != DecodeLimits::default() && !changed[..number].contains(limits), "change {number}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_kept_is_named() {
        let refused = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check().unwrap_err()
        };
        assert_eq!(refused(|l| l.events_max = 0).name, "events_max");
        assert_eq!(refused(|l| l.event_bytes_max = 1 << 20).name, "event_bytes_max");
        assert_eq!(refused(|l| l.append_seconds = 0).name, "append_seconds");
        let error = refused(|l| l.in_flight_bytes_max = 1);
        assert_eq!(
            error.to_string(),
            "limits.in_flight_bytes_max = 1 must lie between 5242880 and 18446744073709551615"
        );
    }
}
