//! One element of the analytics array, as fields: flat, borrowed, nothing judged.
//!
//! Always true here: the order of fields does not matter (`kind` may come last) and the last of a name counts; a field
//! that no kind uses is skipped; a wrong type is kept as such, for the kind to judge.

use super::context::Inline;
use super::migration::{Evaluated, Measurements};
use super::summary::Tally;
use crate::json::{Field, Name, Number, Object, Str, Walk};

/// Every field that any kind of element uses.
#[derive(Default)]
pub(super) struct Raw<'a> {
    pub(super) kind: Field<Str<'a>>,
    pub(super) key: Field<Str<'a>>,
    pub(super) creation_date: Field<Number<'a>>,
    pub(super) context: Field<Inline<'a>>,
    pub(super) context_keys: Field<&'a str>,
    pub(super) user: Field<Inline<'a>>,
    pub(super) user_key: Field<Str<'a>>,
    pub(super) context_kind: Field<Str<'a>>,
    pub(super) previous_context_kind: Field<Str<'a>>,
    pub(super) sampling_ratio: Field<Number<'a>>,
    pub(super) served: Served<'a>,
    pub(super) exclude_from_summaries: Field<bool>,
    pub(super) track_events: Field<bool>,
    pub(super) metric_value: Field<&'a str>,
    pub(super) operation: Field<Str<'a>>,
    pub(super) evaluation: Field<Evaluated<'a>>,
    pub(super) measurements: Field<Measurements<'a>>,
    pub(super) start_date: Field<Number<'a>>,
    pub(super) end_date: Field<Number<'a>>,
    pub(super) features: Field<Tally>,
}

/// What an evaluation served.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Served<'a> {
    pub(super) variation: Field<Number<'a>>,
    pub(super) version: Field<Number<'a>>,
    pub(super) value: Field<&'a str>,
    pub(super) reason: Field<Because<'a>>,
}

/// An evaluation's `reason`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Because<'a> {
    pub(super) kind: Field<Str<'a>>,
    pub(super) error_kind: Field<Str<'a>>,
    pub(super) in_experiment: Field<bool>,
}

/// Every field but `features`, whose counters go straight into rows.
impl<'a> Object<'a> for Raw<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"kind" => self.kind = value.read(),
            b"key" => self.key = value.read(),
            b"creationDate" => self.creation_date = value.read(),
            b"context" => self.context = value.read(),
            b"contextKeys" => self.context_keys = value.read(),
            b"user" => self.user = value.read(),
            b"userKey" => self.user_key = value.read(),
            b"contextKind" => self.context_kind = value.read(),
            b"previousContextKind" => self.previous_context_kind = value.read(),
            b"samplingRatio" => self.sampling_ratio = value.read(),
            b"excludeFromSummaries" => self.exclude_from_summaries = value.read(),
            b"trackEvents" => self.track_events = value.read(),
            b"metricValue" => self.metric_value = value.read(),
            b"operation" => self.operation = value.read(),
            b"evaluation" => self.evaluation = value.read(),
            b"measurements" => self.measurements = value.read(),
            b"startDate" => self.start_date = value.read(),
            b"endDate" => self.end_date = value.read(),
            _ => self.served.member(name, value),
        }
    }
}

impl<'a> Object<'a> for Served<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"variation" => self.variation = value.read(),
            b"version" => self.version = value.read(),
            b"value" => self.value = value.read(),
            b"reason" => self.reason = value.read(),
            _ => {}
        }
    }
}

impl<'a> Object<'a> for Because<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"kind" => self.kind = value.read(),
            b"errorKind" => self.error_kind = value.read(),
            b"inExperiment" => self.in_experiment = value.read(),
            _ => {}
        }
    }
}
