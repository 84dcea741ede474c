//! When each request is to be sent: fixed before the first one goes.
//!
//! Always true here: a schedule is a function of (arrivals, rate, length, seed) and does not know what the server does;
//! times never fall; none is at the end or behind it.

use crate::dice::Dice;
use clap::ValueEnum;
use serde::Serialize;
use std::time::Duration;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// As independent clients send: waits between requests are exponential
    Poisson,
    /// All waits alike
    Even,
}

/// Times from the start, one a request.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    per_second: f64,
    end_seconds: f64,
    dice: Dice,
    drawn: u64,
    at_seconds: f64,
}

impl Schedule {
    /// The schedule; `per_second` must be above 0.
    pub(crate) fn new(arrivals: Arrivals, per_second: f64, length: Duration, seed: u64) -> Self {
        let dice = Dice::of_part(seed, 0x5ced);
        Self { arrivals, per_second, end_seconds: length.as_secs_f64(), dice, drawn: 0, at_seconds: 0.0 }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let at_seconds = match self.arrivals {
            Arrivals::Even => self.drawn as f64 / self.per_second,
            Arrivals::Poisson => {
                self.at_seconds -= (1.0 - self.dice.unit()).ln() / self.per_second;
                self.at_seconds
            }
        };
        self.drawn += 1;
        (at_seconds < self.end_seconds).then(|| Duration::from_secs_f64(at_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(arrivals: Arrivals, seed: u64) -> Vec<Duration> {
        Schedule::new(arrivals, 1_000.0, Duration::from_secs(10), seed).collect()
    }

    #[test]
    fn an_even_schedule_has_a_request_each_so_often() {
        let times = schedule(Arrivals::Even, 1);
        assert_eq!(times.len(), 10_000);
        assert_eq!(
            (times[0], times[1], times[9_999]),
            (Duration::ZERO, Duration::from_millis(1), Duration::from_millis(9_999))
        );
    }

    #[test]
    fn a_poisson_schedule_is_a_function_of_its_seed_with_the_rate_and_the_spread_of_one() {
        let times = schedule(Arrivals::Poisson, 7);
        assert_eq!(times, schedule(Arrivals::Poisson, 7));
        assert_ne!(times, schedule(Arrivals::Poisson, 8));
        assert!(times.is_sorted());
        // Four standard deviations of a Poisson number of mean 10,000.
        assert!(times.len().abs_diff(10_000) <= 400, "{}", times.len());
        // Of exponential waits, 1/e are longer than their mean.
        let long = times.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(1)).count();
        assert!(long.abs_diff(3_679) <= 200, "{long}");
        assert!(times[times.len() - 1] < Duration::from_secs(10));
    }
}
