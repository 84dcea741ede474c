//! A stored cell's bytes beside the facts that it must tell.
//!
//! Always true here: no fact is built as long as the two agree, for that is nearly always.

use std::collections::BTreeSet;

use bytes::Bytes;
use schemas::cell::CellKind;

use super::facts::{Fact, Facts};
use super::told;

/// Whether the bytes of a cell say all of this once, and nothing else.
pub(super) fn agrees(kind: CellKind, bytes: &Bytes, expected: &Facts) -> Result<bool, String> {
    let mut said = vec![false; expected.len()];
    let mut right = true;
    told::tell(kind, bytes, &mut |(what, row, place, number)| match expected.find(what, row, place) {
        Some((at, of_it)) => right &= of_it == number && !std::mem::replace(&mut said[at], true),
        None => right = false,
    })?;
    Ok(right && said.iter().all(|said| *said))
}

/// What the bytes of a cell say otherwise than they must, a line each.
pub(super) fn differences(kind: CellKind, bytes: &Bytes, expected: &Facts) -> String {
    let mut lines = String::new();
    let mut said: BTreeSet<Fact> = BTreeSet::new();
    let told = told::tell(kind, bytes, &mut |(what, row, place, number)| {
        let fact = Fact::new(what, row, place);
        let of_it = expected.get(&fact);
        if of_it != Some(number) {
            let of_it = of_it.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
            lines += &format!("\n  {fact}: found {number}, expected {of_it}");
        }
        if said.contains(&fact) {
            lines += &format!("\n  {fact}: told twice");
        }
        said.insert(fact);
    });
    for (fact, number) in expected.iter().filter(|(fact, _)| !said.contains(fact)) {
        lines += &format!("\n  {fact}: found nothing, expected {number}");
    }
    told.err().map_or(lines.clone(), |what| format!("{lines}\n  {what}"))
}
