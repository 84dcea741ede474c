//! Counters of this process, for whoever exports them.
//!
//! Always true here: plain atomics, rising only; adding costs no lock. They tell of one process since its start; what an
//! environment sent is told by its books.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schemas::rejection::{Rejection, Rejections};

/// Statuses that ingest answers with.
const STATUSES: [u16; 11] = [200, 202, 204, 400, 401, 404, 405, 408, 413, 503, 0];
/// Upper ends of the latency histogram's buckets, in milliseconds.
const LATENCY_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Elements that are in the log.
    pub accepted: AtomicU64,
    /// Records appended.
    pub records: AtomicU64,
    /// Bytes of records appended.
    pub record_bytes: AtomicU64,
    /// Bytes of bodies read, as they came over the wire.
    pub body_bytes: AtomicU64,
    /// Payloads of revoked keys, answered and discarded.
    pub discarded: AtomicU64,
    /// Requests refused because too much was in flight.
    pub overloaded: AtomicU64,
    /// Appends that failed, or were not acknowledged in time.
    pub appends_failed: AtomicU64,
    /// Requests for flags, which we do not deliver.
    pub flag_delivery: AtomicU64,
    rejected: [AtomicU64; Rejection::ALL.len()],
    /// By place in [`STATUSES`]; the last takes all others.
    statuses: [AtomicU64; STATUSES.len()],
    /// By place in [`LATENCY_MS`]; the last takes all above.
    latency: [AtomicU64; LATENCY_MS.len() + 1],
    latency_us: AtomicU64,
}

impl Metrics {
    /// Adds to a counter.
    pub(crate) fn add(&self, counter: impl Fn(&Self) -> &AtomicU64, number: u64) {
        counter(self).fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn add_rejected(&self, rejected: &Rejections) {
        for (reason, number) in rejected.iter() {
            self.rejected[reason as usize - 1].fetch_add(number, Ordering::Relaxed);
        }
    }

    pub(crate) fn answered(&self, status: u16, after: Duration) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        self.statuses[place].fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_MS.iter().position(|ms| us <= ms * 1_000).unwrap_or(LATENCY_MS.len());
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        self.latency_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Requests answered with this status.
    #[must_use]
    pub fn answers(&self, status: u16) -> u64 {
        let place = STATUSES.iter().position(|known| *known == status);
        place.map_or(0, |place| self.statuses[place].load(Ordering::Relaxed))
    }

    /// Rejections for this reason, those within payloads that were taken included.
    #[must_use]
    pub fn rejected(&self, reason: Rejection) -> u64 {
        self.rejected[reason as usize - 1].load(Ordering::Relaxed)
    }

    /// Writes all of them in Prometheus' text form; `in_flight_bytes` is what the budget holds now.
    pub(crate) fn write_text(&self, out: &mut String, in_flight_bytes: usize) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let plain = [
            ("accepted_total", &self.accepted),
            ("records_total", &self.records),
            ("record_bytes_total", &self.record_bytes),
            ("body_bytes_total", &self.body_bytes),
            ("discarded_total", &self.discarded),
            ("overloaded_total", &self.overloaded),
            ("appends_failed_total", &self.appends_failed),
            ("flag_delivery_total", &self.flag_delivery),
        ];
        for (name, counter) in plain {
            family(out, name, "counter");
            line(out, name, "", load(counter));
        }
        family(out, "rejected_total", "counter");
        for reason in Rejection::ALL {
            line(out, "rejected_total", &format!("{{reason=\"{}\"}}", reason.code()), self.rejected(reason));
        }
        family(out, "requests_total", "counter");
        for (status, counter) in STATUSES.iter().zip(&self.statuses) {
            let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
            line(out, "requests_total", &format!("{{status=\"{status}\"}}"), load(counter));
        }
        family(out, "in_flight_bytes", "gauge");
        line(out, "in_flight_bytes", "", in_flight_bytes as u64);
        self.write_latency(out);
    }

    fn write_latency(&self, out: &mut String) {
        family(out, "request_seconds", "histogram");
        let ends = LATENCY_MS.iter().map(|ms| seconds(ms * 1_000)).chain(["+Inf".to_owned()]);
        let mut sum = 0;
        for (end, bucket) in ends.zip(&self.latency) {
            sum += bucket.load(Ordering::Relaxed);
            line(out, "request_seconds_bucket", &format!("{{le=\"{end}\"}}"), sum);
        }
        let total = seconds(self.latency_us.load(Ordering::Relaxed));
        let _ = writeln!(out, "flagstream_ingest_request_seconds_sum {total}");
        line(out, "request_seconds_count", "", sum);
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

// Writing to a `String` cannot fail.
fn family(out: &mut String, name: &str, kind: &str) {
    let _ = writeln!(out, "# TYPE flagstream_ingest_{name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: u64) {
    let _ = writeln!(out, "flagstream_ingest_{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_written_as_they_stand() {
        let metrics = Metrics::default();
        metrics.add(|m| &m.accepted, 7);
        metrics.answered(202, Duration::from_micros(1_500));
        metrics.answered(202, Duration::from_secs(9));
        metrics.answered(418, Duration::ZERO);
        let mut rejected = Rejections::default();
        rejected.add(Rejection::TooDeep, 3);
        metrics.add_rejected(&rejected);
        let mut text = String::new();
        metrics.write_text(&mut text, 11);
        for line in [
            "accepted_total 7",
            "requests_total{status=\"202\"} 2",
            "requests_total{status=\"other\"} 1",
            "rejected_total{reason=\"too_deep\"} 3",
            "in_flight_bytes 11",
            "request_seconds_bucket{le=\"0.001000\"} 1",
            "request_seconds_bucket{le=\"0.002000\"} 2",
            "request_seconds_bucket{le=\"5.000000\"} 2",
            "request_seconds_bucket{le=\"+Inf\"} 3",
            "request_seconds_sum 9.001500",
            "request_seconds_count 3",
        ] {
            let line = format!("\nflagstream_ingest_{line}\n");
            assert!(text.contains(&line), "no {line:?} in:\n{text}");
        }
    }
}
