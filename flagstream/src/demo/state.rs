//! What is known while the demo plays, in words.
//!
//! Always true here: a number that is not of now says how old it is.

use std::time::Duration;

use tokio::time::Instant;

use super::script::{Part, Scene, Weather};
use super::told::{Comparison, Metrics};
use super::traffic::Sent;
use crate::read::words::grouped;

/// What is known now.
#[derive(Debug, Default)]
pub struct State {
    /// Since the beginning.
    pub elapsed: Duration,
    /// How long all of it lasts, about.
    pub lasts: Duration,
    /// What is played.
    pub scene: Option<Scene>,
    /// What is being waited for.
    pub waits_for: Option<String>,
    /// Payloads: made, accepted, sent again.
    pub payloads: [u64; 3],
    /// Evaluations sent while both paths are written.
    pub sent: u64,
    /// 99 of 100 answers are faster.
    pub p99: Option<Duration>,
    /// What the paths counted of these, and how old that is.
    pub counted: Option<(i64, i64, Duration)>,
    /// How the server itself is.
    pub metrics: Metrics,
}

/// What the server told last.
#[derive(Debug, Default)]
pub struct Seen {
    /// Old path, new path, when.
    pub counted: Option<(i64, i64, Instant)>,
    /// How it is.
    pub metrics: Metrics,
}

impl Seen {
    /// Takes a comparison.
    pub fn take(&mut self, comparison: &Comparison) {
        let paths = comparison.evaluations.values();
        let sums = paths.fold((0, 0), |(old, new), paths| (old + paths.old_of_both(), new + paths.new_of_both()));
        self.counted = Some((sums.0, sums.1, Instant::now()));
    }
}

impl State {
    /// With what the traffic and the server say.
    pub fn with(mut self, sent: &Sent, seen: &Seen) -> Self {
        self.payloads = [sent.payloads, sent.accepted, sent.again];
        self.sent = sent.truth.evaluations_in(Part::Both);
        self.p99 = sent.p99();
        self.counted = seen.counted.map(|(old, new, at)| (old, new, at.elapsed()));
        self.metrics = seen.metrics;
        self
    }

    fn time(&self) -> String {
        let clock = |time: Duration| format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60);
        format!("{} of {}", clock(self.elapsed), clock(self.lasts))
    }

    fn stage(&self) -> &'static str {
        self.scene.map_or("–", |scene| scene.stage.name())
    }

    fn p99(&self) -> String {
        self.p99.map_or_else(|| "–".to_owned(), |p99| format!("{} ms", number(p99.as_millis())))
    }

    /// One line.
    pub fn line(&self) -> String {
        let weather = match self.scene.map(|scene| scene.weather) {
            Some(Weather::Throttled) => "throttled",
            Some(Weather::Down) => "down",
            Some(Weather::Calm) | None => "well",
        };
        let (old, new) = self.counted.map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |(old, new, _)| (number(old), format!("{} ({})", number(new), signed(old - new))),
        );
        let Metrics { lag, refused, unknown } = self.metrics;
        let [lag, refused, unknown] = [lag, refused, unknown].map(number);
        let ([made, accepted, _], sent) = (self.payloads.map(number), number(self.sent));
        let (time, stage, p99) = (self.time(), self.stage(), self.p99());
        let scene = format!("{time}  {stage:<8} store {weather:<9} payloads {accepted}/{made}  sent {sent}");
        format!("{scene}  old {old}  new {new}  refused {refused}  unknown {unknown}  lag {lag}  p99 {p99}")
    }

    /// All of it, each line with its colour.
    pub fn lines(&self) -> Vec<(Colour, String)> {
        let (stage, weather) = self.scene.map_or_else(Default::default, |scene| (stage_words(scene), scene.weather));
        let weather_colour = if weather == Weather::Calm { Colour::Green } else { Colour::Red };
        let mut lines = vec![
            (Colour::Bold, format!("{}   {stage}", self.time())),
            (weather_colour, weather.words()),
            (Colour::Plain, self.payloads_line()),
            (Colour::Plain, format!("evaluations   {:>10} sent in shadow and live", number(self.sent))),
        ];
        lines.extend(self.path_lines());
        lines.extend(self.waits_for.iter().map(|what| (Colour::Bold, format!("waiting: {what}"))));
        lines
    }

    fn payloads_line(&self) -> String {
        let [made, accepted, again] = self.payloads.map(number);
        let p99 = self.p99();
        format!("payloads      {made:>10} sent   {accepted:>10} accepted   {again:>6} attempts again   p99 {p99}")
    }

    fn path_lines(&self) -> [(Colour, String); 2] {
        let [lag, refused, unknown] = [self.metrics.lag, self.metrics.refused, self.metrics.unknown].map(number);
        let told = format!("told of {refused} refused, {unknown} of unknown end");
        let waits = format!("{lag} records wait in the log");
        let Some((old, new, age)) = self.counted else {
            return [told, waits].map(|known| (Colour::Plain, format!("  {known}")));
        };
        let colour = if old == new { Colour::Plain } else { Colour::Red };
        let (difference, age) = (signed(old - new), format!("as of {} s ago", age.as_secs()));
        let old_path =
            format!("  old path    {:>10} counted · {difference} against the new one · {age} · {told}", number(old));
        let new_path = format!("  new path    {:>10} counted · {waits}", number(new));
        [(colour, old_path), (Colour::Green, new_path)]
    }
}

fn stage_words(scene: Scene) -> String {
    let stage = scene.stage;
    let written = match Part::of(stage) {
        Part::OldOnly => "the old path alone is written",
        Part::Both => "both paths are written",
        Part::NewOnly => "the new path alone is written",
    };
    let in_charge = if stage.old_in_charge() { "old" } else { "new" };
    format!("stage {}: {written}, the {in_charge} one is in charge", stage.name())
}

/// Digits in groups.
pub fn number(number: impl ToString) -> String {
    let digits = number.to_string();
    match digits.strip_prefix('-') {
        Some(digits) => format!("−{}", grouped(digits)),
        None => grouped(&digits),
    }
}

/// With its sign.
pub fn signed(size: i64) -> String {
    if size > 0 { format!("+{}", number(size)) } else { number(size) }
}

/// The colour of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// That of the terminal.
    Plain,
    /// The same, bold.
    Bold,
    /// Red.
    Red,
    /// Green.
    Green,
}

impl Colour {
    /// What a terminal calls it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Red => "31",
            Self::Green => "32",
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::gate::Stage;

    use super::*;

    fn state() -> State {
        let lasts = Duration::from_secs(25);
        State {
            elapsed: Duration::from_secs(65),
            lasts: Duration::from_secs(98),
            scene: Some(Scene { stage: Stage::Shadow, weather: Weather::Throttled, lasts }),
            payloads: [3_120, 2_940, 180],
            sent: 24_031,
            p99: Some(Duration::from_millis(1_920)),
            counted: Some((22_118, 24_020, Duration::from_secs(3))),
            metrics: Metrics { lag: 142, refused: 310, unknown: 25 },
            ..State::default()
        }
    }

    #[test]
    fn a_line_has_all_of_it() {
        assert_eq!(
            state().line(),
            "1:05 of 1:38  shadow   store throttled payloads 2,940/3,120  sent 24,031  old 22,118  new 24,020 (−1,902)  \
             refused 310  unknown 25  lag 142  p99 1,920 ms"
        );
        let blind = State { counted: None, p99: None, ..state() };
        assert!(
            blind.line().contains("old –  new –  refused 310") && blind.line().ends_with("p99 –"),
            "{}",
            blind.line()
        );
    }

    #[test]
    fn lines_tell_how_old_their_numbers_are() {
        let lines = state().lines();
        assert_eq!(lines[1].0, Colour::Red);
        let all: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
        for part in [
            "1:05 of 1:38   stage shadow: both paths are written, the old one is in charge",
            "the store is throttled",
            "−1,902 against the new one · as of 3 s ago",
            "310 refused",
            "142 records wait",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        let before = State { counted: None, waits_for: Some("for the gate".to_owned()), ..state() }.lines();
        assert_eq!(before.last().unwrap().1, "waiting: for the gate");
        assert!(before.iter().all(|(_, line)| !line.contains("against")));
    }
}
