//! What a cell says, as a list of facts: each is a text and a number.
//!
//! Always true here: a fact tells its meaning by itself (which row, which column, which minute, hour or day); names are
//! quoted, so that none can look like the shared row or like two names.

use std::fmt::{self, Write as _};
use std::rc::Rc;

use schemas::record::StoredVariation;

/// Everything a cell says: facts in order, each with its number. A list, since it is copied far more often than it
/// grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(Vec<(Fact, i128)>);

/// The label of the row that takes what is beyond a limit; all other labels but the next begin with a quote, `#` or
/// `default`.
pub(super) const OTHER: &str = "(other)";
/// In last seen, the one that takes the bulk reads among it.
pub(super) const OTHER_BULK: &str = "(other, bulk reads)";

/// The text of a fact, in pieces: texts are made once for a row and shared by its facts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    what: &'static str,
    row: Option<Rc<str>>,
    place: u64,
}

impl Fact {
    pub(super) fn new(what: &'static str, row: Option<&str>, place: u64) -> Self {
        Self { what, row: row.map(Into::into), place }
    }

    /// A fact about the cell.
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, row: None, place: 0 }
    }

    /// A fact about a minute, a day, a variation of the cell.
    pub(super) fn at(what: &'static str, place: u64) -> Self {
        Self { what, row: None, place }
    }

    /// A fact about a row.
    pub(super) fn row(what: &'static str, row: &Rc<str>) -> Self {
        Self { what, row: Some(row.clone()), place: 0 }
    }

    /// Whether it is of this column.
    pub(super) fn is(&self, what: &'static str) -> bool {
        self.what == what
    }

    /// Whether its row's label begins with this and a space.
    pub(super) fn begins(&self, label: &str) -> bool {
        let rest = self.row.as_deref().and_then(|row| row.strip_prefix(label));
        rest.is_some_and(|rest| rest.starts_with(' '))
    }

    /// Which minute, day, variation, version it is about.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// A fact about a minute, an hour, a bit of a row.
    pub(super) fn row_at(what: &'static str, row: &Rc<str>, place: u64) -> Self {
        Self { what, row: Some(row.clone()), place }
    }
}

impl Facts {
    /// The facts and their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Fact, i128)> {
        self.0.iter().map(|(fact, number)| (fact, *number))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, fact: &Fact) -> Option<i128> {
        self.find(fact.what, fact.row.as_deref(), fact.place).map(|(_, number)| number)
    }

    /// Where a fact stands, and its number.
    pub(super) fn find(&self, what: &'static str, row: Option<&str>, place: u64) -> Option<(usize, i128)> {
        let found =
            self.0.binary_search_by(|(fact, _)| (fact.what, fact.row.as_deref(), fact.place).cmp(&(what, row, place)));
        found.ok().map(|at| (at, self.0[at].1))
    }

    pub(super) fn put(&mut self, fact: Fact, number: i128) {
        match self.0.binary_search_by(|(held, _)| held.cmp(&fact)) {
            Ok(at) => self.0[at].1 = number,
            Err(at) => self.0.insert(at, (fact, number)),
        }
    }

    pub(super) fn take(&mut self, fact: &Fact) {
        self.0.retain(|(held, _)| held != fact);
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.row {
            Some(row) => write!(f, "{} {} of {row}", self.what, self.place),
            None => write!(f, "{} {}", self.what, self.place),
        }
    }
}

/// The label of a row: what was served, a number that belongs to it (a flag's version; 1 for an error, 2 for a bulk
/// read, 3 for both), and names.
pub(super) fn label(variation: Option<StoredVariation<'_>>, number: Option<u64>, names: &[&[u8]]) -> String {
    let mut label = String::with_capacity(64);
    match variation {
        Some(StoredVariation::Default) => label.push_str("default"),
        Some(StoredVariation::Index(index)) => push_number(&mut label, '#', u64::from(index)),
        Some(StoredVariation::Name(name)) => push_quoted(&mut label, name),
        None => {}
    }
    if let Some(number) = number {
        push_number(&mut label, '/', number);
    }
    for name in names {
        push_quoted(&mut label, name);
    }
    label
}

/// The number of a row of last seen.
pub(super) fn marks(error: bool, bulk: bool) -> Option<u64> {
    Some(u64::from(error) + 2 * u64::from(bulk)).filter(|marks| *marks > 0)
}

fn push_number(label: &mut String, mark: char, number: u64) {
    // Writing to a string cannot fail.
    let _ = write!(label, "{mark}{number}");
}

fn push_quoted(label: &mut String, name: &[u8]) {
    let name = String::from_utf8_lossy(name);
    label.push('\'');
    if name.contains('\'') {
        label.push_str(&name.replace('\'', "''"));
    } else {
        label.push_str(&name);
    }
    label.push('\'');
}
