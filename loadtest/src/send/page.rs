//! The report as one page: readable without a network and without JavaScript.
//!
//! Always true here: everything is in the file; a verdict that is bad stands first and in red.

use super::measures::Second;
use super::plot::{Line, plot, short};
use super::report::{Quantiles, Report, Status};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");
/// Points of a line at most: of longer runs every so many seconds are one point, the worst of them.
const POINTS_MAX: usize = 600;

/// The whole page.
pub(super) fn page(report: &Report) -> Markup {
    let title = format!("Load: {:.0} requests a second for {:.0} s", report.requests_per_second, report.seconds);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p class=[(!report.is_good()).then_some("bad")] { (report.verdict()) }
                (numbers(report))
                (answers(report))
                (courses(report))
                (curves(report))
                details {
                    summary { "What it was started with" }
                    pre { (serde_json::to_string_pretty(&report.parameters).unwrap_or_default()) }
                }
            }
        }
    }
}

fn numbers(report: &Report) -> Markup {
    let tiles = [
        ("acknowledged a second", short(report.acknowledged_per_second)),
        ("events a second", short(report.events_per_second)),
        ("requests", report.requests.to_string()),
        ("acknowledged", report.acknowledged.to_string()),
        ("evaluations", report.evaluations.to_string()),
        ("events a request, mean", format!("{:.1}", report.request.events)),
        ("KB a request, mean", format!("{:.1}", report.request.bytes / 1e3)),
        ("CPU seconds of the sender", format!("{:.1}", report.sender_cpu_seconds)),
        ("CPU seconds of the server", format!("{:.1}", report.cpu_seconds.iter().sum::<f64>())),
    ];
    html! {
        dl.tiles { @for (name, value) in tiles { div { dt { (name) } dd { (value) } } } }
    }
}

fn answers(report: &Report) -> Markup {
    let row = |name: &str, requests: u64, Quantiles { p50, p90, p99, p999, max }: Quantiles| {
        html! {
            tr {
                th scope="row" { (name) }
                td { (requests) }
                @for ms in [p50, p90, p99, p999, max] { td { (format!("{ms:.2}")) } }
            }
        }
    };
    html! {
        h2 { "Answers" }
        p.muted { "Milliseconds from when a request was intended to be sent to its answer." }
        table {
            thead {
                tr {
                    @for head in ["answer", "requests", "p50", "p90", "p99", "p99.9", "most"] {
                        th scope="col" { (head) }
                    }
                }
            }
            tbody {
                @for status in &report.statuses { (row(&status.answer, status.requests, status.latency_ms)) }
                (row("2xx, from the real start", report.acknowledged, report.service_ms))
                @if let Some(schedule) = &report.schedule {
                    (row("real start behind the intended", schedule.begun, schedule.lag_ms))
                }
            }
        }
    }
}

fn courses(report: &Report) -> Markup {
    let step = report.series.len().div_ceil(POINTS_MAX).max(1);
    let line = |name: &str, value: fn(&Second) -> f64| Line {
        name: name.to_owned(),
        points: report
            .series
            .chunks(step)
            .filter_map(|seconds| Some((seconds.last()?.at, seconds.iter().map(value).fold(0.0, f64::max))))
            .collect(),
    };
    let mut rates = vec![
        line("acknowledged", |second| second.acknowledged as f64),
        line("other answers, or none", |second| (second.answered - second.acknowledged) as f64),
    ];
    if report.schedule.is_some() {
        rates.push(line("wanted by the schedule", |second| second.intended as f64));
    }
    let latencies = [
        line("p50", |second| second.p50_ms),
        line("p99", |second| second.p99_ms),
        line("most", |second| second.max_ms),
    ];
    let lag = [line("most in a second", |second| second.lag_max_ms)];
    let end = report.series.last().map_or(1.0, |second| second.at);
    let ticks: Vec<_> = (0..=6).map(|n| end * f64::from(n) / 6.0).map(|at| (at, format!("{at:.0} s"))).collect();
    html! {
        h2 { "Course" }
        (plot("Requests a second", "of each second", &rates, end, &ticks))
        (plot("Latency of the 2xx from the intended start", "ms", &latencies, end, &ticks))
        (plot("How far sends began behind their time", "ms", &lag, end, &ticks))
    }
}

/// Latency by quantile, one line an answer; x is how many nines.
fn curves(report: &Report) -> Markup {
    let nines = |quantile: f64| -(1.0 - quantile).max(1e-5).log10();
    let line = |status: &Status| Line {
        name: format!("{} ({})", status.answer, status.requests),
        points: status.curve.iter().map(|(quantile, ms)| (nines(*quantile), *ms)).collect(),
    };
    let lines: Vec<_> = report.statuses.iter().map(line).collect();
    let ticks = [(0.0, "0 %"), (0.301, "50 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")];
    let ticks = ticks.map(|(at, label)| (at, label.to_owned()));
    html! {
        h2 { "Latency by quantile" }
        (plot("Latency from the intended start, by answer", "ms", &lines, 5.0, &ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::example;
    use super::*;

    #[test]
    fn a_page_is_whole_in_itself_and_says_first_what_is_wrong() {
        let good = page(&example(true)).into_string();
        assert_eq!(good.matches("<svg").count(), 4);
        for outside in ["<script", "http://", "https://", "url(", "@import", "src="] {
            assert!(!good.contains(outside), "{outside}");
        }
        assert!(!good.contains("class=\"bad\""));
        assert!(page(&example(false)).into_string().contains("<p class=\"bad\">THE SCHEDULE WAS NOT HELD"));
    }
}
