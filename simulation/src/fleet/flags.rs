//! The flags of a seed: so many of each kind, and what is true of each on any day.
//!
//! Always true here: every kind has a flag at least; the same seed and number give the same flags.

use super::kinds::{KINDS, Kind, Truth};
use super::places::{APPS, PROJECTS, is_blind};
use super::stories::{Draft, TELLER, TELLER_STAGING};
use crate::chance::Chance;

/// A flag.
#[derive(Debug)]
pub struct Flag {
    /// Its key, which tells nothing of its kind.
    pub key: String,
    /// Its kind.
    pub kind: &'static Kind,
    pub(super) draft: Draft,
}

impl Flag {
    /// What is true of it at the beginning of a day of the run; `None` = there is no such flag yet.
    #[must_use]
    pub fn truth(&self, day: u32) -> Option<Truth> {
        let project = PROJECTS.iter().find(|project| project.name == self.kind.project)?;
        let is_early = day < self.draft.removable_from;
        let told = match self.kind.truth {
            _ if day <= self.draft.created => return None,
            _ if is_blind(project, day) => Truth::Unknowable,
            // Kinds of an environment that is blind on the last day are what their twins in another one are.
            Truth::Unknowable if self.draft.uses.is_empty() => Truth::Unknowable,
            Truth::Unknowable if self.draft.removable_from == 0 => Truth::Kept,
            Truth::Removable | Truth::Unknowable if is_early => Truth::Kept,
            Truth::Removable | Truth::Unknowable => Truth::Removable,
            Truth::Kept => Truth::Kept,
        };
        Some(told)
    }

    /// Its version on a day.
    pub(super) fn version(&self, day: u32) -> u64 {
        1 + self.draft.changes.iter().filter(|change| **change <= day).count() as u64
    }
}

/// Draws the flags of a seed; no fewer than there are kinds.
#[must_use]
pub fn draw(seed: u64, number: usize) -> Vec<Flag> {
    let mut chance = Chance::new(seed);
    let weights: usize = KINDS.iter().map(|kind| kind.weight).sum();
    let mut of: Vec<&Kind> = KINDS.iter().collect();
    let more =
        KINDS.iter().flat_map(|kind| std::iter::repeat_n(kind, (number * kind.weight / weights).saturating_sub(1)));
    of.extend(more.take(number.saturating_sub(KINDS.len())));
    let left = number.saturating_sub(of.len());
    of.extend(KINDS.iter().cycle().take(left));
    // Shuffled, so that neither order nor key goes with the kind.
    for place in (1..of.len()).rev() {
        of.swap(place, chance.below(place + 1));
    }
    let flag = |(number, kind): (usize, &'static Kind)| {
        let mut draft = (kind.story)(&mut chance);
        draft.uses.iter_mut().for_each(|asked| asked.app = app_of(asked.app, kind.project));
        Flag { key: format!("flag-{number:04}"), kind, draft }
    };
    of.into_iter().enumerate().map(flag).collect()
}

/// The project's own teller, where a story leaves the project open.
fn app_of(app: usize, project: &str) -> usize {
    let environment = match app {
        TELLER => "production",
        TELLER_STAGING => "staging",
        app => return app,
    };
    let is = |app: &super::places::App| (app.project, app.environment, app.name) == (project, environment, "teller");
    APPS.iter().position(is).unwrap_or(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_there_and_a_seed_decides_all() {
        for number in [KINDS.len(), 60, 500] {
            let flags = draw(3, number);
            assert_eq!(flags.len(), number);
            assert!(KINDS.iter().all(|kind| flags.iter().any(|flag| std::ptr::eq(flag.kind, kind))));
            assert_eq!(format!("{flags:?}"), format!("{:?}", draw(3, number)));
            assert_ne!(format!("{flags:?}"), format!("{:?}", draw(4, number)));
        }
    }

    #[test]
    fn on_the_last_day_a_flag_is_what_its_kind_says() {
        for flag in draw(5, 500) {
            assert_eq!(flag.truth(super::super::places::DAYS), Some(flag.kind.truth), "{}", flag.kind.name);
        }
    }
}
