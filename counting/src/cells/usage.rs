//! A flag in a UTC hour: counts per minute by (variation, version), for the hour by (variation, application, SDK and
//! its version), and full evaluations by reason.
//!
//! Always true here: a pair tells of its counts how many came while a gate chose the path; at most one pair and one row are marked `other`; a pair has as many counts as its bitmap of
//! minutes has bits; reasons stand in order of number.

use prost::Message;
use schemas::event::Reason;
use schemas::generation::FoldLimits;
use schemas::record::StoredVariation;
use schemas::wire::cells as wire;

use super::texts::{Texts, UNBOUNDED};
use super::{COUNTER_MAX, CellError, add, largest, stored_version};

const KIND: &str = "usage";
const MINUTES: u32 = 60;

/// A flag's evaluations in an hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    texts: Texts,
    pairs: Vec<wire::UsagePair>,
    rows: Vec<wire::UsageRow>,
    reasons: Vec<(u32, u64)>,
}

/// Evaluations that a record adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageChange<'a> {
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// Minute of the hour, 0 to 59.
    pub minute: u32,
    /// How often.
    pub count: u64,
    /// The SDK sampled.
    pub estimated: bool,
    /// They came while a gate chose the path.
    pub gated: bool,
    /// Application id; empty = not told.
    pub application: &'a [u8],
    /// Name of the SDK; empty = not told.
    pub sdk: &'a [u8],
    /// Version of the SDK; empty = not told.
    pub sdk_version: &'a [u8],
}

/// Evaluations of a pair in a minute, as readers see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageCount<'a> {
    /// It is the row of everything beyond the limit; variation and version mean nothing then.
    pub other: bool,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// Minute of the hour, 0 to 59.
    pub minute: u32,
    /// How often.
    pub count: u64,
    /// Some of the pair's counts were sampled by the SDK.
    pub estimated: bool,
}

/// Evaluations of a pair in the hour, as readers see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsagePair<'a> {
    /// It is the row of everything beyond the limit; variation and version mean nothing then.
    pub other: bool,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// How often.
    pub count: u64,
    /// How many of them came while a gate chose the path; the old path tells of these alone.
    pub gated: u64,
}

/// Evaluations of an hour by who asked, as readers see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageRow<'a> {
    /// It is the row of everything beyond the limit; the names mean nothing then.
    pub other: bool,
    /// What was served.
    pub variation: StoredVariation<'a>,
    /// Application id; empty = not told.
    pub application: &'a [u8],
    /// Name of the SDK; empty = not told.
    pub sdk: &'a [u8],
    /// Version of the SDK; empty = not told.
    pub sdk_version: &'a [u8],
    /// How often.
    pub count: u64,
}

impl Usage {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::Usage::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let wrong = |field, value| CellError::Value { kind: KIND, field, value };
        let texts = Texts::new(cell.texts);
        for pair in &cell.pairs {
            texts.prove_variation(KIND, pair.variation)?;
            if pair.minutes >> MINUTES != 0 || pair.minutes.count_ones() as usize != pair.count.len() {
                return Err(wrong("minutes", pair.minutes));
            }
        }
        for row in &cell.rows {
            texts.prove_variation(KIND, row.variation)?;
            texts.prove(KIND, "application", row.application)?;
            texts.prove(KIND, "sdk", row.sdk)?;
            texts.prove(KIND, "sdk_version", row.sdk_version)?;
        }
        if cell.reason.len() != cell.reason_number.len() {
            return Err(wrong("reason_number", cell.reason_number.len() as u64));
        }
        let reasons = cell.reason.into_iter().zip(cell.reason_number).collect();
        Ok(Self { texts, pairs: cell.pairs, rows: cell.rows, reasons })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let cell = wire::Usage {
            texts: self.texts.to_wire(),
            pairs: self.pairs.clone(),
            rows: self.rows.clone(),
            reason: self.reasons.iter().map(|(reason, _)| *reason).collect(),
            reason_number: self.reasons.iter().map(|(_, number)| *number).collect(),
        };
        cell.encode_to_vec()
    }

    /// Counts per minute by variation and version.
    pub fn counts(&self) -> impl Iterator<Item = UsageCount<'_>> {
        self.pairs.iter().flat_map(|pair| {
            minutes(pair.minutes).zip(&pair.count).map(|(minute, count)| UsageCount {
                other: pair.other,
                variation: self.texts.variation(pair.variation),
                version: pair.version.checked_sub(1),
                minute,
                count: *count,
                estimated: pair.estimated,
            })
        })
    }

    /// Counts of the hour by variation and version.
    pub fn pairs(&self) -> impl Iterator<Item = UsagePair<'_>> {
        self.pairs.iter().map(|pair| UsagePair {
            other: pair.other,
            variation: self.texts.variation(pair.variation),
            version: pair.version.checked_sub(1),
            count: pair.count.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)),
            gated: pair.gated,
        })
    }

    /// Counts of the hour by variation, application, SDK and its version.
    pub fn rows(&self) -> impl Iterator<Item = UsageRow<'_>> {
        self.rows.iter().map(|row| UsageRow {
            other: row.other,
            variation: self.texts.variation(row.variation),
            application: self.texts.get(row.application),
            sdk: self.texts.get(row.sdk),
            sdk_version: self.texts.get(row.sdk_version),
            count: row.count,
        })
    }

    /// Full evaluations by reason.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.reasons.iter().map(|(reason, number)| (Reason::from_number(*reason), *number))
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`]: its number is then a lower bound.
    #[must_use]
    pub fn saturated(&self) -> bool {
        let of_pairs = self.pairs.iter().flat_map(|pair| pair.count.iter().chain([&pair.gated]));
        let counts = of_pairs.chain(self.rows.iter().map(|row| &row.count));
        counts.chain(self.reasons.iter().map(|(_, number)| number)).any(|count| *count == COUNTER_MAX)
    }

    /// Adds another cell to this one.
    pub fn merge(&mut self, other: &Self) {
        for pair in &other.pairs {
            let variation = other.texts.variation(pair.variation);
            let place =
                if pair.other { self.other_pair() } else { self.pair(&variation, pair.version, UNBOUNDED, UNBOUNDED) };
            if let Some(mine) = self.pairs.get_mut(place) {
                mine.estimated |= pair.estimated;
                add(&mut mine.gated, pair.gated);
                for (minute, count) in minutes(pair.minutes).zip(&pair.count) {
                    add_minute(mine, minute, *count);
                }
            }
        }
        for row in &other.rows {
            let variation = other.texts.variation(row.variation);
            let place = if row.other {
                self.other_row()
            } else {
                let texts = [row.application, row.sdk, row.sdk_version].map(|number| other.texts.get(number));
                self.row(&variation, texts, UNBOUNDED, UNBOUNDED)
            };
            if let Some(mine) = self.rows.get_mut(place) {
                add(&mut mine.count, row.count);
            }
        }
        for (reason, number) in &other.reasons {
            self.apply_reason(*reason, *number);
        }
    }

    pub(super) fn apply(&mut self, change: &UsageChange<'_>, limits: &FoldLimits) -> bool {
        let budget = limits.texts_bytes_max as usize;
        let version = stored_version(change.version);
        let place = self.pair(&change.variation, version, limits.usage_pairs_max as usize, budget);
        let mut changed = false;
        if let Some(pair) = self.pairs.get_mut(place) {
            changed |= change.estimated && !pair.estimated;
            pair.estimated |= change.estimated;
            changed |= add_minute(pair, change.minute, change.count);
            changed |= change.gated && add(&mut pair.gated, change.count);
        }
        let rows_max = limits.usage_rows_max as usize;
        let texts = [change.application, change.sdk, change.sdk_version];
        let place = self.row(&change.variation, texts, rows_max, budget);
        if let Some(row) = self.rows.get_mut(place) {
            changed |= add(&mut row.count, change.count);
        }
        changed
    }

    pub(super) fn apply_reason(&mut self, reason: u32, number: u64) -> bool {
        // Numbers that this build does not know share one row, so that their number is bounded.
        let reason = u32::from(Reason::from_number(reason) as u8);
        let place = self.reasons.partition_point(|(held, _)| *held < reason);
        match self.reasons.get_mut(place).filter(|(held, _)| *held == reason) {
            Some((_, held)) => add(held, number),
            None => {
                self.reasons.insert(place.min(self.reasons.len()), (reason, number.min(COUNTER_MAX)));
                true
            }
        }
    }

    /// Where the pair stands that counts for this variation and version.
    fn pair(&mut self, variation: &StoredVariation<'_>, version: u64, pairs_max: usize, budget: usize) -> usize {
        if let Some(stored) = self.texts.find_variation(variation) {
            let here = |pair: &wire::UsagePair| pair.variation == stored && pair.version == version && !pair.other;
            if let Some(place) = self.pairs.iter().position(here) {
                return place;
            }
        }
        let named = self.pairs.iter().filter(|pair| !pair.other).count();
        if named >= pairs_max || !self.texts.admit_with(variation, [&[]; 4], budget) {
            return self.other_pair();
        }
        let variation = self.texts.find_variation(variation).unwrap_or(0);
        self.pairs.push(wire::UsagePair { variation, version, ..wire::UsagePair::default() });
        self.pairs.len() - 1
    }

    fn other_pair(&mut self) -> usize {
        self.pairs.iter().position(|pair| pair.other).unwrap_or_else(|| {
            self.pairs.push(wire::UsagePair { other: true, ..wire::UsagePair::default() });
            self.pairs.len() - 1
        })
    }

    /// Where the row stands that counts for this variation and these texts.
    fn row(&mut self, variation: &StoredVariation<'_>, texts: [&[u8]; 3], rows_max: usize, budget: usize) -> usize {
        if let Some(place) = self.find_row(variation, texts) {
            return place;
        }
        let named = self.rows.iter().filter(|row| !row.other).count();
        let [application, sdk, sdk_version] = texts;
        if named >= rows_max || !self.texts.admit_with(variation, [application, sdk, sdk_version, &[]], budget) {
            return self.other_row();
        }
        let [application, sdk, sdk_version] = texts.map(|text| self.texts.find(text).unwrap_or(0));
        self.rows.push(wire::UsageRow {
            variation: self.texts.find_variation(variation).unwrap_or(0),
            application,
            sdk,
            sdk_version,
            other: false,
            count: 0,
        });
        self.rows.len() - 1
    }

    fn find_row(&self, variation: &StoredVariation<'_>, texts: [&[u8]; 3]) -> Option<usize> {
        let variation = self.texts.find_variation(variation)?;
        let [application, sdk, sdk_version] = texts.map(|text| self.texts.find(text));
        let (application, sdk, sdk_version) = (application?, sdk?, sdk_version?);
        self.rows.iter().position(|row| {
            row.variation == variation
                && row.application == application
                && row.sdk == sdk
                && row.sdk_version == sdk_version
                && !row.other
        })
    }

    fn other_row(&mut self) -> usize {
        self.rows.iter().position(|row| row.other).unwrap_or_else(|| {
            self.rows.push(wire::UsageRow { other: true, ..wire::UsageRow::default() });
            self.rows.len() - 1
        })
    }
}

/// The minutes of a bitmap, rising.
fn minutes(bits: u64) -> impl Iterator<Item = u32> {
    (0..MINUTES).filter(move |minute| bits >> minute & 1 == 1)
}

fn add_minute(pair: &mut wire::UsagePair, minute: u32, count: u64) -> bool {
    let bit = 1_u64 << minute.min(MINUTES - 1);
    let place = (pair.minutes & (bit - 1)).count_ones() as usize;
    if pair.minutes & bit == 0 {
        pair.minutes |= bit;
        pair.count.insert(place.min(pair.count.len()), count.min(COUNTER_MAX));
        return true;
    }
    pair.count.get_mut(place).is_some_and(|held| add(held, count))
}

/// An upper bound of the encoding, in bytes.
pub(super) fn bytes_max(limits: &FoldLimits) -> usize {
    use largest::{COUNTER, ROW, TEXT, U64, VARIATION};
    let counts = 3 + MINUTES as usize * COUNTER;
    let pair = ROW + (1 + VARIATION) + (1 + U64) + 2 + (1 + 9) + (1 + COUNTER) + counts;
    let row = ROW - 2 + (1 + VARIATION) + 3 * (1 + TEXT) + (1 + COUNTER);
    let reasons = Reason::ALL.len() * (1 + COUNTER) + 6;
    (limits.usage_pairs_max as usize + 1) * pair
        + (limits.usage_rows_max as usize + 1) * row
        + reasons
        + limits.texts_bytes_max as usize
}
