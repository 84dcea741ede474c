//! What was said held against what is true: by kind, and as precision and recall.
//!
//! Always true here: a flag that is called stale is right to be so only if it is removable and knowably so; that a kind
//! is known to be misjudged changes no number, only what stands beside it.

use super::Outcome;
use super::answer::{Answers, Said};
use super::kinds::{KINDS, Kind, Told, Truth};

/// How often a word was said and how often it was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Said, and so.
    pub right: usize,
    /// Said.
    pub said: usize,
    /// So.
    pub so: usize,
}

impl Share {
    fn add(&mut self, said: bool, so: bool) {
        self.right += usize::from(said && so);
        self.said += usize::from(said);
        self.so += usize::from(so);
    }

    /// Adds.
    pub fn merge(&mut self, other: Self) {
        self.right += other.right;
        self.said += other.said;
        self.so += other.so;
    }

    /// Of what was said, how much was so; per mille, `None` = nothing was said.
    #[must_use]
    pub fn precision(&self) -> Option<usize> {
        (self.right * 1000).checked_div(self.said)
    }

    /// Of what was so, how much was said; per mille, `None` = nothing was so.
    #[must_use]
    pub fn recall(&self) -> Option<usize> {
        (self.right * 1000).checked_div(self.so)
    }
}

/// A day.
#[derive(Debug, Clone, Default)]
pub struct Day {
    /// The day.
    pub day: u32,
    /// Flags that there were.
    pub flags: usize,
    /// The word "stale".
    pub stale: Share,
    /// The word "unknown".
    pub unknown: Share,
}

/// A kind on the last day.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub kind: &'static Kind,
    /// Flags of it.
    pub flags: usize,
    /// The word "stale".
    pub stale: Share,
    /// The word "unknown".
    pub unknown: Share,
    /// Of which all is right: status, reasons, blockers, what holds them, advice, forward value.
    pub right: usize,
    /// Of which something else is said than this kind of flag is known to be told; each with what was said.
    pub surprises: Vec<(String, Said)>,
}

/// A flag that is not told as it should be.
#[derive(Debug)]
pub struct Miss {
    /// The day.
    pub day: u32,
    /// The flag.
    pub key: String,
    /// What is true.
    pub truth: Truth,
    /// What was said.
    pub said: Said,
    /// Its kind.
    pub kind: &'static Kind,
}

/// All numbers, of one fleet or of several.
#[derive(Debug)]
pub struct Score {
    /// Flags on the last day.
    pub flags: usize,
    /// Payloads that ingest took.
    pub payloads: u64,
    /// Each day that was asked for.
    pub days: Vec<Day>,
    /// Each kind, on the last day.
    pub rows: Vec<Row>,
    /// Every flag misjudged on a day, in order of days.
    pub misses: Vec<Miss>,
}

impl Score {
    /// Counts.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let days = outcome.answers.iter().map(|answers| of_day(outcome, answers));
        let (days, misses) = days.unzip::<_, _, Vec<_>, Vec<_>>();
        Self {
            flags: outcome.flags.len(),
            payloads: outcome.payloads,
            days,
            rows: KINDS.iter().map(|kind| of_kind(outcome, kind)).collect(),
            misses: misses.into_iter().flatten().collect(),
        }
    }

    /// Adds another fleet's numbers, of which the report was asked for on the same days.
    pub fn merge(&mut self, other: Self) {
        self.flags += other.flags;
        self.payloads += other.payloads;
        for (day, other) in self.days.iter_mut().zip(other.days) {
            day.flags += other.flags;
            day.stale.merge(other.stale);
            day.unknown.merge(other.unknown);
        }
        for (row, other) in self.rows.iter_mut().zip(other.rows) {
            row.flags += other.flags;
            row.stale.merge(other.stale);
            row.unknown.merge(other.unknown);
            row.right += other.right;
            row.surprises.extend(other.surprises);
        }
        self.misses.extend(other.misses);
    }

    /// Kinds of which some are misjudged on a day though nothing is known against them on the last, and how many.
    #[must_use]
    pub fn misjudged_beside_the_known(&self, day: u32) -> Vec<(&'static Kind, usize)> {
        let is_of = |miss: &&Miss, kind: &Kind| miss.day == day && std::ptr::eq(miss.kind, kind);
        let open = KINDS.iter().filter(|kind| kind.missed.is_none());
        let counted = open.map(|kind| (kind, self.misses.iter().filter(|miss| is_of(miss, kind)).count()));
        counted.filter(|(_, times)| *times > 0).collect()
    }

    /// Whether every flag is told as its kind is known to be.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.rows.iter().all(|row| row.surprises.is_empty() && row.flags > 0)
    }
}

fn of_day(outcome: &Outcome, answers: &Answers) -> (Day, Vec<Miss>) {
    let mut day = Day { day: answers.day, ..Day::default() };
    let mut misses = Vec::new();
    for flag in &outcome.flags {
        let Some(truth) = flag.truth(answers.day) else { continue };
        let said = answers.of(&flag.key);
        let (stale, unknown) = (said.is_some_and(|said| said.stale), said.is_some_and(|said| said.unknown));
        day.flags += 1;
        day.stale.add(stale, truth == Truth::Removable);
        day.unknown.add(unknown, truth == Truth::Unknowable);
        if stale != (truth == Truth::Removable) || unknown != (truth == Truth::Unknowable) {
            let said = said.cloned().unwrap_or_else(nothing);
            misses.push(Miss { day: answers.day, key: flag.key.clone(), truth, said, kind: flag.kind });
        }
    }
    (day, misses)
}

fn of_kind(outcome: &Outcome, kind: &'static Kind) -> Row {
    let (stale, unknown) = (Share::default(), Share::default());
    let mut row = Row { kind, flags: 0, stale, unknown, right: 0, surprises: Vec::new() };
    let Some(last) = outcome.answers.last() else { return row };
    for flag in outcome.flags.iter().filter(|flag| std::ptr::eq(flag.kind, kind)) {
        let Some(truth) = flag.truth(last.day) else { continue };
        row.flags += 1;
        let Some(said) = last.of(&flag.key) else {
            row.surprises.push((flag.key.clone(), nothing()));
            continue;
        };
        row.stale.add(said.stale, truth == Truth::Removable);
        row.unknown.add(said.unknown, truth == Truth::Unknowable);
        row.right += usize::from(fits(said, &kind.right));
        if !fits(said, kind.expected()) {
            row.surprises.push((flag.key.clone(), said.clone()));
        }
    }
    row
}

/// A flag that the report does not have.
fn nothing() -> Said {
    Said {
        status: "not in the report".to_owned(),
        unknown: false,
        stale: false,
        reasons: [].into(),
        blockers: [].into(),
        held: [].into(),
        advice: None,
        forward: None,
    }
}

/// Whether that is said.
fn fits(said: &Said, told: &Told) -> bool {
    let same = |said: &std::collections::BTreeSet<String>, told: &[&str]| {
        said.len() == told.len() && told.iter().all(|code| said.contains(*code))
    };
    let reasons = told.reasons.iter().all(|code| said.reasons.contains(*code))
        && said.reasons.iter().all(|code| told.reasons.iter().chain(told.may).any(|known| known == code));
    told.status.contains(&said.status.as_str())
        && said.stale == told.stale
        && reasons
        && same(&said.blockers, told.blockers)
        && same(&said.held, told.held)
        && said.advice.as_deref() == told.advice
        && said.forward == told.forward
}
