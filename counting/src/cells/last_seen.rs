//! A flag, for ever: first and last sight by (variation, application, SDK, the versions of both, error, bulk read or
//! not), to the hour; the values told, by variation; versions and since when; days of intentional use.
//!
//! Always true here: last sight never moves back and first never forward; at most two rows are marked `other`, one of
//! bulk reads and one of the rest, so that the former never make a flag look alive; versions are the [`VERSIONS_MAX`]
//! highest, rising; days are the last [`DAYS_MAX`] up to the newest. First, last, values and versions are of all reads,
//! days of use of the intentional ones alone.

use bytes::Bytes;
use prost::Message;
use schemas::event::VALUE_BYTES_MAX;
use schemas::generation::FoldLimits;
use schemas::record::StoredVariation;
use schemas::wire::cells as wire;

use super::days::{DAYS_MAX, Days};
use super::texts::{Texts, UNBOUNDED};
use super::{CellError, largest};

const KIND: &str = "last seen";
/// Variations whose value is kept.
pub const VALUES_MAX: usize = 100;
/// Versions kept: the highest.
pub const VERSIONS_MAX: usize = 64;
const HOURS_A_DAY: u32 = 24;
/// Rows beyond the limit of named ones: the other row, and that of bulk reads.
const OTHERS: usize = 2;

/// When a flag was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LastSeen {
    texts: Texts,
    rows: Vec<wire::LastSeenRow>,
    values: Vec<wire::LastSeenValue>,
    versions: Vec<(u64, u32)>,
    days: Days,
    client_side: bool,
}

/// A sight of a flag's variation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSeenChange<'a> {
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// The value served, as JSON, when kept.
    pub value: Option<&'a Bytes>,
    /// Hours since 1970 (UTC).
    pub hour: u32,
    /// The evaluation failed.
    pub error: bool,
    /// The flag was read along with nearly all flags: a sight, and no use.
    pub bulk: bool,
    /// A mobile or client-side SDK asked.
    pub client_side: bool,
    /// Application id; empty = not told.
    pub application: &'a [u8],
    /// Application version; empty = not told.
    pub application_version: &'a [u8],
    /// Name of the SDK; empty = not told.
    pub sdk: &'a [u8],
    /// Version of the SDK; empty = not told.
    pub sdk_version: &'a [u8],
}

/// A row, as readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastSeenRow<'a> {
    /// It is the row of everything beyond the limit (there is one of bulk reads and one of the rest); the names and
    /// `error` mean nothing then.
    pub other: bool,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// Application id; empty = not told.
    pub application: &'a [u8],
    /// Application version; empty = not told.
    pub application_version: &'a [u8],
    /// Name of the SDK; empty = not told.
    pub sdk: &'a [u8],
    /// Version of the SDK; empty = not told.
    pub sdk_version: &'a [u8],
    /// The evaluations failed.
    pub error: bool,
    /// The flag was read along with nearly all flags: a bulk read, no intentional use.
    pub bulk: bool,
    /// First sight, hours since 1970 (UTC).
    pub first: u32,
    /// Last sight, hours since 1970 (UTC).
    pub last: u32,
}

/// A value, as readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastSeenValue<'a> {
    /// The variation that had it.
    pub variation: StoredVariation<'a>,
    /// The value, as JSON.
    pub value: &'a [u8],
    /// When it was last told, hours since 1970 (UTC).
    pub hour: u32,
}

impl LastSeen {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::LastSeen::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let texts = Texts::new(cell.texts);
        for row in &cell.rows {
            texts.prove_variation(KIND, row.variation)?;
            texts.prove(KIND, "application", row.application)?;
            texts.prove(KIND, "application_version", row.application_version)?;
            texts.prove(KIND, "sdk", row.sdk)?;
            texts.prove(KIND, "sdk_version", row.sdk_version)?;
        }
        for value in &cell.values {
            texts.prove_variation(KIND, value.variation)?;
        }
        if cell.version.len() != cell.version_since.len() || !cell.version.is_sorted() {
            let value = cell.version_since.len() as u64;
            return Err(CellError::Value { kind: KIND, field: "version_since's length", value });
        }
        let versions = cell.version.into_iter().zip(cell.version_since).collect();
        let days = Days::decode(cell.days_from, &cell.days)?;
        Ok(Self { texts, rows: cell.rows, values: cell.values, versions, days, client_side: cell.client_side })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (days_from, days) = self.days.encode();
        let cell = wire::LastSeen {
            texts: self.texts.to_wire(),
            rows: self.rows.clone(),
            values: self.values.clone(),
            version: self.versions.iter().map(|(version, _)| *version).collect(),
            version_since: self.versions.iter().map(|(_, since)| *since).collect(),
            days_from,
            days: days.into(),
            client_side: self.client_side,
        };
        cell.encode_to_vec()
    }

    /// First and last sight by variation, application, SDK, the versions of both, error, and bulk read or not.
    pub fn rows(&self) -> impl Iterator<Item = LastSeenRow<'_>> {
        self.rows.iter().map(|row| LastSeenRow {
            other: row.other,
            variation: self.texts.variation(row.variation),
            application: self.texts.get(row.application),
            application_version: self.texts.get(row.application_version),
            sdk: self.texts.get(row.sdk),
            sdk_version: self.texts.get(row.sdk_version),
            error: row.error,
            bulk: row.bulk,
            first: row.first,
            last: row.last,
        })
    }

    /// The newest value of each of the first [`VALUES_MAX`] variations.
    pub fn values(&self) -> impl Iterator<Item = LastSeenValue<'_>> {
        self.values.iter().map(|value| LastSeenValue {
            variation: self.texts.variation(value.variation),
            value: &value.value,
            hour: value.hour,
        })
    }

    /// The highest versions, rising, each with the hour (since 1970) of its first sight.
    pub fn versions(&self) -> impl Iterator<Item = (u64, u32)> {
        self.versions.iter().copied()
    }

    /// Days of intentional use (not those of bulk reads), rising, in days since 1970 (UTC).
    pub fn days(&self) -> impl Iterator<Item = u32> {
        self.days.iter()
    }

    /// Whether a client-side or mobile SDK asked for the flag.
    #[must_use]
    pub fn client_side(&self) -> bool {
        self.client_side
    }

    /// First sight of all, bulk reads too, hours since 1970 (UTC).
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.rows.iter().map(|row| row.first).min()
    }

    /// Last sight of all, bulk reads too, hours since 1970 (UTC).
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.rows.iter().map(|row| row.last).max()
    }

    /// Adds another cell to this one. Of two values of a variation the later is kept, in the same hour the greater.
    pub fn merge(&mut self, other: &Self) {
        for row in &other.rows {
            let variation = other.texts.variation(row.variation);
            let texts = [row.application, row.application_version, row.sdk, row.sdk_version]
                .map(|number| other.texts.get(number));
            let place = if row.other {
                self.other_row(row.bulk, row.first)
            } else {
                self.row(&variation, texts, (row.error, row.bulk), row.first, (UNBOUNDED, UNBOUNDED))
            };
            self.see(place, row.first);
            self.see(place, row.last);
        }
        for theirs in &other.values {
            let variation = other.texts.variation(theirs.variation);
            self.texts.admit_with(&variation, [&[]; 4], UNBOUNDED);
            let stored = self.texts.find_variation(&variation).unwrap_or(0);
            match self.values.iter_mut().find(|mine| mine.variation == stored) {
                Some(mine) if (theirs.hour, &theirs.value) > (mine.hour, &mine.value) => {
                    mine.value.clone_from(&theirs.value);
                    mine.hour = theirs.hour;
                }
                Some(_) => {}
                None => self.values.push(wire::LastSeenValue { variation: stored, ..theirs.clone() }),
            }
        }
        for (version, since) in &other.versions {
            self.version(*version, *since);
        }
        for day in other.days.iter() {
            self.days.add(day);
        }
        self.client_side |= other.client_side;
    }

    pub(super) fn apply(&mut self, change: &LastSeenChange<'_>, limits: &FoldLimits) -> bool {
        let texts = [change.application, change.application_version, change.sdk, change.sdk_version];
        let rows = self.rows.len();
        let bounds = (limits.last_seen_rows_max as usize, limits.texts_bytes_max as usize);
        let place = self.row(&change.variation, texts, (change.error, change.bulk), change.hour, bounds);
        let mut changed = self.rows.len() != rows;
        changed |= self.see(place, change.hour);
        if let Some(value) = change.value {
            changed |= self.value(&change.variation, value, change.hour);
        }
        if let Some(version) = change.version {
            changed |= self.version(version, change.hour);
        }
        changed |= !change.bulk && self.days.add(change.hour / HOURS_A_DAY);
        changed |= change.client_side && !self.client_side;
        self.client_side |= change.client_side;
        changed
    }

    /// Where the row stands that is of this variation, these texts and these marks (error, bulk); a new one begins at
    /// `hour`.
    fn row(
        &mut self,
        variation: &StoredVariation<'_>,
        texts: [&[u8]; 4],
        (error, bulk): (bool, bool),
        hour: u32,
        (rows_max, budget): (usize, usize),
    ) -> usize {
        if let Some(place) = self.find_row(variation, texts, (error, bulk)) {
            return place;
        }
        let named = self.rows.iter().filter(|row| !row.other).count();
        if named >= rows_max || !self.texts.admit_with(variation, texts, budget) {
            return self.other_row(bulk, hour);
        }
        let [application, application_version, sdk, sdk_version] = texts.map(|text| self.texts.find(text).unwrap_or(0));
        self.rows.push(wire::LastSeenRow {
            variation: self.texts.find_variation(variation).unwrap_or(0),
            application,
            application_version,
            sdk,
            sdk_version,
            error,
            other: false,
            first: hour,
            last: hour,
            bulk,
        });
        self.rows.len() - 1
    }

    fn find_row(
        &self,
        variation: &StoredVariation<'_>,
        texts: [&[u8]; 4],
        (error, bulk): (bool, bool),
    ) -> Option<usize> {
        let variation = self.texts.find_variation(variation)?;
        let [application, application_version, sdk, sdk_version] = texts.map(|text| self.texts.find(text));
        let (application, application_version) = (application?, application_version?);
        let (sdk, sdk_version) = (sdk?, sdk_version?);
        self.rows.iter().position(|row| {
            row.variation == variation
                && row.application == application
                && row.application_version == application_version
                && row.sdk == sdk
                && row.sdk_version == sdk_version
                && row.error == error
                && row.bulk == bulk
                && !row.other
        })
    }

    fn other_row(&mut self, bulk: bool, hour: u32) -> usize {
        self.rows.iter().position(|row| row.other && row.bulk == bulk).unwrap_or_else(|| {
            let (first, last) = (hour, hour);
            self.rows.push(wire::LastSeenRow { other: true, bulk, first, last, ..wire::LastSeenRow::default() });
            self.rows.len() - 1
        })
    }

    fn see(&mut self, place: usize, hour: u32) -> bool {
        let Some(row) = self.rows.get_mut(place) else { return false };
        let before = (row.first, row.last);
        row.first = row.first.min(hour);
        row.last = row.last.max(hour);
        before != (row.first, row.last)
    }

    /// The newest value wins, but callers' own defaults differ from call to call: of those the first of an hour stays,
    /// so that a flag's cell is written once an hour and not at every flush.
    fn value(&mut self, variation: &StoredVariation<'_>, value: &Bytes, hour: u32) -> bool {
        let Some(stored) = self.texts.find_variation(variation).filter(|_| value.len() <= VALUE_BYTES_MAX) else {
            return false;
        };
        let room = self.values.len() < VALUES_MAX;
        match self.values.iter_mut().find(|held| held.variation == stored) {
            Some(held) => {
                let newer = hour > held.hour || (hour == held.hour && stored != 0 && held.value != *value);
                if newer {
                    held.value = Bytes::copy_from_slice(value);
                    held.hour = hour;
                }
                newer
            }
            None if room => {
                let value = Bytes::copy_from_slice(value);
                self.values.push(wire::LastSeenValue { variation: stored, value, hour });
                true
            }
            None => false,
        }
    }

    /// A version that was pushed out is lower than all that are kept, so it can never come back.
    fn version(&mut self, version: u64, hour: u32) -> bool {
        let place = self.versions.partition_point(|(held, _)| *held < version);
        if let Some((_, since)) = self.versions.get_mut(place).filter(|(held, _)| *held == version) {
            let earlier = hour < *since;
            *since = hour.min(*since);
            return earlier;
        }
        if self.versions.len() >= VERSIONS_MAX {
            if place == 0 {
                return false;
            }
            self.versions.remove(0);
            self.versions.insert(place - 1, (version, hour));
        } else {
            self.versions.insert(place, (version, hour));
        }
        true
    }
}

/// An upper bound of the encoding, in bytes.
pub(super) fn bytes_max(limits: &FoldLimits) -> usize {
    use largest::{ROW, TEXT, U32, U64, VARIATION};
    /// Error, other, bulk.
    const MARKS: usize = 3;
    let row = ROW + (1 + VARIATION) + 4 * (1 + TEXT) + MARKS * 2 + 2 * (1 + U32);
    let value = ROW + (1 + VARIATION) + (3 + VALUE_BYTES_MAX) + (1 + U32);
    let versions = 6 + VERSIONS_MAX * (U64 + U32);
    let days = (1 + U32) + 2 + DAYS_MAX as usize / 8 + 1;
    (limits.last_seen_rows_max as usize + OTHERS) * row
        + VALUES_MAX * value
        + versions
        + days
        + 2
        + limits.texts_bytes_max as usize
}
