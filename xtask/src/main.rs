//! The repository's own commands: `cargo xtask --help`. One file a command; what a command checks is a list of rows.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod arrows;
mod browsers;
mod crates;
mod dockerfile;
mod full;
mod load;
mod peeking;
mod real;
mod sdks;
mod services;
mod sim;
mod steps;
mod tools;
mod verify;
mod workspace;

/// The repository's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks everything that must hold before a change is taken: the test command
    Verify(verify::Arguments),
    /// Does what `verify` does, and then the long forms: thousands of seeds, ten times the kills, the release build
    Full(verify::Arguments),
    /// Checks which package imports which, and that the pure packages stay pure
    Arrows,
    /// Runs the real, pinned SDKs against a server, through faults, and compares what it counted
    Sdks(sdks::Arguments),
    /// Runs the checks in headless Chromium: browser SDKs that read all flags, and hostile names on our pages
    Browsers(browsers::Arguments),
    /// Sends what a fleet of SDKs sends and checks the ledger twice: by the server's answers, and in Python by its log
    Load(load::Arguments),
    /// Runs the suites of the log on Kafka and of the store on DynamoDB Local
    Suites,
    /// Kills ingest, processors and brokers, and throttles or takes away DynamoDB, under load; compares every number
    Apart(real::Apart),
    /// Finds or starts real Kafka, DynamoDB, Cassandra and an SQS server for tests, and stops them
    Services(services::Arguments),
    /// Runs the simulation: seeds, one seed as a trace, the mutants, the small worlds, the fleet of the stale report
    #[command(disable_help_flag = true)]
    Sim(sim::Arguments),
    /// Shows what peeking does to each rule of stopping an experiment; fails when a number is not as expected
    Peeking(peeking::Arguments),
    /// Checks that the tools that the other commands need are installed
    Tools,
    /// Lints the Dockerfile with a pinned hadolint, and holds the Compose file against its published schema
    Dockerfile,
    /// Prints how many crates the default build compiles
    Crates,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Verify(arguments) => verify::run(steps::VERIFY, &arguments),
        Command::Full(arguments) => verify::run(&full::steps(), &arguments),
        Command::Arrows => arrows::run(),
        Command::Sdks(arguments) => sdks::run(&arguments),
        Command::Browsers(arguments) => browsers::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Suites => real::suites(),
        Command::Apart(arguments) => real::apart(&arguments),
        Command::Services(arguments) => services::run(&arguments),
        Command::Sim(arguments) => match sim::run(&arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Peeking(arguments) => peeking::run(&arguments),
        Command::Tools => tools::run(),
        Command::Dockerfile => dockerfile::run(),
        Command::Crates => crates::run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
