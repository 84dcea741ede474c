//! Proof by weight: load with a ledger, checked against what the server says it counted; crashes under that load; and
//! figures.
//!
//! Always true here: nothing goes to another machine; every run has an end; no server that was started here outlives
//! its command. Start at [`ledger`], which everything else writes or reads, and [`differences`], which decides.

mod address;
mod apart;
mod api;
mod check;
mod compare;
mod contents;
mod crash;
mod dice;
mod differences;
mod echo;
mod environments;
mod expected;
mod flags;
mod http;
mod idle;
mod ledger;
mod load;
mod payload;
mod procfs;
mod report;
mod request;
mod run;
mod send;
mod server;
mod stand_in;
#[cfg(test)]
mod tests;
mod times;
mod zipf;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Load with a ledger, checked against what the server says it counted
#[derive(Parser)]
#[command(
    name = "loadtest",
    after_help = "A session, against a server that takes the key sdk-1 and has counted nothing yet:
  flagstream up --data /tmp/try --sdk-key sdk-1
  loadtest run --sdk-key sdk-1 --seconds 10 --ledger /tmp/ledger.jsonl
  loadtest check --ledger /tmp/ledger.jsonl
A fleet's load on 20 environments, at a rate:
  loadtest environments --environments 20 > flagstream.toml
  flagstream up --data /tmp/try --config flagstream.toml
  loadtest send --environments 20 --events-per-second 10000 --seconds 30 --ledger /tmp/ledger.jsonl --page load.html
Or let it start, kill and measure the server itself:
  loadtest crash --binary target/release/flagstream
  loadtest compare --binary target/release/flagstream"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Send(Box<send::Arguments>),
    Environments(environments::Arguments),
    Check(check::Arguments),
    Crash(crash::Arguments),
    Apart(apart::Arguments),
    Compare(compare::Arguments),
    Idle(idle::Arguments),
    Echo(echo::Arguments),
    Up(stand_in::Arguments),
}

fn main() -> ExitCode {
    match command(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> Result<bool> {
    match command {
        Command::Run(arguments) => until_interrupted(None, run::run(arguments)),
        Command::Check(arguments) => until_interrupted(None, check::run(arguments)),
        Command::Crash(arguments) => until_interrupted(None, crash::run(arguments)),
        Command::Apart(arguments) => until_interrupted(None, apart::run(arguments)),
        Command::Idle(arguments) => until_interrupted(None, idle::run(arguments)),
        // It ends by itself on SIGINT, with a report.
        Command::Send(arguments) => runtime(Some(arguments.threads))?.block_on(send::run(*arguments)),
        Command::Environments(arguments) => {
            environments::run(&arguments);
            Ok(true)
        }
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Echo(arguments) => until_interrupted(arguments.threads, echo::run(arguments)),
        // It ends by itself on SIGTERM.
        Command::Up(arguments) => runtime(None)?.block_on(stand_in::run(arguments)),
    }
}

fn runtime(threads: Option<usize>) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.max(1));
    }
    Ok(builder.enable_all().build()?)
}

/// Runs a command; SIGINT and SIGTERM end it as a failure would, so that no server it started is left behind.
fn until_interrupted(threads: Option<usize>, command: impl Future<Output = Result<bool>>) -> Result<bool> {
    runtime(threads)?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            outcome = command => outcome,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}
