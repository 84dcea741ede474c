//! One operation of a customer's migration: what was served, and what was measured.
//!
//! Always true here: measurements of unknown keys are skipped; one that was not made is absent, not zero. `default` is not
//! read, so it does not matter on which of its two places an SDK writes it.

use schemas::event::{MigrationOp, OldNew};
use schemas::fixed::Micros;
use schemas::id::KEY_BYTES_MAX;
use schemas::rejection::Rejection;

use super::context::checked;
use super::element::{Raw, Served};
use super::rows::{sampling, variation};
use crate::json::{Cursor, Field, Number, Str, Syntax};
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
    /// `values` as bytes: what they are depends on the key.
    values: Field<&'a [u8]>,
}

impl<'a> Evaluated<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Field<Self>, Syntax> {
        let mut evaluated = Self::default();
        let shape = cursor.object(|cursor, name| match &*name.name() {
            b"key" => {
                evaluated.key = cursor.str()?;
                Ok(())
            }
            field => evaluated.served.read_field(cursor, field),
        })?;
        Ok(shape.with(evaluated))
    }
}

impl<'a> Measurements<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Field<Self>, Syntax> {
        let mut all = Self::default();
        let shape = cursor.array(|cursor| {
            let mut one = Measurement::default();
            cursor.object(|cursor, name| {
                match &*name.name() {
                    b"key" => one.key = cursor.str()?,
                    b"value" => one.value = cursor.bool()?,
                    b"values" => one.values = cursor.raw()?,
                    _ => drop(cursor.skip()?),
                }
                Ok(())
            })?;
            all.take(&one)
        })?;
        Ok(shape.with(all))
    }

    fn take(&mut self, one: &Measurement<'a>) -> Result<(), Syntax> {
        let Some(key) = one.key.told() else { return Ok(()) };
        match &*key.name() {
            b"consistent" => self.consistent = one.value,
            b"invoked" => self.invoked = sides(one.values, Cursor::bool)?,
            b"error" => self.error = sides(one.values, Cursor::bool)?,
            b"latency_ms" => self.latency_ms = sides(one.values, Cursor::number)?,
            _ => {}
        }
        Ok(())
    }
}

fn sides<'a, T>(
    values: Field<&'a [u8]>,
    read: fn(&mut Cursor<'a>) -> Result<Field<T>, Syntax>,
) -> Result<OldNew<Field<T>>, Syntax> {
    let mut sides = OldNew { old: Field::Absent, new: Field::Absent };
    let Some(values) = values.told() else { return Ok(sides) };
    Cursor::new(values).object(|cursor, name| {
        match &*name.name() {
            b"old" => sides.old = read(cursor)?,
            b"new" => sides.new = read(cursor)?,
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(sides)
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
        flag: checked(evaluated.key.required()?, KEY_BYTES_MAX)?,
        variation: variation(evaluated.served.variation)?,
        write: match &*raw.operation.required()?.name() {
            b"read" => false,
            b"write" => true,
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
