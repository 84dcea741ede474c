//! What `/metrics` tells: one registry for the process, which each service puts its own into.
//!
//! Always true here: how far partitions are is asked when someone looks, never kept; a partition that this process does
//! not work on has no numbers but its log's. The log is asked first, since that may take a while and writing must not.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use eventlog::{EventLog, Held};
use ingest::Ingest;
use processor::{Health, Processor};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The numbers of all in one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    log: Arc<dyn EventLog>,
    /// What the log held when it was last asked.
    held: Arc<Mutex<Vec<Held>>>,
}

/// The registry of what runs in this process.
pub fn registry(ingest: Option<&Ingest>, processor: Option<&Processor>, log: Arc<dyn EventLog>) -> Metrics {
    let mut registry = Registry::with_prefix("flagstream");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "What is running here", Info::new(version));
    if let Some(ingest) = ingest {
        ingest.register(&mut registry);
    }
    let held: Arc<Mutex<Vec<Held>>> = Arc::default();
    if let Some(health) = processor.map(Processor::health) {
        let (known, number) = (Arc::clone(&held), log.partitions());
        let partitions = Partitions(Box::new(move || look(number, &lock(&known), &health)));
        registry.sub_registry_with_prefix("processor").register_collector(Box::new(partitions));
    }
    Metrics { registry, log, held }
}

impl Metrics {
    /// Where a part of the process tells its own, behind its name.
    #[cfg(feature = "oldpath")]
    pub fn part(&mut self, name: &str) -> &mut Registry {
        self.registry.sub_registry_with_prefix(name)
    }

    /// Tells of the store's write units too.
    pub fn tell_write_units(&mut self, units: impl Fn() -> u64 + Send + Sync + 'static) {
        let units = Box::new(WriteUnits(Box::new(units)));
        self.registry.sub_registry_with_prefix("store").register_collector(units);
    }

    /// The text of `/metrics`.
    pub async fn text(&self) -> String {
        let held = self.log.held().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell the metrics of the log");
            Vec::new()
        });
        *lock(&self.held) = held;
        text(&self.registry)
    }
}

fn lock(held: &Mutex<Vec<Held>>) -> std::sync::MutexGuard<'_, Vec<Held>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, registry) {
        tracing::warn!(%error, "cannot write the metrics");
    }
    text
}

/// Tells of write units, asked when someone looks.
struct WriteUnits(Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for WriteUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteUnits").finish_non_exhaustive()
    }
}

impl Collector for WriteUnits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Write units that DynamoDB says it took from this process.";
        let family = encoder.encode_descriptor("write_units", help, None, MetricType::Counter)?;
        ConstCounter::new((self.0)()).encode(family)
    }
}

/// A partition as someone finds it.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    partition: u32,
    /// `None` = the log does not say.
    log: Option<Held>,
    /// `None` = it is not worked on here, or not yet.
    progress: Option<counting::worker::Progress>,
    dedupe_age_ms: Option<u64>,
}

fn look(partitions: u32, held: &[Held], health: &Health) -> Vec<Found> {
    let found = |partition: u32| Found {
        partition,
        log: held.get(partition as usize).copied(),
        progress: health.partition(partition).and_then(|health| health.progress),
        dedupe_age_ms: health.dedupe_age_ms(partition),
    };
    (0..partitions).map(found).collect()
}

/// Tells of all partitions.
struct Partitions(Box<dyn Fn() -> Vec<Found> + Send + Sync>);

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Partitions").finish_non_exhaustive()
    }
}

impl Collector for Partitions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let found = (self.0)();
        let mut write = Writer { encoder: &mut encoder, found: &found };
        write.gauge("running", "1 = this process works on the partition", None, |found| {
            Some(u64::from(found.progress.is_some()))
        })?;
        let records = Some(Unit::Other("records".into()));
        write.gauge("lag", "Records between the log's end and what is durable in the store", records, |found| {
            Some(found.log?.end.saturating_sub(found.progress?.durable))
        })?;
        write
            .gauge("log_first_offset", "First offset that the log still holds", None, |found| Some(found.log?.first))?;
        write.gauge("log_end_offset", "One past the last durable offset of the log", None, |found| {
            Some(found.log?.end)
        })?;
        write.gauge("folded_offset", "Records below it are folded in memory", None, |found| {
            Some(found.progress?.folded)
        })?;
        write.gauge("durable_offset", "Records below it are durable in the cells", None, |found| {
            Some(found.progress?.durable)
        })?;
        write.gauge("saved_offset", "Records below it are in the saved state", None, |found| {
            Some(found.progress?.saved)
        })?;
        write.gauge("log_time", "The running log time, since 1970", Some(Unit::Seconds), |found| {
            // Milliseconds since 1970 are far below 2^53.
            Some(found.progress?.log_time_ms as f64 / 1_000.0)
        })?;
        write.gauge("cells", "Cells held in memory", None, |found| Some(found.progress?.cells.0 as u64))?;
        write.gauge("dirty_cells", "Cells held in memory that wait for a flush", None, |found| {
            Some(found.progress?.cells.1 as u64)
        })?;
        write.gauge("remembered_ids", "Payload ids remembered, by which duplicates are known", None, |found| {
            Some(found.progress?.remembered.0 as u64)
        })?;
        let help = "How far back duplicates are known, in log time; absent = to the beginning, or not known yet";
        write.gauge("dedupe_window", help, Some(Unit::Seconds), |found| Some(found.dedupe_age_ms? as f64 / 1_000.0))?;
        write.outcomes()
    }
}

/// Writes a family after the other.
struct Writer<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
    found: &'a [Found],
}

impl Writer<'_, '_> {
    /// A family with a row for each partition that has a value; none at all, and the family is left out.
    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl Fn(&Found) -> Option<V>,
    ) -> fmt::Result {
        let values: Vec<_> = self.found.iter().filter_map(|found| Some((found.partition, value(found)?))).collect();
        if values.is_empty() {
            return Ok(());
        }
        let help = format!("{help}.");
        let mut family = self.encoder.encode_descriptor(name, &help, unit.as_ref(), MetricType::Gauge)?;
        for (partition, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&[("partition", partition)])?)?;
        }
        Ok(())
    }

    fn outcomes(&mut self) -> fmt::Result {
        let known: Vec<_> = self.found.iter().filter_map(|found| Some((found.partition, found.progress?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let help = "Records by what became of them, since the partition's worker began.";
        let mut family = self.encoder.encode_descriptor("records", help, None, MetricType::Counter)?;
        for (partition, progress) in known {
            for (outcome, number) in ["folded", "duplicate", "poison"].into_iter().zip(progress.outcomes) {
                let labels = ([("partition", partition)], [("outcome", outcome)]);
                ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use counting::worker::Progress;

    use super::*;

    fn told(found: Vec<Found>) -> String {
        let mut registry = Registry::with_prefix("flagstream_processor");
        registry.register_collector(Box::new(Partitions(Box::new(move || found.clone()))));
        text(&registry)
    }

    #[test]
    fn each_number_stands_under_its_name() {
        let progress = Progress {
            folded: 90,
            durable: 80,
            saved: 70,
            log_time_ms: 1_500,
            outcomes: [5, 6, 7],
            cells: (9, 8),
            remembered: (40, 50),
        };
        let log = Some(Held { first: 3, end: 100 });
        let text = told(vec![
            Found { partition: 0, log, progress: Some(progress), dedupe_age_ms: Some(2_250) },
            Found { partition: 1, log, ..Found::default() },
        ]);
        for line in [
            "running{partition=\"0\"} 1",
            "running{partition=\"1\"} 0",
            "lag_records{partition=\"0\"} 20",
            "log_first_offset{partition=\"1\"} 3",
            "log_end_offset{partition=\"1\"} 100",
            "folded_offset{partition=\"0\"} 90",
            "durable_offset{partition=\"0\"} 80",
            "saved_offset{partition=\"0\"} 70",
            "log_time_seconds{partition=\"0\"} 1.5",
            "cells{partition=\"0\"} 9",
            "dirty_cells{partition=\"0\"} 8",
            "remembered_ids{partition=\"0\"} 40",
            "dedupe_window_seconds{partition=\"0\"} 2.25",
            "records_total{partition=\"0\",outcome=\"folded\"} 5",
            "records_total{partition=\"0\",outcome=\"duplicate\"} 6",
            "records_total{partition=\"0\",outcome=\"poison\"} 7",
        ] {
            let line = format!("\nflagstream_processor_{line}\n");
            assert!(text.contains(&line), "no {line:?} in:\n{text}");
        }
        assert!(!text.contains("lag_records{partition=\"1\"}"), "a lag that nobody knows:\n{text}");
    }

    #[test]
    fn write_units_are_told_where_a_store_counts_them() {
        let mut metrics = registry(None, None, Arc::new(eventlog::memory::MemoryLog::new(1)));
        assert!(!text(&metrics.registry).contains("write_units"));
        metrics.tell_write_units(|| 7);
        assert!(text(&metrics.registry).contains("\nflagstream_store_write_units_total 7\n"));
    }

    #[test]
    fn what_has_no_value_has_no_family() {
        let text = told(vec![Found::default()]);
        let families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(families, ["# TYPE flagstream_processor_running gauge"]);
    }
}
