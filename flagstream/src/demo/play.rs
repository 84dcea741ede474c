//! Plays the script: moves the gate, troubles the stores, and asks both paths at the end.
//!
//! Always true here: a stage that writes other paths than the one before begins only when all that was sent is
//! accepted, and nothing is sent while the gate makes that step; between shadow and live, which write the same, it moves
//! under load. The gate is never forced. What is judged was asked for when nothing was sent any more and all was
//! counted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use ingest::gate::Stage;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::house::Controls;
use super::script::{Part, Scene, Script};
use super::state::{Seen, State};
use super::told::{Asker, Comparison};
use super::traffic::{Still, Traffic};
use super::truth::Truth;
use super::verdict::{Verdict, judge};
use super::view::View;

/// So long a step of the gate, or numbers that have all that was accepted, are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the server is asked what both paths counted, for the view.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// How often it is asked how it is.
const METRICS_EVERY: Duration = Duration::from_millis(500);

/// How it ended.
pub struct Ended {
    /// What was sent.
    pub truth: Truth,
    /// What both paths counted.
    pub told: Comparison,
    /// What that shows.
    pub verdict: Verdict,
}

/// A script that is being played.
pub struct Play {
    script: Script,
    controls: Controls,
    asker: Asker,
    board: Arc<Board>,
    /// Who looks and shows.
    watching: JoinSet<()>,
}

/// What is known of it now.
struct Board {
    begun: Instant,
    lasts: Duration,
    traffic: Traffic,
    now: Mutex<Now>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default, Clone)]
struct Now {
    scene: Option<Scene>,
    waits_for: Option<String>,
}

impl Board {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_for(&self, what: &str) {
        self.now().waits_for = Some(what.to_owned());
    }

    fn state(&self) -> State {
        let Now { scene, waits_for } = self.now().clone();
        let state = State { elapsed: self.begun.elapsed(), lasts: self.lasts, scene, waits_for, ..State::default() };
        let seen = self.seen();
        state.with(&self.traffic.sent(), &seen)
    }
}

impl Play {
    /// Begins to look and to show.
    pub fn new(script: Script, address: SocketAddr, controls: Controls, traffic: Traffic) -> Self {
        let (now, seen) = (Mutex::default(), Mutex::default());
        let board = Arc::new(Board { begun: Instant::now(), lasts: script.lasts(), traffic, now, seen });
        let mut watching = JoinSet::new();
        watching.spawn(show(Arc::clone(&board)));
        watching.spawn(watch_metrics(Arc::clone(&board), Asker::new(address)));
        watching.spawn(watch_paths(Arc::clone(&board), Asker::new(address)));
        Self { script, controls, asker: Asker::new(address), board, watching }
    }

    /// Plays all of it.
    ///
    /// # Errors
    /// What kept it from its end.
    pub async fn finish(mut self) -> anyhow::Result<Ended> {
        let mut stage = Stage::Off;
        for scene in self.script.scenes() {
            if scene.stage != stage {
                self.step(stage, scene.stage).await?;
                stage = scene.stage;
            }
            *self.board.now() = Now { scene: Some(scene), waits_for: None };
            self.controls.trouble(scene.weather.trouble());
            sleep(scene.lasts).await;
        }
        let _still = self.all_accepted().await?;
        self.all_counted().await?;
        // Nobody asks beside us any more.
        self.watching.shutdown().await;
        let told = self.asker.comparison().await?;
        let sums = self.asker.event_sums().await?;
        let truth = self.board.traffic.sent().truth.clone();
        let verdict = judge(&truth, &told, &sums);
        Ok(Ended { truth, told, verdict })
    }

    async fn step(&mut self, from: Stage, to: Stage) -> anyhow::Result<()> {
        if Part::of(from) == Part::of(to) {
            return self.moved(to).await;
        }
        let still = self.all_accepted().await?;
        self.moved(to).await?;
        still.go_on(Part::of(to));
        Ok(())
    }

    async fn all_accepted(&self) -> anyhow::Result<Still> {
        self.board.waits_for("until every payload is accepted");
        self.board.traffic.hold().await
    }

    /// Has the flag changed, and waits until the gate is there.
    async fn moved(&mut self, to: Stage) -> anyhow::Result<()> {
        self.board.waits_for(&format!("for the gate to go to {}", to.name()));
        self.controls.ask_for(to)?;
        let mut why = None;
        let (asker, board) = (&mut self.asker, &self.board);
        let moved = async {
            loop {
                match asker.gate().await {
                    Ok(gate) if gate.stage == to => return,
                    Ok(gate) => why = gate.held_back,
                    Err(error) => why = Some(format!("{error:#}")),
                }
                if let Some(why) = &why {
                    board.waits_for(&format!("for the gate to go to {}: {why}", to.name()));
                }
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(PATIENCE, moved).await.is_ok() {
            return Ok(());
        }
        let why = why.unwrap_or_else(|| "it does not say why".to_owned());
        bail!("the gate did not go to {} within {PATIENCE:?}: {why}", to.name())
    }

    /// Waits until the numbers have all that was accepted.
    async fn all_counted(&mut self) -> anyhow::Result<()> {
        self.board.waits_for("until all that was accepted is counted");
        let asker = &mut self.asker;
        let counted = async {
            loop {
                if asker.metrics().await?.lag == 0 {
                    return anyhow::Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, counted).await.with_context(|| format!("not all was counted within {PATIENCE:?}"))?
    }
}

async fn show(board: Arc<Board>) {
    let mut view = View::new();
    let mut pace = interval(view.every());
    loop {
        pace.tick().await;
        view.show(&board.state());
    }
}

async fn watch_metrics(board: Arc<Board>, mut asker: Asker) {
    loop {
        if let Ok(metrics) = asker.metrics().await {
            board.seen().metrics = metrics;
        }
        sleep(METRICS_EVERY).await;
    }
}

/// While the store is in trouble it may have no answer; then the last one stays, and tells its age.
async fn watch_paths(board: Arc<Board>, mut asker: Asker) {
    loop {
        if let Ok(comparison) = asker.comparison().await {
            board.seen().take(&comparison);
        }
        sleep(COMPARE_EVERY).await;
    }
}
