//! From JSON to a definition that keeps every rule, or to all that is wrong with it.

use std::collections::BTreeSet;

use super::fields::{Fields, decimal, key, whole, word, yes_or_no};
use super::{
    Arm, Attribute, DIMENSION_VALUES_MAX, DIMENSIONS_MAX, Dimension, Direction, Experiment, ITERATION_MS_MAX,
    METRICS_MAX, Method, Metric, MetricKind, Missing, Multiple, Problem, Role, START_MS_MAX, VARIATIONS_MAX,
    VariationKey, WINDOW_MS_MAX,
};
use crate::fixed::{MICROS_MAX, Micros};
use crate::id::{KEY_BYTES_MAX, NAME_BYTES_MAX};

const ONE: i64 = 1_000_000;
/// What weights may add up to, in millionths: shares, percent, or thousandths of a percent.
const WHOLES: [i64; 3] = [ONE, 100 * ONE, 100_000 * ONE];
/// By how much of the whole weights may miss it: thirds are written with a few digits.
const ROUNDED: i64 = 1_000;
/// A false-alarm share where none is given: 5 %.
const ALPHA: Micros = Micros(50_000);

impl Experiment {
    /// Reads the body of a definition in the log. Fields that this build does not know are passed over.
    ///
    /// # Errors
    /// All [`Problem`]s that keep it from being a definition.
    pub fn decode(body: &[u8]) -> Result<Self, Vec<Problem>> {
        read(body, false)
    }

    /// Reads what somebody asks for: as [`Self::decode`], but a field that is none is a problem too.
    ///
    /// # Errors
    /// All [`Problem`]s.
    pub fn parse(body: &[u8]) -> Result<Self, Vec<Problem>> {
        read(body, true)
    }
}

/// A definition being read: what is wrong so far, and whether unknown fields are.
struct Reader {
    problems: Vec<Problem>,
    strict: bool,
}

fn read(body: &[u8], strict: bool) -> Result<Experiment, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new(), strict };
    let read = match std::str::from_utf8(body) {
        Ok(text) => reader.experiment(text),
        Err(_) => {
            reader.problem("definition", "is not Unicode; give a JSON object");
            None
        }
    };
    match read {
        Some(experiment) if reader.problems.is_empty() => Ok(experiment),
        _ => Err(reader.problems),
    }
}

impl Reader {
    fn problem(&mut self, field: &str, what: impl Into<String>) {
        self.problems.push(Problem { field: field.to_owned(), what: what.into() });
    }

    fn end(&mut self, fields: Fields<'_>) {
        if self.strict {
            fields.refuse_others(&mut self.problems);
        }
    }

    fn experiment(&mut self, text: &str) -> Option<Experiment> {
        let mut fields = Fields::of(text, "", &mut self.problems)?;
        let problems = &mut self.problems;
        let iteration = fields.may("iteration", problems, whole(1..=i64::from(u32::MAX), "iterations"));
        let flag = fields.must("flag", problems, key(KEY_BYTES_MAX));
        let unit_kind = fields.must("unitKind", problems, key(KEY_BYTES_MAX));
        let start_ms = fields.must("start", problems, whole(0..=START_MS_MAX - 1, "Unix milliseconds"));
        let end_ms = fields.may("end", problems, whole(0..=i64::MAX, "Unix milliseconds"));
        let multiple = fields.may("multiple", problems, word(Multiple::ALL, Multiple::word));
        let share = decimal(1..=ONE / 2 - 1, "give a share above 0 and below 0.5");
        let alpha = fields.may("alpha", problems, share);
        let method = fields.may("method", problems, word(Method::ALL, Method::word));
        let (variations, metrics) = (fields.list("variations", problems), fields.list("metrics", problems));
        let dimensions = fields.list("dimensions", problems);
        self.end(fields);
        self.times(start_ms, end_ms);
        let arms = self.arms(variations);
        let metrics = self.metrics(metrics, unit_kind.as_deref());
        let dimensions = self.dimensions(dimensions);
        Some(Experiment {
            iteration: iteration.and_then(|iteration| u32::try_from(iteration).ok()).unwrap_or(1),
            flag: flag?,
            unit_kind: unit_kind?,
            arms,
            start_ms: start_ms?,
            end_ms,
            multiple: multiple.unwrap_or(Multiple::Exclude),
            metrics,
            dimensions,
            alpha: alpha.unwrap_or(ALPHA),
            method: method.unwrap_or(Method::AsymptoticConfidenceSequence),
        })
    }

    fn times(&mut self, start_ms: Option<i64>, end_ms: Option<i64>) {
        let (Some(start_ms), Some(end_ms)) = (start_ms, end_ms) else { return };
        if end_ms <= start_ms {
            self.problem("end", format!("is {end_ms}, not after the start ({start_ms}); give a later one, or none"));
        } else if end_ms - start_ms > ITERATION_MS_MAX {
            let latest = start_ms + ITERATION_MS_MAX;
            self.problem("end", format!("is {end_ms}; an iteration lasts 180 days at most, so to {latest}"));
        }
    }

    fn arms(&mut self, list: Vec<(&str, String)>) -> Vec<Arm> {
        let given = list.len();
        if !(2..=VARIATIONS_MAX).contains(&given) {
            self.problem("variations", format!("has {given}; give 2 to {VARIATIONS_MAX}"));
        }
        let mut arms: Vec<Arm> = list.into_iter().filter_map(|(text, path)| self.arm(text, &path)).collect();
        if arms.len() < given {
            return arms;
        }
        self.weights(&arms);
        match arms.iter().filter(|arm| arm.control).count() {
            0 => arms.iter_mut().take(1).for_each(|first| first.control = true),
            1 => {}
            more => self.problem("variations", format!("has {more} controls; give one")),
        }
        arms.sort_by(|left, right| left.variation.cmp(&right.variation));
        if let Some(twice) = arms.windows(2).find(|pair| pair[0].variation == pair[1].variation) {
            self.problem("variations", format!("has {:?} twice; give each once", twice[0].variation));
        }
        arms
    }

    fn arm(&mut self, text: &str, path: &str) -> Option<Arm> {
        let mut fields = Fields::of(text, path, &mut self.problems)?;
        let problems = &mut self.problems;
        let variation = fields.must("variation", problems, variation);
        let weight = fields.must("weight", problems, decimal(0..=WHOLES[2], "give a share of the units, from 0"));
        let control = fields.may("control", problems, yes_or_no).unwrap_or(false);
        self.end(fields);
        Some(Arm { variation: variation?, weight: weight?, control })
    }

    fn weights(&mut self, arms: &[Arm]) {
        let sum: i64 = arms.iter().map(|arm| arm.weight.0).sum();
        if arms.iter().filter(|arm| arm.weight.0 > 0).count() < 2 {
            self.problem("variations", "has fewer than two with a weight above 0; give two at least");
        } else if !WHOLES.iter().any(|whole| (sum - whole).abs() <= whole / ROUNDED) {
            let sum = decimal_text(Micros(sum));
            self.problem("variations", format!("has weights that add up to {sum}; make it 1, or 100 (percent)"));
        }
    }

    fn metrics(&mut self, list: Vec<(&str, String)>, unit_kind: Option<&str>) -> Vec<Metric> {
        if !(1..=METRICS_MAX).contains(&list.len()) {
            self.problem("metrics", format!("has {}; give 1 to {METRICS_MAX}", list.len()));
        }
        let mut keys = BTreeSet::new();
        let mut metrics = Vec::new();
        for (text, path) in list {
            let Some(metric) = self.metric(text, &path, unit_kind) else { continue };
            if !keys.insert(metric.key.clone()) {
                self.problem(&format!("{path}.key"), format!("is {:?}, as another's; give each its own", metric.key));
            }
            metrics.push(metric);
        }
        metrics
    }

    fn metric(&mut self, text: &str, path: &str, unit_kind: Option<&str>) -> Option<Metric> {
        let mut fields = Fields::of(text, path, &mut self.problems)?;
        let problems = &mut self.problems;
        let key_of = fields.must("key", problems, key(KEY_BYTES_MAX));
        let event = fields.must("event", problems, key(KEY_BYTES_MAX));
        let kind = fields.must("kind", problems, word(MetricKind::ALL, MetricKind::word));
        let denominator_event = fields.may("denominatorEvent", problems, key(KEY_BYTES_MAX));
        match (kind, &denominator_event) {
            (Some(MetricKind::Ratio), None) => {
                fields.problem("denominatorEvent", "is missing; a ratio needs one".to_owned(), problems);
            }
            (Some(kind), Some(_)) if kind != MetricKind::Ratio => {
                let what = format!("is for ratios; leave it out of a metric of kind \"{}\"", kind.word());
                fields.problem("denominatorEvent", what, problems);
            }
            _ => {}
        }
        let other_unit = fields.may("unitKind", problems, key(KEY_BYTES_MAX)).filter(|of| Some(&**of) != unit_kind);
        if let (Some(of), Some(unit_kind)) = (other_unit, unit_kind) {
            let what = format!("is {of:?}, and the experiment's units are {unit_kind:?}; give the same, or none");
            fields.problem("unitKind", what, problems);
        }
        let window_ms = fields.may("windowMs", problems, whole(1..=WINDOW_MS_MAX, "milliseconds"));
        let delay_ms = fields.may("delayMs", problems, whole(0..=WINDOW_MS_MAX, "milliseconds"));
        let cap = fields.may("cap", problems, decimal(0..=MICROS_MAX, "give a number from 0 to 10^12"));
        let missing = fields.may("missing", problems, word(Missing::ALL, Missing::word));
        let direction = fields.may("direction", problems, word(Direction::ALL, Direction::word));
        let role = fields.may("role", problems, word(Role::ALL, Role::word));
        let effect = decimal(1..=1_000 * ONE, "give a relative effect above 0, 0.02 for 2 %");
        let minimum_effect = fields.may("minimumEffect", problems, effect);
        let since_ms = fields.may("since", problems, whole(0..=i64::MAX, "Unix milliseconds"));
        self.end(fields);
        let kind = kind?;
        let by_kind = if kind == MetricKind::Average { Missing::Exclude } else { Missing::Zero };
        Some(Metric {
            key: key_of?,
            event: event?,
            kind,
            denominator_event,
            window_ms,
            delay_ms: delay_ms.unwrap_or(0),
            cap,
            missing: missing.unwrap_or(by_kind),
            direction: direction.unwrap_or(Direction::Increase),
            role: role.unwrap_or(Role::Goal),
            minimum_effect,
            since_ms,
        })
    }

    fn dimensions(&mut self, list: Vec<(&str, String)>) -> Vec<Dimension> {
        if list.len() > DIMENSIONS_MAX {
            self.problem("dimensions", format!("has {}; give {DIMENSIONS_MAX} at most", list.len()));
        }
        let mut dimensions: Vec<Dimension> = Vec::new();
        for (text, path) in list {
            let Some(dimension) = self.dimension(text, &path) else { continue };
            if dimensions.iter().any(|other| other.attribute == dimension.attribute) {
                let word = dimension.attribute.word();
                self.problem(&format!("{path}.attribute"), format!("is \"{word}\", as another's; give each once"));
            }
            dimensions.push(dimension);
        }
        let values: usize = dimensions.iter().map(|dimension| dimension.values.len()).sum();
        if values > DIMENSION_VALUES_MAX {
            let what = format!("has {values} values in all; give {DIMENSION_VALUES_MAX} at most");
            self.problem("dimensions", what);
        }
        dimensions
    }

    fn dimension(&mut self, text: &str, path: &str) -> Option<Dimension> {
        let mut fields = Fields::of(text, path, &mut self.problems)?;
        let attribute = fields.must("attribute", &mut self.problems, word(Attribute::ALL, Attribute::word));
        let list = fields.list("values", &mut self.problems);
        if list.is_empty() {
            fields.problem("values", "is empty; give those that are to be told apart".to_owned(), &mut self.problems);
        }
        self.end(fields);
        let mut values = Vec::new();
        for (text, path) in list {
            match key(NAME_BYTES_MAX)(text) {
                Ok(value) if values.contains(&value) => self.problem(&path, format!("is {text} again; give each once")),
                Ok(value) => values.push(value),
                Err(want) => self.problem(&path, format!("is {text}; {want}")),
            }
        }
        Some(Dimension { attribute: attribute?, values })
    }
}

fn variation(text: &str) -> Result<VariationKey, String> {
    if let Ok(index) = text.parse() {
        return Ok(VariationKey::Index(index));
    }
    key(KEY_BYTES_MAX)(text).map(VariationKey::Name).map_err(|_| "give an index, or a name as text".to_owned())
}

/// Millionths as a decimal number, with no digit too many.
pub(super) fn decimal_text(number: Micros) -> String {
    let (sign, size) = (if number.0 < 0 { "-" } else { "" }, number.0.unsigned_abs());
    let million = ONE.unsigned_abs();
    let text = format!("{sign}{}.{:06}", size / million, size % million);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
