//! F11: chance to beat the control and expected loss of two conversion rates.
//!
//! E. Miller, "Formulas for Bayesian A/B testing", 2014; C. Stucchio, "Bayesian A/B testing at VWO", 2015. Both
//! integrals are of something positive, so that a loss of 10⁻²⁰ has its digits; the closed sum takes differences.

use crate::alpha::Alpha;
use crate::interval::Interval;
use crate::no_number::NoNumber;
use crate::p::P;
use crate::special::beta;
use crate::special::quadrature::integral;

/// A beta distribution over a conversion rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// First parameter, > 0: conversions.
    pub a: f64,
    /// Second parameter, > 0: units without.
    pub b: f64,
}

/// Two posteriors compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBinomial {
    /// P(treatment > control).
    pub treatment_beats: P,
    /// P(control > treatment): the small side of a clear win, with its digits.
    pub control_beats: P,
    /// What is lost on average by choosing the treatment: E max(control − treatment, 0).
    pub loss_of_treatment: f64,
    /// … by choosing the control.
    pub loss_of_control: f64,
}

impl Posterior {
    /// After `successes` of `n` units, from a prior with both parameters > 0.
    pub fn new(n: u64, successes: u64, prior_a: f64, prior_b: f64) -> Result<Self, NoNumber> {
        let holds = |prior: f64| (1e-6..1e15).contains(&prior);
        if successes > n || !holds(prior_a) || !holds(prior_b) {
            return Err(NoNumber::OutOfRange);
        }
        Ok(Self { a: prior_a + successes as f64, b: prior_b + (n - successes) as f64 })
    }

    /// a/(a + b), with the interval that leaves α/2 at each end.
    #[must_use]
    pub fn rate(&self, alpha: Alpha) -> Interval {
        let tail = alpha.get() / 2.0;
        Interval { estimate: self.a / (self.a + self.b), low: self.quantile(tail), high: self.quantile(1.0 - tail) }
    }

    fn quantile(&self, p: f64) -> f64 {
        beta::quantile(p, self.a, self.b)
    }

    fn tails(&self, angle: f64) -> beta::LnTails {
        beta::ln_tails(self.a, self.b, angle.sin().powi(2), angle.cos().powi(2))
    }

    /// The density over the angle whose squared sine is the rate: without poles for priors of ½ and more.
    fn ln_density(&self, angle: f64) -> f64 {
        let (x, y) = (angle.sin().powi(2), angle.cos().powi(2));
        beta::ln_power(self.a, self.b, x, y) - 0.5 * (x * y).ln() + std::f64::consts::LN_2
    }

    /// Angles that leave next to nothing outside.
    fn reach(&self) -> (f64, f64, f64) {
        let angle = |rate: f64| rate.sqrt().min(1.0).asin();
        let mirror = Self { a: self.b, b: self.a };
        let (low, high) = (angle(self.quantile(1e-18)), std::f64::consts::FRAC_PI_2 - angle(mirror.quantile(1e-18)));
        (low, high, (high - low).max(1e-12))
    }
}

/// Compares two posteriors.
#[must_use]
pub fn beta_binomial(control: &Posterior, treatment: &Posterior) -> BetaBinomial {
    let (low_c, high_c, width_c) = control.reach();
    let (low_t, high_t, width_t) = treatment.reach();
    let (low, high) = (low_c.min(low_t), high_c.max(high_t));
    let panels = (8.0 * (high - low) / width_c.min(width_t)).ceil().clamp(8.0, 400.0) as u32;
    let over = |f: &dyn Fn(f64) -> f64| integral(low, high, panels, f);
    let slope = |angle: f64| (2.0 * angle).sin();
    let beats = |winner: &Posterior, loser: &Posterior| {
        P::from_ln(
            over(&|angle| (winner.ln_density(angle) + loser.tails(angle).lower).exp()).max(f64::MIN_POSITIVE).ln(),
        )
    };
    let loss = |chosen: &Posterior, other: &Posterior| {
        over(&|angle| (other.tails(angle).upper + chosen.tails(angle).lower).exp() * slope(angle))
    };
    BetaBinomial {
        treatment_beats: beats(treatment, control),
        control_beats: beats(control, treatment),
        loss_of_treatment: loss(treatment, control),
        loss_of_control: loss(control, treatment),
    }
}
