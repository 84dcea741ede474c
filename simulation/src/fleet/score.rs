//! What was said held against what is true: by kind, and as precision and recall.
//!
//! Always true here: a flag that is called stale is right to be so only if it is removable and knowably so; that a kind is
//! known to be misjudged changes no number, only what stands beside it.

use super::Outcome;
use super::answer::{Answers, Said};
use super::flags::Flag;
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
    /// The word "stale", of the kinds that the rule does not misjudge by its own text.
    pub stale_of_others: Share,
    /// Of those kinds, the ones of which some are misjudged on this day, and how many.
    pub misjudged: Vec<(&'static Kind, usize)>,
}

/// A kind on the last day.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub kind: &'static Kind,
    /// Flags of it.
    pub flags: usize,
    /// Called stale.
    pub stale: usize,
    /// Called unknown.
    pub unknown: usize,
    /// Of which all is right: status, reasons, blockers, advice.
    pub right: usize,
    /// Of which something else is said than this kind of flag is known to be told; each with what was said.
    pub surprises: Vec<(String, Said)>,
}

/// A flag that is not told as it should be.
#[derive(Debug)]
pub struct Miss<'o> {
    /// The flag.
    pub flag: &'o Flag,
    /// What is true.
    pub truth: Truth,
    /// What was said.
    pub said: &'o Said,
}

/// All numbers.
#[derive(Debug)]
pub struct Score<'o> {
    /// Each day that was asked for.
    pub days: Vec<Day>,
    /// Each kind, on the last day.
    pub rows: Vec<Row>,
    /// Every flag misjudged on the last day, in order of kind.
    pub misses: Vec<Miss<'o>>,
}

impl<'o> Score<'o> {
    /// Counts.
    #[must_use]
    pub fn of(outcome: &'o Outcome) -> Self {
        let days = outcome.answers.iter().map(|answers| of_day(outcome, answers));
        let (rows, misses) = KINDS.iter().map(|kind| of_kind(outcome, kind)).unzip::<_, _, Vec<_>, Vec<_>>();
        Self { days: days.collect(), rows, misses: misses.into_iter().flatten().collect() }
    }

    /// Whether every flag is told as its kind is known to be.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.rows.iter().all(|row| row.surprises.is_empty() && row.flags > 0)
    }
}

fn of_day(outcome: &Outcome, answers: &Answers) -> Day {
    let mut day = Day { day: answers.day, ..Day::default() };
    for flag in &outcome.flags {
        let Some(truth) = flag.truth(answers.day) else { continue };
        let said = answers.of(&flag.key);
        let (stale, unknown) = (said.is_some_and(|said| said.stale), said.is_some_and(|said| said.unknown));
        day.flags += 1;
        day.stale.add(stale, truth == Truth::Removable);
        day.unknown.add(unknown, truth == Truth::Unknowable);
        if flag.kind.rule.is_none() {
            day.stale_of_others.add(stale, truth == Truth::Removable);
            if stale != (truth == Truth::Removable) || unknown != (truth == Truth::Unknowable) {
                match day.misjudged.iter_mut().find(|(kind, _)| std::ptr::eq(*kind, flag.kind)) {
                    Some((_, times)) => *times += 1,
                    None => day.misjudged.push((flag.kind, 1)),
                }
            }
        }
    }
    day
}

fn of_kind<'o>(outcome: &'o Outcome, kind: &'static Kind) -> (Row, Vec<Miss<'o>>) {
    let mut row = Row { kind, flags: 0, stale: 0, unknown: 0, right: 0, surprises: Vec::new() };
    let mut misses = Vec::new();
    let Some(last) = outcome.answers.last() else { return (row, misses) };
    for flag in outcome.flags.iter().filter(|flag| std::ptr::eq(flag.kind, kind)) {
        let Some(truth) = flag.truth(last.day) else { continue };
        row.flags += 1;
        let Some(said) = last.of(&flag.key) else {
            row.surprises.push((flag.key.clone(), nothing()));
            continue;
        };
        row.stale += usize::from(said.stale);
        row.unknown += usize::from(said.unknown);
        row.right += usize::from(fits(said, &kind.right));
        if !fits(said, kind.expected()) {
            row.surprises.push((flag.key.clone(), said.clone()));
        }
        if said.stale != (truth == Truth::Removable) || said.unknown != (truth == Truth::Unknowable) {
            misses.push(Miss { flag, truth, said });
        }
    }
    (row, misses)
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
