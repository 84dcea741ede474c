//! F17: the difference of a quantile.
//!
//! A. Deng, U. Knoblich, J. Lu, KDD 2018, section 4; S. Yao, X. Li, "Fast quantile estimation", 2024. The outer order
//! statistics of one standard error tell the density at the quantile; where events of one unit go together, the
//! variance is multiplied by how much more the share of events below the quantile varies between units than it would
//! alone.

use crate::alpha::Alpha;
use crate::arm::Arm;
use crate::no_number::{NoNumber, finite};
use crate::pair::PairMoments;

/// A quantile of the events of one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// What two arms are compared by; its n counts events.
    pub arm: Arm,
    /// Lower order statistic.
    pub lower: f64,
    /// Upper order statistic.
    pub upper: f64,
    /// Variance of the share of events at or below the quantile, units as clusters; `None` where events stand alone.
    pub indicator_variance: Option<f64>,
}

/// The `level` quantile, 0 < level < 1, of events that are independent.
pub fn quantile(events: &[f64], level: f64, alpha: Alpha) -> Result<Quantile, NoNumber> {
    let mut sorted = events.to_vec();
    sorted.sort_by(f64::total_cmp);
    of_sorted(&sorted, level, alpha)
}

/// The same of events that come from units; each unit is the list of its events, maybe empty.
pub fn clustered_quantile(units: &[Vec<f64>], level: f64, alpha: Alpha) -> Result<Quantile, NoNumber> {
    let plain = quantile(&units.concat(), level, alpha)?;
    let at = plain.arm.value();
    let counts: Vec<(f64, f64)> =
        units.iter().map(|unit| (unit.iter().filter(|y| **y <= at).count() as f64, unit.len() as f64)).collect();
    let share = Arm::ratio(&PairMoments::of(&counts)?)?;
    let alone = level * (1.0 - level) / plain.arm.n() as f64;
    let arm = Arm::new(plain.arm.n(), at, plain.arm.unit_variance() * (share.variance() / alone))?;
    Ok(Quantile { arm, indicator_variance: Some(share.variance()), ..plain })
}

/// Fewer events than this, or as many, have no order statistic outside the bounds: z²·max(ν/(1−ν), (1−ν)/ν).
#[must_use]
pub fn events_min(level: f64, alpha: Alpha) -> f64 {
    let odds = level / (1.0 - level);
    alpha.z().powi(2) * odds.max(1.0 / odds)
}

fn of_sorted(sorted: &[f64], level: f64, alpha: Alpha) -> Result<Quantile, NoNumber> {
    let n = sorted.len() as f64;
    if n <= events_min(level, alpha) {
        return Err(NoNumber::InsufficientData);
    }
    let z = alpha.z();
    let reach = z * (level * (1.0 - level) / n).sqrt();
    let at = |share| order_statistic(sorted, share).ok_or(NoNumber::InsufficientData);
    let (value, lower, upper) = (at(level)?, at(level - reach)?, at(level + reach)?);
    // n − 1 and not n: as for a mean, and as the reference cases have it.
    let unit_variance = (n - 1.0) * (finite(upper - lower)? / (2.0 * z)).powi(2);
    let arm = Arm::new(sorted.len() as u64, value, unit_variance)?;
    Ok(Quantile { arm, lower, upper, indicator_variance: None })
}

/// Y of rank ⌈n·share⌉ of sorted values, the first for a share of 0 or less.
pub(crate) fn order_statistic(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()) - usize::from(!sorted.is_empty())).copied()
}
