//! `cargo xtask sim fleet`.

use std::cell::Cell;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::kinds::KINDS;
use super::score::Score;
use super::{DAYS, Fleet, Mistake, shown};

/// Flags with a known story, 120 days of their SDKs' reports through the whole pipeline, and what the stale report says
/// of each: precision and recall.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Decides stories and reports
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, from that one on; the tables are of all of them together
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// How many flags; at least one of each kind
    #[arg(long, default_value_t = 500)]
    flags: usize,
    /// Days at whose beginning the report is asked for; the last day is always one of them
    #[arg(long, value_delimiter = ',', default_value = "60,75,90,105,120")]
    ask_on: Vec<u32>,
    /// Make this mistake on purpose; repeatable
    #[arg(long, value_enum)]
    mistake: Vec<Mistake>,
    /// For programs: a line of JSON for each seed
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask sim fleet --seed 1                  500 flags; ends with 1 when a flag is not told as its kind should be
  cargo xtask sim fleet --seed 2 --seeds 3 --json | jq .days
  cargo xtask sim fleet --flags 60 --mistake bulk-as-use     ends with 1: the mistake is noticed";

impl Arguments {
    /// Runs the seeds; whether every flag was told as its kind is known to be.
    ///
    /// # Errors
    /// When a number cannot be, or the pipeline cannot go on.
    pub fn run(&self) -> Result<bool> {
        ensure!(
            self.flags >= KINDS.len(),
            "--flags {} is fewer than there are kinds: {} or more",
            self.flags,
            KINDS.len()
        );
        ensure!(
            self.seed.checked_add(self.seeds).is_some(),
            "--seed {} and --seeds {} are more than there are",
            self.seed,
            self.seeds
        );
        let mut ask_on: Vec<u32> = self.ask_on.iter().copied().chain([DAYS]).collect();
        ask_on.sort_unstable();
        ask_on.dedup();
        ensure!(ask_on.last() == Some(&DAYS), "--ask-on {ask_on:?}: the last day is {DAYS}");
        let mut scores = Vec::new();
        for seed in self.seed..self.seed + self.seeds {
            scores.push((seed, self.one(seed, ask_on.clone())?));
        }
        let right = scores.iter().all(|(_, score)| score.is_as_expected());
        if !self.json {
            print!("{}", shown::seeds(&scores));
            let sum = scores.into_iter().map(|(_, score)| score).reduce(|mut sum, score| {
                sum.merge(score);
                sum
            });
            sum.iter().for_each(|sum| print!("{}", shown::table(sum)));
        }
        Ok(right)
    }

    fn one(&self, seed: u64, ask_on: Vec<u32>) -> Result<Score> {
        let (begun, told) = (Instant::now(), Cell::new(0));
        let fleet = Fleet { seed, flags: self.flags, ask_on, mistakes: self.mistake.clone() };
        let outcome = fleet.run(&|day| {
            let seconds = begun.elapsed().as_secs() / 5;
            if told.replace(seconds) < seconds {
                eprintln!("… seed {seed}: day {day} of {DAYS}");
            }
        })?;
        let score = Score::of(&outcome);
        if self.json {
            println!("{}", shown::json(seed, &score));
        }
        eprint!("{}", shown::surprises(&score));
        let verdict =
            if score.is_as_expected() { "every flag is told as its kind should be" } else { "NOT AS EXPECTED" };
        eprintln!("seed {seed}: {verdict}; {:.1} s", begun.elapsed().as_secs_f64());
        Ok(score)
    }
}
