//! F12: which of several variations is the best, each normally distributed.
//!
//! D. Russo, B. Van Roy, A. Kazerouni, I. Osband, Z. Wen, "A tutorial on Thompson sampling", 2018: the chance of each
//! to be the largest, by one integral and not by drawing.

use crate::no_number::NoNumber;
use crate::special::normal;
use crate::special::quadrature::integral;

/// How far from its mean a variation is followed, in standard deviations.
const REACH: f64 = 9.0;
const PANELS: u32 = 120;

/// What is known of one variation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, ≥ 0.
    pub sd: f64,
}

/// The chance of each to be the largest; they add up to 1. Of several without spread that tie, each has its share.
pub fn chance_of_best(beliefs: &[Belief]) -> Result<Vec<f64>, NoNumber> {
    if beliefs.is_empty() {
        return Err(NoNumber::NoData);
    }
    if beliefs.iter().any(|belief| !belief.mean.is_finite() || !belief.sd.is_finite() || belief.sd < 0.0) {
        return Err(NoNumber::OutOfRange);
    }
    let fixed = beliefs.iter().filter(|belief| belief.sd == 0.0).map(|belief| belief.mean);
    let floor = fixed.fold(f64::NEG_INFINITY, f64::max);
    let tied = beliefs.iter().filter(|belief| belief.sd == 0.0 && belief.mean == floor).count();
    let below = |x: f64, skip: Option<usize>| {
        let others = beliefs.iter().enumerate().filter(|(i, belief)| Some(*i) != skip && belief.sd > 0.0);
        others.map(|(_, belief)| normal::upper_tail((belief.mean - x) / belief.sd)).product::<f64>()
    };
    let chance = |(i, belief): (usize, &Belief)| {
        if belief.sd == 0.0 {
            return if belief.mean == floor { below(floor, None) / tied as f64 } else { 0.0 };
        }
        // In its own standard deviations, from where it passes those that stand still.
        let start = ((floor - belief.mean) / belief.sd).max(-REACH);
        if start >= REACH {
            return 0.0;
        }
        integral(start, REACH, PANELS, |u| normal::density(u) * below(belief.mean + u * belief.sd, Some(i)))
    };
    Ok(beliefs.iter().enumerate().map(chance).collect())
}
