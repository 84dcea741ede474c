//! Looks: sequential and group-sequential methods.

use super::input::{Fields, Input};
use crate::confidence_sequence::{self, TUNING_UNITS};
use crate::group_sequential::{self, Spending};
use crate::lift::relative_difference;
use crate::msprt::msprt;
use crate::p::running_minimum;
use crate::{Alpha, Arm, status};
use serde_json::{Value, json};

pub(super) fn asymptotic_confidence_sequence(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let tuning = if input.value("tuning_n").is_null() { TUNING_UNITS } else { input.count("tuning_n")? };
    let is_relative = match input.value("difference").as_str() {
        None | Some("absolute") => false,
        Some("relative") => true,
        Some(other) => return Err(format!("difference {other:?}")),
    };
    let arm = |name| Ok::<_, String>(input.moments(name)?.and_then(|moments| Arm::mean(&moments)));
    let (control, treatment) = (arm("control")?, arm("treatment")?);
    let at_look = if is_relative { confidence_sequence::relative } else { confidence_sequence::absolute };
    let outcome = control.and_then(|control| at_look(&control, &treatment?, alpha, tuning));
    // Where nothing varies there is no interval, and still an estimate.
    let alone = control.and_then(|control| {
        if is_relative { relative_difference(&control, &treatment?) } else { Ok(treatment?.less(&control)) }
    });
    let look = outcome.ok();
    let mut fields = Fields::default();
    fields.set("status", status(&outcome));
    fields.set("estimate", outcome.map(|look| look.difference.estimate).or(alone).ok());
    fields.set("se", look.map(|look| look.se));
    fields.set("rho", look.map(|look| look.rho));
    fields.set("halfwidth", look.map(|look| (look.difference.high - look.difference.low) / 2.0));
    fields.ends("ci_low", "ci_high", look.map(|look| look.difference));
    fields.set("log_e_value", look.map(|look| look.ln_e));
    fields.p("p_always_valid_this_look", look.map(|look| look.p));
    Ok(fields)
}

pub(super) fn msprt_normal(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let (difference, variance) = (input.number("difference")?, input.number("variance_of_difference")?);
    let outcome = msprt(difference, variance, input.number("tau_sq")?, alpha);
    let look = outcome.ok();
    let mut fields = Fields::default();
    fields.set("status", status(&outcome));
    fields.set("log_lambda", look.map(|look| look.ln_lambda));
    fields.p("p_this_look", look.map(|look| look.p));
    fields.set("halfwidth", look.map(|look| (look.difference.high - look.difference.low) / 2.0));
    fields.ends("ci_low", "ci_high", look.map(|look| look.difference));
    fields.set("reject_this_look", look.map(|look| look.p.is_at_most(alpha.get())));
    Ok(fields)
}

pub(super) fn msprt_running_p(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let tau_sq = input.number("tau_sq")?;
    let look = |look: &Value| {
        let look = Input::new(look);
        let (difference, variance) = (look.number("difference")?, look.number("variance_of_difference")?);
        Ok::<_, String>(msprt(difference, variance, tau_sq, alpha).map_err(|why| why.to_string())?.p)
    };
    let looks = input.list("looks")?.iter().map(look).collect::<Result<Vec<_>, _>>()?;
    let p = running_minimum(&looks);
    let mut fields = Fields::default();
    fields.set("status", "ok");
    fields.set("p_after_each_look", p.iter().map(|p| p.value()).collect::<Vec<_>>());
    fields.set("first_rejecting_look", p.iter().position(|p| p.is_at_most(alpha.get())).map(|place| place + 1));
    Ok(fields)
}

pub(super) fn alpha_spending_two_sided(input: &Input<'_>) -> Result<Fields, String> {
    let spending = match input.value("spending") {
        Value::String(name) if name == "obf" => Spending::OBrienFleming,
        Value::String(name) if name == "pocock" => Spending::Pocock,
        other => Spending::Power(other["power"].as_f64().ok_or_else(|| format!("spending {other}"))?),
    };
    let fractions = input.numbers("information_fractions")?;
    let bounds = group_sequential::bounds(&fractions, spending, input.alpha()?).ok_or("no bounds")?;
    let mut fields = Fields::default();
    fields.set("status", "ok");
    fields.set("cumulative_alpha", bounds.iter().map(|bound| bound.cumulative_alpha).collect::<Vec<_>>());
    fields.set("z", bounds.iter().map(|bound| bound.z).collect::<Vec<_>>());
    Ok(fields)
}

pub(super) fn classical_constants(input: &Input<'_>) -> Result<Fields, String> {
    if !input.flag("two_sided") {
        return Err("one-sided constants are not built".to_owned());
    }
    let (looks, alpha) = (input.count("looks")? as u32, input.alpha()?);
    let mut fields = Fields::default();
    fields.set("obrien_fleming_C", group_sequential::obrien_fleming_constant(looks, alpha));
    fields.set("pocock_C", group_sequential::pocock_constant(looks, alpha));
    Ok(fields)
}

pub(super) fn type_one_error_of_peeking(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = Alpha::new(input.number("nominal_alpha")?).ok_or("nominal_alpha")?;
    let mut fields = Fields::default();
    let error = group_sequential::error_of_peeking(input.count("looks")? as u32, alpha);
    fields.set("overall_alpha", json!(error));
    Ok(fields)
}
