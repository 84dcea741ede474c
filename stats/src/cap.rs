//! F7: a cap on the total of a unit.
//!
//! R. Kohavi, D. Tang, Y. Xu, "Trustworthy Online Controlled Experiments", 2020, ch. 22. The cap is on what a unit adds
//! up to, not on an event, and one cap holds for all arms: with one of its own, the arm with the outliers would win.

use crate::moments::Moments;
use crate::no_number::NoNumber;
use crate::quantile::order_statistic;

/// Moments of min(value, `cap`).
pub fn capped(unit_totals: &[f64], cap: f64) -> Result<Moments, NoNumber> {
    Moments::of(&unit_totals.iter().map(|total| total.min(cap)).collect::<Vec<_>>())
}

/// The cap at a share of all units of all arms, 0 < `share` ≤ 1: Y of rank ⌈n·share⌉, which is one of the totals.
/// `OutOfRange` if one is no number, `NoData` of none.
pub fn pooled_cap(arms: &[&[f64]], share: f64) -> Result<f64, NoNumber> {
    let mut totals: Vec<f64> = arms.iter().flat_map(|arm| arm.iter().copied()).collect();
    if totals.iter().any(|total| !total.is_finite()) {
        return Err(NoNumber::OutOfRange);
    }
    totals.sort_by(f64::total_cmp);
    order_statistic(&totals, share).ok_or(NoNumber::NoData)
}
