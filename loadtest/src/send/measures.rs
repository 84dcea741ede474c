//! What was measured while requests were sent.
//!
//! Always true here: the latency of a request runs from when it was *intended* to be sent, so that a server that makes
//! its clients wait cannot hide it; how late the sender itself was is told beside it, with the cause.

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

/// Longest time that histograms tell apart, in microseconds: 10 minutes.
const US_MAX: u64 = 600_000_000;

/// One request, sent and answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// What came of it: a status, or why there was none.
    pub(crate) answer: Answer,
    /// It was intended at this time, from the start.
    pub(crate) intended: Duration,
    /// Its sending began at this time.
    pub(crate) began: Duration,
    /// Its answer was there at this time.
    pub(crate) answered: Duration,
    /// When its time came, every connection was busy.
    pub(crate) waited_for_connection: bool,
    /// It is the second attempt, which no schedule knows.
    pub(crate) is_retry: bool,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Status(u16),
    None(&'static str),
}

impl Answer {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::None(why) => why.to_owned(),
        }
    }

    fn is_2xx(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Measures {
    /// Longest lag that is not late.
    late: Duration,
    /// Microseconds from when requests were intended to their answers.
    pub(crate) latency: BTreeMap<Answer, Histogram<u64>>,
    /// Microseconds from when sending began to a 2xx.
    pub(crate) service: Histogram<u64>,
    /// Microseconds from when requests of the schedule were intended to when their sending began.
    pub(crate) lag: Histogram<u64>,
    /// Requests of the schedule that began late, and those of them for which no connection was free.
    pub(crate) began_late: u64,
    pub(crate) late_for_connection: u64,
    pub(crate) seconds: Vec<Second>,
    current: Second,
    current_latency: Histogram<u64>,
}

/// A second of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Second {
    /// When it ended, in seconds from the start.
    pub(crate) at: f64,
    /// Requests that the schedule wanted in it.
    pub(crate) intended: u64,
    /// Requests answered in it, whatever the answer.
    pub(crate) answered: u64,
    pub(crate) acknowledged: u64,
    /// Of the 2xx, from the intended start, in milliseconds.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) lag_max_ms: f64,
}

impl Measures {
    /// Nothing measured; a sending that begins more than `late` behind its time is late.
    pub(crate) fn new(late: Duration) -> Result<Self> {
        Ok(Self {
            late,
            latency: BTreeMap::new(),
            service: histogram()?,
            lag: histogram()?,
            began_late: 0,
            late_for_connection: 0,
            seconds: Vec::new(),
            current: Second::default(),
            current_latency: histogram()?,
        })
    }

    /// Adds a request.
    ///
    /// # Errors
    /// There is no room for a histogram.
    pub(crate) fn add(&mut self, sent: &Sent) -> Result<()> {
        let Sent { answer, intended, began, answered, waited_for_connection, is_retry } = *sent;
        let latency = micros(answered.saturating_sub(intended));
        let lag = began.saturating_sub(intended);
        let latencies = match self.latency.entry(answer) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(histogram()?),
        };
        latencies.saturating_record(latency);
        self.current.answered += 1;
        if answer.is_2xx() {
            self.service.saturating_record(micros(answered.saturating_sub(began)));
            self.current.acknowledged += 1;
            self.current_latency.saturating_record(latency);
        }
        if !is_retry {
            self.lag.saturating_record(micros(lag));
            self.current.lag_max_ms = self.current.lag_max_ms.max(lag.as_secs_f64() * 1e3);
            if lag > self.late {
                self.began_late += 1;
                self.late_for_connection += u64::from(waited_for_connection);
            }
        }
        Ok(())
    }

    /// Ends a second at `at`, in which the schedule wanted `intended` requests.
    pub(crate) fn end_second(&mut self, at: Duration, intended: u64) {
        let mut second = std::mem::take(&mut self.current);
        (second.at, second.intended) = (at.as_secs_f64(), intended);
        [second.p50_ms, second.p99_ms, second.max_ms] =
            [0.5, 0.99, 1.0].map(|quantile| quantile_ms(&self.current_latency, quantile));
        self.current_latency.reset();
        self.seconds.push(second);
    }

    /// Requests with an answer or without one, so far.
    pub(crate) fn answered(&self) -> u64 {
        self.latency.values().map(Histogram::len).sum()
    }

    /// Requests answered 2xx so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.latency.iter().filter(|(answer, _)| answer.is_2xx()).map(|(_, histogram)| histogram.len()).sum()
    }

    /// How often each answer came, in words.
    pub(crate) fn answers(&self) -> String {
        let parts = self.latency.iter().map(|(answer, histogram)| format!("{}: {}", answer.name(), histogram.len()));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// A quantile in milliseconds; 0 of nothing.
pub(crate) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    if histogram.is_empty() { 0.0 } else { histogram.value_at_quantile(quantile) as f64 / 1_000.0 }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, US_MAX, 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(answer: Answer, intended_ms: u64, began_ms: u64, answered_ms: u64) -> Sent {
        let [intended, began, answered] = [intended_ms, began_ms, answered_ms].map(Duration::from_millis);
        Sent { answer, intended, began, answered, waited_for_connection: began_ms > 100, is_retry: false }
    }

    #[test]
    fn latency_runs_from_the_intended_start_and_lag_to_the_real_one() {
        let mut measures = Measures::new(Duration::from_millis(20)).unwrap();
        let (ok, busy) = (Answer::Status(202), Answer::Status(503));
        measures.add(&sent(ok, 0, 1, 5)).unwrap();
        measures.add(&sent(ok, 10, 110, 115)).unwrap();
        measures.add(&sent(busy, 20, 60, 61)).unwrap();
        measures.add(&Sent { is_retry: true, ..sent(Answer::None("closed"), 0, 500, 600) }).unwrap();
        let most = |histogram: &Histogram<u64>| (histogram.len(), quantile_ms(histogram, 1.0).round() as u64);
        assert_eq!(most(&measures.latency[&ok]), (2, 105), "not 5: it should have gone at 10 ms");
        assert_eq!(most(&measures.latency[&busy]), (1, 41));
        assert_eq!(most(&measures.service), (2, 5));
        assert_eq!(most(&measures.lag), (3, 100), "retries are in no schedule");
        assert_eq!((measures.began_late, measures.late_for_connection), (2, 1));
        assert_eq!((measures.answered(), measures.acknowledged()), (4, 2));
        assert_eq!(measures.answers(), "202: 2, 503: 1, closed: 1");
    }

    #[test]
    fn a_second_tells_of_itself_alone() {
        let mut measures = Measures::new(Duration::from_millis(20)).unwrap();
        measures.add(&sent(Answer::Status(202), 0, 1, 900)).unwrap();
        measures.end_second(Duration::from_secs(1), 7);
        measures.add(&sent(Answer::Status(202), 1_000, 1_001, 1_004)).unwrap();
        measures.end_second(Duration::from_secs(2), 8);
        measures.end_second(Duration::from_secs(3), 0);
        let told: Vec<_> = measures.seconds.iter().map(|s| (s.intended, s.answered, s.max_ms.round() as u64)).collect();
        assert_eq!(told, [(7, 1, 900), (8, 1, 4), (0, 0, 0)]);
    }
}
