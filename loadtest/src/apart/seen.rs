//! What clients met while something lasted, by the ledger.
//!
//! Always true here: an attempt belongs to the interval in which it was sent; latency runs from when a payload was due,
//! and only first attempts have one.

use crate::ledger::{self, Line, Meaning, Outcome};
use anyhow::Result;
use serde::Serialize;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// What the attempts met that were sent in an interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    /// Attempts sent in it.
    pub(super) attempts: u64,
    /// Those of them that were answered 2xx, whenever.
    pub(super) acknowledged: u64,
    /// Those of these that were answered before the interval's end.
    pub(super) acknowledged_within: u64,
    /// Answered 503.
    pub(super) denied: u64,
    /// Answered otherwise, or not at all.
    pub(super) other: u64,
    /// Milliseconds from when payloads were due to their 2xx; 0 where there was none.
    pub(super) p50_ms: i64,
    pub(super) p99_ms: i64,
}

/// An attempt that is not answered yet.
struct Sent {
    at_ms: i64,
    due_ms: i64,
}

/// What was met in each of these intervals of Unix milliseconds, which may overlap.
///
/// # Errors
/// The ledger cannot be read.
pub(super) fn seen(path: &Path, intervals: &[Range<i64>]) -> Result<Vec<Seen>> {
    let mut found = vec![(Seen::default(), Vec::new()); intervals.len()];
    let mut open: HashMap<(String, u32), Sent> = HashMap::new();
    ledger::read(path, |line| {
        match line {
            Line::Send(sent) => {
                for (_, (seen, _)) in holding(intervals, &mut found, sent.at_ms) {
                    seen.attempts += 1;
                    // Until there is an answer.
                    seen.other += 1;
                }
                let due_ms = sent.intended_ms.unwrap_or(sent.at_ms);
                open.insert((sent.payload, sent.attempt), Sent { at_ms: sent.at_ms, due_ms });
            }
            Line::Answer(answer) => {
                let Some(sent) = open.remove(&(answer.payload, answer.attempt)) else { return Ok(()) };
                for (interval, (seen, latencies)) in holding(intervals, &mut found, sent.at_ms) {
                    if answer.outcome.meaning() == Meaning::Acknowledged {
                        seen.other -= 1;
                        seen.acknowledged += 1;
                        seen.acknowledged_within += u64::from(answer.at_ms < interval.end);
                        if answer.attempt == 1 {
                            latencies.push(answer.at_ms - sent.due_ms);
                        }
                    } else if answer.outcome == Outcome::Status(503) {
                        seen.other -= 1;
                        seen.denied += 1;
                    }
                }
            }
            Line::Run(_) | Line::Contents(_) => {}
        }
        Ok(())
    })?;
    Ok(found.into_iter().map(|(seen, latencies)| with_quantiles(seen, latencies)).collect())
}

type Found = (Seen, Vec<i64>);

/// The intervals in which this moment lies, each with what was found of it.
fn holding<'a>(
    intervals: &'a [Range<i64>],
    found: &'a mut [Found],
    at_ms: i64,
) -> impl Iterator<Item = (&'a Range<i64>, &'a mut Found)> {
    intervals.iter().zip(found).filter(move |(interval, _)| interval.contains(&at_ms))
}

fn with_quantiles(seen: Seen, mut latencies: Vec<i64>) -> Seen {
    latencies.sort_unstable();
    let at = |quantile: f64| {
        let rank = (latencies.len() as f64 * quantile).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    };
    Seen { p50_ms: at(0.5), p99_ms: at(0.99), ..seen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::Contents;
    use crate::ledger::{Answered, Attempt, Holds, Ledger};

    /// A ledger of attempts: number, when due, when sent, how ended and when.
    fn found(attempts: &[(u32, i64, i64, Outcome, i64)], intervals: &[Range<i64>]) -> Vec<Seen> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Ledger::open(&path).unwrap();
        for (place, (attempt, due_ms, at_ms, ..)) in attempts.iter().enumerate() {
            let sent = Attempt {
                payload: place.to_string(),
                environment: "p/e".to_owned(),
                attempt: *attempt,
                at_ms: *at_ms,
                intended_ms: Some(*due_ms),
                contents: Holds::Whole(Contents::default()),
            };
            ledger.write(&Line::Send(sent)).unwrap();
        }
        for (place, (attempt, _, _, outcome, at_ms)) in attempts.iter().enumerate().filter(|(_, a)| a.4 > 0) {
            let answer = Answered { payload: place.to_string(), attempt: *attempt, at_ms: *at_ms, outcome: *outcome };
            ledger.write(&Line::Answer(answer)).unwrap();
        }
        seen(&path, intervals).unwrap()
    }

    #[test]
    fn each_attempt_belongs_to_the_interval_in_which_it_was_sent() {
        let ok = Outcome::Status(202);
        let attempts = [
            (1, 5, 9, ok, 11),
            (1, 7, 10, ok, 15),
            (2, 12, 12, ok, 19),
            (1, 13, 13, ok, 20),
            (1, 14, 14, Outcome::Status(503), 15),
            (1, 15, 15, Outcome::Status(500), 16),
            (1, 16, 16, Outcome::Closed, 17),
            (1, 19, 19, ok, 0),
            (1, 20, 20, ok, 21),
        ];
        let seen = found(&attempts, &[10..20, 0..10]);
        let within =
            Seen { attempts: 7, acknowledged: 3, acknowledged_within: 2, denied: 1, other: 3, p50_ms: 7, p99_ms: 8 };
        assert_eq!(seen[0], within);
        let before = Seen { attempts: 1, acknowledged: 1, p50_ms: 6, p99_ms: 6, ..Seen::default() };
        assert_eq!(seen[1], before);
    }
}
