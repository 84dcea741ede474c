//! What stands in a case's `input`, and the fields that come out.

use crate::{Alpha, Interval, Moments, NoNumber, P, PairMoments, RawPairSums};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields by name; `null` where there is no number.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<String, Value>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn is_null(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(Value::is_null)
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Both ends, under the names that a case has for them.
    pub(super) fn ends(&mut self, low: &str, high: &str, interval: Option<Interval>) {
        self.set(low, interval.map(|interval| interval.low));
        self.set(high, interval.map(|interval| interval.high));
    }

    /// A p-value as it is and as a logarithm.
    pub(super) fn p(&mut self, name: &str, p: Option<P>) {
        self.set(name, p.map(P::value));
        self.set(&format!("log10_{name}"), p.map(P::log10));
    }
}

/// A case's input.
pub(super) struct Input<'a>(&'a Value);

impl<'a> Input<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    pub(super) fn value(&self, name: &str) -> &'a Value {
        &self.0[name]
    }

    pub(super) fn part(&self, name: &str) -> Input<'a> {
        Input(&self.0[name])
    }

    pub(super) fn number(&self, name: &str) -> Result<f64, String> {
        self.0[name].as_f64().ok_or_else(|| format!("input `{name}` is no number: {}", self.0[name]))
    }

    pub(super) fn count(&self, name: &str) -> Result<u64, String> {
        whole(&self.0[name]).ok_or_else(|| format!("input `{name}` is no count: {}", self.0[name]))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or(false)
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], String> {
        self.0[name].as_array().map(Vec::as_slice).ok_or_else(|| format!("input `{name}` is no list"))
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        numbers(self.list(name)?)
    }

    /// 5 % where a case does not say.
    pub(super) fn alpha(&self) -> Result<Alpha, String> {
        let alpha = if self.0["alpha"].is_null() { 0.05 } else { self.number("alpha")? };
        Alpha::new(alpha).ok_or_else(|| format!("alpha {alpha}"))
    }

    /// An arm of sums.
    pub(super) fn moments(&self, name: &str) -> Result<Result<Moments, NoNumber>, String> {
        let arm = self.part(name);
        Ok(Moments::raw(arm.count("n")?, arm.number("sum")?, arm.number("sum_sq")?))
    }

    /// An arm of sums of two values, named y and x of `names`: `sum_y`, `sum_y_sq`, `sum_y_x` (or `sum_xy`), ….
    pub(super) fn pair(&self, name: &str, [y, x, yx]: [&str; 3]) -> Result<Result<PairMoments, NoNumber>, String> {
        let arm = self.part(name);
        let sum = |of: &str| arm.number(&format!("sum_{of}"));
        Ok(PairMoments::raw(&RawPairSums {
            n: arm.count("n")?,
            y: sum(y)?,
            y_sq: sum(&format!("{y}_sq"))?,
            x: sum(x)?,
            x_sq: sum(&format!("{x}_sq"))?,
            xy: sum(yx)?,
        }))
    }
}

pub(super) fn numbers(list: &[Value]) -> Result<Vec<f64>, String> {
    list.iter().map(|value| value.as_f64().ok_or_else(|| format!("{value} is no number"))).collect()
}

pub(super) fn counts(list: &[Value]) -> Result<Vec<u64>, String> {
    list.iter().map(|value| whole(value).ok_or_else(|| format!("{value} is no count"))).collect()
}

/// Counts may be written as 20.0.
fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..9e15).contains(v)).map(|v| v as u64);
    value.as_u64().or_else(float)
}
