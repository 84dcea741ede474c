//! The gate: which path writes an environment's payloads, and which path is in charge of it.
//!
//! Always true here: a payload has one stage from its decoding to the last of its writes; the old path is written only
//! after the log has every record of the payload, except in `off`, where the log has none; what the old path cannot
//! take in time is told to it as refused, never dropped in silence.
//!
//! A flag chooses the stage ([`FLAG_KEY`] in a flagd flag file, `watched.rs`), [`Stages`] decides how to get there, a
//! file keeps the last good one (`kept.rs`), and `crossing.rs` is the way of a payload. [`OldPath`] is the other sink,
//! implemented elsewhere.
//!
//! In `off` nothing of an environment comes into the log: no records, and no numbers of rejections either. Its books
//! thus tell of the other stages alone.

mod crossing;
mod environments;
mod flagd;
mod kept;
mod metrics;
mod old_path;
pub mod stages;
mod watched;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use schemas::id::Environment;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

pub(crate) use crossing::{cross, old_rows};
pub(crate) use environments::Cell;
pub use environments::EnvironmentState;
use environments::Environments;
pub use kept::Moved;
use metrics::{Metrics, UnderWay};
pub use old_path::{OldAnswer, OldCount, OldEvent, OldExposure, OldPath, OldPayload, OldVariation};
pub use stages::Stage;
#[cfg(doc)]
use stages::Stages;
pub use watched::FLAG_KEY;
use watched::Watched;

use crate::budget::{Budget, Held};
use crate::door::{Door, Inside};
use crate::ingest::Clock;
use crate::keys::Owner;

/// How often the flag is looked at.
pub(crate) const PACE: Duration = Duration::from_millis(150);
/// A stop waits this long for old writes under way.
const STOP: Duration = Duration::from_secs(5);

/// Asked before an environment steps forward, with the stages before and after it; an error is why it must not.
pub type MayAdvance = dyn Fn(&Environment, Stage, Stage) -> Result<(), String> + Send + Sync;

/// Where a gate finds what it needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The flagd flag file that is watched.
    pub flags: PathBuf,
    /// The data directory, in which the last good stages are kept.
    pub data: PathBuf,
    /// Most bytes of old writes under way.
    pub old_bytes_max: usize,
}

impl Settings {
    /// Default of [`Settings::old_bytes_max`]: 64 MiB.
    pub const OLD_BYTES_MAX: usize = 64 << 20;
}

/// Why there is no gate, or stages are not kept.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// What was kept cannot be understood.
    #[error(
        "kept stages in {path} cannot be understood: {why}; put a good copy there, or delete it: then each environment \
         begins with what the flag says, and with `off` while the flag cannot be read"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file cannot be read or written.
    #[error("kept stages in {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// One gate; clones are the same.
#[derive(Clone)]
pub struct Gate(Arc<Shared>);

struct Shared {
    data: PathBuf,
    clock: Clock,
    old: Arc<dyn OldPath>,
    watched: Watched,
    environments: Mutex<Environments>,
    may_advance: OnceLock<Box<MayAdvance>>,
    /// Why the flag said nothing at the last round.
    errors: Mutex<BTreeSet<String>>,
    /// Old writes under way.
    door: Door,
    room: Budget,
    metrics: Metrics,
}

/// Room for an old write, until it is written.
#[derive(Debug)]
struct Room {
    _inside: Inside,
    _held: Held,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("old", &self.0.old).field("environments", &self.lock()).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate that begins with the stages kept in the data directory and looks at its flag once; [`crate::Ingest`]
    /// drives it from there. A flag that cannot be read is no error: it is told, and what was kept holds.
    ///
    /// # Errors
    /// [`GateError`] where kept stages cannot be read.
    pub async fn open(settings: Settings, old: Arc<dyn OldPath>, clock: Clock) -> Result<Self, GateError> {
        let Settings { flags, data, old_bytes_max } = settings;
        let kept = kept::read(&data)?;
        let watched = Watched::new(flags).await;
        // Twice: an error counts when it is seen again.
        watched.look().await;
        watched.look().await;
        let environments = Mutex::new(Environments::new(kept, clock()));
        Ok(Self(Arc::new(Shared {
            data,
            clock,
            old,
            watched,
            environments,
            may_advance: OnceLock::new(),
            errors: Mutex::default(),
            door: Door::default(),
            room: Budget::new(old_bytes_max),
            metrics: Metrics::default(),
        })))
    }

    /// Sets who is asked before a step forward that the flag does not force; the first call counts. Without it none is
    /// held back. It is asked at each look, some times a second, and must not wait.
    pub fn ask_before_advancing(&self, may_advance: Box<MayAdvance>) {
        let _ = self.0.may_advance.set(may_advance);
    }

    /// The stage of an environment, for whoever answers reads. `off` where none is known.
    #[must_use]
    pub fn stage(&self, environment: &Environment) -> Stage {
        self.lock().cell(environment).map_or(Stage::Off, Cell::stage)
    }

    /// What is known of each environment, in their order.
    #[must_use]
    pub fn state(&self) -> Vec<EnvironmentState> {
        self.lock().state((self.0.clock)())
    }

    /// Old writes under way.
    #[must_use]
    pub fn old_waiting(&self) -> usize {
        self.0.door.inside()
    }

    /// Puts its counters into a registry: `gate_…` behind the registry's own prefix.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("gate");
        self.0.metrics.register(registry);
        registry.register_collector(Box::new(UnderWay { door: self.0.door.clone(), room: self.0.room.clone() }));
    }

    /// The stage that a payload of this owner is in from now on: read once for each.
    pub(crate) async fn stage_of(&self, owner: &Owner) -> Stage {
        if let Some(cell) = owner.stage.get() {
            return cell.stage();
        }
        let cell = self.look(&owner.environment).await;
        owner.stage.get_or_init(|| cell).stage()
    }

    /// Whether anything of this environment goes into the log now: a look in passing, which decides for no payload.
    pub(crate) fn uses_log(&self, owner: &Owner) -> bool {
        match owner.stage.get() {
            Some(cell) => cell.stage().writes_new(),
            None => self.stage(&owner.environment).writes_new(),
        }
    }

    /// Looks at the flag until told to stop, where no [`crate::Ingest`] drives it: in a process that answers reads.
    /// `environments` are those that have keys.
    pub async fn follow(self, environments: Vec<Environment>, mut stopped: watch::Receiver<bool>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = async { stopped.wait_for(|stopped| *stopped).await.map_or((), drop) } => break,
                _ = pace.tick() => self.round(environments.clone()).await,
            }
        }
        self.keep().await;
    }

    /// One round: looks at the flag, moves every environment that is due, keeps what changed. `environments` are those
    /// that have keys.
    pub(crate) async fn round(&self, environments: Vec<Environment>) {
        self.0.watched.look().await;
        let mut all: BTreeSet<Environment> = environments.into_iter().collect();
        all.extend(self.lock().met());
        for environment in &all {
            self.look(environment).await;
        }
        self.tell_errors();
        self.keep().await;
    }

    /// Asks the flag for one environment.
    async fn look(&self, environment: &Environment) -> Cell {
        let shared = &*self.0;
        let path = shared.watched.path();
        let said = shared.watched.ask(environment).await.map_err(|why| format!("flag file {path}: {why}"));
        let may_advance = |from, to| match shared.may_advance.get() {
            Some(may_advance) => may_advance(environment, from, to),
            None => Ok(()),
        };
        let looked = self.lock().look(environment, said, (shared.clock)(), may_advance);
        if let Some(Moved { at_ms, from, to, cause }) = looked.moved {
            shared.metrics.changed(to);
            let from = from.map(Stage::name);
            tracing::info!(%environment, from, to = to.name(), at_ms, cause, "stage changed");
        }
        if let Some(why) = looked.held_back {
            tracing::warn!(%environment, why, "step forward is held back");
        }
        looked.cell
    }

    /// Says once of each cause that the flag says nothing for it, and once that it does again.
    fn tell_errors(&self) {
        let now = self.lock().errors();
        let mut before = self.0.errors.lock().unwrap_or_else(PoisonError::into_inner);
        for error in now.difference(&before) {
            self.0.metrics.flag_errors.inc();
            tracing::warn!(error, "gate's flag cannot be read; the last good stages hold");
        }
        if now.is_empty() && !before.is_empty() {
            tracing::info!(path = %self.0.watched.path(), "gate's flag is read again");
        }
        *before = now;
    }

    async fn keep(&self) {
        let Some(kept) = self.lock().take_changed() else { return };
        let data = self.0.data.clone();
        let written = tokio::task::spawn_blocking(move || kept::write(&data, &kept)).await;
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.lock().not_kept();
        self.0.metrics.kept_errors.inc();
        tracing::warn!(error, "stages are in force but not on disk; a restart would not know them; trying again");
    }

    /// Room for an old write; `None` = so much is under way that it must be refused.
    fn room(&self, payload: &OldPayload) -> Option<Room> {
        let held = self.0.room.take(payload.bytes())?;
        Some(Room { _inside: self.0.door.enter()?, _held: held })
    }

    /// Waits for old writes under way, for 5 s at most, and takes no more. To be called when no payload comes any more.
    pub(crate) async fn stop(&self) {
        self.0.door.close();
        if timeout(STOP, self.0.door.empty()).await.is_err() {
            let under_way = self.old_waiting();
            tracing::warn!(under_way, "stopped before old writes ended; what came of them stays unknown");
        }
        self.keep().await;
    }

    fn lock(&self) -> MutexGuard<'_, Environments> {
        self.0.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
