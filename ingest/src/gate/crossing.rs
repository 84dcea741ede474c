//! The way of a payload through the gate, from its records to its answer.
//!
//! Always true here: the log's word comes before the old path's work; where the append failed the old path is not
//! touched; both go on when the sender goes away, so that the log never tells of a write that nobody tried.

use std::sync::Arc;

use schemas::event::{ConversionKind, Payload};
use schemas::id::Environment;
use schemas::record::Judged;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Gate, OldAnswer, OldCount, OldEvent, OldExposure, OldPayload, Stage};
use crate::budget::Held;
use crate::course::Course;
use crate::ingest::Shared;
use crate::keys::Owner;
use crate::records::Records;
use crate::standing::Trouble;
use crate::way::{End, Size, accept, append, overloaded, stumble};

/// Brings a payload to the paths of its stage, and waits for those that its answer depends on.
pub(crate) async fn cross(
    shared: &Arc<Shared>,
    gate: &Gate,
    owner: &Owner,
    mut made: Records,
    stage: Stage,
    held: Held,
) -> End {
    gate.0.metrics.payload(stage);
    let Some(old) = made.old.take().filter(|old| !old.is_empty()) else {
        let size = Size::of(&made);
        return if stage.writes_new() { append(shared, owner, made).await } else { accept(shared, owner, made, size) };
    };
    let room = gate.room(&old);
    if room.is_none() && stage.waits_for_old() {
        // Nothing is written anywhere yet.
        shared.carry.add(&owner.environment, &made.carried);
        return overloaded(shared);
    }
    let by = Instant::now() + shared.limits.append();
    let (logged, log_said) = oneshot::channel();
    let size = Size::of(&made);
    let appends = std::mem::take(&mut made.appends);
    let work = {
        let (shared, gate) = (Arc::clone(shared), gate.clone());
        async move {
            let said = if stage.writes_new() { shared.append(appends, by).await } else { Ok(()) };
            drop(held);
            let is_logged = said.is_ok();
            // Nobody may be waiting any more.
            let _ = logged.send(said);
            match room {
                _ if !is_logged => OldAnswer::NotWritten,
                Some(_room) => gate.0.old.write(old).await,
                None => {
                    gate.0.metrics.old_refused.inc();
                    gate.0.old.refuse(old);
                    OldAnswer::NotWritten
                }
            }
        }
    };
    let old_said = tokio::spawn(work);
    // A task that died says nothing, and the log may have the records.
    if let Err(trouble) = log_said.await.unwrap_or(Err(Trouble::Unknown)) {
        return stumble(shared, owner, &made, trouble);
    }
    // Where nobody waits, the work goes on behind.
    let is_written = !stage.waits_for_old() || matches!(timeout_at(by, old_said).await, Ok(Ok(OldAnswer::Written)));
    if !is_written {
        gate.0.metrics.old_unwritten.inc();
        if stage == Stage::Off {
            return End::Unavailable;
        }
    }
    let end = accept(shared, owner, made, size);
    if is_written { end } else { End::Unavailable }
}

/// A payload's rows for the old path; `None` = its course does not lead there.
pub(crate) fn old_rows(
    course: Course,
    environment: &Environment,
    received_ms: i64,
    payload: &Payload<'_>,
    judged: &[Judged],
) -> Option<OldPayload> {
    let Course::Gated(stage) = course else { return None };
    if !stage.writes_old() {
        return None;
    }
    let judged = |element: u32| judged[element as usize];
    // A counter of 0 is a sight, which the old path has no place for.
    let counts = payload.counts.iter().filter(|row| row.count > 0).map(|row| OldCount {
        flag: (&*row.flag).into(),
        variation: (&row.variation).into(),
        time_ms: judged(row.element).time_ms,
        count: row.count,
        late: judged(row.element).late,
    });
    let custom = payload.conversions.iter().filter(|row| row.kind == ConversionKind::Custom);
    let events = custom.map(|row| OldEvent {
        key: (&*row.key).into(),
        time_ms: judged(row.element).time_ms,
        value: row.value,
        sampling: row.sampling,
        late: judged(row.element).late,
    });
    let exposures = payload.evaluations.iter().filter(|row| row.in_experiment).map(|row| OldExposure {
        flag: (&*row.flag).into(),
        variation: (&row.variation).into(),
        time_ms: judged(row.element).time_ms,
    });
    let (counts, events, exposures) = (counts.collect(), events.collect(), exposures.collect());
    Some(OldPayload { environment: environment.clone(), stage, received_ms, counts, events, exposures })
}
