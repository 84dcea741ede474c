//! What the services stand on: the log, the store, and the generation that both must agree on.
//!
//! Always true here: the generation's row is in the store and its record is the first of each partition before anything
//! else is; a process that disagrees with either stops and names the value; a service opens nothing that it does not
//! need, so ingest goes on without a store.
//!
//! Where to go next: `log` and `store` open one of each kind, `embedded` has what lies in the data directory, `agree`
//! compares the generation.

pub mod agree;
mod embedded;
pub mod log;
pub mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use eventlog::EventLog;
use eventlog::files::create_private_durably;
use processor::{DeadLetters, Keeping, SnapshotEvery};
use stores::snapshots::Snapshots;
use stores::state::LocalState;
use tokio::sync::watch;
use tokio::time::Instant;

use self::log::Log;
use self::store::Store;
use super::{Role, old_path};
use crate::config::{Settings, kept};
use crate::output::{aside, with_causes};

/// So long a start waits for a log or store that does not answer,
const START_WITHIN: Duration = Duration::from_secs(60);
/// and asks again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Unix milliseconds by this machine's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What is open.
pub struct Backend {
    /// The log.
    pub log: Log,
    /// Cells and checkpoints; `None` = this service needs none.
    pub store: Option<Store>,
    /// How folding keeps things; `None` = this service folds nothing.
    pub keeping: Option<Keeping>,
    /// Where dead letters are kept and looked for; `None` = they lie with the processors.
    pub dead_letters: Option<PathBuf>,
    /// Which of them can promise nothing any more, once that is so.
    pub poisoned: Vec<(&'static str, watch::Receiver<Option<String>>)>,
}

/// Opens or makes what a role needs.
///
/// # Errors
/// What is wrong with which file, address or value, and what to try.
pub async fn open(settings: &Settings, role: Role) -> anyhow::Result<Backend> {
    refuse_what_one_process_has(settings, role)?;
    let data = &settings.data;
    // It holds keys and everybody's events: it is for its owner alone.
    create_private_durably(data).with_context(|| format!("cannot make the data directory {}", data.display()))?;
    let log = patiently("the log", || Log::open(settings)).await?;
    let store = match role.needs_store() || old_path::compares(settings, role) {
        true => Some(patiently("the store", || Store::open(settings)).await?),
        false => None,
    };
    patiently("log or store", || agree::agree(settings, &log, store.as_ref())).await?;
    let mut poisoned: Vec<_> = log.poisoned().map(|poisoned| ("log", poisoned)).into_iter().collect();
    poisoned.extend(store.as_ref().and_then(Store::poisoned).map(|poisoned| ("store", poisoned)));
    let keeping = match &store {
        Some(store) if role.folds() => Some(keeping(settings, store, &mut poisoned).await?),
        _ => None,
    };
    let dead_letters = dead_letters(settings, role);
    Ok(Backend { log, store, keeping, dead_letters, poisoned })
}

/// Tries again, for [`START_WITHIN`], what fails because somebody does not answer: they may be starting as well.
pub async fn patiently<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let end = Instant::now() + START_WITHIN;
    loop {
        match attempt().await {
            Err(error) if may_pass(&error) && Instant::now() < end => {
                aside(&format!("waiting for {what}: {}", with_causes(&error)));
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            ended => return ended,
        }
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(eventlog::Error::is_retryable)
            || cause.downcast_ref().is_some_and(stores::Error::is_retryable)
            || old_path_may_pass(cause)
    })
}

#[cfg(feature = "oldpath")]
fn old_path_may_pass(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(oldpath::Error::is_retryable)
}

#[cfg(not(feature = "oldpath"))]
fn old_path_may_pass(_: &(dyn std::error::Error + 'static)) -> bool {
    false
}

/// Files have one owner; services that run alone share their log and store with others.
fn refuse_what_one_process_has(settings: &Settings, role: Role) -> anyhow::Result<()> {
    let (log, store) = (&settings.written.log.kind, &settings.written.store.kind);
    ensure!(
        role == Role::All || !matches!(settings.log, kept::Log::Embedded { .. }),
        "the {log} log belongs to one process; run `flagstream up`, or set log.kind = \"kafka\" for `flagstream {role}`"
    );
    ensure!(
        role == Role::All || !matches!(settings.store, kept::Store::Embedded),
        "the {store} store belongs to one process; run `flagstream up`, or set store.kind = \"dynamodb\" or \"cassandra\" for \
         `flagstream {role}`"
    );
    Ok(())
}

async fn keeping(
    settings: &Settings,
    store: &Store,
    poisoned: &mut Vec<(&'static str, watch::Receiver<Option<String>>)>,
) -> anyhow::Result<Keeping> {
    if let (Store::Embedded(store), true) = (store, matches!(settings.log, kept::Log::Embedded { .. })) {
        return Ok(Keeping::Together(Arc::clone(store)));
    }
    let file = settings.data.join("partitions.redb");
    let opened = tokio::task::spawn_blocking(move || LocalState::open(&file, &stores::embedded::Options::default()));
    let state = opened.await.context("opening the partitions' state was interrupted")??;
    poisoned.push(("file of the partitions' state", state.poisoned()));
    let snapshots = patiently("the snapshots", || snapshots(settings)).await?;
    Ok(Keeping::Apart {
        store: store.shared(),
        state: Arc::new(state),
        snapshots,
        snapshot_every: SnapshotEvery::default(),
    })
}

/// Opens the place of the snapshots.
async fn snapshots(settings: &Settings) -> anyhow::Result<Snapshots> {
    match &settings.snapshots {
        kept::Snapshots::Beside => {
            let folder = settings.data.join("snapshots");
            tracing::warn!(
                folder = %folder.display(),
                "snapshots are kept in this process's data directory; another process that takes a partition over cannot \
                 begin from them: set [snapshots] url to a folder that all processors reach, or to a bucket"
            );
            Ok(Snapshots::in_folder(&folder)?)
        }
        kept::Snapshots::Folder(folder) => Ok(Snapshots::in_folder(folder)?),
        #[cfg(feature = "objects")]
        kept::Snapshots::Bucket(options) => Ok(stores::snapshots::bucket::open(options).await?),
    }
}

/// They lie in the folder of the snapshots, where every process finds them, or with the process that folds.
fn dead_letters(settings: &Settings, role: Role) -> Option<PathBuf> {
    match &settings.snapshots {
        kept::Snapshots::Folder(folder) => Some(folder.join("dead-letters")),
        _ => role.folds().then(|| settings.data.join("dead-letters")),
    }
}

impl Backend {
    /// The log, as the services know it.
    pub fn log(&self) -> Arc<dyn EventLog> {
        self.log.shared()
    }

    /// Opens the folder of dead letters, where this process knows one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open_dead_letters(&self) -> anyhow::Result<Option<DeadLetters>> {
        let Some(folder) = &self.dead_letters else { return Ok(None) };
        let opened = DeadLetters::open(folder);
        Ok(Some(opened.with_context(|| format!("cannot open the dead letters in {}", folder.display()))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts until it ends, and how; the first `away` of them find nobody.
    async fn attempts(away: u32, then: Result<u32, stores::Error>) -> (u32, Result<u32, String>) {
        let (mut attempts, mut then) = (0, Some(then));
        let ended = patiently("the store", || {
            attempts += 1;
            let answer = match attempts > away {
                true => then.take().expect("nobody asks again after an end").map_err(anyhow::Error::from),
                false => Err(anyhow::Error::from(eventlog::Error::Away("no broker".to_owned())).context("cannot open")),
            };
            std::future::ready(answer)
        });
        let ended = ended.await.map_err(|error| with_causes(&error));
        (attempts, ended)
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_what_may_pass_and_for_nothing_else() {
        assert_eq!(attempts(2, Ok(7)).await, (3, Ok(7)));
        let wrong = stores::Error::Setting("no table".to_owned());
        assert_eq!(attempts(0, Err(wrong)).await, (1, Err("no table".to_owned())));
        let begun = Instant::now();
        let (attempts, ended) = attempts(u32::MAX, Ok(7)).await;
        assert!(ended.unwrap_err().contains("no broker"));
        assert!(attempts > 20 && begun.elapsed() >= START_WITHIN, "{attempts} in {:?}", begun.elapsed());
    }
}
