//! Zipf's law: the n-th of a list is drawn 1 / n^s as often as the first.
//!
//! Always true here: one throw a draw, so that a sequence of draws is a function of the seed; exponent 0 draws all
//! alike.

use crate::dice::Dice;

/// A list's chances.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// Chance of a place or one before it; the last is 1.
    cumulated: Vec<f64>,
}

impl Zipf {
    /// Chances of `number` places, at least one; `exponent` is 0 or more.
    pub(crate) fn new(number: usize, exponent: f64) -> Self {
        let weights = (1..=number.max(1)).map(|rank| (rank as f64).powf(-exponent));
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        cumulated.iter_mut().for_each(|chance| *chance /= sum);
        Self { cumulated }
    }

    /// A place, from 0.
    pub(crate) fn pick(&self, dice: &mut Dice) -> usize {
        let unit = dice.unit();
        self.cumulated.partition_point(|chance| *chance <= unit).min(self.cumulated.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(number: usize, exponent: f64) -> Vec<usize> {
        let zipf = Zipf::new(number, exponent);
        let mut dice = Dice::new(3);
        let mut drawn = vec![0; number];
        (0..100_000).for_each(|_| drawn[zipf.pick(&mut dice)] += 1);
        drawn
    }

    /// Within four standard deviations of what the law says.
    #[test]
    fn draws_follow_the_law() {
        for (number, exponent) in [(20, 1.0), (5, 0.0), (100, 1.3), (1, 1.0)] {
            let total: f64 = (1..=number).map(|rank| (rank as f64).powf(-exponent)).sum();
            for (place, count) in drawn(number, exponent).into_iter().enumerate() {
                let chance = ((place + 1) as f64).powf(-exponent) / total;
                let (mean, deviation) = (100_000.0 * chance, (100_000.0 * chance * (1.0 - chance)).sqrt());
                assert!((count as f64 - mean).abs() <= 4.0 * deviation, "{number} {exponent} {place}: {count} {mean}");
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        assert_eq!(drawn(20, 1.0), drawn(20, 1.0));
    }
}
