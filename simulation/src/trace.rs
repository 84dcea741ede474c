//! What happened, line by line, for a person who wants to understand one seed.
//!
//! Always true here: a line costs nothing while nobody reads; tracing changes no throw of the dice.

use std::fmt::Arguments;

/// What the columns of a line are, and what stands in them.
pub const COLUMNS: &str = "\
step: a turn of the world, in which one of those below does one small thing; what happens in it has its number.
time: seconds since the world began, by its own clock.
who:  client, who sends payloads          node iN, ingest node N             producer, what appends records
      node N/P, process N at partition P  publisher, of definitions          group, who gives partitions
      log, topic, people, clock, world: what befalls them
what: h stands after an @, the position of a checkpoint or state after its name; cells are told by their kinds.

step    time           who         what";

/// The lines of one seed.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    on: bool,
    step: u64,
    now_ms: i64,
    start_ms: Option<i64>,
    /// The lines so far.
    pub lines: Vec<String>,
}

impl Trace {
    /// A trace that keeps its lines.
    #[must_use]
    pub fn on() -> Self {
        Self { on: true, ..Self::default() }
    }

    /// Whether anybody reads.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// The next step, at this time.
    pub fn step(&mut self, now_ms: i64) {
        self.step += 1;
        self.now_ms = now_ms;
        self.start_ms.get_or_insert(now_ms);
    }

    /// Adds a line; `who` names the client, node, worker or store that acts.
    pub fn note(&mut self, who: Arguments<'_>, what: Arguments<'_>) {
        if self.on {
            let since = self.now_ms - self.start_ms.unwrap_or(self.now_ms);
            let (seconds, ms) = (since.div_euclid(1000), since.rem_euclid(1000));
            self.lines.push(format!("{:<7} {seconds:>9}.{ms:03} s {:<11} {what}", self.step, who.to_string()));
        }
    }
}

/// Adds a line to a trace: `note!(trace, "client {n}", "sends payload {id}")`, or with arguments for who acts,
/// `note!(trace, "node {}", n; "begins")`. Nothing of it is worked out while nobody reads.
#[macro_export]
macro_rules! note {
    ($trace:expr, $who:literal, $($arg:expr),+ ; $($what:tt)+) => {
        if $trace.is_on() {
            $trace.note(format_args!($who, $($arg),+), format_args!($($what)+));
        }
    };
    ($trace:expr, $who:literal, $($what:tt)+) => {
        if $trace.is_on() {
            $trace.note(format_args!($who), format_args!($($what)+));
        }
    };
}
