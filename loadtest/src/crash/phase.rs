//! Rounds that end in the same way, on one data directory, and the checks at their end.

use super::life::Lives;
use crate::check::{Verdict, check};
use crate::dice::Dice;
use crate::environments::Target;
use crate::expected::Unanswered;
use crate::ledger::{Ledger, Line, Run};
use crate::load::{Load, Plan, Progress, now_ms, settle};
use crate::server::{Launch, Server, free_port};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY: &str = "sdk-loadtest-crash";
const COUNTED_LIMIT: Duration = Duration::from_secs(60);
/// Share of kills after which the server is killed again while it starts.
const KILLED_AT_START_SHARE: f64 = 0.25;
const KILLED_AT_START_MS_MAX: u64 = 120;

/// How the server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stop {
    Kill,
    Terminate,
}

impl Stop {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// What a phase is to do.
pub(super) struct Phase {
    pub(super) binary: PathBuf,
    pub(super) stop: Stop,
    pub(super) rounds: u32,
    pub(super) partitions: u32,
    pub(super) round_length: Duration,
    pub(super) clients: u64,
    /// Payloads a second of all clients together.
    pub(super) rate: f64,
    pub(super) seed: u64,
    /// Keep data and ledger also if all holds.
    pub(super) keep: bool,
}

/// One round: load, a stop, a start.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Round {
    pub(super) round: u32,
    pub(super) load_ms: f64,
    /// Attempts of the clients from the last first 2xx to this one.
    pub(super) acknowledged: u64,
    pub(super) unknown: u64,
    /// Those of the unknown that were answered, with a 5xx or another status that the SDK retries.
    pub(super) denied: u64,
    pub(super) not_connected: u64,
    pub(super) stop_ms: f64,
    /// Times it was killed again while it started.
    pub(super) killed_at_start: u32,
    /// From the start of the process to the first payload acknowledged.
    pub(super) first_2xx_ms: f64,
    /// The lag when it first answered.
    pub(super) lag_records: Option<u64>,
}

/// What came of a phase.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhaseReport {
    pub(super) stop: Stop,
    pub(super) partitions: u32,
    /// Stops, those at start included.
    pub(super) stops: u64,
    pub(super) rounds: Vec<Round>,
    pub(super) after_rounds: Verdict,
    /// Payloads sent again because nothing was known about them.
    pub(super) settled: u64,
    pub(super) after_settling: Verdict,
    pub(super) after_restart: Verdict,
    /// Where data and ledger are kept, if something does not hold or they were asked for.
    pub(super) kept: Option<PathBuf>,
}

impl PhaseReport {
    pub(super) fn holds(&self) -> bool {
        self.after_rounds.holds && self.after_settling.holds && self.after_restart.holds
    }
}

impl Phase {
    /// Runs it. If it fails, the folder with data, ledger and the server's output is kept and named.
    pub(super) async fn run(&self) -> Result<PhaseReport> {
        let folder = tempfile::Builder::new().prefix("flagstream-crash-").tempdir()?;
        match self.run_in(&folder).await {
            Ok(mut report) => {
                report.kept = (self.keep || !report.holds()).then(|| folder.keep());
                Ok(report)
            }
            Err(error) => {
                let kept = folder.keep();
                Err(error).with_context(|| format!("data, ledger and the server's output are in {}", kept.display()))
            }
        }
    }

    async fn run_in(&self, folder: &TempDir) -> Result<PhaseReport> {
        let ledger_path = folder.path().join("ledger.jsonl");
        let at_ms = now_ms();
        let run = at_ms as u64;
        let ledger = Arc::new(Ledger::open(&ledger_path)?);
        ledger.write(&Line::Run(Run { run, seed: self.seed, clients: self.clients, at_ms }))?;
        let progress = Progress::new()?;
        let address = free_port(run)?;
        let log = folder.path().join("server.log");
        let mut launch = Launch::up(&self.binary, &folder.path().join("data"), address, KEY, &log);
        launch.environment.push(("FLAGSTREAM_LOG__PARTITIONS", self.partitions.to_string()));
        let target = Target::default_under(KEY);
        let (ledger_of_lives, progress_of_lives) = (Arc::clone(&ledger), Arc::clone(&progress));
        let mut lives = Lives {
            launch,
            address,
            target: target.clone(),
            run,
            ledger: ledger_of_lives,
            progress: progress_of_lives,
            started: 0,
        };

        let (server, _) = lives.start().await?;
        let plan = Plan {
            address,
            target,
            clients: self.clients,
            seed: self.seed,
            run,
            rate: Some(self.rate),
            payloads: None,
            gzip_share: 0.3,
            duplicate_share: 0.05,
        };
        let load = Load::start(plan, Arc::clone(&ledger), Arc::clone(&progress));
        let (server, rounds) = self.rounds(&mut lives, server).await?;
        let unsettled = load.stop().await?;

        let unanswered = match self.stop {
            Stop::Kill => Unanswered::Unknown,
            Stop::Terminate => Unanswered::NotAccepted,
        };
        let verdict = || check(address, None, &ledger_path, unanswered, COUNTED_LIMIT);
        let after_rounds = verdict().await?;
        let settled = settle(address, &ledger, &progress, unsettled).await?;
        let after_settling = verdict().await?;
        lives.stop(server, self.stop)?;
        let (server, _) = lives.start().await?;
        let after_restart = verdict().await?;
        let stops = lives.started - 1;
        lives.stop(server, self.stop)?;
        Ok(PhaseReport {
            stop: self.stop,
            partitions: self.partitions,
            stops,
            rounds,
            after_rounds,
            settled,
            after_settling,
            after_restart,
            kept: None,
        })
    }

    async fn rounds(&self, lives: &mut Lives, mut server: Server) -> Result<(Server, Vec<Round>)> {
        let mut dice = Dice::of_part(self.seed, u64::from(self.partitions));
        let mut rounds = Vec::new();
        let mut before = [0; 4];
        for round in 1..=self.rounds {
            lives.wait_for_load(self.clients).await?;
            let began = Instant::now();
            let permille = dice.between(50, 1_000) as u32;
            tokio::time::sleep(self.round_length * permille / 1_000).await;
            let load_ms = ms(began.elapsed());
            let stop_ms = ms(lives.stop(server, self.stop)?);
            let mut killed_at_start = 0;
            while self.stop == Stop::Kill && dice.happens(KILLED_AT_START_SHARE) {
                lives.start_and_kill(Duration::from_millis(dice.below(KILLED_AT_START_MS_MAX))).await?;
                killed_at_start += 1;
            }
            let (next, start) = lives.start().await?;
            server = next;
            let progress = &lives.progress;
            let numbers = [&progress.acknowledged, &progress.unknown, &progress.not_connected, &progress.denied];
            let now = numbers.map(|number| number.load(Ordering::Relaxed));
            rounds.push(Round {
                round,
                load_ms,
                acknowledged: now[0] - before[0],
                unknown: now[1] - before[1],
                denied: now[3] - before[3],
                not_connected: now[2] - before[2],
                stop_ms,
                killed_at_start,
                first_2xx_ms: start.first_2xx_ms,
                lag_records: start.lag_records,
            });
            before = now;
            eprintln!("{}, {} partitions: round {round} of {}", self.stop.name(), self.partitions, self.rounds);
        }
        Ok((server, rounds))
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
