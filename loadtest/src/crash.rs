//! `loadtest crash`: a server killed and stopped again and again under load, and what it counted in the end.

mod life;
mod phase;

use crate::check::Verdict;
use crate::report::{print_json, table};
use anyhow::{Result, bail, ensure};
use clap::Args;
use phase::{Phase, PhaseReport, Stop};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Kills a server with -9 under load, again and again, and checks what it counted
///
/// Starts `BINARY up` on an empty data directory, runs clients with a ledger against it, kills it at a moment chosen by
/// the seed, starts it again on the same data and port (now and then killing it while it starts), and goes on; the
/// clients' retries and repeated payloads cross the crashes. Then the ledger is checked; every payload about which
/// nothing is known is sent again with its id, after which each number must be exact; and the server is killed once
/// more, and must give the same numbers.
///
/// The graceful rounds, with a server and a ledger of their own, stop it with SIGTERM: it must end with 0, and what it
/// did not answer must not be counted. Exits with 1 on any difference, and keeps data, ledger and the server's output
/// for a look.
#[derive(Args)]
#[command(after_help = "Examples:
  loadtest crash --binary target/release/flagstream
  loadtest crash --binary target/debug/flagstream --rounds 20 --partitions 4 --seed 7 --json")]
pub(crate) struct Arguments {
    /// The flagstream binary
    #[arg(long, default_value = "target/release/flagstream")]
    binary: PathBuf,
    /// Rounds that end with kill -9
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Rounds that end with SIGTERM
    #[arg(long, default_value_t = 5)]
    graceful_rounds: u32,
    /// Partitions of the log; more than one number, separated by commas = all of it for each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    partitions: Vec<u32>,
    /// Longest time of load in a round
    #[arg(long, default_value_t = 1.5)]
    seconds_per_round: f64,
    /// Clients at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    clients: u64,
    /// Payloads a second of all clients together
    #[arg(long, default_value_t = 1_500.0)]
    rate: f64,
    /// Chooses the payloads and the moments of the kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds after which the whole is given up [default: by the number of rounds]
    #[arg(long)]
    limit_seconds: Option<u64>,
    /// Keep data, ledger and the server's output also if all holds
    #[arg(long)]
    keep: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    holds: bool,
    seed: u64,
    phases: Vec<PhaseReport>,
}

/// Runs it: false if anything does not hold.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    ensure!(
        arguments.rate > 0.0 && arguments.seconds_per_round > 0.0,
        "--rate and --seconds-per-round must be above 0"
    );
    let rounds = f64::from(arguments.rounds + arguments.graceful_rounds);
    let computed = 120.0 + rounds * (arguments.seconds_per_round + 20.0) * arguments.partitions.len() as f64;
    let limit = arguments.limit_seconds.map_or(Duration::from_secs_f64(computed), Duration::from_secs);
    // A server lives inside this future: whichever way it ends, dropping it kills the child.
    match tokio::time::timeout(limit, phases(&arguments)).await {
        Ok(report) => finish(&arguments, &report?),
        Err(_) => bail!("not done after {} s; the server was killed", limit.as_secs()),
    }
}

async fn phases(arguments: &Arguments) -> Result<Report> {
    let mut phases = Vec::new();
    for partitions in &arguments.partitions {
        for (stop, rounds) in [(Stop::Kill, arguments.rounds), (Stop::Terminate, arguments.graceful_rounds)] {
            if rounds == 0 {
                continue;
            }
            let phase = Phase {
                binary: arguments.binary.clone(),
                stop,
                rounds,
                partitions: *partitions,
                round_length: Duration::from_secs_f64(arguments.seconds_per_round),
                clients: arguments.clients,
                rate: arguments.rate,
                seed: arguments.seed,
                keep: arguments.keep,
            };
            let report = phase.run().await?;
            if !arguments.json {
                print(&report);
            }
            phases.push(report);
        }
    }
    Ok(Report { holds: phases.iter().all(PhaseReport::holds), seed: arguments.seed, phases })
}

fn finish(arguments: &Arguments, report: &Report) -> Result<bool> {
    if arguments.json {
        print_json(report)?;
    } else {
        let stops: u64 = report.phases.iter().map(|phase| phase.stops).sum();
        let verdict = if report.holds { "holds" } else { "DOES NOT HOLD" };
        println!("\n{verdict}: {stops} stops under load, seed {}", report.seed);
    }
    Ok(report.holds)
}

fn print(report: &PhaseReport) {
    let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.0}"));
    println!("\n{}, {} partitions", report.stop.name(), report.partitions);
    let mut table = table([
        "round",
        "load ms",
        "acknowledged",
        "unknown",
        "answered 5xx",
        "no connection",
        "killed at start",
        "stop ms",
        "first 2xx ms",
        "lag then",
    ]);
    for round in &report.rounds {
        table.add_row([
            round.round.to_string(),
            number(Some(round.load_ms)),
            round.acknowledged.to_string(),
            round.unknown.to_string(),
            round.denied.to_string(),
            round.not_connected.to_string(),
            round.killed_at_start.to_string(),
            number(Some(round.stop_ms)),
            number(Some(round.first_2xx_ms)),
            round.lag_records.map_or("-".to_owned(), |lag| lag.to_string()),
        ]);
    }
    println!("{table}");
    let show = |when: &str, verdict: &Verdict| {
        println!("{when}:");
        verdict.print();
    };
    show("after the last round", &report.after_rounds);
    show(&format!("after {} unknown payloads were sent again", report.settled), &report.after_settling);
    show("after one more restart", &report.after_restart);
    if let Some(kept) = &report.kept {
        println!("data, ledger and the server's output are kept in {}", kept.display());
    }
}
