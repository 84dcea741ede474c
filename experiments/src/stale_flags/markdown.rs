//! The list as a Markdown table, for issues and chat.
//!
//! Always true here: foreign text ends no cell and is no markup ([`markdown`]); our own words, numbers and times have
//! nothing that could be.

use super::entry::Entry;
use super::shown::{Cell, HEADER, row};
use crate::markdown::markdown;

pub(super) const KIND: &str = "text/markdown; charset=utf-8";

pub(super) fn write(entries: &[Entry]) -> String {
    let rule = HEADER.map(|_| "---".to_owned());
    let head = [HEADER.map(str::to_owned), rule];
    let cell = |cell: Cell| match cell {
        Cell::Own(text) => text,
        Cell::Foreign(text) => markdown(&text),
    };
    let rows = entries.iter().map(|entry| row(entry).map(cell));
    head.into_iter().chain(rows).map(|cells| format!("| {} |\n", cells.join(" | "))).collect()
}
