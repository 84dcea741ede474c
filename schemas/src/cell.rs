//! Where a count is kept: cell kinds and cell keys, and how keys become bytes.
//!
//! Always true here: a cell is (generation, partition, kind, environment, name, window). Its bytes come in two pieces:
//! the *row* says which range the cell lies in and the *sort* where in it, so that "this flag from hour to hour" and
//! "all flags of an environment with last seen" are one range of one row each, in every store. What the cell holds is
//! in `counting::cells`; here is only its address.

use bytes::Bytes;

use crate::id::{Environment, push_part, take_part};

/// Largest encoded cell, in bytes.
pub const CELL_BYTES_MAX: usize = 64 * 1024;

/// What a cell counts. The number is part of the stored key and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CellKind {
    /// Evaluations of a flag in a UTC hour.
    Usage = 1,
    /// First and last sight of a flag's variations; no window.
    LastSeen = 2,
    /// Custom events of a key in a UTC hour.
    Events = 3,
    /// The environment's books of a UTC day of receipt; no name.
    Books = 4,
    /// Which SDKs and applications reported on a UTC day; no name.
    Sdks = 5,
    /// Newest version of a definition; in partition 0 only, no window.
    Definition = 6,
    /// What the log tells of the old path about a flag in a UTC hour ([`crate::old_path`]).
    OldPath = 7,
    /// The same of a custom event's key.
    OldPathEvents = 8,
    /// A customer's migration: operations of a kind (a migration flag's reads, or its writes) in a UTC hour.
    Migration = 9,
    /// An iteration of an experiment on a UTC day, of all units or of those of a dimension's value.
    Experiment = 10,
    /// A stand-in experiment's UTC day, where folds are proved before real experiments are.
    #[cfg(feature = "testing")]
    StandIn = 200,
}

/// The kind of definition that makes a stand-in experiment.
#[cfg(feature = "testing")]
pub const STAND_IN: u32 = CellKind::StandIn as u32;

impl CellKind {
    /// Every kind there is.
    #[cfg(not(feature = "testing"))]
    pub const ALL: [Self; 10] = Self::REAL;

    /// Every kind there is, the stand-in's too.
    #[cfg(feature = "testing")]
    pub const ALL: [Self; 11] = {
        let [a, b, c, d, e, f, g, h, i, j] = Self::REAL;
        [a, b, c, d, e, f, g, h, i, j, Self::StandIn]
    };

    const REAL: [Self; 10] = [
        Self::Usage,
        Self::LastSeen,
        Self::Events,
        Self::Books,
        Self::Sdks,
        Self::Definition,
        Self::OldPath,
        Self::OldPathEvents,
        Self::Migration,
        Self::Experiment,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether its window is an hour: such cells expire in the store, some time after their window's end.
    #[must_use]
    pub fn is_of_an_hour(self) -> bool {
        matches!(self, Self::Usage | Self::Events | Self::OldPath | Self::OldPathEvents | Self::Migration)
    }

    /// Whether the name sorts (many names are read in one range) or the window does (many windows of one name are).
    #[must_use]
    pub fn sorts_by_name(self) -> bool {
        matches!(self, Self::LastSeen | Self::Definition)
    }

    /// Whether the name sorts first and the window within it: nothing else lists these names, so the row must.
    #[must_use]
    pub fn sorts_by_both(self) -> bool {
        matches!(self, Self::Events | Self::OldPath | Self::OldPathEvents | Self::Migration)
    }
}

/// What within an environment a cell is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CellName {
    /// The environment itself (books, SDKs).
    None,
    /// Everything beyond a limit, marked outside the key so that no customer's name can collide with it.
    Other,
    /// A flag, a custom event, a definition, a migration's kind of operation, a part of an experiment.
    Key(Bytes),
}

/// The address of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// Number of the generation.
    pub generation: u32,
    /// The partition whose fold this cell is.
    pub partition: u32,
    /// What it counts.
    pub kind: CellKind,
    /// Whose it is.
    pub environment: Environment,
    /// What within the environment.
    pub name: CellName,
    /// Hours or days since 1970 (UTC), by kind; 0 where the kind has no window.
    pub window: u32,
}

/// A cell key as two byte strings: the range it lies in, and its place there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellAddress {
    /// The range (a DynamoDB or Cassandra partition key).
    pub row: Vec<u8>,
    /// The place in the range; sorts as bytes.
    pub sort: Vec<u8>,
}

/// One range of cells of one row, `[from, to)` by window or all names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellRange {
    /// The row, as [`CellAddress::row`].
    pub row: Vec<u8>,
    /// First sort key, inclusive.
    pub from: Vec<u8>,
    /// Last sort key, exclusive; `None` = to the end of the row.
    pub to: Option<Vec<u8>>,
}

const NAME_NONE: u8 = 0;
const NAME_KEY: u8 = 1;
const NAME_OTHER: u8 = 2;

impl CellKey {
    /// The key as bytes.
    #[must_use]
    pub fn address(&self) -> CellAddress {
        let mut row = row_prefix(self.generation, self.partition, self.kind, &self.environment);
        let mut sort = Vec::new();
        if self.kind.sorts_by_name() {
            push_name(&mut sort, &self.name);
        } else if self.kind.sorts_by_both() {
            let mut name = Vec::new();
            push_name(&mut name, &self.name);
            push_part(&mut sort, &name);
            sort.extend_from_slice(&self.window.to_be_bytes());
        } else {
            push_name(&mut row, &self.name);
            sort.extend_from_slice(&self.window.to_be_bytes());
        }
        CellAddress { row, sort }
    }

    /// The key that these bytes stand for; `None` when they are no cell key.
    #[must_use]
    pub fn from_address(row: &[u8], sort: &[u8]) -> Option<Self> {
        let (generation, rest) = row.split_first_chunk::<4>()?;
        let (partition, rest) = rest.split_first_chunk::<4>()?;
        let (&kind, mut rest) = rest.split_first()?;
        let kind = CellKind::from_number(kind)?;
        let project = Bytes::copy_from_slice(take_part(&mut rest)?);
        let key = Bytes::copy_from_slice(take_part(&mut rest)?);
        let (name, window) = if kind.sorts_by_name() {
            (rest.is_empty().then(|| read_name(sort))??, 0)
        } else if kind.sorts_by_both() && rest.is_empty() {
            let mut sort = sort;
            (read_name(take_part(&mut sort)?)?, u32::from_be_bytes(sort.try_into().ok()?))
        } else if kind.sorts_by_both() {
            return None;
        } else {
            (read_name(rest)?, u32::from_be_bytes(sort.try_into().ok()?))
        };
        Some(Self {
            generation: u32::from_be_bytes(*generation),
            partition: u32::from_be_bytes(*partition),
            kind,
            environment: Environment { project, key },
            name,
            window,
        })
    }
}

impl CellRange {
    /// The windows `[from, to)` of one name: "this flag from hour to hour".
    #[must_use]
    pub fn windows(first: &CellKey, to: u32) -> Self {
        let CellAddress { row, sort } = first.address();
        let end = CellKey { window: to, ..first.clone() }.address();
        Self { row, from: sort, to: Some(end.sort) }
    }

    /// All names of a kind that sorts by name: "all flags of an environment with last seen"; of a kind that sorts by
    /// both, all windows of all names.
    #[must_use]
    pub fn names(generation: u32, partition: u32, kind: CellKind, environment: &Environment) -> Self {
        Self { row: row_prefix(generation, partition, kind, environment), from: Vec::new(), to: None }
    }

    /// From this cell's place on; to pass over a name's windows, seek its window `u32::MAX`.
    #[must_use]
    pub fn seek(mut self, key: &CellKey) -> Self {
        self.from = key.address().sort;
        self
    }

    /// The names from `name` on, of a kind that sorts by name.
    #[must_use]
    pub fn names_from(mut self, name: &CellName) -> Self {
        self.from.clear();
        push_name(&mut self.from, name);
        self
    }
}

fn row_prefix(generation: u32, partition: u32, kind: CellKind, environment: &Environment) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.extend_from_slice(&generation.to_be_bytes());
    row.extend_from_slice(&partition.to_be_bytes());
    row.push(kind as u8);
    push_part(&mut row, &environment.project);
    push_part(&mut row, &environment.key);
    row
}

fn push_name(out: &mut Vec<u8>, name: &CellName) {
    match name {
        CellName::None => out.push(NAME_NONE),
        CellName::Other => out.push(NAME_OTHER),
        CellName::Key(key) => {
            out.push(NAME_KEY);
            out.extend_from_slice(key);
        }
    }
}

fn read_name(bytes: &[u8]) -> Option<CellName> {
    match bytes.split_first()? {
        (&NAME_NONE, []) => Some(CellName::None),
        (&NAME_OTHER, []) => Some(CellName::Other),
        (&NAME_KEY, key) => Some(CellName::Key(Bytes::copy_from_slice(key))),
        _ => None,
    }
}
