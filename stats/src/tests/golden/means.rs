//! Two arms compared by a value with a variance: means, ratios, adjusted and capped means, quantiles.

use super::input::{Fields, Input, numbers};
use crate::fieller::{Fieller, fieller};
use crate::lift::{Lift, lift, relative_difference};
use crate::quantile::{Quantile, clustered_quantile, events_min, quantile};
use crate::welch::{Welch, standard_error, welch};
use crate::{Alpha, Arm, Moments, NoNumber, cap, cuped, status};
use serde_json::{Value, json};

/// What every comparison of two arms tells, whatever the arms are.
fn compared(fields: &mut Fields, arms: &Result<(Arm, Arm), NoNumber>, alpha: Alpha) -> Result<Welch, NoNumber> {
    let outcome = arms.and_then(|(control, treatment)| welch(&control, &treatment, alpha));
    let no_spread = arms.is_ok_and(|(c, t)| standard_error(&c, &t) == Err(NoNumber::ZeroVariance));
    fields.set("status", status(&outcome));
    fields.set("diff", arms.ok().map(|(control, treatment)| treatment.less(&control)));
    fields.set("se", outcome.ok().map(|test| test.se).or(no_spread.then_some(0.0)));
    fields.set("df", outcome.ok().map(|test| test.df));
    fields.set("t", outcome.ok().map(|test| test.t));
    fields.p("p_two_sided", outcome.ok().map(|test| test.p));
    fields.p("p_greater", outcome.ok().map(|test| test.p_greater));
    fields.p("p_less", outcome.ok().map(|test| test.p_less));
    fields.ends("ci_low", "ci_high", outcome.ok().map(|test| test.difference));
    outcome
}

fn lifted(fields: &mut Fields, names: [&str; 4], arms: &Result<(Arm, Arm), NoNumber>, outcome: Result<Lift, NoNumber>) {
    let [estimate, se, low, high] = names;
    let alone = arms.and_then(|(control, treatment)| relative_difference(&control, &treatment));
    fields.set(estimate, outcome.map(|lift| lift.lift.estimate).or(alone).ok());
    fields.set(se, outcome.ok().map(|lift| lift.se));
    fields.ends(low, high, outcome.ok().map(|lift| lift.lift));
}

fn both<T>(control: Result<T, NoNumber>, treatment: Result<T, NoNumber>) -> Result<(T, T), NoNumber> {
    Ok((control?, treatment?))
}

/// Fields of a comparison of two means.
fn of_means(control: Result<Moments, NoNumber>, treatment: Result<Moments, NoNumber>, alpha: Alpha) -> Fields {
    let mut fields = Fields::default();
    let mean = |arm: Result<Moments, NoNumber>| arm.ok().and_then(|moments| moments.mean());
    let arm = |arm: Result<Moments, NoNumber>| arm.and_then(|moments| Arm::mean(&moments));
    let _ = compared(&mut fields, &both(arm(control), arm(treatment)), alpha);
    for (name, arm) in [("control", control), ("treatment", treatment)] {
        fields.set(&format!("{name}_mean"), mean(arm));
        fields.set(&format!("{name}_var"), arm.ok().and_then(|moments| moments.variance()));
    }
    if let (Some(control), Some(treatment), true) = (mean(control), mean(treatment), fields.is_null("diff")) {
        // A single unit has a mean, and so a difference, though no test.
        fields.set("diff", treatment - control);
    }
    fields
}

pub(super) fn welch_t_absolute(input: &Input<'_>) -> Result<Fields, String> {
    Ok(of_means(input.moments("control")?, input.moments("treatment")?, input.alpha()?))
}

pub(super) fn relative_lift_ci(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let arm = |name| Ok::<_, String>(input.moments(name)?.and_then(|moments| Arm::mean(&moments)));
    let arms = both(arm("control")?, arm("treatment")?);
    let outcome = arms.and_then(|(control, treatment)| lift(&control, &treatment, alpha));
    let bounds = arms.and_then(|(control, treatment)| fieller(&control, &treatment, alpha));
    let mut fields = Fields::default();
    let absolute = compared(&mut fields, &arms, alpha);
    fields.set("status", status(&outcome));
    lifted(&mut fields, ["lift", "se_delta", "delta_low", "delta_high"], &arms, outcome);
    fields.p("p_delta_two_sided", outcome.ok().map(|lift| lift.p));
    fields.p("p_absolute_two_sided", absolute.ok().map(|test| test.p));
    fields.set("fieller_g", bounds.ok().map(|bounds| bounds.g()));
    fields.set("fieller_status", bounds.map_or_else(NoNumber::name, |bounds| bounds.name()));
    let interval = match bounds {
        Ok(Fieller::Bounded { lift, .. }) => Some(lift),
        _ => None,
    };
    fields.ends("fieller_low", "fieller_high", interval);
    Ok(fields)
}

pub(super) fn ratio_delta(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let names = ["num", "den", "num_den"];
    let arm = |name| Ok::<_, String>(input.pair(name, names)?.and_then(|pair| Arm::ratio(&pair)));
    let (control, treatment) = (arm("control")?, arm("treatment")?);
    let arms = both(control, treatment);
    let mut fields = Fields::default();
    let _ = compared(&mut fields, &arms, alpha);
    for (name, arm) in [("control", control), ("treatment", treatment)] {
        fields.set(&format!("{name}_ratio"), arm.ok().map(|arm| arm.value()));
        fields.set(&format!("{name}_unit_var"), arm.ok().map(|arm| arm.unit_variance()));
    }
    let outcome = arms.and_then(|(control, treatment)| lift(&control, &treatment, alpha));
    lifted(&mut fields, ["lift", "lift_se", "lift_low", "lift_high"], &arms, outcome);
    Ok(fields)
}

pub(super) fn cuped(input: &Input<'_>) -> Result<Fields, String> {
    let alpha = input.alpha()?;
    let names = ["y", "x", "xy"];
    let pairs = both(input.pair("control", names)?, input.pair("treatment", names)?);
    let adjusted = pairs.and_then(|(control, treatment)| cuped::cuped(&control, &treatment));
    let mut fields = Fields::default();
    let _ = compared(&mut fields, &adjusted.map(|cuped| (cuped.control, cuped.treatment)), alpha);
    fields.set("theta", adjusted.ok().map(|cuped| cuped.theta));
    fields.set("variance_ratio", adjusted.ok().and_then(|cuped| cuped.variance_ratio.ok()));
    for (name, arm) in [("control", adjusted.map(|a| a.control)), ("treatment", adjusted.map(|a| a.treatment))] {
        fields.set(&format!("{name}_mean_adj"), arm.ok().map(|arm| arm.value()));
        fields.set(&format!("{name}_var_adj"), arm.ok().map(|arm| arm.unit_variance()));
    }
    let lift = both(adjusted.map(|_| ()), Ok(())).and(pairs);
    let lift = lift.and_then(|(control, treatment)| adjusted?.lift(&control, &treatment, alpha));
    // No arm of its own: an adjusted mean over itself is no lift.
    lifted(&mut fields, ["lift", "lift_se", "lift_low", "lift_high"], &Err(NoNumber::NoData), lift);
    Ok(fields)
}

pub(super) fn capped_mean_absolute(input: &Input<'_>) -> Result<Fields, String> {
    let raw = input.part("raw");
    of_capped(&raw.numbers("control")?, &raw.numbers("treatment")?, input.number("cap")?, input.alpha()?)
}

/// A case tells the cap and not always of which share it is: then the share is asked for at which it must come out.
pub(super) fn capped_mean_percentile(input: &Input<'_>) -> Result<Fields, String> {
    let raw = input.part("raw");
    let (control, treatment) = (raw.numbers("control")?, raw.numbers("treatment")?);
    let named = ["percentile", "quantile"].iter().find_map(|name| input.number(name).ok());
    let share = match named {
        Some(share) if share > 1.0 => share / 100.0,
        Some(share) => share,
        None => {
            let cap = input.number("cap")?;
            let all = control.iter().chain(&treatment);
            (all.clone().filter(|total| **total <= cap).count() as f64 - 0.5) / all.count() as f64
        }
    };
    let cap = cap::pooled_cap(&[&control, &treatment], share).map_err(|why| why.to_string())?;
    if input.number("cap").is_ok_and(|told| told != cap) {
        return Err(format!("pooled cap at {share}: {cap}, the case says {}", input.value("cap")));
    }
    of_capped(&control, &treatment, cap, input.alpha()?)
}

fn of_capped(control: &[f64], treatment: &[f64], cap: f64, alpha: Alpha) -> Result<Fields, String> {
    let mut fields = of_means(cap::capped(control, cap), cap::capped(treatment, cap), alpha);
    fields.set("cap", cap);
    for (name, totals) in [("control", control), ("treatment", treatment)] {
        let moments = cap::capped(totals, cap).map_err(|why| why.to_string())?;
        let (n, mean) = (moments.n() as f64, moments.mean().unwrap_or(0.0));
        let sums = json!({"n": moments.n(), "sum": n * mean, "sum_sq": moments.m2() + n * mean * mean});
        fields.set(name, sums);
    }
    Ok(fields)
}

pub(super) fn quantile_effect_iid(input: &Input<'_>) -> Result<Fields, String> {
    of_quantiles(input, |units, level, alpha| quantile(&units.concat(), level, alpha))
}

pub(super) fn quantile_effect_clustered(input: &Input<'_>) -> Result<Fields, String> {
    of_quantiles(input, clustered_quantile)
}

fn of_quantiles(
    input: &Input<'_>,
    work_out: impl Fn(&[Vec<f64>], f64, Alpha) -> Result<Quantile, NoNumber>,
) -> Result<Fields, String> {
    let (level, alpha) = (input.number("quantile")?, input.alpha()?);
    let arm = |name: &str| {
        let units: Vec<Vec<f64>> = if let Ok(n) = input.count("n_per_arm") {
            (0..n).map(|place| vec![place as f64]).collect()
        } else {
            input.part("raw").list(name)?.iter().map(unit).collect::<Result<_, String>>()?
        };
        Ok::<_, String>(work_out(&units, level, alpha))
    };
    let (control, treatment) = (arm("control")?, arm("treatment")?);
    let mut fields = Fields::default();
    let arms = both(control, treatment).map(|(control, treatment)| (control.arm, treatment.arm));
    let _ = compared(&mut fields, &arms, alpha);
    fields.set("min_n", events_min(level, alpha));
    for (name, arm) in [("control", control), ("treatment", treatment)] {
        let mut set = |field: &str, value: Option<f64>| fields.set(&format!("{name}_{field}"), value);
        set("quantile", arm.ok().map(|arm| arm.arm.value()));
        set("lower", arm.ok().map(|arm| arm.lower));
        set("upper", arm.ok().map(|arm| arm.upper));
        set("unit_var", arm.ok().map(|arm| arm.arm.unit_variance()));
        set("n", arm.ok().map(|arm| arm.arm.n() as f64));
        set("indicator_var", arm.ok().and_then(|arm| arm.indicator_variance));
    }
    Ok(fields)
}

/// The events of one unit; an event alone may stand without its brackets.
fn unit(value: &Value) -> Result<Vec<f64>, String> {
    match value.as_array() {
        Some(events) => numbers(events),
        None => numbers(std::slice::from_ref(value)),
    }
}
