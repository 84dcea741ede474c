//! Sums, tails and quantiles.

use super::input::{Fields, Input, numbers};
use crate::Moments;
use crate::special::{beta, chi_square, normal, student};
use serde_json::Value;
use std::f64::consts::LN_10;

/// The values of a case: a list, or NIST's series that alternate after a first value.
fn values(input: &Input<'_>) -> Result<Vec<f64>, String> {
    if input.value("values").is_array() {
        return input.numbers("values");
    }
    let series = input.part("values");
    let mut values = vec![series.number("first")?];
    let alternating = series.numbers("then_alternating")?;
    (0..series.count("pairs")?).for_each(|_| values.extend(&alternating));
    Ok(values)
}

/// In one piece and, where the case says so, merged of its parts: both must meet what is expected, so the one that is
/// farther off is told.
pub(super) fn mean_and_sd(input: &Input<'_>) -> Result<Fields, String> {
    let values = values(input)?;
    let whole = Moments::of(&values).map_err(|why| why.to_string())?;
    let mut told = whole;
    if !input.value("split_points_for_merge").is_null() {
        let mut cuts: Vec<usize> = input.numbers("split_points_for_merge")?.iter().map(|cut| *cut as usize).collect();
        cuts.insert(0, 0);
        cuts.push(values.len());
        let parts = cuts.windows(2).map(|cut| Moments::of(&values[cut[0]..cut[1]]));
        let merged = merged(parts.collect::<Result<Vec<_>, _>>().map_err(|why| why.to_string())?);
        if merged.n() != whole.n() || (merged.m2() - whole.m2()).abs() > 1e-8 * whole.m2() {
            return Err(format!("in one piece {whole:?}, of its parts {merged:?}"));
        }
        told = merged;
    }
    Ok(told_of(&told))
}

pub(super) fn merge_moments(input: &Input<'_>) -> Result<Fields, String> {
    let part = |part: &Value| {
        let values = numbers(part.as_array().ok_or("a part is no list")?)?;
        Moments::of(&values).map_err(|why| why.to_string())
    };
    Ok(told_of(&merged(input.list("parts")?.iter().map(part).collect::<Result<Vec<_>, String>>()?)))
}

fn merged(parts: Vec<Moments>) -> Moments {
    parts.into_iter().fold(Moments::default(), Moments::merge)
}

fn told_of(moments: &Moments) -> Fields {
    let mut fields = Fields::default();
    fields.set("n", moments.n());
    fields.set("mean", moments.mean());
    fields.set("m2", moments.m2());
    fields.set("var", moments.variance());
    fields.set("sd", moments.variance().map(f64::sqrt));
    fields
}

/// A tail, and its logarithm in both bases.
fn tail(ln: f64) -> Fields {
    let mut fields = Fields::default();
    fields.set("sf", ln.exp());
    fields.set("log_sf", ln);
    fields.set("log10_sf", ln / LN_10);
    fields
}

fn one(name: &str, value: f64) -> Fields {
    let mut fields = Fields::default();
    fields.set(name, value);
    fields
}

pub(super) fn normal_upper_tail(input: &Input<'_>) -> Result<Fields, String> {
    let z = input.number("z")?;
    let mut fields = tail(normal::ln_upper_tail(z));
    fields.set("sf", normal::upper_tail(z));
    Ok(fields)
}

pub(super) fn normal_inverse_upper_tail(input: &Input<'_>) -> Result<Fields, String> {
    Ok(one("z", normal::upper_quantile(input.number("p")?)))
}

pub(super) fn student_upper_tail(input: &Input<'_>) -> Result<Fields, String> {
    Ok(tail(student::ln_upper_tail(input.number("t")?, input.number("df")?)))
}

pub(super) fn student_inverse_upper_tail(input: &Input<'_>) -> Result<Fields, String> {
    Ok(one("t", student::upper_quantile(input.number("p")?, input.number("df")?)))
}

pub(super) fn chi_square_upper_tail(input: &Input<'_>) -> Result<Fields, String> {
    Ok(tail(chi_square::ln_upper_tail(input.number("x")?, input.number("df")?)))
}

pub(super) fn beta_cdf(input: &Input<'_>) -> Result<Fields, String> {
    Ok(one("cdf", beta::cdf(input.number("x")?, input.number("a")?, input.number("b")?)))
}
