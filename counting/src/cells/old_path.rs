//! What the log tells of the old path about a flag, or a custom event, in a UTC hour, by variation.
//!
//! Always true here: pure sums of records, of intents (a payload's header) and of outcomes alike, so that their order
//! does not matter; at most one row is marked `other`. A custom event has one row, of the default variation. What may
//! be followed from the numbers is in [`schemas::old_path`].

use prost::Message;
use schemas::generation::FoldLimits;
use schemas::old_path::{Fate, Numbers};
use schemas::record::StoredVariation;
use schemas::wire::cells as wire;

use super::texts::{Texts, UNBOUNDED};
use super::{COUNTER_MAX, CellError, add, largest};

const KIND: &str = "old path";

/// A flag's or an event's numbers in an hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OldPath {
    texts: Texts,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    variation: u64,
    other: bool,
    numbers: Numbers,
}

/// What evaluations or events of a record meant for the old path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldPathFact {
    /// The new path counted them, and the old one is written with them.
    Counted,
    /// The new path alone counted them, by the gate's choice.
    NewOnly,
    /// The old path is written with them, the new one drops them with a copy that it had before.
    Duplicate,
    /// The old path is written with them, the new one leaves them out.
    Late,
    /// Writes of the old path met this fate.
    Met(Fate),
}

/// A number that a record adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldPathChange<'a> {
    /// What was served; of custom events the default.
    pub variation: StoredVariation<'a>,
    /// What it means.
    pub fact: OldPathFact,
    /// How many evaluations or events; 0 changes nothing.
    pub number: u64,
}

/// The numbers of a variation, as readers see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OldPathRow<'a> {
    /// It is the row of everything beyond the limit; the variation means nothing then.
    pub other: bool,
    /// What was served; of custom events the default.
    pub variation: StoredVariation<'a>,
    /// Its numbers.
    pub numbers: Numbers,
}

impl OldPath {
    /// Reads a cell.
    ///
    /// # Errors
    /// [`CellError`] when the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, CellError> {
        let cell = wire::OldPath::decode(bytes).map_err(|e| CellError::Decode { kind: KIND, what: e.to_string() })?;
        let texts = Texts::new(cell.texts);
        let mut rows = Vec::with_capacity(cell.rows.len());
        for row in cell.rows {
            texts.prove_variation(KIND, row.variation)?;
            rows.push(Row::read(&row)?);
        }
        Ok(Self { texts, rows })
    }

    /// Writes the cell.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let rows = self.rows.iter().map(Row::to_wire).collect();
        wire::OldPath { texts: self.texts.to_wire(), rows }.encode_to_vec()
    }

    /// Numbers by variation.
    pub fn rows(&self) -> impl Iterator<Item = OldPathRow<'_>> {
        self.rows.iter().map(|row| OldPathRow {
            other: row.other,
            variation: self.texts.variation(row.variation),
            numbers: row.numbers,
        })
    }

    /// The numbers of all variations together.
    #[must_use]
    pub fn total(&self) -> Numbers {
        let mut total = Numbers::default();
        self.rows.iter().for_each(|row| merge(&mut total, &row.numbers));
        total
    }

    /// Whether a counter has stopped at [`COUNTER_MAX`]: its number is then a lower bound, and nothing can be followed
    /// from it.
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.rows.iter().any(|row| row.numbers.each().any(|number| number == COUNTER_MAX))
    }

    /// Adds another cell to this one.
    pub fn merge(&mut self, other: &Self) {
        for row in &other.rows {
            let variation = other.texts.variation(row.variation);
            let place = if row.other { self.other_row() } else { self.row(&variation, UNBOUNDED, UNBOUNDED) };
            if let Some(mine) = self.rows.get_mut(place) {
                merge(&mut mine.numbers, &row.numbers);
            }
        }
    }

    pub(super) fn apply(&mut self, change: &OldPathChange<'_>, limits: &FoldLimits) -> bool {
        if change.number == 0 {
            return false;
        }
        let (rows_max, budget) = (limits.usage_pairs_max as usize, limits.texts_bytes_max as usize);
        let place = self.row(&change.variation, rows_max, budget);
        self.rows.get_mut(place).is_some_and(|row| add(counter(&mut row.numbers, change.fact), change.number))
    }

    fn row(&mut self, variation: &StoredVariation<'_>, rows_max: usize, budget: usize) -> usize {
        if let Some(stored) = self.texts.find_variation(variation)
            && let Some(place) = self.rows.iter().position(|row| row.variation == stored && !row.other)
        {
            return place;
        }
        let named = self.rows.iter().filter(|row| !row.other).count();
        if named >= rows_max || !self.texts.admit_with(variation, [&[]; 4], budget) {
            return self.other_row();
        }
        let variation = self.texts.find_variation(variation).unwrap_or(0);
        self.rows.push(Row { variation, other: false, numbers: Numbers::default() });
        self.rows.len() - 1
    }

    fn other_row(&mut self) -> usize {
        self.rows.iter().position(|row| row.other).unwrap_or_else(|| {
            self.rows.push(Row { variation: 0, other: true, numbers: Numbers::default() });
            self.rows.len() - 1
        })
    }
}

impl Row {
    fn read(row: &wire::OldPathRow) -> Result<Self, CellError> {
        let wrong = |field, value| CellError::Value { kind: KIND, field, value };
        let wire::OldPathRow { counted, new_only, duplicate, late, .. } = *row;
        let mut numbers = Numbers { counted, new_only, duplicate, late, ..Numbers::default() };
        if row.fate.len() != row.number.len() {
            return Err(wrong("number's length", row.number.len() as u64));
        }
        let mut before = 0;
        for (fate, number) in row.fate.iter().zip(&row.number) {
            let known = Fate::from_number(*fate).filter(|_| *fate > std::mem::replace(&mut before, *fate));
            *numbers.of_mut(known.ok_or(wrong("fate", u64::from(*fate)))?) = *number;
        }
        Ok(Self { variation: row.variation, other: row.other, numbers })
    }

    fn to_wire(&self) -> wire::OldPathRow {
        let Numbers { counted, new_only, duplicate, late, .. } = self.numbers;
        let met =
            Fate::ALL.into_iter().map(|fate| (fate as u32, self.numbers.of(fate))).filter(|(_, number)| *number > 0);
        let (fate, number) = met.unzip();
        let (variation, other) = (self.variation, self.other);
        wire::OldPathRow { variation, other, counted, new_only, duplicate, late, fate, number }
    }
}

fn counter(numbers: &mut Numbers, fact: OldPathFact) -> &mut u64 {
    match fact {
        OldPathFact::Counted => &mut numbers.counted,
        OldPathFact::NewOnly => &mut numbers.new_only,
        OldPathFact::Duplicate => &mut numbers.duplicate,
        OldPathFact::Late => &mut numbers.late,
        OldPathFact::Met(fate) => numbers.of_mut(fate),
    }
}

fn merge(mine: &mut Numbers, other: &Numbers) {
    add(&mut mine.counted, other.counted);
    add(&mut mine.new_only, other.new_only);
    add(&mut mine.duplicate, other.duplicate);
    add(&mut mine.late, other.late);
    for fate in Fate::ALL {
        add(mine.of_mut(fate), other.of(fate));
    }
}

/// An upper bound of the encoding, in bytes.
pub(super) fn bytes_max(limits: &FoldLimits) -> usize {
    use largest::{COUNTER, ROW, VARIATION};
    let fates = Fate::ALL.len() * (1 + COUNTER) + 2 * (1 + 2);
    let row = ROW + (1 + VARIATION) + 2 + 4 * (1 + COUNTER) + fates;
    (limits.usage_pairs_max as usize + 1) * row + limits.texts_bytes_max as usize
}
