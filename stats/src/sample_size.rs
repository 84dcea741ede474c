//! F16: how many units an experiment needs, and what it could have seen.
//!
//! J. L. Fleiss, B. Levin, M. C. Paik, "Statistical Methods for Rates and Proportions", 3rd ed. 2003 (shares); J.
//! Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed. 1988 (means); G. van Belle, "Statistical
//! Rules of Thumb", 2008 (the rule of 16). Two-sided α; the wrong tail is left out of sample sizes, as everywhere, and
//! counted in [`power`].

use crate::alpha::Alpha;
use crate::arm::Arm;
use crate::no_number::{NoNumber, finite};
use crate::special::quadrature::integral;
use crate::special::{deviance::stirling_error, normal, student};

/// What an experiment is to be able to see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    alpha: Alpha,
    power: f64,
}

/// Which variance a test of two shares is thought to have under no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullVariance {
    /// The baseline's, in both arms (E. Miller's calculator).
    Baseline,
    /// That of both arms as they are.
    Unpooled,
    /// That of the mean of the two shares; what our test of shares does.
    Pooled,
}

impl Aim {
    /// `None` unless α/2 < `power` < 1.
    #[must_use]
    pub fn new(alpha: Alpha, power: f64) -> Option<Self> {
        (power > alpha.get() / 2.0 && power < 1.0).then_some(Self { alpha, power })
    }

    fn z_power(&self) -> f64 {
        -normal::upper_quantile(self.power)
    }

    /// Standard errors that an effect must measure.
    fn standard_errors(&self) -> f64 {
        self.alpha.z() + self.z_power()
    }
}

/// Units an arm for two shares, `baseline` and `baseline + effect`, both in (0, 1); not rounded up.
pub fn for_proportions(baseline: f64, effect: f64, variance: NullVariance, aim: &Aim) -> Result<f64, NoNumber> {
    let other = baseline + effect;
    let is_share = |p: f64| p > 0.0 && p < 1.0;
    if !is_share(baseline) || !is_share(other) || effect == 0.0 {
        return Err(NoNumber::OutOfRange);
    }
    let of = |p: f64| p * (1.0 - p);
    let real = of(baseline) + of(other);
    let null = match variance {
        NullVariance::Baseline => 2.0 * of(baseline),
        NullVariance::Unpooled => real,
        NullVariance::Pooled => 2.0 * of(f64::midpoint(baseline, other)),
    };
    let reach = aim.alpha.z() * null.sqrt() + aim.z_power() * real.sqrt();
    finite((reach / effect).powi(2))
}

/// Units of the control for two means with standard deviation `sd` > 0, when the treatment has `split` times as many;
/// not rounded up.
pub fn for_means(sd: f64, effect: f64, split: f64, aim: &Aim) -> Result<f64, NoNumber> {
    if !(sd > 0.0 && effect != 0.0 && split > 0.0) {
        return Err(NoNumber::OutOfRange);
    }
    finite((aim.standard_errors() * sd / effect).powi(2) * (1.0 + 1.0 / split))
}

/// 16·sd²/effect²: the same by heart, for 5 % and 80 %.
#[must_use]
pub fn rule_of_16(sd: f64, effect: f64) -> f64 {
    16.0 * (sd / effect).powi(2)
}

/// Units an arm for an effect of `d` standard deviations, by Student's t and its noncentral distribution: for small
/// samples. `OutOfRange` where no number from 2 to 10¹² does.
pub fn for_means_by_t(d: f64, aim: &Aim) -> Result<f64, NoNumber> {
    let (mut low, mut high) = (2.0, 1e12);
    if !(d.abs() > 0.0 && power_by_t(d, high, aim.alpha) >= aim.power) {
        return Err(NoNumber::OutOfRange);
    }
    while high - low > 1e-9 * low {
        let middle = if high / low > 4.0 { (low * high).sqrt() } else { f64::midpoint(low, high) };
        if power_by_t(d, middle, aim.alpha) < aim.power { low = middle } else { high = middle }
    }
    Ok(high)
}

/// Power of a t test with `n` units an arm: over the distribution of the pooled standard deviation, the chance that a
/// normal passes what it makes of the bound.
fn power_by_t(d: f64, n: f64, alpha: Alpha) -> f64 {
    let df = 2.0 * n - 2.0;
    let shift = d.abs() * (n / 2.0).sqrt();
    let bound = student::upper_quantile(alpha.get() / 2.0, df);
    let a = df / 2.0;
    let ln_density = |s: f64| {
        // Of s = √(χ²/df): 2·a^a/Γ(a) · s^(2a−1) · e^(−a·s²), with Stirling's formula for Γ.
        (a / std::f64::consts::PI * 2.0).ln() / 2.0 - stirling_error(a) + (2.0 * a - 1.0) * s.ln() - a * (s * s - 1.0)
    };
    let spread = 10.0 / (2.0 * df).sqrt();
    let passes = |s: f64| normal::upper_tail(bound * s - shift) + normal::upper_tail(bound * s + shift);
    integral((1.0 - spread).max(0.0), 1.0 + spread, 24, |s| ln_density(s).exp() * passes(s))
}

/// The least difference that arms with these variances would show with the aim's power.
pub fn detectable(control: &Arm, treatment: &Arm, aim: &Aim) -> Result<f64, NoNumber> {
    Ok(aim.standard_errors() * crate::welch::standard_error(control, treatment)?)
}

/// How many units of both arms together, split as they are now, would show a difference of `effect` with the aim's
/// power; not rounded up. `OutOfRange` for an effect of 0.
pub fn units_needed(control: &Arm, treatment: &Arm, effect: f64, aim: &Aim) -> Result<f64, NoNumber> {
    let short = detectable(control, treatment, aim)? / effect;
    finite((control.n() + treatment.n()) as f64 * short * short)
}

/// How often an effect of so many standard errors is found, either way.
#[must_use]
pub fn power(effect_over_se: f64, alpha: Alpha) -> f64 {
    let z = alpha.z();
    normal::upper_tail(z - effect_over_se) + normal::upper_tail(z + effect_over_se)
}
