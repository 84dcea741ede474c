//! Reads what is compared, in the order that makes a comparison possible while everything moves.
//!
//! Always true here: what the log tells is read first, then the other path, then the log's end; then all that the log
//! held by then is waited for, and what the log tells is read again, with what this path counted. So what the other path
//! holds lies between what the first reading says at least and the second at most.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use counting::cells::{Events, OldPath, Usage};
use schemas::cell::{CellKind, CellName};
use schemas::id::Environment;
use schemas::old_path::Numbers;
use tokio::time::{Instant, sleep, sleep_until};

use super::causes::{New, Old};
use super::rows::{Gathered, Of, Parts, Place, Sum};
use crate::Serve;
use crate::cells::{Served, text};
use crate::other_path::{Counts, OtherError, OtherHours, OtherPath};
use crate::reading::Reader;
use crate::refusal::Refusal;

/// Flags, and as many events, of one comparison.
const NAMES_MAX: usize = 10_000;
/// Counters of the other path, of each kind.
const COUNTERS_MAX: usize = 100_000;
/// Cells that do not agree are read again so often: they are written one after another.
const READ_AGAIN_MAX: usize = 8;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(150);
/// How often it is looked whether all is counted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) environment: Environment,
    pub(crate) hours: Range<u32>,
    /// One flag alone.
    pub(crate) flag: Option<String>,
    /// How long it is waited until all is counted.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) gathered: Gathered,
    /// When the other path was read, Unix milliseconds.
    pub(crate) as_of_ms: i64,
    /// All that the log held then is in it.
    pub(crate) complete: bool,
}

/// The kind of cell that tells of these, and the one in which this path counts them.
fn kinds(counts: Counts) -> (CellKind, CellKind) {
    match counts {
        Counts::Evaluations => (CellKind::OldPath, CellKind::Usage),
        Counts::Events => (CellKind::OldPathEvents, CellKind::Events),
    }
}

/// Reads all of it.
pub(crate) async fn gather(serve: &Serve, other: &dyn OtherPath, asked: &Asked) -> Result<Taken, Refusal> {
    let kinds: &[Counts] =
        if asked.flag.is_some() { &[Counts::Evaluations] } else { &[Counts::Evaluations, Counts::Events] };
    let reader = Reader::open(serve, asked.environment.clone(), (serve.clock_ms)()).await?;
    let mut gathered = Gathered::default();
    for counts in kinds {
        told(&reader, *counts, asked, &mut gathered.before).await?;
    }
    for counts in kinds {
        held(other, *counts, asked, &mut gathered.old).await?;
    }
    let as_of_ms = (serve.clock_ms)();
    let complete = wait(serve, &reader, asked.patience).await?;
    for counts in kinds {
        told(&reader, *counts, asked, &mut gathered.after).await?;
        let seen = gathered.after.keys().chain(gathered.old.keys()).filter(|place| place.counts == *counts);
        let names: BTreeSet<Option<String>> = seen.map(|place| place.key.clone()).collect();
        for name in names {
            counted(&reader, *counts, name, asked.hours.clone(), &mut gathered.new).await?;
        }
    }
    mend(&reader, &mut gathered).await?;
    Ok(Taken { gathered, as_of_ms, complete })
}

/// Waits until all that the log holds now is counted, for so long at most; whether it is.
async fn wait(serve: &Serve, reader: &Reader<'_>, patience: Duration) -> Result<bool, Refusal> {
    let end = reader.standing().await?.end;
    let until = Instant::now() + patience;
    loop {
        let checkpoint = serve.store.checkpoint(serve.generation, reader.partition()).await?;
        if checkpoint.map_or(0, |checkpoint| checkpoint.position) >= end {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        sleep_until((Instant::now() + LOOK_EVERY).min(until)).await;
    }
}

/// What the log tells of the other path.
async fn told(reader: &Reader<'_>, counts: Counts, asked: &Asked, into: &mut Of<Numbers>) -> Result<(), Refusal> {
    let kind = kinds(counts).0;
    let mut take = |name: &CellName, hour: u32, value: bytes::Bytes| {
        let cell = OldPath::decode(&value).map_err(|error| Refusal::damaged(&error))?;
        let parts: &mut Parts<Numbers> = into.entry(place(counts, name, hour)).or_default();
        for row in cell.rows() {
            parts.take(row.other, Served::from(row.variation)).add(&row.numbers);
        }
        Ok(())
    };
    if let Some(flag) = &asked.flag {
        let name = CellName::Key(flag.clone().into());
        let windows = reader.windows(kind, &name, asked.hours.clone(), |hour, value| take(&name, hour, value));
        return windows.await.map(drop);
    }
    let looked = reader.names_and_windows(kind, asked.hours.clone(), NAMES_MAX, take).await?;
    if looked.all { Ok(()) } else { Err(too_much()) }
}

/// What this path counted of a flag or an event.
async fn counted(
    reader: &Reader<'_>,
    counts: Counts,
    key: Option<String>,
    hours: Range<u32>,
    into: &mut Of<New>,
) -> Result<(), Refusal> {
    let name = key.map_or(CellName::Other, |key| CellName::Key(key.into()));
    let take = |hour: u32, value: bytes::Bytes| {
        let parts: &mut Parts<New> = into.entry(place(counts, &name, hour)).or_default();
        *parts = Parts::default();
        match counts {
            Counts::Evaluations => {
                let usage = Usage::decode(&value).map_err(|error| Refusal::damaged(&error))?;
                for pair in usage.pairs() {
                    let new = New { count: pair.count, gated: pair.gated };
                    parts.take(pair.other, Served::from(pair.variation)).add(&new);
                }
            }
            Counts::Events => {
                let events = Events::decode(&value).map_err(|error| Refusal::damaged(&error))?;
                parts.take(false, Served::Default).add(&New { count: events.count(), gated: events.gated() });
            }
        }
        Ok(())
    };
    reader.windows(kinds(counts).1, &name, hours, take).await.map(drop)
}

/// What the other path holds.
async fn held(other: &dyn OtherPath, counts: Counts, asked: &Asked, into: &mut Of<Old>) -> Result<(), Refusal> {
    let question = OtherHours {
        environment: &asked.environment,
        counts,
        key: asked.flag.as_deref(),
        hours: asked.hours.clone(),
        limit: COUNTERS_MAX,
    };
    for count in other.counts(question).await? {
        let place = Place { counts, key: Some(count.key), hour: count.hour };
        let old = Old { number: count.number, off: count.number_off };
        into.entry(place).or_default().take(false, count.served).add(&old);
    }
    Ok(())
}

/// Reads again what was not read at one time; what never agrees is left so, and shows as unexplained.
async fn mend(reader: &Reader<'_>, gathered: &mut Gathered) -> Result<(), Refusal> {
    for _ in 0..READ_AGAIN_MAX {
        let torn = gathered.torn();
        if torn.is_empty() {
            break;
        }
        sleep(READ_AGAIN_AFTER).await;
        for place in torn {
            let (counts, hour) = (place.counts, place.hour);
            let name = place.key.clone().map_or(CellName::Other, |key| CellName::Key(key.into()));
            let mut again = Of::new();
            let take = |hour: u32, value: bytes::Bytes| {
                let cell = OldPath::decode(&value).map_err(|error| Refusal::damaged(&error))?;
                let parts: &mut Parts<Numbers> = again.entry(self::place(counts, &name, hour)).or_default();
                cell.rows().for_each(|row| parts.take(row.other, Served::from(row.variation)).add(&row.numbers));
                Ok(())
            };
            reader.windows(kinds(counts).0, &name, hour..hour + 1, take).await?;
            gathered.after.extend(again);
            counted(reader, counts, place.key, hour..hour + 1, &mut gathered.new).await?;
        }
    }
    Ok(())
}

fn place(counts: Counts, name: &CellName, hour: u32) -> Place {
    let key = match name {
        CellName::Key(key) => Some(text(key).into_owned()),
        CellName::None | CellName::Other => None,
    };
    Place { counts, key, hour }
}

fn too_much() -> Refusal {
    Refusal::too_much(format!("more than {NAMES_MAX} flags or events would be compared; ask for one `flag`"))
}

impl<T: Sum> Parts<T> {
    fn take(&mut self, is_other: bool, served: Served) -> &mut T {
        if is_other { self.other.get_or_insert_with(T::default) } else { self.by.entry(served).or_default() }
    }
}

impl From<OtherError> for Refusal {
    fn from(error: OtherError) -> Self {
        match error {
            OtherError::Refused(why) => Self::too_much(why),
            OtherError::Unavailable(why) => {
                tracing::warn!(why, "the other path does not answer");
                let message = format!("the old path's store does not answer: {why}");
                Self::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            }
        }
    }
}
