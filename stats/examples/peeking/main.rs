//! The price of peeking: experiments without any effect, looked at twenty times, judged by each rule; and how often
//! each finds an effect that is there. `cargo xtask peeking` is a shorter name for it.
//!
//! Always true here: the rules are the product's own functions on exact sums; the same seed gives the same table.

mod dice;
mod rules;

use dice::Dice;
use rules::{Arms, RULES, Sums};
use std::process::ExitCode;

const LOOKS: u64 = 20;
/// Share of units that convert, in 2⁻³².
const TENTH: u32 = 429_496_730;
const ELEVEN_HUNDREDTHS: u32 = 472_446_403;

/// One column of the table.
struct World {
    name: &'static str,
    units_an_arm: u64,
    treatment_share: u32,
    /// Whether a conversion is worth a skewed amount, and not just 1.
    is_revenue: bool,
}

const WORLDS: [World; 3] = [
    World { name: "no effect: conversion", units_an_arm: 10_000, treatment_share: TENTH, is_revenue: false },
    World { name: "no effect: revenue", units_an_arm: 10_000, treatment_share: TENTH, is_revenue: true },
    World { name: "conversion +10 %", units_an_arm: 20_000, treatment_share: ELEVEN_HUNDREDTHS, is_revenue: false },
];

/// How often a rule rejected, and at which share of the sample on average when it did.
#[derive(Clone, Copy, Default)]
struct Tally {
    rejected: u64,
    looks_taken: u64,
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(experiments)), Some(Ok(seed)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        eprintln!("usage: peeking EXPERIMENTS SEED");
        return ExitCode::from(2);
    };
    println!("{experiments} experiments a column, {LOOKS} looks, α = 5 %, seed {seed}; rejected at any look, in %\n");
    let columns: Vec<Vec<Tally>> = WORLDS.iter().map(|world| column(world, experiments, seed)).collect();
    let percent = |tally: &Tally| 100.0 * tally.rejected as f64 / experiments as f64;
    print!("| rule |");
    WORLDS.iter().for_each(|world| print!(" {} |", world.name));
    println!(" sample it took |\n|---|{}---|", "---|".repeat(WORLDS.len()));
    let mut outside = Vec::new();
    for (row, rule) in RULES.iter().enumerate() {
        print!("| {} |", rule.name);
        for (world, (column, expected)) in WORLDS.iter().zip(columns.iter().zip(&rule.expected)) {
            let found = percent(&column[row]);
            print!(" {found:.1} |");
            if !expected.contains(&found) {
                outside.push(format!("{}, {}: {found:.1} % is not within {expected:?}", rule.name, world.name));
            }
        }
        let last = columns[2][row];
        println!(" {:.0} % |", 100.0 * last.looks_taken as f64 / (LOOKS * last.rejected.max(1)) as f64);
    }
    outside.iter().for_each(|line| eprintln!("{line}"));
    println!("\n{} of {} numbers lie outside of what is expected", outside.len(), RULES.len() * WORLDS.len());
    if outside.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every rule sees the same experiments; each stops by itself.
fn column(world: &World, experiments: u64, seed: u64) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); RULES.len()];
    let mut dice = Dice::new(seed);
    for _ in 0..experiments {
        let (mut control, mut treatment) = (Sums::default(), Sums::default());
        let mut is_open = vec![true; RULES.len()];
        for look in 1..=LOOKS {
            for _ in 0..world.units_an_arm / LOOKS {
                control.add(dice.unit(TENTH, world.is_revenue));
                treatment.add(dice.unit(world.treatment_share, world.is_revenue));
            }
            let Some(arms) = Arms::of(&control, &treatment, world.units_an_arm) else { continue };
            for ((rule, open), tally) in RULES.iter().zip(&mut is_open).zip(&mut tallies) {
                if *open && (rule.rejects)(&arms, look) {
                    *open = false;
                    tally.rejected += 1;
                    tally.looks_taken += look;
                }
            }
        }
    }
    tallies
}
