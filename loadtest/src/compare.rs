//! `loadtest compare`: what a request costs the server, as a ratio to a bare echo of the same bodies.
//!
//! Always true here: both servers live through the same rounds, in turns, with the same number of threads and the same
//! client; the CPU time is the server process's own and includes what it does after the answers, until everything is
//! counted.

mod bodies;
mod drive;

use crate::api::Api;
use crate::procfs::cpu_seconds;
use crate::report::{print_json, table};
use crate::server::{Launch, Server, pin};
use anyhow::{Context, Result, ensure};
use bodies::{Class, Templates};
use clap::Args;
use drive::Lanes;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

const KEY: &str = "sdk-loadtest-compare";
const COUNTED_LIMIT: Duration = Duration::from_secs(120);

/// Measures `flagstream up` against a bare hyper echo, in turns
///
/// Each round drives the echo and then flagstream with the same bodies, as many requests in flight as asked for, each
/// on a connection of its own, and reads the CPU time of the server process from /proc before and after; flagstream's
/// includes what it still does after the load until its lag is 0. Reported are requests a second, requests a CPU second
/// of the server, and their ratio to the echo's, round by round.
#[derive(Args)]
#[command(after_help = "Examples:
  loadtest compare --binary target/release/flagstream
  loadtest compare --binary target/release/flagstream --class full --rounds 3 --json
  loadtest compare --binary target/release/flagstream --threads 1 --server-cpus 0 --client-cpus 1")]
pub(crate) struct Arguments {
    /// The flagstream binary
    #[arg(long, default_value = "target/release/flagstream")]
    binary: PathBuf,
    /// Requests in flight, each on its own connection
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    in_flight: u64,
    /// Seconds of load for each server and round
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Rounds of each class of bodies
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Bodies to measure with [default: all classes]
    #[arg(long, value_enum)]
    class: Vec<Class>,
    /// Threads of each server [default: one a CPU]
    #[arg(long)]
    threads: Option<usize>,
    /// Threads of the client
    #[arg(long, default_value_t = 1)]
    client_threads: usize,
    /// CPUs that the servers run on, separated by commas [default: all]
    #[arg(long, value_delimiter = ',')]
    server_cpus: Vec<usize>,
    /// CPUs that the client runs on, separated by commas [default: all]
    #[arg(long, value_delimiter = ',')]
    client_cpus: Vec<usize>,
    /// Partitions of flagstream's log [default: its own]
    #[arg(long)]
    partitions: Option<u32>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// One server in one round.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    requests: u64,
    /// Answers other than 2xx and broken connections.
    failed: u64,
    seconds: f64,
    server_cpu_seconds: f64,
    requests_per_second: f64,
    requests_per_cpu_second: f64,
    /// CPU seconds of the client's own process: near seconds × its threads, the client was the bottleneck.
    client_cpu_seconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    echo: Run,
    flagstream: Run,
    /// Of requests a CPU second, flagstream to echo.
    ratio_per_cpu_second: f64,
    /// Of requests a second, flagstream to echo.
    ratio_per_second: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassReport {
    class: Class,
    body_bytes_mean: f64,
    elements_mean: f64,
    rounds: Vec<Round>,
    ratio_per_cpu_second: Spread,
    ratio_per_second: Spread,
}

#[derive(Debug, Serialize)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    in_flight: u64,
    server_threads: usize,
    classes: Vec<ClassReport>,
}

/// Runs it: false if a request failed.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let server_threads = match arguments.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    let client_cpus = arguments.client_cpus.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.client_threads)
        .enable_all()
        .on_thread_start(move || {
            if let Err(error) = pin(&client_cpus) {
                eprintln!("the client is not pinned: {error:#}");
            }
        })
        .build()?;
    let classes = if arguments.class.is_empty() { Class::ALL.to_vec() } else { arguments.class.clone() };
    let mut report = Report { in_flight: arguments.in_flight, server_threads, classes: Vec::new() };
    for class in classes {
        let measured = measure(arguments, server_threads, class, &runtime)?;
        if !arguments.json {
            print(&measured);
        }
        report.classes.push(measured);
    }
    if arguments.json {
        print_json(&report)?;
    }
    let failed = |round: &Round| round.echo.failed + round.flagstream.failed > 0;
    let any_failed = report.classes.iter().any(|class| class.rounds.iter().any(failed));
    if any_failed {
        eprintln!("some requests failed: these figures are of a server that did not do its work");
    }
    Ok(!any_failed)
}

/// All rounds of one class, on fresh servers and an empty data directory.
fn measure(arguments: &Arguments, threads: usize, class: Class, runtime: &Runtime) -> Result<ClassReport> {
    let folder = tempfile::tempdir()?;
    let mut servers = [echo(arguments, threads, folder.path())?, flagstream(arguments, threads, folder.path())?];
    let mut lanes = Vec::new();
    let addresses = [servers[0].listening()?, servers[1].listening()?];
    for address in addresses {
        let connections = (0..arguments.in_flight).map(|number| Templates::new(class, address, KEY, number));
        lanes.push(Lanes::new(address, connections.collect::<Result<_>>()?));
    }
    let (body_bytes_mean, elements_mean) = (lanes[0].body_bytes_mean(), lanes[0].elements_mean());
    let mut rounds = Vec::new();
    for number in 1..=arguments.rounds {
        eprintln!("{}: round {number} of {}", class.name(), arguments.rounds);
        let seconds = Duration::from_secs_f64(arguments.seconds);
        let echo = runtime.block_on(one(&mut lanes[0], servers[0].pid(), seconds, None))?;
        let flagstream = runtime.block_on(one(&mut lanes[1], servers[1].pid(), seconds, Some(addresses[1])))?;
        ensure!(servers[1].ended()?.is_none(), "flagstream ended under load");
        rounds.push(Round {
            ratio_per_cpu_second: flagstream.requests_per_cpu_second / echo.requests_per_cpu_second,
            ratio_per_second: flagstream.requests_per_second / echo.requests_per_second,
            echo,
            flagstream,
        });
    }
    let ratio_per_cpu_second = spread(rounds.iter().map(|round| round.ratio_per_cpu_second))?;
    let ratio_per_second = spread(rounds.iter().map(|round| round.ratio_per_second))?;
    Ok(ClassReport { class, body_bytes_mean, elements_mean, rounds, ratio_per_cpu_second, ratio_per_second })
}

/// One server under load for `seconds`; `counted_by` is asked until everything is counted before the CPU time is read.
async fn one(lanes: &mut Lanes, pid: u32, seconds: Duration, counted_by: Option<SocketAddr>) -> Result<Run> {
    lanes.connect().await?;
    let mut api = counted_by.map(|address| Api::new(address, None));
    if let Some(api) = &mut api {
        api.wait_until_counted(COUNTED_LIMIT).await?;
    }
    let (server_before, client_before) = (cpu_seconds(pid)?, cpu_seconds(std::process::id())?);
    let driven = lanes.drive(seconds).await?;
    let client_cpu_seconds = cpu_seconds(std::process::id())? - client_before;
    if let Some(api) = &mut api {
        api.wait_until_counted(COUNTED_LIMIT).await?;
    }
    let server_cpu_seconds = cpu_seconds(pid)? - server_before;
    let requests = driven.answered as f64;
    Ok(Run {
        requests: driven.answered,
        failed: driven.failed,
        seconds: driven.seconds,
        server_cpu_seconds,
        requests_per_second: requests / driven.seconds,
        requests_per_cpu_second: requests / server_cpu_seconds.max(0.01),
        client_cpu_seconds,
    })
}

fn echo(arguments: &Arguments, threads: usize, folder: &Path) -> Result<Server> {
    let words = ["echo", "--listen", "127.0.0.1:0", "--threads", &threads.to_string()].map(str::to_owned);
    Server::spawn(&Launch {
        binary: std::env::current_exe()?,
        arguments: words.into(),
        environment: Vec::new(),
        cpus: arguments.server_cpus.clone(),
        log: folder.join("echo.log"),
    })
}

fn flagstream(arguments: &Arguments, threads: usize, folder: &Path) -> Result<Server> {
    let listen = ([127, 0, 0, 1], 0).into();
    let mut launch = Launch::up(&arguments.binary, &folder.join("data"), listen, KEY, &folder.join("server.log"));
    launch.cpus.clone_from(&arguments.server_cpus);
    launch.environment.push(("TOKIO_WORKER_THREADS", threads.to_string()));
    if let Some(partitions) = arguments.partitions {
        launch.environment.push(("FLAGSTREAM_LOG__PARTITIONS", partitions.to_string()));
    }
    Server::spawn(&launch)
}

/// Least, middle and most; of an even number, the middle is the mean of the two middle ones.
fn spread(values: impl Iterator<Item = f64>) -> Result<Spread> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (first, last) =
        (values.first().context("there are no rounds; ask for at least one")?, values[values.len() - 1]);
    let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    Ok(Spread { min: *first, median, max: last })
}

fn print(report: &ClassReport) {
    println!(
        "\n{}: bodies of {:.0} bytes and {:.1} elements in the mean",
        report.class.name(),
        report.body_bytes_mean,
        report.elements_mean
    );
    let mut table = table([
        "round",
        "server",
        "requests/s",
        "CPU s",
        "requests/CPU s",
        "failed",
        "client CPU s",
        "ratio/s",
        "ratio/CPU s",
    ]);
    for (number, round) in (1..).zip(&report.rounds) {
        for (name, run, ratios) in [
            ("echo", round.echo, None),
            ("flagstream", round.flagstream, Some([round.ratio_per_second, round.ratio_per_cpu_second])),
        ] {
            let [per_second, per_cpu_second] =
                ratios.map_or([String::new(), String::new()], |ratios| ratios.map(|ratio| format!("{ratio:.3}")));
            table.add_row([
                number.to_string(),
                name.to_owned(),
                format!("{:.0}", run.requests_per_second),
                format!("{:.2}", run.server_cpu_seconds),
                format!("{:.0}", run.requests_per_cpu_second),
                run.failed.to_string(),
                format!("{:.2}", run.client_cpu_seconds),
                per_second,
                per_cpu_second,
            ]);
        }
    }
    println!("{table}");
    for (what, spread) in [("CPU second", &report.ratio_per_cpu_second), ("second", &report.ratio_per_second)] {
        println!(
            "ratio of requests a {what} to the echo's: min {:.3}, median {:.3}, max {:.3}",
            spread.min, spread.median, spread.max
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let of = |values: &[f64]| spread(values.iter().copied()).map(|spread| (spread.min, spread.median, spread.max));
        assert_eq!(of(&[3.0, 1.0, 2.0]).unwrap(), (1.0, 2.0, 3.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).unwrap(), (1.0, 2.5, 4.0));
        assert!(of(&[]).is_err());
    }
}
