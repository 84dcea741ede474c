//! The flags that clients ask for, and how often each.
//!
//! Always true here: who draws decides nothing but which flag; what is drawn is a function of the dice.

use crate::dice::Dice;
use crate::zipf::Zipf;

/// A flag of the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) key: String,
    pub(crate) variations: u32,
}

/// The flags of an environment.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    all: Vec<Flag>,
    /// Those of running experiments: their evaluations are also sent in full.
    experiments: Vec<Flag>,
    /// How often each is asked for; none = all alike.
    zipf: Option<Zipf>,
}

impl Flags {
    /// Flags by key and number of variations, all asked for alike; neither list is empty.
    pub(crate) fn even(all: &[(&str, u32)], experiments: &[(&str, u32)]) -> Self {
        let flag = |(key, variations): &(&str, u32)| Flag { key: (*key).to_owned(), variations: *variations };
        Self { all: all.iter().map(flag).collect(), experiments: experiments.iter().map(flag).collect(), zipf: None }
    }

    /// `number` flags (at least 1) with 2 to 4 variations each, the first asked for most: by Zipf's law with this
    /// exponent. Of every ten the third is in an experiment.
    pub(crate) fn many(number: u32, exponent: f64) -> Self {
        let flag = |n: u32| Flag { key: format!("team-{}.flag-{n:04}", n % 7), variations: 2 + n % 3 };
        let all: Vec<Flag> = (0..number.max(1)).map(flag).collect();
        let mut experiments: Vec<Flag> = all.iter().skip(2).step_by(10).cloned().collect();
        if experiments.is_empty() {
            experiments.push(all[0].clone());
        }
        Self { zipf: Some(Zipf::new(all.len(), exponent)), all, experiments }
    }

    /// One of all.
    pub(crate) fn pick(&self, dice: &mut Dice) -> &Flag {
        match &self.zipf {
            Some(zipf) => &self.all[zipf.pick(dice)],
            None => dice.pick(&self.all),
        }
    }

    /// One of those in experiments, all alike.
    pub(crate) fn pick_experiment(&self, dice: &mut Dice) -> &Flag {
        dice.pick(&self.experiments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn many_flags_are_distinct_and_the_first_is_asked_for_most() {
        let flags = Flags::many(50, 1.0);
        assert_eq!(flags.all.iter().map(|flag| &flag.key).collect::<HashSet<_>>().len(), 50);
        assert_eq!(flags.experiments.len(), 5);
        let mut dice = Dice::new(1);
        let first = (0..10_000).filter(|_| *flags.pick(&mut dice) == flags.all[0]).count();
        // 1 / (1 + 1/2 + … + 1/50) = 22.2 %.
        assert!((2_080..2_370).contains(&first), "{first}");
        assert_eq!(Flags::many(1, 1.0).pick_experiment(&mut dice).key, "team-0.flag-0000");
    }
}
