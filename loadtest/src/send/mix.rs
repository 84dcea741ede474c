//! What SDKs send: how much of what kind, how large, how late.
//!
//! Always true here: a payload is a function of its dice and of the time it is made for; every element is valid, no
//! time lies so far ahead or behind that a server would move or refuse it, so that the ledger knows the minute of each
//! count.

use crate::contents::Contents;
use crate::dice::Dice;
use crate::flags::Flags;
use crate::payload::Draft;
use anyhow::{Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::json;

/// Farther ahead, a time may be counted as the time of receipt instead (DESIGN.md: 5 minutes).
const AHEAD_SECONDS_MAX: f64 = 240.0;
/// Farther behind, an event may be late and is not counted (DESIGN.md: 7 days).
const BEHIND_SECONDS_MAX: f64 = 6.0 * 86_400.0;
const TRIES_MAX: usize = 1_000;

/// What SDKs send.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "What is sent")]
pub(crate) struct Mix {
    /// Share of events that are summaries
    #[arg(long, default_value_t = 0.80)]
    pub(crate) summaries: f64,
    /// Share of events that are full evaluations (of experiments); the rest are index, identify and custom events
    #[arg(long, default_value_t = 0.15)]
    pub(crate) full: f64,
    /// Share of requests that are diagnostics, which hold no event
    #[arg(long, default_value_t = 0.01)]
    pub(crate) diagnostics: f64,
    /// Smallest body, in bytes of JSON
    #[arg(long, default_value_t = 500)]
    pub(crate) bytes_min: usize,
    /// Largest body, in bytes of JSON; between the two, 500 to 5000 are as frequent as 5000 to 50000 (even in the
    /// logarithm)
    #[arg(long, default_value_t = 50_000)]
    pub(crate) bytes_max: usize,
    /// Most flags in a summary; there are 1 to so many
    #[arg(long, default_value_t = 8)]
    pub(crate) flags_per_summary: u64,
    /// Flags of each environment
    #[arg(long, default_value_t = 50)]
    pub(crate) flags: u32,
    /// Exponent of Zipf's law over flags: 0 = all alike, 1 = the second is asked for half as often as the first
    #[arg(long, default_value_t = 1.0)]
    pub(crate) flag_exponent: f64,
    /// Share of bodies that are compressed
    #[arg(long, default_value_t = 0.3)]
    pub(crate) gzip: f64,
    /// Share of bodies that come in chunks, without a length
    #[arg(long, default_value_t = 0.5)]
    pub(crate) chunked: f64,
    /// Share of clients whose clock is wrong
    #[arg(long, default_value_t = 0.1)]
    pub(crate) skewed: f64,
    /// How far a wrong clock is ahead at most, in seconds; up to 240: beyond 5 minutes the server takes its own time
    #[arg(long, default_value_t = 60.0)]
    pub(crate) ahead_seconds: f64,
    /// How far a wrong clock is behind at most, in seconds; up to 6 days: beyond 7 the server refuses the event as late
    #[arg(long, default_value_t = 300.0)]
    pub(crate) behind_seconds: f64,
}

/// A payload as drawn.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// JSON text, not compressed.
    pub(crate) body: Vec<u8>,
    /// What is in it, its evaluations in the minute of `end_ms`.
    pub(crate) contents: Contents,
    /// The time of every count in it, Unix milliseconds.
    pub(crate) end_ms: i64,
    /// It is for the path of diagnostics.
    pub(crate) is_diagnostic: bool,
}

impl Mix {
    /// Refuses what cannot be drawn.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, share) in [
            ("--summaries", self.summaries),
            ("--full", self.full),
            ("--diagnostics", self.diagnostics),
            ("--gzip", self.gzip),
            ("--chunked", self.chunked),
            ("--skewed", self.skewed),
        ] {
            ensure!((0.0..=1.0).contains(&share), "{name} is {share}; a share lies in 0 to 1");
        }
        let shares = self.summaries + self.full;
        ensure!(shares <= 1.0 + 1e-9, "--summaries and --full are {shares} together; at most 1 leaves 0 for the rest");
        ensure!(self.diagnostics < 1.0, "--diagnostics is 1; such a load has no events");
        ensure!(
            200 <= self.bytes_min && self.bytes_min + 2_000 <= self.bytes_max && self.bytes_max <= 1_000_000,
            "bodies of {} to {} bytes cannot be made; --bytes-min is at least 200, --bytes-max at least 2000 more and \
             at most 1000000",
            self.bytes_min,
            self.bytes_max
        );
        ensure!(self.flags_per_summary >= 1 && self.flags >= 1, "--flags and --flags-per-summary are at least 1");
        ensure!(self.flag_exponent >= 0.0, "--flag-exponent is {}; it is 0 or more", self.flag_exponent);
        let limits = [
            ("--ahead-seconds", self.ahead_seconds, AHEAD_SECONDS_MAX),
            ("--behind-seconds", self.behind_seconds, BEHIND_SECONDS_MAX),
        ];
        for (name, seconds, most) in limits {
            ensure!((0.0..=most).contains(&seconds), "{name} is {seconds}; it lies in 0 to {most}");
        }
        Ok(())
    }

    /// The flags of each environment.
    pub(crate) fn flags(&self) -> Flags {
        Flags::many(self.flags, self.flag_exponent)
    }

    /// Draws a payload that is sent at `now_ms`.
    ///
    /// # Errors
    /// No body of a size within the bounds was found.
    pub(crate) fn draw(&self, dice: &mut Dice, flags: &Flags, now_ms: i64) -> Result<Drawn> {
        let end_ms = now_ms + self.skew_ms(dice);
        if dice.happens(self.diagnostics) {
            return Ok(diagnostic(dice, end_ms));
        }
        for _ in 0..TRIES_MAX {
            let mut draft = Draft::default();
            let wanted = self.size(dice);
            while draft.bytes() < wanted {
                self.element(&mut draft, dice, flags, end_ms);
            }
            if draft.bytes() <= self.bytes_max {
                let (body, contents) = draft.done();
                return Ok(Drawn { body, contents, end_ms, is_diagnostic: false });
            }
        }
        bail!("no body of {} to {} bytes was found in {TRIES_MAX} tries", self.bytes_min, self.bytes_max)
    }

    /// A size whose logarithm is even between the bounds.
    fn size(&self, dice: &mut Dice) -> usize {
        let [least, most] = [self.bytes_min, self.bytes_max].map(|bytes| (bytes as f64).ln());
        (least + (most - least) * dice.unit()).exp() as usize
    }

    fn element(&self, draft: &mut Draft, dice: &mut Dice, flags: &Flags, end_ms: i64) {
        let kind = dice.unit();
        if kind < self.summaries {
            let flags_max = dice.between(1, self.flags_per_summary);
            draft.summary(dice, flags, end_ms, flags_max);
        } else if kind < self.summaries + self.full {
            draft.feature(dice, flags, end_ms);
        } else if dice.happens(0.5) {
            draft.context(dice, end_ms);
        } else {
            draft.custom(dice, end_ms);
        }
    }

    /// How far this client's clock is ahead; negative = behind.
    fn skew_ms(&self, dice: &mut Dice) -> i64 {
        if !dice.happens(self.skewed) {
            return 0;
        }
        let seconds = if dice.happens(0.5) { self.ahead_seconds } else { -self.behind_seconds };
        (seconds * 1_000.0 * dice.unit()) as i64
    }
}

fn diagnostic(dice: &mut Dice, end_ms: i64) -> Drawn {
    let body = json!({
        "kind": "diagnostic", "creationDate": end_ms, "dataSinceDate": end_ms - 900_000,
        "id": {"diagnosticId": format!("diagnostic-{}", dice.bits()), "sdkKeySuffix": "load"},
        "droppedEvents": 0, "deduplicatedUsers": dice.below(100), "eventsInLastBatch": dice.below(1_000),
        "streamInits": [],
    });
    Drawn { body: body.to_string().into_bytes(), contents: Contents::default(), end_ms, is_diagnostic: true }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    /// The mix of a command line without these flags.
    pub(crate) fn defaults() -> Mix {
        Mix {
            summaries: 0.80,
            full: 0.15,
            diagnostics: 0.01,
            bytes_min: 500,
            bytes_max: 50_000,
            flags_per_summary: 8,
            flags: 50,
            flag_exponent: 1.0,
            gzip: 0.3,
            chunked: 0.5,
            skewed: 0.1,
            ahead_seconds: 60.0,
            behind_seconds: 300.0,
        }
    }

    const NOW_MS: i64 = 1_795_335_146_703;

    fn drawn(number: usize) -> Vec<Drawn> {
        let (mix, mut dice) = (defaults(), Dice::new(5));
        let flags = mix.flags();
        (0..number).map(|_| mix.draw(&mut dice, &flags, NOW_MS).unwrap()).collect()
    }

    #[test]
    fn kinds_have_their_shares_and_bodies_their_sizes() {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        let (mut smaller, mut diagnostics, mut payloads) = (0, 0, 0);
        for Drawn { body, contents, is_diagnostic, .. } in drawn(1_000) {
            if is_diagnostic {
                diagnostics += 1;
                continue;
            }
            payloads += 1;
            assert!((500..=50_000).contains(&body.len()), "{}", body.len());
            smaller += usize::from(body.len() < 5_000);
            let elements: Vec<Value> = serde_json::from_slice(&body).unwrap();
            assert_eq!(elements.len() as u64, contents.elements);
            for element in elements {
                *kinds.entry(element["kind"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        let all: usize = kinds.values().sum();
        let share = |names: &[&str]| names.iter().map(|name| kinds[*name]).sum::<usize>() as f64 / all as f64;
        assert!((share(&["summary"]) - 0.80).abs() < 0.02, "{kinds:?}");
        assert!((share(&["feature"]) - 0.15).abs() < 0.02, "{kinds:?}");
        assert!((share(&["index", "identify", "custom"]) - 0.05).abs() < 0.01, "{kinds:?}");
        assert!((1..=30).contains(&diagnostics), "{diagnostics}");
        // Even in the logarithm: half of them below ten times the least, or a little fewer, since the last element
        // makes a body larger.
        assert!((0.42..0.52).contains(&(f64::from(smaller as u32) / f64::from(payloads))), "{smaller} of {payloads}");
    }

    #[test]
    fn wrong_clocks_stay_within_what_a_server_takes_as_it_is() {
        let skews: Vec<i64> = drawn(1_000).iter().map(|drawn| drawn.end_ms - NOW_MS).collect();
        let wrong = skews.iter().filter(|skew| **skew != 0).count();
        assert!((60..140).contains(&wrong), "{wrong}");
        assert!(skews.iter().all(|skew| (-300_000..=60_000).contains(skew)));
        assert!(skews.iter().any(|skew| *skew > 0) && skews.iter().any(|skew| *skew < 0));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused_by_name() {
        assert!(defaults().check().is_ok());
        for (mix, named) in [
            (Mix { summaries: 0.9, full: 0.2, ..defaults() }, "--summaries and --full"),
            (Mix { gzip: 1.5, ..defaults() }, "--gzip"),
            (Mix { bytes_min: 50_000, ..defaults() }, "--bytes-min"),
            (Mix { ahead_seconds: 300.0, ..defaults() }, "--ahead-seconds"),
            (Mix { behind_seconds: 700_000.0, ..defaults() }, "--behind-seconds"),
            (Mix { flags: 0, ..defaults() }, "--flags"),
        ] {
            let error = mix.check().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
