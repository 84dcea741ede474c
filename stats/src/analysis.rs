//! One metric, one variation against the control: everything that is shown of it, from one named method.
//!
//! Always true here: estimate, interval, p-value and verdict come from the same method on the same scale. For the two
//! methods of differences that is the absolute scale; the lift beside it has an interval of its own and decides nothing
//! (its p-value would be another). The Bayesian method has its prior on the lift, and decides there.

use crate::alpha::Alpha;
use crate::arm::Arm;
use crate::confidence_sequence::{self, TUNING_UNITS};
use crate::interval::Interval;
use crate::lift::lift;
use crate::no_number::NoNumber;
use crate::normal_posterior::{NormalPosterior, Prior, normal_posterior};
use crate::p::P;
use crate::verdict::{Evidence, Rule, Split, Verdict, decide};
use crate::welch::welch;

/// What an experiment is analysed by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The default: holds however often one looks ([`confidence_sequence`]).
    AsymptoticConfidenceSequence {
        /// Units of both arms at which it is narrowest; fixed for the run.
        tuning_units: u64,
    },
    /// Welch's test: holds at one look fixed beforehand ([`mod@crate::welch`]).
    Fixed,
    /// Chance to beat the control under a prior on the lift ([`crate::normal_posterior`]); to be read once as well.
    Bayesian {
        /// What is thought of the lift beforehand.
        prior: Prior,
    },
}

/// How often the numbers are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The planned sample or the end is not reached: others may look again.
    Interim,
    /// It is: this is the one look that was planned, or one after the end.
    Final,
}

/// What is fixed before the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The method.
    pub method: Method,
    /// Two-sided.
    pub alpha: Alpha,
    /// Whether a fall is what one hopes for.
    pub lower_is_better: bool,
    /// The least effect that anybody cares for, as a share of the control's value: 0.01 is one per cent. > 0.
    pub effect_of_interest: Option<f64>,
}

/// What one method says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Analysis {
    /// Which one.
    pub method: Method,
    /// The effect on the scale that decides, treatment less control, or why there is none.
    pub effect: Result<Interval, NoNumber>,
    /// Whether that scale is relative to the control; else it is the metric's own.
    pub is_relative: bool,
    /// The lift by the same method; decides only where `is_relative`.
    pub lift: Result<Interval, NoNumber>,
    /// Agrees with `effect`; a Bayesian analysis has none.
    pub p: Option<P>,
    /// Chances and expected losses; of a Bayesian analysis alone.
    pub posterior: Option<NormalPosterior>,
    /// What would be wise.
    pub verdict: Verdict,
    /// Which rule says so.
    pub rule: Rule,
}

impl Method {
    /// By its name in definitions, with its defaults.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "asymptotic_confidence_sequence" => Some(Self::default()),
            "fixed" => Some(Self::Fixed),
            "bayesian" => Some(Self::Bayesian { prior: Prior::DEFAULT }),
            _ => None,
        }
    }

    /// Its name in definitions and answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::AsymptoticConfidenceSequence { .. } => "asymptotic_confidence_sequence",
            Self::Fixed => "fixed",
            Self::Bayesian { .. } => "bayesian",
        }
    }

    /// Whether it keeps its promise at every look.
    #[must_use]
    pub fn is_always_valid(&self) -> bool {
        matches!(self, Self::AsymptoticConfidenceSequence { .. })
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::AsymptoticConfidenceSequence { tuning_units: TUNING_UNITS }
    }
}

/// Compares `treatment` with `control`, each a mean, a ratio or an adjusted mean, or why it is none.
#[must_use]
pub fn analyse(
    control: Result<Arm, NoNumber>,
    treatment: Result<Arm, NoNumber>,
    split: Split,
    reading: Reading,
    plan: &Plan,
) -> Analysis {
    let arms = control.and_then(|control| Ok((control, treatment?)));
    let told = arms.and_then(|(control, treatment)| tell(&control, &treatment, plan));
    let evidence = Evidence {
        effect: told.map(|told| told.effect),
        practical: plan.effect_of_interest.zip(arms.ok()).map(|(share, (control, _))| match plan.method {
            Method::Bayesian { .. } => share,
            _ => share * control.value().abs(),
        }),
        units_min: arms.map_or(0, |(control, treatment)| control.n().min(treatment.n())),
    };
    let (verdict, rule) = decide(&evidence, split, reading, plan);
    Analysis {
        method: plan.method,
        effect: evidence.effect,
        is_relative: matches!(plan.method, Method::Bayesian { .. }),
        lift: told.and_then(|told| told.lift),
        p: told.ok().and_then(|told| told.p),
        posterior: told.ok().and_then(|told| told.posterior),
        verdict,
        rule,
    }
}

/// What a method tells of two arms.
#[derive(Debug, Clone, Copy)]
struct Told {
    effect: Interval,
    lift: Result<Interval, NoNumber>,
    p: Option<P>,
    posterior: Option<NormalPosterior>,
}

fn tell(control: &Arm, treatment: &Arm, plan: &Plan) -> Result<Told, NoNumber> {
    match plan.method {
        Method::AsymptoticConfidenceSequence { tuning_units } => {
            let look = confidence_sequence::absolute(control, treatment, plan.alpha, tuning_units)?;
            let relative = confidence_sequence::relative(control, treatment, plan.alpha, tuning_units);
            let lift = relative.map(|look| look.difference);
            Ok(Told { effect: look.difference, lift, p: Some(look.p), posterior: None })
        }
        Method::Fixed => {
            let test = welch(control, treatment, plan.alpha)?;
            let lift = lift(control, treatment, plan.alpha).map(|lift| lift.lift);
            Ok(Told { effect: test.difference, lift, p: Some(test.p), posterior: None })
        }
        Method::Bayesian { prior } => {
            let posterior = normal_posterior(control, treatment, prior, plan.lower_is_better, plan.alpha)?;
            let lift = Ok(posterior.lift);
            Ok(Told { effect: posterior.lift, lift, p: None, posterior: Some(posterior) })
        }
    }
}
