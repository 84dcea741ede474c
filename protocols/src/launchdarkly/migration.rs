//! One operation of a customer's migration: what was served, and what was measured.
//!
//! Always true here: measurements of unknown keys are skipped; one that was not made is absent, not zero. `default` is
//! not read, so it does not matter on which of its two places an SDK writes it.

use schemas::event::{MigrationOp, OldNew};
use schemas::fixed::Micros;
use schemas::id::KEY_BYTES_MAX;
use schemas::rejection::Rejection;

use super::context::checked;
use super::element::{Raw, Served};
use super::rows::{sampling, variation};
use crate::json::{Array, Field, Name, Number, Object, Read, Str, Walk};
use crate::limits::Limits;

/// The `evaluation` of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Evaluated<'a> {
    key: Field<Str<'a>>,
    served: Served<'a>,
}

/// Its `measurements`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Measurements<'a> {
    invoked: OldNew<Field<bool>>,
    error: OldNew<Field<bool>>,
    latency_ms: OldNew<Field<Number<'a>>>,
    consistent: Field<bool>,
}

/// One of them, before its key is known.
#[derive(Default)]
struct Measurement<'a> {
    key: Field<Str<'a>>,
    value: Field<bool>,
    /// `values` as text: what they are depends on the key.
    values: Field<&'a str>,
}

impl<'a> Object<'a> for Evaluated<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"key" => self.key = value.read(),
            _ => self.served.member(name, value),
        }
    }
}

impl<'a> Object<'a> for Measurement<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"key" => self.key = value.read(),
            b"value" => self.value = value.read(),
            b"values" => self.values = value.read(),
            _ => {}
        }
    }
}

impl<'a> Read<'a> for Measurements<'a> {
    fn read(value: &mut Walk<'a>) -> Field<Self> {
        let mut all = Self::default();
        value.array(&mut all).with(all)
    }
}

impl<'a> Array<'a> for Measurements<'a> {
    fn item(&mut self, items: &mut Walk<'a>) {
        if let Field::Is(one) = items.read() {
            self.take(&one);
        }
    }
}

impl<'a> Measurements<'a> {
    fn take(&mut self, one: &Measurement<'a>) {
        let Some(key) = one.key.told() else { return };
        match &*key.name() {
            "consistent" => self.consistent = one.value,
            "invoked" => self.invoked = sides(one.values),
            "error" => self.error = sides(one.values),
            "latency_ms" => self.latency_ms = sides(one.values),
            _ => {}
        }
    }
}

/// The two sides of a measurement; what is no object has none.
fn sides<'a, T: Read<'a>>(values: Field<&'a str>) -> OldNew<Field<T>> {
    let mut sides = Sides(OldNew { old: Field::Absent, new: Field::Absent });
    if let Some(text) = values.told() {
        Walk::new(text).object(&mut sides);
    }
    sides.0
}

struct Sides<T>(OldNew<Field<T>>);

impl<'a, T: Read<'a>> Object<'a> for Sides<T> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        match &*name.0 {
            b"old" => self.0.old = value.read(),
            b"new" => self.0.new = value.read(),
            _ => {}
        }
    }
}

/// The row of a `migration_op` element.
pub(super) fn row<'a>(raw: &Raw<'a>, element: u32, limits: &Limits) -> Result<MigrationOp<'a>, Rejection> {
    let evaluated = raw.evaluation.required()?;
    let measured = raw.measurements.optional()?.unwrap_or_default();
    let both = |sides: OldNew<Field<bool>>| -> Result<OldNew<bool>, Rejection> {
        Ok(OldNew { old: sides.old.optional()?.unwrap_or(false), new: sides.new.optional()?.unwrap_or(false) })
    };
    let micros = |latency: Field<Number<'a>>| latency.optional().map(|latency| latency.and_then(microseconds));
    Ok(MigrationOp {
        element,
        flag: checked(evaluated.key.required()?.text(), KEY_BYTES_MAX)?,
        variation: variation(evaluated.served.variation)?,
        write: match &*raw.operation.required()?.name() {
            "read" => false,
            "write" => true,
            _ => return Err(Rejection::MalformedEvent),
        },
        invoked: both(measured.invoked)?,
        consistent: measured.consistent.optional()?,
        error: both(measured.error)?,
        latency_us: OldNew { old: micros(measured.latency_ms.old)?, new: micros(measured.latency_ms.new)? },
        sampling: sampling(raw.sampling_ratio, limits)?,
    })
}

/// Milliseconds with a fraction as whole microseconds; `None` = below 0 or absurd.
fn microseconds(latency_ms: Number<'_>) -> Option<u64> {
    let micros = Micros::parse(latency_ms.text())?;
    u64::try_from(micros.0).ok().map(|millionths| (millionths + 500) / 1000)
}
