//! F10: looks that are planned beforehand.
//!
//! Spending of α: K. K. G. Lan, D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70,
//! 1983. The recursion over looks: P. Armitage, C. K. McPherson, B. C. Rowe, "Repeated significance tests on
//! accumulating data", JRSS A 132, 1969. Constants: C. Jennison, B. W. Turnbull, "Group Sequential Methods", 2000,
//! chapter 2.

use crate::alpha::Alpha;
use crate::special::normal;
use crate::special::quadrature::Rule;

/// How α is spent as information comes in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spending {
    /// Little at first: 4(1 − Φ(z_{α/4}/√t)), twice a one-sided O'Brien-Fleming function of α/2.
    OBrienFleming,
    /// About evenly: α·ln(1 + (e − 1)t).
    Pocock,
    /// α·t^φ.
    Power(f64),
}

impl Spending {
    /// What is spent by the share `t` of all information, 0 < t ≤ 1.
    #[must_use]
    pub fn spent(self, t: f64, alpha: Alpha) -> f64 {
        let a = alpha.get();
        let spent = match self {
            Self::OBrienFleming => 4.0 * normal::upper_tail(normal::upper_quantile(a / 4.0) / t.sqrt()),
            Self::Pocock => a * (1.0 + (std::f64::consts::E - 1.0) * t).ln(),
            Self::Power(exponent) => a * t.powf(exponent),
        };
        spent.min(a)
    }
}

/// One planned look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// α spent by then.
    pub cumulative_alpha: f64,
    /// Stop when |z| ≥ this.
    pub z: f64,
}

/// Beyond so many standard deviations nothing is left to integrate, and no bound is looked for.
const FAR: f64 = 38.0;
const WIDE: f64 = 12.0;
const LOOKS_MAX: usize = 500;
const STEPS_MAX: u32 = 100;

/// Two-sided bounds at the planned shares of information; `None` unless they rise within (0, 1] and are 500 at most.
#[must_use]
pub fn bounds(fractions: &[f64], spending: Spending, alpha: Alpha) -> Option<Vec<Bound>> {
    let rises = fractions.iter().try_fold(0.0, |before, &t| (t > before && t <= 1.0).then_some(t));
    if fractions.is_empty() || fractions.len() > LOOKS_MAX || rises.is_none() {
        return None;
    }
    let mut walk = Walk::default();
    let mut spent = 0.0;
    let bounds = fractions.iter().map(|&t| {
        let cumulative_alpha = spending.spent(t, alpha);
        let step = cumulative_alpha - spent;
        let z = root(step, |z| walk.crossing(t, z));
        walk.look(t, z);
        spent = cumulative_alpha;
        Bound { cumulative_alpha, z }
    });
    Some(bounds.collect())
}

/// O'Brien's and Fleming's constant for `looks` equal steps: stop at look k when |z| ≥ C·√(looks/k).
#[must_use]
pub fn obrien_fleming_constant(looks: u32, alpha: Alpha) -> f64 {
    constant(looks, alpha, |k| (f64::from(looks) / k).sqrt())
}

/// Pocock's: stop at any look when |z| ≥ C.
#[must_use]
pub fn pocock_constant(looks: u32, alpha: Alpha) -> f64 {
    constant(looks, alpha, |_| 1.0)
}

fn constant(looks: u32, alpha: Alpha, shape: impl Fn(f64) -> f64) -> f64 {
    root(alpha.get(), |c| crossed(looks, |k| c * shape(k)))
}

/// How often a test of level `alpha` rejects at one of `looks` equal steps, without any effect: the price of peeking.
#[must_use]
pub fn error_of_peeking(looks: u32, alpha: Alpha) -> f64 {
    crossed(looks, |_| alpha.z())
}

fn crossed(looks: u32, bound: impl Fn(f64) -> f64) -> f64 {
    let mut walk = Walk::default();
    let steps = (1..=looks.min(LOOKS_MAX as u32)).map(|k| {
        let (t, z) = (f64::from(k) / f64::from(looks), bound(f64::from(k)));
        let crossing = walk.crossing(t, z);
        walk.look(t, z);
        crossing
    });
    steps.sum()
}

/// The z in (0, 38) where a falling probability is `target`: false position on logarithms, which are nearly parabolas,
/// with the stale end's weight halved (Illinois).
fn root(target: f64, probability: impl Fn(f64) -> f64) -> f64 {
    let off = |z: f64| probability(z).max(f64::MIN_POSITIVE).ln() - target.max(f64::MIN_POSITIVE).ln();
    let (mut low, mut high) = ((0.0, off(0.0)), (FAR, off(FAR)));
    let mut z = low.0;
    for _ in 0..STEPS_MAX {
        let before = z;
        z = (low.0 * high.1 - high.0 * low.1) / (high.1 - low.1);
        if !(z > low.0 && z < high.0) {
            z = f64::midpoint(low.0, high.0);
        }
        let value = off(z);
        if value.abs() < 1e-12 || (z - before).abs() < 1e-11 {
            break;
        }
        if value > 0.0 {
            high.1 /= if low.0 == before { 2.0 } else { 1.0 };
            low = (z, value);
        } else {
            low.1 /= if high.0 == before { 2.0 } else { 1.0 };
            high = (z, value);
        }
    }
    z
}

/// A Brownian motion that has crossed no bound yet: its density at points within the last one.
#[derive(Debug, Default)]
struct Walk {
    t: f64,
    /// (place, density × weight of the quadrature); empty before the first look, when it stands at 0.
    mass: Vec<(f64, f64)>,
}

impl Walk {
    fn mass(&self) -> &[(f64, f64)] {
        if self.mass.is_empty() { &[(0.0, 1.0)] } else { &self.mass }
    }

    /// How likely it is that |z| ≥ `z` first at share `t`.
    fn crossing(&self, t: f64, z: f64) -> f64 {
        let step = (t - self.t).sqrt();
        let bound = z * t.sqrt();
        let leaving = |w: f64| normal::upper_tail((bound - w) / step) + normal::upper_tail((bound + w) / step);
        self.mass().iter().map(|(w, mass)| mass * leaving(*w)).sum()
    }

    /// Goes on to share `t`, within |z| < `z`.
    fn look(&mut self, t: f64, z: f64) {
        let step = (t - self.t).sqrt();
        let bound = z.min(WIDE) * t.sqrt();
        // Six points for each standard deviation of a step are more than a smooth density needs.
        let points = (12.0 * bound / step).ceil().clamp(40.0, 2_000.0) as usize;
        let density = |w: f64| self.mass().iter().map(|(u, mass)| mass * normal::density((w - u) / step)).sum::<f64>();
        let rule = Rule::new(points);
        let mass = rule.on(-bound, bound).map(|(w, weight)| (w, weight * density(w) / step)).collect();
        *self = Self { t, mass };
    }
}
