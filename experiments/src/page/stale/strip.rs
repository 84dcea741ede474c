//! Days of use as a strip, the oldest first, with lines at the days from which a flag is inactive and dead.
//!
//! Always true here: no two labels lie on each other, whatever the days; one without room goes a line further down.

use maud::{Markup, html};

use crate::interval::DAY_MS;
use crate::page::text;
use crate::stale::Thresholds;

const DAYS: i64 = 90;
const CELL: i64 = 6;
const WIDTH: i64 = DAYS * CELL;
const HEIGHT: i64 = 16;
/// Of a line of labels; of a letter, a bit more than the style's size of letters takes.
const LINE: i64 = 10;
const LETTER: i64 = 6;

/// Words at a place of the strip.
#[derive(Debug)]
struct Label {
    /// Where its middle is.
    middle: i64,
    line: i64,
    words: String,
}

impl Label {
    fn of(words: String, x: i64) -> Self {
        let half = width(&words) / 2;
        Self { middle: x.clamp(half, WIDTH - half), line: 0, words }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let apart = (width(&self.words) + width(&other.words)) / 2;
        self.line == other.line && (self.middle - other.middle).abs() < apart
    }
}

fn width(words: &str) -> i64 {
    i64::try_from(words.chars().count()).unwrap_or(0) * LETTER
}

/// The ends of the strip, and the days from now that have a line; each in the first line of labels with room for it.
fn labels(lines: &[i64]) -> Vec<Label> {
    let ends = [Label::of(format!("{DAYS} d ago"), 0), Label::of("today".to_owned(), WIDTH)];
    let marks = lines.iter().map(|back| Label::of(format!("{back} d"), (DAYS - back) * CELL));
    let mut placed: Vec<Label> = Vec::new();
    for mut label in ends.into_iter().chain(marks) {
        while placed.iter().any(|other| other.overlaps(&label)) {
            label.line += 1;
        }
        placed.push(label);
    }
    placed
}

pub(super) fn strip(days: &[u32], thresholds: Thresholds, as_of_ms: i64) -> Markup {
    let today = as_of_ms.div_euclid(DAY_MS);
    let first = today - DAYS + 1;
    let used: Vec<i64> = days.iter().map(|day| i64::from(*day)).filter(|day| (first..=today).contains(day)).collect();
    let mut lines = vec![i64::from(thresholds.stale_days), i64::from(thresholds.inactive_days)];
    lines.dedup();
    lines.retain(|back| *back < DAYS);
    let labels = labels(&lines);
    let below = labels.iter().map(|label| label.line + 1).max().unwrap_or(0) * LINE;
    let told = format!("used on {} of the last {DAYS} days", used.len());
    html! {
        figure.strip {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 4 + below) } role="img" aria-label=(told) {
                @for day in first..=today {
                    rect class=(if used.contains(&day) { "used" } else { "idle" }) x=((day - first) * CELL) y="0"
                        width=(CELL - 1) height=(HEIGHT) rx="1" { title { (text::day(day * DAY_MS)) (if used.contains(&day) { ": used" } else { ": not used" }) } }
                }
                @for back in &lines {
                    @let x = (DAYS - back) * CELL;
                    line.mark-line x1=(x) x2=(x) y1="0" y2=(HEIGHT + 3) {}
                }
                @for label in &labels {
                    text.axis x=(label.middle) y=(HEIGHT + 1 + LINE * (label.line + 1)) text-anchor="middle" { (label.words) }
                }
            }
            figcaption.small.muted {
                "Asked for by name on " (used.len()) " of the last " (DAYS) " days. The lines: where nobody asked since, it is inactive (after "
                (thresholds.inactive_days) " days) and dead (after " (thresholds.stale_days) ")."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_lies_on_another_whatever_the_days() {
        for inactive in 0..DAYS {
            for stale in 0..DAYS {
                let placed = labels(&[stale, inactive]);
                let words: Vec<String> = placed.iter().map(|label| label.words.clone()).collect();
                assert_eq!(words, ["90 d ago", "today", &format!("{stale} d"), &format!("{inactive} d")]);
                for (place, label) in placed.iter().enumerate() {
                    let half = width(&label.words) / 2;
                    assert!(label.middle >= half && label.middle + half <= WIDTH, "beside the strip: {label:?}");
                    for other in &placed[..place] {
                        let (mine, theirs) = (label.middle - half, other.middle + width(&other.words) / 2);
                        let before = label.middle + half <= other.middle - width(&other.words) / 2;
                        assert!(label.line != other.line || before || theirs <= mine, "{label:?} on {other:?}");
                    }
                }
            }
        }
        assert!(labels(&[30, 7]).iter().all(|label| label.line == 0), "there is room for the usual days");
        assert!(labels(&[2, 1]).iter().any(|label| label.line == 2));
    }
}
