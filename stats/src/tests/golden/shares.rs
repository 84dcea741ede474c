//! Counts: conversion rates and splits.

use super::input::{Fields, Input, counts};
use crate::beta_binomial::{self, Posterior};
use crate::p::running_minimum;
use crate::proportions::{Share, two_proportions};
use crate::{Interval, NoNumber, sequential_srm, srm, status};
use serde_json::json;

pub(super) fn two_proportion(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let share = |name| {
        let arm = input.part(name);
        Ok::<_, String>(Share::new(arm.count("n")?, arm.count("successes")?))
    };
    let (control, treatment) = (share("control")?, share("treatment")?);
    let outcome = control.and_then(|control| two_proportions(&control, &treatment?, alpha));
    let found = outcome.ok();
    let mut fields = Fields::default();
    fields.set("status", status(&outcome.and_then(|found| found.pooled)));
    for (name, share) in [("control", control), ("treatment", treatment)] {
        fields.set(&format!("{name}_rate"), share.ok().map(|share| share.rate()));
        let wilson = share.ok().map(|share| share.wilson(alpha));
        fields.set(&format!("wilson_{name}"), wilson.map_or(json!(null), pair));
    }
    fields.set("diff", found.map(|found| found.newcombe.estimate));
    fields.ends("newcombe_low", "newcombe_high", found.map(|found| found.newcombe));
    fields.ends("agresti_caffo_low", "agresti_caffo_high", found.map(|found| found.agresti_caffo));
    fields.ends("wald_low", "wald_high", found.map(|found| found.wald));
    for (name, test) in [("pooled", found.map(|found| found.pooled)), ("unpooled", found.map(|found| found.unpooled))] {
        let test = test.and_then(Result::ok);
        fields.set(&format!("z_{name}"), test.map(|test| test.z));
        fields.p(&format!("p_{name}"), test.map(|test| test.p));
    }
    fields.set("se_unpooled", found.map(|found| found.se_unpooled));
    let risk_ratio = found.and_then(|found| found.risk_ratio.ok());
    fields.set("risk_ratio", risk_ratio.map(|ratio| ratio.estimate));
    fields.ends("rr_log_low", "rr_log_high", risk_ratio);
    Ok(fields)
}

fn pair(interval: Interval) -> serde_json::Value {
    json!([interval.low, interval.high])
}

pub(super) fn beta_binomial(input: &Input<'_>) -> Result<Fields, String> {
    let posterior = |name| {
        let arm = input.part(name);
        let (a, b) = (input.number("prior_alpha")?, input.number("prior_beta")?);
        Posterior::new(arm.count("n")?, arm.count("successes")?, a, b).map_err(|why| why.to_string())
    };
    let (control, treatment) = (posterior("control")?, posterior("treatment")?);
    let compared = beta_binomial::beta_binomial(&control, &treatment);
    let mut fields = Fields::default();
    fields.set("status", "ok");
    for (name, posterior) in [("control", control), ("treatment", treatment)] {
        let rate = posterior.rate(input.alpha()?);
        fields.set(&format!("{name}_posterior"), json!([posterior.a, posterior.b]));
        fields.set(&format!("{name}_mean"), rate.estimate);
        fields.set(&format!("{name}_ci"), pair(rate));
    }
    fields.p("prob_treatment_beats_control", Some(compared.treatment_beats));
    fields.p("prob_control_beats_treatment", Some(compared.control_beats));
    fields.set("expected_loss_choose_treatment", compared.loss_of_treatment);
    fields.set("expected_loss_choose_control", compared.loss_of_control);
    Ok(fields)
}

pub(super) fn srm_chi_square(input: &Input<'_>) -> Result<Fields, String> {
    let outcome = srm::chi_square(&counts(input.list("counts")?)?, &input.numbers("weights")?);
    let mut fields = Fields::default();
    fields.set("status", status(&outcome));
    fields.set("chi2", outcome.ok().map(|test| test.chi2));
    fields.set("df", outcome.ok().map(|test| test.df));
    fields.set("p", outcome.ok().map(|test| test.p.value()));
    fields.set("log10_p", outcome.ok().map(|test| test.p.log10()));
    fields.set("flag_at_0.001", outcome.ok().map(|test| test.p.value() < srm::ALARM_BELOW));
    Ok(fields)
}

pub(super) fn srm_sequential_multinomial(input: &Input<'_>) -> Result<Fields, String> {
    let weights = input.numbers("null_probabilities")?;
    let concentration = input.number("dirichlet_concentration")?;
    let mut totals = vec![0; weights.len()];
    let mut looks: Vec<Result<sequential_srm::Look, NoNumber>> = Vec::new();
    for batch in input.list("batches")? {
        let batch = counts(batch.as_array().ok_or("a batch is no list")?)?;
        totals.iter_mut().zip(&batch).for_each(|(total, count)| *total += count);
        looks.push(sequential_srm::look(&totals, &weights, concentration));
    }
    let looks: Result<Vec<_>, NoNumber> = looks.into_iter().collect();
    let mut fields = Fields::default();
    fields.set("status", status(&looks));
    let looks = looks.ok();
    let p = looks.as_ref().map(|looks| running_minimum(&looks.iter().map(|look| look.p).collect::<Vec<_>>()));
    let factors = looks.map(|looks| looks.iter().map(|look| look.ln_bayes_factor).collect::<Vec<_>>());
    fields.set("final_log_bf", factors.as_ref().and_then(|factors| factors.last().copied()));
    fields.set("log_bayes_factor", json!(factors));
    let last = p.as_ref().and_then(|p| p.last().copied());
    fields.set("flag_at_0.001", last.map(|p| p.value() < srm::ALARM_BELOW));
    fields.p("final_p", last);
    fields.set("p_after_each_look", json!(p.map(|p| p.iter().map(|p| p.value()).collect::<Vec<_>>())));
    Ok(fields)
}
