//! Two JSON values within a tolerance.

use super::input::Fields;
use serde_json::Value;

/// What a status may be; ours has one more, which no reference case knows.
const STATUSES: &[&str] =
    &["ok", "insufficient_data", "zero_variance", "zero_denominator", "no_data", "unexpected_variation"];

/// One line for each field of `expected` that `found` does not meet.
pub(super) fn fields(method: &str, expected: &Value, found: &Fields, tolerance: &Value) -> Vec<String> {
    let (Some(expected), false) = (expected.as_object(), expected.as_object().is_none_or(|fields| fields.is_empty()))
    else {
        return vec!["nothing is expected".to_owned()];
    };
    let (Some(rel), Some(abs)) = (tolerance["rel"].as_f64(), tolerance["abs"].as_f64()) else {
        return vec![format!("tolerance {tolerance}: `rel` and `abs` must be numbers")];
    };
    let near = Tolerance { rel, abs };
    let compared = expected.iter().filter(|(name, _)| method != "cuped" || !name.ends_with("_growthbook"));
    let told = compared.filter_map(|(name, value)| {
        if name == "status" && !STATUSES.iter().any(|status| value == status) {
            return Some(format!("status: unknown status {value}"));
        }
        match found.get(name) {
            None => Some(format!("{name}: not a field of {method}")),
            Some(found) => (!near.holds(value, found)).then(|| format!("{name}: {found}, expected {value}")),
        }
    });
    told.collect()
}

struct Tolerance {
    rel: f64,
    abs: f64,
}

impl Tolerance {
    fn holds(&self, expected: &Value, found: &Value) -> bool {
        match (expected, found) {
            (Value::Number(_), Value::Number(_)) => match (expected.as_f64(), found.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= (self.rel * a.abs().max(b.abs())).max(self.abs),
                _ => false,
            },
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.holds(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.iter().all(|(name, a)| b.get(name).is_some_and(|b| self.holds(a, b)))
            }
            (a, b) => a == b,
        }
    }
}
