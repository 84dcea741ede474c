//! What looking at an experiment often does to each rule of stopping: `stats`' own example, run with a seed.
//!
//! Always true here: what the example answers is what this command answers.

use crate::workspace;
use anyhow::{Context, Result};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Experiments in each column of the table
    #[arg(long, default_value_t = 5_000)]
    experiments: u64,
    /// What the dice begin with
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints the table; false when a number lies outside of what is expected.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut cargo = workspace::cargo();
    cargo.current_dir(workspace::root()).args(["run", "--quiet", "--package", "stats", "--example", "peeking", "--"]);
    cargo.args([arguments.experiments.to_string(), arguments.seed.to_string()]);
    Ok(cargo.status().context("run the example `peeking` of stats")?.success())
}
