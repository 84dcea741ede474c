//! F15: several metrics, one experiment.
//!
//! S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979 (no
//! wrong one among them, with probability 1 − α); Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate",
//! JRSS B 57, 1995 (at most a share α of wrong ones). A metric without a result is not in the family.

use crate::p::P;

/// Every p-value times their number, at most 1.
#[must_use]
pub fn bonferroni(family: &[Option<P>]) -> Vec<Option<P>> {
    let m = family.iter().flatten().count() as f64;
    family.iter().map(|p| p.map(|p| p.times(m))).collect()
}

/// Holm's: from the least on, times how many are left; none falls below the one before.
#[must_use]
pub fn holm(family: &[Option<P>]) -> Vec<Option<P>> {
    let ranked = ranked(family);
    let m = ranked.len();
    let mut largest: Option<P> = None;
    let steps = ranked.into_iter().enumerate().map(|(rank, (place, p))| {
        let adjusted = p.times((m - rank) as f64);
        let adjusted = largest.map_or(adjusted, |before| if adjusted < before { before } else { adjusted });
        largest = Some(adjusted);
        (place, adjusted)
    });
    placed(family.len(), steps)
}

/// Benjamini's and Hochberg's: from the largest down, times m over its rank; none rises above the one before.
#[must_use]
pub fn benjamini_hochberg(family: &[Option<P>]) -> Vec<Option<P>> {
    let ranked = ranked(family);
    let m = ranked.len() as f64;
    let mut least: Option<P> = None;
    let steps = ranked.into_iter().enumerate().rev().map(|(rank, (place, p))| {
        let adjusted = p.times(m / (rank + 1) as f64);
        let adjusted = least.map_or(adjusted, |before| if adjusted > before { before } else { adjusted });
        least = Some(adjusted);
        (place, adjusted)
    });
    placed(family.len(), steps)
}

/// The p-values there are, ascending, with their places.
fn ranked(family: &[Option<P>]) -> Vec<(usize, P)> {
    let mut ranked: Vec<_> = family.iter().enumerate().filter_map(|(place, p)| Some((place, (*p)?))).collect();
    ranked.sort_by(|a, b| a.1.log10().total_cmp(&b.1.log10()));
    ranked
}

fn placed(len: usize, adjusted: impl Iterator<Item = (usize, P)>) -> Vec<Option<P>> {
    let mut family = vec![None; len];
    for (place, p) in adjusted {
        family[place] = Some(p);
    }
    family
}
