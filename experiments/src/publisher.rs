//! Publishes definitions: does what [`Publishing`] asks for, on the service's own log and store.
//!
//! Always true here: one publication at a time in a process, each carried on to its end in a task of its own, whether
//! or not the one who asked still waits; the answer comes when all partitions have the definition. Two processes may
//! publish at once: partition 0 orders them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use counting::cells::Definition as DefinitionCell;
use eventlog::{Error, Signal};
use schemas::cell::{CellKind, CellName, CellRange};
use schemas::id::Environment;
use schemas::publish::{Appended, Next, Publishing};
use schemas::record::{Header, RecordKind, decode_definition, definition_record};
use schemas::wire::record::Definition;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::Serve;
use crate::refusal::Refusal;

/// Longest wait for the one before, and then for the log.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two tries of an append that the log refused.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Longest wait for partition 0 to be read.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// Cells of one page: each may hold 64 KiB.
const PAGE_CELLS: usize = 256;
/// Definitions that are remembered while they are not folded; each may hold 16 KiB.
const TAIL_MAX: usize = 256;

/// Who may publish now. All clones are one; begins with nothing known.
///
/// One at a time: a change of one field reads, changes and publishes, and must not lose what another request of this
/// process says meanwhile; and what one publication learns of the partitions (`known`) spares the next one from sending
/// it again.
#[derive(Debug, Clone, Default)]
pub struct Publisher(Arc<Mutex<Learned>>);

/// The right to publish, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(OwnedMutexGuard<Learned>);

/// What one turn learns and the next need not learn again.
#[derive(Debug, Default)]
struct Learned {
    /// By partition, the version up to which it is known to have all.
    known: Vec<u64>,
    /// The definitions of partition 0 in `[folded, tail_end)` as of the last look, each with its version, in rising
    /// order.
    tail: VecDeque<Definition>,
    tail_end: u64,
}

impl Publisher {
    /// Waits for the one before.
    pub(crate) async fn turn(&self) -> Result<Turn, Refusal> {
        match timeout(WITHIN, Arc::clone(&self.0).lock_owned()).await {
            Ok(known) => Ok(Turn(known)),
            Err(_) => {
                Err(unavailable("another definition is still being published; nothing was changed, send it again"))
            }
        }
    }
}

/// Publishes a definition; gives its version when every partition has it. (It carries on if nobody waits any more: a
/// definition in some partitions only is worse than a turn that takes longer.)
pub(crate) async fn publish(serve: &Arc<Serve>, turn: Turn, definition: Definition) -> Result<u64, Refusal> {
    publish_all(serve, turn, vec![definition]).await.map_err(|halted| halted.why)
}

/// A publication of several that came to no end.
#[derive(Debug)]
pub(crate) struct Halted {
    /// How many, from the first on, are in force for sure.
    pub(crate) published: usize,
    pub(crate) why: Refusal,
}

/// Publishes definitions one after the other in one turn, as [`publish`]; gives the version of the last.
pub(crate) async fn publish_all(serve: &Arc<Serve>, turn: Turn, definitions: Vec<Definition>) -> Result<u64, Halted> {
    let (held_by_task, mut turn) = (Arc::clone(serve), turn);
    let (done, mut published) = watch::channel(0);
    let task = tokio::spawn(async move {
        let mut newest = 0;
        for definition in definitions {
            newest = run(&held_by_task, &mut turn.0.known, definition.clone()).await?;
            turn.0.remember(definition, newest);
            done.send_modify(|published| *published += 1);
        }
        Ok(newest)
    });
    // As long as they go on, one by one, none of them is late.
    while let Ok(Ok(())) = timeout(2 * WITHIN, published.changed()).await {}
    let ended = if published.has_changed().is_err() { Some(task.await) } else { None };
    let why = match ended {
        Some(Ok(Ok(newest))) => return Ok(newest),
        Some(Ok(Err(why))) => why,
        Some(Err(error)) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()),
        None => half_done("a partition does not answer"),
    };
    Err(Halted { published: *published.borrow(), why })
}

async fn run(serve: &Serve, known: &mut Vec<u64>, definition: Definition) -> Result<u64, Refusal> {
    known.resize(serve.partitions as usize, 0);
    let give_up = Instant::now() + WITHIN;
    let from = end_of_first(serve).await?;
    let mut publishing = Publishing::new(definition, serve.partitions);
    loop {
        match publishing.next() {
            Next::Append { partition, definition } => {
                let record = definition_record(definition, partition, (serve.clock_ms)());
                let appended = appended(serve.log.append(vec![record]).await)?;
                publishing.appended(partition, appended);
                if !matches!(appended, Appended::At(_)) {
                    if Instant::now() >= give_up {
                        return Err(half_done(&format!("partition {partition} does not take it")));
                    }
                    sleep(AGAIN_AFTER).await;
                }
            }
            Next::Look(definition) => {
                let held = definitions_of_first(serve, from, end_of_first(serve).await?).await?;
                let is = |held: &&Definition| Definition { version: 0, ..(*held).clone() } == *definition;
                let found = held.iter().rev().find(is).map(|held| held.version - 1);
                publishing.found(found);
            }
            Next::AskBefore { version } => {
                let earlier = before(serve, version, known).await?;
                publishing.before(&earlier, known);
            }
            Next::Done { version } => {
                known.iter_mut().for_each(|known| *known = version.max(*known));
                return Ok(version);
            }
        }
    }
}

/// What an append's answer says. A log that is poisoned is asked no more: the process is about to end.
fn appended(answer: Result<Vec<u64>, Error>) -> Result<Appended, Refusal> {
    match answer {
        Ok(offsets) => Ok(offsets.first().map_or(Appended::Unknown, |offset| Appended::At(*offset))),
        Err(error) if error.is_retryable() => Ok(Appended::Failed),
        Err(error) => {
            tracing::warn!(%error, "a definition was not appended");
            match error {
                Error::Setting(_) => {
                    Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "log_failed", error.to_string()))
                }
                Error::Poisoned(_) => Err(half_done("the log can promise nothing any more")),
                _ => Ok(Appended::Unknown),
            }
        }
    }
}

/// What partition 0 has below `version` and some other partition may lack; takes along what checkpoints tell of
/// `known`.
///
/// Folded definitions come from their cells, of all projects that are configured: only the newest of each, since the
/// ones before it would be passed over at once. The rest comes from the log.
async fn before(serve: &Serve, version: u64, known: &mut [u64]) -> Result<Vec<Definition>, Refusal> {
    for (partition, known) in (0..serve.partitions).zip(known.iter_mut()).skip(1) {
        let checkpoint = serve.store.checkpoint(serve.generation, partition).await?;
        *known = (*known).max(checkpoint.map_or(0, |checkpoint| checkpoint.definition_version));
    }
    let Some(least) = known.iter().skip(1).min().copied() else { return Ok(Vec::new()) };
    let folded = folded_of_first(serve).await?;
    let mut definitions = definitions_of_first(serve, folded.max(least), version - 1).await?;
    if least < folded {
        definitions
            .extend(folded_definitions(serve).await?.into_iter().filter(|definition| definition.version > least));
    }
    Ok(definitions)
}

async fn folded_definitions(serve: &Serve) -> Result<Vec<Definition>, Refusal> {
    let access = (serve.access)();
    let own = access.environments.iter().map(|access| access.environment.clone());
    let whole = own.clone().map(|environment| Environment { key: Bytes::new(), ..environment });
    let mut definitions = Vec::new();
    for environment in own.chain(whole).collect::<BTreeSet<_>>() {
        let mut range = CellRange::names(serve.generation, 0, CellKind::Definition, &environment);
        loop {
            let page = serve.store.range(range.clone(), PAGE_CELLS).await?;
            for (key, cell) in page.cells {
                let CellName::Key(name) = key.name else { continue };
                let Some(kind) = name.first() else { continue };
                let read = DefinitionCell::decode(&cell.value).map_err(|error| Refusal::damaged(&error))?;
                definitions.push(Definition {
                    project: environment.project.clone(),
                    environment: environment.key.clone(),
                    kind: (*kind).into(),
                    key: name.slice(1..),
                    version: read.version(),
                    body: read.body().clone(),
                });
            }
            match page.next {
                Some(next) => range.from = next,
                None => break,
            }
        }
    }
    Ok(definitions)
}

impl Turn {
    /// By key, the newest version of a definition that partition 0 has and that its cells may lack; `None` = the cells
    /// have it.
    pub(crate) async fn not_yet_folded(
        &mut self,
        serve: &Serve,
        environment: &Environment,
        kind: u8,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Definition>>, Refusal> {
        let (folded, end) = (folded_of_first(serve).await?, end_of_first(serve).await?);
        // What was learned before spares reading it again; what others published since then is read.
        let read = definitions_of_first(serve, folded.max(self.0.tail_end), end).await?;
        self.0.tail.retain(|held| held.version > folded);
        self.0.tail.extend(read);
        self.0.tail_end = self.0.tail_end.max(end);
        let of_kind = self.0.tail.iter().filter(|held| {
            (&held.project, &held.environment, held.kind) == (&environment.project, &environment.key, kind.into())
        });
        // Versions rise, so the newest of a key is the last.
        let newest: HashMap<&[u8], &Definition> = of_kind.map(|held| (held.key.as_ref(), held)).collect();
        let found = keys.iter().map(|key| newest.get(key).map(|held| (*held).clone())).collect();
        self.0.forget_too_many();
        Ok(found)
    }
}

impl Learned {
    /// Keeps what was just published, where nothing is between it and what is known.
    fn remember(&mut self, definition: Definition, version: u64) {
        if version == self.tail_end + 1 {
            self.tail.push_back(Definition { version, ..definition });
            self.tail_end = version;
            self.forget_too_many();
        }
    }

    /// All or nothing: the tail has no holes.
    fn forget_too_many(&mut self) {
        if self.tail.len() > TAIL_MAX {
            self.tail.clear();
            self.tail_end = 0;
        }
    }
}

async fn folded_of_first(serve: &Serve) -> Result<u64, Refusal> {
    Ok(serve.store.checkpoint(serve.generation, 0).await?.map_or(0, |checkpoint| checkpoint.position))
}

async fn end_of_first(serve: &Serve) -> Result<u64, Refusal> {
    let held = serve.log.held().await.map_err(|error| unavailable(&format!("the log does not answer: {error}")))?;
    Ok(held.first().map_or(0, |held| held.end))
}

/// The definitions of partition 0 in `[from, to)`, each with its version, in rising order.
async fn definitions_of_first(serve: &Serve, from: u64, to: u64) -> Result<Vec<Definition>, Refusal> {
    if from >= to {
        return Ok(Vec::new());
    }
    match timeout(READ_WITHIN, read_first(serve, from, to)).await {
        Ok(Ok(definitions)) => Ok(definitions),
        Ok(Err(error)) => {
            tracing::warn!(%error, from, to, "cannot read definitions back");
            Err(half_done(&format!("partition 0 cannot be read back: {error}")))
        }
        Err(_) => Err(half_done("partition 0 was not read back in time")),
    }
}

async fn read_first(serve: &Serve, from: u64, to: u64) -> Result<Vec<Definition>, Error> {
    let mut reader = serve.log.read(0)?;
    let mut definitions = Vec::new();
    loop {
        match reader.next().await? {
            Signal::Assigned { partition: 0 } => reader.begin(0, from)?,
            Signal::Assigned { .. } | Signal::Revoked { .. } | Signal::Idle => {}
            Signal::Batch { records, .. } => {
                for record in records {
                    if record.offset >= to {
                        return Ok(definitions);
                    }
                    let is_one = Header::decode(&record.header).is_ok_and(|h| h.kind == RecordKind::Definition);
                    // One that cannot be read is poison to every fold: nobody needs to have it.
                    if let (true, Ok(definition)) = (is_one, decode_definition(&record.body)) {
                        definitions.push(Definition { version: record.offset + 1, ..definition });
                    }
                    if record.offset + 1 == to {
                        return Ok(definitions);
                    }
                }
            }
        }
    }
}

fn half_done(what: &str) -> Refusal {
    unavailable(&format!("{what}; whether this is in force is not known: it may be sent again, which does no harm"))
}

fn unavailable(message: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
}
