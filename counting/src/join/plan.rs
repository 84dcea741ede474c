//! A definition as the join needs it: what an event counts for, at which times.
//!
//! Always true here: what is decided is decided by the event, its time and this definition, and kept with the unit.

use hashbrown::HashMap;
use schemas::experiment::{Attribute, Experiment, Metric, MetricKind};
use schemas::record::PayloadView;

/// None of a dimension's values.
pub(crate) const OTHER: u8 = u8::MAX;

/// A definition in force.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) experiment: Experiment,
    end_ms: i64,
    latest_ms: i64,
    /// The metrics of an event: those it is the event of, and those it is the denominator of.
    events: HashMap<String, Counts>,
}

/// Metrics as bits, by their place in the definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those whose value, or numerator, an event is part of.
    pub(crate) over: u32,
    /// Those whose denominator it is part of.
    pub(crate) under: u32,
}

impl Counts {
    /// Whether there are none.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What a conversion counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing of this experiment at this time.
    Nothing,
    /// These metrics; `lacks_value` = there would be others if it had a value.
    Metrics { counts: Counts, lacks_value: bool },
}

impl Plan {
    pub(crate) fn new(experiment: Experiment) -> Self {
        let mut events: HashMap<String, Counts> = HashMap::new();
        for (place, metric) in (0..u32::BITS).zip(&experiment.metrics) {
            events.entry(metric.event.clone()).or_default().over |= 1 << place;
            if let Some(event) = &metric.denominator_event {
                events.entry(event.clone()).or_default().under |= 1 << place;
            }
        }
        Self { end_ms: experiment.end_ms(), latest_ms: experiment.latest_ms(), events, experiment }
    }

    /// The keys of the events that count for some metric.
    pub(crate) fn events(&self) -> impl Iterator<Item = &str> {
        let metrics = self.experiment.metrics.iter();
        metrics
            .flat_map(|metric| [Some(&metric.event), metric.denominator_event.as_ref()])
            .flatten()
            .map(String::as_str)
    }

    pub(crate) fn metric(&self, place: u8) -> Option<&Metric> {
        self.experiment.metrics.get(usize::from(place))
    }

    /// No time from here on counts for anything, Unix milliseconds.
    pub(crate) fn latest_ms(&self) -> i64 {
        self.latest_ms
    }

    /// Whether an exposure at this time takes part.
    pub(crate) fn exposes_at(&self, time_ms: i64) -> bool {
        (self.experiment.start_ms..self.end_ms).contains(&time_ms)
    }

    /// What an event of this key and time counts for.
    pub(crate) fn conversion(&self, event: &[u8], time_ms: i64, has_value: bool) -> Told {
        let Some(all) = std::str::from_utf8(event).ok().and_then(|event| self.events.get(event)) else {
            return Told::Nothing;
        };
        let (mut counts, mut in_time) = (Counts::default(), 0);
        for (place, metric) in (0..u32::BITS).zip(&self.experiment.metrics) {
            let bit = 1 << place;
            if (all.over | all.under) & bit == 0 || !self.takes_at(metric, time_ms) {
                continue;
            }
            in_time |= bit;
            if has_value || matches!(metric.kind, MetricKind::Once | MetricKind::Count) {
                counts.over |= all.over & bit;
                counts.under |= all.under & bit;
            }
        }
        if in_time == 0 {
            return Told::Nothing;
        }
        Told::Metrics { counts, lacks_value: in_time != counts.over | counts.under }
    }

    /// Whether one of these metrics needs a value.
    pub(crate) fn needs_value(&self, counts: Counts) -> bool {
        let needs = |metric: &Metric| !matches!(metric.kind, MetricKind::Once | MetricKind::Count);
        let all = counts.over | counts.under;
        (0..u32::BITS).zip(&self.experiment.metrics).any(|(place, metric)| all & 1 << place != 0 && needs(metric))
    }

    /// Whether an event of this time may count for a metric, whenever its unit was exposed.
    fn takes_at(&self, metric: &Metric, time_ms: i64) -> bool {
        let from = self.experiment.start_ms.saturating_add(metric.delay_ms);
        let to = metric.reach_ms().map_or(self.end_ms, |reach| self.end_ms.saturating_add(reach));
        (from..to).contains(&time_ms)
    }

    /// The value of each dimension, by its place, that an exposure of this payload has.
    pub(crate) fn values_of(&self, view: &PayloadView) -> Vec<u8> {
        let place = |dimension: &schemas::experiment::Dimension| {
            let told = match dimension.attribute {
                Attribute::Application => view.application(),
                Attribute::ApplicationVersion => view.application_version(),
                Attribute::Sdk => view.sdk(),
                Attribute::SdkVersion => view.sdk_version(),
            };
            let place = dimension.values.iter().position(|value| value.as_bytes() == told.as_ref());
            place.and_then(|place| u8::try_from(place).ok()).unwrap_or(OTHER)
        };
        self.experiment.dimensions.iter().map(place).collect()
    }
}
