//! The home part of a payload: usage, last seen, custom events, SDKs.
//!
//! Always true here: counts come before reasons, these before events, then what [`super::old_path`] has, and SDKs; rows are taken in the order in which
//! they lie in the record. Nothing is taken from the product but the reading of records; what chooses an instance's bit
//! is said again.

use std::rc::Rc;

use bytes::Bytes;
use schemas::cell::{CellKind, CellName};
use schemas::event::Credential;
use schemas::id::Environment;
use schemas::old_path::Gated;
use schemas::record::{CountRow, Header, PayloadView, StoredVariation};
use xxhash_rust::xxh3::xxh3_64;

use super::cell::Cell;
use super::facts::{Fact, OTHER, OTHER_BULK, label, marks};
use super::{DAY_MS, HOUR_MS, Oracle};

pub(super) const CUSTOM: u32 = 1;
pub(super) const COUNT_MAX: u64 = 1_000_000_000;
const MICROS_MAX: u64 = 1_000_000_000_000_000_000;
const VALUE_BYTES_MAX: usize = 256;
const VALUES_MAX: usize = 100;
const VERSIONS_MAX: usize = 64;
const DAYS_MAX: u64 = 400;

/// Whether the home part says only what a record of this product may say.
pub(super) fn is_sound(header: &Header, view: &PayloadView) -> bool {
    let is_hour = |hour: i64| u32::try_from(hour).is_ok();
    let in_range = |value: Option<i64>| value.is_none_or(|value| value.unsigned_abs() <= MICROS_MAX);
    view.late() <= header.accepted
        && view.counts().all(|row| is_hour(row.minute.div_euclid(60)))
        && view.reasons().all(|row| is_hour(row.minute.div_euclid(60)))
        && view
            .conversions()
            .filter(|row| row.kind == CUSTOM)
            .all(|row| is_hour(row.time_ms.div_euclid(HOUR_MS)) && in_range(row.value))
        && view.migrations().all(|row| is_hour(row.time_ms.div_euclid(HOUR_MS)))
        && (header.gated != Gated::Both
            || view.late_counts().all(|row| is_hour(row.minute.div_euclid(60)))
                && view.late_events().all(|row| is_hour(row.time_ms.div_euclid(HOUR_MS))))
}

impl Oracle {
    pub(super) fn home_part(&mut self, header: &Header, view: &PayloadView) {
        let bulk = self.bulk_reads(header, view);
        for row in view.counts() {
            self.count(header, view, &row, bulk.contains(&row.element));
        }
        for row in view.reasons() {
            let name = self.name(&header.environment, true, row.flag);
            let usage = self.cell(CellKind::Usage, header, name, row.minute.div_euclid(60));
            usage.add(Fact::at("reason", row.reason as u64), row.number.into());
        }
        for row in view.conversions().filter(|row| row.kind == CUSTOM) {
            let name = self.name(&header.environment, false, row.key);
            let events = self.cell(CellKind::Events, header, name, row.time_ms.div_euclid(HOUR_MS));
            let number = row.sampling.min(COUNT_MAX);
            events.add_some(Fact::of("count"), number);
            if header.gated != Gated::No {
                events.add_some(Fact::of("gated"), number);
            }
            if let Some(value) = row.value.filter(|_| number > 0) {
                events.add_some(Fact::of("with a value"), number);
                events.add(Fact::of("sum"), i128::from(value) * i128::from(number));
            }
        }
        self.migrations(header, view);
        self.gated(header, view);
        self.sdks(header, view);
    }

    fn count(&mut self, header: &Header, view: &PayloadView, row: &CountRow<'_>, bulk: bool) {
        let limits = self.generation.fold;
        let budget = limits.texts_bytes_max;
        let (variation, named) = (Some(row.variation), name_of(row.variation));
        let [application, application_version] = [view.application(), view.application_version()];
        let [sdk, sdk_version] = [view.sdk(), view.sdk_version()];
        let (hour, minute) = (row.minute.div_euclid(60), row.minute.rem_euclid(60).unsigned_abs());
        let name = self.name(&header.environment, true, row.flag);

        // None counted: the flag was seen, and that is all.
        let bulk = bulk && row.count != 0;
        if row.count != 0 {
            let usage = self.cell(CellKind::Usage, header, name.clone(), hour);
            let pair = label(variation, row.version, &[]);
            let pair = usage.row("pair", &pair, &[named], limits.usage_pairs_max, budget);
            usage.add(Fact::row_at("minute", &pair, minute), row.count.into());
            if header.gated != Gated::No {
                usage.add(Fact::row("gated", &pair), row.count.into());
            }
            if row.estimated {
                usage.put(Fact::row("estimated", &pair), 1);
            }
            let names: [&[u8]; 4] = [named, application, sdk, sdk_version];
            let asked = label(variation, None, &names[1..]);
            let asked = usage.row("row", &asked, &names, limits.usage_rows_max, budget);
            usage.add(Fact::row("asked", &asked), row.count.into());
        }

        let seen = self.cell(CellKind::LastSeen, header, name, 0);
        let names: [&[u8]; 5] = [named, application, application_version, sdk, sdk_version];
        let who = label(variation, marks(row.error, bulk), &names[1..]);
        let other = if bulk { OTHER_BULK } else { OTHER };
        let who = seen.row_or(other, "row", &who, &names, (limits.last_seen_rows_max, budget));
        seen.least(Fact::row("first", &who), hour.into());
        seen.most(Fact::row("last", &who), hour.into());
        if let Some(value) = row.value {
            value_told(seen, row.variation, value, hour);
        }
        if let Some(version) = row.version {
            keep_highest(seen, "version", version, |kept, _| kept <= VERSIONS_MAX, hour);
        }
        if !bulk {
            let day = hour.div_euclid(24).unsigned_abs();
            keep_highest(seen, "day", day, |_, (lowest, highest)| highest - lowest < DAYS_MAX, 1);
        }
        if view.credential() != Credential::Server {
            seen.put(Fact::of("client side"), 1);
        }
    }

    fn sdks(&mut self, header: &Header, view: &PayloadView) {
        let limits = self.generation.fold;
        let hour = header.received_ms.div_euclid(HOUR_MS).rem_euclid(24).unsigned_abs();
        let instance = std::str::from_utf8(view.instance()).ok().filter(|instance| !instance.is_empty());
        let bit = instance.map(|id| instance_bit(&header.environment, id));
        let mut reports: Vec<(&Bytes, &Bytes, Option<u64>)> = Vec::new();
        if !(view.application().is_empty() && view.sdk().is_empty()) {
            reports.push((view.sdk(), view.sdk_version(), None));
        }
        for (sdk, version, dropped) in view.diagnostics() {
            let shown = if view.sdk().is_empty() { (sdk, version) } else { (view.sdk(), view.sdk_version()) };
            reports.push((shown.0, shown.1, Some(dropped)));
        }
        for (sdk, version, dropped) in reports {
            let sdks = self.cell(CellKind::Sdks, header, CellName::None, header.received_ms.div_euclid(DAY_MS));
            let names: [&[u8]; 3] = [view.application(), sdk, version];
            let row = sdks.row("row", &label(None, None, &names), &names, limits.sdk_rows_max, limits.texts_bytes_max);
            sdks.put(Fact::row_at("hour", &row, hour), 1);
            if let Some(bit) = bit {
                sdks.put(Fact::row_at("instance", &row, bit), 1);
            }
            if let Some(dropped) = dropped {
                sdks.add_some(Fact::row("diagnostics", &row), 1);
                sdks.add_some(Fact::row("dropped", &row), dropped);
            }
        }
    }
}

/// The bit of an instance: a hash, modulo 256, of project, environment, these words and its id, each behind its length.
fn instance_bit(environment: &Environment, id: &str) -> u64 {
    let mut bytes = Vec::with_capacity(64);
    for part in [&environment.project, &environment.key, b"sdk instance".as_slice(), id.as_bytes()] {
        bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    xxh3_64(&bytes) % 256
}

pub(super) fn name_of(variation: StoredVariation<'_>) -> &[u8] {
    match variation {
        StoredVariation::Name(name) => name,
        _ => b"",
    }
}

/// The newest value of a variation; in the same hour the later told, but of the callers' own defaults the first. A
/// variation by name has one only when the name has found a place in the cell.
fn value_told(seen: &mut Cell, variation: StoredVariation<'_>, value: &Bytes, hour: i64) {
    if value.len() > VALUE_BYTES_MAX || matches!(variation, StoredVariation::Name(name) if !seen.has_text(name)) {
        return;
    }
    let row: Rc<str> = label(Some(variation), None, &[]).into();
    let told = Fact::row("value told", &row);
    let Some(before) = seen.facts().get(&told) else {
        let values = seen.facts().iter().filter(|(fact, _)| fact.is("value told")).count();
        if values < VALUES_MAX {
            seen.put(told, hour.into());
            seen.put(value_fact(&row, value), 1);
        }
        return;
    };
    let same_hour = before == i128::from(hour) && variation != StoredVariation::Default;
    if i128::from(hour) > before || same_hour {
        let old = seen.facts().iter().map(|(fact, _)| fact).find(|fact| fact.is("value") && fact.begins(&row)).cloned();
        let new = value_fact(&row, value);
        if let Some(old) = old.filter(|old| *old != new) {
            seen.take(&old);
        }
        seen.put(new, 1);
        seen.put(told, hour.into());
    }
}

/// The text of a variation's value.
pub(super) fn value_text(variation: &str, value: &[u8]) -> String {
    format!("{variation} = {}", String::from_utf8_lossy(value))
}

fn value_fact(variation: &str, value: &[u8]) -> Fact {
    Fact::row("value", &value_text(variation, value).into())
}

/// Says the number of this place (the least that was ever told of it), then drops the lowest places until what is kept
/// is allowed: `allowed` is given how many there are, and the lowest and highest.
fn keep_highest(
    cell: &mut Cell,
    what: &'static str,
    place: u64,
    allowed: impl Fn(usize, (u64, u64)) -> bool,
    number: i64,
) {
    let mut places: Vec<u64> =
        cell.facts().iter().map(|(fact, _)| fact).filter(|fact| fact.is(what)).map(Fact::place).collect();
    if places.contains(&place) {
        cell.least(Fact::at(what, place), number.into());
        return;
    }
    places.push(place);
    places.sort_unstable();
    while let [lowest, .., highest] = places.as_slice()
        && !allowed(places.len(), (*lowest, *highest))
    {
        let lowest = places.remove(0);
        if lowest == place {
            return;
        }
        cell.take(&Fact::at(what, lowest));
    }
    cell.put(Fact::at(what, place), number.into());
}
