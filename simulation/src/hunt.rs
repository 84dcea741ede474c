//! The hunt for a mutant: its script, or seed after seed, until the check that is there for it notices it.
//!
//! Always true here: what another check noticed before is told, and catches nothing.

use std::collections::BTreeMap;

use crate::mutants::Mutant;
use crate::noticed::Noticed;
use crate::run::Many;
use crate::small::{self, Plot};

/// Where a mutant was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this seed.
    Seed(u64),
    /// In this script.
    Script(Plot),
}

/// What came of a hunt.
#[derive(Debug)]
pub struct Found {
    /// Where the mutant was caught, and what was said of it; `None` = it was not.
    pub caught: Option<(Place, String)>,
    /// How many runs others noticed, of those that were made.
    pub others: BTreeMap<Noticed, u64>,
    /// The first of those, in words.
    pub other: Option<String>,
    /// Runs made.
    pub runs: u64,
}

impl Found {
    /// A line of a hunt: where, by what, after how many that others noticed; or that it was not caught.
    #[must_use]
    pub fn told(&self, mutant: &Mutant) -> String {
        let expects = mutant.expects.name();
        let others: Vec<String> = self.others.iter().map(|(by, times)| format!("{times} by {}", by.name())).collect();
        match (&self.caught, &self.other) {
            (Some((place, what)), _) => {
                let place = match place {
                    Place::Seed(seed) => format!("seed {seed}"),
                    Place::Script(plot) => format!("script {}", plot.name()),
                };
                let others = if others.is_empty() { String::new() } else { format!(" (and {})", others.join(", ")) };
                format!("caught at {place:<13} by {expects:<11} {}{others}: {}", mutant.name, shortened(what))
            }
            (None, Some(other)) => format!(
                "NOT CAUGHT by {expects} in {} runs, but {}: {}: {}",
                self.runs,
                others.join(", "),
                mutant.name,
                shortened(other)
            ),
            (None, None) => format!("NOT CAUGHT in {} runs: {}", self.runs, mutant.name),
        }
    }
}

/// Hunts a mutant through at most the seeds of `many`.
#[must_use]
pub fn hunt(mutant: &'static Mutant, many: &Many) -> Found {
    let said = match mutant.script {
        Some(plot) => script(mutant, plot),
        None => seeds(mutant, many),
    };
    let (runs, said) = said;
    let mut found = Found { caught: None, others: BTreeMap::new(), other: None, runs };
    for (place, what) in said {
        let noticed = Noticed::by(&what);
        if noticed == mutant.expects {
            found.caught = found.caught.or(Some((place, what)));
        } else {
            *found.others.entry(noticed).or_default() += 1;
            found.other = found.other.or(Some(what));
        }
    }
    found
}

fn script(mutant: &'static Mutant, plot: Plot) -> (u64, Vec<(Place, String)>) {
    let said = small::run_one(plot, Some(mutant)).err();
    (1, said.into_iter().map(|what| (Place::Script(plot), what)).collect())
}

fn seeds(mutant: &'static Mutant, many: &Many) -> (u64, Vec<(Place, String)>) {
    let many = Many { mutant: Some(mutant), failures_max: 1, noticed_by: Some(mutant.expects), ..many.clone() };
    let summary = many.run(&|_, _, _| {});
    let said = summary.failures.into_iter().map(|failure| (Place::Seed(failure.run.seed), failure.what));
    (summary.runs, said.collect())
}

fn shortened(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(140).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::Model;

    fn many() -> Many {
        let models = Model::ALL.to_vec();
        Many { from: 0, seeds: 20, models, mutant: None, failures_max: 1, noticed_by: None, threads: 1 }
    }

    /// A stop is no wrong number: a mutant that must give one is not caught by it.
    #[test]
    fn what_another_check_noticed_catches_nothing() {
        let right = Mutant::named("state durable before the cells").unwrap();
        let found = hunt(right, &many());
        assert!(found.caught.is_some(), "{found:?}");
        let wrong: &'static Mutant = Box::leak(Box::new(Mutant { expects: Noticed::Letter, ..*right }));
        let found = hunt(wrong, &many());
        assert_eq!((found.caught, found.runs), (None, 40));
        assert!(found.others[&Noticed::Guard] > 0 && found.other.is_some(), "{:?}", found.others);
    }
}
