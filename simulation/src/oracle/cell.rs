//! A cell as the oracle holds it: its facts now, and after each record that changed them.
//!
//! Always true here: the first rows stay, as many as the limit says and as long as their names fit the budget of texts;
//! everything beyond counts in the other row. The history has one entry for each record that changed the cell.

use std::rc::Rc;

use bytes::Bytes;

use super::facts::{Fact, Facts, OTHER, OTHER_BULK};

/// What a text costs of the budget, beside its own bytes.
const TEXT_COST: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Cell {
    facts: Rc<Facts>,
    /// All rows in order of first appearance, by table.
    rows: Vec<(&'static str, Rc<str>)>,
    /// The names that rows speak of, in order of first appearance.
    texts: Vec<Bytes>,
    /// The record at hand changed something.
    changed: bool,
    history: Vec<(u64, Rc<Facts>)>,
}

impl Cell {
    /// What it says now.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Says this from now on.
    pub(super) fn put(&mut self, fact: Fact, number: i128) {
        if self.facts.get(&fact) != Some(number) {
            self.changed = true;
            Rc::make_mut(&mut self.facts).put(fact, number);
        }
    }

    /// Says so much more.
    pub(super) fn add(&mut self, fact: Fact, number: i128) {
        let before = self.facts.get(&fact).unwrap_or(0);
        self.put(fact, before + number);
    }

    /// Says so much more, if it is anything.
    pub(super) fn add_some(&mut self, fact: Fact, number: u64) {
        if number > 0 {
            self.add(fact, number.into());
        }
    }

    /// Says so much more or less; of what has come to nothing it says nothing.
    pub(super) fn add_signed(&mut self, fact: Fact, number: i128) {
        let number = self.facts.get(&fact).unwrap_or(0) + number;
        if number == 0 { self.take(&fact) } else { self.put(fact, number) }
    }

    /// Says this no more.
    pub(super) fn take(&mut self, fact: &Fact) {
        if self.facts.get(fact).is_some() {
            self.changed = true;
            Rc::make_mut(&mut self.facts).take(fact);
        }
    }

    /// The lesser of what it says and this.
    pub(super) fn least(&mut self, fact: Fact, number: i128) {
        let before = self.facts.get(&fact).unwrap_or(number);
        self.put(fact, before.min(number));
    }

    /// The greater of what it says and this.
    pub(super) fn most(&mut self, fact: Fact, number: i128) {
        let before = self.facts.get(&fact).unwrap_or(number);
        self.put(fact, before.max(number));
    }

    /// Whether a row of the cell speaks of this name.
    pub(super) fn has_text(&self, name: &[u8]) -> bool {
        self.texts.iter().any(|text| text.as_ref() == name)
    }

    /// The row with this label, if it is among the first `rows_max` of its table and its names fit the budget; else the
    /// other row.
    pub(super) fn row(
        &mut self,
        table: &'static str,
        label: &str,
        names: &[&[u8]],
        rows_max: u32,
        budget: u32,
    ) -> Rc<str> {
        self.row_or(OTHER, table, label, names, (rows_max, budget))
    }

    /// The same, with this label for the row of what is beyond the limits, the rows and the bytes of names.
    pub(super) fn row_or(
        &mut self,
        other: &'static str,
        table: &'static str,
        label: &str,
        names: &[&[u8]],
        (rows_max, budget): (u32, u32),
    ) -> Rc<str> {
        if let Some(row) = self.known(table, label) {
            return row;
        }
        let of_table = || self.rows.iter().filter(|(of, _)| *of == table);
        let named = of_table().filter(|(_, row)| ![OTHER, OTHER_BULK].contains(&row.as_ref())).count();
        let place = of_table().count();
        if named == rows_max as usize || !self.pays(names, budget as usize) {
            return self.known(table, other).unwrap_or_else(|| self.begin(table, other, place));
        }
        self.begin(table, label, place)
    }

    fn known(&self, table: &'static str, label: &str) -> Option<Rc<str>> {
        let mut rows = self.rows.iter();
        rows.find(|(of, row)| *of == table && row.as_ref() == label).map(|(_, row)| row.clone())
    }

    fn begin(&mut self, table: &'static str, label: &str, place: usize) -> Rc<str> {
        let row: Rc<str> = label.into();
        self.rows.push((table, row.clone()));
        self.put(Fact::row(table, &row), place as i128);
        row
    }

    /// Takes in the names that are new, all or none: each costs its length and 4 bytes, the empty one nothing.
    fn pays(&mut self, names: &[&[u8]], budget: usize) -> bool {
        let mut texts = self.texts.clone();
        for name in names.iter().filter(|name| !name.is_empty()) {
            if !texts.iter().any(|text| text.as_ref() == *name) {
                texts.push(Bytes::copy_from_slice(name));
            }
        }
        if texts.len() > self.texts.len() {
            if texts.iter().map(|text| text.len() + TEXT_COST).sum::<usize>() > budget {
                return false;
            }
            for (place, text) in texts.iter().enumerate().skip(self.texts.len()) {
                let text: Rc<str> = String::from_utf8_lossy(text).into();
                self.put(Fact::row("text", &text), place as i128);
            }
            self.texts = texts;
        }
        true
    }

    /// The record at this offset is done.
    pub(super) fn note(&mut self, offset: u64) {
        if std::mem::take(&mut self.changed) {
            self.history.push((offset, self.facts.clone()));
        }
    }

    /// The last record below `position` that changed it, and what it said then.
    pub(super) fn at(&self, position: u64) -> Option<(u64, &Facts)> {
        let after = self.history.partition_point(|(offset, _)| *offset < position);
        let (offset, facts) = self.history.get(after.checked_sub(1)?)?;
        Some((*offset, facts))
    }
}
