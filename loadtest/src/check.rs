//! `loadtest check`: the ledger against what the server says it counted.

use crate::address;
use crate::api::Api;
use crate::differences::{Counted, Difference, differences};
use crate::expected::{Ledgered, Ranges, Totals, Unanswered};
use crate::ledger;
use crate::report::{print_json, table};
use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Differences that are printed; the others are only numbered.
const SHOWN_MAX: usize = 20;

/// Compares a ledger with what the server counted
///
/// Waits until the server has counted all that it acknowledged (`lag.records` is 0), then compares every flag,
/// variation and minute of every environment, every custom event and the books: acknowledged ≤ counted ≤ acknowledged + unknown. An
/// acknowledged payload counts once however often it was sent; one that was answered 5xx, or not at all, once or not at
/// all; one that was refused, not at all. The books must balance: accepted = counted + duplicate + late + poison. Exits
/// with 1, and names the first differences, if a number is not what it may be.
#[derive(Args)]
#[command(after_help = "Example:
  loadtest check --server http://127.0.0.1:8080 --ledger ledger.jsonl")]
pub(crate) struct Arguments {
    /// Where the server is; loopback only
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "FLAGSTREAM_SERVER")]
    server: String,
    /// A read key, where the server asks for one
    #[arg(long, env = "FLAGSTREAM_KEY")]
    key: Option<String>,
    /// The ledger of everything that the server was sent
    #[arg(long)]
    ledger: PathBuf,
    /// Seconds to wait until the server has counted what it acknowledged
    #[arg(long, default_value_t = 60)]
    wait_seconds: u64,
    /// An attempt whose connection ended without an answer must not be counted: for servers that were only stopped
    /// gracefully
    #[arg(long)]
    graceful: bool,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

/// What the comparison found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// Every number is what it may be.
    pub(crate) holds: bool,
    #[serde(flatten)]
    pub(crate) totals: Totals,
    /// Evaluations that the server counted.
    pub(crate) counted_evaluations: u64,
    /// Elements that the server's books say are counted.
    pub(crate) counted_elements: u64,
    /// Elements that the server's books say are duplicates.
    pub(crate) duplicate_elements: u64,
    pub(crate) environments: usize,
    /// Numbers compared: cells by flag, variation and minute; events; days of the books.
    pub(crate) cells: usize,
    pub(crate) events: usize,
    pub(crate) days: usize,
    /// How many numbers are not what they may be.
    pub(crate) difference_count: usize,
    /// The first of them.
    pub(crate) differences: Vec<Difference>,
}

/// Runs it: false if there is a difference.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let address = address::loopback(&arguments.server)?;
    let unanswered = if arguments.graceful { Unanswered::NotAccepted } else { Unanswered::Unknown };
    let limit = Duration::from_secs(arguments.wait_seconds);
    let verdict = check(address, arguments.key, &arguments.ledger, unanswered, limit).await?;
    if arguments.json {
        print_json(&verdict)?
    } else {
        verdict.print()
    }
    Ok(verdict.holds)
}

/// Reads both sides and compares them.
pub(crate) async fn check(
    address: SocketAddr,
    key: Option<String>,
    ledger: &Path,
    unanswered: Unanswered,
    limit: Duration,
) -> Result<Verdict> {
    let mut ledgered = Ledgered::new(unanswered);
    ledger::read(ledger, |line| ledgered.take(line))?;
    let expected = ledgered.expected();
    let (from_ms, to_ms) =
        expected.interval_ms.with_context(|| format!("the ledger `{}` is empty", ledger.display()))?;
    let mut api = Api::new(address, key);
    api.wait_until_counted(limit).await?;
    let mut verdict = Verdict { totals: expected.totals, ..Verdict::default() };
    for (environment, ranges) in &expected.environments {
        let counted = api.counted(environment, from_ms, to_ms).await?;
        let mut found = differences(ranges, &counted);
        if expected.environments.len() > 1 {
            found.iter_mut().for_each(|difference| difference.what.insert_str(0, &format!("{environment}: ")));
        }
        verdict.add(ranges, &counted, found);
    }
    verdict.holds = verdict.difference_count == 0;
    Ok(verdict)
}

impl Verdict {
    /// Adds what was found of one environment.
    fn add(&mut self, ranges: &Ranges, counted: &Counted, found: Vec<Difference>) {
        self.environments += 1;
        self.counted_evaluations += counted.evaluations.values().sum::<u64>();
        self.counted_elements += counted.books.values().map(|books| books.counted).sum::<u64>();
        self.duplicate_elements += counted.books.values().map(|books| books.duplicate).sum::<u64>();
        self.cells += ranges.evaluations.len();
        self.events += ranges.events.len();
        self.days += counted.books.values().filter(|books| books.accepted > 0).count();
        self.difference_count += found.len();
        let room = SHOWN_MAX - self.differences.len();
        self.differences.extend(found.into_iter().take(room));
    }

    /// Prints it for people.
    pub(crate) fn print(&self) {
        let Totals { payloads, acknowledged, unknown, refused, attempts, .. } = self.totals;
        println!(
            "{payloads} payloads in {attempts} attempts: {acknowledged} acknowledged, {unknown} unknown, {refused} not accepted"
        );
        println!(
            "evaluations: {} acknowledged, {} counted, in {} cells of flag, variation and minute, {} environments",
            self.totals.acknowledged_evaluations, self.counted_evaluations, self.cells, self.environments
        );
        println!(
            "elements: {} acknowledged, {} counted, {} duplicate; {} kinds of custom events",
            self.totals.acknowledged_elements, self.counted_elements, self.duplicate_elements, self.events
        );
        if !self.differences.is_empty() {
            let mut table = table(["not what it may be", "at least", "at most", "counted"]);
            for Difference { what, least, most, counted } in &self.differences {
                table.add_row([what.clone(), least.to_string(), most.to_string(), counted.to_string()]);
            }
            println!("{table}");
        }
        println!("{}", self.line());
    }

    /// The verdict in one line.
    pub(crate) fn line(&self) -> String {
        match self.difference_count {
            0 => "holds: acknowledged ≤ counted ≤ acknowledged + unknown everywhere, and the books balance".to_owned(),
            count => format!("DOES NOT HOLD: {count} numbers are not what they may be"),
        }
    }
}
