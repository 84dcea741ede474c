//! One element of the analytics array, as fields: flat, borrowed, nothing judged.
//!
//! Always true here: the order of fields does not matter (`kind` may come last) and the last of a name counts; a field that
//! no kind uses is skipped; a wrong type is kept as such, for the kind to judge.

use super::context::Inline;
use super::migration::{Evaluated, Measurements};
use super::summary::Tally;
use crate::json::{Cursor, Field, Number, Str, Syntax};

/// Every field that any kind of element uses.
#[derive(Default)]
pub(super) struct Raw<'a> {
    pub(super) kind: Field<Str<'a>>,
    pub(super) key: Field<Str<'a>>,
    pub(super) creation_date: Field<Number<'a>>,
    pub(super) context: Field<Inline<'a>>,
    pub(super) context_keys: Field<&'a [u8]>,
    pub(super) user: Field<Inline<'a>>,
    pub(super) user_key: Field<Str<'a>>,
    pub(super) context_kind: Field<Str<'a>>,
    pub(super) previous_context_kind: Field<Str<'a>>,
    pub(super) sampling_ratio: Field<Number<'a>>,
    pub(super) served: Served<'a>,
    pub(super) exclude_from_summaries: Field<bool>,
    pub(super) track_events: Field<bool>,
    pub(super) metric_value: Field<&'a [u8]>,
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
    pub(super) value: Field<&'a [u8]>,
    pub(super) reason: Field<Because<'a>>,
}

/// An evaluation's `reason`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Because<'a> {
    pub(super) kind: Field<Str<'a>>,
    pub(super) error_kind: Field<Str<'a>>,
    pub(super) in_experiment: Field<bool>,
}

impl<'a> Raw<'a> {
    /// Reads an element. `features` is called for the field of that name, since its counters go straight into rows; it must
    /// take one value off the cursor, and may be called again.
    pub(super) fn read(
        cursor: &mut Cursor<'a>,
        mut features: impl FnMut(&mut Cursor<'a>) -> Result<Field<Tally>, Syntax>,
    ) -> Result<Field<Self>, Syntax> {
        let mut raw = Self::default();
        let shape = cursor.object(|cursor, name| {
            match &*name.name() {
                b"kind" => raw.kind = cursor.str()?,
                b"key" => raw.key = cursor.str()?,
                b"creationDate" => raw.creation_date = cursor.number()?,
                b"context" => raw.context = Inline::read(cursor)?,
                b"contextKeys" => raw.context_keys = cursor.raw()?,
                b"user" => raw.user = Inline::read(cursor)?,
                b"userKey" => raw.user_key = cursor.str()?,
                b"contextKind" => raw.context_kind = cursor.str()?,
                b"previousContextKind" => raw.previous_context_kind = cursor.str()?,
                b"samplingRatio" => raw.sampling_ratio = cursor.number()?,
                b"excludeFromSummaries" => raw.exclude_from_summaries = cursor.bool()?,
                b"trackEvents" => raw.track_events = cursor.bool()?,
                b"metricValue" => raw.metric_value = cursor.raw()?,
                b"operation" => raw.operation = cursor.str()?,
                b"evaluation" => raw.evaluation = Evaluated::read(cursor)?,
                b"measurements" => raw.measurements = Measurements::read(cursor)?,
                b"startDate" => raw.start_date = cursor.number()?,
                b"endDate" => raw.end_date = cursor.number()?,
                b"features" => raw.features = features(cursor)?,
                field => raw.served.read_field(cursor, field)?,
            }
            Ok(())
        })?;
        Ok(shape.with(raw))
    }
}

impl<'a> Served<'a> {
    /// Takes one field if it is one of these, else skips it.
    pub(super) fn read_field(&mut self, cursor: &mut Cursor<'a>, field: &[u8]) -> Result<(), Syntax> {
        match field {
            b"variation" => self.variation = cursor.number()?,
            b"version" => self.version = cursor.number()?,
            b"value" => self.value = cursor.raw()?,
            b"reason" => self.reason = Because::read(cursor)?,
            _ => drop(cursor.skip()?),
        }
        Ok(())
    }
}

impl<'a> Because<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Field<Self>, Syntax> {
        let mut because = Self::default();
        let shape = cursor.object(|cursor, name| {
            match &*name.name() {
                b"kind" => because.kind = cursor.str()?,
                b"errorKind" => because.error_kind = cursor.str()?,
                b"inExperiment" => because.in_experiment = cursor.bool()?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(shape.with(because))
    }
}
