//! The old path as whoever answers reads knows it: its counters, and which path is in charge.
//!
//! Always true here: what is told of a stage is the gate's; a read is one range for each key, and is given up beyond the
//! number of counters that was asked for.

use std::sync::Arc;

use experiments::Served;
use experiments::other_path::{Counts, EnvironmentStage, OtherCount, OtherError, OtherHours, OtherPath, StageChange};
use futures_util::future::BoxFuture;
use ingest::gate::{EnvironmentState, Gate, OldVariation};
use schemas::id::Environment;

use crate::Error;
use crate::counter::{Counted, Counter, Kind};
use crate::store::{HoursOf, OldStore, of_environment, of_key};

/// Reads of the old path.
#[derive(Debug)]
pub struct Reads {
    store: Arc<dyn OldStore>,
    gate: Gate,
}

impl Reads {
    /// Reads of these counters, while this gate says so.
    #[must_use]
    pub fn new(store: Arc<dyn OldStore>, gate: Gate) -> Self {
        Self { store, gate }
    }
}

impl OtherPath for Reads {
    fn is_in_charge(&self, environment: &Environment) -> bool {
        self.gate.stage(environment).old_in_charge()
    }

    fn counts<'a>(&'a self, asked: OtherHours<'a>) -> BoxFuture<'a, Result<Vec<OtherCount>, OtherError>> {
        Box::pin(async move {
            let OtherHours { environment, counts, key, hours, limit } = asked;
            let kind = match counts {
                Counts::Evaluations => Kind::Evaluations,
                Counts::Events => Kind::Events,
            };
            let read = match key {
                Some(key) => of_key(&*self.store, &HoursOf { environment, kind, key, hours }, limit).await,
                None => of_environment(&*self.store, environment, kind, hours, limit).await,
            };
            Ok(read.map_err(refused)?.into_iter().map(told).collect())
        })
    }

    fn stages(&self) -> Vec<EnvironmentStage> {
        self.gate.state().into_iter().map(stage).collect()
    }
}

fn refused(error: Error) -> OtherError {
    if error.is_retryable() {
        OtherError::Unavailable(error.to_string())
    } else {
        OtherError::Refused(error.to_string())
    }
}

fn told(Counted { counter, hour, totals }: Counted) -> OtherCount {
    let key = counter.key().to_owned();
    let served = match counter {
        Counter::Events { .. } => Served::Default,
        Counter::Evaluations { variation, .. } | Counter::Exposures { variation, .. } => match variation {
            OldVariation::Default => Served::Default,
            OldVariation::Index(index) => Served::Index(index),
            OldVariation::Name(name) => Served::Name(name.into()),
        },
    };
    OtherCount { key, served, hour, number: totals.number, number_off: totals.number_off, seen_ms: totals.seen_ms }
}

fn stage(state: EnvironmentState) -> EnvironmentStage {
    let EnvironmentState { environment, stage, since_ms, asked, held_back, flag_error, history, .. } = state;
    let history = history.into_iter().map(|moved| StageChange {
        at: moved.at_ms,
        from: moved.from.map(ingest::gate::Stage::name),
        to: moved.to.name(),
        cause: moved.cause,
    });
    EnvironmentStage {
        project: environment.project_str().to_owned(),
        environment: environment.key_str().to_owned(),
        stage: stage.name(),
        asked: asked.map(ingest::gate::Stage::name),
        since: since_ms,
        held_back,
        flag_error,
        history: history.collect(),
    }
}
