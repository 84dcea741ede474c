//! Line plots as SVG, made here: axes that begin at zero, lines, and a legend.
//!
//! Always true here: colours come by class, so that the page's two schemes have their own; whatever the numbers, no
//! coordinate lies outside the plot or is no number.

use maud::{Markup, html};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 30.0;

/// One line of a plot.
pub(super) struct Line {
    pub(super) name: String,
    /// Pairs of x and y, in order of x.
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot of `lines`; x runs from 0 to `x_max`, with a label at each of `ticks`.
pub(super) fn plot(title: &str, unit: &str, lines: &[Line], x_max: f64, ticks: &[(f64, String)]) -> Markup {
    let highest = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).filter(|y| y.is_finite());
    let top = nice(highest.fold(0.0, f64::max));
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * share(value, x_max);
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share(value, top);
    html! {
        figure {
            figcaption { (title) span.muted { " (" (unit) ")" } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
                @for step in 0..=4 {
                    @let value = top * f64::from(step) / 4.0;
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(tenths(y(value))) y2=(tenths(y(value))) {}
                    text.axis x=(LEFT - 8.0) y=(tenths(y(value))) dy="0.32em" text-anchor="end" { (short(value)) }
                }
                @for (value, label) in ticks {
                    text.axis x=(tenths(x(*value))) y=(HEIGHT - 8.0) text-anchor="middle" { (label) }
                }
                @for (number, line) in lines.iter().enumerate() {
                    polyline class={ "c" (number % 6) } points=(points(&line.points, x, y)) {
                        title { (line.name) }
                    }
                }
            }
            p.legend {
                @for (number, line) in lines.iter().enumerate() {
                    span { i class={ "c" (number % 6) } {} (line.name) }
                }
            }
        }
    }
}

fn points(points: &[(f64, f64)], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let text = points.iter().map(|(at, value)| format!("{},{}", tenths(x(*at)), tenths(y(*value))));
    text.collect::<Vec<_>>().join(" ")
}

/// `value` of `whole`, in 0 to 1; what is no number is 0.
fn share(value: f64, whole: f64) -> f64 {
    let share = value / whole;
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

fn tenths(length: f64) -> String {
    format!("{length:.1}")
}

/// The least number not below `value` whose quarters read well.
fn nice(value: f64) -> f64 {
    let mut unit = 0.004;
    while unit < 1e15 {
        for times in [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0] {
            if unit * times >= value {
                return unit * times;
            }
        }
        unit *= 10.0;
    }
    value
}

/// A number in few letters.
pub(super) fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let decimals = if value >= 100.0 { 0 } else { 3 };
    let text = format!("{value:.decimals$}");
    let text = if decimals == 0 { &text } else { text.trim_end_matches('0').trim_end_matches('.') };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_read_well_and_hold_all() {
        for (value, top) in [(0.0, 0.004), (3.9, 4.0), (4.1, 6.0), (95.0, 100.0), (121.0, 160.0), (4_600.0, 6_000.0)] {
            assert!((nice(value) - top).abs() < 1e-9, "{value}: {}", nice(value));
        }
        let texts = [0.0, 1.5, 0.001, 250.4, 12_000.0, 2_500_000.0].map(short);
        assert_eq!(texts, ["0", "1.5", "0.001", "250", "12 k", "2.5 M"]);
    }

    #[test]
    fn every_coordinate_lies_in_the_plot() {
        let line = Line { name: "a <b>".to_owned(), points: vec![(0.0, 0.0), (5.0, f64::NAN), (20.0, 7.0)] };
        let text = plot("t", "ms", &[line], 10.0, &[(10.0, "10 s".to_owned())]).into_string();
        assert!(text.contains(r#"points="64.0,230.0 506.0,230.0 948.0,37.5""#), "{text}");
        assert!(text.contains("a &lt;b&gt;") && !text.contains("NaN"), "{text}");
    }
}
