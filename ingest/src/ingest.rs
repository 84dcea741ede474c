//! Ingest as a value: what all requests share, and what its owner may do with it.
//!
//! Always true here: clones are the same ingest; it knows the time only from the [`Clock`] it was given.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventlog::EventLog;
use futures_util::future::join_all;
use prometheus_client::registry::Registry;
use schemas::generation::ClockLimits;
use schemas::record::numbers_record;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::budget::Budget;
use crate::carry::{Carry, PACE, WAIT};
use crate::door::Door;
use crate::doorstep::Doorstep;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::metrics::{InFlight, Metrics};
use crate::standing::{Standing, Trouble};

/// Where the time comes from: Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// One ingest; clones are the same.
#[derive(Clone)]
pub struct Ingest(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) clock_limits: ClockLimits,
    pub(crate) limits: Limits,
    pub(crate) decoding: protocols::Limits,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) budget: Budget,
    pub(crate) door: Door,
    pub(crate) standing: Standing,
    pub(crate) carry: Carry,
    pub(crate) doorstep: Doorstep,
    pub(crate) metrics: Metrics,
    /// `None` = the new path runs alone.
    #[cfg(feature = "gate")]
    pub(crate) gate: Option<crate::gate::Gate>,
}

impl Shared {
    fn new(log: Arc<dyn EventLog>, clock_limits: ClockLimits, limits: Limits, clock: Clock) -> Self {
        Self {
            standing: Standing::new(log.partitions()),
            log,
            clock_limits,
            decoding: limits.decoding(),
            budget: Budget::new(limits.in_flight_bytes_max),
            limits,
            clock,
            keys: Keys::new(),
            door: Door::default(),
            carry: Carry::default(),
            doorstep: Doorstep::default(),
            metrics: Metrics::default(),
            #[cfg(feature = "gate")]
            gate: None,
        }
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest").field("log", &self.0.log).field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Ingest {
    /// An ingest in front of `log`. It has no key table yet, so it answers 503 until [`Ingest::keys`] gets one.
    /// `clock_limits` are the generation's; `limits` must have passed [`Limits::check`].
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, clock_limits: ClockLimits, limits: Limits, clock: Clock) -> Self {
        Self(Arc::new(Shared::new(log, clock_limits, limits, clock)))
    }

    /// The same with a gate in it; spawn [`Ingest::drive_gate`] then.
    #[cfg(feature = "gate")]
    #[must_use]
    pub fn gated(
        log: Arc<dyn EventLog>,
        clock_limits: ClockLimits,
        limits: Limits,
        clock: Clock,
        gate: crate::gate::Gate,
    ) -> Self {
        Self(Arc::new(Shared { gate: Some(gate), ..Shared::new(log, clock_limits, limits, clock) }))
    }

    /// The gate, if there is one.
    #[cfg(feature = "gate")]
    #[must_use]
    pub fn gate(&self) -> Option<&crate::gate::Gate> {
        self.0.gate.as_ref()
    }

    /// Keeps the gate's stages as its flag wants them. To be spawned once; ends after [`Ingest::stop`], and at once
    /// where there is no gate.
    #[cfg(feature = "gate")]
    pub async fn drive_gate(self) {
        let Some(gate) = &self.0.gate else { return };
        let mut pace = interval(crate::gate::PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.0.door.closed() => break,
                _ = pace.tick() => gate.round(self.0.keys.environments()).await,
            }
        }
    }

    /// The key table in force; swap it when the configuration changes.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// What people should see.
    #[must_use]
    pub fn doorstep(&self) -> &Doorstep {
        &self.0.doorstep
    }

    /// Counters of this process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Puts its counters, and what is in flight, into a registry: `ingest_…` behind the registry's own prefix, and
    /// `gate_…` where there is a gate.
    pub fn register(&self, registry: &mut Registry) {
        #[cfg(feature = "gate")]
        if let Some(gate) = &self.0.gate {
            gate.register(registry);
        }
        let registry = registry.sub_registry_with_prefix("ingest");
        self.0.metrics.register(registry);
        registry.register_collector(Box::new(InFlight(self.0.budget.clone())));
    }

    /// Bytes of bodies and records in flight.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        self.0.budget.held()
    }

    /// Refuses new payloads (503) from now on, and waits until those that came in are answered. That takes no longer
    /// than a request and an append may, and 5 s for old writes where there is a gate.
    pub async fn stop(&self) {
        self.0.door.close();
        self.0.door.empty().await;
        #[cfg(feature = "gate")]
        if let Some(gate) = &self.0.gate {
            gate.stop().await;
        }
    }

    /// Brings numbers of payloads refused whole into the log when no payload came along to take them. To be spawned
    /// once; ends after [`Ingest::stop`], when the last of them are written.
    pub async fn carry_numbers(self) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.0.door.closed() => break,
                _ = pace.tick() => self.append_numbers(WAIT).await,
            }
        }
        self.0.door.empty().await;
        self.append_numbers(Duration::ZERO).await;
    }

    /// All at once: a log that says nothing holds up a stop no longer for many environments than for one.
    async fn append_numbers(&self, wait: Duration) {
        let shared = &*self.0;
        let by = Instant::now() + shared.limits.append();
        let appends = shared.carry.take_waited(wait).into_iter().map(async |(environment, numbers)| {
            let record = numbers_record(&environment, shared.log.partitions(), &numbers, (shared.clock)());
            let trouble = shared.append(vec![record], by).await.err();
            match trouble {
                None => {
                    shared.metrics.records.inc();
                }
                Some(Trouble::Busy | Trouble::NothingKept) => shared.carry.add(&environment, &numbers),
                // They may be in the log, and are not told twice.
                Some(Trouble::Unknown) => {}
            }
            trouble
        });
        let troubles = join_all(appends).await;
        let unknown = troubles.iter().filter(|trouble| **trouble == Some(Trouble::Unknown)).count();
        if unknown > 0 {
            tracing::warn!(environments = unknown, "numbers of rejections may not be in the log");
        }
    }
}
