//! `loadtest run`: clients against a running server, every attempt in the ledger.

use crate::address;
use crate::environments::Target;
use crate::ledger::{Ledger, Line, Run};
use crate::load::{Load, Plan, Progress, now_ms, settle};
use crate::report::{Ticker, print_json, table};
use anyhow::{Result, ensure};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Sends payloads as server SDKs do, and writes a ledger
///
/// Each client makes summaries, index and identify events, full events of experiments and custom events, sends them to
/// /bulk with a payload id, and sends a payload once more after a second, with the same id, on 400, 408, 429, 5xx and
/// network errors. On any other 4xx it falls silent, as an SDK does. Some payloads are sent again though they were
/// acknowledged.
///
/// The ledger gets a line before each send and one after each answer; `loadtest check` compares it with what the server
/// counted. It is added to, never overwritten, and must hold everything that the server was ever sent in that
/// environment.
#[derive(Args)]
#[command(after_help = "Examples:
  loadtest run --server http://127.0.0.1:8080 --sdk-key KEY --clients 32 --seconds 10 --ledger ledger.jsonl
  loadtest run --server http://127.0.0.1:8080 --sdk-key KEY --rate 200 --payloads 1000 --seed 7 --ledger ledger.jsonl --json")]
pub(crate) struct Arguments {
    /// Where the server is; loopback only
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "FLAGSTREAM_SERVER")]
    server: String,
    /// The SDK key that the payloads carry
    #[arg(long)]
    sdk_key: String,
    /// Clients at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    clients: u64,
    /// Seconds until the clients stop; each still ends what it began
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Payloads of all clients together [default: as many as the seconds hold]
    #[arg(long)]
    payloads: Option<u64>,
    /// Payloads a second of all clients together [default: each client sends when its last payload is done]
    #[arg(long)]
    rate: Option<f64>,
    /// Same seed, same payloads but for ids and times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of bodies that are compressed
    #[arg(long, default_value_t = 0.3)]
    gzip: f64,
    /// Share of acknowledged payloads after which one is sent again
    #[arg(long, default_value_t = 0.05)]
    duplicates: f64,
    /// At the end, send every payload about which nothing is known again, with its id, until it is acknowledged
    #[arg(long)]
    settle: bool,
    /// The ledger, made or added to
    #[arg(long)]
    ledger: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    seed: u64,
    run: u64,
    seconds: f64,
    attempts: u64,
    acknowledged: u64,
    unknown: u64,
    not_connected: u64,
    refused: u64,
    silenced_clients: u64,
    duplicates: u64,
    settled: u64,
    /// Payloads that nothing settled.
    unsettled: u64,
    evaluations: u64,
    acknowledged_per_second: f64,
    latency_ms: Latency,
}

/// From when a payload was due to its 2xx.
#[derive(Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

/// Runs it: false if the server refused a client's payload for good.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let address = address::loopback(&arguments.server)?;
    ensure!(arguments.rate.is_none_or(|rate| rate > 0.0), "--rate must be above 0; leave it out for no limit");
    ensure!((0.0..=86_400.0).contains(&arguments.seconds), "--seconds must lie in 0 to 86400");
    let at_ms = now_ms();
    let plan = Plan {
        address,
        target: Target::default_under(&arguments.sdk_key),
        clients: arguments.clients,
        seed: arguments.seed,
        run: at_ms as u64,
        rate: arguments.rate,
        payloads: arguments.payloads,
        gzip_share: arguments.gzip,
        duplicate_share: arguments.duplicates,
    };
    let ledger = Arc::new(Ledger::open(&arguments.ledger)?);
    ledger.write(&Line::Run(Run { run: plan.run, seed: plan.seed, clients: plan.clients, at_ms }))?;
    let progress = Progress::new()?;
    let ticker = Ticker::start(Arc::clone(&progress));
    let start = Instant::now();
    let mut load = Load::start(plan.clone(), Arc::clone(&ledger), Arc::clone(&progress));
    let mut unsettled = Vec::new();
    let seconds = Duration::from_secs_f64(arguments.seconds);
    // Clients may end by themselves, when their payloads are sent or the server has silenced them.
    let ended = tokio::time::timeout(seconds, load.done(&mut unsettled)).await;
    ended.unwrap_or(Ok(()))?;
    unsettled.extend(load.stop().await?);
    let elapsed = start.elapsed();
    let mut settled = 0;
    if arguments.settle {
        settled = settle(address, &ledger, &progress, std::mem::take(&mut unsettled)).await?;
    }
    drop(ticker);
    let report = report(&plan, &progress, elapsed, settled, unsettled.len() as u64);
    if arguments.json {
        print_json(&report)?
    } else {
        print_table(&report)
    }
    if report.silenced_clients > 0 {
        eprintln!("the server refused payloads for good; is `{}` the right SDK key?", plan.target.key);
    }
    Ok(report.silenced_clients == 0)
}

fn report(plan: &Plan, progress: &Progress, elapsed: Duration, settled: u64, unsettled: u64) -> Report {
    let read = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let latency = progress.latency_ms(&[0.5, 0.99, 1.0]);
    let acknowledged = read(&progress.acknowledged);
    Report {
        seed: plan.seed,
        run: plan.run,
        seconds: elapsed.as_secs_f64(),
        attempts: read(&progress.attempts),
        acknowledged,
        unknown: read(&progress.unknown),
        not_connected: read(&progress.not_connected),
        refused: read(&progress.refused),
        silenced_clients: read(&progress.silenced),
        duplicates: read(&progress.duplicates),
        settled,
        unsettled,
        evaluations: read(&progress.evaluations),
        acknowledged_per_second: acknowledged as f64 / elapsed.as_secs_f64(),
        latency_ms: Latency { p50: latency[0], p99: latency[1], max: latency[2] },
    }
}

fn print_table(report: &Report) {
    let mut table = table(["attempts", ""]);
    for (name, number) in [
        ("sent", report.attempts),
        ("acknowledged", report.acknowledged),
        ("  of them duplicates on purpose, at most", report.duplicates),
        ("unknown (5xx, lost answers)", report.unknown),
        ("without a connection", report.not_connected),
        ("refused for good", report.refused),
        ("payloads that nothing settled", report.unsettled),
    ] {
        table.add_row([name.to_owned(), number.to_string()]);
    }
    println!("{table}");
    println!(
        "{:.0} acknowledged a second over {:.1} s, {} evaluations; latency p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; seed {}",
        report.acknowledged_per_second,
        report.seconds,
        report.evaluations,
        report.latency_ms.p50,
        report.latency_ms.p99,
        report.latency_ms.max,
        report.seed,
    );
}
