//! A sentence of our own words and of foreign ones, for the page and as Markdown.
//!
//! Always true here: what is foreign is told apart from ours until it is written, so that it can act in neither form.

use maud::{Markup, html};

use crate::markdown::markdown;
use crate::page::text;

/// Names of a list that are told; of the others only their number.
const NAMES_MAX: usize = 6;

/// Words in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sentence(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Own(String),
    Foreign(String),
}

impl Sentence {
    pub(crate) fn new(own: impl Into<String>) -> Self {
        Self::default().own(own)
    }

    /// Our own words: no foreign text may be in them.
    pub(crate) fn own(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Own(words.into()));
        self
    }

    pub(crate) fn foreign(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Foreign(words.into()));
        self
    }

    /// Another sentence behind this one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Foreign names with commas between.
    pub(crate) fn names(mut self, names: &[String]) -> Self {
        for (place, name) in names.iter().take(NAMES_MAX).enumerate() {
            self = if place > 0 { self.own(", ") } else { self };
            self = self.foreign(name);
        }
        match names.len().checked_sub(NAMES_MAX) {
            Some(more @ 1..) => self.own(format!(" and {more} more")),
            _ => self,
        }
    }

    /// As content of a page.
    pub(crate) fn markup(&self) -> Markup {
        html! {
            @for piece in &self.0 {
                @match piece {
                    Piece::Own(words) => (words),
                    Piece::Foreign(words) => (text::cut(words, 80)),
                }
            }
        }
    }

    /// As Markdown within a line.
    pub(crate) fn markdown(&self) -> String {
        let written = |piece: &Piece| match piece {
            Piece::Own(words) => words.clone(),
            Piece::Foreign(words) => markdown(words),
        };
        self.0.iter().map(written).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_tell_how_many_more() {
        let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
        let written = Sentence::new("in ").names(&names).markdown();
        assert_eq!(written, "in `n0`, `n1`, `n2`, `n3`, `n4`, `n5` and 2 more");
        assert!(!Sentence::default().names(&names[..6]).markdown().contains("more"));
    }
}
