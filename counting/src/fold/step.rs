//! One record: what becomes of it.
//!
//! Always true here: the generation is looked at first, then whether the record is a duplicate, then what it says; so a
//! re-sent record on which the fold fails is a duplicate and not poison again. Nothing is changed.

use schemas::cell::CellKey;
use schemas::generation::Disagreement;
use schemas::record::Header;
use schemas::rejection::Rejections;

use super::commit::{Commit, DeadLetter, Outcome};
use super::payload::{Draft, Gatherer, Refusal};
use super::prepare::{Content, Record, guarded};
use super::{AHEAD_MS, Rules};
use crate::breakage::{Break, PanicIn};
use crate::cells::BooksChange;
use crate::held::Cells;
use crate::state::State;

/// What a step gives.
// One of these lives at a time, for the length of a step: a box would cost an allocation for each record.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Stepped<'r> {
    /// What the record changes; nothing is changed until it is applied.
    Commit(Commit<'r>),
    /// These cells must be loaded first; then the same step is to be taken again.
    Missing(Vec<CellKey>),
    /// The partition cannot be folded by this process.
    Halt(Halt),
}

/// Why a partition cannot be folded by this process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The generation record and this process disagree.
    #[error("record at offset {offset}: {why}")]
    Generation {
        /// The record's offset.
        offset: u64,
        /// The value on which they disagree.
        why: Disagreement,
    },
    /// The partition does not begin with its generation.
    #[error(
        "the first record of the partition, at offset {0}, is no generation row; this is not a log of this product, or its beginning is lost"
    )]
    NoGeneration(u64),
}

impl Rules {
    /// What becomes of a record under this state and these cells.
    #[must_use]
    pub fn step<'r>(&self, state: &State, cells: &Cells, record: &'r Record) -> Stepped<'r> {
        let offset = record.logged.offset;
        let generation = matches!(record.content, Content::Generation);
        if state.position() == 0 && !generation {
            return Stepped::Halt(Halt::NoGeneration(offset));
        }
        let unchecked = self.breakage.is(Break::LogRowUnchecked);
        if generation
            && !unchecked
            && let Err(why) = self.generation.check(&record.logged.body)
        {
            return Stepped::Halt(Halt::Generation { offset, why });
        }
        let Some(header) = &record.header else {
            return Stepped::Commit(unreadable(record));
        };
        let again = matches!(record.content, Content::Outcomes(_)) && self.breakage.is(Break::OutcomesTwice);
        let duplicate = !again && record.id.is_some_and(|id| state.knows(&id, offset));
        let folded = guarded(|| self.fold(state, cells, record, header, duplicate));
        let refusal = match folded {
            Ok(Ok(draft)) => {
                let outcome = if duplicate { Outcome::Duplicate } else { Outcome::Folded };
                return Stepped::Commit(self.commit(record, header, draft, outcome, None));
            }
            Ok(Err(refusal)) => refusal,
            Err(said) => Refusal::Poison(format!("the fold panicked: {said}")),
        };
        match refusal {
            Refusal::Missing(keys) => Stepped::Missing(keys),
            Refusal::Poison(reason) => self.poison(state, cells, record, header, reason),
        }
    }

    fn fold<'r>(
        &self,
        state: &State,
        cells: &Cells,
        record: &'r Record,
        header: &'r Header,
        duplicate: bool,
    ) -> Result<Draft<'r>, Refusal> {
        let mut gatherer = Gatherer::new(self, state, cells, &header.environment);
        if duplicate {
            let books = BooksChange { duplicate: header.accepted, ..arrived(header, header.carried) };
            if let Content::Payload(view) = &record.content {
                let told = guarded(|| {
                    self.breakage.panic_in(PanicIn::Duplicate, &record.logged);
                    gatherer.duplicate(header, view);
                    gatherer.experiments_again(header, view);
                });
                if told.is_err() {
                    // What its first copy may be poison for must not make poison of this one.
                    gatherer = Gatherer::new(self, state, cells, &header.environment);
                }
            }
            gatherer.books(books);
            return gatherer.finish(header);
        }
        let log_time_ms = state.log_time_ms().max(log_time_ms(record, header));
        self.breakage.panic_in(PanicIn::Rows, &record.logged);
        match &record.content {
            Content::Payload(view) => {
                gatherer.payload(header, view)?;
                gatherer.experiments(header, view, log_time_ms);
                #[cfg(any(test, feature = "testing"))]
                gatherer.stand_ins(view, log_time_ms)?;
            }
            Content::Definition(definition) => gatherer.definition(record.logged.offset, definition, log_time_ms)?,
            Content::Numbers => {
                gatherer.books(BooksChange { counted: header.accepted, ..arrived(header, all_rejected(header)) });
            }
            Content::Outcomes(view) => {
                gatherer.books(BooksChange { counted: header.accepted, ..arrived(header, all_rejected(header)) });
                gatherer.outcomes(header, view)?;
            }
            Content::Generation => {}
            Content::Unreadable(reason) => return Err(Refusal::Poison(reason.clone())),
        }
        gatherer.finish(header)
    }

    /// Books the record as poison. Where even its day cannot be told, it is in the dead letters alone.
    fn poison<'r>(
        &self,
        state: &State,
        cells: &Cells,
        record: &'r Record,
        header: &'r Header,
        reason: String,
    ) -> Stepped<'r> {
        let mut gatherer = Gatherer::new(self, state, cells, &header.environment);
        gatherer.books(BooksChange { poison: header.accepted, ..arrived(header, all_rejected(header)) });
        let draft = match gatherer.finish(header) {
            Ok(draft) => draft,
            Err(Refusal::Missing(keys)) => return Stepped::Missing(keys),
            Err(Refusal::Poison(_)) => Draft::default(),
        };
        let letter = DeadLetter::new(record, reason);
        Stepped::Commit(self.commit(record, header, draft, Outcome::Poison, Some(letter)))
    }

    fn commit<'r>(
        &self,
        record: &'r Record,
        header: &'r Header,
        draft: Draft<'r>,
        outcome: Outcome,
        dead_letter: Option<DeadLetter>,
    ) -> Commit<'r> {
        let forgotten = outcome == Outcome::Duplicate && self.breakage.is(Break::DedupeAgainstCounted)
            || outcome == Outcome::Poison && self.breakage.is(Break::PoisonForgotten);
        Commit {
            offset: record.logged.offset,
            outcome,
            id: record.id.filter(|_| !forgotten),
            log_time_ms: Some(log_time_ms(record, header)),
            environment: Some(&header.environment),
            changes: draft.changes,
            names: draft.names,
            definition: draft.definition,
            units: draft.units,
            lateness_ms: self.lateness_ms(),
            #[cfg(any(test, feature = "testing"))]
            subjects: draft.subjects,
            dead_letter,
        }
    }
}

/// The log time that a record tells: a receive time too far ahead of the log's own is not believed.
fn log_time_ms(record: &Record, header: &Header) -> i64 {
    record.logged.append_ms.min(header.received_ms.saturating_add(AHEAD_MS))
}

/// A record whose header cannot be read: nobody knows whose it is, so no books have it.
fn unreadable(record: &Record) -> Commit<'_> {
    let reason = match &record.content {
        Content::Unreadable(reason) => reason.clone(),
        _ => String::new(),
    };
    Commit {
        offset: record.logged.offset,
        outcome: Outcome::Poison,
        id: None,
        log_time_ms: None,
        environment: None,
        changes: Vec::new(),
        names: Vec::new(),
        definition: None,
        units: Vec::new(),
        lateness_ms: 0,
        #[cfg(any(test, feature = "testing"))]
        subjects: Vec::new(),
        dead_letter: Some(DeadLetter::new(record, reason)),
    }
}

fn arrived(header: &Header, rejected: Rejections) -> BooksChange {
    BooksChange { accepted: header.accepted, rejected, ..BooksChange::default() }
}

fn all_rejected(header: &Header) -> Rejections {
    let mut rejected = header.rejected;
    rejected.merge(&header.carried);
    rejected
}
