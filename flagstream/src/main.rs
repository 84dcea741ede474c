//! `flagstream`: all services in one process, or each alone; and the commands that ask a running server.

// Nothing is outside a binary.
#![allow(unreachable_pub)]

mod cli;
mod config;
#[cfg(feature = "oldpath")]
mod demo;
mod flags;
#[cfg(feature = "oldpath")]
mod gate;
mod keys;
mod logging;
mod output;
mod read;
mod server;
mod services;
mod setup;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::services::Role;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = run(&cli.command);
    match done {
        Ok(code) => code,
        Err(error) => {
            output::aside(&format!("flagstream: {}", output::with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// What the process ends with, where nothing went wrong.
fn run(command: &Command) -> anyhow::Result<ExitCode> {
    // Also where no configuration is read: a name that is nearly one of ours was meant to be it.
    config::variables::taken(std::env::vars_os())?;
    let done = match command {
        Command::Up(command) => services::run(Role::All, &command.service, &command.sdk_keys),
        Command::Ingest(command) => services::run(Role::Ingest, command, &[]),
        Command::Process(command) => services::run(Role::Process, command, &[]),
        Command::Serve(command) => services::run(Role::Serve, command, &[]),
        #[cfg(feature = "oldpath")]
        Command::Worker(command) => services::run(Role::Worker, command, &[]),
        Command::Setup(command) => setup::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Flags(command) => flags::run(command),
        #[cfg(feature = "oldpath")]
        Command::Compare(command) => return read::compare(command),
        #[cfg(feature = "oldpath")]
        Command::Gate(command) => return gate::run(command),
        #[cfg(feature = "oldpath")]
        Command::Demo(command) => return demo::run(command),
        Command::Evaluations(command) => read::evaluations(command),
        Command::Events(command) => read::events(command),
        Command::Books(command) => read::books(command),
        Command::Stale(command) => return read::stale(command),
        Command::Pipeline(reader) => read::pipeline(reader),
        Command::Health(reader) => read::health(reader),
    };
    done.map(|()| ExitCode::SUCCESS)
}
