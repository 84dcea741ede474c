//! Counters of this process, for whoever exports them.
//!
//! Always true here: they rise only, from zero at the process's start; each request that came in is counted once under
//! what it was answered with, or as `cancelled`. What an environment sent is told by its books.

use std::fmt;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use schemas::rejection::{Rejection, Rejections};
use tokio::time::Instant;

use crate::budget::Budget;

/// Upper ends of the latency histogram's buckets, in seconds.
const LATENCY_SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// Statuses that stand in the text from the start, and are found without a lock.
const STATUSES: [u16; 11] = [200, 202, 204, 400, 401, 404, 405, 408, 413, 429, 503];

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    /// Elements that are in the log.
    pub accepted: Counter,
    /// Records appended.
    pub records: Counter,
    /// Bytes of records appended.
    pub record_bytes: Counter,
    /// Bytes of bodies read, as they came over the wire.
    pub body_bytes: Counter,
    /// Payloads of revoked keys, answered and discarded.
    pub discarded: Counter,
    /// Requests refused because too much was in flight.
    pub overloaded: Counter,
    /// Appends that failed, or were not acknowledged in time.
    pub appends_failed: Counter,
    /// Requests for flags, which we do not deliver.
    pub flag_delivery: Counter,
    requests: Family<End, Counter>,
    /// Members of `requests`, by place in [`STATUSES`].
    common: [Counter; STATUSES.len()],
    rejections: Family<Reason, Counter>,
    /// Members of `rejections`, by place in [`Rejection::ALL`].
    reasons: [Counter; Rejection::ALL.len()],
    latency: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let (requests, rejections) = (Family::default(), Family::default());
        requests.get_or_create_owned(&End::Cancelled);
        Self {
            accepted: Counter::default(),
            records: Counter::default(),
            record_bytes: Counter::default(),
            body_bytes: Counter::default(),
            discarded: Counter::default(),
            overloaded: Counter::default(),
            appends_failed: Counter::default(),
            flag_delivery: Counter::default(),
            common: STATUSES.map(|status| requests.get_or_create_owned(&End::Answered(status))),
            requests,
            reasons: Rejection::ALL.map(|reason| rejections.get_or_create_owned(&Reason(reason))),
            rejections,
            latency: Histogram::new(LATENCY_SECONDS),
        }
    }
}

impl Metrics {
    /// Puts all of them into a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let plain = [
            ("accepted", "Elements of payloads that are in the log", &self.accepted),
            ("records", "Records appended to the log", &self.records),
            ("discarded", "Payloads of revoked keys, answered and discarded", &self.discarded),
            ("overloaded", "Requests refused because too much was in flight", &self.overloaded),
            ("appends_failed", "Appends that failed or were not acknowledged in time", &self.appends_failed),
            ("flag_delivery", "Requests for flags, which are not delivered here", &self.flag_delivery),
        ];
        for (name, help, counter) in plain {
            registry.register(name, help, counter.clone());
        }
        let bytes = [
            ("record", "Bytes of records appended to the log", &self.record_bytes),
            ("body", "Bytes of bodies read, as they came over the wire", &self.body_bytes),
        ];
        for (name, help, counter) in bytes {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        let help = "Requests by the status of their answer; cancelled = the sender went away before it";
        registry.register("requests", help, self.requests.clone());
        let help = "Rejections by reason, those within payloads that were taken included";
        registry.register("rejected", help, self.rejections.clone());
        let help = "Time from a request's head to its answer";
        registry.register_with_unit("request", help, Unit::Seconds, self.latency.clone());
    }

    /// Requests answered with this status.
    #[must_use]
    pub fn answers(&self, status: u16) -> u64 {
        self.requests.get(&End::Answered(status)).map_or(0, |counter| counter.get())
    }

    /// Requests whose sender went away before the answer.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.requests.get(&End::Cancelled).map_or(0, |counter| counter.get())
    }

    /// Rejections for this reason, those within payloads that were taken included.
    #[must_use]
    pub fn rejected(&self, reason: Rejection) -> u64 {
        self.reasons[reason as usize - 1].get()
    }

    pub(crate) fn add_rejected(&self, rejected: &Rejections) {
        for (reason, number) in rejected.iter() {
            self.reasons[reason as usize - 1].inc_by(number);
        }
    }

    /// A request came in.
    pub(crate) fn begin(&self) -> OpenRequest<'_> {
        OpenRequest { metrics: self, began: Instant::now(), end: End::Cancelled }
    }

    fn ended(&self, end: &End) {
        let place = STATUSES.iter().position(|status| *end == End::Answered(*status));
        match place {
            Some(place) => self.common[place].inc(),
            None => self.requests.get_or_create(end).inc(),
        };
    }
}

/// A request until it is answered or its sender goes away; dropping it counts it.
#[derive(Debug)]
pub(crate) struct OpenRequest<'a> {
    metrics: &'a Metrics,
    began: Instant,
    end: End,
}

impl OpenRequest<'_> {
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.end = End::Answered(status.as_u16());
        self.metrics.latency.observe(self.began.elapsed().as_secs_f64());
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.metrics.ended(&self.end);
    }
}

/// How a request ended; the label `status`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum End {
    Answered(u16),
    Cancelled,
}

impl EncodeLabelSet for End {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => [("status", *status)].encode(encoder),
            Self::Cancelled => [("status", "cancelled")].encode(encoder),
        }
    }
}

/// The label `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Reason(Rejection);

impl EncodeLabelSet for Reason {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("reason", self.0.code())].encode(encoder)
    }
}

/// What the budget holds when it is asked.
#[derive(Debug)]
pub(crate) struct InFlight(pub(crate) Budget);

impl Collector for InFlight {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let held = ConstGauge::new(self.0.held() as u64);
        let help = "Bytes of bodies and records in flight.";
        held.encode(encoder.encode_descriptor("in_flight", help, Some(&Unit::Bytes), held.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics, budget: Budget) -> String {
        let mut registry = Registry::with_prefix("flagstream_ingest");
        metrics.register(&mut registry);
        registry.register_collector(Box::new(InFlight(budget)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn counters_are_written_as_they_stand() {
        let (metrics, budget) = (Metrics::default(), Budget::new(100));
        metrics.accepted.inc_by(7);
        metrics.record_bytes.inc_by(8);
        for status in [202, 202, 429, 418] {
            metrics.begin().answered(StatusCode::from_u16(status).unwrap());
        }
        drop(metrics.begin());
        let mut rejected = Rejections::default();
        rejected.add(Rejection::TooDeep, 3);
        metrics.add_rejected(&rejected);
        let _held = budget.take(11).unwrap();
        let text = text(&metrics, budget);
        for line in [
            "accepted_total 7",
            "record_bytes_total 8",
            "requests_total{status=\"202\"} 2",
            "requests_total{status=\"401\"} 0",
            "requests_total{status=\"418\"} 1",
            "requests_total{status=\"429\"} 1",
            "requests_total{status=\"cancelled\"} 1",
            "rejected_total{reason=\"too_deep\"} 3",
            "rejected_total{reason=\"unknown_kind\"} 0",
            "in_flight_bytes 11",
            "request_seconds_count 4",
        ] {
            let line = format!("\nflagstream_ingest_{line}\n");
            assert!(text.contains(&line), "no {line:?} in:\n{text}");
        }
        assert_eq!([202, 429, 418, 599].map(|status| metrics.answers(status)), [2, 1, 1, 0]);
        assert_eq!((metrics.cancelled(), metrics.rejected(Rejection::TooDeep)), (1, 3));
    }

    #[test]
    fn reasons_stand_at_their_numbers() {
        for (place, reason) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize - 1, place);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn latency_is_told_in_seconds() {
        let metrics = Metrics::default();
        for ms in [1, 15, 9_000] {
            let open = metrics.begin();
            tokio::time::advance(std::time::Duration::from_millis(ms)).await;
            open.answered(StatusCode::ACCEPTED);
        }
        let text = text(&metrics, Budget::new(1));
        for line in [
            "bucket{le=\"0.001\"} 1",
            "bucket{le=\"0.02\"} 2",
            "bucket{le=\"5.0\"} 2",
            "bucket{le=\"+Inf\"} 3",
            "sum 9.016",
        ] {
            let line = format!("\nflagstream_ingest_request_seconds_{line}\n");
            assert!(text.contains(&line), "no {line:?} in:\n{text}");
        }
    }
}
