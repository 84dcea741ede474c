//! What a stored cell tells, read from its bytes by the wire form alone; the stand-in's, which has none, byte by byte.
//!
//! Always true here: whatever the cell has is told (every row with its place, every text), so that two cells that tell
//! the same are of the same bytes; what no fold writes (a row twice, a number that points nowhere, books that do not
//! balance) is an error.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message;
use schemas::cell::CellKind;
use schemas::record::StoredVariation;
use schemas::rejection::Rejection;
use schemas::wire::cells as wire;

use super::facts::{OTHER, OTHER_BULK, label, marks};
use super::payload::value_text;

/// A fact in pieces: its column, its row's label, its place, its number.
pub(crate) type Piece<'a> = (&'static str, Option<&'a str>, u64, i128);

/// Tells what the bytes of a cell of this kind say, a fact at a time.
pub(crate) fn tell(kind: CellKind, bytes: &Bytes, hear: &mut dyn FnMut(Piece<'_>)) -> Result<(), String> {
    let mut telling = Telling { hear };
    match kind {
        CellKind::Usage => telling.usage(&read(bytes)?),
        CellKind::LastSeen => telling.last_seen(&read(bytes)?),
        CellKind::Events => telling.events(&read(bytes)?),
        CellKind::Books => telling.books(&read(bytes)?),
        CellKind::Sdks => telling.sdks(&read(bytes)?),
        CellKind::Definition => {
            let definition: wire::Definition = read(bytes)?;
            telling.say("version", definition.version);
            telling.say_of("body", &String::from_utf8_lossy(&definition.body), 1_u64);
            Ok(())
        }
        CellKind::OldPath | CellKind::OldPathEvents => telling.old_path(&read(bytes)?),
        CellKind::Migration => telling.migration(&read(bytes)?),
        // No experiment is defined here yet: its stand-in is.
        CellKind::Experiment => Err("an experiment's cell".to_owned()),
        CellKind::StandIn => telling.stand_in(bytes),
    }
}

fn read<M: Message + Default>(bytes: &Bytes) -> Result<M, String> {
    M::decode(bytes.clone()).map_err(|e| format!("the cell cannot be read: {e}"))
}

struct Telling<'h> {
    hear: &'h mut dyn FnMut(Piece<'_>),
}

impl Telling<'_> {
    fn say(&mut self, what: &'static str, number: impl Into<i128>) {
        (self.hear)((what, None, 0, number.into()));
    }

    fn say_at(&mut self, what: &'static str, place: u64, number: impl Into<i128>) {
        (self.hear)((what, None, place, number.into()));
    }

    fn say_of(&mut self, what: &'static str, row: &str, number: impl Into<i128>) {
        (self.hear)((what, Some(row), 0, number.into()));
    }

    fn say_of_at(&mut self, what: &'static str, row: &str, place: u64, number: impl Into<i128>) {
        (self.hear)((what, Some(row), place, number.into()));
    }

    fn say_some(&mut self, what: &'static str, number: u64) {
        if number > 0 {
            self.say(what, number);
        }
    }

    fn texts(&mut self, texts: &[Bytes]) {
        for (place, text) in (0_u64..).zip(texts) {
            self.say_of("text", &String::from_utf8_lossy(text), place);
        }
    }

    /// A row of a table, and its place there.
    fn row(&mut self, table: &'static str, place: usize, other: bool, named: String) -> Cow<'static, str> {
        let row: Cow<'static, str> = if other { OTHER.into() } else { named.into() };
        self.say_of(table, &row, place as i128);
        row
    }

    /// A row of everything beyond a limit: it has no names of its own, lest two cells that tell the same differ in
    /// bytes.
    fn nameless(other: bool, numbers: &[u64], row: &dyn std::fmt::Debug) -> Result<(), String> {
        if other && numbers.iter().any(|number| *number != 0) {
            return Err(format!("an other row has names: {row:?}"));
        }
        Ok(())
    }

    fn usage(&mut self, cell: &wire::Usage) -> Result<(), String> {
        self.texts(&cell.texts);
        for (place, pair) in cell.pairs.iter().enumerate() {
            Self::nameless(pair.other, &[pair.variation, pair.version], pair)?;
            let variation = variation(&cell.texts, pair.variation)?;
            let named = label(Some(variation), pair.version.checked_sub(1), &[]);
            let row = self.row("pair", place, pair.other, named);
            let minutes: Vec<u64> = (0..64).filter(|minute| pair.minutes >> minute & 1 == 1).collect();
            if minutes.len() != pair.count.len() {
                return Err(format!("{} counts for minutes {minutes:?}", pair.count.len()));
            }
            for (minute, count) in minutes.into_iter().zip(&pair.count) {
                self.say_of_at("minute", &row, minute, *count);
            }
            if pair.gated > 0 {
                self.say_of("gated", &row, pair.gated);
            }
            if pair.estimated {
                self.say_of("estimated", &row, 1_u64);
            }
        }
        for (place, row) in cell.rows.iter().enumerate() {
            let numbers = [row.application, row.sdk, row.sdk_version];
            Self::nameless(row.other, &[row.variation, numbers.iter().map(|n| u64::from(*n)).sum()], row)?;
            let names = texts(&cell.texts, numbers)?;
            let named = label(Some(variation(&cell.texts, row.variation)?), None, &names);
            let at = self.row("row", place, row.other, named);
            self.say_of("asked", &at, row.count);
        }
        if cell.reason.len() != cell.reason_number.len() {
            return Err(format!("{} reasons, {} numbers", cell.reason.len(), cell.reason_number.len()));
        }
        for (reason, number) in cell.reason.iter().zip(&cell.reason_number) {
            self.say_at("reason", (*reason).into(), *number);
        }
        Ok(())
    }

    fn last_seen(&mut self, cell: &wire::LastSeen) -> Result<(), String> {
        self.texts(&cell.texts);
        for (place, row) in cell.rows.iter().enumerate() {
            let numbers = [row.application, row.application_version, row.sdk, row.sdk_version];
            let named = numbers.iter().map(|n| u64::from(*n)).sum();
            Self::nameless(row.other, &[row.variation, named, row.error.into()], row)?;
            let names = texts(&cell.texts, numbers)?;
            let named = match row.other && row.bulk {
                true => OTHER_BULK.to_owned(),
                false => label(Some(variation(&cell.texts, row.variation)?), marks(row.error, row.bulk), &names),
            };
            let at = self.row("row", place, row.other && !row.bulk, named);
            self.say_of("first", &at, row.first);
            self.say_of("last", &at, row.last);
        }
        for value in &cell.values {
            let row = label(Some(variation(&cell.texts, value.variation)?), None, &[]);
            self.say_of("value told", &row, value.hour);
            self.say_of("value", &value_text(&row, &value.value), 1_u64);
        }
        if cell.version.len() != cell.version_since.len() {
            return Err(format!("{} versions, {} hours of them", cell.version.len(), cell.version_since.len()));
        }
        for (version, since) in cell.version.iter().zip(&cell.version_since) {
            self.say_at("version", *version, *since);
        }
        if [cell.days.first(), cell.days.last()].contains(&Some(&0)) {
            return Err(format!("days begin or end with none: {:?} from {}", cell.days, cell.days_from));
        }
        for (byte, bits) in (0_u64..).zip(&cell.days) {
            for bit in (0..8_u64).filter(|bit| bits >> bit & 1 == 1) {
                self.say_at("day", u64::from(cell.days_from) + byte * 8 + bit, 1_u64);
            }
        }
        if cell.client_side {
            self.say("client side", 1_u64);
        }
        Ok(())
    }

    fn events(&mut self, cell: &wire::Events) -> Result<(), String> {
        let sum = match <[u8; 16]>::try_from(cell.metric_sum.as_ref()) {
            Ok(bytes) => i128::from_be_bytes(bytes),
            Err(_) if cell.metric_sum.is_empty() => 0,
            Err(_) => return Err(format!("a sum of {} bytes", cell.metric_sum.len())),
        };
        self.say_some("count", cell.count);
        self.say_some("gated", cell.gated);
        self.say_some("with a value", cell.metric_count);
        match cell.metric_count {
            0 if sum == 0 => {}
            0 => return Err(format!("a sum of {sum} without a value")),
            _ => self.say("sum", sum),
        }
        Ok(())
    }

    fn old_path(&mut self, cell: &wire::OldPath) -> Result<(), String> {
        self.texts(&cell.texts);
        for (place, row) in cell.rows.iter().enumerate() {
            Self::nameless(row.other, &[row.variation], row)?;
            let named = label(Some(variation(&cell.texts, row.variation)?), None, &[]);
            let at = self.row("row", place, row.other, named);
            for (what, number) in [
                ("counted by both", row.counted),
                ("new only", row.new_only),
                ("written again", row.duplicate),
                ("too late", row.late),
            ] {
                if number > 0 {
                    self.say_of(what, &at, number);
                }
            }
            if row.fate.len() != row.number.len() || row.number.contains(&0) {
                return Err(format!("fates and numbers do not fit: {row:?}"));
            }
            for (fate, number) in row.fate.iter().zip(&row.number) {
                self.say_of_at("met", &at, (*fate).into(), *number);
            }
        }
        Ok(())
    }

    fn migration(&mut self, cell: &wire::Migration) -> Result<(), String> {
        self.say_some("operations", cell.operations);
        self.say_some("checked", cell.checked);
        self.say_some("consistent", cell.consistent);
        if cell.estimated {
            self.say("estimated", 1_u64);
        }
        for (number, name, side) in [(0, "old", &cell.old), (1, "new", &cell.new)] {
            let Some(side) = side else { continue };
            for (what, number_of) in [("invoked", side.invoked), ("failed", side.failed)] {
                if number_of > 0 {
                    self.say_at(what, number, number_of);
                }
            }
            if side.latency_gap.len() != side.latency_number.len() {
                return Err(format!("latencies and numbers do not fit: {side:?}"));
            }
            let mut bucket = 0;
            for (gap, number_of) in side.latency_gap.iter().zip(&side.latency_number) {
                bucket += u64::from(*gap);
                self.say_of_at("took", name, bucket, *number_of);
            }
        }
        Ok(())
    }

    fn books(&mut self, cell: &wire::Books) -> Result<(), String> {
        let sum = cell.counted + cell.duplicate + cell.late + cell.poison;
        if cell.accepted != sum {
            return Err(format!("the books do not balance: accepted {}, the others {sum}: {cell:?}", cell.accepted));
        }
        self.say_some("accepted", cell.accepted);
        self.say_some("counted", cell.counted);
        self.say_some("duplicate", cell.duplicate);
        self.say_some("late", cell.late);
        self.say_some("poison", cell.poison);
        self.say_some("clamped", cell.clamped);
        self.say_some("without id", cell.without_id);
        if cell.reason.len() != cell.reason_number.len() {
            return Err(format!("{} reasons, {} numbers", cell.reason.len(), cell.reason_number.len()));
        }
        for (reason, number) in cell.reason.iter().zip(&cell.reason_number) {
            let reason = Rejection::from_number(*reason).ok_or_else(|| format!("a rejection of reason {reason}"))?;
            self.say(reason.code(), *number);
        }
        Ok(())
    }

    /// Two numbers of the day, then a row for each variation, rising: its number (4 bytes) and three numbers; numbers
    /// are of 16 bytes, signed, highest byte first. Those that have come to nothing are not told.
    fn stand_in(&mut self, bytes: &[u8]) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("a stand-in cell of {} bytes: {what}", bytes.len()));
        if bytes.is_empty() {
            return Ok(());
        }
        let (Some(head), Some(rows)) = (bytes.get(..32), bytes.get(32..)) else { return wrong("its head is short") };
        self.say_signed("late", 0, &head[..16]);
        self.say_signed("multiple", 0, &head[16..]);
        let mut before = None;
        for row in rows.chunks(52) {
            let &[a, b, c, d, ref numbers @ ..] = row else { return wrong("a row is short") };
            let variation = u32::from_be_bytes([a, b, c, d]);
            if numbers.len() != 48 || before.replace(variation).is_some_and(|before| before >= variation) {
                return wrong("its rows are short, or not in rising order");
            }
            for (what, number) in ["n", "sum", "square"].into_iter().zip(numbers.chunks(16)) {
                self.say_signed(what, variation.into(), number);
            }
        }
        Ok(())
    }

    fn say_signed(&mut self, what: &'static str, place: u64, bytes: &[u8]) {
        let unsigned = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        if unsigned != 0 {
            self.say_at(what, place, unsigned.cast_signed());
        }
    }

    fn sdks(&mut self, cell: &wire::Sdks) -> Result<(), String> {
        self.texts(&cell.texts);
        for (place, row) in cell.rows.iter().enumerate() {
            let numbers = [row.application, row.sdk, row.sdk_version];
            Self::nameless(row.other, &[numbers.iter().map(|n| u64::from(*n)).sum()], row)?;
            let names = texts(&cell.texts, numbers)?;
            let at = self.row("row", place, row.other, label(None, None, &names));
            for hour in (0..32_u64).filter(|hour| row.hours >> hour & 1 == 1) {
                self.say_of_at("hour", &at, hour, 1_u64);
            }
            for (byte, bits) in (0_u64..).zip(&row.instances) {
                for bit in (0..8_u64).filter(|bit| bits >> bit & 1 == 1) {
                    self.say_of_at("instance", &at, byte * 8 + bit, 1_u64);
                }
            }
            if row.diagnostics > 0 {
                self.say_of("diagnostics", &at, row.diagnostics);
            }
            if row.dropped_events > 0 {
                self.say_of("dropped", &at, row.dropped_events);
            }
        }
        Ok(())
    }
}

/// The text with this number, from 1; 0 is the empty one.
fn text(texts: &[Bytes], number: u64) -> Result<&[u8], String> {
    let Some(place) = number.checked_sub(1) else { return Ok(b"") };
    let text = usize::try_from(place).ok().and_then(|place| texts.get(place));
    text.map(AsRef::as_ref).ok_or_else(|| format!("text {number} of {}", texts.len()))
}

fn texts<const N: usize>(all: &[Bytes], numbers: [u32; N]) -> Result<[&[u8]; N], String> {
    let mut found: [&[u8]; N] = [b""; N];
    for (place, number) in found.iter_mut().zip(numbers) {
        *place = text(all, number.into())?;
    }
    Ok(found)
}

/// 0 = the caller's default, 2i + 1 = index i, 2t = the text with number t.
fn variation(texts: &[Bytes], stored: u64) -> Result<StoredVariation<'_>, String> {
    match (stored, stored % 2) {
        (0, _) => Ok(StoredVariation::Default),
        (_, 1) => Ok(StoredVariation::Index(u32::try_from(stored / 2).map_err(|_| format!("variation {stored}"))?)),
        _ => Ok(StoredVariation::Name(text(texts, stored / 2)?)),
    }
}
