//! A definition as JSON: the same definition always gives the same bytes.

use std::fmt::Write;

use serde_json::Value;

use super::decode::decimal_text;
use super::{Arm, Dimension, Experiment, Metric, VariationKey};

impl Experiment {
    /// The body of its record: every field in a fixed order, those that have a default too.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = Object::new();
        out.raw("iteration", self.iteration);
        out.text("flag", &self.flag);
        out.text("unitKind", &self.unit_kind);
        out.raw("variations", list(self.arms.iter().map(arm)));
        out.raw("start", self.start_ms);
        out.maybe("end", self.end_ms);
        out.text("multiple", self.multiple.word());
        out.raw("metrics", list(self.metrics.iter().map(metric)));
        out.raw("dimensions", list(self.dimensions.iter().map(dimension)));
        out.raw("alpha", decimal_text(self.alpha));
        out.text("method", self.method.word());
        out.end()
    }
}

fn arm(arm: &Arm) -> String {
    let mut out = Object::new();
    match &arm.variation {
        VariationKey::Index(index) => out.raw("variation", index),
        VariationKey::Name(name) => out.text("variation", name),
    }
    out.raw("weight", decimal_text(arm.weight));
    out.raw("control", arm.control);
    out.end()
}

fn metric(metric: &Metric) -> String {
    let mut out = Object::new();
    out.text("key", &metric.key);
    out.text("event", &metric.event);
    out.text("kind", metric.kind.word());
    if let Some(event) = &metric.denominator_event {
        out.text("denominatorEvent", event);
    }
    out.maybe("windowMs", metric.window_ms);
    out.raw("delayMs", metric.delay_ms);
    out.maybe("cap", metric.cap.map(decimal_text));
    out.text("missing", metric.missing.word());
    out.text("direction", metric.direction.word());
    out.text("role", metric.role.word());
    out.maybe("minimumEffect", metric.minimum_effect.map(decimal_text));
    out.maybe("since", metric.since_ms);
    out.end()
}

fn dimension(dimension: &Dimension) -> String {
    let mut out = Object::new();
    out.text("attribute", dimension.attribute.word());
    out.raw("values", list(dimension.values.iter().map(|value| text(value))));
    out.end()
}

fn list(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// An object being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(&mut self, name: &str, value: impl std::fmt::Display) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.raw(name, text(value));
    }

    /// Nothing where there is none: absent and `null` are the same.
    fn maybe(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.raw(name, value);
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
