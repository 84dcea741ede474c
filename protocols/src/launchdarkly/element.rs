//! One element of the analytics array, as fields: flat, borrowed, nothing judged.
//!
//! Always true here: the order of fields does not matter (`kind` may come last) and the last of a name counts; a field that
//! no kind uses is skipped; a wrong type is kept as such, for the kind to judge.

use serde::de::MapAccess;

use super::context::Inline;
use super::migration::{Evaluated, Measurements};
use super::summary::Tally;
use crate::json::{Field, Name, Number, Object, Str, skip};

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
    fn member<M: MapAccess<'a>>(&mut self, name: Name<'a>, value: &mut M) -> Result<(), M::Error> {
        match &*name.0 {
            b"kind" => self.kind = value.next_value()?,
            b"key" => self.key = value.next_value()?,
            b"creationDate" => self.creation_date = value.next_value()?,
            b"context" => self.context = value.next_value()?,
            b"contextKeys" => self.context_keys = value.next_value()?,
            b"user" => self.user = value.next_value()?,
            b"userKey" => self.user_key = value.next_value()?,
            b"contextKind" => self.context_kind = value.next_value()?,
            b"previousContextKind" => self.previous_context_kind = value.next_value()?,
            b"samplingRatio" => self.sampling_ratio = value.next_value()?,
            b"excludeFromSummaries" => self.exclude_from_summaries = value.next_value()?,
            b"trackEvents" => self.track_events = value.next_value()?,
            b"metricValue" => self.metric_value = value.next_value()?,
            b"operation" => self.operation = value.next_value()?,
            b"evaluation" => self.evaluation = value.next_value()?,
            b"measurements" => self.measurements = value.next_value()?,
            b"startDate" => self.start_date = value.next_value()?,
            b"endDate" => self.end_date = value.next_value()?,
            _ => self.served.member(name, value)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Served<'a> {
    fn member<M: MapAccess<'a>>(&mut self, name: Name<'a>, value: &mut M) -> Result<(), M::Error> {
        match &*name.0 {
            b"variation" => self.variation = value.next_value()?,
            b"version" => self.version = value.next_value()?,
            b"value" => self.value = value.next_value()?,
            b"reason" => self.reason = value.next_value()?,
            _ => skip(value)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Because<'a> {
    fn member<M: MapAccess<'a>>(&mut self, name: Name<'a>, value: &mut M) -> Result<(), M::Error> {
        match &*name.0 {
            b"kind" => self.kind = value.next_value()?,
            b"errorKind" => self.error_kind = value.next_value()?,
            b"inExperiment" => self.in_experiment = value.next_value()?,
            _ => skip(value)?,
        }
        Ok(())
    }
}
