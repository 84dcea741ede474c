//! Beliefs, families of metrics, sample sizes.

use super::input::{Fields, Input};
use crate::best::{Belief, chance_of_best};
use crate::multiplicity::{benjamini_hochberg, bonferroni, holm};
use crate::normal_posterior::{Prior, normal_posterior};
use crate::sample_size::{self, Aim, NullVariance};
use crate::{Arm, P, status};
use serde_json::{Value, json};

pub(super) fn normal_posterior_relative_lift(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let prior = if input.value("prior_proper") == &Value::Bool(false) {
        Prior::Flat
    } else {
        Prior::Normal { mean: input.number("prior_mean")?, sd: input.number("prior_sd")? }
    };
    let arm = |name| Ok::<_, String>(input.moments(name)?.and_then(|moments| Arm::mean(&moments)));
    let (control, treatment) = (arm("control")?, arm("treatment")?);
    let lower_is_better = input.flag("lower_is_better");
    let outcome = control.and_then(|control| normal_posterior(&control, &treatment?, prior, lower_is_better, alpha));
    let posterior = outcome.ok();
    let mut fields = Fields::default();
    fields.set("status", status(&outcome));
    fields.set("posterior_mean", posterior.map(|posterior| posterior.lift.estimate));
    fields.set("posterior_sd", posterior.map(|posterior| posterior.sd));
    fields.p("chance_to_beat_control", posterior.map(|posterior| posterior.chance_to_beat));
    fields.p("chance_to_lose", posterior.map(|posterior| posterior.chance_to_lose));
    fields.ends("ci_low", "ci_high", posterior.map(|posterior| posterior.lift));
    fields.set("risk_choose_treatment", posterior.map(|posterior| posterior.loss_of_treatment));
    fields.set("risk_choose_control", posterior.map(|posterior| posterior.loss_of_control));
    Ok(fields)
}

pub(super) fn normal_prob_best(input: &Input<'_>) -> Result<Fields, String> {
    let belief = |arm: &Value| {
        let arm = Input::new(arm);
        Ok::<_, String>(Belief { mean: arm.number("mean")?, sd: arm.number("sd")? })
    };
    let beliefs = input.list("arms")?.iter().map(belief).collect::<Result<Vec<_>, _>>()?;
    let outcome = chance_of_best(&beliefs);
    let mut fields = Fields::default();
    fields.set("status", status(&outcome));
    fields.set("sum", outcome.as_ref().ok().map(|chances| chances.iter().sum::<f64>()));
    fields.set("prob_best", json!(outcome.ok()));
    Ok(fields)
}

pub(super) fn p_adjust(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let family: Vec<Option<P>> = input.list("p_values")?.iter().map(|p| P::new(p.as_f64()?)).collect();
    let mut fields = Fields::default();
    for (name, adjusted) in
        [("bonferroni", bonferroni(&family)), ("holm", holm(&family)), ("bh", benjamini_hochberg(&family))]
    {
        let present: Vec<P> = adjusted.iter().flatten().copied().collect();
        let rejected = present.iter().filter(|p| p.is_at_most(alpha.get())).count();
        fields.set(&format!("reject_{name}"), rejected);
        fields.set(&format!("{name}_present"), present.iter().map(|p| p.value()).collect::<Vec<_>>());
        fields.set(name, json!(adjusted.iter().map(|p| p.map(P::value)).collect::<Vec<_>>()));
    }
    Ok(fields)
}

fn aim(input: &Input<'_>) -> Result<Aim, String> {
    Aim::new(input.alpha()?, input.number("power")?).ok_or_else(|| "power".to_owned())
}

/// Units an arm as the formula has them, rounded up, and the power that they give by the near tail.
fn units(n: f64, effect_over_se: f64, input: &Input<'_>) -> Result<Fields, String> {
    let mut fields = Fields::default();
    fields.set("n_per_arm", n);
    fields.set("n_per_arm_ceil", n.ceil());
    fields.set("power_at_n", near_power(effect_over_se, input)?);
    Ok(fields)
}

fn near_power(effect_over_se: f64, input: &Input<'_>) -> Result<f64, String> {
    Ok(crate::special::normal::upper_tail(input.alpha()?.z() - effect_over_se))
}

fn proportions(input: &Input<'_>, variance: NullVariance) -> Result<Fields, String> {
    let (baseline, effect) = (input.number("baseline")?, input.number("absolute_mde")?);
    let n = sample_size::for_proportions(baseline, effect, variance, &aim(input)?).map_err(|why| why.to_string())?;
    let other = baseline + effect;
    let se = ((baseline * (1.0 - baseline) + other * (1.0 - other)) / n).sqrt();
    units(n, effect.abs() / se, input)
}

pub(super) fn proportions_baseline_null_variance(input: &Input<'_>) -> Result<Fields, String> {
    proportions(input, NullVariance::Baseline)
}

pub(super) fn proportions_unpooled(input: &Input<'_>) -> Result<Fields, String> {
    proportions(input, NullVariance::Unpooled)
}

pub(super) fn proportions_pooled(input: &Input<'_>) -> Result<Fields, String> {
    proportions(input, NullVariance::Pooled)
}

pub(super) fn means_normal(input: &Input<'_>) -> Result<Fields, String> {
    let (sd, effect) = (input.number("sd")?, input.number("absolute_mde")?);
    let n = sample_size::for_means(sd, effect, 1.0, &aim(input)?).map_err(|why| why.to_string())?;
    let mut fields = units(n, effect.abs() / sd / (2.0 / n).sqrt(), input)?;
    fields.set("rule_of_thumb_16", sample_size::rule_of_16(sd, effect));
    Ok(fields)
}

pub(super) fn means_normal_ratio(input: &Input<'_>) -> Result<Fields, String> {
    let split = input.number("treatment_over_control")?;
    let n = sample_size::for_means(input.number("sd")?, input.number("absolute_mde")?, split, &aim(input)?);
    let n = n.map_err(|why| why.to_string())?;
    let mut fields = Fields::default();
    for (name, n) in [("n_control", n), ("n_treatment", n * split)] {
        fields.set(name, n);
        fields.set(&format!("{name}_ceil"), n.ceil());
    }
    Ok(fields)
}

pub(super) fn means_t(input: &Input<'_>) -> Result<Fields, String> {
    let n = sample_size::for_means_by_t(input.number("cohens_d")?, &aim(input)?).map_err(|why| why.to_string())?;
    let mut fields = Fields::default();
    fields.set("n_per_arm", n);
    fields.set("n_per_arm_ceil", n.ceil());
    Ok(fields)
}

pub(super) fn mde_from_se(input: &Input<'_>) -> Result<Fields, String> {
    let arm = |name: &str, mean| {
        let (n, variance) = (input.count(&format!("n_{name}"))?, input.number(&format!("var_{name}"))?);
        Arm::new(n, mean, variance).map_err(|why| why.to_string())
    };
    let mean = input.number("control_mean")?;
    let (control, treatment) = (arm("control", mean)?, arm("treatment", mean)?);
    let found = sample_size::detectable(&control, &treatment, &aim(input)?).map_err(|why| why.to_string())?;
    let mut fields = Fields::default();
    fields.set("absolute_mde", found);
    fields.set("relative_mde", (mean != 0.0).then(|| found / mean.abs()));
    let se = (control.variance() + treatment.variance()).sqrt();
    fields.set("power_at_mde", near_power(found / se, input)?);
    Ok(fields)
}

pub(super) fn power_normal(input: &Input<'_>) -> Result<Fields, String> {
    let mut fields = Fields::default();
    fields.set("power", sample_size::power(input.number("effect_over_se")?, input.alpha()?));
    Ok(fields)
}
