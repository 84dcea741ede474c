//! The simulation, built with optimisation and run: `cargo xtask sim` is a shorter name for it.
//!
//! Always true here: what the simulation answers is what this command answers.

use crate::workspace;
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the simulation is to do; `cargo xtask sim --help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds and runs it; its exit code is this command's.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root()).args(["run", "--quiet", "--release", "--package", "simulation", "--"]);
    let status = cargo.args(&arguments.rest).status().context("run the simulation")?;
    Ok(code(status.code()))
}

/// What a program ended with; one that was killed ended with none.
fn code(ended: Option<i32>) -> ExitCode {
    ended.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::code;
    use std::process::ExitCode;

    #[test]
    fn an_exit_code_is_passed_on() {
        for (ended, passed) in [(Some(0), 0), (Some(1), 1), (Some(2), 2), (Some(101), 101), (None, 1), (Some(-1), 1)] {
            assert_eq!(format!("{:?}", code(ended)), format!("{:?}", ExitCode::from(passed)), "{ended:?}");
        }
    }
}
