//! `loadtest send`: what a fleet of SDKs sends, at a rate, measured as the fleet would feel it.
//!
//! Always true here: the schedule is fixed before the first request goes, and no answer moves it (open loop); latency
//! runs from the intended start; what the sender itself could not do is said. Follow one request: [`schedule`] says
//! when, [`shelf`] has the payload that [`mix`] drew, [`sender`] sends it, [`measures`] takes its times, [`report`]
//! tells.

mod measures;
mod mix;
mod page;
mod plot;
mod report;
mod schedule;
mod sender;
mod shelf;
#[cfg(test)]
mod tests;

use crate::address;
use crate::environments::{ENVIRONMENTS_MAX, Target};
use crate::ledger::{Ledger, Line, Run};
use crate::load::{Progress, now_ms};
use crate::procfs::cpu_seconds;
use crate::report::print_json;
use crate::zipf::Zipf;
use anyhow::{Context, Result, ensure};
use clap::Args;
use measures::{Measures, quantile_ms};
use mix::Mix;
use report::{Ended, Report};
use schedule::{Arrivals, Schedule};
use sender::{Queue, Sender, Source};
use serde::Serialize;
use shelf::Shelf;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long connections may need to end what they began when they are stopped: an attempt, and the shelf's refresher.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Sends what SDKs send, at a rate fixed in advance, and measures it
///
/// Open loop: when each request goes is fixed before the first one does, from rate, length and seed, and does not
/// depend on the answers. The latency of a request runs from when it was intended, so a server that stalls is not
/// spared the requests that would have met it (no coordinated omission). How far sends began behind their time is shown
/// too, with the cause: no free connection (the server is slower than the rate), or no CPU for this sender.
///
/// Payloads are those of a fleet: summaries, full events, index, identify, custom and diagnostic events, of many sizes,
/// some compressed, some from clients with a wrong clock; environments and flags by Zipf's law. They are prepared
/// before the start, and given the time anew now and then, so that the sender costs little. A payload is sent once more
/// after a second on 400, 408, 429, 5xx and network errors, as SDKs do.
///
/// With --ledger there is a line before each send and one after each answer: `loadtest check` compares it with what the
/// server counted, `check/check.py` with a dump of the log. Ctrl-C ends the run early, with a report. Exits with 1 if
/// the schedule was not held or payloads were refused for good.
#[derive(Args, Debug, Serialize)]
#[command(
    group = clap::ArgGroup::new("rate").required(true).args(["requests_per_second", "events_per_second", "saturate"]),
    after_help = "Examples, against a server that has the environments of `loadtest environments`:
  loadtest send --requests-per-second 500 --seconds 30
  loadtest send --events-per-second 46000 --seconds 600 --ledger ledger.jsonl --report report.json --page report.html
  loadtest send --saturate --connections 128 --seconds 30
Against the environment of `flagstream up --sdk-key sdk-1`:
  loadtest send --sdk-key sdk-1 --requests-per-second 100 --seconds 10 --ledger ledger.jsonl"
)]
pub(crate) struct Arguments {
    /// Where the server is; loopback only
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "FLAGSTREAM_SERVER")]
    server: String,
    /// Send to the environment of this SDK key alone, the one that `flagstream up` makes by itself
    #[arg(long, conflicts_with = "environments")]
    #[serde(skip)]
    sdk_key: Option<String>,
    /// Environments, as `loadtest environments` names them
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(ENVIRONMENTS_MAX)))]
    environments: u32,
    /// Exponent of Zipf's law over environments: 0 = all alike, 1 = the second sends half as much as the first
    #[arg(long, default_value_t = 1.0)]
    environment_exponent: f64,
    /// Requests a second
    #[arg(long)]
    requests_per_second: Option<f64>,
    /// Events a second: elements of the payloads' arrays, in the mean (four billion a day are 46000 a second)
    #[arg(long)]
    events_per_second: Option<f64>,
    /// No rate: each connection sends when it has its answer (closed loop), to find the most that the server takes
    #[arg(long)]
    saturate: bool,
    /// How requests follow each other
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson)]
    arrivals: Arrivals,
    /// Length of the schedule, in seconds
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds after its end in which what is behind is still sent
    #[arg(long, default_value_t = 10.0)]
    drain_seconds: f64,
    /// Connections, each with one request in flight at most
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Threads of the sender
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Same seed, same schedule and same payloads, but for ids and times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Payloads prepared before the start; each is sent many times, with another id
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    payloads: u32,
    /// Seconds after which a prepared payload has the time anew: its times lie so far back at most
    #[arg(long, default_value_t = 15.0)]
    refresh_seconds: f64,
    /// A send is late if it begins more than so many milliseconds behind its time; the timer's own grain is 1
    #[arg(long, default_value_t = 20.0)]
    late_ms: f64,
    /// The schedule is held if no larger share of sends is late
    #[arg(long, default_value_t = 0.01)]
    late_share: f64,
    #[command(flatten)]
    mix: Mix,
    /// The ledger, made or added to [default: none is kept]
    #[arg(long, help_heading = "What is told")]
    ledger: Option<PathBuf>,
    /// Process of the server, whose CPU seconds are told; may be given more than once
    #[arg(long, help_heading = "What is told")]
    pid: Vec<u32>,
    /// Seconds between lines of progress; 0 = none
    #[arg(long, default_value_t = 5, help_heading = "What is told")]
    progress_seconds: u64,
    /// Write the report as JSON to this file
    #[arg(long, help_heading = "What is told")]
    report: Option<PathBuf>,
    /// Write the report as a page with plots, whole in itself, to this file
    #[arg(long, help_heading = "What is told")]
    page: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long, help_heading = "What is told")]
    json: bool,
}

/// Runs it: false if the schedule was not held, or payloads were refused for good.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    arguments.check()?;
    let report = send(&arguments, interrupted()?).await?;
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("cannot write the report `{}`", path.display()))?;
    }
    if let Some(path) = &arguments.page {
        let text = page::page(&report).into_string();
        std::fs::write(path, text).with_context(|| format!("cannot write the page `{}`", path.display()))?;
    }
    if arguments.json {
        print_json(&report)?;
    } else {
        report.print();
    }
    Ok(report.is_good())
}

/// Done when SIGINT or SIGTERM comes.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Prepares, sends until the schedule is done or `interrupted` is, and reports.
pub(crate) async fn send(arguments: &Arguments, interrupted: impl Future<Output = ()>) -> Result<Report> {
    let at_ms = now_ms();
    let run = at_ms as u64;
    let ledger = Arc::new(arguments.ledger.as_deref().map_or_else(|| Ok(Ledger::nowhere()), Ledger::open)?);
    let clients = arguments.connections.into();
    ledger.write(&Line::Run(Run { run, seed: arguments.seed, clients, at_ms }))?;
    eprintln!("preparing {} payloads", arguments.payloads);
    let payloads = arguments.payloads as usize;
    let shelf = Arc::new(Shelf::new(&arguments.mix, payloads, arguments.seed, run, Arc::clone(&ledger))?);
    let per_second = arguments.per_second(shelf.means().events)?;
    let (stop, stopped) = watch::channel(false);
    let targets = arguments.targets();
    let start = Instant::now();
    let sender = Arc::new(Sender {
        address: address::loopback(&arguments.server)?,
        seed: arguments.seed,
        run,
        zipf: Zipf::new(targets.len(), arguments.environment_exponent),
        targets,
        shelf: Arc::clone(&shelf),
        ledger,
        progress: Progress::new()?,
        measures: Mutex::new(Measures::new(Duration::from_secs_f64(arguments.late_ms / 1_000.0))?),
        start,
        queue: Mutex::new(Queue::new(arguments.source(per_second, start))),
        taken: AtomicU64::new(0),
        given_up: AtomicU64::new(0),
        stop: stopped,
    });
    let cpu_before = arguments.cpu_seconds()?;
    let refresher = {
        let (shelf, every) = (Arc::clone(&shelf), Duration::from_secs_f64(arguments.refresh_seconds));
        std::thread::Builder::new().name("refresher".to_owned()).spawn(move || shelf.refresh(every))?
    };
    let mut connections = JoinSet::new();
    for _ in 0..arguments.connections {
        connections.spawn(Arc::clone(&sender).connection());
    }
    let seconds =
        tokio::spawn(tell_seconds(Arc::clone(&sender), arguments.schedule(per_second), arguments.progress_seconds));
    let ended = until_sent(arguments, &mut connections, &stop, interrupted).await;
    let elapsed = start.elapsed();
    seconds.abort();
    shelf.stop();
    let refreshed = refresher.join();
    let ended = ended?;
    refreshed.unwrap_or_else(|_| anyhow::bail!("the thread that gives payloads the time anew panicked"))?;
    let cpu_seconds = arguments.cpu_seconds()?.iter().zip(cpu_before).map(|(after, before)| after - before).collect();
    let intended = arguments.schedule(per_second).map_or(0, |schedule| schedule.count() as u64);
    report::report(arguments, &sender, report::Run { per_second, intended, elapsed, ended, cpu_seconds })
}

/// Waits until all connections are done: because all is sent, or because they are told to stop.
async fn until_sent(
    arguments: &Arguments,
    connections: &mut JoinSet<Result<()>>,
    stop: &watch::Sender<bool>,
    interrupted: impl Future<Output = ()>,
) -> Result<Ended> {
    let limit = Duration::from_secs_f64(arguments.seconds + arguments.drain_seconds);
    let ended = tokio::select! {
        done = all(connections) => return done.map(|()| Ended::Sent),
        () = tokio::time::sleep(limit) => Ended::Behind,
        () = interrupted => Ended::Interrupted,
    };
    stop.send_replace(true);
    let last = tokio::time::timeout(STOP_LIMIT, all(connections)).await;
    last.with_context(|| format!("connections did not end within {} s", STOP_LIMIT.as_secs()))??;
    Ok(ended)
}

async fn all(connections: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(connection) = connections.join_next().await {
        connection??;
    }
    Ok(())
}

/// Ends one second after another in the measures, and says now and then how things are. It counts the schedule by
/// itself.
async fn tell_seconds(sender: Arc<Sender>, schedule: Option<Schedule>, progress_seconds: u64) {
    let mut schedule = schedule.into_iter().flatten().peekable();
    let mut second = tokio::time::interval_at((sender.start + Duration::from_secs(1)).into(), Duration::from_secs(1));
    let mut before = 0;
    for number in 1.. {
        second.tick().await;
        let elapsed = sender.start.elapsed();
        let mut intended = 0;
        while schedule.next_if(|at| *at <= elapsed).is_some() {
            intended += 1;
        }
        let mut measures = sender.measures();
        measures.end_second(elapsed, intended);
        if progress_seconds > 0 && number % progress_seconds == 0 {
            let answered = measures.answered();
            let latest = measures.seconds.last().copied().unwrap_or_default();
            let line = format!(
                "{:>5.0} s: {answered} requests, {:.0}/s; {}; last second: p99 {:.1} ms, most {:.1} ms; \
                 sends behind by p99 {:.1} ms, last second at most {:.1} ms",
                elapsed.as_secs_f64(),
                (answered - before) as f64 / progress_seconds as f64,
                measures.answers(),
                latest.p99_ms,
                latest.max_ms,
                quantile_ms(&measures.lag, 0.99),
                latest.lag_max_ms,
            );
            before = answered;
            drop(measures);
            eprintln!("{line}; {} wait to be sent again", sender.waiting());
        }
    }
}

impl Arguments {
    fn check(&self) -> Result<()> {
        self.mix.check()?;
        for (name, value, most) in [
            ("--requests-per-second", self.requests_per_second.unwrap_or(1.0), 1e6),
            ("--events-per-second", self.events_per_second.unwrap_or(1.0), 1e8),
            ("--seconds", self.seconds, 86_400.0),
            ("--refresh-seconds", self.refresh_seconds, 3_600.0),
        ] {
            ensure!(value > 0.0 && value <= most, "{name} is {value}; it is above 0 and at most {most}");
        }
        for (name, value, most) in [
            ("--drain-seconds", self.drain_seconds, 3_600.0),
            ("--environment-exponent", self.environment_exponent, 100.0),
            ("--late-ms", self.late_ms, 600_000.0),
            ("--late-share", self.late_share, 1.0),
        ] {
            ensure!((0.0..=most).contains(&value), "{name} is {value}; it lies in 0 to {most}");
        }
        Ok(())
    }

    fn targets(&self) -> Vec<Target> {
        match &self.sdk_key {
            Some(key) => vec![Target::default_under(key)],
            None => (1..=self.environments).map(Target::numbered).collect(),
        }
    }

    /// Requests a second; none = as many as there can be. `events` = of a request, in the mean.
    fn per_second(&self, events: f64) -> Result<Option<f64>> {
        ensure!(events > 0.0, "no payload has events; ask for more --payloads or fewer --diagnostics");
        Ok(self.requests_per_second.or(self.events_per_second.map(|per_second| per_second / events)))
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn schedule(&self, per_second: Option<f64>) -> Option<Schedule> {
        per_second.map(|per_second| Schedule::new(self.arrivals, per_second, self.length(), self.seed))
    }

    fn source(&self, per_second: Option<f64>, start: Instant) -> Source {
        let saturate = Source::Saturate { until: start + self.length() };
        self.schedule(per_second).map_or(saturate, Source::Schedule)
    }

    /// CPU seconds of this process, then of those that were named.
    fn cpu_seconds(&self) -> Result<Vec<f64>> {
        std::iter::once(std::process::id()).chain(self.pid.iter().copied()).map(cpu_seconds).collect()
    }
}
