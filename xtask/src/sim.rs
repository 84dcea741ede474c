//! The simulation, built with optimisation and run: `cargo xtask sim` is a shorter name for it.
//!
//! Always true here: what the simulation answers is what this command answers.

use crate::workspace;
use anyhow::{Context, Result};
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the simulation is to do; `cargo xtask sim --help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds and runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root()).args(["run", "--quiet", "--release", "--package", "simulation", "--"]);
    let status = cargo.args(&arguments.rest).status().context("run the simulation")?;
    Ok(status.success())
}
