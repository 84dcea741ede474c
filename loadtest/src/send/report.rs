//! What a run came to: for people, for programs, for the page.

use super::Arguments;
use super::measures::{Measures, Second, quantile_ms};
use super::sender::Sender;
use super::shelf::Means;
use crate::report::table;
use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Quantiles of the curves on the page.
const CURVE: &[f64] = &[
    0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995,
    0.9999, 0.99999, 1.0,
];

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// All was sent.
    Sent,
    /// Time was up before all was sent.
    Behind,
    /// Someone stopped it.
    Interrupted,
}

/// What only the run knows.
#[derive(Debug)]
pub(super) struct Run {
    /// Requests a second; none = as many as there can be.
    pub(super) per_second: Option<f64>,
    /// Requests in the schedule.
    pub(super) intended: u64,
    pub(super) elapsed: Duration,
    pub(super) ended: Ended,
    /// Of the sender, then of the processes that were named.
    pub(super) cpu_seconds: Vec<f64>,
}

/// What a run came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// What it was started with.
    pub(super) parameters: serde_json::Value,
    pub(super) ended: Ended,
    pub(super) seconds: f64,
    /// None without a schedule.
    pub(super) schedule: Option<Held>,
    pub(super) requests: u64,
    pub(super) requests_per_second: f64,
    pub(super) acknowledged: u64,
    pub(super) acknowledged_per_second: f64,
    /// Requests that were sent a second time are in `requests` twice; these never were, for want of room.
    given_up: u64,
    /// Refused for good, as for a wrong key.
    pub(super) refused: u64,
    /// Elements of the acknowledged payloads' arrays, and evaluations in them.
    pub(super) events: u64,
    pub(super) evaluations: u64,
    /// A request, in the mean, as drawn.
    pub(super) request: Means,
    pub(super) events_per_second: f64,
    pub(super) statuses: Vec<Status>,
    /// From the beginning of the send to a 2xx, without any wait before.
    pub(super) service_ms: Quantiles,
    pub(super) sender_cpu_seconds: f64,
    /// Of the processes that were named, in their order.
    pub(super) cpu_seconds: Vec<f64>,
    pub(super) series: Vec<Second>,
}

/// Whether the sender did what the schedule said.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    pub(super) held: bool,
    pub(super) requests_per_second: f64,
    /// Requests in the schedule, and those of them that were begun.
    pub(super) intended: u64,
    pub(super) begun: u64,
    pub(super) late_ms: f64,
    /// Begun late, and those of them for which no connection was free.
    pub(super) late: u64,
    pub(super) late_for_connection: u64,
    /// From the intended start to the real one.
    pub(super) lag_ms: Quantiles,
    /// The same in a sentence.
    pub(super) verdict: String,
}

/// One kind of answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(super) answer: String,
    pub(super) requests: u64,
    /// From the intended start.
    pub(super) latency_ms: Quantiles,
    /// Pairs of quantile and milliseconds.
    pub(super) curve: Vec<(f64, f64)>,
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let [p50, p90, p99, p999, max] = [0.5, 0.9, 0.99, 0.999, 1.0].map(|quantile| quantile_ms(histogram, quantile));
        Self { p50, p90, p99, p999, max }
    }

    fn cells(self) -> [String; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max].map(|ms| format!("{ms:.2}"))
    }
}

/// Puts it together.
pub(super) fn report(arguments: &Arguments, sender: &Sender, mut run: Run) -> Result<Report> {
    let measures = sender.measures();
    if run.ended == Ended::Behind && measures.lag.len() >= run.intended {
        // Nothing was left of the schedule: only answers, or second attempts, were still awaited.
        run.ended = Ended::Sent;
    }
    let seconds = run.elapsed.as_secs_f64();
    let statuses = measures.latency.iter().map(|(answer, histogram)| Status {
        answer: answer.name(),
        requests: histogram.len(),
        latency_ms: Quantiles::of(histogram),
        curve: CURVE.iter().map(|quantile| (*quantile, quantile_ms(histogram, *quantile))).collect(),
    });
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let (requests, acknowledged) = (measures.answered(), measures.acknowledged());
    let events = read(&sender.progress.elements);
    let mut cpu_seconds = run.cpu_seconds.into_iter();
    Ok(Report {
        parameters: serde_json::to_value(arguments)?,
        ended: run.ended,
        seconds,
        schedule: run
            .per_second
            .map(|per_second| held(arguments, &measures, (per_second, run.intended, read(&sender.taken), run.ended))),
        requests,
        requests_per_second: requests as f64 / seconds,
        acknowledged,
        acknowledged_per_second: acknowledged as f64 / seconds,
        given_up: read(&sender.given_up),
        refused: read(&sender.progress.refused),
        events,
        evaluations: read(&sender.progress.evaluations),
        request: sender.shelf.means(),
        events_per_second: events as f64 / seconds,
        statuses: statuses.collect(),
        service_ms: Quantiles::of(&measures.service),
        sender_cpu_seconds: cpu_seconds.next().unwrap_or_default(),
        cpu_seconds: cpu_seconds.collect(),
        series: measures.seconds.clone(),
    })
}

fn held(arguments: &Arguments, measures: &Measures, run: (f64, u64, u64, Ended)) -> Held {
    let (requests_per_second, intended, taken, ended) = run;
    let mut held = Held {
        held: false,
        requests_per_second,
        intended,
        begun: measures.lag.len().min(taken),
        late_ms: arguments.late_ms,
        late: measures.began_late,
        late_for_connection: measures.late_for_connection,
        lag_ms: Quantiles::of(&measures.lag),
        verdict: String::new(),
    };
    let late_share = held.late as f64 / held.begun.max(1) as f64;
    held.held = late_share <= arguments.late_share && ended != Ended::Behind;
    held.verdict = held.sentence(late_share, arguments.connections, ended);
    held
}

impl Held {
    fn sentence(&self, late_share: f64, connections: u32, ended: Ended) -> String {
        let Self { begun, intended, late, late_for_connection, late_ms, lag_ms, .. } = self;
        let mut text = if self.held { "schedule held" } else { "THE SCHEDULE WAS NOT HELD" }.to_owned();
        text += &format!(
            ": {begun} of {intended} requests begun, {:.2} % of them more than {late_ms} ms late (p99 {:.1} ms, most \
             {:.1} ms)",
            late_share * 100.0,
            lag_ms.p99,
            lag_ms.max
        );
        if *late > 0 {
            text += &format!(
                "; of the late ones {late_for_connection} found none of {connections} connections free (the server is \
                 slower than the rate, or the connections are too few), {} had one and no CPU to use it",
                late - late_for_connection
            );
        }
        match ended {
            Ended::Sent => {}
            Ended::Behind => text += "; time was up before all were begun",
            Ended::Interrupted => text += "; interrupted",
        }
        text
    }
}

impl Report {
    /// The schedule was held, and nothing was refused for good.
    pub(crate) fn is_good(&self) -> bool {
        self.schedule.as_ref().is_none_or(|schedule| schedule.held) && self.refused == 0
    }

    /// The verdict in a sentence.
    pub(super) fn verdict(&self) -> String {
        match &self.schedule {
            Some(schedule) => schedule.verdict.clone(),
            None => "closed loop, no schedule: latencies are those of clients that wait for the server".to_owned(),
        }
    }

    /// Prints it for people.
    pub(super) fn print(&self) {
        let mut rows = table(["answer", "requests", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "most ms"]);
        let mut add = |name: &str, requests: u64, quantiles: Quantiles| {
            rows.add_row([name.to_owned(), requests.to_string()].into_iter().chain(quantiles.cells()));
        };
        for status in &self.statuses {
            add(&status.answer, status.requests, status.latency_ms);
        }
        add("2xx, from the real start", self.acknowledged, self.service_ms);
        if let Some(schedule) = &self.schedule {
            add("real start behind the intended", schedule.begun, schedule.lag_ms);
        }
        println!("{rows}");
        println!(
            "{:.0} requests a second acknowledged over {:.1} s: {:.0} events a second ({:.1} events and {:.1} KB a \
             request in the mean), {} evaluations",
            self.acknowledged_per_second,
            self.seconds,
            self.events_per_second,
            self.request.events,
            self.request.bytes / 1_000.0,
            self.evaluations
        );
        println!("CPU seconds: sender {:.2}, named processes {:?}", self.sender_cpu_seconds, self.cpu_seconds);
        if self.refused > 0 {
            println!("{} payloads were refused for good; does the server know these keys?", self.refused);
        }
        println!("{}", self.verdict());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    const TIMES: Quantiles = Quantiles { p50: 1.0, p90: 2.0, p99: 3.0, p999: 4.0, max: 5.0 };

    /// A report of a run of two seconds.
    pub(in crate::send) fn example(is_good: bool) -> Report {
        let verdict = if is_good { "schedule held" } else { "THE SCHEDULE WAS NOT HELD" }.to_owned();
        let second = |at| Second { at, intended: 10, answered: 10, acknowledged: 9, p99_ms: 3.0, ..Second::default() };
        Report {
            parameters: json!({"seed": 1}),
            ended: Ended::Sent,
            seconds: 2.0,
            schedule: Some(Held {
                held: is_good,
                requests_per_second: 10.0,
                intended: 20,
                begun: 20,
                late_ms: 20.0,
                late: 0,
                late_for_connection: 0,
                lag_ms: TIMES,
                verdict,
            }),
            requests: 20,
            requests_per_second: 10.0,
            acknowledged: 18,
            acknowledged_per_second: 9.0,
            given_up: 0,
            refused: 0,
            events: 216,
            evaluations: 1_000,
            request: Means { events: 12.0, evaluations: 50.0, bytes: 9_000.0 },
            events_per_second: 108.0,
            statuses: [("202", 18), ("503", 2)]
                .map(|(answer, requests)| Status {
                    answer: answer.to_owned(),
                    requests,
                    latency_ms: TIMES,
                    curve: vec![(0.0, 1.0), (0.5, 1.0), (1.0, 5.0)],
                })
                .into(),
            service_ms: TIMES,
            sender_cpu_seconds: 0.5,
            cpu_seconds: vec![1.5],
            series: vec![second(1.0), second(2.0)],
        }
    }

    #[test]
    fn programs_find_the_numbers_under_these_names() {
        let report = serde_json::to_value(example(false)).unwrap();
        assert_eq!(report["schedule"]["held"], json!(false));
        assert_eq!(report["schedule"]["lagMs"]["p99"], json!(3.0));
        assert_eq!(report["statuses"][1]["answer"], json!("503"));
        assert_eq!(report["statuses"][0]["latencyMs"]["p999"], json!(4.0));
        assert_eq!(report["series"][1]["acknowledged"], json!(9));
        assert_eq!(report["ended"], json!("sent"));
        assert!(!example(false).is_good() && example(true).is_good());
        assert!(!Report { refused: 1, ..example(true) }.is_good());
    }

    #[test]
    fn the_verdict_names_who_was_too_slow() {
        let zero = Quantiles { p50: 0.0, p90: 0.0, p99: 1.5, p999: 0.0, max: 812.0 };
        let held = |held, late, late_for_connection| Held {
            held,
            requests_per_second: 10.0,
            intended: 1_000,
            begun: 990,
            late_ms: 20.0,
            late,
            late_for_connection,
            lag_ms: zero,
            verdict: String::new(),
        };
        let good = held(true, 0, 0).sentence(0.0, 64, Ended::Sent);
        let wanted = "schedule held: 990 of 1000 requests begun, 0.00 % of them more than 20 ms late (p99 1.5 ms, most \
                      812.0 ms)";
        assert_eq!(good, wanted);
        let bad = held(false, 500, 450).sentence(0.505, 64, Ended::Behind);
        assert!(bad.starts_with("THE SCHEDULE WAS NOT HELD: 990 of 1000 requests begun, 50.50 % of them"), "{bad}");
        assert!(bad.contains("450 found none of 64 connections free"), "{bad}");
        assert!(bad.ends_with("50 had one and no CPU to use it; time was up before all were begun"), "{bad}");
    }
}
