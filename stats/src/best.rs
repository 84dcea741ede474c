//! F12: which of several variations is the best, each normally distributed.
//!
//! D. Russo, B. Van Roy, A. Kazerouni, I. Osband, Z. Wen, "A tutorial on Thompson sampling", 2018: the chance of each
//! to be the largest, by one integral and not by drawing.

use crate::no_number::NoNumber;
use crate::special::normal;
use crate::special::quadrature::integral_over;

/// How far from its mean a variation is followed, in standard deviations.
const REACH: f64 = 9.0;

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
        integral_over(&cuts(start, belief, beliefs), |u| {
            normal::density(u) * below(belief.mean + u * belief.sd, Some(i))
        })
    };
    Ok(beliefs.iter().enumerate().map(chance).collect())
}

/// From `start` to where `belief` ends, in its standard deviations, cut wherever one of `beliefs` bends: a sharp one
/// would lie between the points of an even grid.
fn cuts(start: f64, belief: &Belief, beliefs: &[Belief]) -> Vec<f64> {
    let bends = |other: &Belief| {
        let places = [-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0];
        places.map(|k| (other.mean + k * other.sd - belief.mean) / belief.sd)
    };
    let mut cuts: Vec<f64> = beliefs.iter().flat_map(bends).filter(|u| *u > start && *u < REACH).collect();
    cuts.extend([start, REACH.max(start)]);
    cuts.sort_by(f64::total_cmp);
    cuts
}
