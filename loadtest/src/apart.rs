//! `loadtest apart`: ingest, processors and reads in processes of their own, on a real log and store, killed by turns
//! under load; and what they counted in the end.

mod catching_up;
mod house;
mod proxy;
mod rounds;
mod seen;
mod stages;
mod trouble;

use crate::check::{Verdict, check};
use crate::environments::Target;
use crate::expected::Unanswered;
use crate::ledger::{Ledger, Line, Run};
use crate::load::{Load, Plan, Progress, now_ms, settle};
use crate::report::{print_json, table};
use crate::server::free_port;
use anyhow::{Context, Result, ensure};
use clap::Args;
use house::{ADMIN_KEY, House, SDK_KEY};
use proxy::Proxy;
use rounds::{Round, Rounds};
use serde::Serialize;
use stages::Compared;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use trouble::{Clients, Found};

/// Longest time until all that was acknowledged is counted: a dead processor is missed for 10 s before another has its
/// partitions.
const COUNTED_LIMIT: Duration = Duration::from_secs(180);

/// Kills ingest and processors by turns, under load, on a real Kafka and a real store
///
/// Makes a topic and tables of its own, starts `BINARY ingest`, `process` (twice) and `serve`, runs clients with a ledger
/// against ingest, and by turns kills ingest and a processor with -9 and starts them again; now and then a processor
/// stands still for longer than the group waits and then goes on. A proxy before DynamoDB can throttle it or take it away,
/// which ingest's clients must not notice. Then the ledger is checked; every payload about which
/// nothing is known is sent again with its id, after which each number must be exact. Exits with 1 on any difference, and
/// keeps configuration, ledger and what the processes said for a look.
#[derive(Args, Clone)]
#[command(after_help = "Examples (the addresses are those that `cargo xtask services up` prints):
  loadtest apart --binary target/debug/flagstream --brokers 127.0.0.1:19092 --dynamodb http://127.0.0.1:18000
  loadtest apart --brokers 127.0.0.1:19092 --dynamodb http://127.0.0.1:18000 --kills 2 --json
  loadtest apart --brokers 127.0.0.1:19092 --cassandra 127.0.0.1:19042
  loadtest apart --brokers … --dynamodb … --trouble 3 \\
    --begin-trouble 'cargo xtask services stop kafka --kill' --end-trouble 'cargo xtask services start kafka'
  loadtest apart --brokers … --dynamodb … --kills 0 --pauses 0 --throttled-seconds 120 --gone-seconds 120
  loadtest apart --brokers … --dynamodb … --sqs http://127.0.0.1:19324 --kills 0 --pauses 0")]
pub(crate) struct Arguments {
    /// The flagstream binary, built with --features full
    #[arg(long, default_value = "target/release/flagstream")]
    binary: PathBuf,
    /// Kafka's HOST:PORT
    #[arg(long)]
    brokers: String,
    /// Copies of each record
    #[arg(long, default_value_t = 1)]
    replication: u32,
    /// DynamoDB's address
    #[arg(long, required_unless_present = "cassandra", conflicts_with = "cassandra")]
    dynamodb: Option<String>,
    /// Cassandra's HOST:PORT
    #[arg(long)]
    cassandra: Option<String>,
    /// The address of a server that speaks SQS: the old path and the gate before it run too, all stages are gone through,
    /// and the two paths are compared
    #[arg(long, requires = "dynamodb")]
    sqs: Option<String>,
    /// Times that the stage flips between shadow and live, after all stages were gone through
    #[arg(long, default_value_t = 12, requires = "sqs")]
    flips: u32,
    /// Seconds from one flip to the next
    #[arg(long, default_value_t = 5.0, requires = "sqs")]
    flip_seconds: f64,
    /// Kills of ingest, and as many of processors
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// Times that a processor stands still for 12 s, which is longer than its group waits for it
    #[arg(long, default_value_t = 1)]
    pauses: u32,
    /// Times that --begin-trouble is run under load, and --end-trouble after it
    #[arg(long, default_value_t = 0, requires_all = ["begin_trouble", "end_trouble"])]
    trouble: u32,
    /// A command for `sh`: something else fails
    #[arg(long)]
    begin_trouble: Option<String>,
    /// A command for `sh`: it works again
    #[arg(long)]
    end_trouble: Option<String>,
    /// Seconds from one to the other
    #[arg(long, default_value_t = 3.0)]
    trouble_seconds: f64,
    /// What clients must meet from the end of --begin-trouble until --end-trouble begins
    #[arg(long, value_enum, default_value_t = Clients::Anything)]
    clients_meet: Clients,
    /// Seconds for which DynamoDB throttles, after all else: a proxy stands in front of it, which gives DynamoDB's errors
    #[arg(long, default_value_t = 0.0)]
    throttled_seconds: f64,
    /// Share of calls that are refused then, 0 to 1
    #[arg(long, default_value_t = 0.9)]
    throttled_share: f64,
    /// Seconds for which DynamoDB is gone, after all else: the proxy refuses connections
    #[arg(long, default_value_t = 0.0)]
    gone_seconds: f64,
    /// Partitions of the log
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Clients at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    clients: u64,
    /// Payloads a second of all clients together
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Chooses the payloads and the moments of the kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where configuration, ledger and what the processes said go, and stay [default: a temporary folder, which stays
    /// if something does not hold]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    store: &'static str,
    seed: u64,
    rounds: Vec<Round>,
    troubles: Vec<Found>,
    /// Of old path and new one, where both ran.
    compared: Vec<Compared>,
    after_rounds: Verdict,
    /// Payloads sent again because nothing was known about them.
    settled: u64,
    after_settling: Verdict,
    /// Where configuration, ledger and outputs are kept, if no folder was named and something does not hold.
    kept: Option<PathBuf>,
}

impl Report {
    fn holds(&self) -> bool {
        self.after_rounds.holds
            && self.after_settling.holds
            && self.troubles.iter().all(Found::holds)
            && self.compared.iter().all(Compared::holds)
    }
}

/// Runs it: false if anything does not hold.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let Arguments { rate, trouble_seconds, throttled_seconds, throttled_share, gone_seconds, .. } = arguments;
    ensure!(
        rate > 0.0 && [trouble_seconds, throttled_seconds, gone_seconds].iter().all(|seconds| *seconds >= 0.0),
        "--rate must be above 0, seconds not below"
    );
    ensure!((0.0..=1.0).contains(&throttled_share), "--throttled-share must be from 0 to 1");
    ensure!(
        arguments.dynamodb.is_some() || throttled_seconds + gone_seconds == 0.0,
        "--throttled-seconds and --gone-seconds are for --dynamodb: the proxy gives its errors"
    );
    let (folder, temporary) = match &arguments.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            (folder.clone(), None)
        }
        None => {
            let made = tempfile::Builder::new().prefix("flagstream-apart-").tempdir()?;
            (made.path().to_owned(), Some(made))
        }
    };
    let report = run_in(arguments.clone(), &folder).await;
    let is_kept = temporary.is_none() || !report.as_ref().is_ok_and(Report::holds);
    if let Some(temporary) = temporary.filter(|_| is_kept) {
        // It stays; where it is, is told below.
        drop(temporary.keep());
    }
    let report = report.with_context(|| format!("all of it is kept in {}", folder.display()))?;
    let report = Report { kept: (is_kept && arguments.folder.is_none()).then_some(folder), ..report };
    if arguments.json {
        print_json(&report)?
    } else {
        print(&report)
    }
    Ok(report.holds())
}

async fn run_in(mut arguments: Arguments, folder: &Path) -> Result<Report> {
    let ledger_path = folder.join("ledger.jsonl");
    let at_ms = now_ms();
    let run = at_ms as u64;
    let ledger = Arc::new(Ledger::open(&ledger_path)?);
    ledger.write(&Line::Run(Run { run, seed: arguments.seed, clients: arguments.clients, at_ms }))?;
    let progress = Progress::new()?;
    let mut proxy = None;
    if let Some(dynamodb) =
        arguments.dynamodb.as_mut().filter(|_| arguments.throttled_seconds + arguments.gone_seconds > 0.0)
    {
        let started = Proxy::start(free_port(run + 2)?, dynamodb, arguments.seed).await?;
        *dynamodb = format!("http://{}", started.address);
        proxy = Some(started);
    }
    let mut house = House::build(&arguments, folder, run)?;
    let plan = Plan {
        address: house.ingest_address(),
        target: Target::default_under(SDK_KEY),
        clients: arguments.clients,
        seed: arguments.seed,
        run,
        rate: Some(arguments.rate),
        payloads: None,
        gzip_share: 0.3,
        duplicate_share: 0.05,
    };
    let beside = match &arguments.sqs {
        Some(_) => Some(beside(&plan, folder)?),
        None => None,
    };
    let load = Load::start(plan, Arc::clone(&ledger), Arc::clone(&progress));
    let (rounds, troubles) = Rounds::of(&arguments, proxy.as_ref(), house.gate()).run(&mut house, &progress).await?;
    let unsettled = load.stop().await?;
    if let Some(beside) = beside {
        beside.stop().await?;
    }
    let troubles = trouble::look(&ledger_path, &troubles)?;
    let (reads, key) = (house.reads_address(), || Some(ADMIN_KEY.to_owned()));
    let after_rounds = check(reads, key(), &ledger_path, Unanswered::Unknown, COUNTED_LIMIT).await;
    let after_rounds = after_rounds.with_context(|| house.last_lines())?;
    let compared = match house.gate() {
        Some(_) => stages::compare(&house).await.with_context(|| house.last_lines())?,
        None => Vec::new(),
    };
    let settled = settle(house.ingest_address(), &ledger, &progress, unsettled).await?;
    let after_settling = check(reads, key(), &ledger_path, Unanswered::Unknown, COUNTED_LIMIT).await?;
    house.stop()?;
    let store = if arguments.cassandra.is_some() { "cassandra" } else { "dynamodb" };
    let seed = arguments.seed;
    Ok(Report { store, seed, rounds, troubles, compared, after_rounds, settled, after_settling, kept: None })
}

/// Load of the environment that goes to `off` and back, with a ledger of its own.
fn beside(plan: &Plan, folder: &Path) -> Result<Load> {
    let (key, sdk_key) = stages::OTHER;
    let target = Target { environment: format!("default/{key}").into(), key: sdk_key.into() };
    let plan = Plan {
        target,
        run: plan.run + 1,
        clients: plan.clients.div_ceil(4),
        rate: plan.rate.map(|rate| rate / 4.0),
        ..plan.clone()
    };
    let ledger = Ledger::open(&folder.join("ledger-other.jsonl"))?;
    ledger.write(&Line::Run(Run { run: plan.run, seed: plan.seed, clients: plan.clients, at_ms: now_ms() }))?;
    Ok(Load::start(plan, Arc::new(ledger), Progress::new()?))
}

fn print(report: &Report) {
    let mut table = table(["round", "what", "load ms", "acknowledged", "unknown", "answered 5xx", "no connection"]);
    for round in &report.rounds {
        table.add_row([
            round.round.to_string(),
            round.what.to_owned(),
            format!("{:.0}", round.load_ms),
            round.acknowledged.to_string(),
            round.unknown.to_string(),
            round.denied.to_string(),
            round.not_connected.to_string(),
        ]);
    }
    println!("{table}");
    trouble::print(&report.troubles);
    stages::print(&report.compared);
    println!("after the last round:");
    report.after_rounds.print();
    println!("after {} unknown payloads were sent again:", report.settled);
    report.after_settling.print();
    if let Some(kept) = &report.kept {
        println!("configuration, ledger and what the processes said are kept in {}", kept.display());
    }
    let verdict = if report.holds() { "holds" } else { "DOES NOT HOLD" };
    println!("\n{verdict}: kafka and {}, {} rounds, seed {}", report.store, report.rounds.len(), report.seed);
}
