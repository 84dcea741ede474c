//! What happens to the processes, and when.

use super::Arguments;
use super::catching_up::catch_up;
use super::house::House;
use super::proxy::{Mood, Proxy};
use super::stages::{Gate, Stage};
use super::trouble::{Clients, StoreTrouble, Trouble};
use crate::dice::Dice;
use crate::load::{Progress, now_ms};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// Longest load before something happens.
const LOAD: Duration = Duration::from_millis(1_500);
/// A processor that stands still for longer than 10 s is given up by its group.
const PAUSE: Duration = Duration::from_secs(12);
const LOAD_LIMIT: Duration = Duration::from_secs(60);
/// Longest load before trouble with the store, by which it is measured; half as long as the trouble, else.
const CALM: Duration = Duration::from_secs(30);

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    KillIngest,
    KillProcessor(u32),
    PauseProcessor(u32),
    KillWorker,
    /// Both paths by the gate, from now on.
    Stage(Stage),
    Flip(Stage, Duration),
    Trouble,
    /// The store is so for a time.
    Store(Mood, Duration),
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::KillIngest => "kill -9 of ingest",
            Self::KillProcessor(_) => "kill -9 of a processor",
            Self::PauseProcessor(_) => "a processor stands still for 12 s",
            Self::KillWorker => "kill -9 of the worker",
            Self::Stage(Stage::Off) => "stage off, elsewhere shadow",
            Self::Stage(Stage::Shadow) => "stage shadow",
            Self::Stage(Stage::Live) => "stage live",
            Self::Stage(Stage::Complete) => "stage complete",
            Self::Flip(..) => "flip of the stage",
            Self::Trouble => "trouble",
            Self::Store(Mood::Well, _) => "the store is well",
            Self::Store(Mood::Throttled(_), _) => "the store throttles",
            Self::Store(Mood::Gone, _) => "the store is gone",
        }
    }
}

/// One round: load, and something that happens.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Round {
    pub(super) round: usize,
    pub(super) what: &'static str,
    pub(super) load_ms: f64,
    /// Attempts of the clients from the end of the last round to the end of this one.
    pub(super) acknowledged: u64,
    pub(super) unknown: u64,
    /// Those of the unknown that were answered, with a 5xx or another status that the SDK retries.
    pub(super) denied: u64,
    pub(super) not_connected: u64,
}

/// All that is to happen, in order.
pub(super) struct Rounds<'a> {
    all: Vec<What>,
    dice: Dice,
    clients: u64,
    trouble: Option<(String, String, Duration)>,
    clients_meet: Clients,
    proxy: Option<&'a Proxy>,
    gate: Option<Gate>,
}

impl<'a> Rounds<'a> {
    pub(super) fn of(arguments: &Arguments, proxy: Option<&'a Proxy>, gate: Option<Gate>) -> Self {
        let kills = (0..arguments.kills).flat_map(|turn| [What::KillIngest, What::KillProcessor(turn)]);
        let mut all: Vec<What> = kills.collect();
        let mut dice = Dice::new(arguments.seed);
        let others = (0..arguments.pauses).map(What::PauseProcessor);
        for other in others.chain((0..arguments.trouble).map(|_| What::Trouble)) {
            let place = dice.below(all.len() as u64 + 1) as usize;
            all.insert(place, other);
        }
        let throttled = Mood::Throttled(arguments.throttled_share);
        let stores = [(throttled, arguments.throttled_seconds), (Mood::Gone, arguments.gone_seconds)];
        let stores = stores.into_iter().filter(|(_, seconds)| *seconds > 0.0);
        all.extend(stores.map(|(mood, seconds)| What::Store(mood, Duration::from_secs_f64(seconds))));
        if gate.is_some() {
            all.extend(stages(arguments.flips, Duration::from_secs_f64(arguments.flip_seconds)));
        }
        let trouble = arguments.begin_trouble.clone().zip(arguments.end_trouble.clone());
        let during = Duration::from_secs_f64(arguments.trouble_seconds);
        let trouble = trouble.map(|(begin, end)| (begin, end, during));
        Self { all, dice, clients: arguments.clients, trouble, clients_meet: arguments.clients_meet, proxy, gate }
    }

    pub(super) async fn run(mut self, house: &mut House, progress: &Progress) -> Result<(Vec<Round>, Vec<Trouble>)> {
        let (mut rounds, mut troubles) = (Vec::new(), Vec::new());
        let mut before = [0; 4];
        let all = std::mem::take(&mut self.all);
        for (round, what) in (1..).zip(&all) {
            let began = Instant::now();
            self.wait_for_load(house, progress).await?;
            tokio::time::sleep(LOAD * self.dice.between(50, 1_000) as u32 / 1_000).await;
            troubles.extend(self.happen(*what, house).await?);
            house.all_are_there()?;
            let now = numbers(progress);
            rounds.push(Round {
                round,
                what: what.name(),
                load_ms: began.elapsed().as_secs_f64() * 1_000.0,
                acknowledged: now[0] - before[0],
                unknown: now[1] - before[1],
                denied: now[2] - before[2],
                not_connected: now[3] - before[3],
            });
            before = now;
            eprintln!("round {round} of {}: {}", all.len(), what.name());
        }
        self.wait_for_load(house, progress).await?;
        Ok((rounds, troubles))
    }

    /// Waits until the clients are at work again: what happens then hits somebody.
    async fn wait_for_load(&self, house: &mut House, progress: &Progress) -> Result<()> {
        let began = Instant::now();
        let before = progress.acknowledged.load(Ordering::Relaxed);
        while progress.acknowledged.load(Ordering::Relaxed) < before + self.clients {
            house.all_are_there()?;
            ensure!(
                began.elapsed() < LOAD_LIMIT,
                "{} clients had fewer payloads than that acknowledged in {} s:\n{}",
                self.clients,
                LOAD_LIMIT.as_secs(),
                house.last_lines()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Lets it happen, and waits until it is over; what clients must have met while it lasted, where that is known.
    async fn happen(&self, what: What, house: &mut House) -> Result<Option<Trouble>> {
        match what {
            What::KillIngest => house.kill_ingest()?,
            What::KillProcessor(turn) => house.kill_processor(turn)?,
            What::KillWorker => house.kill_worker()?,
            What::Stage(stage) => drop(self.stage_is(stage, house).await?),
            What::Flip(stage, pause) => {
                let took = self.stage_is(stage, house).await?;
                tokio::time::sleep(pause.saturating_sub(took)).await;
            }
            What::PauseProcessor(turn) => {
                house.pause_processor(turn, true)?;
                tokio::time::sleep(PAUSE).await;
                house.pause_processor(turn, false)?;
            }
            What::Trouble => {
                let (begin, end, during) = self.trouble.as_ref().context("no trouble was named")?;
                block_in_place(|| shell(begin))?;
                let begun_ms = now_ms();
                tokio::time::sleep(*during).await;
                let lasted = begun_ms..now_ms();
                block_in_place(|| shell(end))?;
                let clients = self.clients_meet;
                return Ok(Some(Trouble { what: what.name(), lasted, clients, store: None }));
            }
            What::Store(mood, during) => return self.store_is(mood, during, what.name(), house).await.map(Some),
        }
        Ok(None)
    }

    /// From now on, and in force.
    async fn stage_is(&self, stage: Stage, house: &mut House) -> Result<Duration> {
        let gate = self.gate.as_ref().context("there is no gate")?;
        let took = gate.set(stage, house).await.with_context(|| house.last_lines())?;
        eprintln!(
            "stage {}: the first payload in it {:.0} ms after the file was saved",
            stage.name(),
            took.as_secs_f64() * 1_000.0
        );
        Ok(took)
    }

    /// Load as ever; then the store is so for a time; then it is well, and what waited is counted.
    async fn store_is(&self, mood: Mood, during: Duration, what: &'static str, house: &mut House) -> Result<Trouble> {
        let proxy = self.proxy.context("no proxy stands before the store")?;
        let calm_ms = now_ms();
        tokio::time::sleep((during / 2).min(CALM)).await;
        proxy.set(mood).await?;
        let (begun_ms, before) = (now_ms(), proxy.calls());
        tokio::time::sleep(during).await;
        let (lasted, after) = (begun_ms..now_ms(), proxy.calls());
        proxy.set(Mood::Well).await?;
        let caught_up = catch_up(house.reads_address()).await.with_context(|| house.last_lines())?;
        let store = StoreTrouble {
            calm: calm_ms..begun_ms,
            is_gone: mood == Mood::Gone,
            refused: after.refused - before.refused,
            passed: after.passed - before.passed,
            caught_up,
        };
        Ok(Trouble { what, lasted, clients: Clients::Unaware, store: Some(store) })
    }
}

/// All stages forward and back, with kills in each; then flips. The last is live, in which reads are of the new path.
fn stages(flips: u32, pause: Duration) -> impl Iterator<Item = What> {
    use Stage::{Complete, Live, Off, Shadow};
    let walk = [Off, Shadow, Live, Complete, Live, Shadow, Off, Shadow];
    let walk = walk.into_iter().flat_map(|stage| [What::Stage(stage), What::KillIngest, What::KillWorker]);
    let flips = (0..flips).map(move |flip| What::Flip(if flip % 2 == 0 { Live } else { Shadow }, pause));
    walk.chain(flips).chain([What::Stage(Live)])
}

fn numbers(progress: &Progress) -> [u64; 4] {
    let Progress { acknowledged, unknown, denied, not_connected, .. } = progress;
    [acknowledged, unknown, denied, not_connected].map(|number| number.load(Ordering::Relaxed))
}

fn shell(command: &str) -> Result<()> {
    let done = Command::new("sh").args(["-c", command]).output().with_context(|| format!("cannot run `{command}`"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`{command}` ended with {}: {}", done.status, said.trim());
    Ok(())
}
