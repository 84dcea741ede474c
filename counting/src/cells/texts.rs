//! The texts of a cell: each stands once, in order of first appearance, and rows point to them.
//!
//! Always true here: number 0 is the empty text and number n the n-th; texts are only ever added; all together they
//! keep within a budget of bytes, a text's tag and length included.

use bytes::Bytes;
use schemas::record::StoredVariation;

use super::{CellError, variation_name};

/// What a text takes beside itself, at most: tag and length.
const OVERHEAD_BYTES: usize = 4;

/// No budget: for readers.
pub(super) const UNBOUNDED: usize = usize::MAX;

/// The texts of one cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Texts {
    texts: Vec<Bytes>,
    bytes: usize,
}

impl Texts {
    pub(super) fn new(texts: Vec<Bytes>) -> Self {
        let bytes = texts.iter().fold(0_usize, |sum, text| sum.saturating_add(cost(text)));
        Self { texts, bytes }
    }

    pub(super) fn to_wire(&self) -> Vec<Bytes> {
        self.texts.clone()
    }

    /// The number of a text that is here.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        if text.is_empty() {
            return Some(0);
        }
        let place = self.texts.iter().position(|held| held.as_ref() == text)?;
        u32::try_from(place.saturating_add(1)).ok()
    }

    /// The number of a variation, when its name is here: 0 the caller's default, 2i + 1 an index, 2t a name.
    pub(super) fn find_variation(&self, variation: &StoredVariation<'_>) -> Option<u64> {
        match variation {
            StoredVariation::Default => Some(0),
            StoredVariation::Index(index) => Some(u64::from(*index) * 2 + 1),
            StoredVariation::Name(name) => self.find(name).map(|text| u64::from(text) * 2),
        }
    }

    /// Makes sure that all of these are here, or adds none of them: then they do not fit the budget.
    pub(super) fn admit(&mut self, texts: &[&[u8]], budget: usize) -> bool {
        let mut more = 0_usize;
        for (place, text) in texts.iter().enumerate() {
            let told_before = texts.iter().take(place).any(|other| other == text);
            if !told_before && self.find(text).is_none() {
                more = more.saturating_add(cost(text));
            }
        }
        if more > 0 && self.bytes.saturating_add(more) > budget {
            return false;
        }
        for text in texts {
            if more > 0 && self.find(text).is_none() {
                self.bytes = self.bytes.saturating_add(cost(text));
                self.texts.push(Bytes::copy_from_slice(text));
            }
        }
        true
    }

    /// As [`Self::admit`], with a variation's name among them.
    pub(super) fn admit_with(&mut self, variation: &StoredVariation<'_>, texts: [&[u8]; 4], budget: usize) -> bool {
        let [first, second, third, fourth] = texts;
        self.admit(&[variation_name(variation).unwrap_or_default(), first, second, third, fourth], budget)
    }

    /// The text with this number; an unknown one is empty.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| self.texts.get(place)).map_or(&[], |text| text.as_ref())
    }

    /// The variation with this number.
    pub(super) fn variation(&self, stored: u64) -> StoredVariation<'_> {
        match (stored, stored % 2) {
            (0, _) => StoredVariation::Default,
            (_, 1) => StoredVariation::Index(u32::try_from(stored / 2).unwrap_or(u32::MAX)),
            _ => StoredVariation::Name(self.get(u32::try_from(stored / 2).unwrap_or(0))),
        }
    }

    /// Proves that a text number points here.
    pub(super) fn prove(&self, kind: &'static str, field: &'static str, number: u32) -> Result<(), CellError> {
        match usize::try_from(number) {
            Ok(number) if number <= self.texts.len() => Ok(()),
            _ => Err(CellError::Value { kind, field, value: number.into() }),
        }
    }

    /// Proves that a variation's number means something here.
    pub(super) fn prove_variation(&self, kind: &'static str, stored: u64) -> Result<(), CellError> {
        let wrong = CellError::Value { kind, field: "variation", value: stored };
        let half = u32::try_from(stored / 2).map_err(|_| wrong)?;
        if stored % 2 == 1 { Ok(()) } else { self.prove(kind, "variation", half) }
    }
}

fn cost(text: &[u8]) -> usize {
    text.len().saturating_add(OVERHEAD_BYTES)
}
