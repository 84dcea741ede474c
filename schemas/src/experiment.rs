//! The definition of an experiment: what people configure, as data in the log.
//!
//! Always true here: an [`Experiment`] that was decoded keeps every rule of this page (limits, weights, one control,
//! times in order), so whoever has one need not check again; variations stand in rising order; numbers are exact. The
//! body of a record is JSON with the API's names. What [`Experiment::decode`] takes and what [`Experiment::may_follow`]
//! lets pass is part of what a record means for the numbers: a change is a new fold version.
//!
//! [`decode`] reads, [`encode`] writes, [`follow`] says which definition may come after which.

mod decode;
mod encode;
mod fields;
mod follow;

use crate::fixed::Micros;
use crate::record::StoredVariation;

/// The kind of a definition that is an experiment.
pub const EXPERIMENT: u32 = 2;

/// Variations of an experiment, at most; at least two.
pub const VARIATIONS_MAX: usize = 10;
/// Metrics of an iteration, at most; at least one.
pub const METRICS_MAX: usize = 20;
/// Dimensions of an experiment, at most.
pub const DIMENSIONS_MAX: usize = 5;
/// Values of all dimensions together, at most.
pub const DIMENSION_VALUES_MAX: usize = 20;
/// Longest iteration, in milliseconds: one without an end ends by itself after 180 days.
pub const ITERATION_MS_MAX: i64 = 180 * 86_400_000;
/// Longest window, and longest delay, of a metric, in milliseconds: 90 days.
pub const WINDOW_MS_MAX: i64 = 90 * 86_400_000;
/// No start lies at or after this time, Unix milliseconds: the year 2100.
pub const START_MS_MAX: i64 = 4_102_444_800_000;

/// What is wrong with a definition: one field of it, and what to give instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {what}")]
pub struct Problem {
    /// The field, as it is reached from the top: `metrics[1].windowMs`.
    pub field: String,
    /// What is wrong with it and what to try.
    pub what: String,
}

/// An experiment, and which iteration of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// Which iteration, from 1. No state crosses from one to the next.
    pub iteration: u32,
    /// Exposures to this flag count.
    pub flag: String,
    /// Kind of the context that is the unit.
    pub unit_kind: String,
    /// 2 to [`VARIATIONS_MAX`], in rising order; one of them is the control.
    pub arms: Vec<Arm>,
    /// First moment, Unix milliseconds.
    pub start_ms: i64,
    /// The moment after the last; `None` = it ends by itself after [`ITERATION_MS_MAX`].
    pub end_ms: Option<i64>,
    /// What becomes of a unit that meets several variations.
    pub multiple: Multiple,
    /// 1 to [`METRICS_MAX`], in the order in which they were added.
    pub metrics: Vec<Metric>,
    /// At most [`DIMENSIONS_MAX`].
    pub dimensions: Vec<Dimension>,
    /// Share of false alarms that is accepted, in millionths; above 0, below one half.
    pub alpha: Micros,
    /// How results are judged.
    pub method: Method,
}

/// A variation of an experiment and its share of the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// Which variation.
    pub variation: VariationKey,
    /// Its share, in millionths of what the weights are given in (they add up to 1, 100 or 100,000).
    pub weight: Micros,
    /// The others are compared with it.
    pub control: bool,
}

/// Which variation, as SDKs tell it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VariationKey {
    /// By index.
    Index(u32),
    /// By name.
    Name(String),
}

/// What is measured of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name among the metrics.
    pub key: String,
    /// Events of this key count.
    pub event: String,
    /// What of them.
    pub kind: MetricKind,
    /// The event whose values are divided by; of ratios alone.
    pub denominator_event: Option<String>,
    /// How long after the delay events count, in milliseconds; `None` = until the iteration's end.
    pub window_ms: Option<i64>,
    /// How long after the first exposure events begin to count, in milliseconds.
    pub delay_ms: i64,
    /// A unit's value (of a ratio: its numerator) is at most this, in millionths.
    pub cap: Option<Micros>,
    /// What a unit without events is.
    pub missing: Missing,
    /// Which way is better.
    pub direction: Direction,
    /// What it is for.
    pub role: Role,
    /// The smallest relative effect that matters, in millionths.
    pub minimum_effect: Option<Micros>,
    /// Since when it counts, Unix milliseconds, where it was added to a running iteration. For people alone.
    pub since_ms: Option<i64>,
}

/// A choice among words: how each is written.
macro_rules! words {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])+ $variant,)+
        }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How it is written.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// What of a unit's events is its value.
    MetricKind {
        /// 1 when there was any, else 0.
        Once = "once",
        /// How many.
        Count = "count",
        /// The sum of their values.
        Sum = "sum",
        /// The mean of their values.
        Average = "average",
        /// The sum of their values over the sum of another event's.
        Ratio = "ratio",
    }
}

words! {
    /// What a unit without events is.
    Missing {
        /// A unit whose value is 0.
        Zero = "zero",
        /// No unit of this metric.
        Exclude = "exclude",
    }
}

words! {
    /// What becomes of a unit that meets several variations.
    Multiple {
        /// It leaves every variation.
        Exclude = "exclude",
        /// It stays in the variation of its first exposure.
        FirstSeen = "first_seen",
    }
}

words! {
    /// Which way is better.
    Direction {
        /// More is better.
        Increase = "increase",
        /// Less is better.
        Decrease = "decrease",
    }
}

words! {
    /// What a metric is for.
    Role {
        /// It decides.
        Goal = "goal",
        /// It must not become worse.
        Guardrail = "guardrail",
    }
}

words! {
    /// How results are judged.
    Method {
        /// Honest however often one looks.
        AsymptoticConfidenceSequence = "asymptotic_confidence_sequence",
        /// For one look, at the end.
        Fixed = "fixed",
        /// By posterior.
        Bayesian = "bayesian",
    }
}

words! {
    /// By what units may be told apart: what every record has of who sent it.
    Attribute {
        /// Application id.
        Application = "application",
        /// Application version.
        ApplicationVersion = "applicationVersion",
        /// Name of the SDK.
        Sdk = "sdk",
        /// Version of the SDK.
        SdkVersion = "sdkVersion",
    }
}

/// A way of telling units apart, by their first exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimension {
    /// By what.
    pub attribute: Attribute,
    /// The values that are told apart; all else is one.
    pub values: Vec<String>,
}

impl Experiment {
    /// The moment after which no exposure counts, Unix milliseconds.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.end_ms.unwrap_or(self.start_ms.saturating_add(ITERATION_MS_MAX))
    }

    /// The moment after which nothing counts, Unix milliseconds.
    #[must_use]
    pub fn latest_ms(&self) -> i64 {
        let longest = self.metrics.iter().filter_map(Metric::reach_ms).max().unwrap_or(0);
        self.end_ms().saturating_add(longest)
    }

    /// The place of a variation among the arms.
    #[must_use]
    pub fn arm_of(&self, variation: &StoredVariation<'_>) -> Option<usize> {
        self.arms.iter().position(|arm| arm.variation.is(variation))
    }
}

impl Metric {
    /// How long after an exposure an event may count, in milliseconds; `None` = until the iteration's end.
    #[must_use]
    pub fn reach_ms(&self) -> Option<i64> {
        Some(self.window_ms?.saturating_add(self.delay_ms))
    }
}

impl VariationKey {
    fn is(&self, variation: &StoredVariation<'_>) -> bool {
        match (self, variation) {
            (Self::Index(own), StoredVariation::Index(other)) => own == other,
            (Self::Name(own), StoredVariation::Name(other)) => own.as_bytes() == *other,
            _ => false,
        }
    }
}
